//! A worker's datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use bytes::Bytes;

/// The largest datagram payload (16-bit length in UDP) and one more.
pub(super) const DATAGRAM: usize = 65_536;
/// Datagrams taken from one socket per wake-up at most.
const MOST: usize = 64;
/// Wake-ups with a full burst before a longer burst is tried.
const PATIENCE: u32 = 4;
/// At most this much patience: without load a try in vain costs one system call in 256.
const MOST_PATIENCE: u32 = 256;

/// One socket and how many datagrams it is asked for per wake-up.
///
/// Without load one datagram comes per wake-up, and asking for a second costs a system call in vain; under load the
/// queue is long and every further datagram saves a wait. So the burst grows while it is filled and shrinks when not.
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    /// The listener's address.
    pub(super) local: SocketAddr,
    burst: usize,
    full: u32,
    patience: u32,
}

impl Udp {
    pub(super) fn new(socket: UdpSocket, local: SocketAddr) -> Udp {
        Udp { socket, local, burst: 1, full: 0, patience: PATIENCE }
    }

    /// Receives a burst into `buffer`, one datagram at a time.
    pub(super) fn receive(&mut self, buffer: &mut [u8], mut datagram: impl FnMut(SocketAddr, Bytes)) {
        let mut asked = 0;
        while asked < self.burst {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => datagram(from, Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.shrink(),
                // What ICMP reported about an earlier datagram, or a signal: the next call receives again.
                Err(_) => {}
            }
            asked += 1;
        }
        self.grow();
    }

    fn grow(&mut self) {
        self.full += 1;
        if self.burst > 1 {
            self.patience = PATIENCE;
        }
        if self.full >= self.patience {
            self.full = 0;
            self.burst = (self.burst * 2).min(MOST);
        }
    }

    fn shrink(&mut self) {
        self.full = 0;
        self.burst = (self.burst / 2).max(1);
        if self.burst == 1 {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
    }
}
