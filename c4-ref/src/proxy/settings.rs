//! What the proxy is told: the configuration in the form that the application works with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sip_core::auth::{Algorithm, KeyRing, ServerConfig};
use sip_core::uri::{Host, Uri};
use sip_core::{Target, Transport};

use super::media::Policy;
use super::policy::Switches;
use super::users::Users;
use crate::config;
use crate::net::Network;
use crate::ng::client::Node;
use crate::route::{Peer, PeerTable};

/// A socket of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub transport: Transport,
    /// Its local address, as in [`Flow::local`](sip_core::Flow::local).
    pub bind: SocketAddr,
    /// `host:port` for Via and Record-Route.
    pub sent_by: String,
}

/// Bounds on registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Below this: 423.
    pub min_expires: Duration,
    /// Above this: cut.
    pub max_expires: Duration,
    /// The same for UDP contacts behind a NAT.
    pub nat_max_expires: Duration,
    /// Contacts per address of record.
    pub max_contacts: usize,
}

/// Everything that the operator decides. Shared by all shards; replaced as a whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Realm of the challenges.
    pub realm: String,
    /// Local host names in lower case, and addresses.
    pub domains: Domains,
    /// Hosts that our sockets are advertised as.
    pub advertised: Domains,
    /// Our sockets; the first of a transport and address family is the one to send from.
    pub listeners: Vec<Listener>,
    /// Whose [`crate::source::HEADER`] is believed.
    pub trusted: Vec<Network>,
    /// Accounts.
    pub users: Users,
    /// What is authenticated.
    pub switches: Switches,
    /// Offered digest algorithms.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// Keys of nonces and Record-Routes.
    pub keys: KeyRing,
    /// Trunks.
    pub peers: PeerTable<Target>,
    /// Media relays; none: calls go without.
    pub relays: Vec<Node>,
    /// What becomes of a call that none of them serves.
    pub relay_policy: Policy,
    /// Where relays tell that a call's media has timed out.
    pub relay_events: Option<SocketAddr>,
    /// How often a relay is asked about each call.
    pub relay_poll: Option<Duration>,
    /// Flags of offers and answers, as in [`Flags::from_text`](crate::ng::Flags::from_text).
    pub relay_flags: String,
    /// Bounds of the registrar.
    pub bounds: Bounds,
    /// Time between keepalives of a NATed contact; `None`: off.
    pub keepalive: Option<Duration>,
    /// How long the phones of a call may ring; zero: no limit but Timer C.
    pub ringing_limit: Duration,
    /// Calls at a time, per shard.
    pub max_calls: usize,
    /// Transactions at a time, per shard and side.
    pub max_transactions: usize,
}

