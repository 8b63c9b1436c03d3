//! The TOML configuration: types, defaults, overrides and errors.
//!
//! One file may hold the tables of every binary; each reads its own and checks all. Types and defaults are here; the
//! text (file, `-s` overrides, errors that name file, line, key and accepted values) is in [`load`] and [`cli`].

#[cfg(feature = "daemon")]
pub mod change;
#[cfg(feature = "daemon")]
pub mod cli;
mod endpoint;
mod lb;
#[cfg(feature = "daemon")]
pub mod load;
mod network;
mod proxy;
mod relay;
mod sane;
#[cfg(all(test, feature = "daemon"))]
mod tests;

pub use endpoint::{Backend, Endpoint, Listener, MediaRelay};
pub use lb::{ForeignRoutes, Hash, Lb, Probe};

pub use proxy::{Algorithm, Auth, Keepalive, KeepaliveMethod, Peer, Proxy, Registrar, Store, User};
pub use relay::{Interface, Ports, Relay};

use serde::{Deserialize, Serialize};

/// The whole configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The operator's socket.
    pub admin: Admin,
    /// Certificates of the TLS listeners and connections.
    pub tls: Tls,
    /// The load balancer.
    pub lb: Lb,
    /// The proxy and registrar.
    pub proxy: Proxy,
    /// The media relay.
    pub relay: Relay,
}

/// `[admin]`: the operator's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Admin {
    /// `unix:PATH`; `{name}` stands for the binary's name; empty: no admin socket.
    pub listen: String,
    /// SIP messages that each role keeps in memory for `c4 ladder --live`; 0: none.
    pub trace: usize,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: "unix:{name}.ctl".into(), trace: 0 }
    }
}

impl Admin {
    /// The path of the admin socket of the binary `name`; `None` when it is switched off.
    pub fn path(&self, name: &str) -> Option<String> {
        let path = self.listen.strip_prefix("unix:").unwrap_or(&self.listen);
        (!path.is_empty()).then(|| path.replace("{name}", name))
    }
}

/// `[tls]`: PEM files, read again at SIGHUP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// Certificate chain, own certificate first.
    pub cert: String,
    /// Private key of the certificate.
    pub key: String,
    /// Certificates that a server we connect to must descend from; empty: those of the system.
    pub ca: String,
    /// Certificates that a client's must descend from; read when `client-auth` is on.
    pub client_ca: String,
    /// Whether clients are asked for a certificate. What theirs proves is matched by `tls-names` of a peer.
    pub client_auth: ClientAuth,
}

/// Whether a TLS listener asks clients for a certificate. One that does not verify ends the handshake in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// No.
    #[default]
    Off,
    /// Yes; who has none is served all the same, as a stranger.
    Request,
    /// Yes; who has none is not served.
    Require,
}

impl Tls {
    fn check(&self) -> Result<Vec<String>, Invalid> {
        match (self.client_auth, self.client_ca.is_empty()) {
            (ClientAuth::Off, false) => Ok(vec!["tls.client-ca is not used: tls.client-auth = \"off\"".into()]),
            (ClientAuth::Request | ClientAuth::Require, true) => {
                let why = "is empty, but tls.client-auth is on; accepted: a PEM file".into();
                Err(Invalid { key: "tls.client-ca".into(), why })
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Which binary reads the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `c4-lb`.
    Lb,
    /// `c4-proxy`.
    Proxy,
    /// `c4-relay`.
    Relay,
}

impl Config {
    /// What the types cannot say: settings that `role` cannot start with. The warnings do not keep it from starting.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self, role: Role) -> Result<Vec<String>, Invalid> {
        let (table, listeners) = match role {
            Role::Lb => ("lb", [self.lb.listen.as_slice(), self.lb.internal.as_slice()].concat()),
            Role::Proxy => ("proxy", self.proxy.listen.clone()),
            Role::Relay => return self.relay.check(),
        };
        if listeners.is_empty() {
            return Err(Invalid {
                key: format!("{table}.listen"),
                why: "is empty; accepted: a list of \"udp:ADDR:PORT\", \"tcp:ADDR:PORT\", \"tls:ADDR:PORT\"".into(),
            });
        }
        if listeners.iter().any(is_tls) {
            for (key, value) in [("tls.cert", &self.tls.cert), ("tls.key", &self.tls.key)] {
                if value.is_empty() {
                    let why = format!("is empty, but {table}.listen has a tls listener; accepted: a PEM file");
                    return Err(Invalid { key: key.into(), why });
                }
            }
        }
        let mut warnings = self.tls.check()?;
        warnings.extend(match role {
            Role::Lb => self.lb.check()?,
            Role::Proxy => self.proxy.check()?,
            Role::Relay => self.relay.check()?,
        });
        let names = match role {
            Role::Lb => !self.lb.peer_tls_names.is_empty(),
            _ => self.proxy.peer.iter().any(|peer| peer.target.is_none() && !peer.tls_names.is_empty()),
        };
        if names && self.tls.client_auth == ClientAuth::Off && listeners.iter().any(is_tls) {
            warnings.push("tls.client-auth = \"off\" with tls names of peers: no client proves one".into());
        }
        Ok(warnings)
    }
}

fn is_tls(listener: &Listener) -> bool {
    listener.transport == sip_core::flow::Transport::Tls
}

/// A setting that the role cannot start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
pub struct Invalid {
    /// The TOML path of the setting.
    pub key: String,
    /// What is wrong, and what is accepted.
    pub why: String,
}
