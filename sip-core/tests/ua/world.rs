//! User agents on a virtual network and clock, and raw addresses that a test plays by hand.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_sip_core::flow::{ConnectionId, Flow, Target, Transport};
use c4_sip_core::header::Header;
use c4_sip_core::message::{Checked, Message, Request, Response};
use c4_sip_core::transaction::{self, Layer};
use c4_sip_core::ua::{Config, DialogState, EndCause, Event, Extra, Invite, SessionId, Ua};
use c4_sip_core::{Limits, Method, StatusCode};
use testkit::{Clock, Link, Network};

/// One user agent with its transaction layer.
pub(crate) struct Agent {
    pub(crate) layer: Layer,
    pub(crate) ua: Ua,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<Event>,
}

/// A message as it was put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) message: Message,
}

impl Sent {
    /// `INVITE` or `200 INVITE`.
    pub(crate) fn label(&self) -> String {
        label(&self.message)
    }
}

pub(crate) fn label(message: &Message) -> String {
    match message.status() {
        Some(status) => {
            let cseq = message.header_str(Header::CSeq).unwrap_or_default();
            format!("{} {}", status.code(), cseq.split_once(' ').map_or("", |(_, method)| method))
        }
        None => message.method().map_or_else(String::new, |method| method.as_str().to_owned()),
    }
}

/// Decides what becomes of a message: `false` loses it.
type Filter = Box<dyn FnMut(&Sent) -> bool>;

pub(crate) struct World {
    pub(crate) base: Instant,
    pub(crate) now: Instant,
    pub(crate) agents: Vec<Agent>,
    /// What was put on the wire, lost or not, in order.
    pub(crate) sent: Vec<Sent>,
    /// What came to addresses that no agent has.
    pub(crate) raw: Vec<Sent>,
    pub(crate) filter: Filter,
    pub(crate) network: Network<SocketAddr, (Flow, Bytes)>,
    connections: BTreeMap<ConnectionId, Flow>,
    count: u64,
}

impl World {
    pub(crate) fn new() -> World {
        World::with_network(Network::new(1, Link::ideal(Duration::from_millis(10))))
    }

    pub(crate) fn with_network(network: Network<SocketAddr, (Flow, Bytes)>) -> World {
        let base = Clock::new().now();
        World {
            base,
            now: base,
            agents: Vec::new(),
            sent: Vec::new(),
            raw: Vec::new(),
            filter: Box::new(|_| true),
            network,
            connections: BTreeMap::new(),
            count: 0,
        }
    }

    /// Two agents, `0` and `1`.
    pub(crate) fn pair() -> World {
        let mut world = World::new();
        world.add_pair();
        world
    }

    pub(crate) fn add_pair(&mut self) {
        self.add_agent(|config| config);
        self.add_agent(|config| config);
    }

    pub(crate) fn add_agent(&mut self, change: impl FnOnce(Config) -> Config) -> usize {
        let index = self.agents.len();
        let address = SocketAddr::from(([192, 0, 2, 1 + index as u8], 5060));
        let mut layer = Layer::new(transaction::Config::new([index as u8; 32]), self.now);
        for transport in [Transport::Udp, Transport::Tcp] {
            layer.set_sent_by(transport, address, &address.to_string());
        }
        let ua = Ua::new(change(Config::new([100 + index as u8; 32])), self.now);
        self.agents.push(Agent { layer, ua, address, events: Vec::new() });
        index
    }

    pub(crate) fn address(&self, agent: usize) -> SocketAddr {
        self.agents[agent].address
    }

    /// A call of one agent to an address, over UDP unless said otherwise.
    pub(crate) fn call_to(&mut self, from: usize, to: SocketAddr, change: impl FnOnce(Invite) -> Invite) -> SessionId {
        let local = self.address(from);
        let invite = change(Invite {
            uri: format!("sip:bob@{to}"),
            from: "\"Alice\" <sip:alice@example.com>".into(),
            to: "<sip:bob@example.com>".into(),
            contact: format!("<sip:alice@{local}>"),
            destination: Target::new(Transport::Udp, to).into(),
            routes: Vec::new(),
            extra: Extra::default(),
            peer: None,
        });
        let now = self.now;
        let agent = &mut self.agents[from];
        let session = agent.ua.invite(now, &mut agent.layer, invite).unwrap();
        self.settle();
        session
    }

    pub(crate) fn call(&mut self, from: usize, to: usize) -> SessionId {
        let to = self.address(to);
        self.call_to(from, to, |invite| invite)
    }

    /// Runs a command of an agent.
    pub(crate) fn with<T>(&mut self, agent: usize, command: impl FnOnce(Instant, &mut Ua, &mut Layer) -> T) -> T {
        let now = self.now;
        let agent = &mut self.agents[agent];
        let result = command(now, &mut agent.ua, &mut agent.layer);
        self.settle();
        result
    }

