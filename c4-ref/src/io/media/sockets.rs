//! The sockets of a worker, by their places in its table.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Protocol, SockRef, Type};

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

/// How many sockets all workers together may still open, so that files are left for everything else.
#[derive(Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Room {
    pub(super) fn new(sockets: usize) -> Room {
        Room(Arc::new(AtomicUsize::new(sockets)))
    }

    fn take(&self, sockets: usize) -> io::Result<()> {
        let take = |left: usize| left.checked_sub(sockets);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| io::Error::from(rustix::io::Errno::MFILE))
    }

    fn give(&self, sockets: usize) {
        self.0.fetch_add(sockets, Ordering::Relaxed);
    }
}

/// All of a worker; a socket's place is the number of its [`SocketId`], and its token in the epoll set.
pub(super) struct MediaSockets {
    places: Vec<Option<MediaSocket>>,
    open: usize,
    room: Room,
}

impl MediaSockets {
    pub(super) fn new(room: Room) -> MediaSockets {
        MediaSockets { places: Vec::new(), open: 0, room }
    }

    /// Opens and watches both sockets of a pair, or neither.
    pub(super) fn open(&mut self, poller: &Poller, pair: &Pair, tos: u8) -> io::Result<()> {
        self.room.take(2)?;
        let opened = self.open_both(poller, pair, tos);
        if opened.is_err() {
            self.room.give(2);
        }
        opened
    }

    fn open_both(&mut self, poller: &Poller, pair: &Pair, tos: u8) -> io::Result<()> {
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
        let before = self.open;
        self.put(pair.rtp, None);
        self.put(pair.rtcp, None);
        self.room.give(before - self.open);
    }

    /// The type of service of both sockets of a pair from now on.
    pub(super) fn set_tos(&self, pair: &Pair, tos: u8) {
        for socket in [pair.rtp, pair.rtcp].into_iter().filter_map(|id| self.get(id)) {
            set_tos(SockRef::from(socket), pair.local, tos);
        }
    }

    pub(super) fn get(&self, id: SocketId) -> Option<&UdpSocket> {
        self.places.get(id.0 as usize)?.as_ref().map(|socket| &socket.udp)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut MediaSocket> {
        self.places.get_mut(id.0 as usize)?.as_mut()
    }

    /// Open sockets.
    pub(super) fn count(&self) -> usize {
        self.open
    }

    fn put(&mut self, id: SocketId, udp: Option<UdpSocket>) {
        let place = id.0 as usize;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        if let Some(socket) = self.places.get_mut(place) {
            self.open -= usize::from(socket.is_some());
            self.open += usize::from(udp.is_some());
            *socket = udp.map(|udp| MediaSocket { udp, burst: Burst::new(MOST) });
        }
    }
}

/// No other socket may share the port: one that is in use must be refused.
pub(in super::super) fn bind(local: SocketAddr, tos: u8) -> io::Result<UdpSocket> {
    let socket = unbound(local, Type::DGRAM, Protocol::UDP)?;
    // The kernel begins with 0.
    if tos != 0 {
        set_tos(SockRef::from(&socket), local, tos);
    }
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// Not worth a call: without it media is at worst less favoured on its way.
fn set_tos(socket: SockRef<'_>, local: SocketAddr, tos: u8) {
    let _ = match local {
        SocketAddr::V4(_) => socket.set_tos_v4(u32::from(tos)),
        SocketAddr::V6(_) => socket.set_tclass_v6(u32::from(tos)),
    };
}
