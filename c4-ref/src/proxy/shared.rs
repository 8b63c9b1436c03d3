//! What all shards share.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;
use sip_core::Message;
use sip_core::auth::{Proof, Replay, Replayed};
use sip_core::header::{Header, TypedHeader, Via};
use sip_core::transaction::shard_of_branch;

use super::location::Location;
use super::settings::Settings;

/// Tables of nonce counts: two shards seldom meet at one.
const REPLAY_TABLES: usize = 16;
/// Nonces remembered by each.
const NONCES: usize = 16_384;

/// The location table, the nonce counts, and the rule that gives a message to its shard.
#[derive(Debug)]
pub struct Shared {
    /// Who is where.
    pub location: Location,
    replay: Box<[Mutex<Replay>]>,
    shards: usize,
    hasher: BuildSipHasher,
}

impl Shared {
    /// For this number of shards; `seed` as in [`super::Start`], `unix` is the time since the
    /// Unix epoch at `now`.
    pub fn new(settings: &Settings, shards: usize, seed: [u8; 32], now: Instant, unix: Duration) -> Shared {
        let key = seed.last_chunk().copied().unwrap_or_default();
        let replay = || Mutex::new(Replay::new(NONCES, settings.nonce_lifetime, unix));
        Shared {
            location: Location::new(settings, seed, now, unix),
            replay: (0..REPLAY_TABLES).map(|_| replay()).collect(),
            shards: shards.max(1),
            hasher: BuildSipHasher::new(key),
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Which shard a message belongs to: a response to that of its branch; a request to that of its Call-ID, so that
    /// ACK, CANCEL and everything inside a dialog find what the INVITE left.
    pub fn shard_of(&self, message: &Message) -> Option<usize> {
        if self.shards == 1 {
            return None;
        }
        if !message.is_request() {
            let via = message.values(Header::Via).next().and_then(|via| Via::parse(via).ok());
            let shard = via.and_then(|via| via.branch()).and_then(shard_of_branch).map(usize::from);
            return shard.filter(|shard| *shard < self.shards);
        }
        self.shard_of_call(message.header(Header::CallId)?)
    }

    /// Which shard the requests of a call belong to.
    pub fn shard_of_call(&self, call_id: &[u8]) -> Option<usize> {
        (self.shards > 1).then(|| (self.hasher.hash_one(call_id) % self.shards as u64) as usize)
    }

    /// Takes the nonce count of credentials that were right; an error when it was used before.
    pub(super) fn commit(&self, unix: Duration, proof: Proof) -> Result<(), Replayed> {
        let place = (proof.nonce.spread() % self.replay.len() as u64) as usize;
        match self.replay.get(place) {
            Some(table) => lock(table).commit(unix, proof.nonce, proof.nc),
            None => Err(Replayed),
        }
    }
}

/// A shard that panicked has left the table as it was between two calls: it is still good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