    pub(crate) fn ring(&mut self, agent: usize, session: SessionId) {
        self.with(agent, |now, ua, layer| ua.ring(now, layer, session, StatusCode::RINGING, &Extra::default()))
            .unwrap();
    }

    pub(crate) fn answer(&mut self, agent: usize, session: SessionId) {
        self.with(agent, |now, ua, layer| ua.answer(now, layer, session, &Extra::default())).unwrap();
    }

    pub(crate) fn hangup(&mut self, agent: usize, session: SessionId) {
        self.with(agent, |now, ua, layer| ua.hangup(now, layer, session, None)).unwrap();
    }

    /// The session of the last INVITE that came to an agent.
    pub(crate) fn incoming(&self, agent: usize) -> SessionId {
        let sessions = self.agents[agent].events.iter().rev();
        let mut sessions = sessions.filter_map(|event| match event {
            Event::Incoming { session, .. } => Some(*session),
            _ => None,
        });
        sessions.next().expect("an INVITE came")
    }

    /// A call between `0` and `1` that rings: both sessions.
    pub(crate) fn ringing(&mut self) -> (SessionId, SessionId) {
        let caller = self.call(0, 1);
        self.run(Duration::from_millis(50));
        let callee = self.incoming(1);
        self.ring(1, callee);
        self.run(Duration::from_millis(50));
        (caller, callee)
    }

    /// An answered call between `0` and `1`: both sessions.
    pub(crate) fn established(&mut self) -> (SessionId, SessionId) {
        let (caller, callee) = self.ringing();
        self.answer(1, callee);
        self.run(Duration::from_millis(100));
        assert!(self.saw(1, |event| matches!(event, Event::Confirmed { .. })), "the ACK came");
        (caller, callee)
    }

    pub(crate) fn saw(&self, agent: usize, what: impl Fn(&Event) -> bool) -> bool {
        self.agents[agent].events.iter().any(what)
    }

    /// Why an agent's session ended, if it did; it must not end twice.
    pub(crate) fn ended(&self, agent: usize, session: SessionId) -> Option<&EndCause> {
        let ends = self.agents[agent].events.iter().filter_map(|event| match event {
            Event::Ended { session: ended, cause } if *ended == session => Some(cause),
            _ => None,
        });
        let ends: Vec<&EndCause> = ends.collect();
        assert!(ends.len() <= 1, "ended twice: {ends:?}");
        ends.first().copied()
    }

    pub(crate) fn is_confirmed(&self, agent: usize, session: SessionId) -> bool {
        self.agents[agent].ua.dialog(session).is_some_and(|dialog| dialog.state() == DialogState::Confirmed)
    }

    /// Labels of what was sent from one address, in order.
    pub(crate) fn labels_from(&self, from: SocketAddr) -> Vec<String> {
        self.sent.iter().filter(|sent| sent.from == from).map(Sent::label).collect()
    }

    pub(crate) fn labels(&self) -> Vec<String> {
        self.sent.iter().map(Sent::label).collect()
    }

    pub(crate) fn last(&self, label: &str) -> &Sent {
        self.sent.iter().rev().find(|sent| sent.label() == label).unwrap_or_else(|| panic!("no {label} was sent"))
    }

    pub(crate) fn count(&self, label: &str) -> usize {
        self.sent.iter().filter(|sent| sent.label() == label).count()
    }

    /// The request in the last message with this label.
    pub(crate) fn last_request(&self, label: &str) -> Request {
        match self.last(label).message.clone().check() {
            Ok(Checked::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a message on the wire, from an address that a test plays.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, message: &Message) {
        self.transmit(Flow::udp(from, to), message.to_bytes());
    }

    /// Answers a request by hand, from where it went to.
    pub(crate) fn reply(&mut self, to: &Sent, status: StatusCode, tag: &str, change: impl FnOnce(&mut Response)) {
        let Ok(Checked::Request(request)) = to.message.clone().check() else { panic!("a request") };
        let mut response = request.dialog_response(status);
        response.set_to_tag(tag).unwrap();
        change(&mut response);
        self.inject(to.to, to.from, &response);
    }

    /// Lets virtual time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        let mut turns = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            turns = if next > self.now { 0 } else { turns + 1 };
            assert!(turns < 10_000, "a busy loop");
            self.now = self.now.max(next);
            self.deliver();
            let now = self.now;
            for agent in &mut self.agents {
                agent.layer.handle_timeout(now);
                agent.ua.handle_timeout(now, &mut agent.layer);
            }
            self.settle();
        }
        self.now = end;
    }

    /// Long enough for every timer of RFC 3261, registrations apart; nothing may be left then.
    pub(crate) fn run_out(&mut self) {
        self.run(Duration::from_secs(200));
        for (index, agent) in self.agents.iter().enumerate() {
            assert!(agent.ua.is_idle(), "agent {index} holds on to something: {:?}", self.labels());
            assert!(agent.layer.is_idle(), "the layer of agent {index} holds on to something");
        }
    }

