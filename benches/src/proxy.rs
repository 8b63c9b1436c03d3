//! A call through the stateful proxy core: octets in, octets out, with the transactions of the last 32 s lingering.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use sip_core::proxy::{Branch, Config, Event, Locals, Proxy};
use sip_core::transaction::{self, Input, Layer, Transmit};
use sip_core::{Flow, Limits, Message, Target, Transport};

use crate::register::Operation;

const US: &str = "10.0.0.9:5060";
const CALLER: &str = "10.0.0.1:5060";
const CALLEE: &str = "10.0.0.2:5060";
const RECORD_ROUTE: &str = "<sip:10.0.0.9;lr;did=0123456789abcdef>";
/// A thousand calls a second.
const PACE: Duration = Duration::from_millis(1);
/// The body of an INVITE and of its 200.
pub(crate) const SDP: &str = "v=0\r\no=- 20518 0 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
    m=audio 54400 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

/// Their names, without making their state.
pub const NAMES: [&str; 2] = ["proxy/call", "proxy/options"];

/// The operation of that name: a whole call (INVITE 180 200 ACK, BYE 200: seven messages in, seven out), or an OPTIONS
/// with its 200.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut rig = Rig::new()?;
    match name {
        "proxy/call" => Some((name, Box::new(move || rig.call().unwrap_or(0)))),
        _ => Some((name, Box::new(move || rig.options().unwrap_or(0)))),
    }
}

struct Rig {
    layer: Layer,
    proxy: Proxy,
    now: Instant,
    calls: u64,
    caller: Flow,
    callee: Flow,
    limits: Limits,
}

impl Rig {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Option<Rig> {
        let now = Instant::now();
        let us = US.parse().ok()?;
        let mut layer = Layer::new(transaction::Config::new([1; 32]), now);
        layer.set_sent_by(Transport::Udp, us, US);
        let mut locals = Locals::default();
        locals.add_address(us);
        let proxy = Proxy::new(Config { seed: [2; 32], locals, ..Config::default() }, now);
        let caller = Flow::udp(us, CALLER.parse().ok()?);
        let callee = Flow::udp(us, CALLEE.parse().ok()?);
        Some(Rig { layer, proxy, now, calls: 0, caller, callee, limits: Limits::default() })
    }

    fn call(&mut self) -> Option<usize> {
        let n = self.next();
        let invite = self.input(self.caller, request("INVITE", "sip:b@example.com", n, "Max-Forwards: 70\r\n", SDP))?;
        self.input(self.callee, answer(&invite.payload, "180 Ringing", ""))?;
        let answered = self.input(self.callee, answer(&invite.payload, "200 OK", SDP))?;
        let route = "Route: <sip:10.0.0.9;lr;did=0123456789abcdef>\r\nMax-Forwards: 70\r\n";
        self.input(self.caller, request("ACK", "sip:b@10.0.0.2", n, route, ""))?;
        let bye = self.input(self.caller, request("BYE", "sip:b@10.0.0.2", n, route, ""))?;
        let last = self.input(self.callee, answer(&bye.payload, "200 OK", ""))?;
        Some(answered.payload.len() + last.payload.len())
    }

    fn options(&mut self) -> Option<usize> {
        let n = self.next();
        let request = self.input(self.caller, request("OPTIONS", "sip:b@10.0.0.2", n, "Max-Forwards: 70\r\n", ""))?;
        self.input(self.callee, answer(&request.payload, "200 OK", "")).map(|sent| sent.payload.len())
    }

    /// Time passes; what lingered long enough goes.
    fn next(&mut self) -> u64 {
        self.calls += 1;
        self.now += PACE;
        self.layer.handle_timeout(self.now);
        self.proxy.handle_timeout(self.now, &mut self.layer);
        while self.layer.poll_event().is_some() || self.layer.poll_transmit().is_some() {}
        self.calls
    }

    /// A message arrives; returns the one that leaves.
    fn input(&mut self, flow: Flow, octets: Bytes) -> Option<Transmit> {
        let message = Message::parse(octets, &self.limits).ok()?.check().ok()?;
        self.layer.handle_input(self.now, Input { flow, message }).ok()?;
        while let Some(event) = self.layer.poll_event() {
            match self.proxy.handle_event(self.now, &mut self.layer, event) {
                Some(transaction::Event::Request { id, request, .. }) => {
                    self.proxy.request(self.now, &mut self.layer, id, request).ok()?;
                }
                Some(transaction::Event::Ack { request, .. }) => {
                    self.proxy.forward_ack(self.now, &mut self.layer, request).ok()?;
                }
                _ => {}
            }
            while let Some(event) = self.proxy.poll_event() {
                if let Event::Route { id, in_dialog, .. } = event {
                    self.route(id, in_dialog)?;
                }
            }
        }
        let sent = self.layer.poll_transmit();
        while self.layer.poll_transmit().is_some() {}
        sent
    }

    fn route(&mut self, id: sip_core::proxy::ContextId, in_dialog: bool) -> Option<()> {
        if in_dialog {
            return self.proxy.relay(self.now, &mut self.layer, id).ok();
        }
        let target = Target::new(Transport::Udp, self.callee.remote);
        let branch = Branch { record_route: vec![RECORD_ROUTE.to_owned()], ..Branch::to("sip:b@10.0.0.2", target) };
        self.proxy.forward(self.now, &mut self.layer, id, vec![branch]).ok()
    }
}

/// A request of the caller's.
pub(crate) fn request(method: &str, uri: &str, n: u64, lines: &str, body: &str) -> Bytes {
    let tag = if uri.ends_with('2') { ";tag=callee" } else { "" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n};rport\r\n{lines}\
         From: \"A\" <sip:a@example.com>;tag=caller{n}\r\nTo: <sip:b@example.com>{tag}\r\nCall-ID: {n}@10.0.0.1\r\n\
         CSeq: 1 {method}\r\nContact: <sip:a@{CALLER}>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE\r\n\
         Supported: replaces, timer, 100rel\r\nUser-Agent: Phone 5.0.1\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Bytes::from(text)
}

/// The callee's answer, cut from the request with as little work as can be: its lines are not read.
pub(crate) fn answer(request: &[u8], status: &str, body: &str) -> Bytes {
    let text = std::str::from_utf8(request).unwrap_or_default();
    let mut out = BytesMut::with_capacity(1024);
    out.put(format!("SIP/2.0 {status}\r\n").as_bytes());
    for line in text.split_inclusive("\r\n").skip(1) {
        match line.as_bytes() {
            [b'V', b'i', b'a', ..]
            | [b'F', b'r', b'o', b'm', ..]
            | [b'C', b'a', b'l', b'l', ..]
            | [b'C', b'S', b'e', ..] => {
                out.put(line.as_bytes());
            }
            [b'R', b'e', b'c', ..] => out.put(line.as_bytes()),
            [b'T', b'o', ..] => {
                out.put(line.trim_end().as_bytes());
                out.put(if line.contains("tag") { &b"\r\n"[..] } else { b";tag=callee\r\n" });
            }
            b"\r\n" => break,
            _ => {}
        }
    }
    out.put(format!("Contact: <sip:b@10.0.0.2>\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_its_work_and_leaves_nothing_in_the_proxy() {
        let mut rig = Rig::new().unwrap();
        assert!((0..100).all(|_| rig.call().is_some() && rig.options().is_some()));
        rig.now += Duration::from_secs(100);
        rig.next();
        rig.now += Duration::from_secs(100);
        rig.next();
        assert_eq!(rig.proxy.stats().contexts, 0);
        assert!(rig.layer.is_idle());
    }
}
