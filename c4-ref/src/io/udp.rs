//! A worker's datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use bytes::Bytes;

use super::burst::Burst;

/// The largest datagram payload (16-bit length in UDP) and one more.
pub(super) const DATAGRAM: usize = 65_536;
/// Datagrams taken from one socket per wake-up at most.
const MOST: usize = 64;

/// One socket and its burst.
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    /// The listener's address.
    pub(super) local: SocketAddr,
    burst: Burst,
}

impl Udp {
    pub(super) fn new(socket: UdpSocket, local: SocketAddr) -> Udp {
        Udp::with_burst(socket, local, MOST)
    }

    /// At most so many datagrams a wake-up.
    pub(super) fn with_burst(socket: UdpSocket, local: SocketAddr, most: usize) -> Udp {
        Udp { socket, local, burst: Burst::new(most) }
    }

    /// Receives a burst into `buffer`, one datagram at a time.
    pub(super) fn receive(&mut self, buffer: &mut [u8], mut datagram: impl FnMut(SocketAddr, Bytes)) {
        for _ in 0..self.burst.size() {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => datagram(from, Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.burst.shrink(),
                // What ICMP reported about an earlier datagram, or a signal: the next call receives again.
                Err(_) => {}
            }
        }
        self.burst.grow();
    }
}
