//! A proxy between a caller and some callees, on a virtual clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_sip_core::proxy::{Branch, BranchRef, Config, ContextId, Event, Locals, Proxy};
use c4_sip_core::transaction::{self, Input, Layer};
use c4_sip_core::{Checked, Flow, Limits, Message, Request, Response, StatusCode, Target, Transport};

pub(crate) const US: &str = "192.0.2.9:5060";
pub(crate) const CALLER: &str = "192.0.2.1:5060";

/// What was put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) message: Checked,
}

pub(crate) struct Rig {
    us: SocketAddr,
    pub(crate) layer: Layer,
    pub(crate) proxy: Proxy,
    pub(crate) now: Instant,
    /// Not yet looked at by the test.
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
    /// Events of the layer that were none of the proxy's.
    pub(crate) back: Vec<transaction::Event>,
    pub(crate) contexts: Vec<ContextId>,
    pub(crate) refused: Vec<StatusCode>,
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The `n`th callee.
pub(crate) fn callee(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, n], 5060))
}

/// A branch to the `n`th callee.
pub(crate) fn to(n: u8) -> Branch {
    let target = Target::new(Transport::Udp, callee(n));
    Branch { user: u64::from(n), ..Branch::to(&format!("sip:b{n}@198.51.100.{n}"), target) }
}

pub(crate) fn at(n: u8, q: u16) -> Branch {
    Branch { q, ..to(n) }
}

pub(crate) fn parse(text: &str) -> Checked {
    let octets = text.replace('\n', "\r\n");
    Message::parse(octets.into(), &Limits::default()).unwrap().check().unwrap()
}

/// A request of the caller's; `lines` are more header lines, each with its line end.
pub(crate) fn request_text(method: &str, uri: &str, branch: &str, lines: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}\n{lines}From: <sip:a@example.com>;tag=a1\nTo: <sip:b@example.com>\nCall-ID: call@example.com\nCSeq: 1 {method}\nContact: <sip:a@192.0.2.1>\nContent-Length: 0\n\n"
    )
}

pub(crate) fn invite() -> String {
    request_text("INVITE", "sip:b@example.com", "1", "Max-Forwards: 70\n")
}

pub(crate) fn locals() -> Locals {
    let mut locals = Locals::default();
    locals.add_address(address(US));
    locals.add_host("proxy.example.com", None);
    locals
}

