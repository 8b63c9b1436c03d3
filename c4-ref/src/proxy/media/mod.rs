//! The media of calls: anchored at a relay by rtpengine's NG protocol, before a description goes on.
//!
//! | SIP | NG |
//! | --- | --- |
//! | INVITE, UPDATE, PRACK with SDP | `offer`, for each branch of a fork one with a `via-branch` of its own |
//! | 1xx or 2xx with SDP to these | `answer`; to an INVITE without SDP: `offer` |
//! | ACK with SDP, PRACK that answers an offer in a 1xx | `answer` |
//! | a branch of a fork that fails | `delete` of that branch |
//! | an INVITE that makes no dialog | `delete` of the call; of its branches, if the call is here by another passage too |
//! | BYE that was answered | `delete` of the called side's tag |
//! | BYE to both sides | the relay has told that the media timed out, or does not know the call any more |
//!
//! A refused re-INVITE or UPDATE deletes nothing: the session stays as it was (RFC 3261 §14.1). Bodies that are no SDP
//! pass as they are.
//!
//! While the relay is asked, requests wait before they are forked, and the messages of one client transaction wait behind
//! each other, so that nothing is overtaken. Each wait ends within [`MOST_WAIT`], whatever the relay does; then the
//! [policy](Policy) decides. Which relay has a call stands in our Record-Route, so that it outlives us.

mod ack;
mod answer;
mod body;
mod cut;
mod delete;
mod done;
mod hold;
mod notice;
mod offer;
mod pin;
mod session;
mod watch;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::siphash::BuildSipHasher;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sip_core::proxy::ContextId;
use sip_core::transaction::ClientId;

use super::settings::Settings;
use crate::machine::{Datagram, Event, PlainNews};
use crate::ng::client::{self, Client, ConnectionId, NodeId, RequestId, To};
use crate::ng::{Flags, Request};
use ack::HeldAck;
pub(super) use cut::text;
pub(super) use hold::Leg;
pub(super) use notice::call_id;
pub(super) use session::{Departure, Prepared};
use session::{Parties, Session};
use watch::Watch;

/// Before a relay that does not answer is given up: this often, this long apart.
const TRIES: u32 = 3;
const TRY: Duration = Duration::from_millis(200);
/// A request goes to no other relay after this time.
const PATIENCE: Duration = Duration::from_millis(700);
/// The longest that a message waits: for the relay of its dialog, then for others. Far below Timer B (RFC 3261 §17.1.1.2).
pub const MOST_WAIT: Duration = Duration::from_millis(600 + 700 + 600);
/// Between two pings of a relay.
const PING: Duration = Duration::from_secs(2);
/// How long a relay is down before its calls are ended, where the policy ends them: a restart is no reason.
const LOST: Duration = Duration::from_secs(10);
/// The time between two warnings of the same.
const WARNINGS: Duration = Duration::from_secs(10);
/// Requests to the relays under way, for each shard.
const MAX_REQUESTS: usize = 16_384;

/// What becomes of a call that no relay serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It goes on without a relay.
    #[default]
    Pass,
    /// The caller gets 503; an answer that no relay serves, and a relay that is down for ten seconds, end the call.
    Refuse,
}

/// The addresses that a worker's plain sockets are bound to, in their order: one for each address family of the relays.
pub fn sockets(settings: &Settings) -> Vec<SocketAddr> {
    let has = |v6: bool| settings.relays.iter().filter_map(|relay| relay.udp).any(|relay| relay.is_ipv6() == v6);
    let any = [(has(false), Ipv4Addr::UNSPECIFIED.into()), (has(true), Ipv6Addr::UNSPECIFIED.into())];
    any.into_iter().filter(|(has, _)| *has).map(|(_, ip)| SocketAddr::new(ip, 0)).collect()
}

