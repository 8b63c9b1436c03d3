//! Media that this relay sends to itself. Two calls that are chained over it do so rightly; descriptions that lead media
//! in a circle would keep it busy for ever, for nothing in a packet counts its hops. So what comes from sockets of the
//! relay's own is bounded.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Settings;

/// Packets that a socket takes from sockets of the relay itself, each second: video of some 10 Mbit/s.
pub(super) const MOST: u32 = 1000;

const SECOND: Duration = Duration::from_secs(1);

/// The addresses that this relay sends from, as its parties see them, and where it takes orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    addresses: Vec<IpAddr>,
    control: Vec<SocketAddr>,
}

impl Own {
    pub(super) fn add(&mut self, address: IpAddr) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    pub(super) fn add_control(&mut self, address: SocketAddr) {
        self.control.push(address);
    }

    /// Whether a party names a socket of ours for control as its own: what it sends would be taken for orders of this host.
    pub(super) fn is_control(&self, at: SocketAddr) -> bool {
        let here = at.ip().is_loopback() || self.addresses.contains(&at.ip());
        self.control.iter().any(|control| control.port() == at.port() && (here || control.ip() == at.ip()))
    }

    /// Whether `from` may be a socket of the relay.
    #[inline]
    pub(super) fn has(&self, from: SocketAddr, settings: &Settings) -> bool {
        let (first, last) = settings.ports;
        (first..=last).contains(&from.port()) && self.addresses.contains(&from.ip())
    }
}

/// What one socket has taken from the relay's own in this second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hairpin {
    since: Option<Instant>,
    packets: u32,
}

impl Hairpin {
    /// Counts a packet; whether it is within the bound.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            *self = Hairpin { since: Some(now), packets: 0 };
        }
        self.packets = self.packets.saturating_add(1);
        self.packets <= MOST
    }
}
