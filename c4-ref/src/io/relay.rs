//! From `[relay]` to running workers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::media::MediaOptions;
use super::program::{Failure, Running, random, worker_count};
use super::{Options, Server, Sockets, files};
use crate::config::{self, Config, Listener};
use crate::machine::News;
use crate::net::Network;
use crate::ng;
use crate::ng::bencode::Limits;
use crate::relay::{Relay, Sessions, Settings, Timeouts, Update, media};

/// Starts the media relay of `[relay]`.
///
/// # Errors
/// A port or address that cannot be used.
pub(super) fn start(config: &Config, options: &Options) -> Result<Running, Failure> {
    let config = &config.relay;
    let workers = worker_count(config.workers);
    let ng = config.ng.iter();
    let ng: Vec<_> = ng.map(|ng| Listener { transport: ng.transport, bind: ng.address, advertise: None }).collect();
    let sockets = Sockets::bind_alone(&ng).map_err(Failure::system)?;
    for interface in &config.interfaces {
        UdpSocket::bind(SocketAddr::new(interface.bind, 0))
            .map_err(|error| Failure::system(format!("relay.interfaces {}: {error}", interface.bind)))?;
    }
    let notify = config.notify_address().map_err(|why| Failure::config(format!("relay.notify {why}")))?;
    let (now, unix) = (Instant::now(), Duration::from_millis(files::unix_millis()));
    let mark = random::<8>()?.map(|octet| format!("{octet:02x}")).concat();
    let sessions = Sessions::new(config.max_sessions);
    let machine = |worker| {
        let ports = (config.ports.first, config.ports.last);
        let media = media::Settings { ports, worker, workers, key: random()? };
        let mut relay = Relay::new(now, settings(config, media, sessions.clone(), mark.clone(), unix));
        sockets.listeners().iter().for_each(|listener| relay.media().add_control(listener.bind));
        Ok(relay)
    };
    let machines = (0..workers).map(machine).collect::<Result<Vec<_>, Failure>>()?;
    // A description as long as may be, and the keys around it.
    let limits = Limits { octets: sdp::Limits::default().max_octets + (8 << 10), ..Limits::default() };
    let server = ng::server::Config { allow: allow(config), limits, ..ng::server::Config::default() };
    let server = ng::server::Server::new(server, random()?, now);
    let (ng, max_sockets) = (Some((server, sockets)), options.max_connections);
    let options = MediaOptions { name: options.name, ng, notify, max_sockets, key: random()? };
    let server = Server::start_media(machines, options).map_err(Failure::system)?;
    let reread = |new: &Config| {
        let new = &new.relay;
        let (max_sessions, timeouts, allow) = (new.max_sessions, timeouts(new), allow(new));
        Ok(Arc::new(Update { max_sessions, timeouts, allow }) as News)
    };
    Ok(Running { reread: Some(Box::new(reread)), ..server.into() })
}

/// Who may ask; without a list, whoever reaches a socket on loopback.
fn allow(config: &config::Relay) -> Vec<Network> {
    if config.allow.is_empty() { ng::server::Config::default().allow } else { config.allow.clone() }
}

fn timeouts(config: &config::Relay) -> Timeouts {
    Timeouts {
        media: Duration::from_millis(config.media_timeout_ms),
        silent: Duration::from_millis(config.silent_timeout_ms),
        offer: Duration::from_millis(config.offer_timeout_ms),
        delete_delay: Duration::from_millis(config.delete_delay_ms),
    }
}

fn settings(
    config: &config::Relay,
    media: media::Settings,
    sessions: Sessions,
    mark: String,
    unix: Duration,
) -> Settings {
    Settings {
        media,
        interfaces: config.interfaces.clone(),
        tos: config.tos,
        timeouts: timeouts(config),
        sessions,
        mark,
        unix,
    }
}
