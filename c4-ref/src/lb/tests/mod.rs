//! The balancer as a whole, on a virtual clock.

mod contract;
mod dialogs;
mod distribution;
mod edges;
mod flows;
mod headers;
mod record_route;
mod relay_attempts;
mod torture;
mod update;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nat::keys::KeyRing;
use sip_core::flow::{ConnectionId, Flow, Transport};
use sip_core::header::{Header, NameAddr};
use sip_core::message::Message;
use sip_core::{Limits, StatusCode};

use super::stats::Counter;
use super::{ConnectId, Health, Lb, Setup, TransmitId};
use crate::config;
use crate::machine::{Event, Machine};

const UNIX: u64 = 1_800_000_000;
const PUBLIC: &str = "192.0.2.1:5060";
const INTERNAL: &str = "10.0.0.1:5080";
const PROXY: &str = "10.0.0.2:5060";
const PROXY_2: &str = "10.0.0.3:5060";
const ALICE: &str = "198.51.100.7:40000";
const BOB: &str = "203.0.113.9:5062";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

/// Two public sockets, two internal ones, two proxies, no probes.
fn config() -> config::Lb {
    let list = |items: &[&str]| items.iter().map(|l| l.parse().unwrap()).collect();
    config::Lb {
        listen: list(&["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060", "tls:192.0.2.1:5061", "udp:[2001:db8::1]:5060"]),
        internal: list(&["udp:10.0.0.1:5080", "tcp:10.0.0.1:5080"]),
        backends: vec![PROXY.parse().unwrap(), PROXY_2.parse().unwrap()],
        probe: config::Probe { interval_ms: 0, ..config::Probe::default() },
        ..config::Lb::default()
    }
}

fn one_proxy() -> config::Lb {
    config::Lb { backends: vec![PROXY.parse().unwrap()], ..config() }
}

fn keys() -> KeyRing {
    KeyRing::generate([1; 32], [2; 32], 0)
}

/// What came out.
struct Sent {
    id: TransmitId,
    flow: Flow,
    message: Message,
}

impl Sent {
    fn to(&self) -> String {
        self.flow.remote.to_string()
    }

    fn all(&self, header: impl Into<String>) -> Vec<String> {
        let name: String = header.into();
        self.message.values(name.as_str()).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }

    fn one(&self, header: &str) -> Option<String> {
        self.all(header).into_iter().next()
    }

    fn status(&self) -> StatusCode {
        self.message.status().unwrap()
    }

    fn branch(&self) -> String {
        let via = self.message.typed::<sip_core::header::Via<'_>>().unwrap().unwrap();
        via.branch().unwrap().to_owned()
    }

    fn uris(&self, header: &str) -> Vec<String> {
        self.all(header).iter().map(|v| NameAddr::parse(v.as_bytes()).unwrap().uri.to_owned()).collect()
    }
}

struct Rig {
    lb: Lb,
    now: Instant,
    health: Health,
    connects: VecDeque<(ConnectId, sip_core::flow::Target)>,
}

impl Rig {
    fn new(config: &config::Lb) -> Rig {
        Rig::with(config, keys(), 7)
    }

    fn with(config: &config::Lb, keys: KeyRing, epoch: u32) -> Rig {
        let now = base();
        let health = Health::new(config.backends.len());
        let setup = Setup { config, keys, health: health.clone(), worker: 0, epoch, seed: [9; 32], unix: UNIX };
        Rig { lb: Lb::new(setup, now), now, health, connects: VecDeque::new() }
    }

    /// The files were read again.
    fn reload(&mut self, config: &config::Lb, keys: KeyRing) {
        self.health = Health::new(config.backends.len());
        let update = super::Update { config: Arc::new(config.clone()), keys, health: self.health.clone() };
        let news: crate::machine::News = Arc::new(update);
        self.lb.handle_reload(self.now, &news);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.lb.handle_timeout(self.now);
    }

