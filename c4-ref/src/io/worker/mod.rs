//! The driver: one thread, one machine, its sockets. Fixed order: timeouts, inputs, transmits, events.

mod plain;
mod plain_streams;
mod streams;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::keepalive::is_keepalive;
use serde_json::{Value, json};
use sip_core::flow::{ConnectionId, Flow, Transport};
use sip_core::message::Message;

use super::connection::Arrival;
use super::connections::Connections;
use super::files::unix_millis;
use super::poller::{Events, Interest, Poller};
use super::server::{Boxes, Options, Order, Outputs};
use super::sockets::WorkerSockets;
use super::stats::{Stats, beside};
use super::udp::{DATAGRAM, Udp};
use crate::admin::{Answer, Command, merge};
use crate::config::Listener;
use crate::identity::Identities;
use crate::machine::{Event, Machine, Transmit};
use plain_streams::{PLAIN_STREAMS, PlainStreams};

/// What one worker sends another, or the operator sends it.
pub(super) enum Mail<T> {
    /// A message for the shard of this worker.
    Message(Flow, Message),
    /// A message for a connection of this worker.
    Transmit { from: usize, transmit: Transmit<T> },
    /// A transmit into another worker's connection did not get away.
    TransmitFailed(T, io::ErrorKind),
    /// The client on another worker's connection has shown a certificate.
    FlowIdentified(Flow, Identities),
    /// Another worker's connection ended.
    FlowClosed(Flow),
    /// A datagram of a plain socket for the shard of this worker.
    Datagram { socket: usize, from: SocketAddr, payload: Bytes },
    /// What every worker hears.
    Order(Order),
}

impl<T> From<Order> for Mail<T> {
    fn from(order: Order) -> Mail<T> {
        Mail::Order(order)
    }
}

/// Mail taken per iteration.
const MAIL: usize = 256;
/// Transmits and events per iteration; the rest come with the next, after a look at the sockets.
const OUTPUTS: usize = 4096;
/// Rounds of that many when the machine has stopped.
const LAST_ROUNDS: usize = 4096;
/// Somebody may set the wall clock.
pub(super) const CLOCK: Duration = Duration::from_secs(60);
/// Tokens below are the mailbox, the datagram sockets, the plain sockets, the listeners and the plain streams;
/// connection ids are all above.
const MAILBOX: u64 = 0;
const UDP: u64 = 1;
const PLAIN: u64 = 1 << 11;
const LISTENERS: u64 = 1 << 12;
const CONNECTIONS: u64 = 1 << 16;

pub(super) struct Worker<M: Machine> {
    index: usize,
    machine: M,
    poller: Poller,
    udp: Vec<Udp>,
    plain: Vec<Udp>,
    streams: Vec<(TcpListener, Listener)>,
    listeners: Arc<[Listener]>,
    connections: Connections,
    plain_streams: PlainStreams,
    /// Who waits for a connection that is being made.
    waiting: HashMap<ConnectionId, Vec<M::ConnectId>>,
    /// Connections with output to flush at the end of the iteration.
    dirty: Vec<ConnectionId>,
    /// Connections to close after it.
    closing: Vec<(ConnectionId, super::connection::Closed)>,
    boxes: Arc<Boxes<Mail<M::TransmitId>>>,
    mail: VecDeque<Mail<M::TransmitId>>,
    options: Options,
    outputs: Outputs,
    stats: Stats,
    buffer: Box<[u8]>,
    arrivals: Vec<Arrival>,
    /// When listeners are watched again after the system ran out of files.
    accept_again: Option<Instant>,
    /// Something is left from this iteration: do not sleep.
    busy: bool,
    /// When the machine is told the wall clock again.
    clock: Instant,
    stopping: bool,
}

