//! The rate limit by source: a token bucket for each address, in a bounded table.

use nat::siphash::BuildSipHasher;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How much of its rate a source may use at once.
const BURST: Duration = Duration::from_secs(1);
/// Sources known at a time, in each of two generations.
const MAX_SOURCES: usize = 1 << 16;

/// Admits so many requests a second from each source: an IPv4 address, or an IPv6 network of 64 bits (one customer).
///
/// A source is known by one time only: when its bucket will be full again (the generic cell rate algorithm). Whoever
/// was quiet for [`BURST`] has a full bucket, so that forgetting him changes nothing: two generations of the table
/// take turns, the older one is dropped whole.
#[derive(Debug, Clone)]
pub(super) struct SourceLimit {
    /// Time that a request costs; zero: no limit.
    cost: Duration,
    young: Table,
    old: Table,
    turned: Instant,
}

type Table = HashMap<u64, Instant, BuildSipHasher>;

impl SourceLimit {
    /// `rate` requests a second and source; 0: no limit.
    pub(super) fn new(rate: u32, key: [u8; 16], now: Instant) -> SourceLimit {
        let table = Table::with_hasher(BuildSipHasher::new(key));
        SourceLimit { cost: cost(rate), young: table.clone(), old: table, turned: now }
    }

    /// Another rate from now on; 0: no limit.
    pub(super) fn set_rate(&mut self, rate: u32) {
        self.cost = cost(rate);
        if self.cost.is_zero() {
            self.young.clear();
            self.old.clear();
        }
    }

    /// Whether a request of `source` is within its rate.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr) -> bool {
        if self.cost.is_zero() {
            return true;
        }
        if self.young.len() >= MAX_SOURCES || now.saturating_duration_since(self.turned) > 2 * BURST {
            self.old = std::mem::replace(&mut self.young, Table::with_hasher(self.old.hasher().clone()));
            self.turned = now;
        }
        let key = key(source);
        let full = self.young.get(&key).or_else(|| self.old.get(&key)).copied().unwrap_or(now).max(now);
        let after = full + self.cost;
        let admitted = after.saturating_duration_since(now) <= BURST.max(self.cost);
        self.young.insert(key, if admitted { after } else { full });
        admitted
    }

    /// How many sources are known.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn cost(rate: u32) -> Duration {
    Duration::from_secs(1).checked_div(rate).unwrap_or_default()
}

/// An address as a number: IPv4 above all IPv6 networks, which begin with few of the 64 bits in use (2000::/3).
fn key(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(v4) => u64::MAX << 32 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn base() -> Instant {
        Instant::now()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Requests at `rate` for `seconds`; how many pass.
    fn passed(limit: &mut SourceLimit, start: Instant, source: &str, rate: u32, seconds: u32) -> u32 {
        let gap = Duration::from_secs(1) / rate;
        (0..rate * seconds).map(|i| u32::from(limit.admit(start + gap * i, ip(source)))).sum()
    }

    #[test]
    fn a_flood_is_held_to_its_rate_and_the_quiet_source_is_unharmed() {
        let now = base();
        let mut limit = SourceLimit::new(100, [1; 16], now);
        let (mut quiet, mut flood) = (0, 0);
        for ms in 0..6000u32 {
            let at = now + Duration::from_millis(ms.into());
            flood += (0..5).map(|_| u32::from(limit.admit(at, ip("127.0.0.66")))).sum::<u32>();
            if ms % 50 == 0 {
                quiet += u32::from(limit.admit(at, ip("127.0.0.67")));
            }
        }
        assert_eq!(quiet, 120, "20 a second for 6 s");
        assert!((600..=701).contains(&flood), "{flood}: 100 a second and one burst");
    }

    #[test]
    fn a_source_within_its_rate_always_passes() {
        let now = base();
        let mut limit = SourceLimit::new(50, [1; 16], now);
        assert_eq!(passed(&mut limit, now, "192.0.2.1", 50, 10), 500);
        let mut slow = SourceLimit::new(1, [1; 16], now);
        assert_eq!(passed(&mut slow, now, "192.0.2.1", 1, 10), 10);
    }

    #[test]
    fn zero_is_no_limit_and_keeps_no_table() {
        let now = base();
        let mut limit = SourceLimit::new(0, [1; 16], now);
        assert!((0..10_000).all(|_| limit.admit(now, ip("192.0.2.1"))));
        assert_eq!(limit.len(), 0);
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let now = base();
        let mut limit = SourceLimit::new(10, [1; 16], now);
        for i in 0..300_000u32 {
            limit.admit(now, IpAddr::from(i.to_be_bytes()));
        }
        assert!(limit.len() <= 2 * MAX_SOURCES);
        limit.admit(now + 3 * BURST, ip("192.0.2.1"));
        limit.admit(now + 6 * BURST, ip("192.0.2.1"));
        assert!(limit.len() <= 2, "{}", limit.len());
    }

    #[test]
    fn ipv6_is_limited_by_its_network() {
        let now = base();
        let mut limit = SourceLimit::new(1, [1; 16], now);
        assert!(limit.admit(now, ip("2001:db8:0:1::1")));
        assert!(!limit.admit(now, ip("2001:db8:0:1::2")));
        assert!(limit.admit(now, ip("2001:db8:0:2::1")));
        assert!(limit.admit(now, ip("192.0.2.1")));
        assert!(!limit.admit(now, ip("::ffff:192.0.2.1")));
    }
}
