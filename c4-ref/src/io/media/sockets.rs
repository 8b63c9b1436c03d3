//! The sockets of a worker, by their places in its table.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Protocol, Type};

use super::super::burst::Burst;
use super::super::poller::{Interest, Poller};
use super::super::sockets::unbound;
use crate::relay::media::{Pair, SocketId};

/// What the kernel is asked to hold of one party while we are busy, octets: the burst of a key frame of video, and no
/// more, for anybody may fill it.
const BUFFER: usize = 128 << 10;
/// Datagrams taken from one socket per wake-up at most: a flood on one delays the others by as many.
const MOST: usize = 16;

/// An open socket and its burst.
pub(super) struct MediaSocket {
    pub(super) udp: UdpSocket,
    pub(super) burst: Burst,
}

/// All of a worker; a socket's place is the number of its [`SocketId`], and its token in the epoll set.
#[derive(Default)]
pub(super) struct MediaSockets(Vec<Option<MediaSocket>>);

impl MediaSockets {
    /// Opens and watches both sockets of a pair, or neither.
    pub(super) fn open(&mut self, poller: &Poller, pair: &Pair, tos: u8) -> io::Result<()> {
        let mut second = pair.local;
        second.set_port(pair.local.port().checked_add(1).ok_or(io::ErrorKind::InvalidInput)?);
        let (rtp, rtcp) = (bind(pair.local, tos)?, bind(second, tos)?);
        // A descriptor that is closed leaves the set by itself.
        poller.add(&rtp, u64::from(pair.rtp.0), Interest::Read)?;
        poller.add(&rtcp, u64::from(pair.rtcp.0), Interest::Read)?;
        self.put(pair.rtp, Some(rtp));
        self.put(pair.rtcp, Some(rtcp));
        Ok(())
    }

    /// Closes both sockets of a pair, if they are open.
    pub(super) fn close(&mut self, pair: &Pair) {
        self.put(pair.rtp, None);
        self.put(pair.rtcp, None);
    }

    pub(super) fn get(&self, id: SocketId) -> Option<&UdpSocket> {
        self.0.get(id.0 as usize)?.as_ref().map(|socket| &socket.udp)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut MediaSocket> {
        self.0.get_mut(id.0 as usize)?.as_mut()
    }

    /// Open sockets.
    pub(super) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    fn put(&mut self, id: SocketId, udp: Option<UdpSocket>) {
        let place = id.0 as usize;
        if place >= self.0.len() {
            self.0.resize_with(place + 1, || None);
        }
        if let Some(socket) = self.0.get_mut(place) {
            *socket = udp.map(|udp| MediaSocket { udp, burst: Burst::new(MOST) });
        }
    }
}

/// No other socket may share the port: one that is in use must be refused.
pub(super) fn bind(local: SocketAddr, tos: u8) -> io::Result<UdpSocket> {
    let socket = unbound(local, Type::DGRAM, Protocol::UDP)?;
    // Neither is worth a call: without them media is at worst less favoured on its way.
    let _ = match local {
        SocketAddr::V4(_) => socket.set_tos_v4(u32::from(tos)),
        SocketAddr::V6(_) => socket.set_tclass_v6(u32::from(tos)),
    };
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.bind(&local.into())?;
    Ok(socket.into())
}
