//! The calling contract of every state machine, for the layer.

use crate::rig::*;
use c4_sip_core::transaction::{ClientId, Config, ConnectId, Event, Input, Layer, ServerId, Transmit, TransmitId};
use c4_sip_core::{Checked, Flow, Limits, Message, Method, Request, StatusCode, Target, Transport};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use testkit::{Clock, Contract, Dice, Driver, Outcome, check};

#[derive(Clone, Debug)]
enum Step {
    Input(Flow, String),
    Request(Method, Result<Flow, Target>),
    Ack(Result<Flow, Target>),
    Cancel(ClientId),
    Respond(ServerId, Request, u16),
    Connected(ConnectId, Option<Flow>),
    Failed(TransmitId),
    Closed(Flow),
}

#[derive(Clone)]
struct Adapter(Layer);

impl Contract for Adapter {
    type Step = Step;
    type Transmit = Transmit;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        let layer = &mut self.0;
        let busy = match step.clone() {
            Step::Input(flow, text) => layer.handle_input(now, Input { flow, message: parse(&text) }).is_err(),
            Step::Request(method, Ok(flow)) => layer.request(now, outgoing(method), flow).is_err(),
            Step::Request(method, Err(target)) => layer.request(now, outgoing(method), target).is_err(),
            Step::Ack(Ok(flow)) => layer.send(now, outgoing(Method::Ack), flow).is_err(),
            Step::Ack(Err(target)) => layer.send(now, outgoing(Method::Ack), target).is_err(),
            // Too late is no refusal of this kind.
            Step::Cancel(id) => {
                _ = layer.cancel(now, id, None);
                false
            }
            Step::Respond(id, request, status) => {
                let status = StatusCode::new(status).unwrap();
                _ = layer.respond(now, id, request.response(status));
                false
            }
            Step::Connected(id, flow) => {
                layer.handle_connect_done(now, id, flow.ok_or(ErrorKind::ConnectionRefused));
                false
            }
            Step::Failed(id) => {
                layer.handle_transmit_failed(now, id, ErrorKind::BrokenPipe);
                false
            }
            Step::Closed(flow) => {
                layer.handle_flow_closed(now, flow);
                false
            }
        };
        if busy { Outcome::Busy } else { Outcome::Done }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}

/// Remembers what it saw, and now and then uses it.
#[derive(Default)]
struct Chaos {
    servers: Vec<(ServerId, Request)>,
    clients: Vec<ClientId>,
    connects: Vec<ConnectId>,
    transmits: Vec<(TransmitId, Flow, String)>,
    serial: u64,
}

impl Chaos {
    fn step(&mut self, dice: &mut Dice) -> Step {
        let flow = if dice.chance(0.6) { udp() } else { tcp(1 + dice.below(3)) };
        let to = if dice.chance(0.7) { Ok(flow) } else { Err(tcp_target()) };
        match dice.below(12) {
            0..=2 => self.incoming(flow, dice),
            3 => Step::Request(dice.pick(&[Method::Invite, Method::Bye, Method::Options]).unwrap().clone(), to),
            4 if dice.chance(0.3) => Step::Ack(to),
            5 => match dice.pick(&self.clients) {
                Some(id) => Step::Cancel(*id),
                None => self.incoming(flow, dice),
            },
            6 | 7 => match dice.pick(&self.servers).cloned() {
                Some((id, request)) => {
                    Step::Respond(id, request, *dice.pick(&[100, 180, 200, 200, 302, 404, 408, 487, 603]).unwrap())
                }
                None => self.incoming(flow, dice),
            },
            8 if dice.chance(0.3) => Step::Closed(tcp(1 + dice.below(3))),
            9 => match dice.pick(&self.connects) {
                Some(id) => Step::Connected(*id, dice.chance(0.7).then(|| tcp(1 + dice.below(3)))),
                None => self.incoming(flow, dice),
            },
            10 if dice.chance(0.2) && !self.transmits.is_empty() => Step::Failed(dice.pick(&self.transmits).unwrap().0),
            _ => match dice.pick(&self.transmits) {
                Some((_, flow, text)) if !text.starts_with("SIP/2.0") && !text.starts_with("ACK") => {
                    let status = *dice.pick(&[100, 180, 200, 200, 301, 486, 503]).unwrap();
                    Step::Input(*flow, String::from_utf8(answer(text, status).to_bytes().to_vec()).unwrap())
                }
                _ => self.incoming(flow, dice),
            },
        }
    }

