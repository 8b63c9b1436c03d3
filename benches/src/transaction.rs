//! Calls between two transaction layers: what INVITE, 180, 200, ACK, BYE and 200 cost both sides together.

use crate::register::Operation;
use bytes::Bytes;
use sip_core::header::Header;
use sip_core::transaction::{Config, Event, Input, Layer, Transmit};
use sip_core::{Checked, Flow, Limits, Message, Method, Request, Response, StatusCode, Transport};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Their names, without making their state.
pub const NAMES: [&str; 3] = ["transaction/call", "transaction/call-messages", "transaction/options"];

/// The operation of that name.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut pair = Pair::new()?;
    let run: Box<dyn FnMut() -> usize> = match name {
        "transaction/call" => Box::new(move || pair.call()),
        "transaction/options" => Box::new(move || pair.options()),
        _ => {
            pair.call();
            let messages = std::mem::take(&mut pair.seen);
            Box::new(move || messages.iter().filter_map(parse).count())
        }
    };
    Some((name, run))
}

/// How far calls are apart: what lingers for 32 s is some 640 calls, and as many are freed as are made.
const STEP: Duration = Duration::from_millis(50);

struct Pair {
    client: Layer,
    server: Layer,
    now: Instant,
    requests: Vec<[Request; 4]>,
    next: usize,
    /// The octets of one call.
    seen: Vec<Bytes>,
}

impl Pair {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Option<Pair> {
        let now = Instant::now();
        let requests = (0..64)
            .map(|n| {
                Some([
                    request(n, Method::Invite)?,
                    request(n, Method::Ack)?,
                    request(n, Method::Bye)?,
                    request(n, Method::Options)?,
                ])
            })
            .collect::<Option<Vec<_>>>()?;
        let layer = |seed, local, sent_by| {
            let mut layer = Layer::new(Config::new([seed; 32]), now);
            layer.set_sent_by(Transport::Udp, local, sent_by);
            layer
        };
        let (client, server) = (layer(1, CLIENT, "192.0.2.1:5060"), layer(2, SERVER, "192.0.2.9:5060"));
        Some(Pair { client, server, now, requests, next: 0, seen: Vec::new() })
    }

    /// The octets that the client received and sent in one call.
    fn call(&mut self) -> usize {
        let Some([invite, ack, bye, _]) = self.turn() else { return 0 };
        let mut octets = self.transact(invite, &[StatusCode::RINGING, StatusCode::OK]);
        if self.client.send(self.now, ack, flow(CLIENT, SERVER)).is_ok() {
            self.carry(true);
            octets += self.server.poll_event().map_or(0, |_| 1);
        }
        octets + self.transact(bye, &[StatusCode::OK])
    }

    fn options(&mut self) -> usize {
        let Some([.., options]) = self.turn() else { return 0 };
        self.transact(options, &[StatusCode::OK])
    }

    /// The next requests; time passes.
    fn turn(&mut self) -> Option<[Request; 4]> {
        self.now += STEP;
        self.seen.clear();
        for layer in [&mut self.client, &mut self.server] {
            layer.handle_timeout(self.now);
            while layer.poll_event().is_some() {}
        }
        self.next = (self.next + 1) % self.requests.len();
        self.requests.get(self.next).cloned()
    }

    fn transact(&mut self, request: Request, statuses: &[StatusCode]) -> usize {
        if self.client.request(self.now, request, flow(CLIENT, SERVER)).is_err() {
            return 0;
        }
        self.carry(true);
        let Some(Event::Request { id, request, .. }) = self.server.poll_event() else { return 0 };
        let mut octets = 0;
        for status in statuses {
            let mut response: Response = request.response(*status);
            if response.set_to_tag("a6c85cf").is_err() || self.server.respond(self.now, id, response).is_err() {
                return 0;
            }
            self.carry(false);
            if let Some(Event::Response { response, .. }) = self.client.poll_event() {
                octets += usize::from(response.status().code());
            }
        }
        octets
    }

    /// Takes one message across, to the server or to the client.
    fn carry(&mut self, to_server: bool) -> Option<()> {
        let (from, to) =
            if to_server { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) };
        let Transmit { payload, flow, .. } = from.poll_transmit()?;
        self.seen.push(payload.clone());
        let message = parse(&payload)?;
        to.handle_input(self.now, Input { flow: self::flow(flow.remote, flow.local), message }).ok()?;
        Some(())
    }
}

fn parse(octets: &Bytes) -> Option<Checked> {
    Message::parse(octets.clone(), &Limits::default()).ok()?.check().ok()
}

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5060);
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 5060);

fn flow(local: SocketAddr, remote: SocketAddr) -> Flow {
    Flow::udp(local, remote)
}

/// A request of usual size; the INVITE has a body of 500 octets.
fn request(n: usize, method: Method) -> Option<Request> {
    let cseq = format!("{} {method}", if method == Method::Bye { 2 } else { 1 });
    let builder = Message::request(method.clone(), "sip:bob@192.0.2.9:5060")
        .header(Header::MaxForwards, "70")
        .header(Header::From, "\"Alice\" <sip:alice@atlanta.example.com>;tag=1928301774")
        .header(Header::To, "<sip:bob@biloxi.example.com>")
        .header(Header::CallId, format!("a84b4c76e66710-{n}@pc33.atlanta.example.com"))
        .header(Header::CSeq, cseq)
        .header(Header::Contact, "<sip:alice@192.0.2.1:5060>")
        .header(Header::UserAgent, "Phone 5.0.1")
        .header(Header::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK");
    if method == Method::Invite { builder.body("application/sdp", vec![b'x'; 500]) } else { builder }.request().ok()
}