    pub(crate) fn close_connections(&mut self) {
        let flows: Vec<Flow> = std::mem::take(&mut self.connections).into_values().collect();
        let now = self.now;
        for agent in &mut self.agents {
            for flow in flows.iter().filter(|flow| flow.local == agent.address) {
                agent.layer.handle_flow_closed(now, *flow);
                agent.ua.handle_flow_closed(now, *flow);
            }
        }
        self.settle();
    }

    fn next(&self) -> Option<Instant> {
        let wire = self.network.poll_timeout();
        let agents = self.agents.iter().flat_map(|agent| [agent.layer.poll_timeout(), agent.ua.poll_timeout()]);
        agents.flatten().chain(wire).min()
    }

    fn deliver(&mut self) {
        while let Some(delivery) = self.network.receive(self.now) {
            let (flow, octets) = delivery.payload;
            // What the sender calls remote is the receiver's own address.
            let connection = flow.connection.map(|ConnectionId(id)| ConnectionId(id ^ 1));
            let received = Flow { local: flow.remote, remote: flow.local, connection, ..flow };
            let Ok(message) = Message::parse(octets, &Limits::default()) else { continue };
            let now = self.now;
            match self.agents.iter_mut().find(|agent| agent.address == received.local) {
                Some(agent) => {
                    let Ok(message) = message.check() else { continue };
                    let _ = agent.layer.handle_input(now, transaction::Input { flow: received, message });
                }
                None => {
                    let (from, to) = (received.remote, received.local);
                    self.raw.push(Sent { at: now - self.base, from, to, message });
                }
            }
            self.settle();
        }
    }

    /// Drains every machine until all is quiet.
    fn settle(&mut self) {
        let now = self.now;
        for index in 0..self.agents.len() {
            loop {
                let agent = &mut self.agents[index];
                if let Some(transmit) = agent.layer.poll_transmit() {
                    self.transmit(transmit.flow, transmit.payload);
                } else if let Some(event) = agent.layer.poll_event() {
                    self.on_layer_event(now, index, event);
                } else if let Some(event) = agent.ua.poll_event() {
                    agent.events.push(event);
                } else {
                    break;
                }
            }
        }
    }

    fn on_layer_event(&mut self, now: Instant, index: usize, event: transaction::Event) {
        let agent = &mut self.agents[index];
        match agent.ua.handle_event(now, &mut agent.layer, event) {
            Some(transaction::Event::Request { id, request, flow }) => {
                let contact = match flow.transport {
                    Transport::Udp => format!("<sip:bob@{}>", agent.address),
                    other => format!("<sip:bob@{};transport={}>", agent.address, other.uri_param()),
                };
                agent.ua.incoming(now, &mut agent.layer, id, request, flow, &contact);
            }
            Some(transaction::Event::Connect { id, target }) => {
                self.count += 1;
                let connection = Some(ConnectionId(self.count * 2));
                let flow =
                    Flow { transport: target.transport, local: agent.address, remote: target.remote, connection };
                let peer = ConnectionId(self.count * 2 + 1);
                self.connections.insert(ConnectionId(self.count * 2), flow);
                let back = Flow { local: flow.remote, remote: flow.local, connection: Some(peer), ..flow };
                self.connections.insert(peer, back);
                agent.layer.handle_connect_done(now, id, Ok(flow));
            }
            _ => {}
        }
    }

    fn transmit(&mut self, flow: Flow, octets: Bytes) {
        let message = Message::parse(octets.clone(), &Limits::default()).expect("we send what can be read");
        let sent = Sent { at: self.now - self.base, from: flow.local, to: flow.remote, message };
        let reliable = flow.transport.is_reliable();
        let keep = reliable || (self.filter)(&sent);
        self.sent.push(sent);
        if reliable {
            self.network.send_stream(self.now, flow.local, flow.remote, (flow, octets));
        } else if keep {
            self.network.send(self.now, flow.local, flow.remote, (flow, octets));
        }
    }
}

/// A request of a peer that a test plays.
pub(crate) fn request(method: Method, uri: &str, from: SocketAddr, call_id: &str, seq: u32) -> Request {
    let name = method.as_str().to_owned();
    Message::request(method, uri)
        .header(Header::Via, format!("SIP/2.0/UDP {from};branch=z9hG4bK-{call_id}-{seq}-{name}"))
        .header(Header::MaxForwards, "70")
        .header(Header::From, "<sip:carol@example.com>;tag=carol")
        .header(Header::To, "<sip:bob@example.com>")
        .header(Header::CallId, call_id)
        .header(Header::CSeq, format!("{seq} {name}"))
        .header(Header::Contact, format!("<sip:carol@{from}>"))
        .request()
        .unwrap()
}