    /// New, repeated, or belonging to one of those before.
    fn incoming(&mut self, flow: Flow, dice: &mut Dice) -> Step {
        self.serial += u64::from(dice.chance(0.5));
        let back = dice.below(4);
        let method = *dice.pick(&["INVITE", "INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"]).unwrap();
        let cookie = if dice.chance(0.9) { "z9hG4bK" } else { "" };
        let via = format!("192.0.2.1:5060;branch={cookie}{};rport", self.serial.saturating_sub(back));
        Step::Input(flow, incoming(method, flow.transport, &via))
    }
}

impl Driver<Adapter> for Chaos {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let scale = dice.below(13);
        let delay = if dice.chance(0.5) { 0 } else { dice.below(1 << scale) };
        (Duration::from_micros(delay * 997), self.step(dice))
    }

    fn saw_transmit(&mut self, transmit: &Transmit) {
        let text = String::from_utf8(transmit.payload.to_vec()).unwrap();
        self.transmits.push((transmit.id, transmit.flow, text));
        if self.transmits.len() > 40 {
            self.transmits.remove(0);
        }
    }

    fn saw_event(&mut self, event: &Event) {
        match event {
            Event::Request { id, request, .. } => self.servers.push((*id, request.clone())),
            Event::Response { id, .. } => self.clients.push(*id),
            Event::Connect { id, .. } => self.connects.push(*id),
            _ => {}
        }
        if self.servers.len() > 20 {
            self.servers.remove(0);
        }
        if self.clients.len() > 20 {
            self.clients.remove(0);
        }
        if self.connects.len() > 5 {
            self.connects.remove(0);
        }
    }
}

fn layer(start: Instant, max_transactions: usize) -> Adapter {
    let mut config = Config::new([9; 32]);
    config.max_transactions = max_transactions;
    config.max_connecting = 8000;
    config.max_output = 12;
    let mut layer = Layer::new(config, start);
    layer.set_sent_by(Transport::Udp, addr("192.0.2.9:5060"), "b.example:5060");
    Adapter(layer)
}

#[test]
fn the_layer_keeps_the_calling_contract() {
    let start = Clock::new().now() + Duration::from_secs(5);
    let mut busy = 0;
    for seed in 0..12 {
        let max = if seed % 2 == 0 { 1000 } else { 12 };
        let run = check(|| layer(start, max), Chaos::default(), start, seed, 300, Duration::from_secs(200));
        busy += run.busy;
        assert!(run.transmits.len() > 50 && run.events.len() > 100, "seed {seed}");
        // What its user never answered is all that is left.
        let stats = run.machine.0.stats();
        assert!(stats.current < stats.created, "seed {seed}");
        assert_eq!(stats.created - stats.freed, stats.current);
    }
    assert!(busy > 50, "bounds were reached: {busy}");
}

#[test]
fn octets_that_are_no_sip_never_reach_the_layer_and_what_does_never_panics() {
    // The messages of the chaos above, with single octets changed.
    let start = Clock::new().now();
    let mut dice = Dice::new(11);
    let mut layer = layer(start, 500).0;
    let mut chaos = Chaos::default();
    let mut taken = 0;
    for n in 0..4000u64 {
        let now = start + Duration::from_millis(n * 7);
        let Step::Input(flow, text) = chaos.incoming(udp(), &mut dice) else { continue };
        let mut octets = text.into_bytes();
        for _ in 0..dice.below(4) {
            let at = dice.below(octets.len() as u64) as usize;
            octets[at] = dice.roll() as u8;
        }
        let parsed = Message::parse(octets.into(), &Limits::default()).ok().and_then(|message| message.check().ok());
        if let Some(message @ Checked::Request(_)) = parsed {
            taken += u32::from(layer.handle_input(now, Input { flow, message }).is_ok());
        }
        layer.handle_timeout(now);
        while layer.poll_event().is_some() || layer.poll_transmit().is_some() {}
    }
    assert!(taken > 500, "{taken}");
}
