//! The amplification attacks of RFC 5393 §3, against proxies that detect loops: how many requests they forward in all.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use c4_sip_core::proxy::{Branch, Config, Event, Locals};
use c4_sip_core::uri::Uri;
use c4_sip_core::{Checked, Target, Transport};

use crate::harness::*;

/// Proxies that send to each other, and what is registered at them: address of record to contacts.
struct World {
    proxies: BTreeMap<SocketAddr, Rig>,
    registered: BTreeMap<String, Vec<String>>,
    invites: usize,
}

fn proxy_address(n: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, n], 5060))
}

fn uri(user: &str, proxy: u8) -> String {
    format!("sip:{user}@203.0.113.{proxy}")
}

fn target(uri: &str) -> SocketAddr {
    SocketAddr::new(Uri::parse(uri).unwrap().host.ip().unwrap(), 5060)
}

impl World {
    fn new(proxies: u8) -> World {
        let rig = |n: u8| {
            let mut locals = Locals::default();
            locals.add_address(proxy_address(n));
            (proxy_address(n), Rig::at(proxy_address(n), Config { seed: [n; 32], locals, ..Config::default() }))
        };
        World { proxies: (1..=proxies).map(rig).collect(), registered: BTreeMap::new(), invites: 0 }
    }

    fn register(&mut self, aor: String, contacts: Vec<String>) {
        self.registered.insert(aor, contacts);
    }

    /// Calls, lets everything be forwarded and answered, and counts the INVITEs that the proxies forwarded.
    fn call(mut self, uri: &str) -> usize {
        let text = request_text("INVITE", uri, "1", "Max-Forwards: 70\n");
        self.proxies.get_mut(&target(uri)).unwrap().caller(&text);
        while self.route() | self.deliver() {}
        let finals: usize = self.proxies.values_mut().map(|rig| rig.codes().len()).sum();
        assert_eq!(finals, 1, "the caller gets one answer");
        for rig in self.proxies.values() {
            assert_eq!(rig.proxy.stats().contexts, 0);
        }
        self.invites
    }

    /// Every proxy answers Route by what is registered.
    fn route(&mut self) -> bool {
        let mut busy = false;
        for rig in self.proxies.values_mut() {
            for event in std::mem::take(&mut rig.events) {
                let Event::Route { id, .. } = event else { continue };
                let asked = rig.proxy.request_of(id).unwrap().uri().to_owned();
                let aor = asked.split(';').next().unwrap();
                let contacts = &self.registered[aor];
                let branch = |c: &String| Branch::to(c, Target::new(Transport::Udp, target(c)));
                rig.proxy.forward(rig.now, &mut rig.layer, id, contacts.iter().map(branch).collect()).unwrap();
                rig.run();
                busy = true;
            }
        }
        busy
    }

    fn deliver(&mut self) -> bool {
        let mut sent = Vec::new();
        for (from, rig) in &mut self.proxies {
            let (mine, out): (Vec<_>, Vec<_>) =
                std::mem::take(&mut rig.sent).into_iter().partition(|s| s.to == address(CALLER));
            rig.sent = mine;
            sent.extend(out.into_iter().map(|sent| (*from, sent)));
        }
        for (from, sent) in &sent {
            if matches!(&sent.message, Checked::Request(request) if request.method().as_str() == "INVITE") {
                self.invites += 1;
            }
            self.proxies.get_mut(&sent.to).unwrap().input(*from, sent.message.clone());
        }
        !sent.is_empty()
    }
}

#[test]
fn rfc5393_3_two_proxies_two_aors_forward_14_requests() {
    let mut world = World::new(2);
    world.register(uri("a", 1), vec![uri("a", 2), uri("b", 2)]);
    world.register(uri("b", 1), vec![uri("a", 2), uri("b", 2)]);
    world.register(uri("a", 2), vec![uri("a", 1), uri("b", 1)]);
    world.register(uri("b", 2), vec![uri("a", 1), uri("b", 1)]);
    assert_eq!(world.call(&uri("a", 1)), 14);
}

#[test]
fn rfc5393_3_one_proxy_with_unknown_parameters_forwards_10_requests() {
    let mut world = World::new(1);
    let contacts = ["whack", "thud"].map(|value| format!("{};unknown-param={value}", uri("a", 1)));
    world.register(uri("a", 1), contacts.to_vec());
    assert_eq!(world.call(&uri("a", 1)), 10);
}

#[test]
fn rfc5393_3_n_aors_that_fork_to_all() {
    for (n, requests) in [(1, 1), (2, 4), (3, 15), (4, 64), (5, 325)] {
        let mut world = World::new(1);
        let aors: Vec<String> = (0..n).map(|k| uri(&format!("u{k}"), 1)).collect();
        for aor in &aors {
            world.register(aor.clone(), aors.clone());
        }
        assert_eq!(world.call(&aors[0]), requests, "{n} addresses");
    }
}
