//! The calling contract, held by the shared property test.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_ref::machine::{Event, Machine};
use c4_ref::ng::Reply;
use c4_ref::proxy::media::Policy;
use c4_ref::proxy::{App, shards};
use sip_core::transaction::ConnectId;
use sip_core::{Flow, Limits, Message};
use testkit::{Clock, Contract, Dice, Driver, Outcome, check};

use crate::harness::{PROXY, Req, Sent, UNIX, address, config, invite, open, reply, settings};
use crate::media::with_relays;

#[derive(Clone)]
struct Subject {
    app: App,
    /// With relays there are two kinds of output, and the check knows one: they are put in line after each step.
    in_line: Option<VecDeque<(Flow, String)>>,
    now: Instant,
}

impl Subject {
    fn new(app: App, has_relays: bool, now: Instant) -> Subject {
        Subject { app, in_line: has_relays.then(VecDeque::new), now }
    }

    fn put_in_line(&mut self) {
        let Subject { app, in_line, .. } = self;
        if let Some(line) = in_line {
            line.extend(std::iter::from_fn(|| poll_transmit(app)));
            line.extend(std::iter::from_fn(|| {
                let datagram = app.poll_datagram()?;
                let flow = Flow::udp(address("0.0.0.0:0"), datagram.to);
                Some((flow, String::from_utf8_lossy(&datagram.payload).into_owned()))
            }));
        }
    }
}

fn poll_transmit(app: &mut App) -> Option<(Flow, String)> {
    let transmit = app.poll_transmit()?;
    Some((transmit.flow, String::from_utf8_lossy(&transmit.payload).into_owned()))
}

#[derive(Clone, Debug)]
enum Step {
    Message(Flow, String),
    Closed(Flow),
    Connected(ConnectId, Option<Flow>),
    /// A datagram to a plain socket.
    Datagram(usize, SocketAddr, Bytes),
}

impl Contract for Subject {
    type Step = Step;
    type Transmit = (Flow, String);
    type Event = Event<ConnectId>;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        self.now = self.now.max(now);
        match step {
            Step::Message(flow, text) => {
                if let Ok(message) = Message::parse(text.clone().into(), &Limits::default()) {
                    self.app.handle_message(now, *flow, message);
                }
            }
            Step::Closed(flow) => self.app.handle_flow_closed(now, *flow),
            Step::Datagram(socket, from, payload) => {
                self.app.handle_datagram(now, *socket, *from, payload.clone());
            }
            Step::Connected(id, flow) => {
                self.app.handle_connect_done(now, *id, flow.ok_or(std::io::ErrorKind::ConnectionRefused));
            }
        }
        self.put_in_line();
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.app.handle_timeout(now);
        self.put_in_line();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.in_line {
            Some(line) if !line.is_empty() => Some(self.now),
            _ => self.app.poll_timeout(),
        }
    }

    fn poll_transmit(&mut self) -> Option<(Flow, String)> {
        match &mut self.in_line {
            Some(line) => line.pop_front(),
            None => poll_transmit(&mut self.app),
        }
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.app.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.app.hash(&mut hasher);
        hasher.finish()
    }
}

/// Phones that register, call, answer, hang up, or send garbage.
#[derive(Default)]
struct Phones {
    seen: Vec<Sent>,
    connects: Vec<ConnectId>,
    /// Questions to relays.
    asked: Vec<(SocketAddr, String)>,
    has_relays: bool,
    count: u32,
}

const ADDRESSES: [&str; 3] = ["192.0.2.1:5060", "192.0.2.2:5060", "203.0.113.5:61000"];
const STATUSES: [&str; 9] = [
    "100 Trying",
    "180 Ringing",
    "183 Session Progress",
    "200 OK",
    "302 Moved Temporarily",
    "430 Flow Failed",
    "487 Request Terminated",
    "503 Service Unavailable",
    "603 Decline",
];

impl Phones {
    fn request(&mut self, dice: &mut Dice) -> String {
        self.count += 1;
        let call_id = format!("call-{}", dice.below(12));
        let user = *dice.pick(&["alice", "bob", "carol", "nobody"]).unwrap();
        let uri = format!("sip:{user}@example.com");
        match dice.below(7) {
            0 | 1 => {
                let q = dice.below(10);
                let contact = format!("<sip:{user}@{}>;q=0.{q}", dice.pick(&ADDRESSES).unwrap());
                Req::new("REGISTER", "sip:example.com")
                    .ends(&uri, "r", &uri, "")
                    .call(&format!("reg-{user}"), self.count)
                    .header("Contact", &contact)
                    .text()
            }
            2 | 3 => invite(&format!("{user}@example.com"), &format!("call-{}", self.count)).text(),
            4 => Req::new("CANCEL", &uri)
                .call(&format!("call-{}", self.count - 1), 1)
                .branch(&format!("invite-call-{}-1", self.count - 1))
                .text(),
            5 => Req::new("MESSAGE", &uri).call(&call_id, self.count).text(),
            _ => {
                let text = invite(&format!("{user}@example.com"), &call_id).text();
                text.get(..dice.below(text.len() as u64) as usize).unwrap_or_default().to_owned()
            }
        }
    }

