//! One layer with a clock, and short ways to say what comes in and what must go out.

use c4_sip_core::header::Header;
use c4_sip_core::transaction::{ClientId, Config, Event, Input, Layer, Rejected, ServerId, TransmitId};
use c4_sip_core::{
    Checked, ConnectionId, Destination, Flow, Limits, Message, Method, Request, Response, StatusCode, Target, Transport,
};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::Clock;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The peer's datagram flow.
pub(crate) fn udp() -> Flow {
    Flow::udp(addr("192.0.2.9:5060"), addr("192.0.2.1:5060"))
}

/// The peer's stream with this number.
pub(crate) fn tcp(connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: addr("192.0.2.9:5060"),
        remote: addr("192.0.2.1:40000"),
        connection: Some(ConnectionId(connection)),
    }
}

pub(crate) fn tcp_target() -> Target {
    Target::new(Transport::Tcp, addr("192.0.2.1:5060"))
}

/// A request as a peer sends it; `via` is what follows the transport.
pub(crate) fn incoming(method: &str, transport: Transport, via: &str) -> String {
    let to = if matches!(method, "BYE" | "ACK") { ";tag=ours" } else { "" };
    format!(
        "{method} sip:b@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/{transport} {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=theirs\r\nTo: <sip:b@example.com>{to}\r\nCall-ID: call@192.0.2.1\r\n\
         CSeq: 7 {}\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n",
        if method == "ACK" { "ACK" } else { method },
    )
}

/// The usual Via of the peer over UDP.
pub(crate) const VIA: &str = "192.0.2.1:5060;branch=z9hG4bKpeer;rport";

pub(crate) fn parse(text: &str) -> Checked {
    Message::parse(text.to_owned().into(), &Limits::default()).unwrap().check().unwrap()
}

/// A request of our own.
pub(crate) fn outgoing(method: Method) -> Request {
    let cseq = format!("3 {method}");
    Message::request(method, "sip:a@192.0.2.1")
        .header(Header::Route, "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
        .header(Header::MaxForwards, "70")
        .header(Header::From, "<sip:b@example.com>;tag=ours")
        .header(Header::To, "<sip:a@example.com>")
        .header(Header::CallId, "out@192.0.2.9")
        .header(Header::CSeq, cseq)
        .header(Header::Contact, "<sip:b@192.0.2.9>")
        .request()
        .unwrap()
}

/// The answer to a request of ours, as its octets.
pub(crate) fn answer(request: &str, status: u16) -> Response {
    let Checked::Request(request) = parse(request) else { panic!("a request: {request}") };
    let mut response = request.response(StatusCode::new(status).unwrap());
    if status > 100 {
        response.set_to_tag("far").unwrap();
    }
    response
}

/// Something sent: when, by which name, over which flow, and the text.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) id: TransmitId,
    pub(crate) flow: Flow,
    pub(crate) text: String,
}

impl Sent {
    pub(crate) fn start_line(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    pub(crate) fn message(&self) -> Message {
        parse(&self.text).into_message()
    }

    pub(crate) fn header(&self, name: Header) -> String {
        String::from_utf8(self.message().header(name).unwrap_or_default().to_vec()).unwrap()
    }
}

pub(crate) struct Rig {
    pub(crate) layer: Layer,
    pub(crate) clock: Clock,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Rig {
        let clock = Clock::new();
        let mut config = Config::new([42; 32]);
        config.shard = 5;
        change(&mut config);
        let mut layer = Layer::new(config, clock.now());
        layer.set_sent_by(Transport::Udp, addr("192.0.2.9:5060"), "b.example:5060");
        layer.set_sent_by(Transport::Tcp, addr("192.0.2.9:5060"), "b.example:5060");
        Rig { layer, clock }
    }

    pub(crate) fn input(&mut self, flow: Flow, message: Checked) -> Result<(), Rejected> {
        self.layer.handle_input(self.clock.now(), Input { flow, message })
    }

    /// A message arrives.
    pub(crate) fn receive(&mut self, flow: Flow, message: impl Into<Checked>) {
        self.input(flow, message.into()).unwrap();
    }

    /// A request arrives and is new.
    pub(crate) fn arrives(&mut self, flow: Flow, text: &str) -> (ServerId, Request) {
        self.receive(flow, parse(text));
        match self.events().as_slice() {
            [Event::Request { id, request, .. }] => (*id, request.clone()),
            other => panic!("not a new request: {other:?}"),
        }
    }

    pub(crate) fn respond(&mut self, id: ServerId, request: &Request, status: u16) {
        let mut response = request.response(StatusCode::new(status).unwrap());
        if status > 100 {
            response.set_to_tag("ours").unwrap();
        }
        self.layer.respond(self.clock.now(), id, response).unwrap();
    }

    /// Sends a request and hands back its octets.
    pub(crate) fn request(&mut self, method: Method, to: impl Into<Destination>) -> (ClientId, Sent) {
        let id = self.layer.request(self.clock.now(), outgoing(method), to).unwrap();
        let sent = self.sent();
        assert_eq!(sent.len(), 1);
        (id, sent.into_iter().next().unwrap())
    }

    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let at = self.clock.elapsed();
        std::iter::from_fn(|| self.layer.poll_transmit())
            .map(|t| Sent { at, id: t.id, flow: t.flow, text: String::from_utf8(t.payload.to_vec()).unwrap() })
            .collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.layer.poll_event()).collect()
    }

    /// Lets time pass up to this time since the beginning, with every timer at its time; what was sent on the way.
    pub(crate) fn run(&mut self, until: Duration) -> Vec<Sent> {
        let mut sent = self.sent();
        let until = self.clock.at(until);
        loop {
            // Events are kept for the test to look at, which would hide the timers: a copy without them tells the time.
            let mut copy = self.layer.clone();
            while copy.poll_event().is_some() {}
            let next = copy.poll_timeout().filter(|at| *at <= until);
            self.clock.advance_to(next.unwrap_or(until));
            self.layer.handle_timeout(self.clock.now());
            sent.extend(self.sent());
            if next.is_none() {
                return sent;
            }
        }
    }

    /// The statuses of the Response events among these.
    pub(crate) fn statuses(&mut self) -> Vec<u16> {
        self.events()
            .iter()
            .filter_map(|event| match event {
                Event::Response { response, .. } => Some(response.status().code()),
                _ => None,
            })
            .collect()
    }

    /// The names of the events.
    pub(crate) fn kinds(&mut self) -> Vec<String> {
        self.events().iter().map(kind).collect()
    }
}

pub(crate) fn kind(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

pub(crate) fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|sent| sent.at.as_millis() as u64).collect()
}
