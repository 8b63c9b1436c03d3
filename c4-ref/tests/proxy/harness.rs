//! A proxy with its phones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use c4_ref::admin::Command;
use c4_ref::cdr::spool;
use c4_ref::config;
use c4_ref::machine::{Datagram, Event, Machine};
use c4_ref::proxy::{App, Settings, Shared, shards};
use sip_core::auth::{Account, Asked, Attempt, Client, KeyRing};
use sip_core::header::Header;
use sip_core::{ConnectionId, Flow, Limits, Message, Transport};

/// Wall clock of the start.
pub(crate) const UNIX: Duration = Duration::from_secs(1_700_000_000);
/// The proxy's UDP and TCP socket.
pub(crate) const PROXY: &str = "10.0.0.1:5060";

/// A proxy for `example.com` with the users alice, bob and carol (password `pw-NAME`).
pub(crate) struct Rig {
    pub(crate) now: Instant,
    pub(crate) app: App,
    pub(crate) shared: Arc<Shared>,
    /// What was sent and not yet looked at.
    pub(crate) sent: Vec<Sent>,
    /// Records written.
    pub(crate) records: Vec<serde_json::Value>,
    /// The spool's changes.
    pub(crate) spooled: Vec<spool::Entry>,
    /// The store as it stands on disk.
    pub(crate) store: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What went to the relays, but for pings: these are answered.
    pub(crate) relayed: Vec<Datagram>,
    /// Relays that do not even answer pings.
    pub(crate) dead: Vec<SocketAddr>,
    /// Connections asked for.
    pub(crate) connects: Vec<(sip_core::transaction::ConnectId, sip_core::Target)>,
}

/// A message that went out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) flow: Flow,
    pub(crate) text: String,
    pub(crate) message: Message,
    pub(crate) id: Option<sip_core::transaction::TransmitId>,
}

impl Sent {
    pub(crate) fn to(&self) -> String {
        self.flow.remote.to_string()
    }

    /// Method or status, for short.
    pub(crate) fn what(&self) -> String {
        match (self.message.method(), self.message.status()) {
            (Some(method), _) => method.as_str().to_owned(),
            (None, Some(status)) => status.code().to_string(),
            _ => String::new(),
        }
    }

    pub(crate) fn header(&self, name: Header) -> String {
        self.message.header(name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: Header) -> Vec<String> {
        self.message.headers(name).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }
}

/// Settings by `[proxy]`, all authentication on.
pub(crate) fn config() -> config::Proxy {
    let listener = |text: &str| text.parse().unwrap();
    config::Proxy {
        listen: vec![listener("udp:10.0.0.1:5060"), listener("tcp:10.0.0.1:5060"), listener("tls:10.0.0.1:5061")],
        domains: vec!["example.com".into()],
        realm: "example.com".into(),
        ..config::Proxy::default()
    }
}

/// The same, but nothing is authenticated.
pub(crate) fn open() -> config::Proxy {
    let mut config = config();
    (config.auth.register, config.auth.invite) = (false, false);
    config
}

pub(crate) const USERS: &str =
    "alice;example.com;pw-alice\nbob;example.com;pw-bob\ncarol;example.com;pw-carol\nmallory;elsewhere;x\n";

pub(crate) fn settings(config: &config::Proxy) -> Settings {
    Settings::from_config(config, USERS, KeyRing::single([7; 32])).unwrap()
}

impl Rig {
    pub(crate) fn new(config: &config::Proxy) -> Rig {
        Rig::with(settings(config))
    }

    pub(crate) fn with(settings: Settings) -> Rig {
        Rig::started(settings, Instant::now(), UNIX, [3; 32])
    }

    pub(crate) fn started(settings: Settings, now: Instant, unix: Duration, seed: [u8; 32]) -> Rig {
        let (shared, mut apps) = shards(settings, 1, seed, now, unix).unwrap();
        Rig {
            now,
            app: apps.pop().unwrap(),
            shared,
            sent: Vec::new(),
            records: Vec::new(),
            spooled: Vec::new(),
            store: BTreeMap::new(),
            relayed: Vec::new(),
            dead: Vec::new(),
            connects: Vec::new(),
        }
    }

