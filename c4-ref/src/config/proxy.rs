//! `[proxy]`: the proxy's and registrar's settings.

use serde::{Deserialize, Serialize};

use std::net::SocketAddr;

use super::endpoint::udp_address;
use super::{Endpoint, Invalid, Listener, MediaRelay, sane};
use crate::identity::Domain;
use crate::net::Network;
use crate::ng::Flags;
use crate::proxy::media::Policy;

/// `[proxy]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Proxy {
    /// Sockets.
    pub listen: Vec<Listener>,
    /// Worker threads, one shard each; 0: one per core.
    pub workers: usize,
    /// Host names or addresses that are local; a port in the URI is ignored.
    pub domains: Vec<String>,
    /// Realm of the challenges; empty: the first domain.
    pub realm: String,
    /// Load balancers whose `X-C4-Source` is believed.
    pub trusted: Vec<Network>,
    /// A file with a line `user;realm;password` per user; empty: none.
    pub users_csv: String,
    /// Which requests are challenged, and how.
    pub auth: Auth,
    /// Users by hashed password.
    pub user: Vec<User>,
    /// Trunks.
    pub peer: Vec<Peer>,
    /// How long the phones of a call may ring, seconds; 0: until Timer C of RFC 3261 (185 s without a sign of life).
    pub ringing_limit_s: u64,
    /// Registration bounds.
    pub registrar: Registrar,
    /// Keepalives towards NATed contacts.
    pub keepalive: Keepalive,
    /// Where the location table survives a restart.
    pub store: Store,
    /// Media relays: "udp:ADDR:PORT", "tcp:ADDR:PORT", or both of one relay with a comma; none: calls go without.
    pub relay: Vec<MediaRelay>,
    /// What becomes of a call that no relay serves.
    pub relay_policy: Policy,
    /// `udp:ADDR:PORT`: where relays tell that a call's media has timed out, as c4-relay's `relay.notify` does: both
    /// sides get BYE. Only relays are heard. Empty: nowhere.
    pub relay_events: String,
    /// How often a relay is asked whether it still knows a call, seconds; for relays that tell nothing by themselves. 0:
    /// never.
    pub relay_poll_s: u64,
    /// Flags of each offer and answer to a relay, in the words of rtpengine.
    pub relay_flags: String,
    /// File with the keys of the nonces; made when it is missing.
    pub nonce_keys: String,
    /// How long a message on a stream may take from its first octet, and the first one of an accepted connection from
    /// when the connection stands, milliseconds. Keepalives are no messages.
    pub message_timeout_ms: u64,
    /// How long a stream may stay without a message, seconds.
    pub idle_timeout_s: u64,
    /// Connections that one source (an IPv4 address, an IPv6 /64) may hold, but for `trusted` and the sources of peers; 0: no
    /// limit.
    pub source_connections: u32,
    /// File of the call detail records, JSON lines; empty: none.
    pub cdr: String,
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy {
            listen: Vec::new(),
            workers: 0,
            domains: Vec::new(),
            realm: String::new(),
            trusted: Vec::new(),
            users_csv: String::new(),
            auth: Auth::default(),
            user: Vec::new(),
            peer: Vec::new(),
            ringing_limit_s: 120,
            registrar: Registrar::default(),
            keepalive: Keepalive::default(),
            store: Store::default(),
            relay: Vec::new(),
            relay_policy: Policy::Pass,
            relay_events: String::new(),
            relay_poll_s: 0,
            relay_flags: "replace-origin replace-session-connection ICE=remove".into(),
            nonce_keys: "proxy.keys".into(),
            message_timeout_ms: 10_000,
            idle_timeout_s: 3600,
            source_connections: super::lb::SOURCE_CONNECTIONS,
            cdr: "cdr.jsonl".into(),
        }
    }
}

