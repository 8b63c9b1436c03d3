//! How many connections one source may hold: a single host must not fill the table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::net::Network;

/// The connections of each source, of all workers together. Touched when one is accepted or closed, never by a message.
#[derive(Debug, Default)]
pub struct Sources {
    most: AtomicU32,
    exempt: ArcSwap<Vec<Network>>,
    counts: Mutex<HashMap<IpAddr, u32>>,
}

impl Sources {
    /// At most so many connections a source, 0 for no limit; the `exempt` have none.
    pub fn new(most: u32, exempt: Vec<Network>) -> Sources {
        let sources = Sources::default();
        sources.set(most, exempt);
        sources
    }

    /// Another bound. Connections that stand stay.
    pub fn set(&self, most: u32, exempt: Vec<Network>) {
        self.most.store(most, Ordering::Relaxed);
        self.exempt.store(Arc::new(exempt));
    }

    /// A place for one more connection from there, until it is dropped; `None`: that source has as many as it may.
    pub(super) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let most = self.most.load(Ordering::Relaxed);
        let unbounded = most == 0 || self.exempt.load().iter().any(|network| network.contains(from));
        let source = source(from);
        let mut counts = self.counts();
        let count = counts.entry(source).or_insert(0);
        if !unbounded && *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { source, of: self.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // Nothing in there can be left half done.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts as one connection of its source while it lives.
#[derive(Debug)]
pub(super) struct Place {
    source: IpAddr,
    of: Arc<Sources>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.of.counts().entry(self.source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 address: a host can take any of its addresses (RFC 4291 §2.5.4).
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_holds_so_many_and_no_more() {
        let sources = Arc::new(Sources::new(2, vec!["10.0.0.0/8".parse().unwrap()]));
        let (a, b) = (sources.admit(ip("192.0.2.1")), sources.admit(ip("::ffff:192.0.2.1")));
        assert!(a.is_some() && b.is_some());
        assert!(sources.admit(ip("192.0.2.1")).is_none());
        let other = sources.admit(ip("192.0.2.2"));
        assert!(other.is_some(), "another source");
        drop(a);
        assert!(sources.admit(ip("192.0.2.1")).is_some(), "a place that was given back");
        let many: Vec<_> = (0..100).map(|_| sources.admit(ip("10.1.2.3"))).collect();
        assert!(many.iter().all(Option::is_some), "exempt");
        drop((b, other, many));
        assert!(sources.counts().is_empty(), "nothing is left of sources that are gone");
    }

    #[test]
    fn ipv6_counts_by_64_bits() {
        let sources = Arc::new(Sources::new(1, Vec::new()));
        let first = sources.admit(ip("2001:db8:0:1::1"));
        assert!(first.is_some() && sources.admit(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(sources.admit(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn another_bound_counts_for_the_next_connection() {
        let sources = Arc::new(Sources::new(0, Vec::new()));
        let held: Vec<_> = (0..5).map(|_| sources.admit(ip("192.0.2.1"))).collect();
        assert!(held.iter().all(Option::is_some), "0: no limit");
        sources.set(5, Vec::new());
        assert!(sources.admit(ip("192.0.2.1")).is_none());
        sources.set(5, vec!["192.0.2.1".parse().unwrap()]);
        assert!(sources.admit(ip("192.0.2.1")).is_some());
    }
}
