//! What becomes of a packet. Nothing here allocates or queues.

use std::net::SocketAddr;
use std::time::Instant;

use super::socket::Socket;
use super::{Kind, Media, Packet, SocketId};

/// What the caller does with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing; the socket has counted why.
    Drop(Reason),
    /// Send it out of `socket` to `to`.
    Send {
        /// The socket that faces the other party.
        socket: SocketId,
        /// Where that party is.
        to: SocketAddr,
    },
    /// The relay itself was meant; answers may be waiting.
    Consumed,
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It came from an address that is not the party's.
    Source,
    /// Shorter than a header of its kind.
    Short,
    /// Neither RTP nor RTCP (RFC 3550 §5.1, §6.1), on a socket that carries nothing else.
    NotRtp,
    /// Nobody to send it to, yet or any more.
    NoDestination,
    /// The stream is blocked.
    Blocked,
    /// The socket is not in use.
    Closed,
    /// The party that it would go to must send first (flag `NAT wait`).
    Waiting,
    /// The relay sends to itself, and too much of it: in a circle.
    Loop,
}

impl Reason {
    /// All, in the order of their counters.
    pub const ALL: [Reason; 8] = [
        Reason::Source,
        Reason::Short,
        Reason::NotRtp,
        Reason::NoDestination,
        Reason::Blocked,
        Reason::Closed,
        Reason::Waiting,
        Reason::Loop,
    ];

    /// Its name in counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Source => "source",
            Reason::Short => "short",
            Reason::NotRtp => "not_rtp",
            Reason::NoDestination => "no_destination",
            Reason::Blocked => "blocked",
            Reason::Closed => "closed",
            Reason::Waiting => "waiting",
            Reason::Loop => "loop",
        }
    }
}

/// RFC 3550 §5.1: the fixed header.
const RTP: usize = 12;
/// RFC 3550 §6.4.2: the shortest packet, an empty receiver report.
const RTCP: usize = 8;

/// Whether a packet is RTCP (RFC 5761 §4: packet types 192 to 223), and why it is neither if so.
#[inline]
fn is_rtcp(payload: &[u8], kind: Kind) -> Result<bool, Reason> {
    let (&[first, second, ..], length) = (payload, payload.len()) else { return Err(Reason::Short) };
    // RFC 7983 §7: 128 to 191 is version 2.
    if first & 0xc0 != 0x80 {
        return Err(Reason::NotRtp);
    }
    match (kind, (192..=223).contains(&second)) {
        (_, true) if length < RTCP => Err(Reason::Short),
        (_, true) => Ok(true),
        (Kind::Rtcp, false) => Err(Reason::NotRtp),
        (_, false) if length < RTP => Err(Reason::Short),
        (_, false) => Ok(false),
    }
}

/// The socket by which a packet goes on, its age when it was named, and whether the packet is RTCP.
struct Way {
    out: SocketId,
    age: u32,
    rtcp: bool,
}

impl Media {
    /// Decides about a packet that came to `socket` from `from`.
    pub fn forward(&mut self, now: Instant, socket: SocketId, from: SocketAddr, packet: &mut Packet) -> Verdict {
        let is_own = self.own.has(from, &self.settings);
        let Some(source) = self.socket_mut(socket) else { return Verdict::Drop(Reason::Closed) };
        let mut admitted = source.admit(now, from, packet.payload());
        if is_own && admitted.is_ok() && !source.hairpin.admit(now) {
            admitted = Err(Reason::Loop);
        }
        if let Err(reason) = admitted {
            source.count_drop(reason);
        }
        if std::mem::take(&mut source.found) {
            self.found(socket);
        }
        match admitted {
            Err(reason) => Verdict::Drop(reason),
            Ok(Way { out, age, rtcp }) => match self.send_by(out, age, packet.payload().len()) {
                Ok(to) => {
                    if rtcp {
                        self.read_reports(now, socket, out, packet.payload());
                    }
                    Verdict::Send { socket: out, to }
                }
                Err(reason) => {
                    if let Some(source) = self.socket_mut(socket) {
                        source.count_drop(reason);
                    }
                    Verdict::Drop(reason)
                }
            },
        }
    }

    /// The party of `socket` was found: the other socket of the pair hears of it.
    #[cold]
    fn found(&mut self, socket: SocketId) {
        let Some(Socket { setup, .. }) = self.socket(socket) else { return };
        let (kind, signalled) = (setup.kind, setup.signalled);
        let Some(rtp) = self.socket(socket).and_then(Socket::learned).filter(|_| kind == Kind::Rtp) else { return };
        if let Some(beside) = self.socket_mut(SocketId(socket.0 ^ 1)) {
            beside.follow(signalled, rtp);
        }
    }

    /// Where the party that `out` faces is; counts the packet as sent.
    #[inline]
    fn send_by(&mut self, out: SocketId, age: u32, octets: usize) -> Result<SocketAddr, Reason> {
        let out = self.socket_mut(out).filter(|out| out.age == age).ok_or(Reason::NoDestination)?;
        let to = out.remote().ok_or(Reason::NoDestination)?;
        if out.setup.nat_wait && out.last.is_none() {
            return Err(Reason::Waiting);
        }
        out.sent.count(octets);
        Ok(to)
    }
}

impl Socket {
    /// How a packet goes on; it is counted.
    #[inline]
    fn admit(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) -> Result<Way, Reason> {
        // What it is comes first: garbage teaches nobody's address.
        let rtcp = match self.setup.kind {
            Kind::Opaque => false,
            kind => is_rtcp(payload, kind)?,
        };
        if !self.observe(now, from) {
            return Err(Reason::Source);
        }
        self.received.count(payload.len());
        self.last = Some(now);
        if self.setup.kind == Kind::Rtp && !rtcp {
            self.streams.update(now, payload, &self.setup.codecs);
        }
        if self.setup.blocked {
            return Err(Reason::Blocked);
        }
        let [rtp_age, rtcp_age] = self.out_age;
        let (out, age) = if rtcp { (self.setup.out_rtcp, rtcp_age) } else { (self.setup.out_rtp, rtp_age) };
        Ok(Way { out: out.ok_or(Reason::NoDestination)?, age, rtcp })
    }
}