/// The media of one shard's calls.
#[derive(Debug, Clone)]
pub(super) struct Media {
    client: Client,
    hasher: BuildSipHasher,
    flags: Arc<Flags>,
    /// What waits for the answer of a relay.
    jobs: HashMap<RequestId, Job, BuildSipHasher>,
    /// Requests whose media is anchored, from their arrival to the end of their context.
    sessions: HashMap<ContextId, Session, BuildSipHasher>,
    /// Client transactions of these that had a response with SDP, to their end.
    legs: HashMap<ClientId, Leg, BuildSipHasher>,
    /// ACKs with SDP that wait or were answered, and in which order they came.
    acks: HashMap<u64, HeldAck, BuildSipHasher>,
    ack_order: VecDeque<(Instant, u64)>,
    /// Dialogs in which a reliable 1xx made an offer that no PRACK has answered yet.
    offered: HashSet<u64, BuildSipHasher>,
    /// Dialogs whose relay is another one than their routes say.
    moved: HashMap<u64, NodeId, BuildSipHasher>,
    /// What the relays are called in tokens, in their order.
    names: Vec<u32>,
    /// Answered calls, where there is something to hear of them.
    watch: Option<Box<Watch>>,
    /// Relays that are down, and when their calls end.
    lost: Vec<(NodeId, Instant)>,
    /// The plain socket for notices.
    notices: Option<usize>,
    /// Connections to be made.
    connects: VecDeque<(u64, SocketAddr)>,
    /// Octets for connections, and whether to close them.
    writes: VecDeque<(u64, Bytes, bool)>,
    /// When the next call that no relay serves is a warning.
    warn_again: Option<Instant>,
    /// Whether the first plain socket is one for IPv4.
    has_v4: bool,
    counters: Counters,
}

/// What waits for the answer of a relay.
#[derive(Debug, Clone)]
enum Job {
    /// A request that goes out, by this branch; inside a dialog the relay has no name for it.
    Request { context: ContextId, branch: usize, parties: Arc<Parties>, via_branch: Option<String> },
    /// The response at the head of a client transaction.
    Response(ClientId),
    /// An ACK.
    Ack(u64),
    /// Nobody: a watched call is asked about.
    Query(u64),
}

/// The relay and its SDP, or why there is none.
type Served = Result<(NodeId, Bytes), Unserved>;

/// Why a relay has not served a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unserved {
    /// It did not answer, or is at its limit: another one may serve.
    Silent,
    /// It does not want this.
    Refused,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    offers: u64,
    answers: u64,
    deletes: u64,
    failures: u64,
    passed: u64,
    refused: u64,
    reanchored: u64,
    nodes_lost: u64,
    notices: u64,
    stray_notices: u64,
    queries: u64,
    cut: u64,
}

impl Media {
    /// `None`: no relay is configured. `seed` is another one for each shard and start of the process.
    pub(super) fn new(settings: &Settings, seed: [u8; 32], now: Instant) -> Option<Box<Media>> {
        if settings.relays.is_empty() {
            return None;
        }
        let config = client::Config {
            timeout: TRY,
            tries: TRIES,
            patience: PATIENCE,
            ping_interval: PING,
            // Three datagrams have got no answer by then.
            failures: 1,
            max_requests: MAX_REQUESTS,
            ..client::Config::new(settings.relays.clone())
        };
        let ends = settings.relay_policy == Policy::Refuse;
        let watches = ends || settings.relay_events.is_some() || settings.relay_poll.is_some();
        let key = seed.first_chunk().copied().unwrap_or_default();
        let hasher = BuildSipHasher::new(key);
        let client = Client::new(config, seed, now);
        let name = |node: NodeId| client.node_name(node).unwrap_or(pin::NONE).max(1);
        Some(Box::new(Media {
            names: client.nodes().map(|(node, ..)| name(node)).collect(),
            client,
            flags: Arc::new(Flags::from_text(&settings.relay_flags)),
            jobs: HashMap::with_hasher(hasher.clone()),
            sessions: HashMap::with_hasher(hasher.clone()),
            legs: HashMap::with_hasher(hasher.clone()),
            acks: HashMap::with_hasher(hasher.clone()),
            ack_order: VecDeque::new(),
            offered: HashSet::with_hasher(hasher.clone()),
            moved: HashMap::with_hasher(hasher.clone()),
            watch: watches.then(|| Box::new(Watch::new(hasher.clone(), settings.relay_poll))),
            lost: Vec::new(),
            notices: settings.relay_events.map(|_| sockets(settings).len()),
            connects: VecDeque::new(),
            writes: VecDeque::new(),
            warn_again: None,
            has_v4: sockets(settings).first().is_some_and(SocketAddr::is_ipv4),
            counters: Counters::default(),
            hasher,
        }))
    }

