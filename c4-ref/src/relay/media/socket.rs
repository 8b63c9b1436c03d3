//! A socket of the table.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::{Learning, Reason, Setup};

/// Packets and octets of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Octets of their UDP payload.
    pub octets: u64,
}

impl Count {
    #[inline]
    pub(super) fn count(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// What a socket has counted since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketStats {
    /// From the party; what was dropped for its source or form is not in it.
    pub received: Count,
    /// To the party.
    pub sent: Count,
    /// Packets that the kernel did not take.
    pub errors: u64,
    /// Dropped packets by [`Reason`], in the order of [`Reason::ALL`].
    pub drops: [u64; Reason::ALL.len()],
}

impl SocketStats {
    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        Reason::ALL.iter().zip(self.drops).find(|(one, _)| **one == reason).map_or(0, |(_, count)| count)
    }
}

/// A socket that faces one party.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) setup: Setup,
    /// Of this place in the table; a socket that names an older one in its setup has lost its way out.
    pub(super) age: u32,
    /// Ages of `setup.out_rtp` and `setup.out_rtcp` when they were named.
    pub(super) out_age: [u32; 2],
    /// Where the party was found; packets from elsewhere are dropped.
    learned: Option<SocketAddr>,
    pub(super) last: Option<Instant>,
    pub(super) received: Count,
    pub(super) sent: Count,
    pub(super) errors: u64,
    drops: [u64; Reason::ALL.len()],
}

impl Socket {
    /// Used so from now on. Only signalling that changes the address lets it be learned anew.
    pub(super) fn configure(&mut self, setup: &Setup, out_age: [u32; 2]) {
        let same = self.setup.signalled == setup.signalled && self.setup.received_from == setup.received_from;
        if !same || setup.learning == Learning::Off {
            self.learned = None;
        }
        self.setup = *setup;
        self.out_age = out_age;
    }

    /// Whether `from` is the party. The first packet from its host decides its port.
    #[inline]
    pub(super) fn observe(&mut self, from: SocketAddr) -> bool {
        if self.learned == Some(from) {
            return true;
        }
        self.learn(from)
    }

    #[cold]
    fn learn(&mut self, from: SocketAddr) -> bool {
        let exact = self.setup.signalled == Some(from);
        let host = |ip: IpAddr| ip == from.ip();
        let plausible =
            self.setup.signalled.is_some_and(|a| host(a.ip())) || self.setup.received_from.is_some_and(host);
        let open = self.learned.is_none() || self.setup.handover;
        let accept = exact && self.learned.is_none() || plausible && open && self.setup.learning != Learning::Off;
        if accept {
            self.learned = Some(from);
        }
        accept
    }

    /// Where the party is: learned, else signalled.
    #[inline]
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.learned.or(self.setup.signalled)
    }

    pub(super) fn count_drop(&mut self, reason: Reason) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(super) fn stats(&self) -> SocketStats {
        SocketStats { received: self.received, sent: self.sent, errors: self.errors, drops: self.drops }
    }
}
