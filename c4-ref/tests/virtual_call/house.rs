//! The whole house without sockets: phones, load balancer and proxy as machines on a virtual network and clock.
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_ref::admin::Command;
use c4_ref::lb::{Health, Lb, Setup};
use c4_ref::machine::{Event, Machine};
use c4_ref::phone::{Call, Manner, Outcome, PEER, Phone, Progress, Registered, Settings as PhoneSettings};
use c4_ref::proxy::{App, Settings, Shared, Start};
use c4_ref::{config, proxy};
use nat::keys::KeyRing as TokenKeys;
use serde_json::Value;
use sip_core::auth::{Account, KeyRing};
use sip_core::flow::{ConnectionId, Flow, Target, Transport};
use sip_core::header::Header;
use sip_core::{Limits, Message};
use testkit::{Clock, Link, Network};

pub(crate) const DOMAIN: &str = "example.com";
/// Wall clock at the start of the virtual one.
const UNIX: Duration = Duration::from_secs(1_800_000_000);
const PASSWORD: &str = "secret";

/// Who has a place in the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Lb,
    Proxy,
    Phone(usize),
}

/// A message as it went over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) from: Who,
    pub(crate) to: Option<Who>,
    pub(crate) message: Message,
}

impl Sent {
    /// `INVITE`, or `200 INVITE`.
    pub(crate) fn label(&self) -> String {
        match self.message.status() {
            Some(status) => {
                let cseq = self.message.header_str(Header::CSeq).unwrap_or_default();
                format!("{} {}", status.code(), cseq.split_once(' ').map_or("", |(_, method)| method))
            }
            None => self.message.method().map_or_else(String::new, |method| method.as_str().to_owned()),
        }
    }
}

pub(crate) struct House {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) lb: Lb,
    pub(crate) proxy: App,
    pub(crate) shared: Arc<Shared>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) network: Network<SocketAddr, (Flow, Bytes)>,
    pub(crate) sent: Vec<Sent>,
    /// Call detail records, in order.
    pub(crate) records: Vec<Value>,
    /// The durable store.
    store: BTreeMap<Vec<u8>, Vec<u8>>,
    connections: BTreeMap<ConnectionId, (Who, Flow)>,
    lb_config: config::Lb,
    proxy_config: config::Proxy,
    transport: Transport,
    count: u64,
    boots: u8,
}

fn lb_public() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

fn proxy_address() -> SocketAddr {
    "10.0.0.2:5060".parse().unwrap()
}

fn phone_address(phone: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + phone as u8], 5060))
}

fn configs() -> (config::Lb, config::Proxy) {
    let lb = config::Lb {
        listen: vec!["udp:192.0.2.1:5060".parse().unwrap(), "tcp:192.0.2.1:5060".parse().unwrap()],
        internal: vec!["udp:10.0.0.1:5060".parse().unwrap()],
        backends: vec!["10.0.0.2:5060".parse().unwrap()],
        ..config::Lb::default()
    };
    let proxy = config::Proxy {
        listen: vec!["udp:10.0.0.2:5060".parse().unwrap()],
        domains: vec![DOMAIN.into()],
        trusted: vec!["10.0.0.1".parse().unwrap()],
        ..config::Proxy::default()
    };
    (lb, proxy)
}

impl House {
    /// A house with so many phones that are not registered yet: `user0`, `user1`...
    pub(crate) fn new(phones: usize, transport: Transport, network: Network<SocketAddr, (Flow, Bytes)>) -> House {
        let now = Clock::new().now();
        let (lb_config, proxy_config) = configs();
        let shared = Arc::new(shared(&settings(&proxy_config, phones), now, UNIX, 0));
        let mut house = House {
            now,
            start: now,
            lb: lb(&lb_config, now, UNIX, 0),
            proxy: app(&settings(&proxy_config, phones), &shared, now, UNIX, 0),
            shared,
            phones: Vec::new(),
            network,
            sent: Vec::new(),
            records: Vec::new(),
            store: BTreeMap::new(),
            connections: BTreeMap::new(),
            lb_config,
            proxy_config,
            transport,
            count: 0,
            boots: 0,
        };
        for phone in 0..phones {
            house.add_phone(phone, &format!("user{phone}"), PASSWORD);
        }
        house
    }

