//! A socket of the table.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::latch::{self, Expected, Latch, LatchConfig, Observed};

use super::hairpin::Hairpin;
use super::stream::Streams;
use super::{Kind, Learning, Reason, Setup};

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
    /// Adds what another one has counted.
    pub(super) fn add(&mut self, other: &SocketStats) {
        for (count, more) in [(&mut self.received, other.received), (&mut self.sent, other.sent)] {
            count.packets += more.packets;
            count.octets += more.octets;
        }
        self.errors += other.errors;
        self.drops.iter_mut().zip(other.drops).for_each(|(count, more)| *count += more);
    }

    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        Reason::ALL.iter().zip(self.drops).find(|(one, _)| **one == reason).map_or(0, |(_, count)| count)
    }
}

/// How long learning goes on, in both modes that take time.
const WINDOW: Duration = Duration::from_secs(3);

/// A socket that faces one party.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) setup: Setup,
    /// Of this place in the table; a socket that names an older one in its setup has lost its way out.
    pub(super) age: u32,
    /// Ages of `setup.out_rtp` and `setup.out_rtcp` when they were named.
    pub(super) out_age: [u32; 2],
    latch: Latch,
    /// The last packet has shown where the party is; the socket beside this one does not know yet.
    pub(super) found: bool,
    pub(super) last: Option<Instant>,
    pub(super) received: Count,
    pub(super) sent: Count,
    pub(super) errors: u64,
    drops: [u64; Reason::ALL.len()],
    /// The sources of RTP that were heard.
    pub(super) streams: Streams,
    /// The last round trip between the relay and the party.
    pub(super) leg: Option<Duration>,
    pub(super) hairpin: Hairpin,
}

impl Socket {
    /// A socket at a place of this age that hears nothing yet.
    pub(super) fn new(age: u32) -> Socket {
        let setup = Setup::default();
        Socket {
            latch: Latch::new(latch_config(&setup)),
            setup,
            age,
            out_age: [0; 2],
            found: false,
            last: None,
            received: Count::default(),
            sent: Count::default(),
            errors: 0,
            drops: [0; Reason::ALL.len()],
            streams: Streams::default(),
            leg: None,
            hairpin: Hairpin::default(),
        }
    }

    /// Used so from now on. Only signalling that changes the address lets it be learned anew.
    pub(super) fn configure(&mut self, now: Instant, setup: &Setup, out_age: [u32; 2]) {
        let config = latch_config(setup);
        if config != latch_config(&self.setup) {
            self.latch.configure(config);
        }
        let expected = Expected { signalled: setup.signalled, received_from: setup.received_from };
        if setup.armed {
            self.latch.arm(now, expected);
        } else {
            self.latch.expect(expected);
        }
        if setup.kind == Kind::Rtp {
            self.streams.prepare();
        }
        self.setup = *setup;
        self.out_age = out_age;
    }

    /// Whether a packet that came `from` there is the party's.
    #[inline]
    pub(super) fn observe(&mut self, now: Instant, from: SocketAddr) -> bool {
        match self.latch.observe(now, from) {
            Observed::Accept => true,
            Observed::Learned(_) => {
                self.found = true;
                true
            }
            Observed::Drop => false,
        }
    }

    /// The party's RTP was found to come from this host, which is where its RTCP comes from too, unless signalling has
    /// put them on two hosts.
    pub(super) fn follow(&mut self, signalled: Option<SocketAddr>, rtp: SocketAddr) {
        if self.setup.kind == Kind::Rtcp && self.setup.signalled.map(|at| at.ip()) == signalled.map(|at| at.ip()) {
            self.latch.follow(rtp);
        }
    }

    /// The party is to be found anew.
    pub(super) fn forget(&mut self) {
        self.latch.forget();
    }

    /// Where an empty datagram goes, while nothing came from there.
    pub(super) fn pierces(&self) -> Option<SocketAddr> {
        self.remote().filter(|_| self.setup.pierce_nat && !self.setup.blocked && self.last.is_none())
    }

    /// Where the party was found.
    pub(super) fn learned(&self) -> Option<SocketAddr> {
        self.latch.learned()
    }

    /// Where the party is: learned, else signalled.
    #[inline]
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.latch.remote()
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

fn latch_config(setup: &Setup) -> LatchConfig {
    let learning = match setup.learning {
        Learning::Off => latch::Learning::Off,
        Learning::Immediate => latch::Learning::Immediate,
        Learning::Delayed => latch::Learning::Delayed(WINDOW.as_millis() as u32),
        Learning::Heuristic => latch::Learning::Heuristic,
    };
    LatchConfig { learning, strict: setup.strict, window: WINDOW, handover: setup.handover }
}
