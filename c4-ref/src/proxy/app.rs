//! One shard: its machines, and the order in which they hear of things.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::siphash::BuildSipHasher;
use sha2::{Digest, Sha256};
use sip_core::auth::Challenger;
use sip_core::proxy::{self, ContextId, Locals, Proxy};
use sip_core::registrar::WallClock;
use sip_core::transaction::{self, ClientId, ConnectId, Layer, ServerId, TransmitId};
use sip_core::{Checked, ConnectionId, Flow, Message, Request, Response, StatusCode};

use super::calls::Calls;
use super::counters::Counters;
use super::inbound::Admitted;
use super::keepalive::{Probe, Sweep};
use super::media::Media;
use super::record_route::RecordRoute;
use super::settings::Settings;
use super::shared::Shared;
use crate::admin::{Answer, Command};
use crate::cdr;
use crate::identity::Identities;
use crate::machine::{Datagram, Event, Machine, News, PlainNews, Transmit};
use crate::source;

/// The proxy and registrar of one worker.
///
/// It holds a transaction layer, the proxy core over it, and the calls of this shard; the location table and the nonce
/// counts are [`Shared`] by all. Without I/O: see [`Machine`] for the calling contract. Whatever an input leads to is
/// worked through before the call returns; what remains are transmits and events to poll.
#[derive(Debug, Clone)]
pub struct App {
    pub(super) settings: Arc<Settings>,
    pub(super) shared: Arc<Shared>,
    pub(super) shard: usize,
    pub(super) layer: Layer,
    pub(super) proxy: Proxy,
    pub(super) challenger: Challenger,
    pub(super) record_route: RecordRoute,
    pub(super) calls: Calls,
    /// Hosts and ports that name us in a Route.
    pub(super) locals: Locals,
    pub(super) wall: WallClock,
    pub(super) counters: Counters,
    /// What was found out about the request that is worked on.
    pub(super) admitted: Option<Admitted>,
    pub(super) probes: HashMap<ClientId, Probe, BuildSipHasher>,
    /// The flow and mark of the request that waits for its targets.
    pub(super) routing: Option<(Mark, Flow)>,
    pub(super) events: VecDeque<Event<ConnectId>>,
    /// The address of record of each context that has contacts for branches.
    pub(super) called: HashMap<ContextId, Box<str>, BuildSipHasher>,
    /// Answers to messages too broken to be requests, and what the layer had to send before them.
    first: VecDeque<Transmit<Option<TransmitId>>>,
    /// What the certificates of TLS clients prove; as many as the driver has connections.
    pub(super) identified: HashMap<ConnectionId, Identities, BuildSipHasher>,
    pub(super) sweep: Sweep,
    /// `None` without relays.
    pub(super) media: Option<Box<Media>>,
    hasher: BuildSipHasher,
    ids: u64,
    now: Instant,
}

/// What a shard is made with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// What all shards share.
    pub shared: Arc<Shared>,
    /// Which shard this is, counted from 0.
    pub shard: usize,
    /// Where all that must not be guessed comes from; another one for each start of the process, the same for all
    /// shards.
    pub seed: [u8; 32],
    /// The present time since the Unix epoch.
    pub unix: Duration,
}

/// Answers to broken messages that may wait to be sent.
const MAX_COMPLAINTS: usize = 4096;

/// The shards of a proxy, and what they share: restore the bindings of the store into it before the first message.
/// `None`: the ring of nonce keys is empty.
pub fn shards(
    settings: Settings,
    count: usize,
    seed: [u8; 32],
    now: Instant,
    unix: Duration,
) -> Option<(Arc<Shared>, Vec<App>)> {
    let shared = Arc::new(Shared::new(&settings, count, seed, now, unix));
    let settings = Arc::new(settings);
    let shard = |shard| App::new(Start { settings: settings.clone(), shared: shared.clone(), shard, seed, unix }, now);
    let apps = (0..count.max(1)).map(shard).collect::<Option<Vec<App>>>()?;
    Some((shared, apps))
}