    /// A house on a good network, with registered phones.
    pub(crate) fn registered(phones: usize, transport: Transport) -> House {
        let mut house = House::new(phones, transport, Network::new(1, Link::ideal(Duration::from_millis(5))));
        house.register_all();
        house
    }

    pub(crate) fn register_all(&mut self) {
        for phone in 0..self.phones.len() {
            self.with(phone, Phone::register);
        }
        self.run(Duration::from_secs(20));
        for phone in &self.phones {
            assert_eq!(phone.registered(), Registered::Yes);
        }
    }

    /// Another phone; it may have the user of one that is there.
    pub(crate) fn add_phone(&mut self, seed: usize, user: &str, password: &str) -> usize {
        let phone = self.phones.len();
        let settings = PhoneSettings {
            seed: [50 + seed as u8; 32],
            user: user.into(),
            domain: DOMAIN.into(),
            account: Some(Account::new(PEER, DOMAIN, user, password)),
            proxy: Target { local: Some(phone_address(phone)), ..Target::new(self.transport, lb_public()) },
            local: phone_address(phone),
            ring: Duration::from_secs(2),
            manner: Manner::Answers,
            expires: Duration::from_secs(3600),
            audio: None,
        };
        self.phones.push(Phone::new(settings, self.now));
        phone
    }

    /// Runs a command of a phone.
    pub(crate) fn with<T>(&mut self, phone: usize, command: impl FnOnce(&mut Phone, Instant) -> T) -> T {
        let now = self.now;
        let result = command(&mut self.phones[phone], now);
        self.settle();
        result
    }

    pub(crate) fn call(&mut self, from: usize, user: &str) {
        self.with(from, |phone, now| phone.call(now, user)).unwrap();
    }

    pub(crate) fn hang_up(&mut self, phone: usize) {
        self.with(phone, Phone::hang_up);
    }

    /// The last call of a phone.
    pub(crate) fn last_call(&self, phone: usize) -> &Call {
        self.phones[phone].calls().last().expect("a call")
    }

    pub(crate) fn progress(&self, phone: usize) -> &Progress {
        &self.last_call(phone).progress
    }

    pub(crate) fn outcome(&self, phone: usize) -> Outcome {
        match self.progress(phone) {
            Progress::Ended(outcome) => *outcome,
            other => panic!("phone {phone}: {other:?}, sent: {:#?}", self.labels()),
        }
    }

    pub(crate) fn labels(&self) -> Vec<String> {
        self.sent.iter().map(|sent| format!("{:?} {:?} {}", sent.from, sent.to, sent.label())).collect()
    }

    /// How many messages of this label went from one to the other.
    pub(crate) fn count(&self, from: Who, to: Who, label: &str) -> usize {
        self.sent.iter().filter(|sent| sent.from == from && sent.to == Some(to) && sent.label() == label).count()
    }

    /// Restarts the load balancer as after a crash: same keys, nothing else; its connections are gone.
    pub(crate) fn restart_lb(&mut self) {
        self.boots += 1;
        self.lb = lb(&self.lb_config, self.now, self.unix(), self.boots);
        self.close_connections();
    }

    /// Restarts the proxy as after a crash: what the store has is there, calls and transactions are not.
    pub(crate) fn restart_proxy(&mut self) {
        self.boots += 1;
        let settings = settings(&self.proxy_config, self.phones.len());
        self.shared = Arc::new(shared(&settings, self.now, self.unix(), self.boots));
        for record in self.store.values() {
            self.shared.location.restore(self.now, record);
        }
        self.proxy = app(&settings, &self.shared, self.now, self.unix(), self.boots);
    }

