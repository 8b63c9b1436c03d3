//! The calling contract, held by the shared property test.

use super::*;
use crate::machine::Transmit;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use testkit::{Contract, Dice, Driver, Outcome};

#[derive(Clone, Debug)]
enum Step {
    Message(Flow, String),
    ConnectDone(ConnectId, Option<Flow>),
    Failed(TransmitId),
    Closed(Flow),
}

#[derive(Clone)]
struct Played(Lb);

impl Contract for Played {
    type Step = Step;
    type Transmit = Transmit<TransmitId>;
    type Event = Event<ConnectId>;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        match step {
            Step::Message(flow, text) => {
                if let Ok(message) = Message::parse(text.clone().into(), &Limits::default()) {
                    self.0.handle_message(now, *flow, message);
                }
            }
            Step::ConnectDone(id, flow) => {
                self.0.handle_connect_done(now, *id, flow.ok_or(ErrorKind::ConnectionRefused));
            }
            Step::Failed(id) => self.0.handle_transmit_failed(now, *id, ErrorKind::NotConnected),
            Step::Closed(flow) => self.0.handle_flow_closed(now, *flow),
        }
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<TransmitId>> {
        self.0.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let lb = &self.0;
        let mut hasher = DefaultHasher::new();
        let shown = format!("{:?}", (&lb.calls, &lb.guard, &lb.connections, &lb.prober, &lb.backends));
        (lb.now, lb.last_transmit, shown).hash(&mut hasher);
        hasher.finish()
    }
}

/// Phones, proxies and an attacker's garbage, with what was learnt from the output.
#[derive(Default)]
struct Traffic {
    seen: Vec<(Flow, String)>,
    ids: Vec<TransmitId>,
    connects: Vec<ConnectId>,
    flows: Vec<Flow>,
}

impl Driver<Played> for Traffic {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let delay = [0, 0, 1, 20, 700, 30_000][dice.below(6) as usize];
        (Duration::from_millis(delay), self.make(dice))
    }

    fn saw_transmit(&mut self, t: &Transmit<TransmitId>) {
        self.seen.push((t.flow, String::from_utf8_lossy(&t.payload).into_owned()));
        self.ids.push(t.id);
    }

    fn saw_event(&mut self, event: &Event<ConnectId>) {
        if let Event::Connect { id, .. } = event {
            self.connects.push(*id);
        }
    }
}

impl Traffic {
    fn make(&mut self, dice: &mut Dice) -> Step {
        let pick = |dice: &mut Dice, n: usize| dice.below(n as u64) as usize;
        match dice.below(10) {
            0 if !self.connects.is_empty() => {
                let id = self.connects.swap_remove(pick(dice, self.connects.len()));
                let flow = stream(Transport::Tcp, "10.0.0.1:30000", "10.0.0.3:5060", 500 + id.0);
                Step::ConnectDone(id, (dice.below(3) > 0).then_some(flow))
            }
            1 if !self.ids.is_empty() => Step::Failed(self.ids[pick(dice, self.ids.len())]),
            2 if !self.flows.is_empty() => Step::Closed(self.flows[pick(dice, self.flows.len())]),
            3..=6 if !self.seen.is_empty() => self.reply(dice),
            _ => self.fresh(dice),
        }
    }

    fn fresh(&mut self, dice: &mut Dice) -> Step {
        let methods = ["INVITE", "REGISTER", "OPTIONS", "ACK", "CANCEL", "BYE", "MESSAGE"];
        let method = methods[dice.below(7) as usize];
        let flow = match dice.below(4) {
            0 => tcp(ALICE, 1 + dice.below(3)),
            1 => inside(PROXY),
            2 => udp("[2001:db8::1]:5060", "[2001:db8::9]:5060"),
            _ => outside(ALICE),
        };
        self.flows.push(flow);
        let mut request = req(method).call(format!("c{}", dice.below(5)));
        if dice.below(3) == 0 {
            request = request.tagged().routes(["<sip:nonsense@192.0.2.1;lr>"]);
        }
        Step::Message(flow, request.text().replace('\n', "\r\n"))
    }

    /// The far end answers, or sends what it got back, whole or cut.
    fn reply(&mut self, dice: &mut Dice) -> Step {
        let (flow, text) = self.seen[dice.below(self.seen.len() as u64) as usize].clone();
        match Message::parse(text.clone().into(), &Limits::default()) {
            Ok(message) if message.is_request() && dice.below(3) > 0 => {
                let sent = Sent { id: TransmitId(0), flow, message };
                Step::Message(flow, response(&sent, [100, 180, 200, 486][dice.below(4) as usize]).replace('\n', "\r\n"))
            }
            _ => {
                let cut = if dice.below(4) == 0 { text.len() / 2 } else { text.len() };
                Step::Message(flow, text[..cut].to_owned())
            }
        }
    }
}

#[test]
fn the_contract_is_kept() {
    for seed in 0..6 {
        let start = base();
        let config = config::Lb {
            backends: vec![PROXY.parse().unwrap(), "tcp:10.0.0.3:5060".parse().unwrap()],
            probe: config::Probe::default(),
            source_rate: 50,
            ..config()
        };
        let make = || {
            let health = Health::new(2);
            let setup = Setup { config: &config, keys: keys(), health, worker: 0, epoch: 7, seed: [9; 32], unix: UNIX };
            Played(Lb::new(setup, start))
        };
        let run = testkit::check(make, Traffic::default(), start, seed, 400, Duration::from_secs(300));
        assert!(run.transmits.len() > 100, "{}", run.transmits.len());
        assert_eq!(run.machine.0.calls.len(), 0, "nothing is left after the quiet");
    }
}
