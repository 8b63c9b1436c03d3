//! What the registrar allows.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Flow;

/// Limits and policies of a [`Registrar`](super::Registrar). Times are in seconds, as in the protocol.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Shortest lifetime; a request for less is answered 423 (RFC 3261 §10.3 step 7). At most 3600 has an effect.
    pub min_expires: u32,
    /// Longest lifetime; a request for more gets this.
    pub max_expires: u32,
    /// Lifetime where the request names none (RFC 3261 §10.3 step 7).
    pub default_expires: u32,
    /// Longest lifetime of a UDP contact behind a NAT.
    pub nat_max_expires: u32,
    /// Most contacts of one address of record.
    pub max_contacts: usize,
    /// What happens to one more.
    pub when_full: WhenFull,
    /// What happens to a Path that the phone does not say it supports.
    pub path: PathPolicy,
    /// Most addresses of record with a binding. A new one beyond is answered 503.
    pub max_aors: usize,
    /// Most octets of one binding: addresses, Path, Call-ID and all.
    pub max_binding: usize,
    /// Most events waiting to be taken. A registration beyond is answered 503.
    pub max_events: usize,
    /// Keys the table, so that nobody can crowd it, and the To tags of the answers.
    pub seed: [u8; 32],
}

impl Config {
    /// 60 s to 7200 s, 3600 s by default, 120 s behind a NAT; ten contacts, then 403.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            min_expires: 60,
            max_expires: 7200,
            default_expires: 3600,
            nat_max_expires: 120,
            max_contacts: 10,
            when_full: WhenFull::Refuse,
            path: PathPolicy::Store,
            max_aors: 1_000_000,
            max_binding: 4096,
            max_events: 65_536,
            seed,
        }
    }
}

/// What happens to a contact beyond the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// 403, and nothing changes.
    Refuse,
    /// The contact that was refreshed longest ago makes room.
    ReplaceOldest,
}

/// What happens to a Path in a request without `Supported: path` (RFC 3327 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPolicy {
    /// It is kept; the answer carries it only for a phone that supports it.
    Store,
    /// 420, and nothing changes.
    Refuse,
}

/// What the registrar cannot see in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Where the request came from, and how it gets back there.
    pub flow: Flow,
    /// Whether the contact is reached over UDP through a NAT.
    pub nated: bool,
    /// The phone's own address as the first of our hops saw it, where that is not `flow`.
    pub received: Option<SocketAddr>,
}

/// What the wall clock said at some instant.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// The instant.
    pub at: std::time::Instant,
    /// The time since the Unix epoch then.
    pub unix: Duration,
}

impl WallClock {
    /// The time since the Unix epoch at another instant.
    pub fn unix_at(&self, instant: std::time::Instant) -> Duration {
        match instant.checked_duration_since(self.at) {
            Some(later) => self.unix.saturating_add(later),
            None => self.unix.saturating_sub(self.at.duration_since(instant)),
        }
    }

    /// The instant of a time since the Unix epoch; one before all instants is the present one.
    pub(super) fn instant_at(&self, unix: Duration) -> std::time::Instant {
        match unix.checked_sub(self.unix) {
            Some(later) => self.at.checked_add(later).unwrap_or(self.at),
            None => self.at.checked_sub(self.unix - unix).unwrap_or(self.at),
        }
    }
}