impl App {
    /// A shard without calls. `None`: the ring of nonce keys is empty.
    pub fn new(start: Start, now: Instant) -> Option<App> {
        let Start { settings, shared, shard, seed, unix } = start;
        let own = derive(&seed, b"shard", shard);
        let mut config = transaction::Config::new(derive(&seed, b"layer", shard));
        config.shard = u16::try_from(shard).ok()?;
        config.max_transactions = settings.max_transactions;
        let mut layer = Layer::new(config, now);
        let mut locals = Locals::default();
        for listener in &settings.listeners {
            layer.set_sent_by(listener.transport, listener.bind, &listener.sent_by);
            locals.add_address(listener.bind);
            add_sent_by(&mut locals, &listener.sent_by);
        }
        // Shards stand in for each other: a loop may come back to another one.
        let config = proxy::Config {
            seed: derive(&seed, b"proxy", 0),
            locals: locals.clone(),
            ringing_limit: settings.ringing_limit,
            ..proxy::Config::default()
        };
        let hasher = BuildSipHasher::new(half(&own));
        Some(App {
            proxy: Proxy::new(config, now),
            challenger: Challenger::new(settings.digest(), settings.keys.clone(), derive(&seed, b"nonce", shard), unix),
            record_route: RecordRoute::new(&settings.keys)?,
            calls: Calls::new(half(&derive(&seed, b"calls", shard)), settings.max_calls),
            locals,
            wall: WallClock { at: now, unix },
            counters: Counters::default(),
            admitted: None,
            probes: HashMap::with_hasher(hasher.clone()),
            events: VecDeque::new(),
            routing: None,
            called: HashMap::with_hasher(hasher.clone()),
            first: VecDeque::new(),
            identified: HashMap::with_hasher(hasher.clone()),
            sweep: Sweep::new(now, shard),
            media: Media::new(&settings, derive(&seed, b"ng", shard), now),
            hasher,
            ids: 0,
            now,
            settings,
            shared,
            shard,
            layer,
        })
    }