/// Hosts that are ours, whatever the port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Domains {
    /// Adds a host name or an address; IPv6 with or without brackets.
    pub fn add(&mut self, host: &str) {
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.addresses.push(address.to_canonical()),
            Err(_) => self.names.push(host.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    /// Whether a URI's host is one of ours.
    pub fn contains(&self, host: &Host<'_>) -> bool {
        match host {
            Host::V4(address) => self.addresses.contains(&IpAddr::V4(*address)),
            Host::V6(address) => self.addresses.contains(&IpAddr::V6(*address).to_canonical()),
            Host::Name(name) => {
                let name = name.trim_end_matches('.');
                self.names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// A configuration that cannot be used: one line for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct SettingsError {
    /// The key in the file.
    pub key: &'static str,
    /// What is wrong.
    pub why: String,
}

/// Calls per shard: with 700 octets each this is a bound on memory of 350 MB.
const MAX_CALLS: usize = 500_000;

impl Settings {
    /// The settings of `[proxy]`; `users_csv` is the content of the file that it names.
    ///
    /// # Errors
    /// The key that cannot be used.
    pub fn from_config(config: &config::Proxy, users_csv: &str, keys: KeyRing) -> Result<Settings, SettingsError> {
        let realm = config.effective_realm().to_owned();
        let mut domains = Domains::default();
        config.domains.iter().for_each(|domain| domains.add(domain));
        let mut advertised = Domains::default();
        config.listen.iter().filter_map(|l| l.advertise.as_deref()).for_each(|a| advertised.add(host_of(a)));
        let seconds = |s: u32| Duration::from_secs(u64::from(s));
        Ok(Settings {
            users: users(config, users_csv, &realm)?,
            realm,
            domains,
            advertised,
            listeners: config.listen.iter().map(listener).collect(),
            trusted: config.trusted.clone(),
            switches: Switches { register: config.auth.register, invite: config.auth.invite },
            algorithms: config.auth.algorithms.iter().copied().map(algorithm).collect(),
            nonce_lifetime: Duration::from_secs(config.auth.nonce_lifetime_s),
            keys,
            peers: PeerTable::new(config.peer.iter().map(peer).collect()),
            relays: config.relay.iter().map(|relay| relay.0).collect(),
            relay_policy: config.relay_policy,
            relay_events: config.relay_events().map_err(|why| SettingsError { key: "proxy.relay-events", why })?,
            relay_poll: (config.relay_poll_s > 0).then(|| Duration::from_secs(config.relay_poll_s)),
            relay_flags: config.relay_flags.clone(),
            bounds: Bounds {
                min_expires: seconds(config.registrar.min_expires_s),
                max_expires: seconds(config.registrar.max_expires_s),
                nat_max_expires: seconds(config.registrar.nat_max_expires_s),
                max_contacts: config.registrar.max_contacts,
            },
            keepalive: (config.keepalive.interval_s > 0).then(|| Duration::from_secs(config.keepalive.interval_s)),
            ringing_limit: Duration::from_secs(config.ringing_limit_s),
            max_calls: MAX_CALLS,
            max_transactions: 1 << 20,
        })
    }

    /// Whether the host of a URI is local: one of the domains.
    pub fn is_local(&self, uri: &Uri<'_>) -> bool {
        uri.scheme.is_sip() && self.domains.contains(&uri.host)
    }

    /// Whether a URI names this proxy: a local domain, or one of the sockets as bound or as advertised.
    pub fn names_us(&self, uri: &Uri<'_>) -> bool {
        let bound = |address: IpAddr| self.listeners.iter().any(|ours| ours.bind.ip() == address);
        let listens = match uri.host {
            Host::V4(address) => bound(IpAddr::V4(address)),
            Host::V6(address) => bound(IpAddr::V6(address).to_canonical()),
            Host::Name(_) => false,
        };
        self.is_local(uri) || listens || self.advertised.contains(&uri.host)
    }

    /// Whether the load balancers' header is believed from here.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The socket to send from towards `remote`.
    pub fn listener_for(&self, transport: Transport, remote: IpAddr) -> Option<&Listener> {
        let same = |ours: &&Listener| ours.transport == transport && ours.bind.is_ipv4() == remote.is_ipv4();
        self.listeners.iter().find(same)
    }

    /// The socket that a message came in by.
    pub fn listener_at(&self, transport: Transport, local: SocketAddr) -> Option<&Listener> {
        let of_transport = || self.listeners.iter().filter(|ours| ours.transport == transport);
        let exact = of_transport().find(|ours| ours.bind == local);
        exact.or_else(|| of_transport().find(|ours| ours.bind.is_ipv4() == local.is_ipv4()))
    }

    /// The target with the name that its certificate must bear, if it is a peer's: requests inside a dialog go to where a
    /// Contact says, which is an address.
    pub fn with_tls_name(&self, mut target: Target) -> Target {
        if target.transport.is_secure() {
            let same = |peer: &Target| (peer.transport, peer.remote) == (target.transport, target.remote);
            if let Some(name) = self.peers.target(same).and_then(|peer| peer.tls_name.clone()) {
                target.tls_name = Some(name);
            }
        }
        target
    }

    /// The digest server's part.
    pub fn digest(&self) -> ServerConfig {
        let mut config = ServerConfig::new(self.realm.clone());
        config.algorithms = self.algorithms.clone();
        config.lifetime = self.nonce_lifetime;
        config
    }
}

/// The host of `host`, `host:port`, or an IPv6 address with or without brackets and port.
fn host_of(advertised: &str) -> &str {
    match advertised.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
        _ => advertised,
    }
}

fn users(config: &config::Proxy, csv: &str, realm: &str) -> Result<Users, SettingsError> {
    let mut users = Users::default();
    users.add_csv(csv, realm).map_err(|e| SettingsError { key: "proxy.users-csv", why: e.to_string() })?;
    for user in &config.user {
        let added = users.add_hashes(&user.name, &user.ha1_md5, &user.ha1_sha256);
        added.map_err(|e| SettingsError { key: "proxy.user", why: e.to_string() })?;
    }
    Ok(users)
}

fn listener(listener: &config::Listener) -> Listener {
    Listener { transport: listener.transport, bind: listener.bind, sent_by: listener.advertised() }
}

fn algorithm(algorithm: config::Algorithm) -> Algorithm {
    match algorithm {
        config::Algorithm::Sha256 => Algorithm::Sha256,
        config::Algorithm::Md5 => Algorithm::Md5,
    }
}

fn peer(peer: &config::Peer) -> Peer<Target> {
    let name = || peer.tls_names.first().map(|name| name.as_str().into());
    let target = peer.target.map(|endpoint| Target {
        tls_name: if endpoint.transport.is_secure() { name() } else { None },
        ..Target::new(endpoint.transport, endpoint.address)
    });
    Peer {
        name: peer.name.as_str().into(),
        sources: peer.sources.clone(),
        tls_names: peer.tls_names.clone(),
        host: target.as_ref().map(|target| target.remote.ip().to_string().into()),
        target,
        prefixes: peer.prefixes.clone(),
        strip: peer.strip,
        prepend: peer.prepend.clone(),
        priority: peer.priority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_names_and_addresses_name_us() {
        let listen = |bind: &str, advertise: &str| config::Listener {
            transport: Transport::Udp,
            bind: bind.parse().unwrap(),
            advertise: Some(advertise.into()),
        };
        let config = config::Proxy {
            listen: vec![listen("0.0.0.0:5060", "203.0.113.1:5060"), listen("[::]:5060", "Proxy.example.com")],
            domains: vec!["example.com".into()],
            ..config::Proxy::default()
        };
        let settings = Settings::from_config(&config, "", KeyRing::single([1; 32])).unwrap();
        for (uri, ours) in [
            ("sip:203.0.113.1", true),
            ("sip:203.0.113.1:5062", true),
            ("sip:proxy.example.com", true),
            ("sip:example.com", true),
            ("sip:203.0.113.2", false),
            ("sip:other.example.com", false),
        ] {
            assert_eq!(settings.names_us(&Uri::parse(uri).unwrap()), ours, "{uri}");
        }
    }
}