    /// A process that starts after this one was killed, with what its store holds.
    pub(crate) fn killed_and_restarted(&self, config: &config::Proxy, pause: Duration) -> Rig {
        let unix = UNIX + self.elapsed() + pause;
        let mut next = Rig::started(settings(config), self.now + pause, unix, [4; 32]);
        for record in self.store.values() {
            next.shared.location.restore(next.now, record);
        }
        next.store = self.store.clone();
        next
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    /// A datagram comes in.
    pub(crate) fn udp(&mut self, from: &str, text: &str) {
        self.input(Flow::udp(PROXY.parse().unwrap(), from.parse().unwrap()), text);
    }

    /// A message comes in over a connection.
    pub(crate) fn tcp(&mut self, connection: u64, from: &str, text: &str) {
        self.input(tcp_flow(connection, from), text);
    }

    pub(crate) fn input(&mut self, flow: Flow, text: &str) {
        let message = Message::parse(text.to_owned().into(), &Limits::default()).unwrap();
        self.app.handle_message(self.now, flow, message);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.app.poll_transmit() {
            let text = String::from_utf8_lossy(&transmit.payload).into_owned();
            let message = Message::parse(transmit.payload.clone(), &Limits::default()).unwrap();
            self.sent.push(Sent { flow: transmit.flow, text, message, id: transmit.id });
        }
        while let Some(datagram) = self.app.poll_datagram() {
            let text = String::from_utf8_lossy(&datagram.payload).into_owned();
            match text.split_once(' ') {
                Some((cookie, dict)) if dict.contains("7:command4:ping") => {
                    if !self.dead.contains(&datagram.to) {
                        let pong = format!("{cookie} d6:result4:ponge");
                        self.app.handle_datagram(self.now, datagram.socket, datagram.to, pong.into());
                    }
                }
                _ => self.relayed.push(datagram),
            }
        }
        while let Some(event) = self.app.poll_event() {
            match event {
                Event::Put { table: "bindings", key, value } => _ = self.store.insert(key, value),
                Event::Delete { table: "bindings", key } => _ = self.store.remove(&key),
                Event::Cdr(line) if line.find('\n') != Some(line.len() - 1) => panic!("a record is one line: {line}"),
                Event::Cdr(line) => self.records.push(serde_json::from_str(&line).unwrap()),
                Event::Spool(entry) => self.spooled.push(entry),
                Event::Connect { id, target } => self.connects.push((id, target)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Time passes; every timer fires when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while let Some(due) = self.app.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.app.handle_timeout(self.now);
            self.drain();
            assert!(self.app.poll_timeout().is_none_or(|next| next > self.now), "no busy loop");
        }
        self.now = end;
    }

    /// What was sent since the last look, as `WHAT ADDRESS`.
    pub(crate) fn look(&mut self) -> Vec<String> {
        self.take().iter().map(|sent| format!("{} {}", sent.what(), sent.to())).collect()
    }

    pub(crate) fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The one message of this method or status, sent to this address; the others stay.
    pub(crate) fn find(&mut self, what: &str, to: &str) -> Sent {
        let at = self.sent.iter().position(|sent| sent.what() == what && sent.to() == to);
        let Some(at) = at else {
            let all: Vec<String> = self.sent.iter().map(|sent| sent.text.clone()).collect();
            panic!("no {what} to {to} among {all:#?}");
        };
        self.sent.remove(at)
    }

    pub(crate) fn stats(&mut self) -> serde_json::Value {
        let command = Command { method: "stats".into(), params: serde_json::Value::Null };
        self.app.handle_command(self.now, &command).unwrap().unwrap()
    }

    /// Registers a contact; the registrar is open or the caller is a fixture of `open()`.
    pub(crate) fn registered(&mut self, user: &str, at: &str, extra: &str) {
        let uri = format!("sip:{user}@example.com");
        let contact = format!("<sip:{user}@{at}>{extra}");
        let call_id = format!("reg-{user}-{at}");
        let text = Req::new("REGISTER", "sip:example.com")
            .ends(&uri, "r", &uri, "")
            .call(&call_id, 1)
            .via(at)
            .header("Contact", &contact)
            .text();
        self.udp(at, &text);
        self.find("200", at);
    }

    /// Sends a request, answers the challenge, and returns what came back at last (and the request that brought it).
    pub(crate) fn authenticated(&mut self, at: &str, user: &str, password: &str, request: Req) -> Req {
        self.udp(at, &request.text());
        let challenge = self.sent.pop().unwrap();
        let answered = request.answer(&challenge, user, password).cseq(request.cseq + 1);
        self.udp(at, &answered.text());
        answered
    }
}

pub(crate) fn tcp_flow(connection: u64, from: &str) -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: PROXY.parse().unwrap(),
        remote: from.parse().unwrap(),
        connection: Some(ConnectionId(connection)),
    }
}

/// A request under construction.
#[derive(Clone, Debug)]
pub(crate) struct Req {
    pub(crate) method: String,
    pub(crate) uri: String,
    from: String,
    to: String,
    call_id: String,
    pub(crate) cseq: u32,
    transport: &'static str,
    via: String,
    branch: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Req {
    pub(crate) fn new(method: &str, uri: &str) -> Req {
        Req {
            method: method.into(),
            uri: uri.into(),
            from: "<sip:alice@example.com>;tag=a".into(),
            to: format!("<{uri}>"),
            call_id: "call-1".into(),
            cseq: 1,
            transport: "UDP",
            via: "192.0.2.1:5060".into(),
            branch: String::new(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn ends(mut self, from: &str, from_tag: &str, to: &str, to_tag: &str) -> Req {
        let end = |uri: &str, tag: &str| match tag {
            "" => format!("<{uri}>"),
            tag => format!("<{uri}>;tag={tag}"),
        };
        (self.from, self.to) = (end(from, from_tag), end(to, to_tag));
        self
    }

    pub(crate) fn call(mut self, call_id: &str, cseq: u32) -> Req {
        (self.call_id, self.cseq) = (call_id.into(), cseq);
        self
    }

    pub(crate) fn method(mut self, method: &str) -> Req {
        self.method = method.into();
        self
    }

    pub(crate) fn cseq(mut self, cseq: u32) -> Req {
        self.cseq = cseq;
        self
    }

    /// Sent-by of the Via.
    pub(crate) fn via(mut self, sent_by: &str) -> Req {
        self.via = sent_by.into();
        self
    }

    pub(crate) fn over_tcp(mut self) -> Req {
        self.transport = "TCP";
        self
    }

    pub(crate) fn branch(mut self, branch: &str) -> Req {
        self.branch = branch.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Req {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Req {
        self.body = body.into();
        self
    }

    /// The same with the answer to a challenge.
    pub(crate) fn answer(&self, challenge: &Sent, user: &str, password: &str) -> Req {
        self.answer_from(challenge, user, password, [2; 32])
    }

    pub(crate) fn answer_from(&self, challenge: &Sent, user: &str, password: &str, seed: [u8; 32]) -> Req {
        let (asked, name) = match challenge.what().as_str() {
            "401" => (Header::WwwAuthenticate, "Authorization"),
            "407" => (Header::ProxyAuthenticate, "Proxy-Authorization"),
            other => panic!("{other} is no challenge: {}", challenge.text),
        };
        let mut client = Client::new(seed);
        client.add(Account::new("proxy", "example.com", user, password));
        let subject = Asked { peer: "proxy", method: &self.method, uri: &self.uri, body: self.body.as_bytes() };
        let values: Vec<Vec<u8>> = challenge.message.headers(asked).map(<[u8]>::to_vec).collect();
        let answer = client.answer(&mut Attempt::default(), &subject, values.iter().map(Vec::as_slice)).unwrap();
        self.clone().header(name, &answer)
    }

    pub(crate) fn text(&self) -> String {
        let branch = match self.branch.as_str() {
            "" => format!("{}-{}-{}", self.method.to_lowercase(), self.call_id, self.cseq),
            branch => branch.to_owned(),
        };
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK-{branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            self.method, self.uri, self.transport, self.via, self.from, self.to, self.call_id, self.cseq, self.method
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        text
    }
}

/// An INVITE of alice, at 192.0.2.1.
pub(crate) fn invite(to: &str, call_id: &str) -> Req {
    Req::new("INVITE", &format!("sip:{to}"))
        .call(call_id, 1)
        .header("Contact", "<sip:alice@192.0.2.1:5060>")
        .body("v=0\r\n")
}

/// The answer of a phone to a request that it got.
pub(crate) fn reply(request: &Sent, status: &str, tag: &str, contact: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, value) in request.message.lines() {
        let name = String::from_utf8_lossy(name).into_owned();
        let value = String::from_utf8_lossy(value);
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "via" | "from" | "call-id" | "cseq" | "record-route" => text.push_str(&format!("{name}: {value}\r\n")),
            "to" if value.contains("tag=") || tag.is_empty() => text.push_str(&format!("{name}: {value}\r\n")),
            "to" => text.push_str(&format!("{name}: {value};tag={tag}\r\n")),
            _ => {}
        }
    }
    if !contact.is_empty() {
        text.push_str(&format!("Contact: <{contact}>\r\n"));
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    text
}

/// A call of alice to bob that stands.
pub(crate) struct Call {
    /// The Record-Route of the 200 as the caller got it, turned round.
    pub(crate) caller_routes: Vec<String>,
    /// The Record-Route of the INVITE as the callee got it.
    pub(crate) callee_routes: Vec<String>,
    pub(crate) call_id: String,
}

impl Call {
    /// A request of the caller inside the dialog.
    pub(crate) fn of_caller(&self, method: &str, cseq: u32) -> Req {
        let mut request = Req::new(method, "sip:bob@192.0.2.2:5060")
            .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
            .call(&self.call_id, cseq);
        for route in &self.caller_routes {
            request = request.header("Route", route);
        }
        request
    }

    /// A request of the called side inside the dialog.
    pub(crate) fn of_callee(&self, method: &str, cseq: u32) -> Req {
        let mut request = Req::new(method, "sip:alice@192.0.2.1:5060")
            .ends("sip:bob@example.com", "b", "sip:alice@example.com", "a")
            .call(&self.call_id, cseq)
            .via("192.0.2.2:5060");
        for route in &self.callee_routes {
            request = request.header("Route", route);
        }
        request
    }
}

impl Rig {
    /// Bob is registered at 192.0.2.2 and answers alice's call; everything is acknowledged.
    pub(crate) fn established(&mut self, call_id: &str) -> Call {
        if self.stats()["contacts"] == 0 {
            self.registered("bob", "192.0.2.2:5060", "");
        }
        self.udp("192.0.2.1:5060", &invite("bob@example.com", call_id).text());
        let offer = self.find("INVITE", "192.0.2.2:5060");
        self.udp("192.0.2.2:5060", &reply(&offer, "180 Ringing", "b", "sip:bob@192.0.2.2:5060"));
        self.udp("192.0.2.2:5060", &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
        let answer = self.find("200", "192.0.2.1:5060");
        let mut caller_routes = answer.all(Header::RecordRoute);
        caller_routes.reverse();
        let call = Call { caller_routes, callee_routes: offer.all(Header::RecordRoute), call_id: call_id.to_owned() };
        self.udp("192.0.2.1:5060", &call.of_caller("ACK", 1).text());
        self.find("ACK", "192.0.2.2:5060");
        self.take();
        call
    }

    /// The caller hangs up.
    pub(crate) fn hang_up(&mut self, call: &Call) {
        self.udp("192.0.2.1:5060", &call.of_caller("BYE", 2).text());
        let bye = self.find("BYE", "192.0.2.2:5060");
        self.udp("192.0.2.2:5060", &reply(&bye, "200 OK", "", ""));
        self.find("200", "192.0.2.1:5060");
    }
}

/// Seconds.
pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// An address.
#[allow(dead_code, reason = "not every set of tests needs it")]
pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
