//! The servers of the demonstration, on free ports and with files of their own.
use std::cell::RefCell;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sip_core::auth::{Account, Ha1, Hash};
use sip_core::flow::{Target, Transport};

use super::{Args, Broken};
use crate::config::{Config, Endpoint, Interface, Listener, MediaRelay, load};
use crate::io::phones::{self, Place};
use crate::io::program::{Failure, Running};
use crate::io::{Capture, Captured, Handle, Options, Server, Tls, random, roles};
use crate::net::Network;
use crate::phone::{Codec, Manner, PEER, Settings, audio};
use crate::proxy::media::Policy;

/// The phones' domain.
pub(super) const DOMAIN: &str = "demo.example";
/// The names of the load balancer and the proxy in the capture.
pub(super) const LB: &str = "c4-lb";
pub(super) const PROXY: &str = "c4-proxy";
/// The name of the relay's threads.
const RELAY: &str = "c4-relay";
/// The phones: the caller's knows SHA-256, the callee's MD5 alone.
pub(super) const CALLER: &str = "alice";
pub(super) const CALLEE: &str = "bob";

/// The tones of the caller and the callee, Hz.
const CALLER_HZ: u32 = 450;
const CALLEE_HZ: u32 = 600;

/// How long a phone rings.
const RING: Duration = Duration::from_millis(300);

/// Running servers.
pub(super) struct House {
    directory: Directory,
    capture: Arc<Capture>,
    config: Config,
    tls: Tls,
    proxy: Running,
    relay: RefCell<Option<Running>>,
    lb: RefCell<Option<Running>>,
    phones: [Server; 2],
}

impl House {
    pub(super) fn start(args: &Args) -> Result<House, Failure> {
        let directory = Directory::new()?;
        let transport = Transport::from(args.transport);
        let mut config = load::load("", "", &[]).map_err(Failure::config)?;
        if transport == Transport::Tls {
            certificate(&directory.0, &mut config)?;
        }
        let tls = Tls::new(&config.tls).map_err(Failure::config)?;
        let capture = Capture::start();
        let passwords = [password()?, password()?];
        relay_config(&mut config);
        let relay = (roles::RELAY.1)(&config, &options(RELAY, &capture, &tls))?;
        proxy_config(&mut config, &directory.0, &passwords, address_of(&relay.server.handle())?)?;
        let proxy = roles::proxy(&config, &options(PROXY, &capture, &tls))?;
        lb_config(&mut config, &directory.0, transport, &proxy.server.handle())?;
        let lb = roles::load_balancer(&config, &options(LB, &capture, &tls))?;
        // Another load balancer in its place would have to be at the same addresses.
        let handle = lb.server.handle();
        let (listen, internal) = handle.listeners().split_at(config.lb.listen.len());
        (config.lb.listen, config.lb.internal) = (listen.to_vec(), internal.to_vec());
        let address = address_of(&handle)?;
        let phone = |user: &'static str, password: &str| {
            let account = account(user, password);
            phones::start(transport, &options(user, &capture, &tls), |place| Settings {
                seed: place.seed,
                user: user.into(),
                domain: DOMAIN.into(),
                account: Some(account),
                proxy: Target {
                    local: (transport == Transport::Udp).then_some(place.sip),
                    ..Target::new(transport, address)
                },
                local: place.sip,
                ring: RING,
                manner: Manner::Answers,
                expires: Duration::from_secs(600),
                audio: Some(sound(user, &place, args.broken)),
            })
        };
        let [right, other] = &passwords;
        let right = if args.broken == Some(Broken::Auth) { "not the password" } else { right };
        let phones = [phone(CALLER, right)?, phone(CALLEE, other)?];
        let (relay, lb) = (Some(relay).into(), Some(lb).into());
        Ok(House { directory, capture, config, tls, proxy, relay, lb, phones })
    }

    /// The caller's and the callee's phone.
    pub(super) fn phones(&self) -> [Handle; 2] {
        self.phones.each_ref().map(Server::handle)
    }

    /// The lines of the file of call detail records.
    pub(super) fn records(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.config.proxy.cdr).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
    }

    /// The media relay, while it is there.
    pub(super) fn relay(&self) -> Option<Handle> {
        self.relay.borrow().as_ref().map(|relay| relay.server.handle())
    }

    /// Stops the media relay.
    pub(super) fn lose_relay(&self) {
        if let Some(relay) = self.relay.take() {
            relay.stop();
        }
    }

    /// Puts another load balancer in the place of the first, with other keys.
    pub(super) fn lose_route_keys(&self) -> Result<(), Failure> {
        if let Some(lb) = self.lb.take() {
            lb.stop();
        }
        fs::remove_file(&self.config.lb.token_keys).map_err(Failure::system)?;
        let lb = roles::load_balancer(&self.config, &options(LB, &self.capture, &self.tls))?;
        self.lb.replace(Some(lb));
        Ok(())
    }

    /// Ends everything in order; what was captured.
    pub(super) fn stop(self) -> Result<Vec<Captured>, Failure> {
        let mut orderly = true;
        for phone in self.phones {
            orderly &= phone.stop();
        }
        if let Some(lb) = self.lb.take() {
            orderly &= lb.stop();
        }
        orderly &= self.proxy.stop();
        if let Some(relay) = self.relay.take() {
            orderly &= relay.stop();
        }
        drop(self.directory);
        if orderly { Ok(self.capture.messages()) } else { Err(Failure::software("demo: a worker panicked")) }
    }
}

