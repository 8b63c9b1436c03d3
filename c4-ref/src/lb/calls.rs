//! The soft table: which backend a Call-ID went to.
//!
//! It keeps CANCEL and retransmissions on their way while the set of backends changes; without an entry the hash
//! decides, so that losing the table harms nobody.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use super::backends::BackendId;

/// How long an entry outlives the last message of its Call-ID: above Timer C (RFC 3261 §16.6 step 11: over 3 minutes).
pub(super) const LIFETIME: Duration = Duration::from_secs(200);
/// Entries are dropped in batches of this width.
const GRAIN: Duration = Duration::from_secs(1);
/// Entries at most; at 5000 calls a second the table holds a million.
pub(super) const MAX_CALLS: usize = 1 << 20;

/// A Call-ID as a keyed hash: 64 bits that nobody outside can aim at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CallKey(pub(super) u64);

/// The keys are hashes already.
#[derive(Debug, Clone, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &octet in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(octet);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    backend: BackendId,
    /// The last message, in seconds since `base`.
    last: u32,
}

/// The table. Each key stands in one batch; when the batch is due, keys that saw a message meanwhile move on.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    entries: HashMap<CallKey, Entry, BuildHasherDefault<AsItIs>>,
    /// Keys by the second at which they are looked at again.
    batches: VecDeque<(u32, Vec<CallKey>)>,
    base: Instant,
    max: usize,
}

impl Calls {
    pub(super) fn new(now: Instant, max: usize) -> Calls {
        Calls { entries: HashMap::default(), batches: VecDeque::new(), base: now, max }
    }

    /// Where the Call-ID went, counting this as a message of it.
    pub(super) fn touch(&mut self, now: Instant, key: CallKey) -> Option<BackendId> {
        let second = self.second(now);
        let entry = self.entries.get_mut(&key)?;
        entry.last = second;
        Some(entry.backend)
    }

    /// Notes where a Call-ID goes; false when the table is full (the hash will do).
    pub(super) fn insert(&mut self, now: Instant, key: CallKey, backend: BackendId) -> bool {
        let last = self.second(now);
        if let Some(entry) = self.entries.get_mut(&key) {
            *entry = Entry { backend, last };
            return true;
        }
        if self.entries.len() >= self.max {
            return false;
        }
        self.entries.insert(key, Entry { backend, last });
        self.queue(last, key);
        true
    }

    /// The backends have other numbers: `to` gives the new one of an old, or nothing.
    pub(super) fn renumber(&mut self, to: impl Fn(BackendId) -> Option<BackendId>) {
        self.entries.retain(|_, entry| match to(entry.backend) {
            Some(backend) => {
                entry.backend = backend;
                true
            }
            None => false,
        });
    }

    /// Drops what is [`LIFETIME`] past its last message.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let second = self.second(now);
        while let Some((due, _)) = self.batches.front()
            && *due <= second
        {
            let Some((_, keys)) = self.batches.pop_front() else { break };
            for key in keys {
                let Some(entry) = self.entries.get(&key) else { continue };
                let last = entry.last;
                if u64::from(second - last) >= LIFETIME.as_secs() {
                    self.entries.remove(&key);
                } else {
                    self.queue(last, key);
                }
            }
        }
        if self.entries.capacity() > 8 * self.entries.len().max(64) {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.batches.front().map(|(due, _)| self.base + GRAIN * *due)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.base).as_secs() as u32
    }

    /// Puts a key into the batch in which an entry last touched at `last` is certainly past its life.
    fn queue(&mut self, last: u32, key: CallKey) {
        let due = last + LIFETIME.as_secs() as u32 + 1;
        match self.batches.back_mut() {
            Some((at, keys)) if *at == due => return keys.push(key),
            Some((at, _)) if *at < due => {}
            None => {}
            Some(_) => match self.batches.binary_search_by_key(&due, |(at, _)| *at) {
                Ok(i) => {
                    if let Some((_, keys)) = self.batches.get_mut(i) {
                        keys.push(key);
                    }
                    return;
                }
                Err(i) => return self.batches.insert(i, (due, vec![key])),
            },
        }
        self.batches.push_back((due, vec![key]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn base() -> Instant {
        Instant::now()
    }

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn an_entry_lives_200_s_after_the_last_message() {
        let now = base();
        let mut calls = Calls::new(now, 10);
        assert!(calls.insert(now, CallKey(1), BackendId(7)));
        assert_eq!(calls.touch(now + secs(150), CallKey(1)), Some(BackendId(7)));
        calls.handle_timeout(now + secs(349));
        assert_eq!(calls.len(), 1, "199 s after the last message");
        let due = calls.poll_timeout().unwrap();
        assert!(due <= now + secs(352), "{:?}", due - now);
        calls.handle_timeout(due);
        assert_eq!((calls.len(), calls.poll_timeout()), (0, None));
    }

    #[test]
    fn the_table_is_bounded_and_its_memory_comes_back() {
        let now = base();
        let mut calls = Calls::new(now, 50_000);
        let inserted = (0..100_000u64).filter(|i| calls.insert(now, CallKey(i << 40 | i), BackendId(0))).count();
        assert_eq!((inserted, calls.len()), (50_000, 50_000));
        assert!(calls.insert(now, CallKey(1 << 40 | 1), BackendId(1)), "a known one still moves");
        calls.handle_timeout(now + secs(202));
        assert_eq!(calls.len(), 0);
        assert!(calls.entries.capacity() < 1000, "{}", calls.entries.capacity());
        assert!(calls.batches.is_empty());
    }

    #[test]
    fn no_busy_loop_while_calls_go_on() {
        let now = base();
        let mut calls = Calls::new(now, 10);
        calls.insert(now, CallKey(1), BackendId(0));
        for s in 0..1000 {
            let at = now + secs(s);
            calls.touch(at, CallKey(1));
            if calls.poll_timeout().is_some_and(|due| due <= at) {
                calls.handle_timeout(at);
            }
            assert!(calls.poll_timeout().unwrap() > at);
        }
        assert_eq!(calls.len(), 1);
        assert!(calls.batches.len() <= 2);
    }
}
