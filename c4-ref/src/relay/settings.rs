//! What a relay is made with.

use std::net::IpAddr;
use std::time::Duration;

use super::{Sessions, media};
use crate::config::Interface;
use crate::net::Network;

/// What ends a call, and when. A duration of zero switches a timeout off, but for `delete_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// An answered call without media for so long ends.
    pub media: Duration,
    /// The same while every line is on hold.
    pub silent: Duration,
    /// An offer that is never answered ends.
    pub offer: Duration,
    /// How long a deleted call lingers.
    pub delete_delay: Duration,
}

/// What can change while a relay runs.
#[derive(Debug, Clone)]
pub struct Update {
    /// Calls at a time, of all workers; 0: no limit.
    pub max_sessions: usize,
    /// Of every call, from when something next happens to it.
    pub timeouts: Timeouts,
    /// Who may send NG commands.
    pub allow: Vec<Network>,
}

/// What a relay is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table of sockets.
    pub media: media::Settings,
    /// Local addresses of media, at least one; the first is the default. Those of one name are one interface, with an
    /// address of each family.
    pub interfaces: Vec<Interface>,
    /// TOS octet (traffic class) of media.
    pub tos: u8,
    /// What ends a call, and when.
    pub timeouts: Timeouts,
    /// Counts calls, and says how many there may be; shared with the other workers.
    pub sessions: Sessions,
    /// What marks SDP that has passed this relay.
    pub mark: String,
    /// Unix time at the start.
    pub unix: Duration,
}

impl Settings {
    /// The interface for a party: by name, else that of `kept`, else the first; within it the address of the family,
    /// if there is one.
    pub(super) fn interface(&self, name: Option<&str>, kept: Option<usize>, is_ipv6: bool) -> usize {
        let named = |name: &str| self.interfaces.iter().find(|one| one.name == name);
        let kept = kept.and_then(|kept| self.interfaces.get(kept));
        let Some(chosen) = name.and_then(named).or(kept).or(self.interfaces.first()) else { return 0 };
        let same = |fits: &dyn Fn(&Interface) -> bool| {
            self.interfaces.iter().position(|one| one.name == chosen.name && fits(one))
        };
        same(&|one| one.advertised().is_ipv6() == is_ipv6).or_else(|| same(&|_| true)).unwrap_or(0)
    }

    /// Where the sockets of an interface are bound.
    pub(super) fn bind(&self, interface: usize) -> Option<IpAddr> {
        self.interfaces.get(interface).map(|one| one.bind)
    }

    /// What SDP says of an interface.
    pub(super) fn advertised(&self, interface: usize) -> Option<IpAddr> {
        self.interfaces.get(interface).or(self.interfaces.first()).map(Interface::advertised)
    }
}
