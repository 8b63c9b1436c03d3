//! From configuration to running workers: the load balancer and the proxy; the relay has a file of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::program::{Failure, Running, Starter, random, worker_count};
use super::{CdrFile, Options, Outputs, Server, Sockets, Store, files};
use crate::config::{self, Config, Listener, Role};
use crate::lb::{self, Lb};
use crate::machine::News;
use crate::proxy::{self, App, Settings, Shared, location};

/// The load balancer.
pub const LB: Starter = (Role::Lb, load_balancer);
/// The proxy and registrar.
pub const PROXY: Starter = (Role::Proxy, proxy);
/// The media relay.
pub const RELAY: Starter = (Role::Relay, super::relay::start);

/// All roles that this configuration is for: the relay where `[relay]` names an interface.
pub fn house(config: &Config) -> Vec<Starter> {
    let relay = (!config.relay.interfaces.is_empty()).then_some(RELAY);
    [LB, PROXY].into_iter().chain(relay).collect()
}

/// Starts the load balancer of `[lb]`.
///
/// # Errors
/// A port or file that cannot be used.
pub fn load_balancer(config: &Config, options: &Options) -> Result<Running, Failure> {
    let mut config = config.lb.clone();
    let workers = worker_count(config.workers);
    let (salt, secret) = (random()?, random()?);
    let make = || nat::keys::KeyRing::generate(salt, secret, files::unix_millis() / 1000).to_text();
    let keys = read_keys("lb.token-keys", &config.token_keys, make, nat::keys::KeyRing::parse)?;
    let sockets = bind(&[&config.listen, &config.internal], workers)?;
    // The machines know the ports that the kernel chose.
    let (listen, internal) = sockets.listeners().split_at(config.listen.len());
    (config.listen, config.internal) = (listen.to_vec(), internal.to_vec());
    let health = lb::Health::new(config.backends.len());
    let (now, unix, seed) = (Instant::now(), files::unix_millis() / 1000, random()?);
    let [a, b, c, d] = random()?;
    let machine = |worker: usize| {
        let setup = lb::Setup {
            config: &config,
            keys: keys.clone(),
            health: health.clone(),
            worker: worker as u16,
            epoch: u32::from_be_bytes([a, b, c, d]),
            seed,
            unix,
        };
        Lb::new(setup, now)
    };
    let machines = (0..workers).map(machine).collect();
    let server = Server::start(sockets, machines, options, &Outputs::default()).map_err(Failure::system)?;
    let reread = |new: &Config| {
        let keys = reread_keys("lb.token-keys", &new.lb.token_keys, nat::keys::KeyRing::parse)?;
        let health = lb::Health::new(new.lb.backends.len());
        Ok(Arc::new(lb::Update { config: Arc::new(new.lb.clone()), keys, health }) as News)
    };
    Ok(Running { reread: Some(Box::new(reread)), ..server.into() })
}

