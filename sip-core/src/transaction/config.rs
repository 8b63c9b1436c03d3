//! What a layer is told when it is made.

use std::time::Duration;

/// The timers of RFC 3261 §17 and Table 4; those not listed follow from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Timers {
    /// T1, the estimate of the round-trip time: 500 ms (RFC 3261 §17.1.1.1). Timers A, E and G start with it.
    pub t1: Duration,
    /// T2, the longest interval between retransmissions of a non-INVITE request or an INVITE response: 4 s (§17.1.2.2).
    pub t2: Duration,
    /// T4, how long a message may stay in the network: 5 s (§17.1.2.2). Timers I and K.
    pub t4: Duration,
    /// Timer B, for how long an INVITE waits for any response: 64*T1 (§17.1.1.2).
    pub b: Duration,
    /// Timer D, for how long a client absorbs final responses to an INVITE over UDP: 32 s (§17.1.1.2).
    pub d: Duration,
    /// Timer F, for how long another request waits for its final response: 64*T1 (§17.1.2.2).
    pub f: Duration,
    /// Timer H, for how long a server waits for the ACK: 64*T1 (§17.2.1).
    pub h: Duration,
    /// Timer J, for how long a server absorbs retransmissions of another request over UDP: 64*T1 (§17.2.2).
    pub j: Duration,
    /// Timer L, for how long a server passes 2xx to an INVITE on: 64*T1 (RFC 6026 §8.11).
    pub l: Duration,
    /// Timer M, for how long a client passes 2xx to an INVITE on: 64*T1 (RFC 6026 §8.4).
    pub m: Duration,
    /// After how long an INVITE is answered 100 when the transaction user is silent: 200 ms (RFC 3261 §17.2.1).
    pub trying: Duration,
}

impl Timers {
    /// The timers that follow from a T1: B, F, H, J, L and M are 64*T1; the rest stays.
    pub fn from_t1(t1: Duration) -> Timers {
        let long = t1.saturating_mul(64);
        Timers {
            t1,
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            b: long,
            d: Duration::from_secs(32),
            f: long,
            h: long,
            j: long,
            l: long,
            m: long,
            trying: Duration::from_millis(200),
        }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::from_t1(Duration::from_millis(500))
    }
}

/// What to do with a request that is too big for a datagram (RFC 3261 §18.1.1).
///
/// It concerns requests to a UDP [`Target`](crate::flow::Target) only: a [`Flow`](crate::flow::Flow) is used as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MtuRule {
    /// Send it over UDP all the same: the peer may not listen on TCP at all.
    #[default]
    Off,
    /// Over TCP when it is larger than this many octets (1300 where the path's MTU is unknown), and over UDP after all
    /// when no connection can be made.
    TcpAbove(usize),
}

/// How a [`Layer`](super::Layer) is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where all that must not be guessed comes from. Same seed and same inputs: same octets.
    pub seed: [u8; 32],
    /// Carried by every branch of ours, see [`shard_of_branch`](super::shard_of_branch).
    pub shard: u16,
    /// The timers.
    pub timers: Timers,
    /// At most this many client transactions, and as many server transactions; a million is the most. Beyond it a
    /// request is refused with `Busy` before anything has changed.
    pub max_transactions: usize,
    /// At most this many messages and events may wait to be polled before inputs are refused.
    pub max_output: usize,
    /// At most this many octets may wait for connections.
    pub max_connecting: usize,
    /// The Server header of the responses that the layer makes itself (100, 200 and 481 to CANCEL).
    pub server: Option<String>,
    /// Requests too big for a datagram.
    pub mtu: MtuRule,
    /// Whether a response whose connection is gone may go over a new one (RFC 3261 §18.2.2). Right for peers that
    /// listen; a phone is not reachable that way. [`Layer::set_reply_connect`](super::Layer::set_reply_connect) says
    /// otherwise for one transaction.
    pub reply_connect: bool,
}

impl Config {
    /// The defaults.
    pub fn new(seed: [u8; 32]) -> Config {
        Config {
            seed,
            shard: 0,
            timers: Timers::default(),
            max_transactions: 1 << 18,
            max_output: 1 << 16,
            max_connecting: 4 << 20,
            server: None,
            mtu: MtuRule::Off,
            reply_connect: false,
        }
    }
}

/// The timers in ticks of a millisecond, rounded up.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Ticks {
    pub(super) t1: u64,
    pub(super) t2: u64,
    pub(super) t4: u64,
    pub(super) b: u64,
    pub(super) d: u64,
    pub(super) f: u64,
    pub(super) h: u64,
    pub(super) j: u64,
    pub(super) l: u64,
    pub(super) m: u64,
    pub(super) trying: u64,
    /// When a 100 to a non-INVITE becomes due (RFC 4320 §4.1).
    pub(super) late_trying: u64,
    /// 64*T1, after which a cancelled INVITE is given up (RFC 3261 §9.1).
    pub(super) cancelled: u64,
}

impl Ticks {
    pub(super) fn new(timers: &Timers) -> Ticks {
        // Nothing is shorter than a tick, so that a timer never fires in the moment that armed it.
        let ticks = |d: Duration| u64::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        let (t1, t2) = (ticks(timers.t1), ticks(timers.t2));
        Ticks {
            t1,
            t2,
            t4: ticks(timers.t4),
            b: ticks(timers.b),
            d: ticks(timers.d),
            f: ticks(timers.f),
            h: ticks(timers.h),
            j: ticks(timers.j),
            l: ticks(timers.l),
            m: ticks(timers.m),
            trying: ticks(timers.trying),
            late_trying: until_t2(t1, t2),
            cancelled: t1.saturating_mul(64),
        }
    }
}

/// How long a client's Timer E takes to be reset to T2: 0.5 + 1 + 2 s with the default timers.
fn until_t2(t1: u64, t2: u64) -> u64 {
    let (mut interval, mut elapsed) = (t1, 0u64);
    while interval < t2 {
        elapsed = elapsed.saturating_add(interval);
        interval = interval.saturating_mul(2);
    }
    elapsed.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_17_table_4_defaults() {
        let timers = Timers::default();
        let seconds = Duration::from_secs;
        assert_eq!((timers.t1, timers.t2, timers.t4), (Duration::from_millis(500), seconds(4), seconds(5)));
        for long in [timers.b, timers.d, timers.f, timers.h, timers.j, timers.l, timers.m] {
            assert_eq!(long, seconds(32));
        }
    }

    #[test]
    fn rfc4320_4_1_a_100_is_due_when_timer_e_is_reset_to_t2() {
        assert_eq!(Ticks::new(&Timers::default()).late_trying, 3500);
    }
}
