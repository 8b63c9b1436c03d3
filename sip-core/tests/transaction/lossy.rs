//! Two layers over a network that loses, doubles and reorders datagrams.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Config, Event, Input, Layer, ServerId};
use c4_sip_core::{Flow, Limits, Message, Method, Request, StatusCode};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::{Clock, Dice, Link, Network};

/// What one call came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    finals: u32,
    timeouts: u32,
    cancels: u32,
    failed: u32,
}

fn request(method: Method, call_id: &str) -> Request {
    Message::request(method.clone(), "sip:b@example.com")
        .header(Header::MaxForwards, "70")
        .header(Header::From, "<sip:a@example.com>;tag=1")
        .header(Header::To, "<sip:b@example.com>")
        .header(Header::CallId, call_id)
        .header(Header::CSeq, format!("1 {method}"))
        .request()
        .unwrap()
}

/// A user of one layer: the caller sends INVITEs and others, the callee answers by Call-ID.
struct Party {
    layer: Layer,
    local: SocketAddr,
    remote: SocketAddr,
    dice: Dice,
    /// Answers that are due: when, the transaction, the request, the status.
    answers: BTreeMap<(Instant, ServerId), (Request, u16)>,
    /// 2xx to INVITEs until their ACK comes (RFC 3261 §13.3.1.4): when, the transaction, the request, the interval.
    repeats: BTreeMap<(Instant, ServerId), (Request, Duration)>,
    tallies: BTreeMap<u64, Tally>,
    requests: u32,
}

impl Party {
    fn new(seed: u8, local: &str, remote: &str, now: Instant) -> Party {
        Party {
            layer: Layer::new(Config::new([seed; 32]), now),
            local: addr(local),
            remote: addr(remote),
            dice: Dice::new(u64::from(seed)),
            answers: BTreeMap::new(),
            repeats: BTreeMap::new(),
            tallies: BTreeMap::new(),
            requests: 0,
        }
    }

    fn call(&mut self, now: Instant, n: usize) {
        let method = if n.is_multiple_of(3) { Method::Options } else { Method::Invite };
        let request = request(method, &n.to_string());
        let id = self.layer.request(now, request, Flow::udp(self.local, self.remote)).unwrap();
        self.tallies.insert(id.get(), Tally::default());
        if n % 5 == 1 && !n.is_multiple_of(3) {
            self.layer.cancel(now, id, None).unwrap();
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { id, request, .. } => {
                self.requests += 1;
                let status = *self.dice.pick(&[200, 200, 302, 486, 503, 603]).unwrap();
                if *request.method() == Method::Invite {
                    let ringing = request.response(StatusCode::RINGING);
                    self.layer.respond(now, id, ringing).unwrap();
                }
                let at = now + Duration::from_millis(self.dice.below(4000));
                self.answers.insert((at, id), (request, status));
            }
            Event::Cancel { id, .. } => {
                let due = self.answers.iter().find(|((_, other), _)| *other == id).map(|(key, _)| *key);
                let (request, _) = self.answers.remove(&due.unwrap()).unwrap();
                self.layer.respond(now, id, request.response(StatusCode::REQUEST_TERMINATED)).unwrap();
            }
            Event::Ack { request, .. } => {
                self.repeats.retain(|_, (accepted, _)| accepted.call_id() != request.call_id());
            }
            Event::Response { id, response, .. } if response.status().is_final() => {
                if response.status().is_success() && response.cseq().method == Method::Invite {
                    let ack = request(Method::Ack, response.call_id());
                    self.layer.send(now, ack, Flow::udp(self.local, self.remote)).unwrap();
                }
                let tally = self.tallies.get_mut(&id.get()).unwrap();
                tally.finals += 1;
                tally.cancels += u32::from(response.status() == StatusCode::REQUEST_TERMINATED);
            }
            Event::Timeout { id } => self.tallies.get_mut(&id.get()).unwrap().timeouts += 1,
            Event::TransportFailed { id } => self.tallies.get_mut(&id.get()).unwrap().failed += 1,
            _ => {}
        }
    }

    fn next(&self) -> Option<Instant> {
        let due = self.answers.first_key_value().map(|((at, _), _)| *at);
        let repeat = self.repeats.first_key_value().map(|((at, _), _)| *at);
        due.into_iter().chain(repeat).chain(self.layer.poll_timeout()).min()
    }