impl Proxy {
    /// The realm of the challenges: `realm`, else the first domain.
    pub fn effective_realm(&self) -> &str {
        if self.realm.is_empty() { self.domains.first().map_or("", String::as_str) } else { &self.realm }
    }

    /// Who may hold more than `source-connections`.
    pub fn unbounded_sources(&self) -> Vec<Network> {
        let peers = self.peer.iter().flat_map(|peer| peer.sources.iter().copied());
        self.trusted.iter().copied().chain(peers).collect()
    }

    /// Where relays tell what they know by themselves; `None`: nowhere.
    ///
    /// # Errors
    /// `relay-events` is no UDP endpoint.
    pub fn relay_events(&self) -> Result<Option<SocketAddr>, String> {
        udp_address(&self.relay_events)
    }

    pub(super) fn check(&self) -> Result<Vec<String>, Invalid> {
        if let Err(why) = self.relay_events() {
            return Err(Invalid { key: "proxy.relay-events".into(), why });
        }
        if self.domains.is_empty() {
            let why = "is empty; accepted: a list of host names or addresses".into();
            return Err(Invalid { key: "proxy.domains".into(), why });
        }
        if self.auth.algorithms.is_empty() && (self.auth.register || self.auth.invite) {
            let why = "is empty, but authentication is on; accepted: \"sha-256\", \"md5\"".into();
            return Err(Invalid { key: "proxy.auth.algorithms".into(), why });
        }
        if self.registrar.min_expires_s > self.registrar.max_expires_s {
            let why = format!("is above proxy.registrar.max-expires-s ({})", self.registrar.max_expires_s);
            return Err(Invalid { key: "proxy.registrar.min-expires-s".into(), why });
        }
        let flags = Flags::from_text(&self.relay_flags);
        let wrong = flags.unsupported.map(|flag| format!("{flag}; accepted: flags for plain RTP"));
        let unknown = flags.unknown.first().map(|flag| format!("`{flag}` is no flag; accepted: those of rtpengine"));
        if let Some(why) = unknown.or(wrong) {
            return Err(Invalid { key: "proxy.relay-flags".into(), why });
        }
        self.check_texts()?;
        self.check_times()?;
        let mut warnings = Vec::new();
        if sane::holds_everybody(&self.trusted) {
            warnings.push("proxy.trusted holds every address: everybody may say where a request comes from".into());
        }
        if self.peer.iter().any(|peer| sane::holds_everybody(&peer.sources)) {
            warnings.push("proxy.peer.sources holds every address: everybody may call without authentication".into());
        }
        if self.users_csv.is_empty() && self.user.is_empty() && (self.auth.register || self.auth.invite) {
            warnings.push("proxy.user and proxy.users-csv are empty: nobody can authenticate".into());
        }
        if !self.auth.invite && self.peer.iter().any(|peer| peer.target.is_some()) {
            warnings.push("proxy.auth.invite = false with a proxy.peer: everybody may call out by the trunks".into());
        }
        Ok(warnings)
    }

    /// What goes into messages and records stays within its line.
    fn check_texts(&self) -> Result<(), Invalid> {
        sane::hosts("proxy.domains", &self.domains)?;
        sane::one_line("proxy.realm", &self.realm)?;
        self.user.iter().try_for_each(|user| sane::one_line("proxy.user.name", &user.name))?;
        self.peer.iter().try_for_each(|peer| {
            sane::one_line("proxy.peer.name", &peer.name)?;
            sane::one_line("proxy.peer.prepend", &peer.prepend)?;
            peer.prefixes.iter().try_for_each(|prefix| sane::one_line("proxy.peer.prefixes", prefix))
        })
    }

    fn check_times(&self) -> Result<(), Invalid> {
        sane::milliseconds("proxy.message-timeout-ms", self.message_timeout_ms, 1)?;
        sane::seconds("proxy.idle-timeout-s", self.idle_timeout_s, 1)?;
        sane::seconds("proxy.ringing-limit-s", self.ringing_limit_s, 0)?;
        sane::seconds("proxy.auth.nonce-lifetime-s", self.auth.nonce_lifetime_s, 1)?;
        sane::seconds("proxy.keepalive.interval-s", self.keepalive.interval_s, 0)?;
        sane::milliseconds("proxy.store.flush-ms", self.store.flush_ms, 0)
    }
}

