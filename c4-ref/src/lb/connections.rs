//! Streams: which are open, which are being opened, and what was sent on them lately.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::siphash::BuildSipHasher;
use sip_core::flow::{ConnectionId, Flow, Target};

use crate::identity::Identities;

/// Names an [`Event::Connect`](crate::machine::Event::Connect) in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectId(pub u64);

/// Names a [`Transmit`](crate::machine::Transmit) in the news of its failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransmitId(pub u64);

/// Messages that wait for one connection.
const MAX_WAITING: usize = 1024;
/// Connections asked for at a time.
const MAX_CONNECTS: usize = 1024;
/// How long a stream's failure may come after the transmit.
const RECENT: Duration = Duration::from_secs(5);
/// Transmits on streams that are kept for that long, and their octets.
const MAX_RECENT: usize = 4096;
const MAX_RECENT_OCTETS: usize = 8 << 20;

/// An open stream of this worker.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) flow: Flow,
    /// Where it was opened to; `None`: the peer opened it.
    pub(super) target: Option<Target>,
    /// What the peer's certificate proves.
    pub(super) identities: Option<Identities>,
}

#[derive(Debug, Clone)]
struct Connecting {
    id: ConnectId,
    waiting: Vec<Bytes>,
}

/// What became of a message for a target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Send it on this flow.
    Open(Flow),
    /// It waits; ask for the connection.
    Ask(ConnectId),
    /// It waits for a connection that was asked for.
    Waiting,
    /// Too much waits already.
    Full,
}

/// The table of one worker. Bounded: open streams by the driver, the rest by the constants above.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    live: HashMap<ConnectionId, Live, BuildSipHasher>,
    opened: HashMap<Target, ConnectionId, BuildSipHasher>,
    connecting: HashMap<Target, Connecting, BuildSipHasher>,
    asked: HashMap<ConnectId, Target, BuildSipHasher>,
    last_connect: u64,
    recent: VecDeque<(TransmitId, Instant, Bytes)>,
    recent_octets: usize,
}

