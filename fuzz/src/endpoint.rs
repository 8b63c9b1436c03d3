//! Endpoint sequences: any messages, commands and clock steps into a transaction layer, which must keep its contract and
//! be empty at the end.
//!
//! The octets are steps between `%%`; the first octet of a step is its verb, the second a small number for it:
//! `M` a message, `T` time passes (milliseconds in decimal), `Q` a request of ours, `C` cancels one, `R` responds to one,
//! `A` the peer answers one, `K` a connection is had or refused, `X` a connection is lost, `F` a transmit failed.

use bytes::Bytes;
use sip_core::header::Header;
use sip_core::transaction::{ClientId, Config, ConnectId, Event, Input, Layer, ServerId, Transmit};
use sip_core::{
    Checked, ConnectionId, Destination, Flow, Limits, Message, Method, Request, StatusCode, Target, Transport,
};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const OURS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

/// Any steps.
pub fn run(octets: &[u8]) {
    let mut endpoint = Endpoint::new();
    let mut rest = octets;
    while let Some(at) = rest.windows(2).position(|window| window == b"%%") {
        endpoint.step(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    endpoint.step(rest);
    endpoint.finish();
}

struct Endpoint {
    layer: Layer,
    now: Instant,
    /// Server transactions that wait for their final response.
    servers: BTreeMap<ServerId, Request>,
    clients: BTreeMap<ClientId, ()>,
    connects: Vec<ConnectId>,
    sent: Vec<Transmit>,
}

impl Endpoint {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Endpoint {
        let now = Instant::now();
        let mut config = Config::new([1; 32]);
        config.max_transactions = 64;
        config.max_output = 64;
        config.max_connecting = 16_384;
        config.reply_connect = true;
        let mut layer = Layer::new(config, now);
        layer.set_sent_by(Transport::Udp, OURS, "b.example");
        let (servers, clients) = (BTreeMap::new(), BTreeMap::new());
        Endpoint { layer, now, servers, clients, connects: Vec::new(), sent: Vec::new() }
    }

    fn step(&mut self, step: &[u8]) {
        let [verb, number, rest @ ..] = step else { return };
        let number = usize::from(*number);
        match verb {
            b'M' => {
                let message = Message::parse(Bytes::copy_from_slice(rest), &Limits::default());
                if let Some(message) = message.ok().and_then(|message| message.check().ok()) {
                    _ = self.layer.handle_input(self.now, Input { flow: flow(number), message });
                }
            }
            b'T' => {
                let ms = std::str::from_utf8(rest).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(100u64);
                self.pass(Duration::from_millis(ms.min(1 << 32)));
            }
            b'Q' => self.request(number),
            b'C' => {
                if let Some(id) = nth(self.clients.keys(), number) {
                    _ = self.layer.cancel(self.now, *id, (number % 2 == 0).then_some("SIP;cause=200"));
                }
            }
            b'R' => {
                if let Some((id, request)) = nth(self.servers.iter(), number) {
                    _ = self.layer.respond(self.now, *id, request.response(status(rest)));
                }
            }
            b'A' => self.answer(number, status(rest)),
            b'K' => {
                let result = if rest.is_empty() { Ok(flow(number | 1)) } else { Err(ErrorKind::ConnectionRefused) };
                if let Some(id) = nth(self.connects.iter(), number) {
                    self.layer.handle_connect_done(self.now, *id, result);
                }
            }
            b'X' => self.layer.handle_flow_closed(self.now, flow(number | 1)),
            b'F' => {
                if let Some(transmit) = nth(self.sent.iter(), number) {
                    self.layer.handle_transmit_failed(self.now, transmit.id, ErrorKind::BrokenPipe);
                }
            }
            _ => {}
        }
        if verb.is_ascii_uppercase() && number % 3 != 0 {
            self.drain();
        }
    }

    fn request(&mut self, number: usize) {
        let method = match number % 4 {
            0 | 1 => Method::Invite,
            2 => Method::Options,
            _ => Method::Ack,
        };
        let request = Message::request(method.clone(), "sip:a@192.0.2.1")
            .header(Header::MaxForwards, "70")
            .header(Header::From, "<sip:b@example.com>;tag=1")
            .header(Header::To, "<sip:a@example.com>")
            .header(Header::CallId, "fuzz")
            .header(Header::CSeq, format!("1 {method}"))
            .request()
            .expect("a request");
        let to: Destination = match number / 4 % 2 {
            0 => flow(number / 8).into(),
            _ => Target::new(Transport::Tcp, PEER).into(),
        };
        if method == Method::Ack {
            _ = self.layer.send(self.now, request, to);
        } else if let Ok(id) = self.layer.request(self.now, request, to) {
            assert!(self.clients.insert(id, ()).is_none(), "a name is used once");
        }
    }

    /// The peer answers something that was sent.
    fn answer(&mut self, number: usize, status: StatusCode) {
        let Some(transmit) = nth(self.sent.iter(), number) else { return };
        let flow = transmit.flow;
        let message = Message::parse(transmit.payload.clone(), &Limits::default()).ok().and_then(|m| m.check().ok());
        // What the layer sends is well-formed, whatever came in.
        match message.expect("well-formed") {
            Checked::Request(request) => {
                let message = request.response(status).into();
                _ = self.layer.handle_input(self.now, Input { flow, message });
            }
            Checked::Response(_) => {}
        }
    }

    fn pass(&mut self, by: Duration) {
        self.drain();
        let end = self.now + by;
        for _ in 0..100_000 {
            let next = self.layer.poll_timeout().filter(|next| *next <= end);
            self.now = next.unwrap_or(end);
            self.layer.handle_timeout(self.now);
            self.drain();
            assert!(self.layer.poll_timeout().is_none_or(|next| next > self.now), "no busy loop");
            if next.is_none() {
                return;
            }
        }
        panic!("timers fire without end");
    }

    fn drain(&mut self) {
        while let Some(event) = self.layer.poll_event() {
            match event {
                Event::Request { id, request, .. } => {
                    assert!(self.servers.insert(id, request).is_none(), "a name is used once");
                }
                Event::ClientEnded { id } => assert!(self.clients.remove(&id).is_some(), "ends once"),
                // The answer to a CANCEL is the layer's, and so is that transaction.
                Event::ServerEnded { id } => _ = self.servers.remove(&id),
                Event::Connect { id, .. } => self.connects.push(id),
                _ => {}
            }
        }
        while let Some(transmit) = self.layer.poll_transmit() {
            self.sent.push(transmit);
        }
        let surplus = self.sent.len().saturating_sub(256);
        self.sent.drain(..surplus);
    }

    /// Every user answers or gives up; then nothing may be left.
    fn finish(&mut self) {
        self.drain();
        for id in self.clients.keys() {
            _ = self.layer.cancel(self.now, *id, None);
        }
        for (id, request) in &self.servers {
            _ = self.layer.respond(self.now, *id, request.response(StatusCode::SERVICE_UNAVAILABLE));
        }
        self.pass(Duration::from_secs(200));
        let stats = self.layer.stats();
        assert!(self.layer.is_idle(), "{stats:?}");
        assert_eq!((stats.current, stats.waiting, stats.created), (0, 0, stats.freed));
        assert!(self.clients.is_empty() && self.servers.is_empty(), "each ends with an event");
        assert!(self.layer.poll_timeout().is_none());
    }
}

/// UDP for even numbers, else one of four connections.
fn flow(number: usize) -> Flow {
    if number.is_multiple_of(2) {
        return Flow::udp(OURS, PEER);
    }
    let connection = Some(ConnectionId(1 + number as u64 / 2 % 4));
    Flow { transport: Transport::Tcp, local: OURS, remote: PEER, connection }
}

fn status(text: &[u8]) -> StatusCode {
    let code = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    code.and_then(StatusCode::new).unwrap_or(StatusCode::OK)
}

fn nth<T>(mut of: impl ExactSizeIterator<Item = T>, number: usize) -> Option<T> {
    let len = of.len();
    if len == 0 { None } else { of.nth(number % len) }
}
