//! What another configuration changes in a running program: at once, or not before a restart.

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, Role};

/// Settings, and tables of settings, that a running program takes over.
pub const LIVE: &[&str] = &[
    "lb.aliases",
    "lb.backends",
    "lb.foreign-routes",
    "lb.peer-tls-names",
    "lb.peers",
    "lb.probe",
    "lb.source-connections",
    "lb.source-rate",
    "lb.token-keys",
    "lb.token-lifetime-s",
    "proxy.auth.invite",
    "proxy.auth.register",
    "proxy.domains",
    "proxy.keepalive",
    "proxy.nonce-keys",
    "proxy.peer",
    "proxy.registrar",
    "proxy.relay-policy",
    "proxy.ringing-limit-s",
    "proxy.source-connections",
    "proxy.trusted",
    "proxy.user",
    "proxy.users-csv",
    "relay.allow",
    "relay.delete-delay-ms",
    "relay.max-sessions",
    "relay.media-timeout-ms",
    "relay.offer-timeout-ms",
    "relay.silent-timeout-ms",
    "tls.cert",
    "tls.client-auth",
    "tls.client-ca",
    "tls.key",
];

/// The difference between the running configuration and another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The running configuration with what it takes over.
    pub config: Config,
    /// Keys that it takes over, by name.
    pub live: Vec<String>,
    /// Keys that keep their value until a restart, by name.
    pub restart: Vec<String>,
}

/// What `new` changes in a program of these roles that runs with `running`. The tables of other roles do not count.
///
/// ```
/// use c4_ref::config::{Role, change::changes, load::load};
/// let running = load("c4.toml", "[proxy]\nworkers = 2", &[]).unwrap();
/// let new = load("c4.toml", "[proxy]\nworkers = 4\nauth.invite = false", &[]).unwrap();
/// let changes = changes(&running, &new, &[Role::Proxy]).unwrap();
/// assert_eq!((changes.config.proxy.workers, changes.config.proxy.auth.invite), (2, false));
/// assert_eq!((changes.live, changes.restart), (vec!["proxy.auth.invite".into()], vec!["proxy.workers".into()]));
/// ```
///
/// # Errors
/// A configuration that TOML cannot say: a number beyond 2^63.
pub fn changes(running: &Config, new: &Config, roles: &[Role]) -> Result<Changes, String> {
    let mut changes = Changes::default();
    let (mut table, new) = (table(running)?, table(new)?);
    let foreign = |key: &str| match key {
        "lb" => !roles.contains(&Role::Lb),
        "proxy" => !roles.contains(&Role::Proxy),
        _ => false,
    };
    for (key, value) in new.into_iter().filter(|(key, _)| !foreign(key)) {
        changes.compare(&mut table, key.clone(), key, value);
    }
    changes.config = Config::deserialize(table).map_err(|error| error.message().to_owned())?;
    Ok(changes)
}

/// The realm as it is, not as it is derived from the domains: the challenges keep it while the domains change.
fn table(config: &Config) -> Result<Table, String> {
    let mut config = config.clone();
    config.proxy.realm = config.proxy.effective_realm().to_owned();
    Table::try_from(config).map_err(|error| error.to_string())
}

impl Changes {
    fn compare(&mut self, running: &mut Table, key: String, path: String, new: Value) {
        match (running.get_mut(&key), new) {
            (Some(Value::Table(running)), Value::Table(new)) => {
                for (key, value) in new {
                    let path = format!("{path}.{key}");
                    self.compare(running, key, path, value);
                }
            }
            (Some(old), new) if *old == new => {}
            (_, new) if LIVE.iter().any(|live| covers(live, &path)) => {
                running.insert(key, new);
                self.live.push(path);
            }
            _ => self.restart.push(path),
        }
    }
}

fn covers(live: &str, path: &str) -> bool {
    path.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
