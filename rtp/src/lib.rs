//! RTP and RTCP (RFC 3550) without I/O: packets as views over their octets, demultiplexing, sequence numbers, statistics, G.711.
//! Nothing here allocates, but writers into a `Vec` of the caller.
//!
//! ```
//! use c4_rtp::{demux, packet::Packet, sequence::Source, stats::Jitter};
//! let octets = [0x80, 0, 0, 7, 0, 0, 0, 160, 0x11, 0x22, 0x33, 0x44, 0xff, 0xff];
//! assert_eq!(demux::classify(&octets), demux::Kind::Rtp);
//! let packet = Packet::read(&octets).unwrap();
//! assert_eq!((packet.payload_type(), packet.sequence(), packet.payload()), (0, 7, &[0xff, 0xff][..]));
//! let mut source = Source::new(packet.sequence());
//! source.update(packet.sequence());
//! let mut jitter = Jitter::new(8000);
//! jitter.update(0, packet.timestamp());
//! ```
#![forbid(unsafe_code)]

pub mod demux;
pub mod g711;
pub mod packet;
pub mod rtcp;
pub mod sequence;
pub mod stats;
