//! The stateless load balancer, without I/O: [`Lb`].
//!
//! Between phones and trunks outside and the proxies inside: it checks, signs and forwards, and keeps nothing that
//! could be missed. What it must know of a request when the response or the next request of the dialog comes stands,
//! signed, in the messages themselves: in the branch and a parameter of its Via ([`nat::reply`]), in Record-Route and
//! Path ([`nat::path`]). A soft table of Call-IDs only smooths changes of the set of backends.

mod answers;
mod arrival;
mod backends;
mod calls;
mod connections;
mod guard;
mod headers;
mod inbound;
mod listeners;
mod machine;
mod operator;
mod outbound;
mod probe;
mod probing;
mod replies;
mod routes;
mod sending;
pub mod stats;
#[cfg(test)]
mod tests;
mod update;
mod via;

pub use backends::{BackendId, Health};
pub use connections::{ConnectId, TransmitId};
pub use update::Update;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use nat::keys::KeyRing;
use sip_core::proxy::hash::HashKey;
use sip_core::proxy::{self, Locals};

use crate::config;
use crate::identity::Domain;
use crate::machine::{Event, Transmit};
use crate::net::Network;
use stats::Stats;

/// What a load balancer is made of.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// `[lb]`.
    pub config: &'a config::Lb,
    /// The keys of the tokens, from the file that both halves of a pair share.
    pub keys: KeyRing,
    /// Which backends are up: one for all workers, made by [`Health::new`] for as many backends as the configuration has.
    pub health: Health,
    /// The worker that the machine serves; worker 0 probes the backends.
    pub worker: u16,
    /// Tells the connections of this boot from those of others: the same for all workers, another at each start.
    pub epoch: u32,
    /// Secret of this boot: keys of hash tables, To tags, probes.
    pub seed: [u8; 32],
    /// The wall clock at `now`, seconds of Unix time.
    pub unix: u64,
}

/// The load balancer of one worker.
///
/// The calling contract is that of [`Machine`](crate::machine::Machine): any number of inputs, then
/// `poll_transmit` and `poll_event` until they are empty, `handle_timeout` when `poll_timeout` is due. A message that
/// cannot be forwarded is answered or dropped and counted; nothing is ever an error of the caller's.
///
/// ```
/// use c4_ref::config;
/// use c4_ref::lb::{Health, Lb, Setup};
/// use c4_ref::machine::Machine;
/// use nat::keys::KeyRing;
/// use sip_core::{Flow, Limits, Message};
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() {
/// let now = std::time::Instant::now();
/// let config = config::Lb {
///     listen: vec!["udp:192.0.2.1:5060".parse().unwrap()],
///     backends: vec!["10.0.0.2:5060".parse().unwrap()],
///     probe: config::Probe { interval_ms: 0, ..Default::default() },
///     ..Default::default()
/// };
/// let setup = Setup {
///     config: &config,
///     keys: KeyRing::generate([1; 32], [2; 32], 0),
///     health: Health::new(1),
///     worker: 0,
///     epoch: 1,
///     seed: [3; 32],
///     unix: 1_800_000_000,
/// };
/// let mut lb = Lb::new(setup, now);
/// let request = "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1\r\n\
///     Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: x\r\n\
///     CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
/// let message = Message::parse(request.into(), &Limits::default()).unwrap();
/// let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:40000".parse().unwrap());
/// lb.handle_message(now, flow, message);
/// let sent = lb.poll_transmit().unwrap();
/// assert_eq!(sent.flow.remote, "10.0.0.2:5060".parse().unwrap());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Lb {
    /// The latest time that anybody told.
    now: Instant,
    /// The wall clock and the instant at which it was told.
    clock: (Instant, u64),
    worker: u16,
    epoch: u32,
    keys: KeyRing,
    lifetime: u64,
    hash: config::Hash,
    foreign_routes: config::ForeignRoutes,
    peers: Vec<Network>,
    peer_tls_names: Vec<Domain>,
    listeners: Arc<listeners::Listeners>,
    validation: proxy::Config,
    secrets: Secrets,
    backends: backends::Backends,
    prober: probe::Prober,
    calls: calls::Calls,
    guard: guard::SourceLimit,
    connections: connections::Connections,
    out: VecDeque<Transmit<TransmitId>>,
    events: VecDeque<Event<ConnectId>>,
    last_transmit: u64,
    stats: Stats,
    /// Room for header values under construction.
    scratch: Vec<u8>,
    text: String,
}

