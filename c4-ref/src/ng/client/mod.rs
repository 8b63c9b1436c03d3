//! The side of the SIP proxy: requests to the relay that serves the call, with its failures.

mod exchange;
mod node;
mod stats;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::proxy::hash::HashKey;

use super::bencode::Limits;
use super::framer::{Frame, Framer};
use super::{Command, Reply, Request};
use exchange::{Exchange, Route};
use node::{Link, State};
pub use node::{Node, NodeId};
pub use stats::Stats;

/// What a UDP datagram holds at most (RFC 768 over IPv4).
const MOST_DATAGRAM: usize = 65_507;
/// Relays at most.
const MOST_NODES: usize = 64;

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The relays; 64 at most.
    pub nodes: Vec<Node>,
    /// How long one datagram waits for its reply. Default: 500 ms.
    pub timeout: Duration,
    /// How often a datagram is sent before its relay has failed; over TCP a request is sent once and has the whole time.
    /// Default: 3.
    pub tries: u32,
    /// After so long a request is sent to no further relay: with the tries of the last one this bounds how long a request
    /// may take. Default: 5 s.
    pub patience: Duration,
    /// How often each relay is asked whether it is there. At least 100 ms; default: 5 s.
    pub ping_interval: Duration,
    /// Requests in a row without reply that make a relay count as down. Default: 2.
    pub failures: u32,
    /// A request above so many octets goes over TCP where its relay has both. Default: 16,384.
    pub datagram_limit: usize,
    /// Requests that wait for their reply. Default: 16,384.
    pub max_requests: usize,
    /// Datagrams and events that wait for the driver. Default: 16,384.
    pub max_output: usize,
    /// Bounds of a reply.
    pub limits: Limits,
    /// Keys the choice of the relay: the same on all proxies that share relays, and after a restart.
    pub choice_seed: [u8; 32],
}

impl Config {
    /// The defaults with these relays.
    pub fn new(nodes: Vec<Node>) -> Config {
        Config {
            nodes,
            timeout: Duration::from_millis(500),
            tries: 3,
            patience: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            failures: 2,
            datagram_limit: 16_384,
            max_requests: 16_384,
            max_output: 16_384,
            limits: Limits { depth: 16, items: 65_536, octets: 1 << 20 },
            choice_seed: [0; 32],
        }
    }
}

/// Names a request in its [`Event::Done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A connection, by the number that the client gave it in [`Event::Connect`]. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A datagram.
    Udp(SocketAddr),
    /// A connection.
    Tcp(ConnectionId),
}

/// Octets on their way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: To,
    /// What; empty with `close` just closes.
    pub payload: Bytes,
    /// Close the connection once the payload is written.
    pub close: bool,
}

/// What a client tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A request is done.
    Done {
        /// Which.
        id: RequestId,
        /// The relay that answered, or that was asked last. A call stays with the relay that answered its offer.
        node: Option<NodeId>,
        /// Its reply, of whatever kind, or why there is none.
        result: Result<Reply, Failure>,
    },
    /// Make a connection; answered by [`Client::handle_connect_done`].
    Connect {
        /// Its number.
        connection: ConnectionId,
        /// Where to.
        address: SocketAddr,
    },
    /// A relay counts as down: new calls go elsewhere until it answers again.
    NodeDown(NodeId),
    /// A relay answers again.
    NodeUp(NodeId),
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No relay is up, or there is none of that number.
    #[error("no relay is up")]
    NoNode,
    /// The last relay that was asked did not answer in time.
    #[error("no reply in time")]
    TimedOut,
    /// No connection, or it ended.
    #[error("no connection")]
    NoConnection,
    /// Larger than a datagram, and no relay takes TCP.
    #[error("larger than a datagram")]
    TooLarge,
    /// What came back is no reply.
    #[error("malformed reply")]
    BadReply,
}

/// Why an input or command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// A bound is reached; nothing has changed.
    #[error("busy")]
    Busy,
    /// No reply that anybody waits for.
    #[error("stray")]
    Stray,
    /// What came back is no reply, or no message at all.
    #[error("malformed")]
    Malformed,
}

