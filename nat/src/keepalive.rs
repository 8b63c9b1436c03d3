//! Keepalives: recognising those of phones, and the timetable of our own towards them.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

/// Whether a datagram only keeps a NAT binding open: empty, CR LF (RFC 5626 §3.5.1), or zero octets (the four-octet
/// ping of proxies). It is neither a SIP message nor garbage.
///
/// ```
/// use c4_nat::keepalive::is_keepalive;
/// assert!(is_keepalive(b"\r\n\r\n") && is_keepalive(&[0; 4]) && is_keepalive(b""));
/// assert!(!is_keepalive(b"OPTIONS"));
/// ```
pub fn is_keepalive(datagram: &[u8]) -> bool {
    datagram.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

/// When each of many contacts is due for its keepalive: one per interval, spread evenly, bounded by its caller's
/// table (one entry a contact).
///
/// ```
/// use c4_nat::keepalive::Timetable;
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() {
/// use std::time::{Duration, Instant};
/// let now = Instant::now();
/// let mut due = Timetable::new(Duration::from_secs(30), [7; 16]);
/// due.insert(now, "alice");
/// let first = due.next_due().unwrap();
/// assert!(first <= now + Duration::from_secs(30));
/// assert_eq!(due.pop_due(first), Some("alice"));
/// assert_eq!(due.next_due(), Some(first + Duration::from_secs(30)));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Timetable<K> {
    interval: Duration,
    hasher: crate::siphash::BuildSipHasher,
    due: BTreeSet<(Instant, K)>,
    when: HashMap<K, Instant, crate::siphash::BuildSipHasher>,
}

impl<K: Ord + Hash + Clone> Timetable<K> {
    /// A timetable with one keepalive per `interval` and contact; `seed` keys the spreading.
    pub fn new(interval: Duration, seed: [u8; 16]) -> Self {
        let hasher = crate::siphash::BuildSipHasher::new(seed);
        Self { interval, when: HashMap::with_hasher(hasher.clone()), hasher, due: BTreeSet::new() }
    }

    /// Adds a contact; its first keepalive comes at a point of the first interval that depends on the contact, so
    /// that a crowd of registrations does not become a crowd of pings. One that is there keeps its time.
    pub fn insert(&mut self, now: Instant, contact: K) {
        if self.when.contains_key(&contact) {
            return;
        }
        let part = self.hasher.hash_one(&contact) as u32;
        let at = now + self.interval.mul_f64(f64::from(part) / f64::from(u32::MAX));
        self.due.insert((at, contact.clone()));
        self.when.insert(contact, at);
    }

    /// Takes a contact out; whether it was there.
    pub fn remove(&mut self, contact: &K) -> bool {
        let Some(at) = self.when.remove(contact) else { return false };
        self.due.remove(&(at, contact.clone()))
    }

    /// When the next keepalive is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A contact that is due at `now`; it is due again one interval later (counted from `now` when that much was
    /// missed).
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, contact) = self.due.first().filter(|(at, _)| *at <= now).cloned()?;
        self.due.pop_first();
        let mut next = at + self.interval;
        if next <= now {
            next = now + self.interval;
        }
        self.due.insert((next, contact.clone()));
        self.when.insert(contact.clone(), next);
        Some(contact)
    }

    /// How many contacts are in it.
    pub fn len(&self) -> usize {
        self.when.len()
    }

    /// Whether no contact is in it.
    pub fn is_empty(&self) -> bool {
        self.when.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn base() -> Instant {
        Instant::now()
    }

    #[test]
    fn rfc5626_3_5_1_pings_are_no_garbage() {
        for ping in [&b""[..], b"\r\n", b"\r\n\r\n", &[0], &[0; 4], &[0; 64]] {
            assert!(is_keepalive(ping), "{ping:?}");
        }
        for other in [&b"\r\nx"[..], b" ", &[0, 1]] {
            assert!(!is_keepalive(other), "{other:?}");
        }
    }

    #[test]
    fn each_contact_is_due_once_an_interval_and_they_are_spread() {
        let now = base();
        let interval = Duration::from_secs(30);
        let mut table = Timetable::new(interval, [1; 16]);
        for contact in 0..1000u32 {
            table.insert(now, contact);
        }
        let half = std::iter::from_fn(|| table.pop_due(now + interval / 2)).count();
        assert!((400..600).contains(&half), "{half} of 1000 in the first half");
        let rest = std::iter::from_fn(|| table.pop_due(now + interval)).count();
        assert_eq!((half + rest, table.len()), (1000, 1000));
    }

    #[test]
    fn missed_intervals_are_not_made_up_for() {
        let now = base();
        let interval = Duration::from_secs(30);
        let mut table = Timetable::new(interval, [1; 16]);
        table.insert(now, 1u32);
        let late = now + interval * 10;
        assert_eq!(table.pop_due(late), Some(1));
        assert_eq!(table.pop_due(late), None);
        assert_eq!(table.next_due(), Some(late + interval));
    }

    #[test]
    fn a_contact_that_left_is_never_due() {
        let now = base();
        let mut table = Timetable::new(Duration::from_secs(30), [1; 16]);
        table.insert(now, 1u32);
        table.insert(now, 1u32);
        assert!(table.remove(&1) && !table.remove(&1));
        assert_eq!((table.next_due(), table.len()), (None, 0));
    }
}