    /// Takes another configuration: users, peers and switches count from the next request on. Listeners stay.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        // An empty ring changes nothing: it signs nothing.
        let Some(record_route) = RecordRoute::new(&settings.keys) else { return };
        self.record_route = record_route;
        self.challenger.set_keys(settings.keys.clone());
        if self.shard == 0 {
            self.shared.location.set_settings(&settings);
        }
        self.proxy.config_mut().ringing_limit = settings.ringing_limit;
        self.settings = settings;
    }

    /// Gives a checked message to the transactions and works through what follows.
    pub(super) fn take(&mut self, now: Instant, flow: Flow, message: Checked) -> Result<(), transaction::Rejected> {
        let taken = self.layer.handle_input(now, transaction::Input { flow, message });
        self.work(now);
        taken
    }

    /// Works through the events of the layer and the proxy until there are none.
    pub(super) fn work(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.proxy.poll_event() {
                self.follow(now, event);
            } else if let Some(event) = self.layer.poll_event() {
                let event = if self.media.is_some() { self.through_media(now, event) } else { Some(event) };
                if let Some(event) = event {
                    self.give(now, event);
                }
            } else if let Some(event) = self.media_poll(now) {
                self.media_event(now, event);
            } else if !self.cut_calls(now) {
                return;
            }
        }
    }

    fn media_poll(&mut self, now: Instant) -> Option<crate::ng::client::Event> {
        self.media.as_mut()?.poll_event(now, self.settings.relay_policy)
    }

    /// An event of the layer that nothing holds up any more.
    pub(super) fn give(&mut self, now: Instant, mut event: transaction::Event) {
        if let transaction::Event::Response { id, response, .. } = &mut event {
            // Where the called side is, is nobody's business but ours.
            let _ = response.remove(source::HEADER);
            self.dialog_response(now, *id, response);
        }
        if let Some(event) = self.proxy.handle_event(now, &mut self.layer, event) {
            self.handle(now, event);
        }
    }

    /// An event of the layer that is none of the proxy's.
    fn handle(&mut self, now: Instant, event: transaction::Event) {
        match event {
            transaction::Event::Request { id, request, flow } => self.handle_request(now, id, request, flow),
            transaction::Event::Ack { request, .. } => self.handle_ack(now, request),
            transaction::Event::Response { id, response, .. } => self.probe_answered(now, id, response.status()),
            transaction::Event::Timeout { id } | transaction::Event::TransportFailed { id } => {
                self.probe_failed(now, id)
            }
            transaction::Event::ClientEnded { id } => {
                self.probes.remove(&id);
            }
            transaction::Event::Connect { id, target } => {
                let target = self.settings.with_tls_name(target);
                self.events.push_back(Event::Connect { id, target });
            }
            _ => {}
        }
    }

    fn handle_request(&mut self, now: Instant, id: ServerId, request: Request, flow: Flow) {
        let Some(admitted) = self.admitted.take() else {
            // Every request passes the admission; without it nothing is forwarded.
            let response = request.response(StatusCode::SERVER_INTERNAL_ERROR);
            return self.respond(now, id, response);
        };
        if *request.method() == sip_core::Method::Register {
            return self.register(now, id, &request, &flow, &admitted);
        }
        self.forward(now, id, request, &flow, admitted);
    }

    /// Answers a request with a final response of ours.
    pub(super) fn respond(&mut self, now: Instant, id: ServerId, mut response: Response) {
        if response.to_tag().is_none() {
            let tag = format!("{:016x}", self.number());
            let _ = response.set_to_tag(&tag); // hexadecimal digits
        }
        let _ = self.layer.respond(now, id, response); // Gone: nobody waits for it any more
    }

    /// Answers what is no request, and so has no transaction. Too many such answers are dropped, as datagrams may be.
    pub(super) fn complain(&mut self, to: Flow, payload: Bytes) {
        if self.first.len() < MAX_COMPLAINTS {
            self.first.extend(std::iter::from_fn(|| self.layer.poll_transmit()).map(of_layer));
            self.first.push_back(Transmit { id: None, flow: to, payload, close: false });
        }
    }

    /// A number that nobody outside can foresee.
    pub(super) fn number(&mut self) -> u64 {
        self.ids += 1;
        self.hasher.hash_one(("number", self.ids))
    }

    /// The To tag of an answer without transaction: the same for a retransmission (RFC 3261 §8.2.7).
    pub(super) fn stateless_tag(&self, request: &Request) -> String {
        let cseq = request.cseq().seq;
        let hash = self.hasher.hash_one((request.call_id(), request.from_tag(), request.branch(), cseq));
        format!("{hash:016x}")
    }

    /// The time since the Unix epoch.
    pub(super) fn unix(&self, now: Instant) -> Duration {
        self.wall.unix_at(now)
    }

    /// Writes a change of the open calls to the spool.
    pub(super) fn spool(&mut self, entry: cdr::spool::Entry) {
        self.events.push_back(Event::Spool(entry));
    }

    /// Writes a call's record, then the end of its line in the spool.
    pub(super) fn write_record(&mut self, (id, line): (cdr::Id, String)) {
        self.events.push_back(Event::Cdr(line));
        self.spool(cdr::spool::Entry::End(id));
    }

    fn expire_calls(&mut self, now: Instant) {
        while let Some(record) = self.calls.expire(now) {
            self.counters.calls_expired += 1;
            self.write_record(record);
        }
    }

    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

impl Machine for App {
    type ConnectId = ConnectId;
    /// `None`: an answer to what is no request, of which nobody wants to hear again.
    type TransmitId = Option<TransmitId>;

