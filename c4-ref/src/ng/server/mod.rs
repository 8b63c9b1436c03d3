//! The side of the relay: requests in, each once, replies out.

mod cache;
mod stats;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::siphash::BuildSipHasher;

use super::bencode::Limits;
use super::framer::{Broken, Frame, Framer};
use super::{Reply, Request};
use crate::net::Network;
use cache::{Cache, Found, Key};
pub use stats::Stats;

/// The time between two warnings of the same.
const WARNINGS: Duration = Duration::from_secs(10);
/// What a UDP datagram holds at most (RFC 768 over IPv4).
const MOST_DATAGRAM: usize = 65_507;

/// Settings of a [`Server`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may ask; all others get silence. Default: 127.0.0.0/8 and ::1.
    pub allow: Vec<Network>,
    /// Bounds of one request.
    pub limits: Limits,
    /// How long a reply is kept for a request that comes again, and how long one may take. Default: 10 s.
    pub cookie_lifetime: Duration,
    /// Addresses that ask at a time. Default: 64.
    pub max_sources: usize,
    /// Requests of one address that wait for their reply. Default: 1024.
    pub max_waiting: usize,
    /// Replies kept for one address; the oldest go first. Default: 16,384.
    pub max_replies: usize,
    /// Octets of those. Default: 16 MiB.
    pub max_reply_octets: usize,
    /// Connections at a time. Default: 256.
    pub max_connections: usize,
    /// Datagrams and requests that wait for the driver. Default: 4096.
    pub max_output: usize,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = [(IpAddr::from([127, 0, 0, 0]), 8), (IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]), 128)];
        Config {
            allow: loopback.iter().filter_map(|(base, bits)| Network::new(*base, *bits)).collect(),
            limits: Limits::default(),
            cookie_lifetime: Duration::from_secs(10),
            max_sources: 64,
            max_waiting: 1024,
            max_replies: 16_384,
            max_reply_octets: 16 << 20,
            max_connections: 256,
            max_output: 4096,
        }
    }
}

/// Names a request in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// A connection, by the number that the driver gave it. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where a request came from and its reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A datagram, by the socket that the driver numbered so.
    Udp {
        /// The socket.
        listener: u16,
        /// The client.
        remote: SocketAddr,
    },
    /// A connection.
    Tcp(ConnectionId),
}

/// Octets on their way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Peer,
    /// What; empty with `close` just closes.
    pub payload: Bytes,
    /// Close the connection once the payload is written.
    pub close: bool,
}

/// A request to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// To be answered by [`Server::handle_answer`].
    Request {
        /// Names it in the answer.
        id: CommandId,
        /// Who asks.
        peer: Peer,
        /// What.
        request: Request,
    },
}

/// Why an input led to no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The address may not ask.
    #[error("address not allowed")]
    Denied,
    /// No cookie; there was no answer.
    #[error("no cookie")]
    NoCookie,
    /// No request; an error went out.
    #[error("malformed request")]
    Malformed,
    /// A bound is reached; nothing has changed.
    #[error("busy")]
    Busy,
    /// Such a connection is not known.
    #[error("gone")]
    Gone,
}

/// The id is not known, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("gone")]
pub struct Gone;

/// The NG server of a relay, without I/O.
///
/// The caller's order: [`Server::handle_timeout`] when [`Server::poll_timeout`] is due; inputs; [`Server::poll_transmit`]
/// until empty; [`Server::poll_event`] until empty, each request answered by [`Server::handle_answer`], at once or
/// later.
///
/// A request that comes again with the same cookie from the same place is answered from memory, or when the answer of
/// the first is there: it reaches the relay once. With the same cookie and other contents it is another request, for
/// clients count from one again after a restart.
///
/// ```
/// use c4_ref::ng::server::{Config, Event, Peer, Server};
/// use c4_ref::ng::Reply;
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let mut server = Server::new(Config::default(), [7; 32], now);
/// let kamailio = "127.0.0.1:40000".parse().unwrap();
/// server.handle_datagram(now, 0, kamailio, "5323_1 d7:command4:pinge".into()).unwrap();
/// let Some(Event::Request { id, .. }) = server.poll_event() else { panic!() };
/// server.handle_answer(now, id, Reply::Pong).unwrap();
/// let transmit = server.poll_transmit().unwrap();
/// assert_eq!(transmit.to, Peer::Udp { listener: 0, remote: kamailio });
/// assert_eq!(transmit.payload, "5323_1 d6:result4:ponge");
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    config: Config,
    now: Instant,
    next_id: u64,
    cache: Cache,
    waiting: BTreeMap<CommandId, Waiting>,
    connections: HashMap<ConnectionId, Connection, BuildSipHasher>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    sweep: Option<Instant>,
    /// When the next unknown flag is a warning.
    warn_again: Option<Instant>,
    stats: Stats,
}