pub(crate) fn config() -> Config {
    Config { seed: [5; 32], locals: locals(), ..Config::default() }
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with(config())
    }

    pub(crate) fn with(config: Config) -> Rig {
        Rig::at(address(US), config)
    }

    /// A proxy with another address.
    pub(crate) fn at(us: SocketAddr, config: Config) -> Rig {
        #[allow(clippy::disallowed_methods, reason = "the base of the virtual clock")]
        let now = Instant::now();
        let mut layer = Layer::new(transaction::Config::new([3; 32]), now);
        layer.set_sent_by(Transport::Udp, us, &us.to_string());
        Rig {
            us,
            layer,
            proxy: Proxy::new(config, now),
            now,
            sent: Vec::new(),
            events: Vec::new(),
            back: Vec::new(),
            contexts: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The caller sends; what it wants is routed by nobody yet.
    pub(crate) fn caller(&mut self, text: &str) {
        self.input(address(CALLER), parse(text));
    }

    /// The caller sends an INVITE, which goes to these.
    pub(crate) fn call(&mut self, targets: Vec<Branch>) -> ContextId {
        self.caller(&invite());
        let id = *self.contexts.last().unwrap();
        self.forward(id, targets);
        id
    }

    pub(crate) fn forward(&mut self, id: ContextId, targets: Vec<Branch>) {
        self.proxy.forward(self.now, &mut self.layer, id, targets).unwrap();
        self.run();
    }

    pub(crate) fn input(&mut self, from: SocketAddr, message: Checked) {
        let flow = Flow::udp(self.us, from);
        self.layer.handle_input(self.now, Input { flow, message }).unwrap();
        self.run();
    }

    /// A callee answers a request that it got.
    pub(crate) fn answer(&mut self, request: &Request, code: u16) {
        self.respond(&reply(request, code), request);
    }

    /// The same with a response of the test's making.
    pub(crate) fn respond(&mut self, response: &Response, request: &Request) {
        let from = request_target(request);
        self.input(from, Checked::Response(reparse(response)));
    }

    /// A response comes in; its event is not given to the proxy.
    pub(crate) fn held(&mut self, response: &Response, request: &Request) -> transaction::Event {
        let flow = Flow::udp(self.us, request_target(request));
        let message = Checked::Response(reparse(response));
        self.layer.handle_input(self.now, Input { flow, message }).unwrap();
        self.layer.poll_event().unwrap()
    }

    /// What was held goes on.
    pub(crate) fn give(&mut self, event: transaction::Event) {
        assert!(self.proxy.handle_event(self.now, &mut self.layer, event).is_none());
        self.run();
    }

    /// Drains everything to the proxy and to the test.
    pub(crate) fn run(&mut self) {
        loop {
            let mut busy = false;
            while let Some(event) = self.layer.poll_event() {
                busy = true;
                match self.proxy.handle_event(self.now, &mut self.layer, event) {
                    Some(transaction::Event::Request { id, request, .. }) => {
                        match self.proxy.request(self.now, &mut self.layer, id, request) {
                            Ok(context) => self.contexts.push(context),
                            Err(rejected) => self.refused.push(rejected.status()),
                        }
                    }
                    Some(event) => self.back.push(event),
                    None => {}
                }
            }
            while let Some(event) = self.proxy.poll_event() {
                busy = true;
                self.events.push(event);
            }
            while let Some(transmit) = self.layer.poll_transmit() {
                busy = true;
                let message = Message::parse(transmit.payload, &Limits::default()).unwrap().check().unwrap();
                self.sent.push(Sent { to: transmit.flow.remote, message });
            }
            if !busy {
                return;
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.layer.poll_timeout(), self.proxy.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            self.layer.handle_timeout(self.now);
            self.proxy.handle_timeout(self.now, &mut self.layer);
            self.run();
            let again = [self.layer.poll_timeout(), self.proxy.poll_timeout()].into_iter().flatten().min();
            assert!(again.is_none_or(|at| at > self.now), "a busy loop at a timer");
        }
        self.now = end;
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Requests of a method sent since the last look, in order; other messages stay.
    pub(crate) fn requests(&mut self, method: &str) -> Vec<Request> {
        self.take(|sent| match &sent.message {
            Checked::Request(request) if request.method().as_str() == method => Some(request.clone()),
            _ => None,
        })
    }

    /// The only request of a method sent since the last look.
    pub(crate) fn one(&mut self, method: &str) -> Request {
        let mut requests = self.requests(method);
        assert_eq!(requests.len(), 1, "{method}: {requests:?}");
        requests.remove(0)
    }

    /// Responses sent to the caller since the last look.
    pub(crate) fn responses(&mut self) -> Vec<Response> {
        self.take(|sent| match &sent.message {
            Checked::Response(response) if sent.to == address(CALLER) => Some(response.clone()),
            _ => None,
        })
    }

    /// Their status codes, without the 200 to CANCEL.
    pub(crate) fn codes(&mut self) -> Vec<u16> {
        let responses = self.responses();
        let to_cancel = |r: &&Response| r.cseq().method.as_str() != "CANCEL";
        responses.iter().filter(to_cancel).map(|r| r.status().code()).collect()
    }

    fn take<T>(&mut self, pick: impl Fn(&Sent) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        self.sent.retain(|sent| match pick(sent) {
            Some(item) => {
                found.push(item);
                false
            }
            None => true,
        });
        found
    }

    /// How contexts ended since the last look.
    pub(crate) fn finished(&mut self) -> Vec<c4_sip_core::proxy::Outcome> {
        let mut found = Vec::new();
        self.events.retain(|event| match event {
            Event::Finished { outcome, .. } => {
                found.push(outcome.clone());
                false
            }
            _ => true,
        });
        found
    }

    /// Who failed since the last look: the branch's mark and what it counts as.
    pub(crate) fn failed(&self) -> Vec<(u64, u16)> {
        let failed = self.events.iter().filter_map(|event| match event {
            Event::BranchFailed { branch: BranchRef { user, .. }, status, .. } => Some((*user, status.code())),
            _ => None,
        });
        failed.collect()
    }

    /// Nothing is left, now or once all timers have run.
    pub(crate) fn assert_idle(&mut self) {
        assert_eq!(self.proxy.stats().contexts, 0, "a context is left");
        self.seconds(400);
        assert!(self.layer.is_idle(), "a transaction is left: {:?}", self.layer.stats());
        assert!(self.proxy.is_idle(), "the proxy keeps something: {:?}", self.proxy.stats());
        assert_eq!(self.proxy.poll_timeout(), None);
    }
}

/// The response of a callee, with a To tag of its own.
pub(crate) fn reply(request: &Request, code: u16) -> Response {
    let mut response = request.response(StatusCode::new(code).unwrap());
    if code > 100 {
        let tag = format!("t{}", request_target(request).ip()).replace('.', "-");
        response.set_to_tag(&tag).unwrap();
    }
    response
}

/// Where a branch went: callees are known by their Request-URI.
pub(crate) fn request_target(request: &Request) -> SocketAddr {
    let uri = c4_sip_core::uri::Uri::parse(request.uri()).unwrap();
    SocketAddr::new(uri.host.ip().unwrap(), 5060)
}

/// As it arrives: parsed from its octets.
pub(crate) fn reparse(response: &Response) -> Response {
    match Message::parse(response.to_bytes(), &Limits::default()).unwrap().check().unwrap() {
        Checked::Response(response) => response,
        Checked::Request(_) => unreachable!("a response was written"),
    }
}