    fn turn(&mut self, now: Instant, network: &mut Network<SocketAddr, bytes::Bytes>) {
        self.layer.handle_timeout(now);
        while let Some(((_, id), (request, status))) = self.answers.pop_first_if_due(now) {
            let mut response = request.response(StatusCode::new(status).unwrap());
            response.set_to_tag("2").unwrap();
            self.layer.respond(now, id, response).unwrap();
            if status == 200 && *request.method() == Method::Invite {
                self.repeats.insert((now + ms(500), id), (request, ms(1000)));
            }
        }
        while let Some(((_, id), (request, interval))) = self.repeats.pop_first_if_due(now) {
            if self.layer.respond(now, id, request.response(StatusCode::OK)).is_ok() {
                self.repeats.insert((now + interval, id), (request, (interval * 2).min(ms(4000))));
            }
        }
        while let Some(event) = self.layer.poll_event() {
            self.event(now, event);
        }
        while let Some(transmit) = self.layer.poll_transmit() {
            network.send(now, transmit.flow.local, transmit.flow.remote, transmit.payload);
        }
    }
}

trait PopDue<K, V> {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(K, V)>;
}

impl<T: Ord, V> PopDue<(Instant, T), V> for BTreeMap<(Instant, T), V> {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<((Instant, T), V)> {
        let first = self.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove_entry())
    }
}

/// Runs calls over a link until all is quiet.
fn run(seed: u8, link: Link, calls: usize) -> (Party, Party) {
    let mut clock = Clock::new();
    let mut network = Network::new(u64::from(seed), link);
    let mut caller = Party::new(seed, "192.0.2.1:5060", "192.0.2.9:5060", clock.now());
    let mut callee = Party::new(seed + 1, "192.0.2.9:5060", "192.0.2.1:5060", clock.now());
    let mut left = (0..calls).peekable();
    loop {
        let now = clock.now();
        for n in left.by_ref().take(3) {
            caller.call(now, n);
        }
        while let Some(delivery) = network.receive(now) {
            let party = if delivery.to == caller.local { &mut caller } else { &mut callee };
            let message = Message::parse(delivery.payload, &Limits::default()).unwrap().check().unwrap();
            let flow = Flow::udp(delivery.to, delivery.from);
            party.layer.handle_input(now, Input { flow, message }).unwrap();
        }
        caller.turn(now, &mut network);
        callee.turn(now, &mut network);
        let more = left.peek().map(|_| now + Duration::from_millis(10));
        let next = [caller.next(), callee.next(), network.poll_timeout(), more].into_iter().flatten().min();
        match next {
            Some(next) => clock.advance_to(next),
            None => return (caller, callee),
        };
    }
}

#[test]
fn over_a_good_network_every_call_is_answered_once_and_nothing_is_repeated() {
    let (caller, callee) = run(1, Link::ideal(Duration::from_millis(20)), 300);
    assert_eq!((caller.tallies.len(), callee.requests), (300, 300));
    assert!(caller.tallies.values().all(|tally| (tally.finals, tally.timeouts) == (1, 0)));
    assert_eq!(caller.tallies.values().filter(|tally| tally.cancels == 1).count(), 40, "the cancelled INVITEs");
    let repeated = |party: &Party| party.layer.stats().absorbed;
    assert_eq!(repeated(&callee) + callee.layer.stats().stray_responses, caller_repeats(&caller));
    assert!(caller.layer.is_idle() && callee.layer.is_idle());
}

/// Over a good network only requests whose answer takes longer than T1 are repeated.
fn caller_repeats(caller: &Party) -> u64 {
    caller.layer.stats().retransmitted
}

#[test]
fn field_lesson_38_an_idle_layer_holds_no_transaction() {
    for seed in 0..6 {
        let (caller, callee) = run(10 * seed + 3, Link::lossy(Duration::from_millis(80), 0.25), 400);
        for party in [&caller, &callee] {
            let stats = party.layer.stats();
            assert_eq!((stats.current, stats.waiting, stats.created), (0, 0, stats.freed));
            assert!(party.layer.is_idle());
            assert_eq!(party.layer.poll_timeout(), None);
        }
        // A request is answered, or its loss is found out; a 2xx to an INVITE is never repeated by the layer.
        let count = |f: fn(&Tally) -> u32| caller.tallies.values().map(f).sum::<u32>();
        assert!(caller.tallies.values().all(|tally| tally.finals >= 1 || tally.timeouts == 1), "seed {seed}");
        assert!(caller.tallies.values().all(|tally| tally.failed == 0));
        assert!(count(|tally| tally.finals.min(1)) > 300, "seed {seed}: {}", count(|tally| tally.finals.min(1)));
        assert!(callee.requests <= 400, "no retransmission is taken for a new request");
    }
}