/// An NG client for a set of relays, without I/O.
///
/// The caller's order: [`Client::handle_timeout`] when [`Client::poll_timeout`] is due; inputs and
/// [`Client::request`]; [`Client::poll_transmit`] until empty; [`Client::poll_event`] until empty.
///
/// The relay of a call is chosen by rendezvous hash of its Call-ID among those that are up: a relay that comes or goes
/// moves only its own calls. Whoever knows the relay of a call already pins it. A request that is not pinned goes on to
/// the next relay when one does not answer, is at its limit, or has no ports; a pinned one does not, for no other relay
/// knows the call.
///
/// ```
/// use c4_ref::ng::client::{Client, Config, Event, To};
/// use c4_ref::ng::{Command, Reply, Request};
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let relay = "127.0.0.1:2223".parse().unwrap();
/// let mut client = Client::new(Config::new(vec!["udp:127.0.0.1:2223".parse().unwrap()]), [7; 32], now);
/// let id = client.request(now, None, Request::new(Command::Query, "call-1")).unwrap();
/// let sent = client.poll_transmit().unwrap();
/// assert_eq!(sent.to, To::Udp(relay));
/// let cookie = sent.payload.split(|octet| *octet == b' ').next().unwrap();
/// let reply = [cookie, b" d6:result2:oke"].concat();
/// client.handle_datagram(now, relay, reply.into()).unwrap();
/// let done = client.poll_event();
/// assert!(matches!(done, Some(Event::Done { id: known, result: Ok(Reply::Ok(_)), .. }) if known == id));
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    config: Config,
    now: Instant,
    /// What all cookies of this client begin with.
    prefix: String,
    choice: HashKey,
    next: u64,
    nodes: Vec<State>,
    /// Requests under way by number; pings too.
    exchanges: BTreeMap<u64, Exchange>,
    timers: BTreeSet<(Instant, Timer)>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    stats: Stats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A request has waited long enough.
    Wait(u64),
    /// A relay is to be asked whether it is there.
    Ping(NodeId),
}

