//! Built-in phones on real sockets.

use std::time::Instant;

use sip_core::flow::Transport;

use super::program::Failure;
use super::{Options, Outputs, Server, Sockets, files};
use crate::config::Listener;
use crate::phone::{Phone, Settings};

/// Starts a phone with a socket of its own on loopback; `settings` are asked for when its address is known. It is told
/// what to do by the methods `phone.*`, see [`Phone`].
///
/// # Errors
/// A socket or thread that the system refuses.
pub fn start(
    transport: Transport,
    options: &Options,
    settings: impl FnOnce(std::net::SocketAddr, [u8; 32]) -> Settings,
) -> Result<Server, Failure> {
    let bind = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let sockets = Sockets::bind(&[Listener { transport, bind, advertise: None }], 1).map_err(Failure::system)?;
    let local = sockets.listeners().first().map_or(bind, |listener| listener.bind);
    let seed = files::random().map_err(Failure::system)?;
    let phone = Phone::new(settings(local, seed), Instant::now());
    Server::start(sockets, vec![phone], options, &Outputs::default()).map_err(Failure::system)
}
