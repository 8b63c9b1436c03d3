//! The layer: its calls, and where each goes.

use super::config::{Config, MtuRule, Ticks};
use super::event::{Event, Input, Rejected, Transmit};
use super::id::{self, ConnectId, Kind, ServerId, TransmitId};
use super::keyed::Keys;
use super::matching::Matcher;
use super::stats::Stats;
use super::table::Table;
use super::tenant::{Fsm, Side};
use super::via::SentBy;
use crate::flow::{Flow, Transport};
use crate::message::Checked;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The transaction layer of one shard (RFC 3261 §17, RFC 6026): it owns the branches, the retransmissions and the SIP
/// octets that go out.
///
/// # Calling contract
/// Feed it with [`handle_input`](Layer::handle_input), [`handle_timeout`](Layer::handle_timeout) and the commands, in
/// any number, then drain [`poll_transmit`](Layer::poll_transmit) and [`poll_event`](Layer::poll_event) in any order
/// until both are empty, and come back no later than [`poll_timeout`](Layer::poll_timeout). Time is passed in and never
/// runs backwards inside. Everything is bounded at admission: an input or command that finds a bound reached is refused
/// before anything has changed. Names are never reused; a stale one answers [`Gone`](super::Gone).
///
/// A connection is asked for by [`Event::Connect`] and answered by [`handle_connect_done`](Layer::handle_connect_done).
///
/// ```
/// use c4_sip_core::transaction::{Config, Event, Input, Layer};
/// use c4_sip_core::{Flow, Limits, Message, StatusCode};
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let mut layer = Layer::new(Config::new([7; 32]), now);
/// let octets = "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
///     From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
/// let message = Message::parse(octets.into(), &Limits::default()).unwrap().check().unwrap();
/// let flow = Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:40000".parse().unwrap());
/// layer.handle_input(now, Input { flow, message }).unwrap();
/// let Some(Event::Request { id, request, .. }) = layer.poll_event() else { panic!("a request") };
/// let mut response = request.response(StatusCode::OK);
/// response.set_to_tag("2").unwrap();
/// layer.respond(now, id, response).unwrap();
/// let transmit = layer.poll_transmit().unwrap();
/// assert_eq!(transmit.flow.remote.port(), 40000);
/// assert!(transmit.payload.starts_with(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.1;rport=40000\r\n"));
/// ```
#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) keys: Keys,
    pub(super) shard: u16,
    pub(super) matcher: Matcher,
    pub(super) sent_by: SentBy,
    pub(super) server: Option<Arc<str>>,
    pub(super) limits: Bounds,
    pub(super) mtu: MtuRule,
    pub(super) reply_connect: bool,
    pub(super) table: Table,
    /// Tick 0.
    start: Instant,
    /// The latest time seen.
    latest: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) transactions: usize,
    pub(super) output: usize,
    pub(super) connecting: usize,
}

impl Layer {
    /// A layer without transactions.
    pub fn new(config: Config, now: Instant) -> Layer {
        let keys = Keys::new(&config.seed);
        Layer {
            matcher: Matcher::new(keys.clone()),
            keys,
            shard: config.shard,
            sent_by: SentBy::default(),
            server: config.server.map(Arc::from),
            limits: Bounds {
                transactions: config.max_transactions.min(1 << 20),
                output: config.max_output,
                connecting: config.max_connecting,
            },
            mtu: config.mtu,
            reply_connect: config.reply_connect,
            table: Table::new(Ticks::new(&config.timers)),
            start: now,
            latest: now,
        }
    }

    /// Names a listener: `local` as it stands in flows, `sent_by` as peers reach it (`host` or `host:port`, RFC 3261
    /// §18.1.1). The first of a transport and address family is also the default to send from.
    pub fn set_sent_by(&mut self, transport: Transport, local: SocketAddr, sent_by: &str) {
        self.sent_by.set(transport, local, sent_by);
    }