/// A directory for stores and keys, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Directory, Failure> {
        let octets: [u8; 8] = random().map_err(Failure::system)?;
        let path = std::env::temp_dir().join(format!("c4-demo-{:016x}", u64::from_be_bytes(octets)));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Failure::system)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // a leftover in the system's temporary directory harms nobody
    }
}

fn options(name: &'static str, capture: &Arc<Capture>, tls: &Tls) -> Options {
    Options { tls: Some(tls.clone()), tap: Some(capture.tap(name)), ..Options::new(name) }
}

fn listener(transport: Transport) -> Listener {
    Listener { transport, bind: (std::net::Ipv4Addr::LOCALHOST, 0).into(), advertise: None }
}

fn in_directory(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

/// Where the relay has its control and its media, and no other machine can reach them.
fn relay_config(config: &mut Config) {
    let (transport, bind) = (Transport::Udp, IpAddr::from(std::net::Ipv4Addr::LOCALHOST));
    config.relay.workers = 1;
    config.relay.ng = vec![Endpoint { transport, address: (bind, 0).into() }];
    config.relay.interfaces = vec![Interface { name: bind.to_string(), bind, advertise: None }];
}

fn proxy_config(
    config: &mut Config,
    directory: &Path,
    passwords: &[String; 2],
    relay: SocketAddr,
) -> Result<(), Failure> {
    let proxy = &mut config.proxy;
    proxy.relay = vec![MediaRelay(format!("udp:{relay}").parse().map_err(Failure::software)?)];
    // A call without the relay would not show what there is to see.
    proxy.relay_policy = Policy::Refuse;
    proxy.workers = 1;
    proxy.listen = vec![listener(Transport::Udp)];
    proxy.domains = vec![DOMAIN.into()];
    proxy.trusted = Network::new(std::net::Ipv4Addr::LOCALHOST.into(), 32).into_iter().collect();
    proxy.store.file = in_directory(directory, "c4.redb");
    proxy.nonce_keys = in_directory(directory, "proxy.keys");
    proxy.cdr = in_directory(directory, "cdr.jsonl");
    proxy.users_csv = in_directory(directory, "users.csv");
    let user = |(name, password): (&str, &String)| format!("{name};{DOMAIN};{password}\n");
    let users: String = [CALLER, CALLEE].into_iter().zip(passwords).map(user).collect();
    fs::write(&proxy.users_csv, users).map_err(Failure::system)
}

fn lb_config(config: &mut Config, directory: &Path, transport: Transport, proxy: &Handle) -> Result<(), Failure> {
    let backend = address_of(proxy)?.to_string().parse().map_err(Failure::software)?;
    let lb = &mut config.lb;
    lb.workers = 1;
    lb.listen = vec![listener(transport)];
    lb.internal = vec![listener(Transport::Udp)];
    lb.backends = vec![backend];
    lb.token_keys = in_directory(directory, "lb.keys");
    Ok(())
}

fn address_of(server: &Handle) -> Result<SocketAddr, Failure> {
    let first = server.listeners().first().map(|listener| listener.bind);
    first.ok_or_else(|| Failure::software("demo: a server without a socket"))
}

/// Each phone has a tone of its own and listens for the other's.
fn sound(user: &str, place: &Place, broken: Option<Broken>) -> audio::Settings {
    let (own, other) = if user == CALLER { (CALLER_HZ, CALLEE_HZ) } else { (CALLEE_HZ, CALLER_HZ) };
    let silent = user == CALLEE && broken == Some(Broken::Audio);
    audio::Settings {
        rtp: place.rtp,
        rtcp: place.rtcp,
        plays: (!silent).then_some(own),
        expects: other,
        codecs: Codec::ALL.into(),
        unix: place.unix,
    }
}

fn account(user: &str, password: &str) -> Account {
    match user {
        CALLEE => Account::with_ha1(PEER, DOMAIN, user, [Ha1::new(Hash::Md5, user, DOMAIN, password)]),
        _ => Account::new(PEER, DOMAIN, user, password),
    }
}

fn password() -> Result<String, Failure> {
    let octets: [u8; 16] = random().map_err(Failure::system)?;
    Ok(format!("{:032x}", u128::from_be_bytes(octets)))
}

/// A certificate for loopback, its own authority.
fn certificate(directory: &Path, config: &mut Config) -> Result<(), Failure> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(Failure::software)?;
    config.tls.cert = in_directory(directory, "cert.pem");
    config.tls.key = in_directory(directory, "key.pem");
    config.tls.ca.clone_from(&config.tls.cert);
    fs::write(&config.tls.cert, made.cert.pem()).map_err(Failure::system)?;
    fs::write(&config.tls.key, made.signing_key.serialize_pem()).map_err(Failure::system)
}
