//! The proxies behind the balancer: which are up, and which one serves a call.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sip_core::proxy::hash::HashKey;

use crate::config::{Backend, Endpoint};

/// A backend by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub u16);

/// Which backends are up, shared by the machines of all workers: one of them probes, all of them read.
#[derive(Debug, Clone, Default)]
pub struct Health {
    up: Arc<[AtomicBool]>,
}

impl Health {
    /// For so many backends; they start as up.
    pub fn new(backends: usize) -> Health {
        Health { up: (0..backends).map(|_| AtomicBool::new(true)).collect() }
    }

    /// Whether a backend is up.
    pub fn is_up(&self, backend: BackendId) -> bool {
        self.up.get(usize::from(backend.0)).is_some_and(|up| up.load(Ordering::Relaxed))
    }

    /// Marks a backend; whether that is news.
    pub fn set(&self, backend: BackendId, up: bool) -> bool {
        self.up.get(usize::from(backend.0)).is_some_and(|flag| flag.swap(up, Ordering::Relaxed) != up)
    }
}

/// The backends of one machine.
#[derive(Debug, Clone)]
pub(super) struct Backends {
    list: Vec<(Endpoint, u64)>,
    /// Taken out of the configuration: proxies still, for the calls that they have.
    former: Vec<Endpoint>,
    health: Health,
}

/// Former backends that are remembered; the oldest is forgotten first.
const MAX_FORMER: usize = 64;

impl Backends {
    /// `key` must be the same on both halves of a pair and after a restart, so that all of them choose alike.
    pub(super) fn new(backends: &[Backend], health: Health, key: HashKey) -> Backends {
        let seed = |b: &Backend| key.hash(&[b.0.to_string().as_bytes()]);
        let list = backends.iter().map(|b| (b.0, seed(b))).take(usize::from(u16::MAX)).collect();
        Backends { list, former: Vec::new(), health }
    }

    /// Takes another list: what stays and was down is down, what goes is a former one.
    pub(super) fn replace(&mut self, backends: &[Backend], health: Health, key: HashKey) {
        let before = std::mem::replace(self, Backends::new(backends, health, key));
        for (id, (endpoint, _)) in before.ids().zip(&before.list) {
            match self.find(*endpoint) {
                Some(new) if !before.is_up(id) => _ = self.set_up(new, false),
                _ => {}
            }
        }
        let gone = before.former.iter().chain(before.list.iter().map(|(endpoint, _)| endpoint));
        self.former = gone.filter(|endpoint| self.find(**endpoint).is_none()).copied().collect();
        self.former.drain(..self.former.len().saturating_sub(MAX_FORMER));
    }

    /// The place of an endpoint.
    pub(super) fn find(&self, endpoint: Endpoint) -> Option<BackendId> {
        self.list.iter().position(|(e, _)| *e == endpoint).map(|place| BackendId(place as u16))
    }

    /// The backend for a call by rendezvous hash: the one whose own hash with the call's is highest. A backend that
    /// comes or goes moves only the calls that are or were its own.
    pub(super) fn pick(&self, call: u64) -> Option<BackendId> {
        let up = self.ids().zip(&self.list).filter(|(id, _)| self.health.is_up(*id));
        up.max_by_key(|(_, (_, seed))| mix(call ^ seed)).map(|(id, _)| id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = BackendId> + use<> {
        (0..self.list.len() as u16).map(BackendId)
    }

    pub(super) fn get(&self, id: BackendId) -> Option<Endpoint> {
        self.list.get(usize::from(id.0)).map(|(endpoint, _)| *endpoint)
    }

    pub(super) fn is_up(&self, id: BackendId) -> bool {
        self.health.is_up(id)
    }

    /// Marks a backend; whether that is news.
    pub(super) fn set_up(&self, id: BackendId, up: bool) -> bool {
        self.health.set(id, up)
    }

    /// Whether a backend, present or former, has exactly this endpoint.
    pub(super) fn has(&self, endpoint: Endpoint) -> bool {
        self.known().any(|e| *e == endpoint)
    }

    /// Whether a backend, present or former, has this address, whatever its port and transport.
    pub(super) fn has_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.known().any(|e| e.address.ip().to_canonical() == ip)
    }

    fn known(&self) -> impl Iterator<Item = &Endpoint> {
        self.list.iter().map(|(endpoint, _)| endpoint).chain(&self.former)
    }
}

/// Spreads a 64-bit number over all bits (the finaliser of SplitMix64, Steele et al. 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(ports: &[u16]) -> Backends {
        let list: Vec<Backend> = ports.iter().map(|p| format!("10.0.0.1:{p}").parse().unwrap()).collect();
        Backends::new(&list, Health::new(list.len()), HashKey::from_seed(&[3; 32], b"backend"))
    }

    fn address(b: &Backends, call: u64) -> Endpoint {
        b.get(b.pick(call).unwrap()).unwrap()
    }

    #[test]
    fn calls_are_spread_evenly() {
        let b = backends(&[1, 2, 3, 4]);
        let mut counts = [0; 4];
        for call in 0..40_000u64 {
            counts[usize::from(b.pick(mix(call)).unwrap().0)] += 1;
        }
        assert!(counts.iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
    }

    #[test]
    fn a_backend_that_goes_moves_only_its_own_calls() {
        let (four, three) = (backends(&[1, 2, 3, 4]), backends(&[1, 2, 4]));
        for call in (0..5_000u64).map(mix) {
            let before = address(&four, call);
            if before.address.port() != 3 {
                assert_eq!(before, address(&three, call));
            }
            assert!(four.set_up(BackendId(2), false));
            assert_eq!(address(&four, call), address(&three, call), "down is as good as gone");
            assert!(four.set_up(BackendId(2), true));
        }
    }

    #[test]
    fn the_order_of_the_configuration_does_not_matter() {
        let (a, b) = (backends(&[1, 2, 3]), backends(&[3, 1, 2]));
        assert!((0..1000).map(mix).all(|call| address(&a, call) == address(&b, call)));
    }

    #[test]
    fn backends_start_as_up_and_none_is_picked_when_all_are_down() {
        let b = backends(&[1, 2]);
        assert!(b.ids().all(|id| b.is_up(id)));
        assert!(b.ids().all(|id| b.set_up(id, false)));
        assert_eq!(b.pick(7), None);
        assert!(!b.set_up(BackendId(0), false), "no news");
    }
}