    /// Every connection breaks.
    pub(crate) fn close_connections(&mut self) {
        let now = self.now;
        for (who, flow) in std::mem::take(&mut self.connections).into_values() {
            match who {
                Who::Lb => self.lb.handle_flow_closed(now, flow),
                Who::Proxy => self.proxy.handle_flow_closed(now, flow),
                Who::Phone(phone) => self.phones[phone].handle_flow_closed(now, flow),
            }
        }
        self.settle();
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
            self.lb.handle_timeout(now);
            self.proxy.handle_timeout(now);
            for phone in &mut self.phones {
                phone.handle_timeout(now);
            }
            self.settle();
        }
        self.now = end;
    }

    /// After every call is over and the timers have run out, nobody holds a transaction, a dialog or a call.
    pub(crate) fn assert_quiet(&mut self) {
        self.run(Duration::from_secs(240));
        for (index, phone) in self.phones.iter().enumerate() {
            assert_eq!(phone.agent().sessions().count(), 0, "phone {index}");
            assert_eq!(phone.agent().dialog_count(), 0, "phone {index}");
        }
        let command = Command { method: "stats".into(), params: Value::Null };
        let proxy = self.proxy.handle_command(self.now, &command).unwrap().unwrap();
        for gauge in ["dialogs", "calls-open", "contexts", "transactions"] {
            assert_eq!(proxy[gauge], 0, "{gauge} of {proxy:#}");
        }
        let lb = self.lb.handle_command(self.now, &command).unwrap().unwrap();
        assert_eq!(lb["lb"]["calls"], 0, "Call-IDs of {lb:#}");
    }

    fn unix(&self) -> Duration {
        UNIX + (self.now - self.start)
    }

    fn next(&self) -> Option<Instant> {
        let phones = self.phones.iter().filter_map(Machine::poll_timeout);
        let roles = [self.lb.poll_timeout(), self.proxy.poll_timeout(), self.network.poll_timeout()];
        roles.into_iter().flatten().chain(phones).min()
    }

    fn deliver(&mut self) {
        while let Some(delivery) = self.network.receive(self.now) {
            let (flow, octets) = delivery.payload;
            let connection = flow.connection.map(|ConnectionId(id)| ConnectionId(id ^ 1));
            if connection.is_some_and(|id| !self.connections.contains_key(&id)) {
                continue;
            }
            let flow = Flow { local: flow.remote, remote: flow.local, connection, ..flow };
            let Ok(message) = Message::parse(octets, &Limits::default()) else { continue };
            let now = self.now;
            match who_at(flow.local, self.phones.len()) {
                Some(Who::Lb) => self.lb.handle_message(now, flow, message),
                Some(Who::Proxy) => self.proxy.handle_message(now, flow, message),
                Some(Who::Phone(phone)) => self.phones[phone].handle_message(now, flow, message),
                None => {}
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let before = self.count;
            self.drain(Who::Lb);
            self.drain(Who::Proxy);
            for phone in 0..self.phones.len() {
                self.drain(Who::Phone(phone));
            }
            if before == self.count {
                return;
            }
        }
    }

    fn drain(&mut self, who: Who) {
        /// The machines have different names for connects and transmits.
        macro_rules! drain {
            ($machine:expr) => {
                loop {
                    if let Some(transmit) = $machine.poll_transmit() {
                        if !self.transmit(who, transmit.flow, transmit.payload) {
                            let kind = io::ErrorKind::NotConnected;
                            $machine.handle_transmit_failed(self.now, transmit.id, kind);
                        }
                    } else if let Some(event) = $machine.poll_event() {
                        self.count += 1;
                        match event {
                            Event::Connect { id, target } => {
                                let result = self.connect(who, &target);
                                $machine.handle_connect_done(self.now, id, result);
                            }
                            other => self.keep(other),
                        }
                    } else {
                        break;
                    }
                }
            };
        }
        match who {
            Who::Lb => drain!(self.lb),
            Who::Proxy => drain!(self.proxy),
            Who::Phone(phone) => drain!(self.phones[phone]),
        }
    }

    /// What a role wants to have kept.
    fn keep<Id>(&mut self, event: Event<Id>) {
        match event {
            Event::Put { key, value, .. } => {
                self.store.insert(key, value);
            }
            Event::Delete { key, .. } => {
                self.store.remove(&key);
            }
            Event::Cdr(line) => {
                assert_eq!(line.find('\n'), Some(line.len() - 1), "one record a line, and its line feed");
                self.records.push(serde_json::from_str(&line).unwrap());
            }
            _ => {}
        }
    }

    /// A connection to a target: the one that is there, or a new one.
    fn connect(&mut self, who: Who, target: &Target) -> Result<Flow, io::ErrorKind> {
        let open = self
            .connections
            .values()
            .find(|(owner, flow)| *owner == who && flow.remote == target.remote && flow.transport == target.transport);
        if let Some((_, flow)) = open {
            return Ok(*flow);
        }
        // Nobody can connect to a phone: it is behind a NAT.
        let peer = who_at(target.remote, 0).ok_or(io::ErrorKind::ConnectionRefused)?;
        self.count += 1;
        let local = match who {
            Who::Phone(phone) => phone_address(phone),
            Who::Lb => lb_public(),
            Who::Proxy => proxy_address(),
        };
        let (here, there) = (ConnectionId(self.count * 2), ConnectionId(self.count * 2 + 1));
        let flow = Flow { transport: target.transport, local, remote: target.remote, connection: Some(here) };
        let back = Flow { local: flow.remote, remote: flow.local, connection: Some(there), ..flow };
        self.connections.insert(here, (who, flow));
        self.connections.insert(there, (peer, back));
        Ok(flow)
    }

    /// `false`: the connection is gone.
    fn transmit(&mut self, from: Who, flow: Flow, octets: Bytes) -> bool {
        self.count += 1;
        if flow.connection.is_some_and(|id| !self.connections.contains_key(&id)) {
            return false;
        }
        let Ok(message) = Message::parse(octets.clone(), &Limits::default()) else { return true };
        self.sent.push(Sent { from, to: who_at(flow.remote, self.phones.len()), message });
        match flow.connection {
            Some(_) => self.network.send_stream(self.now, flow.local, flow.remote, (flow, octets)),
            None => self.network.send(self.now, flow.local, flow.remote, (flow, octets)),
        }
        true
    }
}