/// Keys of hashes, one for each purpose. Those under the salt of the ring are the same on both halves of a pair, after
/// a restart and over a rotation: a retransmission must get the branch and the backend of its first.
#[derive(Debug, Clone, Copy)]
struct Secrets {
    call: HashKey,
    branch: HashKey,
    loop_outside: HashKey,
    loop_inside: HashKey,
    tag: HashKey,
    probe: HashKey,
    backend: HashKey,
}

impl Secrets {
    fn new(salt: &[u8; 32], seed: &[u8; 32]) -> Secrets {
        Secrets {
            call: HashKey::from_seed(salt, b"call"),
            branch: HashKey::from_seed(salt, b"branch"),
            loop_outside: HashKey::from_seed(salt, b"loop outside"),
            loop_inside: HashKey::from_seed(salt, b"loop inside"),
            tag: HashKey::from_seed(salt, b"tag"),
            probe: HashKey::from_seed(seed, b"probe"),
            backend: HashKey::from_seed(salt, b"backend"),
        }
    }
}

impl Lb {
    /// A load balancer that has seen nothing yet.
    pub fn new(setup: Setup<'_>, now: Instant) -> Lb {
        let Setup { config, keys, health, worker, epoch, seed, unix } = setup;
        let listeners = listeners::Listeners::new(config);
        let secrets = Secrets::new(keys.salt(), &seed);
        let table_key = |purpose: u64| {
            let [a, b] = [purpose, purpose + 1].map(|n| secrets.probe.hash(&[b"table", &n.to_le_bytes()]));
            (u128::from(a) << 64 | u128::from(b)).to_le_bytes()
        };
        let probed = if worker == 0 { config.backends.len() } else { 0 };
        Lb {
            now,
            clock: (now, unix),
            worker,
            epoch,
            lifetime: config.token_lifetime_s,
            hash: config.hash,
            foreign_routes: config.foreign_routes,
            peers: config.peers.clone(),
            peer_tls_names: config.peer_tls_names.clone(),
            validation: proxy::Config { locals: listeners.locals(&config.aliases), ..proxy::Config::default() },
            listeners: Arc::new(listeners),
            secrets,
            backends: backends::Backends::new(&config.backends, health, secrets.backend),
            prober: probe::Prober::new(config.probe, probed, now),
            calls: calls::Calls::new(now, calls::MAX_CALLS),
            guard: guard::SourceLimit::new(config.source_rate, table_key(0), now),
            connections: connections::Connections::new(table_key(2)),
            keys,
            out: VecDeque::new(),
            events: VecDeque::new(),
            last_transmit: 0,
            stats: Stats::default(),
            scratch: Vec::new(),
            text: String::new(),
        }
    }

    /// Takes a new ring into use, after its file has changed. Hashes stay as they are: the salt is never rotated.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.keys = keys;
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Seconds of Unix time.
    fn unix(&self) -> u64 {
        let (at, unix) = self.clock;
        unix + self.now.saturating_duration_since(at).as_secs()
    }

    fn locals(&self) -> &Locals {
        &self.validation.locals
    }

    /// Time runs forward only, whatever the caller says.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        if !self.out.is_empty() || !self.events.is_empty() {
            return Some(self.now);
        }
        let timers = [self.calls.poll_timeout(), self.prober.poll_timeout(), self.connections.poll_timeout()];
        timers.into_iter().flatten().min()
    }
}

/// How much output may wait to be drained; above it messages are dropped at the door.
const MAX_OUTPUT: usize = 1 << 16;
