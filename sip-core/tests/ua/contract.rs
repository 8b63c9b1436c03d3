//! The rules of every state machine, held by the shared property test, for an agent on its layer.
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_sip_core::flow::{Flow, Target, Transport};
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{self, Input, Layer, Rejected, Transmit};
use c4_sip_core::ua::{Config, Event, Extra, Invite, Refused, Registration, RegistrationId, RequestId, SessionId, Ua};
use c4_sip_core::{Checked, Limits, Message, Method, StatusCode};
use testkit::{Clock, Contract, Dice, Driver, Outcome, check};

use crate::world::request;

const HERE: &str = "192.0.2.1:5060";
const THERE: &str = "192.0.2.9:5060";

#[derive(Clone)]
struct Phone {
    layer: Layer,
    ua: Ua,
}

#[derive(Clone, Debug)]
enum Step {
    Input(Bytes),
    Invite,
    Register,
    Unregister(RegistrationId),
    Ring(SessionId),
    Answer(SessionId),
    Reject(SessionId),
    Hangup(SessionId),
    Reinvite(SessionId),
    AnswerRequest(RequestId),
}

impl Phone {
    fn new(now: Instant) -> Phone {
        let mut config = transaction::Config::new([1; 32]);
        // Small, so that the bounds are met.
        config.max_transactions = 12;
        let mut layer = Layer::new(config, now);
        layer.set_sent_by(Transport::Udp, HERE.parse().unwrap(), HERE);
        Phone { layer, ua: Ua::new(Config { max_sessions: 20, ..Config::new([2; 32]) }, now) }
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.layer.poll_event() {
            let back = self.ua.handle_event(now, &mut self.layer, event);
            if let Some(transaction::Event::Request { id, request, flow }) = back {
                self.ua.incoming(now, &mut self.layer, id, request, flow, "<sip:bob@192.0.2.1>");
            }
        }
    }

    fn command(&mut self, now: Instant, step: &Step) -> Result<(), Refused> {
        let (ua, layer, extra) = (&mut self.ua, &mut self.layer, Extra::default());
        let destination = Target::new(Transport::Udp, THERE.parse().unwrap()).into();
        match step {
            Step::Input(_) => Ok(()),
            Step::Invite => {
                let invite = Invite {
                    uri: "sip:carol@192.0.2.9".into(),
                    from: "<sip:bob@example.com>".into(),
                    to: "<sip:carol@example.com>".into(),
                    contact: "<sip:bob@192.0.2.1>".into(),
                    destination,
                    routes: Vec::new(),
                    extra,
                    peer: None,
                };
                ua.invite(now, layer, invite).map(|_| ())
            }
            Step::Register => {
                let registration = Registration {
                    registrar: "sip:example.com".into(),
                    aor: "<sip:bob@example.com>".into(),
                    contact: "<sip:bob@192.0.2.1>".into(),
                    expires: Duration::from_secs(60),
                    destination,
                    routes: Vec::new(),
                    peer: None,
                };
                ua.register(now, layer, registration).map(|_| ())
            }
            Step::Unregister(id) => ua.unregister(now, layer, *id),
            Step::Ring(id) => ua.ring(now, layer, *id, StatusCode::RINGING, &extra),
            Step::Answer(id) => ua.answer(now, layer, *id, &extra),
            Step::Reject(id) => ua.reject(now, layer, *id, StatusCode::DECLINE, &extra),
            Step::Hangup(id) => ua.hangup(now, layer, *id, None),
            Step::Reinvite(id) => ua.reinvite(now, layer, *id, extra).map(|_| ()),
            Step::AnswerRequest(id) => ua.answer_request(now, layer, *id, StatusCode::OK, &extra),
        }
    }
}

impl Contract for Phone {
    type Step = Step;
    type Transmit = Transmit;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        if let Step::Input(octets) = step {
            let message = Message::parse(octets.clone(), &Limits::default()).unwrap().check().unwrap();
            let flow = Flow::udp(HERE.parse().unwrap(), THERE.parse().unwrap());
            if self.layer.handle_input(now, Input { flow, message }) == Err(Rejected::Busy) {
                return Outcome::Busy;
            }
        } else if self.command(now, step) == Err(Refused::Busy) {
            return Outcome::Busy;
        }
        self.work(now);
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.work(now);
        self.ua.handle_timeout(now, &mut self.layer);
        self.work(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.layer.poll_timeout(), self.ua.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.layer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.ua.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.layer.hash(&mut hasher);
        self.ua.hash(&mut hasher);
        hasher.finish()
    }
}

