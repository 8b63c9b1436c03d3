//! Built-in phones on real sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sip_core::flow::Transport;

use super::media::bind;
use super::program::Failure;
use super::{Options, Outputs, Server, Sockets, files};
use crate::config::Listener;
use crate::phone::{Phone, Settings};

/// DSCP EF (RFC 3246), as phones mark their sound.
const TOS: u8 = 184;
/// Pairs of ports that are tried.
const TRIES: usize = 100;

/// What a phone's settings need to know of its place in the system.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its address for SIP.
    pub sip: SocketAddr,
    /// For RTP, on an even port.
    pub rtp: SocketAddr,
    /// For RTCP, on the next.
    pub rtcp: SocketAddr,
    /// Random octets.
    pub seed: [u8; 32],
    /// The wall clock, since 1970.
    pub unix: Duration,
}

/// Starts a phone with sockets of its own on loopback; `settings` are asked for when their addresses are known. It is
/// told what to do by the methods `phone.*`, see [`Phone`].
///
/// # Errors
/// A socket or thread that the system refuses.
pub fn start(
    transport: Transport,
    options: &Options,
    settings: impl FnOnce(Place) -> Settings,
) -> Result<Server, Failure> {
    let listener = Listener { transport, bind: (Ipv4Addr::LOCALHOST, 0).into(), advertise: None };
    let mut sockets = Sockets::bind(std::slice::from_ref(&listener), 1).map_err(Failure::system)?;
    let sip = sockets.listeners().first().map_or(listener.bind, |listener| listener.bind);
    let [rtp, rtcp] = pair().map_err(|error| Failure::system(format!("no ports for RTP: {error}")))?;
    let place = Place {
        sip,
        rtp: rtp.local_addr().map_err(Failure::system)?,
        rtcp: rtcp.local_addr().map_err(Failure::system)?,
        seed: files::random().map_err(Failure::system)?,
        unix: Duration::from_millis(files::unix_millis()),
    };
    [rtp, rtcp].into_iter().for_each(|socket| sockets.add_plain(0, socket));
    let phone = Phone::new(settings(place), Instant::now());
    Server::start(sockets, vec![phone], options, &Outputs::default()).map_err(Failure::system)
}

/// Two sockets on neighbouring ports of loopback, the first of them even (RFC 3550 §11).
fn pair() -> io::Result<[UdpSocket; 2]> {
    let mut refused = io::ErrorKind::AddrInUse.into();
    for _ in 0..TRIES {
        // The kernel draws the port; its neighbour may be somebody else's.
        let first = bind((Ipv4Addr::LOCALHOST, 0).into(), TOS)?;
        let port = first.local_addr()?.port();
        match bind((Ipv4Addr::LOCALHOST, port ^ 1).into(), TOS) {
            Ok(second) if port % 2 == 0 => return Ok([first, second]),
            Ok(second) => return Ok([second, first]),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
