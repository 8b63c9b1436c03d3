//! `[lb]`: the load balancer's settings.

use serde::{Deserialize, Serialize};

use super::{Backend, Invalid, Listener, sane};
use crate::identity::Domain;
use crate::net::Network;

/// An office behind one address has its phones; a thousand times as many fill the table of connections.
pub(super) const SOURCE_CONNECTIONS: u32 = 256;

/// `[lb]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lb {
    /// Public sockets, towards the phones and trunks.
    pub listen: Vec<Listener>,
    /// Sockets towards the proxies; empty: the public ones.
    pub internal: Vec<Listener>,
    /// Further host names or addresses that mean this balancer in a Route or Request-URI.
    pub aliases: Vec<String>,
    /// The proxies.
    pub backends: Vec<Backend>,
    /// What an initial request is distributed by.
    pub hash: Hash,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// OPTIONS to the backends.
    pub probe: Probe,
    /// How long a message on a stream may take from its first octet, and the first one of an accepted connection from
    /// when the connection stands, milliseconds. Keepalives are no messages.
    pub message_timeout_ms: u64,
    /// How long a stream may stay without a message, seconds.
    pub idle_timeout_s: u64,
    /// Connections that one source (an IPv4 address, an IPv6 /64) may hold, but for peers and backends; 0: no limit.
    pub source_connections: u32,
    /// Requests a second and source; 0: no limit.
    pub source_rate: u32,
    /// File with the keys of the route tokens; made when it is missing.
    pub token_keys: String,
    /// How long a Record-Route token verifies, seconds.
    pub token_lifetime_s: u64,
    /// Sources that may assert identities, are not rate limited, and are called back when their connection is gone.
    pub peers: Vec<Network>,
    /// The same for TLS clients whose certificate proves one of these domains.
    pub peer_tls_names: Vec<Domain>,
    /// What becomes of a request from outside whose Route names another.
    pub foreign_routes: ForeignRoutes,
}

/// A Route from outside that names another: it would lead past the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignRoutes {
    /// It is taken off.
    #[default]
    Strip,
    /// The request is answered 403.
    Refuse,
}

impl Default for Lb {
    fn default() -> Self {
        Lb {
            listen: Vec::new(),
            internal: Vec::new(),
            aliases: Vec::new(),
            backends: Vec::new(),
            hash: Hash::CallId,
            workers: 0,
            probe: Probe::default(),
            message_timeout_ms: 10_000,
            idle_timeout_s: 3600,
            source_connections: SOURCE_CONNECTIONS,
            source_rate: 0,
            token_keys: "lb.keys".into(),
            token_lifetime_s: 172_800,
            peers: Vec::new(),
            peer_tls_names: Vec::new(),
            foreign_routes: ForeignRoutes::Strip,
        }
    }
}

impl Lb {
    /// Who may hold more than `source-connections`.
    pub fn unbounded_sources(&self) -> Vec<Network> {
        let backends = self.backends.iter().map(|backend| Network::from(backend.0.address.ip()));
        self.peers.iter().copied().chain(backends).collect()
    }

    pub(super) fn check(&self) -> Result<Vec<String>, Invalid> {
        sane::hosts_and_ports("lb.aliases", &self.aliases)?;
        sane::milliseconds("lb.message-timeout-ms", self.message_timeout_ms, 1)?;
        sane::seconds("lb.idle-timeout-s", self.idle_timeout_s, 1)?;
        sane::seconds("lb.token-lifetime-s", self.token_lifetime_s, 1)?;
        sane::milliseconds("lb.probe.interval-ms", self.probe.interval_ms, 0)?;
        sane::milliseconds("lb.probe.timeout-ms", self.probe.timeout_ms, 1)?;
        let mut warnings = Vec::new();
        if sane::holds_everybody(&self.peers) {
            warnings.push("lb.peers holds every address: everybody may assert any identity".into());
        }
        if self.hash == Hash::CallId && self.backends.len() > 1 {
            warnings.push(
                "lb.hash = \"call-id\" with several lb.backends: they must share one location store; use \"aor\""
                    .into(),
            );
        }
        if self.backends.is_empty() {
            warnings.push("lb.backends is empty: every call is refused".into());
        }
        if self.internal.is_empty() && self.backends.iter().any(|backend| backend.0.transport.is_reliable()) {
            warnings.push(
                "lb.backends over tcp without lb.internal: connections that a proxy opens count as from outside".into(),
            );
        }
        Ok(warnings)
    }
}

/// What an initial request is distributed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hash {
    /// The Call-ID.
    #[default]
    CallId,
    /// The To user of a REGISTER, else the user of the Request-URI.
    Aor,
}

/// OPTIONS to the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Probe {
    /// Time between two probes, milliseconds; 0: no probes.
    pub interval_ms: u64,
    /// Time to wait for the answer, milliseconds.
    pub timeout_ms: u64,
    /// Answers in a row that bring a backend back.
    pub up: u32,
    /// Misses in a row that take a backend out.
    pub down: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Probe { interval_ms: 5000, timeout_ms: 1000, up: 2, down: 3 }
    }
}
