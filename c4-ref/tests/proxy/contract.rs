//! The calling contract, held by the shared property test.

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
struct Subject(App);

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
        match step {
            Step::Message(flow, text) => {
                if let Ok(message) = Message::parse(text.clone().into(), &Limits::default()) {
                    self.0.handle_message(now, *flow, message);
                }
            }
            Step::Closed(flow) => self.0.handle_flow_closed(now, *flow),
            Step::Datagram(socket, from, payload) => {
                self.0.handle_datagram(now, *socket, *from, payload.clone());
            }
            Step::Connected(id, flow) => {
                self.0.handle_connect_done(now, *id, flow.ok_or(std::io::ErrorKind::ConnectionRefused));
            }
        }
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<(Flow, String)> {
        let Some(transmit) = self.0.poll_transmit() else {
            let datagram = self.0.poll_datagram()?;
            let flow = Flow::udp(address("0.0.0.0:0"), datagram.to);
            return Some((flow, String::from_utf8_lossy(&datagram.payload).into_owned()));
        };
        Some((transmit.flow, String::from_utf8_lossy(&transmit.payload).into_owned()))
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
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
        let (from, text) = self.asked.swap_remove(dice.below(self.asked.len() as u64) as usize);
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
        let delay = *dice.pick(&[0, 0, 0, 1, 40, 700, 33_000]).unwrap();
        let mut flow = Flow::udp(PROXY.parse().unwrap(), dice.pick(&ADDRESSES).unwrap().parse().unwrap());
        if dice.chance(0.1) {
            flow = crate::harness::tcp_flow(dice.below(3), "192.0.2.4:40000");
        }
        if dice.chance(0.5) && !self.asked.is_empty() {
            return (Duration::from_millis(delay.min(700)), self.relay(dice));
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
    for (seed, mut config) in [(1, open()), (2, open()), (3, config()), (4, relayed()), (5, relayed())] {
        config.registrar.max_expires_s = 600;
        let make = || {
            let (_, mut apps) = shards(settings(&config), 1, [5; 32], start, UNIX).unwrap();
            Subject(apps.pop().unwrap())
        };
        let run = check(make, Phones::default(), start, seed, 400, Duration::from_secs(700));
        let mut app = run.machine.0;
        let command = c4_ref::admin::Command { method: "stats".into(), params: serde_json::Value::Null };
        let stats = app.handle_command(start + Duration::from_secs(86_400), &command).unwrap().unwrap();
        for gauge in ["transactions", "contexts", "contacts"] {
            assert_eq!(stats[gauge], 0, "{gauge} after the longest registration, seed {seed}");
        }
        if seed >= 4 {
            assert!(stats["media"]["answers"].as_u64() > Some(10), "seed {seed}: {}", stats["media"]);
            assert_eq!(stats["media"]["waiting"], 0, "seed {seed}");
        }
    }
}
