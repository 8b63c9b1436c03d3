//! The ports of one local address: even and odd pairs, drawn at random, rested before they are used again.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;

/// How long a pair rests after its call, so that late packets of that call meet no new one.
pub const QUARANTINE: Duration = Duration::from_secs(5);
/// How long it rests at the least: used so soon when no other is left, for a call on a port that rested briefly is better
/// than no call.
pub const SHORTEST_REST: Duration = Duration::from_millis(500);

/// This worker's share of a range of ports: pair `k` belongs to worker `k % workers`.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Even ports that may be drawn.
    free: Vec<u16>,
    /// Even ports at rest, and until when; in that order.
    resting: VecDeque<(Instant, u16)>,
    draw: BuildSipHasher,
    drawn: u64,
}

impl Pool {
    /// The pairs that lie whole within `first..=last` and belong to `worker` of `workers`. `key` decides the order in which
    /// they are drawn: nobody outside can foresee it.
    pub fn new(first: u16, last: u16, worker: usize, workers: usize, key: [u8; 16]) -> Pool {
        let even = u32::from(first) + u32::from(first) % 2;
        let pairs = (even..u32::from(last)).step_by(2).enumerate();
        let own = pairs.filter(|(k, _)| k % workers.max(1) == worker).map(|(_, port)| port as u16);
        Pool { free: own.collect(), resting: VecDeque::new(), draw: BuildSipHasher::new(key), drawn: 0 }
    }

    /// The even port of a pair, drawn at random; when none is left that one that rests for longest, if it has for
    /// [`SHORTEST_REST`]. `None`: all are used or were just given back.
    pub fn take(&mut self, now: Instant) -> Option<u16> {
        while let Some(&(until, port)) = self.resting.front()
            && until <= now
        {
            self.resting.pop_front();
            self.free.push(port);
        }
        if self.free.is_empty() {
            let (_, port) = self.resting.pop_front_if(|(until, _)| *until <= now + (QUARANTINE - SHORTEST_REST))?;
            return Some(port);
        }
        self.drawn += 1;
        let at = self.draw.hash_one(self.drawn) % self.free.len() as u64;
        Some(self.free.swap_remove(at as usize))
    }

    /// Gives a pair back; it rests for [`QUARANTINE`] from `now`.
    pub fn give(&mut self, now: Instant, port: u16) {
        self.resting.push_back((now + QUARANTINE, port));
    }

    /// Pairs that can be drawn now, or after their rest.
    pub fn left(&self) -> usize {
        self.free.len() + self.resting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[allow(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn all(pool: &mut Pool, now: Instant) -> Vec<u16> {
        std::iter::from_fn(|| pool.take(now)).collect()
    }

    #[test]
    fn pairs_are_even_whole_and_drawn_at_random() {
        let now = start();
        let ports = all(&mut Pool::new(30_001, 30_101, 0, 1, [7; 16]), now);
        assert_eq!(ports.len(), 50, "30002 to 30100");
        assert!(ports.iter().all(|port| port % 2 == 0 && (30_002..30_101).contains(port)), "{ports:?}");
        assert!(!ports.is_sorted());
        assert_ne!(ports, all(&mut Pool::new(30_001, 30_101, 0, 1, [8; 16]), now));
        assert_eq!(all(&mut Pool::new(65_534, 65_535, 0, 1, [1; 16]), now), [65_534]);
        assert_eq!(all(&mut Pool::new(65_535, 65_535, 0, 1, [1; 16]), now), [0u16; 0]);
    }

    #[test]
    fn workers_share_the_range() {
        let now = start();
        let mut seen = BTreeSet::new();
        for worker in 0..3 {
            for port in all(&mut Pool::new(40_000, 40_099, worker, 3, [1; 16]), now) {
                assert!(seen.insert(port), "{port} belongs to two");
            }
        }
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let now = start();
        let mut pool = Pool::new(30_000, 30_099, 0, 1, [1; 16]);
        let port = pool.take(now).unwrap();
        pool.give(now, port);
        let (soon, later) = (now + QUARANTINE - Duration::from_millis(1), now + QUARANTINE);
        let mut before = all(&mut pool.clone(), soon);
        assert_eq!((before.len(), before.pop()), (50, Some(port)), "after all others");
        let positions = (0..20).map(|n| {
            let mut pool = Pool { drawn: n, ..pool.clone() };
            all(&mut pool, later).iter().position(|one| *one == port)
        });
        assert!(positions.collect::<BTreeSet<_>>().len() > 5, "as any other");
    }

    #[test]
    fn a_pair_rests_briefly_when_no_other_is_left() {
        let now = start();
        let mut pool = Pool::new(30_000, 30_001, 0, 1, [1; 16]);
        assert_eq!(pool.take(now), Some(30_000));
        pool.give(now, 30_000);
        assert_eq!(pool.take(now + SHORTEST_REST - Duration::from_millis(1)), None);
        assert_eq!(pool.take(now + SHORTEST_REST), Some(30_000));
    }
}