    /// Something that follows from what was sent.
    fn follow(&mut self, dice: &mut Dice) -> Option<String> {
        let sent = dice.pick(&self.seen)?.clone();
        if sent.message.is_request() {
            let reply = reply(&sent, dice.pick(&STATUSES)?, "b", "sip:bob@192.0.2.2:5060");
            let sdp = "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
            return Some(if dice.chance(0.5) { reply.replace("Content-Length: 0\r\n\r\n", sdp) } else { reply });
        }
        self.count += 1;
        let method = *dice.pick(&["ACK", "BYE", "INVITE"])?;
        let tag = sent.message.header("To")?;
        let tag = std::str::from_utf8(tag).ok()?.split_once("tag=")?.1.to_owned();
        let call_id = String::from_utf8_lossy(sent.message.header("Call-ID")?).into_owned();
        let mut request = Req::new(method, "sip:bob@192.0.2.2:5060")
            .ends("sip:alice@example.com", "a", "sip:bob@example.com", &tag)
            .call(&call_id, self.count);
        for route in sent.all(sip_core::header::Header::RecordRoute).iter().rev() {
            request = request.header("Route", route);
        }
        Some(request.text())
    }
}

impl Phones {
    /// A relay answers, refuses, or tells something.
    fn relay(&mut self, dice: &mut Dice) -> Step {
        let (from, text) = self.asked.remove(dice.below(self.asked.len().min(3) as u64) as usize);
        let (cookie, dict) = text.split_once(' ').unwrap_or_default();
        let sdp = Reply::with_sdp(format!("sdp-{}", dice.below(1000)).into());
        let reply = match dice.below(8) {
            _ if dict.contains("4:ping") => Reply::Pong,
            0 => Reply::error("Ran out of ports"),
            1 => Reply::error("Unknown call-id"),
            2 => return self.notice(dice, from),
            _ => sdp,
        };
        Step::Datagram(0, from, [cookie.as_bytes(), b" ", &reply.to_vec()].concat().into())
    }

    fn notice(&self, dice: &mut Dice, from: SocketAddr) -> Step {
        let call = dice.below(u64::from(self.count) + 1);
        let text = format!(r#"{{"event":"media-timeout","call-id":"call-{call}","from-tag":"a","last-packet-ms":5}}"#);
        Step::Datagram(1, from, text.into())
    }
}

impl Driver<Subject> for Phones {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        // Relays are down when nobody answers them for long.
        let longest = if self.has_relays { 1500 } else { 33_000 };
        let delay = *dice.pick(&[0, 0, 0, 1, 40, 700, longest]).unwrap();
        let mut flow = Flow::udp(PROXY.parse().unwrap(), dice.pick(&ADDRESSES).unwrap().parse().unwrap());
        if dice.chance(0.1) {
            flow = crate::harness::tcp_flow(dice.below(3), "192.0.2.4:40000");
        }
        if self.has_relays && !self.asked.is_empty() && dice.chance(0.7) {
            return (Duration::from_millis(delay.min(40)), self.relay(dice));
        }
        let step = match dice.below(20) {
            0 => Step::Closed(crate::harness::tcp_flow(dice.below(3), "192.0.2.4:40000")),
            1 if !self.connects.is_empty() => {
                let id = self.connects.swap_remove(dice.below(self.connects.len() as u64) as usize);
                Step::Connected(id, dice.chance(0.5).then_some(crate::harness::tcp_flow(9, "192.0.2.4:5060")))
            }
            2..10 => Step::Message(flow, self.request(dice)),
            _ => Step::Message(flow, self.follow(dice).unwrap_or_else(|| "\r\n\r\n".into())),
        };
        (Duration::from_millis(delay), step)
    }

    fn saw_transmit(&mut self, (flow, text): &(Flow, String)) {
        if flow.local.port() == 0 {
            return self.asked.push((flow.remote, text.clone()));
        }
        let message = Message::parse(text.clone().into(), &Limits::default()).unwrap();
        self.seen.push(Sent { flow: *flow, text: text.clone(), message, id: None });
        if self.seen.len() > 40 {
            self.seen.remove(0);
        }
    }

    fn saw_event(&mut self, event: &Event<ConnectId>) {
        if let Event::Connect { id, .. } = event {
            self.connects.push(*id);
        }
    }
}

/// With relays, and all that is heard of them.
fn relayed() -> c4_ref::config::Proxy {
    let config = with_relays(&["udp:10.9.0.1:2223", "udp:10.9.0.2:2223"], Policy::Refuse);
    c4_ref::config::Proxy { relay_events: "udp:10.0.0.1:9000".into(), relay_poll_s: 60, ..config }
}

#[test]
fn the_calling_contract_holds() {
    let start = Clock::new().now() + Duration::from_secs(10);
    for (seed, mut config) in [(1, open()), (2, open()), (3, config()), (4, relayed())] {
        config.registrar.max_expires_s = 600;
        let make = || {
            let (_, mut apps) = shards(settings(&config), 1, [5; 32], start, UNIX).unwrap();
            Subject::new(apps.pop().unwrap(), seed >= 4, start)
        };
        let phones = Phones { has_relays: seed >= 4, ..Phones::default() };
        let run = check(make, phones, start, seed, if seed >= 4 { 1200 } else { 400 }, Duration::from_secs(700));
        let mut app = run.machine.app;
        let command = c4_ref::admin::Command { method: "stats".into(), params: serde_json::Value::Null };
        let stats = app.handle_command(start + Duration::from_secs(86_400), &command).unwrap().unwrap();
        for gauge in ["transactions", "contexts", "contacts"] {
            assert_eq!(stats[gauge], 0, "{gauge} after the longest registration, seed {seed}");
        }
        if seed >= 4 {
            assert!(
                stats["media"]["answers"].as_u64() > Some(0) && stats["media"]["offers"].as_u64() > Some(30),
                "seed {seed}: {}",
                stats["media"]
            );
            assert_eq!(
                (&stats["media"]["waiting"], &stats["media"]["anchoring"]),
                (&0.into(), &0.into()),
                "seed {seed}"
            );
        }
    }
}