impl Client {
    /// A client whose relays all count as up. `seed` makes its cookies, and must be another for each client.
    pub fn new(mut config: Config, seed: [u8; 32], now: Instant) -> Client {
        config.nodes.truncate(MOST_NODES);
        config.timeout = config.timeout.max(Duration::from_millis(1));
        config.ping_interval = config.ping_interval.max(Duration::from_millis(100));
        let key = HashKey::from_seed(&seed, b"ng cookie");
        let count = config.nodes.len() as u32;
        let first = |n: u32| now + Duration::from_millis(1) + config.ping_interval * n / count.max(1);
        Client {
            now,
            prefix: format!("{:016x}_", key.hash(&[b"prefix"])),
            choice: HashKey::from_seed(&config.choice_seed, b"ng node"),
            next: 1,
            nodes: config.nodes.iter().copied().map(State::new).collect(),
            exchanges: BTreeMap::new(),
            timers: (0..count).map(|n| (first(n), Timer::Ping(NodeId(n as u16)))).collect(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Sends a request to the relay of its Call-ID, or to `pinned`. [`Event::Done`] says what became of it.
    ///
    /// # Errors
    /// [`Rejected::Busy`].
    pub fn request(
        &mut self,
        now: Instant,
        pinned: Option<NodeId>,
        mut request: Request,
    ) -> Result<RequestId, Rejected> {
        self.advance(now);
        let full = self.exchanges.len() >= self.config.max_requests;
        if full || self.out.len() >= self.config.max_output || self.events.len() >= self.config.max_output {
            self.stats.busy += 1;
            return Err(Rejected::Busy);
        }
        self.stats.requests += 1;
        let call = self.choice.hash(&[request.call_id.as_bytes()]);
        request.flags.supports_load_limit = true;
        let id = self.start(Route { pinned, call, ping: None }, &request);
        Ok(RequestId(id))
    }

    /// The relay that a new call with this Call-ID would go to.
    pub fn node_for(&self, call_id: &str) -> Option<NodeId> {
        self.choose(self.choice.hash(&[call_id.as_bytes()]), 0)
    }

    /// The relays in the order of the configuration, and whether each is up.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, Node, bool)> {
        self.nodes.iter().enumerate().map(|(n, state)| (NodeId(n as u16), state.node, state.is_up))
    }

    /// A name for a relay that stays when others come or go: for tokens that pin a call.
    pub fn node_name(&self, node: NodeId) -> Option<u32> {
        let state = self.nodes.get(usize::from(node.0))?;
        Some(self.choice.hash(&[b"name", state.node.to_string().as_bytes()]) as u32)
    }

    /// The relay of a [`Client::node_name`], unless it has gone.
    pub fn node_by_name(&self, name: u32) -> Option<NodeId> {
        self.nodes().map(|(id, ..)| id).find(|id| self.node_name(*id) == Some(name))
    }

    /// A datagram.
    ///
    /// # Errors
    /// It is no reply that anybody waits for, or none at all; the latter counts as failure of the relay.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: Bytes) -> Result<(), Rejected> {
        self.advance(now);
        let frame = Frame::of_datagram(&datagram).ok_or(Rejected::Malformed);
        let frame = frame.inspect_err(|_| self.stats.strays += 1)?;
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        self.reply(&frame, |node, _| node.udp.is_some_and(|known| canonical(known) == canonical(from)))
    }

    /// The answer to [`Event::Connect`].
    pub fn handle_connect_done(&mut self, now: Instant, id: ConnectionId, result: Result<(), io::ErrorKind>) {
        self.advance(now);
        let Some(node) = self.linked_by(id) else {
            if result.is_ok() {
                self.close(id);
            }
            return;
        };
        match result {
            Ok(()) => {
                let framer = Framer::new(self.config.limits);
                self.set_link(node, Link::Up(id, framer));
                self.send_over(node, id);
            }
            Err(_) => self.link_failed(node, true),
        }
    }

    /// Octets of a connection.
    ///
    /// # Errors
    /// A reply among them is not awaited, or the stream holds no replies; then it is closed.
    pub fn handle_stream(&mut self, now: Instant, id: ConnectionId, octets: &[u8]) -> Result<(), Rejected> {
        self.advance(now);
        let Some(node) = self.linked_by(id) else { return Err(Rejected::Stray) };
        let mut result = Ok(());
        let mut octets = Some(octets);
        while let Some(State { link: Link::Up(_, framer), .. }) = self.nodes.get_mut(usize::from(node.0)) {
            if let Some(octets) = octets.take() {
                framer.push(octets);
            }
            match framer.next() {
                Ok(Some(frame)) => result = result.and(self.reply(&frame, |_, asked| asked == node)),
                Ok(None) => break,
                Err(_) => {
                    self.close(id);
                    self.link_failed(node, true);
                    result = Err(Rejected::Malformed);
                }
            }
        }
        result
    }

    /// A connection ended. What waits on it is sent again over a new one, as often as [`Config::tries`] says.
    pub fn handle_closed(&mut self, now: Instant, id: ConnectionId) {
        self.advance(now);
        if let Some(node) = self.linked_by(id) {
            self.link_failed(node, false);
        }
    }

    /// Repeats datagrams, gives up on relays, asks them whether they are there. A spurious call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= self.now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Wait(number) => self.waited(number),
                Timer::Ping(node) => {
                    self.timers.insert((self.now + self.config.ping_interval, timer));
                    self.ping(node);
                }
            }
        }
    }

    /// When [`Client::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.out.is_empty() || !self.events.is_empty() {
            return Some(self.now);
        }
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was counted since the beginning.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn ping(&mut self, node: NodeId) {
        let idle = self.nodes.get(usize::from(node.0)).is_some_and(|state| state.ping.is_none());
        // Without a driver that drains, pings would pile up.
        if idle && self.out.len() < self.config.max_output {
            self.stats.pings += 1;
            let route = Route { pinned: Some(node), call: 0, ping: Some(node) };
            self.start(route, &Request::new(Command::Ping, ""));
        }
    }

    fn linked_by(&self, id: ConnectionId) -> Option<NodeId> {
        self.nodes.iter().position(|state| state.is_linked_by(id)).map(|n| NodeId(n as u16))
    }

    fn set_link(&mut self, node: NodeId, link: Link) {
        if let Some(state) = self.nodes.get_mut(usize::from(node.0)) {
            state.link = link;
        }
    }

    fn close(&mut self, id: ConnectionId) {
        self.out.push_back(Transmit { to: To::Tcp(id), payload: Bytes::new(), close: true });
    }
}

#[cfg(test)]
mod tests;
