//! Latching: where a party behind NAT really sends from, learned from its media without letting a stranger in.
//!
//! Signalling arms a [`Latch`]; learning starts with the first packet after that, is bounded in time and ends with one
//! source that stays until signalling names another address. Evaluated lazily in [`Latch::observe`]: it needs no timer.
//!
//! **Ranks** (heuristic learning), best first: the address and port of the SDP, its address, the address that the
//! signalling was `received-from`, any other. A better rank takes over at once while learning; an equal one only from
//! a source that fell silent. The SDP's own address and port ends the learning at once.
//!
//! **Any other** source is heard only where signalling names no place where the party can be: its SDP has a private
//! address (RFC 1918, 6598, 4193, link-local, loopback) or none, and nothing was `received-from` anywhere. Even then it
//! must have sent for a whole window with nobody else beside it, and yields to a better one later. So a stranger
//! that sprays the port gets nothing through and receives nothing (RTP bleed, CVE-2025-53399), whenever it starts and
//! however late the party does. The price: a party that sends from a host that neither its SDP nor its signalling knows is
//! not heard; `asymmetric`, `media-handover` or another mode of learning is for it. Where two strangers compete for a
//! party behind NAT that nothing vouches for, neither is heard until one of them stops: give `received-from`.
//! Strangers of an equal better rank (the same NAT) are told apart by nothing but who came first; only SRTP
//! ([`Latch::observe_authenticated`]) does better.
//!
//! Arm a caller's latch when its answer is known, not with the offer: before that it has no reason to send, and
//! [`Latch::expect`] tells where to send to already. Whether local ports survive a change of the remote's ("port latching")
//! is the port pool's affair, not this one's.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A candidate that was silent for so long yields to one of equal rank: after a re-INVITE the last packets of the old
/// port come first, and must not keep the new one out.
const SILENCE: Duration = Duration::from_millis(500);

/// How the source of a party's media is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Learning {
    /// Never: the SDP is right.
    Off,
    /// The first packet's source is taken for good.
    Immediate,
    /// The first packet's source is used at once; that of the first packet after so many ms is taken for good.
    Delayed(u32),
    /// By rank, see the module.
    #[default]
    Heuristic,
}

/// What a latch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatchConfig {
    /// How a source is learned.
    pub learning: Learning,
    /// Drops packets from any source but the learned one (with [`Learning::Off`]: but the SDP's address and port).
    /// Without it they are heard, but nothing is ever sent to where they came from.
    pub strict: bool,
    /// How long heuristic learning goes on after a candidate's first packet, at most some 49 days.
    pub window: Duration,
    /// Follows the source wherever it goes (`media-handover`): whoever finds the port takes the call.
    pub handover: bool,
}

impl Default for LatchConfig {
    /// Heuristic, strict, 3 s.
    fn default() -> Self {
        Self { learning: Learning::Heuristic, strict: true, window: Duration::from_secs(3), handover: false }
    }
}

/// What signalling says about a party's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Expected {
    /// Address and port of its SDP.
    pub signalled: Option<SocketAddr>,
    /// Where its signalling came from.
    pub received_from: Option<IpAddr>,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Use it.
    Accept,
    /// Use it, and send to this address from now on.
    Learned(SocketAddr),
    /// Throw it away, and count it.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Exact,
    Address,
    ReceivedFrom,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No signalling yet: nothing is heard.
    Idle,
    /// Signalling came, no source yet.
    Armed,
    /// A candidate of rank "other" that is not heard yet.
    Held,
    /// A source is used, a better one may take over.
    Learning,
    /// Over.
    Locked,
}