    fn shard(&self, _flow: &Flow, message: &Message) -> Option<usize> {
        self.shared.shard_of(message)
    }

    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        let now = self.tick(now);
        self.receive(now, flow, message);
        self.admitted = None;
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        self.layer.handle_timeout(now);
        self.proxy.handle_timeout(now, &mut self.layer);
        if let Some(media) = &mut self.media {
            media.handle_timeout(now);
        }
        self.work(now);
        self.expire_calls(now);
        self.sweep(now);
        self.work(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() || !self.first.is_empty() {
            return Some(self.now);
        }
        let timers = [self.layer.poll_timeout(), self.proxy.poll_timeout(), self.calls.next_expiry()];
        let media = self.media.as_ref().and_then(|media| media.poll_timeout(self.now));
        timers.into_iter().chain([media]).flatten().chain([self.sweep.next]).min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<Option<TransmitId>>> {
        self.first.pop_front().or_else(|| self.layer.poll_transmit().map(of_layer))
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.events.pop_front().or_else(|| self.media.as_mut()?.poll_stream())
    }

    fn handle_datagram(&mut self, now: Instant, socket: usize, from: SocketAddr, payload: Bytes) {
        let now = self.tick(now);
        self.media_datagram(now, socket, from, payload);
    }

    fn datagram_shard(&self, socket: usize, payload: &[u8]) -> Option<usize> {
        let is_notice = self.media.as_ref().is_some_and(|media| media.is_for_notices(socket));
        if is_notice { self.shared.shard_of_call(super::media::call_id(payload)?.as_bytes()) } else { None }
    }

    fn handle_plain(&mut self, now: Instant, id: u64, news: PlainNews) {
        let now = self.tick(now);
        if let Some(media) = &mut self.media {
            media.handle_plain(now, id, news);
            self.work(now);
        }
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        self.media.as_mut()?.poll_datagram()
    }

    fn handle_connect_done(&mut self, now: Instant, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        let now = self.tick(now);
        self.layer.handle_connect_done(now, id, result);
        self.work(now);
    }

    fn handle_transmit_failed(&mut self, now: Instant, id: Option<TransmitId>, kind: io::ErrorKind) {
        let now = self.tick(now);
        let Some(id) = id else { return };
        self.layer.handle_transmit_failed(now, id, kind);
        self.work(now);
    }

    fn handle_flow_identified(&mut self, _now: Instant, flow: Flow, identities: &Identities) {
        if let Some(id) = flow.connection {
            self.identified.insert(id, identities.clone());
        }
    }

    fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        let now = self.tick(now);
        if let Some(id) = flow.connection {
            self.identified.remove(&id);
        }
        self.layer.handle_flow_closed(now, flow);
        self.work(now);
    }

    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        let now = self.tick(now);
        self.command(now, command)
    }

    fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        self.wall = WallClock { at: now, unix };
        if self.shard == 0 {
            self.shared.location.set_wall_clock(now, unix);
        }
    }

    /// [`Settings`] as a whole.
    fn handle_reload(&mut self, now: Instant, news: &News) {
        self.tick(now);
        if let Ok(settings) = news.clone().downcast::<Settings>() {
            self.set_settings(settings);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        let now = self.tick(now);
        for record in self.calls.drain(now) {
            self.write_record(record);
        }
    }
}

/// All that decides what this shard does next, for tests; counters are left out.
impl Hash for App {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.layer.hash(state);
        self.proxy.hash(state);
        (self.ids, self.now, self.sweep.next, self.calls.len(), self.calls.dialogs()).hash(state);
        (self.calls.next_expiry(), self.probes.len(), self.called.len(), self.events.len()).hash(state);
        self.media.as_ref().map(|media| (media.sizes(), media.poll_timeout(self.now))).hash(state);
        self.shared.location.for_each(|binding| binding.hash(state));
    }
}

/// The mark of a proxy context: what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// No call: MESSAGE, a re-INVITE, whatever leaves no record.
    None,
    /// The INVITE that began this call.
    Call(super::calls::CallId),
    /// A BYE of this call.
    Bye(super::calls::CallId),
}

impl Mark {
    pub(super) fn to_user(self) -> u64 {
        match self {
            Mark::None => 0,
            Mark::Call(call) => call.get() << 1,
            Mark::Bye(call) => call.get() << 1 | 1,
        }
    }

    pub(super) fn of_user(user: u64) -> Mark {
        let call = super::calls::CallId::from_mark(user >> 1);
        match user {
            0 => Mark::None,
            user if user & 1 == 0 => Mark::Call(call),
            _ => Mark::Bye(call),
        }
    }
}

fn of_layer(transmit: transaction::Transmit) -> Transmit<Option<TransmitId>> {
    let transaction::Transmit { id, flow, payload } = transmit;
    Transmit { id: Some(id), flow, payload, close: false }
}

fn derive(seed: &[u8; 32], purpose: &[u8], shard: usize) -> [u8; 32] {
    Sha256::new_with_prefix(seed).chain_update(purpose).chain_update(shard.to_be_bytes()).finalize().into()
}

fn half(key: &[u8; 32]) -> [u8; 16] {
    key.first_chunk().copied().unwrap_or_default()
}

fn add_sent_by(locals: &mut Locals, sent_by: &str) {
    if let Ok(address) = sent_by.parse() {
        locals.add_address(address);
    } else if let Some((host, port)) = sent_by.rsplit_once(':') {
        locals.add_host(host, port.parse().ok());
    } else {
        locals.add_host(sent_by, None);
    }
}