impl<M: Machine> Worker<M> {
    pub(super) fn new(
        index: usize,
        machine: M,
        sockets: WorkerSockets,
        listeners: Arc<[Listener]>,
        boxes: Arc<Boxes<Mail<M::TransmitId>>>,
        options: &Options,
        outputs: &Outputs,
    ) -> io::Result<Worker<M>> {
        let poller = Poller::new()?;
        let udp: Vec<Udp> = sockets.udp.into_iter().map(|(socket, local)| Udp::new(socket, local)).collect();
        for (n, udp) in udp.iter().enumerate() {
            poller.add(&udp.socket, UDP + n as u64, Interest::Read)?;
        }
        for (n, (socket, _)) in sockets.streams.iter().enumerate() {
            poller.add(socket, LISTENERS + n as u64, Interest::Read)?;
        }
        let plain = plain::open(&poller, sockets.plain)?;
        if let Some(mailbox) = boxes.0.get(index) {
            poller.add(mailbox.fd(), MAILBOX, Interest::Read)?;
        }
        let most = (options.max_connections / boxes.0.len().max(1)).max(1);
        Ok(Worker {
            index,
            machine,
            poller,
            udp,
            plain,
            streams: sockets.streams,
            listeners,
            connections: Connections::new(index as u16, most, options.timeouts),
            plain_streams: PlainStreams::default(),
            waiting: HashMap::new(),
            dirty: Vec::new(),
            closing: Vec::new(),
            boxes,
            mail: VecDeque::new(),
            options: options.clone(),
            outputs: outputs.clone(),
            stats: Stats::default(),
            buffer: vec![0; DATAGRAM].into_boxed_slice(),
            arrivals: Vec::new(),
            accept_again: None,
            busy: false,
            clock: Instant::now() + CLOCK,
            stopping: false,
        })
    }

    /// The thread's whole life.
    pub(super) fn run(mut self) {
        let mut events = Events::new();
        while !self.stopping {
            let pause = self.pause(Instant::now());
            if let Err(error) = self.poller.wait(pause, &mut events) {
                tracing::error!(%error, worker = self.index, "cannot wait for sockets");
                return;
            }
            let now = Instant::now();
            self.busy = false;
            self.timeouts(now);
            self.inputs(now, &events);
            self.transmits(now);
            self.send_plain();
            self.events(now);
            self.settle(now);
        }
        let now = Instant::now();
        self.machine.handle_stop(now);
        // No budget for the last words: a record for each open call, say. Bounded all the same.
        for _ in 0..LAST_ROUNDS {
            self.busy = false;
            self.transmits(now);
            self.send_plain();
            self.events(now);
            if !self.busy {
                break;
            }
        }
        self.settle(now);
        for id in self.connections.ids() {
            if let Some(mut connection) = self.connections.remove(id) {
                connection.say_goodbye();
            }
        }
    }