/// Starts the proxy of `[proxy]`: the location table is read back, calls that a dead process left open are recorded.
///
/// # Errors
/// A port or file that cannot be used.
pub fn proxy(config: &Config, options: &Options) -> Result<Running, Failure> {
    let mut config = config.proxy.clone();
    let workers = worker_count(config.workers);
    let secret = random()?;
    let make = || sip_core::auth::KeyRing::single(secret).format();
    let keys = read_keys("proxy.nonce-keys", &config.nonce_keys, make, sip_core::auth::KeyRing::parse)?;
    let mut sockets = bind(&[&config.listen], workers)?;
    config.listen = sockets.listeners().to_vec();
    let settings = Arc::new(proxy_settings(&config, keys)?);
    let (now, unix, seed) = (Instant::now(), Duration::from_millis(files::unix_millis()), random()?);
    let shared = Arc::new(Shared::new(&settings, workers, seed, now, unix));
    let mut outputs = Outputs::default();
    let store = match config.store.file.as_str() {
        "" => None,
        file => {
            let store = Store::open(Path::new(file)).map_err(Failure::system)?;
            let mut restored = 0;
            let each = |_: &[u8], record: &[u8]| restored += u64::from(shared.location.restore(now, record));
            store.read(location::TABLE, each).map_err(Failure::system)?;
            tracing::info!(contacts = restored, "location table read back");
            let flush = Duration::from_millis(config.store.flush_ms);
            let (writer, thread) = store.into_writer(flush).map_err(Failure::system)?;
            outputs.store = Some(writer);
            Some(thread)
        }
    };
    let cdr = match config.cdr.as_str() {
        "" => None,
        file => {
            let open = CdrFile::open(Path::new(file)).and_then(CdrFile::into_writer);
            let (writer, thread) = open.map_err(|error| Failure::system(format!("proxy.cdr {file}: {error}")))?;
            outputs.cdr = Some(writer.clone());
            Some((writer, thread))
        }
    };
    open_plain(&mut sockets, &settings, workers)?;
    let machine = |shard: usize| {
        let start = proxy::Start { settings: settings.clone(), shared: shared.clone(), shard, seed, unix };
        App::new(start, now).ok_or_else(|| Failure::config("proxy.nonce-keys holds no key"))
    };
    let machines = (0..workers).map(machine).collect::<Result<Vec<_>, _>>()?;
    let server = Server::start(sockets, machines, options, &outputs).map_err(Failure::system)?;
    // The sockets stay, with the ports that the kernel chose.
    let listen = config.listen;
    let reread = move |new: &Config| {
        let config = config::Proxy { listen: listen.clone(), ..new.proxy.clone() };
        let keys = reread_keys("proxy.nonce-keys", &config.nonce_keys, sip_core::auth::KeyRing::parse)?;
        Ok(Arc::new(proxy_settings(&config, keys)?) as News)
    };
    Ok(Running { server, store, cdr, reread: Some(Box::new(reread)) })
}

/// The sockets to the media relays: each worker has its own, so that replies come back to the shard that asked.
fn open_plain(sockets: &mut Sockets, settings: &Settings, workers: usize) -> Result<(), Failure> {
    for worker in 0..workers {
        for address in proxy::media::sockets(settings) {
            let wrong = |error: std::io::Error| Failure::system(format!("cannot open a socket on {address}: {error}"));
            let socket = std::net::UdpSocket::bind(address).map_err(wrong)?;
            socket.set_nonblocking(true).map_err(wrong)?;
            sockets.add_plain(worker, socket);
        }
    }
    if let Some(address) = settings.relay_events.filter(|_| !settings.relays.is_empty()) {
        let wrong = |error: std::io::Error| Failure::system(format!("proxy.relay-events {address}: {error}"));
        let socket = std::net::UdpSocket::bind(address).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;
        sockets.add_plain(0, socket);
    }
    Ok(())
}

/// What the proxy is told, with the users of its file.
fn proxy_settings(config: &config::Proxy, keys: sip_core::auth::KeyRing) -> Result<Settings, Failure> {
    let users = read_users(&config.users_csv)?;
    Settings::from_config(config, &users, keys).map_err(|error| match error.key {
        key @ "proxy.users-csv" => Failure::config(format!("{key} {}: {}", config.users_csv, error.why)),
        _ => Failure::config(error),
    })
}

/// The text of the file of users; empty without one.
fn read_users(file: &str) -> Result<String, Failure> {
    if file.is_empty() {
        return Ok(String::new());
    }
    std::fs::read_to_string(file).map_err(|error| Failure::config(format!("proxy.users-csv {file}: {error}")))
}

fn bind(lists: &[&[Listener]], workers: usize) -> Result<Sockets, Failure> {
    Sockets::bind(&lists.concat(), workers).map_err(Failure::system)
}

/// A ring of keys from its file, which is made when it is missing.
fn read_keys<K, E: std::fmt::Display>(
    key: &str,
    file: &str,
    make: impl FnOnce() -> String,
    parse: impl FnOnce(&str) -> Result<K, E>,
) -> Result<K, Failure> {
    let wrong = |error: String| Failure::config(format!("{key} {file}: {error}"));
    let text = files::key_file(Path::new(file), make).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(|error| wrong(error.to_string()))
}

/// A ring of keys from its file, which must be there: a new one would cut off all that the old keys have signed.
fn reread_keys<K, E: std::fmt::Display>(
    key: &str,
    file: &str,
    parse: impl FnOnce(&str) -> Result<K, E>,
) -> Result<K, Failure> {
    let wrong = |error: String| Failure::config(format!("{key} {file}: {error}"));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(|error| wrong(error.to_string()))
}
