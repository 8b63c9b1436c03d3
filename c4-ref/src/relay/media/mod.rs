//! The table of media sockets and the way of a packet through it.
//!
//! Sockets come in pairs (RTP on an even port, RTCP on the next), also where both are to share one port: the other side
//! may refuse that. Each socket faces one party: its latch learns where that party really is, and what is sent out of it
//! goes there.

mod codecs;
mod forward;
mod hairpin;
mod machine;
mod packet;
mod ports;
mod quality;
mod reports;
mod socket;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use codecs::Codecs;
pub use forward::{Reason, Verdict};
pub use machine::MediaMachine;
pub use packet::Packet;
pub use ports::{Pool, QUARANTINE, SHORTEST_REST};
pub use quality::{Quality, Sample};
pub use socket::{Count, SocketStats};
pub use stream::StreamStats;
pub use table::{Event, Media, Settings};

use std::net::{IpAddr, SocketAddr};

/// A socket of this worker's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A pair of sockets that was asked for; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub u64);

/// An open pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Which one was asked for.
    pub id: PairId,
    /// The socket on the even port.
    pub rtp: SocketId,
    /// The socket on the port above.
    pub rtcp: SocketId,
    /// Where `rtp` is bound; `rtcp` has the same address and the next port.
    pub local: SocketAddr,
}

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// RTP, and RTCP beside it where `mux` is set.
    #[default]
    Rtp,
    /// RTCP alone.
    Rtcp,
    /// Any datagrams (T.38 over UDPTL), passed on unread.
    Opaque,
}

/// How a socket learns where its party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Learning {
    /// Never: the signalled address is right (flag `asymmetric`, or the mode `off`).
    Off,
    /// The first packet decides.
    Immediate,
    /// The first packet decides for three seconds, the first one after them for good.
    Delayed,
    /// The best candidate of the first three seconds (see [`nat::latch`]).
    #[default]
    Heuristic,
}

/// How a socket is used from now on; the statistics go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// What it carries.
    pub kind: Kind,
    /// RTCP comes to this socket as well (RFC 5761).
    pub mux: bool,
    /// Where the party says that it is. Never 0.0.0.0 or `::`.
    pub signalled: Option<SocketAddr>,
    /// Where the party's signalling came from, where that is to be believed more (`SIP-source-address`).
    pub received_from: Option<IpAddr>,
    /// How the party's real address is learned.
    pub learning: Learning,
    /// Packets from elsewhere are dropped once an address is learned; else they pass, but nothing is sent there.
    pub strict: bool,
    /// The party may move at any time (flag `media handover`).
    pub handover: bool,
    /// The party has reason to send: it was answered, or has answered. Until then nothing is heard.
    pub armed: bool,
    /// Nothing is sent to the party before something came from it (flag `NAT wait`).
    pub nat_wait: bool,
    /// Empty datagrams go to the party until something came from it (flag `pierce NAT`): see [`Media::pierce`].
    pub pierce_nat: bool,
    /// The socket by which RTP, and whatever is not RTCP, goes on.
    pub out_rtp: Option<SocketId>,
    /// The socket by which RTCP goes on.
    pub out_rtcp: Option<SocketId>,
    /// Nothing passes.
    pub blocked: bool,
    /// It is SRTP: what RTCP says cannot be read.
    pub secured: bool,
    /// What the payload types of the party mean.
    pub codecs: Codecs,
}

impl Default for Setup {
    /// RTP from an address that is yet to be signalled, to nobody; armed and strict.
    fn default() -> Setup {
        Setup {
            kind: Kind::Rtp,
            mux: false,
            signalled: None,
            received_from: None,
            learning: Learning::default(),
            strict: true,
            handover: false,
            armed: true,
            nat_wait: false,
            pierce_nat: false,
            out_rtp: None,
            out_rtcp: None,
            blocked: false,
            secured: false,
            codecs: Codecs::default(),
        }
    }
}

/// No pair of ports is left, or the system gives no more sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no pair of ports is left")]
pub struct NoPorts;
