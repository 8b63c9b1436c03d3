//! The relay on a virtual clock, with sockets that are always there.

mod calls;
mod contract;
mod flags;
mod spray;
mod statistics;
mod vectors;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::media::{self, Packet, Pair, PairId, SocketId, Verdict};
use super::{Event, Relay, RequestId, Sessions, Settings, Timeouts};
use crate::config::Interface;
use crate::ng::{Command, Reply, Request};

#[allow(clippy::disallowed_methods, reason = "some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn interface(name: &str, bind: &str, advertise: Option<&str>) -> Interface {
    let advertise = advertise.map(|address| address.parse().unwrap());
    Interface { name: name.into(), bind: bind.parse().unwrap(), advertise }
}

fn settings() -> Settings {
    Settings {
        media: media::Settings { ports: (20_000, 20_999), worker: 0, workers: 1, key: [7; 16] },
        interfaces: vec![
            interface("int", "127.0.0.1", None),
            interface("ext", "127.0.0.1", Some("203.0.113.7")),
            interface("int", "::1", None),
        ],
        tos: 184,
        timeouts: Timeouts {
            media: Duration::from_secs(60),
            silent: Duration::from_secs(3600),
            offer: Duration::from_secs(300),
            delete_delay: Duration::from_secs(30),
        },
        sessions: Sessions::new(0),
        mark: "relay1".into(),
        unix: Duration::from_secs(1_800_000_000),
    }
}

/// A relay with an opener, and the socket pairs that are open.
struct House {
    relay: Relay,
    now: Instant,
    asked: u64,
    open: BTreeMap<PairId, Pair>,
    /// Answers for the next openings; then all succeed.
    refusals: Vec<io::ErrorKind>,
    /// Openings are not answered.
    held: Option<Vec<Pair>>,
    events: Vec<Event>,
    tos: BTreeMap<PairId, u8>,
    pierced: Vec<(SocketId, SocketAddr)>,
    sent: u16,
}

impl House {
    fn new(settings: Settings) -> House {
        let now = start();
        let relay = Relay::new(now, settings);
        let (open, refusals, events) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (tos, pierced) = (BTreeMap::new(), Vec::new());
        House { relay, now, asked: 0, open, refusals, held: None, events, tos, pierced, sent: 0 }
    }

    fn drain(&mut self) {
        while let Some(event) = self.relay.media().poll_event() {
            match event {
                media::Event::Open { pair, tos } => {
                    self.tos.insert(pair.id, tos);
                    match self.held.as_mut() {
                        Some(held) => held.push(pair),
                        None => self.opened(pair),
                    }
                }
                media::Event::Close { pair } => drop(self.open.remove(&pair.id)),
                media::Event::Tos { pair, tos } => drop(self.tos.insert(pair.id, tos)),
                media::Event::Pierce { socket, to } => self.pierced.push((socket, to)),
            }
        }
        self.events.extend(std::iter::from_fn(|| self.relay.poll_event()));
    }

    fn opened(&mut self, pair: Pair) {
        let result = self.refusals.pop().map_or(Ok(()), Err);
        if result.is_ok() {
            self.open.insert(pair.id, pair);
        }
        self.relay.handle_open_done(self.now, pair.id, result);
    }

    fn release(&mut self) {
        for pair in self.held.take().unwrap_or_default() {
            self.opened(pair);
        }
        self.drain();
    }

    fn send(&mut self, request: Request) -> RequestId {
        self.asked += 1;
        self.relay.handle_request(self.now, RequestId(self.asked), request);
        self.drain();
        RequestId(self.asked)
    }

    fn reply_to(&mut self, id: RequestId) -> Option<Reply> {
        let at = self.events.iter().position(|event| matches!(event, Event::Reply { id: of, .. } if *of == id))?;
        match self.events.remove(at) {
            Event::Reply { reply, .. } => Some(reply),
            _ => None,
        }
    }

    fn ask(&mut self, request: Request) -> Reply {
        let id = self.send(request);
        self.reply_to(id).expect("a reply")
    }

    /// The pair on a port.
    fn on(&self, port: u16) -> Pair {
        self.open.values().find(|pair| pair.local.port() == port).copied().expect("an open pair")
    }

    /// RTP from somewhere to the socket on a port: where it goes on to, if it does.
    fn rtp(&mut self, port: u16, from: &str) -> Option<SocketAddr> {
        let socket = self.on(port).rtp;
        let mut packet = Packet::new();
        self.sent += 1;
        let [high, low] = self.sent.to_be_bytes();
        packet.fill(&[0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, 9, 0xff]);
        match self.relay.media().forward(self.now, socket, from.parse().unwrap(), &mut packet) {
            Verdict::Send { to, .. } => Some(to),
            _ => None,
        }
    }

    /// An answered call: the ports that face A and B.
    fn call(&mut self) -> (u16, u16) {
        let to_b = port(&self.ask(offer("a", None, sdp(A, 4000))));
        let to_a = port(&self.ask(answer("a", "b", sdp(B, 5000))));
        (to_a, to_b)
    }

    /// Time passes, with all timers on the way.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.relay.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.relay.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
}

const A: &str = "192.0.2.1";
const B: &str = "198.51.100.2";

fn at(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

fn sdp(address: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
    )
}

fn offer(from: &str, to: Option<&str>, sdp: impl Into<Bytes>) -> Request {
    let mut request = Request::new(Command::Offer, "c1");
    (request.from_tag, request.to_tag, request.sdp) = (from.into(), to.map(Into::into), sdp.into());
    request
}

fn answer(from: &str, to: &str, sdp: impl Into<Bytes>) -> Request {
    Request { command: Command::Answer, ..offer(from, Some(to), sdp) }
}

fn delete(from: &str, to: Option<&str>) -> Request {
    Request { command: Command::Delete, ..offer(from, to, "") }
}

fn query() -> Request {
    Request::new(Command::Query, "c1")
}

/// The port of the first line.
fn port(reply: &Reply) -> u16 {
    let text = String::from_utf8(reply.sdp().unwrap_or_else(|| panic!("{reply:?}")).to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap().to_owned();
    line.split(' ').next().unwrap().parse().unwrap()
}