fn who_at(address: SocketAddr, phones: usize) -> Option<Who> {
    match address.to_string().as_str() {
        "192.0.2.1:5060" | "10.0.0.1:5060" => Some(Who::Lb),
        "10.0.0.2:5060" => Some(Who::Proxy),
        _ => (0..phones).find(|phone| phone_address(*phone) == address).map(Who::Phone),
    }
}

fn lb(config: &config::Lb, now: Instant, unix: Duration, boot: u8) -> Lb {
    let setup = Setup {
        config,
        keys: TokenKeys::generate([1; 32], [2; 32], 0),
        health: Health::new(config.backends.len()),
        worker: 0,
        epoch: u32::from(boot) + 1,
        seed: [3 + boot; 32],
        unix: unix.as_secs(),
    };
    Lb::new(setup, now)
}

fn settings(config: &config::Proxy, phones: usize) -> Settings {
    let csv: String = (0..phones.max(8)).map(|phone| format!("user{phone};{DOMAIN};{PASSWORD}\n")).collect();
    Settings::from_config(config, &csv, KeyRing::single([4; 32])).unwrap()
}

fn shared(settings: &Settings, now: Instant, unix: Duration, boot: u8) -> Shared {
    Shared::new(settings, 1, [5 + boot; 32], now, unix)
}

fn app(settings: &proxy::Settings, shared: &Arc<Shared>, now: Instant, unix: Duration, boot: u8) -> App {
    let start =
        Start { settings: Arc::new(settings.clone()), shared: shared.clone(), shard: 0, seed: [5 + boot; 32], unix };
    App::new(start, now).unwrap()
}