    /// Takes a message that a peer sent.
    ///
    /// # Errors
    /// [`Rejected::Busy`] when a bound is reached: the message may come again.
    pub fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        self.advance(now);
        if self.table.out.len() >= self.limits.output {
            self.table.out.stats.busy += 1;
            return Err(Rejected::Busy);
        }
        match input.message {
            Checked::Request(request) => self.handle_request(request, input.flow),
            Checked::Response(response) => {
                self.handle_response(response, input.flow);
                Ok(())
            }
        }
    }

    /// Fires what is due. A spurious call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let server = self.server.clone();
        while let Some(raw) = self.table.pop_due() {
            while let Some(timer) = self.table.take_due(raw) {
                self.table.with(raw, |fsm, cx| match fsm {
                    Fsm::InviteServer(fsm) => fsm.on_timer(cx, timer, server.as_deref()),
                    Fsm::NonInviteServer(fsm) => fsm.on_timer(cx, timer, server.as_deref()),
                    client => super::client::on_timer(client, cx, timer),
                });
            }
            self.table.settle(raw);
        }
    }

    /// When to call [`handle_timeout`](Layer::handle_timeout) next; the last `now` while output is queued. A timer that
    /// is far away may be looked at once or twice before its time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.table.out.is_empty() {
            return Some(self.latest);
        }
        self.table.next_timer().and_then(|tick| self.start.checked_add(Duration::from_millis(tick)))
    }

    /// Octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.table.out.transmit()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.table.out.event()
    }

    /// Answers [`Event::Connect`]: a flow, perhaps one that existed, or why there is none.
    pub fn handle_connect_done(&mut self, now: Instant, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        self.advance(now);
        let raw = id.0;
        if !self.table.get(raw).is_some_and(|tenant| tenant.fsm.is_connecting()) {
            // One answer counts.
            return;
        }
        match result {
            Ok(flow) => {
                self.table.bind(raw, &flow);
                self.table.with(raw, |fsm, cx| match fsm {
                    Fsm::InviteClient(fsm) => fsm.connected(cx, flow),
                    Fsm::NonInviteClient(fsm) => fsm.connected(cx, flow),
                    Fsm::InviteServer(fsm) => fsm.on_connect_done(cx, Some(flow)),
                    Fsm::NonInviteServer(fsm) => fsm.on_connect_done(cx, Some(flow)),
                    Fsm::Send(payload) => cx.send(&flow, &std::mem::take(payload)),
                });
            }
            Err(_) if self.fall_back_to_udp(raw) => {}
            Err(_) => {
                self.table.with(raw, |fsm, cx| match fsm {
                    Fsm::InviteServer(fsm) => fsm.on_connect_done(cx, None),
                    Fsm::NonInviteServer(fsm) => fsm.on_connect_done(cx, None),
                    Fsm::Send(payload) => payload.clear(),
                    client => super::client::on_failure(client, cx),
                });
            }
        }
    }

    /// A transmit could not be handed to the network.
    pub fn handle_transmit_failed(&mut self, now: Instant, id: TransmitId, _error: io::ErrorKind) {
        self.advance(now);
        let raw = match id::kind(id.0) {
            Kind::Cancel => id::with_kind(id.0, Kind::Client),
            _ => id.0,
        };
        self.table.with(raw, |fsm, cx| match fsm {
            Fsm::InviteClient(fsm) if id::kind(id.0) == Kind::Cancel => fsm.on_cancel_failure(cx),
            Fsm::InviteServer(fsm) => fsm.on_transmit_failed(cx),
            Fsm::NonInviteServer(fsm) => fsm.on_transmit_failed(cx),
            client => super::client::on_failure(client, cx),
        });
    }

    /// A connection is gone. Requests that went over it fail at once, unless a peer that listens has answered
    /// provisionally and may come back (RFC 3261 §18.2.2).
    pub fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        self.advance(now);
        if flow.connection.is_none() {
            return;
        }
        for raw in self.table.unbind_all(&flow) {
            let bound = matches!(self.table.get(raw).map(|t| &t.side), Some(Side::Client { bound: true, .. }));
            self.table.with(raw, |fsm, cx| match fsm {
                Fsm::InviteServer(fsm) => fsm.on_closed(cx),
                Fsm::NonInviteServer(fsm) => fsm.on_closed(cx),
                client => super::client::on_closed(client, cx, bound),
            });
        }
    }

    /// What the layer did so far.
    pub fn stats(&self) -> Stats {
        Stats { current: self.table.len() as u64, ..self.table.out.stats }
    }

    /// Whether no transaction exists and nothing waits to be polled.
    pub fn is_idle(&self) -> bool {
        self.table.len() == 0 && self.table.out.is_empty()
    }

    /// Whether a request reached us before by another path, as data for the user agent server that has to answer it
    /// 482 (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, id: ServerId) -> bool {
        matches!(self.table.get(id.0).map(|tenant| &tenant.side), Some(Side::Server { merged: true, .. }))
    }

    /// Time never runs backwards.
    pub(super) fn advance(&mut self, now: Instant) {
        if now > self.latest {
            self.latest = now;
            let elapsed = now.saturating_duration_since(self.start);
            self.table.now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            self.table.from = self.table.now + u64::from(!elapsed.subsec_nanos().is_multiple_of(1_000_000));
        }
    }
}

/// All that decides what the layer does next, for tests.
impl Hash for Layer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.keys.hash(state);
        self.shard.hash(state);
        self.sent_by.hash(state);
        self.latest.hash(state);
        self.table.hash(state);
    }
}