/// Which requests are challenged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    /// REGISTER is challenged.
    pub register: bool,
    /// Every other request outside a dialog is challenged.
    pub invite: bool,
    /// One challenge per algorithm, in this order (RFC 8760: strongest first).
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good, seconds.
    pub nonce_lifetime_s: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            register: true,
            invite: true,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime_s: 300,
        }
    }
}

/// A digest algorithm (RFC 8760).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// SHA-256.
    #[serde(rename = "sha-256")]
    Sha256,
    /// MD5.
    #[serde(rename = "md5")]
    Md5,
}

/// A user by hashed password: H(name:realm:password) in hex, per algorithm.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// User name; `name` or `name@domain`.
    pub name: String,
    /// MD5 of name:realm:password, 32 hex digits.
    #[serde(deserialize_with = "hex::<32, _>")]
    pub ha1_md5: String,
    /// SHA-256 of name:realm:password, 64 hex digits.
    #[serde(deserialize_with = "hex::<64, _>")]
    pub ha1_sha256: String,
}

/// Nothing or so many hex digits. The error does not repeat the text: it may be a secret in the wrong place.
fn hex<'de, const DIGITS: usize, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() || (text.len() == DIGITS && text.bytes().all(|octet| octet.is_ascii_hexdigit())) {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("is no hash; accepted: {DIGITS} hexadecimal digits")))
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peer {
    /// Its name in records and logs.
    pub name: String,
    /// Addresses or networks its requests come from.
    #[serde(default)]
    pub sources: Vec<Network>,
    /// Domains that its certificate proves (RFC 5922), whatever address it comes from; the first is what the certificate
    /// of a TLS `target` must bear.
    #[serde(default)]
    pub tls_names: Vec<Domain>,
    /// Where its calls go; missing: it only calls in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Endpoint>,
    /// Beginnings of the dialled numbers it takes; the longest match wins.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Leading characters to take off the dialled number.
    #[serde(default)]
    pub strip: usize,
    /// Characters to put before the dialled number, after `strip`.
    #[serde(default)]
    pub prepend: String,
    /// Among equal prefixes the lower goes first, the next is the failover.
    #[serde(default)]
    pub priority: u32,
}

/// Registration bounds (RFC 3261 §10.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registrar {
    /// Below this the answer is 423, seconds.
    pub min_expires_s: u32,
    /// Above this the registration is shortened, seconds.
    pub max_expires_s: u32,
    /// The same for a UDP contact behind a NAT, seconds.
    pub nat_max_expires_s: u32,
    /// Contacts per address of record.
    pub max_contacts: usize,
}

impl Default for Registrar {
    fn default() -> Self {
        Registrar { min_expires_s: 60, max_expires_s: 7200, nat_max_expires_s: 120, max_contacts: 10 }
    }
}

/// Keepalives towards NATed contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Keepalive {
    /// Time between two keepalives of a contact, seconds; 0: off.
    pub interval_s: u64,
    /// What is sent.
    pub method: KeepaliveMethod,
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { interval_s: 30, method: KeepaliveMethod::Options }
    }
}

/// What keeps a NAT binding open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepaliveMethod {
    /// An OPTIONS request.
    #[serde(rename = "OPTIONS")]
    Options,
}

/// Where the location table survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Store {
    /// The database file; empty: memory only.
    pub file: String,
    /// How long a change may wait for the next batch, milliseconds.
    pub flush_ms: u64,
}

impl Default for Store {
    fn default() -> Self {
        Store { file: "c4.redb".into(), flush_ms: 100 }
    }
}