/// Plays the peers and the application: answers what is sent, and does something with every session it has heard of.
#[derive(Default)]
struct Player {
    sent: VecDeque<Message>,
    sessions: Vec<SessionId>,
    requests: Vec<RequestId>,
    registrations: Vec<RegistrationId>,
    calls: u32,
}

impl Driver<Phone> for Player {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let delay = Duration::from_millis(if dice.below(3) == 0 { dice.below(3000) } else { 0 });
        (delay, self.choose(dice))
    }

    fn saw_transmit(&mut self, transmit: &Transmit) {
        self.sent.push_back(Message::parse(transmit.payload.clone(), &Limits::default()).unwrap());
        if self.sent.len() > 10 {
            self.sent.pop_front();
        }
    }

    fn saw_event(&mut self, event: &Event) {
        match event {
            Event::Incoming { session, .. } | Event::Progress { session, .. } | Event::Answered { session, .. } => {
                self.sessions.push(*session);
            }
            Event::Request { id, .. } => self.requests.push(*id),
            Event::Registered { registration, .. } | Event::RegistrationFailed { registration, .. } => {
                self.registrations.push(*registration);
            }
            _ => {}
        }
    }
}

impl Player {
    fn choose(&mut self, dice: &mut Dice) -> Step {
        let pick = |dice: &mut Dice, length: usize| dice.below(length as u64) as usize;
        match dice.below(14) {
            0 | 1 => Step::Invite,
            2 if dice.below(4) == 0 => Step::Register,
            3 if !self.registrations.is_empty() => {
                Step::Unregister(self.registrations[pick(dice, self.registrations.len())])
            }
            4 if !self.requests.is_empty() => Step::AnswerRequest(self.requests[pick(dice, self.requests.len())]),
            5..=8 if !self.sessions.is_empty() => {
                let session = self.sessions[pick(dice, self.sessions.len())];
                match dice.below(5) {
                    0 => Step::Ring(session),
                    1 => Step::Answer(session),
                    2 => Step::Reject(session),
                    3 => Step::Reinvite(session),
                    _ => Step::Hangup(session),
                }
            }
            9 => {
                self.calls += 1;
                let call_id = format!("call-{}", self.calls);
                let from = THERE.parse().unwrap();
                Step::Input(request(Method::Invite, "sip:bob@192.0.2.1", from, &call_id, 1).to_bytes())
            }
            _ => self.reply(dice).unwrap_or(Step::Invite),
        }
    }

    /// Something that follows from what the phone sent: a response to a request, an ACK or BYE to a response.
    fn reply(&self, dice: &mut Dice) -> Option<Step> {
        let message = self.sent.get(dice.below(self.sent.len() as u64 + 1) as usize)?;
        match message.clone().check().ok()? {
            Checked::Request(request) => {
                let codes = [100, 180, 183, 200, 200, 302, 401, 423, 481, 486, 491, 500];
                let status = StatusCode::new(codes[dice.below(codes.len() as u64) as usize])?;
                let mut response = request.response(status);
                response.set_to_tag(&format!("t{}", dice.below(3))).ok()?;
                response.set(Header::Contact, "<sip:carol@192.0.2.9>").ok()?;
                Some(Step::Input(response.to_bytes()))
            }
            Checked::Response(response) => {
                let method =
                    [Method::Ack, Method::Bye, Method::Invite, Method::Options][dice.below(4) as usize].clone();
                let seq = response.cseq().seq + u32::from(method != Method::Ack);
                let from = THERE.parse().unwrap();
                let mut made = request(method, "sip:bob@192.0.2.1", from, response.call_id(), seq).into_message();
                for name in [Header::From, Header::To] {
                    made.set(name, response.header(name)?).ok()?;
                }
                made.set(Header::Via, format!("SIP/2.0/UDP {from};branch=z9hG4bK{}", dice.below(u64::MAX))).ok()?;
                Some(Step::Input(made.to_bytes()))
            }
        }
    }
}

#[test]
fn the_contract_holds() {
    let mut busy = 0;
    for seed in 0..6 {
        let start = Clock::new().now();
        let run = check(|| Phone::new(start), Player::default(), start, seed, 120, Duration::from_secs(300));
        busy += run.busy;
        assert!(run.events.len() > 20, "seed {seed}: {} events", run.events.len());
    }
    assert!(busy > 0, "the bounds were never met");
}