impl Connections {
    pub(super) fn new(key: [u8; 16]) -> Connections {
        let hasher = BuildSipHasher::new(key);
        Connections {
            live: HashMap::with_hasher(hasher.clone()),
            opened: HashMap::with_hasher(hasher.clone()),
            connecting: HashMap::with_hasher(hasher.clone()),
            asked: HashMap::with_hasher(hasher),
            last_connect: 0,
            recent: VecDeque::new(),
            recent_octets: 0,
        }
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Live> {
        self.live.get(&id)
    }

    /// A message came in on a stream.
    pub(super) fn seen(&mut self, flow: &Flow) {
        if let Some(id) = flow.connection {
            self.live.entry(id).or_insert_with(|| Live { flow: *flow, target: None, identities: None });
        }
    }

    /// The peer of an accepted stream has shown a certificate.
    pub(super) fn identified(&mut self, flow: &Flow, identities: &Identities) {
        self.seen(flow);
        if let Some(live) = flow.connection.and_then(|id| self.live.get_mut(&id)) {
            live.identities = Some(identities.clone());
        }
    }

    /// The flow to a target, or the place of `payload` in the queue for it.
    pub(super) fn reach(&mut self, target: &Target, payload: &Bytes) -> Reach {
        if let Some(live) = self.opened.get(target).and_then(|id| self.live.get(id)) {
            return Reach::Open(live.flow);
        }
        if let Some(connecting) = self.connecting.get_mut(target) {
            if connecting.waiting.len() >= MAX_WAITING {
                return Reach::Full;
            }
            connecting.waiting.push(payload.clone());
            return Reach::Waiting;
        }
        if self.connecting.len() >= MAX_CONNECTS {
            return Reach::Full;
        }
        self.last_connect += 1;
        let id = ConnectId(self.last_connect);
        self.connecting.insert(target.clone(), Connecting { id, waiting: vec![payload.clone()] });
        self.asked.insert(id, target.clone());
        Reach::Ask(id)
    }

    /// The answer to a connect: what waited for it. A flow that came into being is open from now on.
    pub(super) fn connected(&mut self, id: ConnectId, flow: Option<Flow>) -> Vec<Bytes> {
        let Some(target) = self.asked.remove(&id) else { return Vec::new() };
        if let Some((flow, connection)) = flow.and_then(|flow| Some((flow, flow.connection?))) {
            self.opened.insert(target.clone(), connection);
            let live = self.live.entry(connection).or_insert(Live { flow, target: None, identities: None });
            live.target = Some(target.clone());
            // The connection stands only when the certificate bears that name.
            live.identities = target.tls_name.as_deref().map(|name| [name.into()].into());
        }
        match self.connecting.remove(&target) {
            Some(connecting) if connecting.id == id => connecting.waiting,
            Some(other) => {
                self.connecting.insert(target, other);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    pub(super) fn closed(&mut self, id: ConnectionId) {
        let Some(target) = self.live.remove(&id).and_then(|live| live.target) else { return };
        if self.opened.get(&target) == Some(&id) {
            self.opened.remove(&target);
        }
    }

    /// Keeps what goes out on a stream until its failure would be known.
    pub(super) fn sent(&mut self, now: Instant, id: TransmitId, payload: &Bytes) {
        while self.recent.len() >= MAX_RECENT || self.recent_octets + payload.len() > MAX_RECENT_OCTETS {
            if !self.forget() {
                return;
            }
        }
        self.recent_octets += payload.len();
        self.recent.push_back((id, now, payload.clone()));
    }

    /// The payload of a transmit that failed.
    pub(super) fn failed(&mut self, id: TransmitId) -> Option<Bytes> {
        let at = self.recent.binary_search_by_key(&id, |(id, ..)| *id).ok()?;
        let (_, _, payload) = self.recent.remove(at)?;
        self.recent_octets -= payload.len();
        Some(payload)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(_, at, _)| *at + RECENT <= now) {
            self.forget();
        }
        if self.recent.is_empty() && self.recent.capacity() > 64 {
            self.recent = VecDeque::new();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.recent.front().map(|(_, at, _)| *at + RECENT)
    }

    /// How many streams are open.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    fn forget(&mut self) -> bool {
        let Some((_, _, payload)) = self.recent.pop_front() else { return false };
        self.recent_octets -= payload.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::flow::Transport;

    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn base() -> Instant {
        Instant::now()
    }

    fn target(port: u16) -> Target {
        Target::new(Transport::Tcp, ([192, 0, 2, 1], port).into())
    }

    fn flow(id: u64) -> Flow {
        let address = ([192, 0, 2, 1], 5060).into();
        Flow { transport: Transport::Tcp, local: address, remote: address, connection: Some(ConnectionId(id)) }
    }

    #[test]
    fn one_connect_a_target_and_all_that_waits_goes_on_it() {
        let mut c = Connections::new([1; 16]);
        let octets = Bytes::from_static(b"x");
        let Reach::Ask(id) = c.reach(&target(1), &octets) else { panic!("no connect") };
        assert_eq!(c.reach(&target(1), &octets), Reach::Waiting);
        assert!(matches!(c.reach(&target(2), &octets), Reach::Ask(other) if other != id));
        assert_eq!(c.connected(id, Some(flow(7))).len(), 2);
        assert_eq!(c.reach(&target(1), &octets), Reach::Open(flow(7)));
        assert_eq!(c.connected(id, Some(flow(8))).len(), 0, "a second answer means nothing");
        c.closed(ConnectionId(7));
        assert!(matches!(c.reach(&target(1), &octets), Reach::Ask(_)));
    }

    #[test]
    fn queues_are_bounded() {
        let mut c = Connections::new([1; 16]);
        let octets = Bytes::from_static(b"x");
        let reached = (0..2 * MAX_WAITING).filter(|_| c.reach(&target(1), &octets) != Reach::Full).count();
        assert_eq!(reached, MAX_WAITING);
        let asked = (0..2 * MAX_CONNECTS as u16).filter(|p| c.reach(&target(*p), &octets) != Reach::Full).count();
        assert_eq!(asked, MAX_CONNECTS - 1);
    }

    #[test]
    fn what_was_sent_is_kept_for_five_seconds_and_within_bounds() {
        let now = base();
        let mut c = Connections::new([1; 16]);
        let octets = Bytes::from(vec![0; 65_000]);
        for id in 0..1000 {
            c.sent(now, TransmitId(id), &octets);
        }
        assert!(c.recent_octets <= MAX_RECENT_OCTETS);
        assert_eq!(c.failed(TransmitId(0)), None);
        assert_eq!(c.failed(TransmitId(999)), Some(octets));
        assert_eq!(c.failed(TransmitId(999)), None);
        assert_eq!(c.poll_timeout(), Some(now + RECENT));
        c.handle_timeout(now + RECENT);
        assert_eq!((c.poll_timeout(), c.recent_octets), (None, 0));
    }
}
