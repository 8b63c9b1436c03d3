//! The calling contract of every state machine, for the proxy on its layer.

use c4_sip_core::proxy::{Branch, Config, ContextId, Event, Options, Proxy};
use c4_sip_core::transaction::{self, Input, Layer, Transmit};
use c4_sip_core::{Checked, Flow, Limits, Message, Request, StatusCode, Transport};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::{Clock, Contract, Dice, Driver, Outcome, check};

use crate::harness::*;

#[derive(Clone, Debug)]
enum Step {
    Input(SocketAddr, String),
    Respond(Request, u16),
    Forward(ContextId, Vec<Branch>),
    Options(ContextId, Options),
    Reject(ContextId),
    Cancel(ContextId),
}

#[derive(Clone)]
struct Both {
    layer: Layer,
    proxy: Proxy,
}

impl Both {
    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.layer.poll_event() {
            if let Some(transaction::Event::Request { id, request, .. }) =
                self.proxy.handle_event(now, &mut self.layer, event)
            {
                let _ = self.proxy.request(now, &mut self.layer, id, request);
            }
        }
    }

    fn input(&mut self, now: Instant, from: SocketAddr, message: Checked) -> Outcome {
        let flow = Flow::udp(address(US), from);
        match self.layer.handle_input(now, Input { flow, message }) {
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Busy,
        }
    }
}

impl Contract for Both {
    type Step = Step;
    type Transmit = Transmit;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        let outcome = match step {
            Step::Input(from, text) => self.input(now, *from, parse(text)),
            Step::Respond(request, code) => {
                self.input(now, request_target(request), Checked::Response(reparse(&reply(request, *code))))
            }
            command => {
                let (proxy, layer) = (&mut self.proxy, &mut self.layer);
                // Too late, or too many: nothing was done.
                let _ = match command {
                    Step::Forward(id, targets) => proxy.forward(now, layer, *id, targets.clone()),
                    Step::Reject(id) => proxy.reject_with(now, layer, *id, StatusCode::NOT_FOUND),
                    Step::Cancel(id) => proxy.cancel(now, layer, *id, None),
                    Step::Options(id, options) => {
                        proxy.set_options(*id, *options);
                        Ok(())
                    }
                    Step::Input(..) | Step::Respond(..) => Ok(()),
                };
                Outcome::Done
            }
        };
        self.pump(now);
        outcome
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.pump(now);
        self.proxy.handle_timeout(now, &mut self.layer);
        self.pump(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.layer.poll_timeout(), self.proxy.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.layer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.proxy.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.layer.hash(&mut hasher);
        self.proxy.hash(&mut hasher);
        hasher.finish()
    }
}

/// A caller that makes many calls, and callees that answer anything.
#[derive(Default)]
struct Traffic {
    calls: u64,
    contexts: Vec<ContextId>,
    requests: Vec<Request>,
}

impl Traffic {
    fn caller(&mut self, dice: &mut Dice) -> Step {
        let new = dice.chance(0.5);
        self.calls += u64::from(new);
        let n = if new { self.calls } else { dice.below(self.calls + 1) };
        let method = match dice.below(8) {
            0 => "CANCEL",
            1 => "OPTIONS",
            _ => "INVITE",
        };
        let uri = if dice.chance(0.95) { "sip:b@example.com" } else { "http://example.com" };
        Step::Input(address(CALLER), request_text(method, uri, &format!("x{n}"), ""))
    }

    fn targets(dice: &mut Dice) -> Vec<Branch> {
        let one = |dice: &mut Dice| {
            let other = c4_sip_core::Target::new(Transport::Udp, callee(99));
            let failover = if dice.chance(0.3) { vec![other.into()] } else { Vec::new() };
            Branch { failover, ..at(dice.below(9) as u8 + 1, dice.below(2) as u16 * 500) }
        };
        (0..dice.below(4)).map(|_| one(dice)).collect()
    }
}

impl Driver<Both> for Traffic {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let delay = if dice.chance(0.2) { Duration::from_millis(dice.below(10_000)) } else { Duration::ZERO };
        let context = dice.pick(&self.contexts).copied();
        let request = dice.pick(&self.requests).cloned();
        let step = match (dice.below(10), context, request) {
            (0..3, Some(id), _) => Step::Forward(id, Traffic::targets(dice)),
            (3, Some(id), _) => {
                Step::Options(id, Options { ask: dice.chance(0.5), recurse: true, late: true, ringing_limit: None })
            }
            (4, Some(id), _) if dice.chance(0.3) => Step::Reject(id),
            (4, Some(id), _) if dice.chance(0.3) => Step::Cancel(id),
            (5..8, _, Some(request)) => {
                let codes = [100, 180, 200, 302, 407, 486, 487, 503, 603];
                Step::Respond(request, dice.pick(&codes).copied().unwrap_or(200))
            }
            _ => self.caller(dice),
        };
        (delay, step)
    }

    fn saw_transmit(&mut self, transmit: &Transmit) {
        let message = Message::parse(transmit.payload.clone(), &Limits::default()).unwrap();
        if let Ok(Checked::Request(request)) = message.check() {
            self.requests.push(request);
            let surplus = self.requests.len().saturating_sub(30);
            self.requests.drain(..surplus);
        }
    }

    fn saw_event(&mut self, event: &Event) {
        if let Event::Route { id, .. } = event {
            self.contexts.push(*id);
            let surplus = self.contexts.len().saturating_sub(10);
            self.contexts.drain(..surplus);
        }
    }
}

#[test]
fn contract_the_rules_hold_for_the_proxy_on_its_layer() {
    let start = Clock::new().now() + Duration::from_secs(10);
    let make = || {
        let mut settings = transaction::Config::new([3; 32]);
        settings.max_transactions = 20;
        let mut layer = Layer::new(settings, start);
        layer.set_sent_by(Transport::Udp, address(US), US);
        let proxy = Proxy::new(Config { max_contexts: 12, max_branches: 8, ..config() }, start);
        Both { layer, proxy }
    };
    let mut busy = 0;
    for seed in 0..6 {
        let run = check(make, Traffic::default(), start, seed, 300, Duration::from_secs(1000));
        assert!(run.machine.layer.is_idle() && run.machine.proxy.is_idle(), "lesson 38: an idle machine keeps nothing");
        assert!(run.events.iter().filter(|event| event.starts_with("Finished")).count() > 20);
        let (routes, finished) = (
            run.events.iter().filter(|event| event.starts_with("Route")).count(),
            run.events.iter().filter(|event| event.starts_with("Finished")).count(),
        );
        assert_eq!(routes, finished, "each context ends, once");
        busy += run.busy;
    }
    assert!(busy > 0, "bounds were reached");
}