/// One socket's memory of whom it faces. RTP and RTCP have one each (see [`Latch::follow`]).
///
/// ```
/// use c4_nat::latch::{Expected, Latch, LatchConfig, Observed};
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() {
/// let now = std::time::Instant::now();
/// let mut latch = Latch::new(LatchConfig::default());
/// latch.arm(now, Expected {
///     signalled: Some("192.168.1.5:4000".parse().unwrap()),
///     received_from: Some("198.51.100.7".parse().unwrap()),
/// });
/// let phone = "198.51.100.7:31004".parse().unwrap();
/// assert_eq!(latch.observe(now, "203.0.113.66:4000".parse().unwrap()), Observed::Drop);
/// assert_eq!(latch.observe(now, phone), Observed::Learned(phone));
/// assert_eq!((latch.observe(now, phone), latch.remote()), (Observed::Accept, Some(phone)));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Latch {
    peer: Option<SocketAddr>,
    signalled_ip: [u8; 16],
    received_from: [u8; 16],
    since: Option<Instant>,
    seen_ms: u32,
    period_ms: u32,
    signalled_port: u16,
    state: State,
    rank: Rank,
    learning: Mode,
    flags: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Off,
    Immediate,
    Delayed,
    Heuristic,
}

const STRICT: u8 = 1;
const HANDOVER: u8 = 2;
const FOLLOWS: u8 = 4;
const SIGNALLED: u8 = 8;
const SIGNALLED_V4: u8 = 16;
/// Signalling names a place where the party can be.
const VOUCHED: u8 = 32;

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Addresses that mean something else, or nothing, beyond the network of the party.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Nothing is ever sent to 0.0.0.0, `::` or port 0, whoever names it.
fn can_be_sent_to(to: &SocketAddr) -> bool {
    !to.ip().is_unspecified() && to.port() != 0
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl LatchConfig {
    fn parts(&self) -> (Mode, u32, u8) {
        let (learning, period_ms) = match self.learning {
            Learning::Off => (Mode::Off, 0),
            Learning::Immediate => (Mode::Immediate, 0),
            Learning::Delayed(ms) => (Mode::Delayed, ms),
            Learning::Heuristic => (Mode::Heuristic, millis(self.window)),
        };
        let flags = if self.strict { STRICT } else { 0 } | if self.handover { HANDOVER } else { 0 };
        (learning, period_ms, flags)
    }
}

impl Latch {
    /// A latch that hears nothing until it is armed.
    pub fn new(config: LatchConfig) -> Self {
        let (learning, period_ms, flags) = config.parts();
        Self {
            peer: None,
            signalled_ip: [0; 16],
            received_from: [0; 16],
            since: None,
            seen_ms: 0,
            period_ms,
            signalled_port: 0,
            state: State::Idle,
            rank: Rank::Other,
            learning,
            flags,
        }
    }

    /// Works so from now on. What was learned stays; only without learning it goes.
    pub fn configure(&mut self, config: LatchConfig) {
        let (learning, period_ms, flags) = config.parts();
        (self.learning, self.period_ms) = (learning, period_ms);
        self.flags = self.flags & !(STRICT | HANDOVER) | flags;
        if learning == Mode::Off {
            self.forget();
        }
    }

    /// Forgets the source that was learned; learning starts anew.
    pub fn forget(&mut self) {
        (self.peer, self.since, self.seen_ms, self.rank) = (None, None, 0, Rank::Other);
        if self.state != State::Idle {
            self.state = State::Armed;
        }
    }

    /// Signalling says where to send to, and nothing is heard yet. Without effect once the latch is armed.
    pub fn expect(&mut self, expected: Expected) {
        if self.state == State::Idle {
            self.set(expected);
        }
    }

    fn set(&mut self, expected: Expected) {
        (self.signalled_ip, self.signalled_port) =
            expected.signalled.map_or(([0; 16], 0), |at| (octets(at.ip()), at.port()));
        self.received_from = expected.received_from.map_or([0; 16], octets);
        self.flags &= !(SIGNALLED | SIGNALLED_V4 | FOLLOWS | VOUCHED);
        if let Some(at) = expected.signalled {
            self.flags |= SIGNALLED | if at.is_ipv4() { SIGNALLED_V4 } else { 0 };
        }
        let is_public = expected.signalled.is_some_and(|at| !is_private(at.ip()));
        if is_public || expected.received_from.is_some() {
            self.flags |= VOUCHED;
        }
    }

    /// Signalling came. Only an address that differs starts the learning anew (a session refresh does not); a changed
    /// `received_from` alone does so only where the source was learned by it or against it: a phone that moved to another
    /// network keeps the private address of its SDP.
    pub fn arm(&mut self, _now: Instant, expected: Expected) {
        let (ip, port) = expected.signalled.map_or(([0; 16], 0), |at| (octets(at.ip()), at.port()));
        let received_from = expected.received_from.map_or([0; 16], octets);
        let named = expected.signalled.is_some() == self.has(SIGNALLED);
        let same_sdp = named && self.signalled_ip == ip && self.signalled_port == port;
        let moved = !self.has(FOLLOWS) && self.received_from != received_from && self.rank >= Rank::ReceivedFrom;
        if !self.has(FOLLOWS) || !same_sdp {
            self.received_from = received_from;
            self.flags |= if received_from == [0; 16] { 0 } else { VOUCHED };
        }
        if self.state != State::Idle && same_sdp && !moved {
            return;
        }
        self.set(expected);
        self.state = State::Armed;
        self.forget();
    }

    /// What to do with a packet that came `from` there. Once learned, this is one comparison.
    #[inline]
    pub fn observe(&mut self, now: Instant, from: SocketAddr) -> Observed {
        if self.state == State::Locked && self.peer == Some(from) {
            return Observed::Accept;
        }
        self.judge(now, from)
    }

    /// A packet whose SRTP tag was right: its source is taken at once and for good while learning goes on, whatever its
    /// rank. Ask [`Latch::admits`] before the cryptography, call this after it, and [`Latch::observe`] never.
    pub fn observe_authenticated(&mut self, now: Instant, from: SocketAddr) -> Observed {
        if self.state == State::Idle || self.learning == Mode::Off || self.over() || !can_be_sent_to(&from) {
            return self.observe(now, from);
        }
        let known = self.learned() == Some(from);
        self.take(now, from, Rank::Exact, State::Locked);
        if known { Observed::Accept } else { Observed::Learned(from) }
    }

    /// Whether a packet from there is worth the cost of authenticating it.
    pub fn admits(&self, from: SocketAddr) -> bool {
        match self.state {
            State::Idle => false,
            _ if !self.has(STRICT) || self.has(HANDOVER) => true,
            State::Locked => self.peer == Some(from) || (self.rank == Rank::Other && self.rank_of(from) < Rank::Other),
            _ => self.learning != Mode::Off || self.rank_of(from) == Rank::Exact,
        }
    }

    /// For RTCP's own latch: RTP was learned to come from this address, so RTCP comes from the same one, whatever its
    /// port. Call it with each `Learned` of RTP. What was learned from another address is forgotten.
    pub fn follow(&mut self, rtp: SocketAddr) {
        self.received_from = octets(rtp.ip());
        self.flags |= FOLLOWS | VOUCHED;
        if self.peer.is_some_and(|peer| octets(peer.ip()) != self.received_from) {
            self.forget();
        }
    }

    /// Takes a source that something better than media has proved (ICE's nominated pair).
    pub fn lock(&mut self, now: Instant, peer: SocketAddr) {
        if can_be_sent_to(&peer) {
            self.take(now, peer, Rank::Exact, State::Locked);
        }
    }

    /// Where to send: the learned source, else the SDP's address and port; never to an unspecified address or port 0.
    #[inline]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self.learned() {
            Some(learned) => Some(learned),
            None => self.signalled().filter(can_be_sent_to),
        }
    }

    /// The source in use, if one was learned.
    #[inline]
    pub fn learned(&self) -> Option<SocketAddr> {
        self.peer.filter(|_| matches!(self.state, State::Learning | State::Locked))
    }

    /// Whether learning is over: nothing but signalling (or, after a source of rank "other", one that signalling
    /// vouches for) changes the source any more.
    pub fn is_locked(&self) -> bool {
        self.state == State::Locked
    }

    #[cold]
    fn signalled(&self) -> Option<SocketAddr> {
        let v6 = std::net::Ipv6Addr::from(self.signalled_ip);
        let ip = v6.to_ipv4_mapped().filter(|_| self.has(SIGNALLED_V4)).map_or(IpAddr::V6(v6), IpAddr::V4);
        self.has(SIGNALLED).then_some(SocketAddr::new(ip, self.signalled_port))
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn over(&self) -> bool {
        self.state == State::Locked && !self.has(HANDOVER)
    }

    fn rank_of(&self, from: SocketAddr) -> Rank {
        let ip = octets(from.ip());
        if self.has(SIGNALLED) && ip == self.signalled_ip {
            return if from.port() == self.signalled_port { Rank::Exact } else { Rank::Address };
        }
        if self.received_from != [0; 16] && ip == self.received_from { Rank::ReceivedFrom } else { Rank::Other }
    }

    fn otherwise(&self) -> Observed {
        if self.has(STRICT) { Observed::Drop } else { Observed::Accept }
    }

    fn take(&mut self, now: Instant, from: SocketAddr, rank: Rank, state: State) -> Observed {
        (self.peer, self.rank, self.state) = (Some(from), rank, state);
        (self.since, self.seen_ms) = (Some(now), 0);
        Observed::Learned(from)
    }

    #[cold]
    fn judge(&mut self, now: Instant, from: SocketAddr) -> Observed {
        if self.state == State::Idle {
            return Observed::Drop;
        }
        if !can_be_sent_to(&from) {
            return self.otherwise();
        }
        if self.has(FOLLOWS) && octets(from.ip()) != self.received_from {
            return self.otherwise();
        }
        if self.has(HANDOVER) && self.learning != Mode::Off {
            return self.take(now, from, self.rank_of(from), State::Locked);
        }
        match self.learning {
            Mode::Off if self.rank_of(from) == Rank::Exact => Observed::Accept,
            Mode::Immediate if self.state == State::Armed => self.take(now, from, self.rank_of(from), State::Locked),
            Mode::Off | Mode::Immediate => self.otherwise(),
            Mode::Delayed => self.delayed(now, from),
            Mode::Heuristic => self.heuristic(now, from),
        }
    }

    fn elapsed_ms(&self, now: Instant) -> u32 {
        self.since.map_or(0, |since| millis(now.saturating_duration_since(since)))
    }

    fn delayed(&mut self, now: Instant, from: SocketAddr) -> Observed {
        match self.state {
            State::Armed => self.take(now, from, self.rank_of(from), State::Learning),
            State::Learning if self.elapsed_ms(now) >= self.period_ms => {
                let known = self.peer == Some(from);
                self.take(now, from, self.rank_of(from), State::Locked);
                if known { Observed::Accept } else { Observed::Learned(from) }
            }
            _ if self.peer == Some(from) => Observed::Accept,
            _ => self.otherwise(),
        }
    }

    fn heuristic(&mut self, now: Instant, from: SocketAddr) -> Observed {
        if self.peer == Some(from) {
            return self.again(now, from);
        }
        let rank = self.rank_of(from);
        let silent = self.elapsed_ms(now).saturating_sub(self.seen_ms) >= millis(SILENCE);
        let takes_over = match self.state {
            State::Armed => true,
            State::Locked => self.rank == Rank::Other && rank < Rank::Other,
            // Two that nothing vouches for: each sets the other back.
            State::Held => true,
            _ => rank < self.rank || (rank == self.rank && silent),
        };
        if !takes_over || rank == Rank::Other && self.has(VOUCHED) {
            return self.otherwise();
        }
        match rank {
            Rank::Exact => self.take(now, from, rank, State::Locked),
            Rank::Address | Rank::ReceivedFrom => self.take(now, from, rank, State::Learning),
            Rank::Other => {
                self.take(now, from, rank, State::Held);
                self.otherwise()
            }
        }
    }

    /// One more packet of the candidate.
    fn again(&mut self, now: Instant, from: SocketAddr) -> Observed {
        let elapsed = self.elapsed_ms(now);
        let gap = elapsed.saturating_sub(self.seen_ms);
        self.seen_ms = elapsed;
        match self.state {
            // One that pauses has not sent for a whole window: a stray packet of long ago vouches for nothing.
            State::Held if gap >= millis(SILENCE).max(self.period_ms) => {
                self.take(now, from, Rank::Other, State::Held);
                self.otherwise()
            }
            State::Held if elapsed < self.period_ms => self.otherwise(),
            State::Held => self.take(now, from, Rank::Other, State::Locked),
            State::Learning if elapsed >= self.period_ms => {
                self.state = State::Locked;
                Observed::Accept
            }
            _ => Observed::Accept,
        }
    }
}

#[cfg(test)]
mod tests;