    fn put(&mut self, flow: Flow, text: &str) -> Vec<Sent> {
        let message = Message::parse(text.replace('\n', "\r\n").into(), &Limits::default()).unwrap();
        self.lb.handle_message(self.now, flow, message);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Sent> {
        while let Some(event) = self.lb.poll_event() {
            match event {
                Event::Connect { id, target } => self.connects.push_back((id, target)),
                other => panic!("{other:?}"),
            }
        }
        std::iter::from_fn(|| self.lb.poll_transmit())
            .map(|t| Sent { id: t.id, flow: t.flow, message: Message::parse(t.payload, &Limits::default()).unwrap() })
            .collect()
    }

    /// Puts a message in and expects one out.
    fn one(&mut self, flow: Flow, text: &str) -> Sent {
        let mut sent = self.put(flow, text);
        assert_eq!(sent.len(), 1, "{:?}", self.lb.stats());
        sent.remove(0)
    }

    fn none(&mut self, flow: Flow, text: &str) {
        let sent = self.put(flow, text);
        assert!(sent.is_empty(), "{}", text_of(&sent[0].message));
    }

    fn count(&self, counter: Counter) -> u64 {
        self.lb.count(counter)
    }
}

fn text_of(message: &Message) -> String {
    String::from_utf8_lossy(&message.to_bytes()).replace("\r\n", "\n")
}

fn udp(local: &str, remote: &str) -> Flow {
    Flow::udp(addr(local), addr(remote))
}

/// From outside to the public UDP socket.
fn outside(remote: &str) -> Flow {
    udp(PUBLIC, remote)
}

/// From a proxy to the internal UDP socket.
fn inside(remote: &str) -> Flow {
    udp(INTERNAL, remote)
}

fn stream(transport: Transport, local: &str, remote: &str, id: u64) -> Flow {
    Flow { transport, local: addr(local), remote: addr(remote), connection: Some(ConnectionId(id)) }
}

fn tcp(remote: &str, id: u64) -> Flow {
    stream(Transport::Tcp, PUBLIC, remote, id)
}

/// A request as a test writes it.
#[derive(Clone, Debug)]
struct Req {
    method: &'static str,
    uri: String,
    vias: Vec<String>,
    to_tag: Option<&'static str>,
    routes: Vec<String>,
    call_id: String,
    cseq: u32,
    more: String,
}

fn req(method: &'static str) -> Req {
    Req {
        method,
        uri: "sip:bob@example.com".into(),
        vias: vec!["SIP/2.0/UDP 198.51.100.7:40000;rport;branch=z9hG4bKalice1".into()],
        to_tag: None,
        routes: Vec::new(),
        call_id: "call-1@alice".into(),
        cseq: 1,
        more: String::new(),
    }
}

impl Req {
    fn uri(mut self, uri: impl Into<String>) -> Req {
        self.uri = uri.into();
        self
    }

    fn via(mut self, via: impl Into<String>) -> Req {
        self.vias = vec![via.into()];
        self
    }

    fn vias(mut self, vias: Vec<String>) -> Req {
        self.vias = vias;
        self
    }

    fn tagged(mut self) -> Req {
        self.to_tag = Some("bobtag");
        self
    }

    fn routes<S: Into<String>>(mut self, routes: impl IntoIterator<Item = S>) -> Req {
        self.routes = routes.into_iter().map(Into::into).collect();
        self
    }

    fn call(mut self, call_id: impl Into<String>) -> Req {
        self.call_id = call_id.into();
        self
    }

    fn more(mut self, line: &str) -> Req {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    fn text(&self) -> String {
        let vias: String = self.vias.iter().map(|v| format!("Via: {v}\n")).collect();
        let routes: String = self.routes.iter().map(|r| format!("Route: {r}\n")).collect();
        let to_tag = self.to_tag.map(|t| format!(";tag={t}")).unwrap_or_default();
        let hops = if self.more.contains("Max-Forwards") { "" } else { "Max-Forwards: 70\n" };
        format!(
            "{} {} SIP/2.0\n{vias}{hops}{routes}From: <sip:alice@example.com>;tag=alicetag\n\
             To: <sip:bob@example.com>{to_tag}\nCall-ID: {}\nCSeq: {} {}\nContact: <sip:alice@198.51.100.7:40000>\n\
             {}Content-Length: 0\n\n",
            self.method, self.uri, self.call_id, self.cseq, self.method, self.more
        )
    }
}

/// The response of a server that got `request`: Via and Record-Route as they came.
fn response(request: &Sent, status: u16) -> String {
    let mut text = format!("SIP/2.0 {status} Whatever\n");
    for name in ["Via", "Record-Route", "Path"] {
        for value in request.all(name) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    for name in [Header::From, Header::CallId, Header::CSeq] {
        text.push_str(&format!("{}: {}\n", name.as_str(), request.one(name.as_str()).unwrap()));
    }
    let to = request.one("To").unwrap();
    let tag = if to.contains("tag=") { "" } else { ";tag=bobtag" };
    text.push_str(&format!("To: {to}{tag}\nContent-Length: 0\n\n"));
    text
}

/// Alice registers over `flow`; what the proxy stores as Path.
fn register(rig: &mut Rig, flow: Flow) -> Vec<String> {
    let via = format!("SIP/2.0/{} {};rport;branch=z9hG4bKreg", flow.transport, flow.remote);
    let sent = rig.one(flow, &req("REGISTER").uri("sip:example.com").via(via).call("reg-1").text());
    sent.all("Path")
}

/// A proxy's Via.
fn proxy_via(branch: &str) -> String {
    format!("SIP/2.0/UDP {PROXY};branch=z9hG4bK{branch}")
}