#[derive(Debug, Clone)]
struct Waiting {
    source: IpAddr,
    key: Key,
    knows_load_limit: bool,
}

#[derive(Debug, Clone)]
struct Connection {
    remote: SocketAddr,
    framer: Framer,
}

impl Server {
    /// A server without requests. `seed` keys its tables.
    pub fn new(mut config: Config, seed: [u8; 32], now: Instant) -> Server {
        let (first, _) = seed.split_at(16);
        let mut key = [0; 16];
        key.copy_from_slice(first);
        let hasher = BuildSipHasher::new(key);
        // A lifetime of zero would be a timer without end.
        config.cookie_lifetime = config.cookie_lifetime.max(Duration::from_millis(1));
        Server {
            cache: Cache::new(&config, hasher.clone()),
            connections: HashMap::with_hasher(hasher),
            config,
            now,
            next_id: 1,
            waiting: BTreeMap::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            sweep: None,
            warn_again: None,
            stats: Stats::default(),
        }
    }

    /// A datagram from `remote` at socket `listener`.
    ///
    /// # Errors
    /// It led to no request; see [`Rejected`].
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        listener: u16,
        remote: SocketAddr,
        datagram: Bytes,
    ) -> Result<(), Rejected> {
        self.advance(now);
        if !self.allows(remote.ip()) {
            self.stats.denied += 1;
            return Err(Rejected::Denied);
        }
        self.room()?;
        let Some(frame) = Frame::of_datagram(&datagram) else {
            self.stats.malformed += 1;
            return Err(Rejected::NoCookie);
        };
        self.frame(Peer::Udp { listener, remote }, remote.ip(), frame)
    }

    /// A client has connected.
    ///
    /// # Errors
    /// [`Rejected::Denied`] or [`Rejected::Busy`]: close it.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        remote: SocketAddr,
    ) -> Result<(), Rejected> {
        self.advance(now);
        if !self.allows(remote.ip()) {
            self.stats.denied += 1;
            return Err(Rejected::Denied);
        }
        if self.connections.len() >= self.config.max_connections {
            self.stats.busy += 1;
            return Err(Rejected::Busy);
        }
        let framer = Framer::new(self.config.limits);
        self.connections.insert(connection, Connection { remote, framer });
        Ok(())
    }

    /// Octets of a connection.
    ///
    /// # Errors
    /// [`Rejected::Busy`]: the octets were not taken; drain, then hand them over again. [`Rejected::Malformed`]: the
    /// connection will be closed. Requests before the place of the error count.
    pub fn handle_stream(&mut self, now: Instant, connection: ConnectionId, octets: &[u8]) -> Result<(), Rejected> {
        self.advance(now);
        self.room()?;
        let mut known = self.connections.remove(&connection).ok_or(Rejected::Gone)?;
        known.framer.push(octets);
        let peer = Peer::Tcp(connection);
        loop {
            match known.framer.next() {
                Ok(Some(frame)) => {
                    let cookie = frame.cookie.clone();
                    if self.frame(peer, known.remote.ip(), frame) == Err(Rejected::Busy) {
                        // Nothing is lost on a connection, so the client learns of it.
                        self.answer(peer, &cookie, &Reply::error("Too many requests"));
                    }
                }
                Ok(None) => {
                    self.connections.insert(connection, known);
                    return Ok(());
                }
                Err(broken) => {
                    self.stats.malformed += 1;
                    let payload = match broken {
                        Broken::Cookie => Bytes::new(),
                        Broken::Payload(cookie, error) => {
                            let reason = super::RequestDefect::Bencode(error).to_string();
                            Frame::join(&cookie, |out| Reply::error(reason).write(out))
                        }
                    };
                    self.out.push_back(Transmit { to: peer, payload, close: true });
                    return Err(Rejected::Malformed);
                }
            }
        }
    }

    /// A connection ended.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.advance(now);
        self.connections.remove(&connection);
    }

    /// The answer to [`Event::Request`].
    ///
    /// # Errors
    /// The request is not known: it was answered, or waited longer than [`Config::cookie_lifetime`].
    pub fn handle_answer(&mut self, now: Instant, id: CommandId, reply: Reply) -> Result<(), Gone> {
        self.advance(now);
        let waiting = self.waiting.remove(&id).ok_or(Gone)?;
        let reply = match reply {
            Reply::LoadLimit(_) if !waiting.knows_load_limit => Reply::error("Parallel session limit reached"),
            other => other,
        };
        let Key { peer, cookie } = &waiting.key;
        let mut payload = Frame::join(cookie, |out| reply.write(out));
        if matches!(peer, Peer::Udp { .. }) && payload.len() > MOST_DATAGRAM {
            let reason = "Reply is larger than a datagram, ask over TCP";
            payload = Frame::join(cookie, |out| Reply::error(reason).write(out));
        }
        self.stats.replies += 1;
        self.send(*peer, payload.clone());
        self.cache.answered(self.now, waiting.source, &waiting.key, id, payload);
        Ok(())
    }

    /// Forgets what is old. A spurious call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        if self.sweep.is_none_or(|at| at > self.now) {
            return;
        }
        self.cache.forget(self.now);
        let cache = &self.cache;
        self.waiting.retain(|_, waiting| cache.has(waiting.source, &waiting.key));
        self.sweep = (!self.cache.is_empty()).then(|| self.now + self.config.cookie_lifetime);
    }

    /// When [`Server::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.out.is_empty() && self.events.is_empty() { self.sweep } else { Some(self.now) }
    }

    /// The next octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next request.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was counted since the beginning.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Who may ask from now on; what is under way goes on, and so do connections.
    pub fn set_allow(&mut self, allow: Vec<Network>) {
        self.config.allow = allow;
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.config.allow.iter().any(|network| network.contains(address))
    }

    fn room(&mut self) -> Result<(), Rejected> {
        if self.out.len() >= self.config.max_output || self.events.len() >= self.config.max_output {
            self.stats.busy += 1;
            return Err(Rejected::Busy);
        }
        Ok(())
    }

    fn frame(&mut self, peer: Peer, source: IpAddr, frame: Frame) -> Result<(), Rejected> {
        let key = Key { peer, cookie: frame.cookie };
        match self.cache.find(self.now, source, &key, &frame.payload) {
            Found::Reply(payload) => {
                self.stats.repeated += 1;
                self.send(peer, payload);
                return Ok(());
            }
            Found::Waiting => {
                self.stats.repeated += 1;
                return Ok(());
            }
            Found::Nothing => {}
        }
        let request = match Request::parse_within(&frame.payload, &self.config.limits) {
            Ok(request) => request,
            Err(defect) => {
                self.stats.malformed += 1;
                tracing::debug!(%defect, "no NG request");
                self.answer(peer, &key.cookie, &Reply::error(defect.to_string()));
                return Err(Rejected::Malformed);
            }
        };
        let id = CommandId(self.next_id);
        // What outlives the datagram must not keep it.
        let key = Key { peer, cookie: Bytes::copy_from_slice(&key.cookie) };
        let replaced = match self.cache.wait(self.now, source, key.clone(), &frame.payload, id) {
            Ok(replaced) => replaced,
            Err(cache::Full) => {
                self.stats.busy += 1;
                return Err(Rejected::Busy);
            }
        };
        replaced.and_then(|old| self.waiting.remove(&old));
        self.next_id += 1;
        self.sweep.get_or_insert(self.now + self.config.cookie_lifetime);
        let knows_load_limit = request.flags.supports_load_limit;
        self.waiting.insert(id, Waiting { source: source.to_canonical(), key, knows_load_limit });
        self.note(&request);
        self.events.push_back(Event::Request { id, peer, request });
        Ok(())
    }

    fn note(&mut self, request: &Request) {
        self.stats.requests += 1;
        let flags = &request.flags;
        if !flags.unknown.is_empty() {
            self.stats.unknown_flags += flags.unknown.len() as u64 + u64::from(flags.more_unknown);
            // Each request may have them; the counter has them all.
            if self.warn_again.is_none_or(|at| at <= self.now) {
                self.warn_again = Some(self.now + WARNINGS);
                tracing::warn!(call_id = request.call_id, unknown = ?flags.unknown, "flags that are not known are ignored");
            }
        }
        self.stats.unsupported += u64::from(flags.unsupported.is_some());
    }

    fn answer(&mut self, peer: Peer, cookie: &[u8], reply: &Reply) {
        let payload = Frame::join(cookie, |out| reply.write(out));
        self.send(peer, payload);
    }

    fn send(&mut self, to: Peer, payload: Bytes) {
        self.out.push_back(Transmit { to, payload, close: false });
    }
}

#[cfg(test)]
mod tests;