    /// How long to sleep.
    fn pause(&self, now: Instant) -> Option<Duration> {
        if self.busy {
            return Some(Duration::ZERO);
        }
        let due = [self.machine.poll_timeout(), self.connections.next_deadline(), self.accept_again, Some(self.clock)];
        due.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn timeouts(&mut self, now: Instant) {
        if self.clock <= now {
            self.clock = now + CLOCK;
            self.machine.set_wall_clock(now, Duration::from_millis(unix_millis()));
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        while let Some((id, why)) = self.connections.expired(now) {
            self.close(now, id, why);
        }
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            for (n, (socket, _)) in self.streams.iter().enumerate() {
                let _ = self.poller.add(socket, LISTENERS + n as u64, Interest::Read);
            }
        }
    }

    fn inputs(&mut self, now: Instant, events: &Events) {
        for ready in events.iter() {
            match ready.token {
                MAILBOX => self.take_mail(now),
                token if (PLAIN..LISTENERS).contains(&token) => self.plain_datagrams(now, (token - PLAIN) as usize),
                token if token < LISTENERS => self.datagrams(now, (token - UDP) as usize),
                token if (PLAIN_STREAMS..CONNECTIONS).contains(&token) => self.plain_stream_ready(now, ready),
                token if token < CONNECTIONS => self.accept(now, (token - LISTENERS) as usize),
                token => self.connection_ready(now, ConnectionId(token), ready),
            }
        }
    }

    fn datagrams(&mut self, now: Instant, n: usize) {
        let Worker { udp, buffer, machine, stats, boxes, options, index, .. } = self;
        let Some(udp) = udp.get_mut(n) else { return };
        let local = udp.local;
        udp.receive(buffer, |from, payload| {
            stats.udp_rx += 1;
            if is_keepalive(&payload) {
                stats.keepalives += 1;
                return;
            }
            let flow = Flow::udp(local, from);
            if let Some(tap) = &options.tap {
                tap.received(&flow, &payload);
            }
            match Message::parse(payload, &options.limits) {
                Ok(message) => {
                    if !dispatch(machine, boxes, *index, now, flow, message) {
                        // Over UDP the sender retransmits.
                        stats.overflow += 1;
                    }
                }
                Err(error) => {
                    stats.unparsed += 1;
                    tracing::debug!(%from, %error, "no SIP message");
                }
            }
        });
    }

    fn take_mail(&mut self, now: Instant) {
        let boxes = self.boxes.clone();
        let Some(mailbox) = boxes.0.get(self.index) else { return };
        let mut mail = std::mem::take(&mut self.mail);
        mailbox.take(&mut mail, MAIL);
        for mail in mail.drain(..) {
            match mail {
                Mail::Message(flow, message) => self.machine.handle_message(now, flow, message),
                Mail::Transmit { from, transmit } => {
                    let id = transmit.id;
                    if let Err(kind) = self.send_stream(now, transmit)
                        && let Some(origin) = boxes.0.get(from)
                    {
                        origin.push(Mail::TransmitFailed(id, kind));
                    }
                }
                Mail::TransmitFailed(id, kind) => self.machine.handle_transmit_failed(now, id, kind),
                Mail::FlowIdentified(flow, identities) => {
                    self.machine.handle_flow_identified(now, flow, &identities);
                }
                Mail::Datagram { socket, from, payload } => self.machine.handle_datagram(now, socket, from, payload),
                Mail::FlowClosed(flow) => self.machine.handle_flow_closed(now, flow),
                Mail::Order(Order::Command { command, reply }) => {
                    let answer = self.command(now, &command);
                    // The asker may have gone.
                    let _ = reply.send(answer);
                }
                Mail::Order(Order::Reload(news)) => self.machine.handle_reload(now, &news),
                Mail::Order(Order::Stop) => self.stopping = true,
            }
        }
        self.mail = mail;
    }

    /// `conns` and `trace` are the driver's, `stats` is both's, the rest the machine's.
    fn command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        if command.method == "conns" {
            return Some(Ok(self.connection_list(now)));
        }
        if command.method == "trace" {
            let recent = self.options.tap.as_ref().and_then(|tap| tap.recent());
            return Some(recent.ok_or_else(|| "it is off: set admin.trace to a number of messages".into()));
        }
        let answer = self.machine.handle_command(now, command);
        if command.method != "stats" {
            return answer;
        }
        let mut counters = self.stats.to_value(self.connections.len());
        // The writers are shared by all: the first worker tells.
        if self.index == 0 {
            merge(&mut counters, self.outputs.to_value());
        }
        beside(answer, counters)
    }

    fn connection_list(&self, now: Instant) -> Value {
        let line = |connection: &super::connection::Connection| {
            json!({
                "id": connection.flow.connection.map(|id| id.0),
                "worker": self.index,
                "transport": connection.flow.transport.uri_param(),
                "local": connection.flow.local.to_string(),
                "remote": connection.flow.remote.to_string(),
                "state": format!("{:?}", connection.state).to_lowercase(),
                "idle_s": now.saturating_duration_since(connection.active).as_secs(),
            })
        };
        self.connections.iter().map(line).collect()
    }

