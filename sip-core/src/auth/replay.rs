//! The nc window: which nonce counts were used (RFC 7616 §3.4.5, §5.12).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::nonce::NonceId;

/// Counts below the highest that may still come, out of order (UDP).
const WIDTH: u32 = 64;

/// Remembers the nonce counts that came with a **valid** digest, so that each is used once.
///
/// It is bounded: at its capacity the oldest nonce is forgotten, and from then on every nonce as old as that and not in
/// the table is stale. So a forgotten nonce cannot be replayed; an honest client gets `stale=true` and tries again. For
/// the same reason every nonce older than the start is stale: a restart forgets all windows.
///
/// One table must see all requests of one nonce. Processes that share keys have a table each.
#[derive(Clone, Debug)]
pub struct Replay {
    windows: HashMap<NonceId, Window, BuildHasherDefault<Spread>>,
    /// In the order of first use.
    order: VecDeque<NonceId>,
    capacity: usize,
    lifetime: Duration,
    /// Nonces made then or before, in Unix milliseconds, are known or stale.
    floor: u64,
}

#[derive(Clone, Debug)]
struct Window {
    highest: u32,
    /// Bit n: `highest - n` was used.
    used: u64,
}

/// The count was used before, or its nonce is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nonce count used before")]
pub struct Replayed;

impl Replay {
    /// A table of at most `capacity` nonces that live `lifetime`; `unix` is the present time since the Unix epoch.
    pub fn new(capacity: usize, lifetime: Duration, unix: Duration) -> Self {
        Self {
            windows: HashMap::default(),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            lifetime,
            floor: (unix.as_millis() as u64).saturating_sub(1),
        }
    }

    /// Takes a count whose digest was right. To be called after the digest was checked, never before: else a forged
    /// request would burn the counts of an honest one.
    pub fn commit(&mut self, unix: Duration, nonce: NonceId, nc: u32) -> Result<(), Replayed> {
        if let Some(window) = self.windows.get_mut(&nonce) {
            return window.take(nc);
        }
        if nonce.made <= self.floor || nc == 0 {
            return Err(Replayed);
        }
        self.make_room(unix);
        self.windows.insert(nonce, Window { highest: nc, used: 1 });
        self.order.push_back(nonce);
        Ok(())
    }

    /// Nonces held now.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether no nonce is held.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Forgets a few expired nonces (amortised: more than are added), and the oldest where the table is full.
    fn make_room(&mut self, unix: Duration) {
        let now = unix.as_millis() as u64;
        let lifetime = self.lifetime.as_millis() as u64;
        for _ in 0..4 {
            let Some(oldest) = self.order.front().copied() else { return };
            let expired = oldest.made.saturating_add(lifetime) <= now;
            if !expired && self.windows.len() < self.capacity {
                return;
            }
            if !expired {
                self.floor = self.floor.max(oldest.made);
            }
            self.order.pop_front();
            self.windows.remove(&oldest);
        }
    }
}

impl Window {
    fn take(&mut self, nc: u32) -> Result<(), Replayed> {
        if nc > self.highest {
            self.used = self.used.checked_shl(nc - self.highest).unwrap_or(0) | 1;
            self.highest = nc;
            return Ok(());
        }
        let back = self.highest - nc;
        let bit = 1u64.checked_shl(back).unwrap_or(0);
        if nc == 0 || back >= WIDTH || self.used & bit != 0 {
            return Err(Replayed);
        }
        self.used |= bit;
        Ok(())
    }
}

/// The keys are numbers that only we make (their code was checked before), so a multiplication spreads them enough.
#[derive(Clone, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Duration = Duration::from_secs(1_700_000_000);

    fn nonce(second: u64, salt: u64) -> NonceId {
        NonceId { made: START.as_millis() as u64 + second * 1000, salt }
    }

    fn table(capacity: usize) -> Replay {
        Replay::new(capacity, Duration::from_secs(300), START)
    }

    #[test]
    fn rfc7616_3_4_5_a_count_seen_twice_is_a_replay_and_order_may_differ() {
        let mut table = table(8);
        let mut take = |nc| table.commit(START, nonce(0, 1), nc);
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(1), Err(Replayed));
        assert_eq!(take(5), Ok(()));
        assert_eq!(take(3), Ok(()));
        assert_eq!(take(3), Err(Replayed));
        assert_eq!(take(0), Err(Replayed));
        assert_eq!(take(500), Ok(()));
        assert_eq!(take(437), Ok(()), "63 below the highest");
        assert_eq!(take(436), Err(Replayed), "below the window");
        assert_eq!(take(u32::MAX), Ok(()));
    }

    #[test]
    fn a_restart_makes_older_nonces_stale() {
        let before = NonceId { made: START.as_millis() as u64 - 1, salt: 1 };
        assert_eq!(table(8).commit(START, before, 1), Err(Replayed));
        assert_eq!(table(8).commit(START, nonce(0, 1), 1), Ok(()));
    }

    #[test]
    fn a_forgotten_nonce_cannot_be_replayed() {
        let mut table = table(2);
        for n in 0..3 {
            assert_eq!(table.commit(START, nonce(n, n), 1), Ok(()));
        }
        assert_eq!(table.len(), 2);
        assert_eq!(table.commit(START, nonce(0, 0), 2), Err(Replayed));
        assert_eq!(table.commit(START, nonce(2, 2), 2), Ok(()));
    }

    #[test]
    fn expired_nonces_are_forgotten_without_harm_to_others() {
        let mut table = table(100);
        for n in 0..50 {
            table.commit(START, nonce(0, n), 1).unwrap();
        }
        let later = START + Duration::from_secs(300);
        for n in 50..70 {
            table.commit(later, nonce(300, n), 1).unwrap();
        }
        assert_eq!(table.len(), 20);
        assert_eq!(table.commit(later, nonce(1, 99), 1), Ok(()), "the floor did not move");
    }

    proptest! {
        #[test]
        fn no_count_is_taken_twice(counts in prop::collection::vec((0u64..6, 0u32..100), 1..300), capacity in 1usize..8) {
            let mut table = table(capacity);
            let mut taken = std::collections::HashSet::new();
            for (salt, nc) in counts {
                if table.commit(START, nonce(salt, salt), nc).is_ok() {
                    prop_assert!(taken.insert((salt, nc)));
                }
                prop_assert!(table.len() <= capacity);
            }
        }
    }
}