    /// A datagram of a relay. What is stray or malformed is counted by the client.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, payload: Bytes) {
        let _ = self.client.handle_datagram(now, from, payload);
    }

    /// News of a connection to a relay.
    pub(super) fn handle_plain(&mut self, now: Instant, id: u64, news: PlainNews) {
        let id = ConnectionId(id);
        match news {
            PlainNews::Connected(result) => self.client.handle_connect_done(now, id, result),
            PlainNews::Octets(octets) => _ = self.client.handle_stream(now, id, &octets),
            PlainNews::Closed => self.client.handle_closed(now, id),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.look_after(now);
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let waits = !self.writes.is_empty() || !self.connects.is_empty();
        if waits {
            return Some(now);
        }
        let watch = self.watch.as_ref().and_then(|watch| watch.poll_timeout(now));
        let lost = self.lost.iter().map(|(_, at)| *at);
        self.client.poll_timeout().into_iter().chain(watch).chain(lost).min()
    }

    /// The next datagram to a relay. Octets for connections that stand before it are put aside.
    pub(super) fn poll_datagram(&mut self) -> Option<Datagram> {
        loop {
            let transmit = self.client.poll_transmit()?;
            match transmit.to {
                To::Udp(to) => {
                    let socket = usize::from(to.is_ipv6() && self.has_v4);
                    return Some(Datagram { socket, to, payload: transmit.payload });
                }
                To::Tcp(id) => self.writes.push_back((id.0, transmit.payload, transmit.close)),
            }
        }
    }

    /// The next wish for a connection.
    pub(super) fn poll_stream<Id>(&mut self) -> Option<Event<Id>> {
        if let Some((id, to)) = self.connects.pop_front() {
            return Some(Event::PlainConnect { id, to });
        }
        let (id, payload, close) = self.writes.pop_front()?;
        Some(Event::PlainWrite { id, payload, close })
    }

    /// Asks a relay; what waits for it is remembered. Whether it could be asked.
    fn ask(&mut self, now: Instant, node: Option<NodeId>, request: Request, job: Job) -> bool {
        match self.client.request(now, node, request) {
            Ok(id) => {
                self.jobs.insert(id, job);
                true
            }
            Err(_) => false,
        }
    }

    fn key(&self, call_id: &str, from_tag: &str, to_tag: &str) -> u64 {
        self.hasher.hash_one((call_id, from_tag, to_tag))
    }

    /// Counters of this shard, and how the relays do as the first one sees them.
    pub(super) fn to_json(&self, tells_of_relays: bool) -> Map<String, Value> {
        let Counters { offers, answers, deletes, failures, passed, refused, reanchored, nodes_lost, .. } =
            self.counters;
        let Counters { notices, stray_notices, queries, cut, .. } = self.counters;
        let watched = self.watch.as_ref().map_or(0, |watch| watch.len());
        let up = self.client.nodes().filter(|(.., up)| *up).count();
        let (up, down) = if tells_of_relays { (up, self.client.nodes().count() - up) } else { (0, 0) };
        let values = json!({
            "offers": offers, "answers": answers, "deletes": deletes, "failed": failures,
            "passed-without-relay": passed, "refused-without-relay": refused, "moved-to-another-relay": reanchored,
            "relays-lost": nodes_lost, "relays-up": up, "relays-down": down, "waiting": self.jobs.len(), "anchoring": self.sessions.len() + self.legs.len(),
            "watched": watched, "notices": notices, "stray-notices": stray_notices, "queries": queries, "ended-calls": cut,
        });
        match values {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// For the hash of the shard in tests.
    pub(super) fn sizes(&self) -> [usize; 5] {
        [
            self.watch.as_ref().map_or(0, |watch| watch.len()),
            self.jobs.len(),
            self.sessions.len(),
            self.legs.len(),
            self.connects.len() + self.writes.len(),
        ]
    }
}