    fn transmits(&mut self, now: Instant) {
        for _ in 0..OUTPUTS {
            let Some(transmit) = self.machine.poll_transmit() else { return };
            let id = transmit.id;
            let sent = match transmit.flow.transport {
                Transport::Udp => self.send_datagram(&transmit.flow, &transmit.payload),
                _ => match transmit.flow.connection.map(|id| usize::from(id.worker())) {
                    Some(owner) if owner != self.index => self.send_away(owner, transmit),
                    _ => self.send_stream(now, transmit),
                },
            };
            if let Err(kind) = sent {
                self.machine.handle_transmit_failed(now, id, kind);
            }
        }
        self.busy = true;
    }

    fn send_datagram(&mut self, flow: &Flow, payload: &Bytes) -> Result<(), io::ErrorKind> {
        let Some(udp) = self.udp.iter().find(|udp| udp.local == flow.local) else {
            self.stats.udp_tx_failed += 1;
            return Err(io::ErrorKind::AddrNotAvailable);
        };
        if let Some(tap) = &self.options.tap {
            tap.sent(flow, payload);
        }
        match udp.socket.send_to(payload, flow.remote) {
            Ok(_) => {
                self.stats.udp_tx += 1;
                Ok(())
            }
            // The send buffer is full: as if the network had lost it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stats.udp_tx_failed += 1;
                Ok(())
            }
            Err(error) => {
                self.stats.udp_tx_failed += 1;
                tracing::debug!(remote = %flow.remote, %error, "cannot send");
                Err(error.kind())
            }
        }
    }

    fn send_away(&mut self, owner: usize, transmit: Transmit<M::TransmitId>) -> Result<(), io::ErrorKind> {
        let Some(mailbox) = self.boxes.0.get(owner) else { return Err(io::ErrorKind::NotConnected) };
        mailbox.offer(Mail::Transmit { from: self.index, transmit }).map_err(|_| {
            self.stats.overflow += 1;
            io::ErrorKind::ResourceBusy
        })
    }

    fn events(&mut self, now: Instant) {
        for _ in 0..OUTPUTS {
            match self.machine.poll_event() {
                None => return,
                Some(Event::Connect { id, target }) => self.connect(now, id, &target),
                Some(Event::PlainConnect { id, to }) => self.plain_connect(now, id, to),
                Some(Event::PlainWrite { id, payload, close }) => self.plain_write(now, id, &payload, close),
                Some(Event::Put { table, key, value }) => {
                    if let Some(store) = &self.outputs.store {
                        store.put(table, key, value);
                    }
                }
                Some(Event::Delete { table, key }) => {
                    if let Some(store) = &self.outputs.store {
                        store.delete(table, key);
                    }
                }
                Some(Event::Cdr(line)) => {
                    if let Some(cdr) = &self.outputs.cdr {
                        cdr.record(line);
                    }
                }
                Some(Event::Spool(entry)) => {
                    if let Some(cdr) = &self.outputs.cdr {
                        cdr.spool(entry);
                    }
                }
            }
        }
        self.busy = true;
    }
}

/// To our own machine, or to the shard that it names; false when that one's mailbox is full.
fn dispatch<M: Machine>(
    machine: &mut M,
    boxes: &Boxes<Mail<M::TransmitId>>,
    index: usize,
    now: Instant,
    flow: Flow,
    message: Message,
) -> bool {
    match machine.shard(&flow, &message).filter(|&shard| shard != index).and_then(|shard| boxes.0.get(shard)) {
        None => {
            machine.handle_message(now, flow, message);
            true
        }
        Some(mailbox) => mailbox.offer(Mail::Message(flow, message)).is_ok(),
    }
}

/// The listener whose address a connection to `remote` bears, when none is named.
fn default_listener(listeners: &[Listener], transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
    let fits = |l: &&Listener| l.transport == transport && l.bind.is_ipv4() == remote.is_ipv4();
    listeners.iter().find(fits).map(|listener| listener.bind)
}
