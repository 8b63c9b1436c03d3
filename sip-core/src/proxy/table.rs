//! Where contexts are kept, and how ids of the transaction layer lead to them.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::time::Instant;

use smallvec::SmallVec;

use super::context::Context;
use super::event::{BranchRef, ContextId};
use crate::transaction::room::shrink;
use crate::transaction::{ClientId, ServerId};

/// Contexts by id; ids are serial numbers.
#[derive(Clone, Debug)]
pub(super) struct Contexts {
    /// `None`: taken out to be worked on.
    pub(super) entries: HashMap<ContextId, Option<Box<Context>>, IdState>,
    last: u64,
}

impl Contexts {
    pub(super) fn new(seed: u64) -> Contexts {
        Contexts { entries: HashMap::with_hasher(IdState(seed | 1)), last: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Reserves an id; [`put`](Self::put) fills it.
    pub(super) fn allocate(&mut self) -> ContextId {
        self.last += 1;
        let id = ContextId(self.last);
        self.entries.insert(id, None);
        id
    }

    pub(super) fn get(&self, id: ContextId) -> Option<&Context> {
        self.entries.get(&id)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.entries.get_mut(&id)?.as_deref_mut()
    }

    /// Takes a context out to work on it; it is [put](Self::put) back or its id [freed](Self::free).
    pub(super) fn take(&mut self, id: ContextId) -> Option<Box<Context>> {
        self.entries.get_mut(&id)?.take()
    }

    pub(super) fn put(&mut self, context: Box<Context>) {
        if let Some(entry) = self.entries.get_mut(&context.id) {
            *entry = Some(context);
        }
    }

    pub(super) fn free(&mut self, id: ContextId) {
        self.entries.remove(&id);
        shrink(&mut self.entries);
    }
}

/// To whom a client transaction belongs.
#[derive(Clone, Debug, Hash)]
pub(super) enum Owner {
    /// A branch of a context.
    Leg(ContextId, u16),
    /// An INVITE that was answered: further 2xx go the way of the first (RFC 3261 §16.7 step 5).
    Answered(Box<Tail>),
}

/// What is kept of an answered INVITE while the transaction layer may see further 2xx.
#[derive(Clone, Debug, Hash)]
pub(super) struct Tail {
    pub(super) server: ServerId,
    pub(super) id: ContextId,
    pub(super) user: u64,
    pub(super) branch: BranchRef,
    /// Hashes of the To tags that were told.
    pub(super) answers: SmallVec<[u32; 2]>,
}

/// From ids of the transaction layer to contexts.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    pub(super) clients: HashMap<ClientId, Owner, IdState>,
    pub(super) servers: HashMap<ServerId, ContextId, IdState>,
}

impl Owners {
    pub(super) fn new(seed: u64) -> Owners {
        let state = IdState(seed | 1);
        Owners { clients: HashMap::with_hasher(state), servers: HashMap::with_hasher(state) }
    }

    pub(super) fn remove_client(&mut self, id: ClientId) -> Option<Owner> {
        let owner = self.clients.remove(&id);
        shrink(&mut self.clients);
        owner
    }

    pub(super) fn remove_server(&mut self, id: ServerId) -> Option<ContextId> {
        let context = self.servers.remove(&id);
        shrink(&mut self.servers);
        context
    }

    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty()
    }
}

/// Hashes our own counters: nobody outside chooses them, so that one multiplication is enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdState(u64);

/// See [`IdState`].
pub(super) struct IdHasher {
    odd: u64,
    hash: u64,
}

impl BuildHasher for IdState {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { odd: self.0, hash: 0 }
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.hash ^ number).wrapping_mul(self.odd);
        self.hash = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// When contexts are to be looked at.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Timers {
    entries: BTreeSet<(Instant, ContextId)>,
}

impl Timers {
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }

    /// The next context whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<ContextId> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, id)| id)
    }

    /// Sees to it that a context is looked at in time: an entry that is early enough stays, which spares the table a
    /// move for each provisional response.
    pub(super) fn arm(&mut self, context: &mut Context) {
        match (context.due(), context.armed) {
            (Some(due), Some(armed)) if armed <= due => {}
            (Some(due), armed) => {
                self.remove(armed, context.id);
                self.entries.insert((due, context.id));
                context.armed = Some(due);
            }
            (None, armed) => {
                self.remove(armed, context.id);
                context.armed = None;
            }
        }
    }

    pub(super) fn remove(&mut self, armed: Option<Instant>, id: ContextId) {
        if let Some(at) = armed {
            self.entries.remove(&(at, id));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
