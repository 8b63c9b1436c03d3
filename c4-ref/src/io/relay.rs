//! From `[relay]` to running workers.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::media::MediaOptions;
use super::program::{Failure, Running, random, worker_count};
use super::{Options, Server, Sockets, files};
use crate::config::{self, Config, Listener};
use crate::ng;
use crate::relay::{Relay, Sessions, Settings, media};

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
        Ok(Relay::new(now, settings(config, media, sessions.clone(), mark.clone(), unix)))
    };
    let machines = (0..workers).map(machine).collect::<Result<Vec<_>, Failure>>()?;
    let mut server = ng::server::Config::default();
    if !config.allow.is_empty() {
        server.allow.clone_from(&config.allow);
    }
    // A description as long as may be, and the keys around it.
    server.limits.octets = sdp::Limits::default().max_octets + (8 << 10);
    let server = ng::server::Server::new(server, random()?, now);
    let (ng, max_sockets) = (Some((server, sockets)), options.max_connections);
    let options = MediaOptions { name: options.name, ng, notify, max_sockets, key: random()? };
    Ok(Server::start_media(machines, options).map_err(Failure::system)?.into())
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
        media_timeout: Duration::from_millis(config.media_timeout_ms),
        silent_timeout: Duration::from_millis(config.silent_timeout_ms),
        offer_timeout: Duration::from_millis(config.offer_timeout_ms),
        delete_delay: Duration::from_millis(config.delete_delay_ms),
        sessions,
        mark,
        unix,
    }
}
