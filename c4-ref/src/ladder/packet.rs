//! From a captured frame to what UDP or TCP carries in it: link layer, IP, ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Link types of the registry of tcpdump.org that are read.
const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_COOKED: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_COOKED_2: u16 = 276;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// What is in it.
    pub carried: Carried<'a>,
}

/// A datagram, or a piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// A datagram of UDP.
    Udp(&'a [u8]),
    /// A segment of TCP.
    Tcp {
        /// Number of its first octet.
        sequence: u32,
        /// It opens the stream.
        syn: bool,
        /// It ends the stream, in order or not.
        end: bool,
        /// Its octets.
        octets: &'a [u8],
    },
}

/// A part of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The packet's source.
    pub from: IpAddr,
    /// The packet's destination.
    pub to: IpAddr,
    /// The same in all its parts.
    pub id: u32,
    /// The protocol of what is in it.
    pub protocol: u8,
    /// Where the part belongs, in octets.
    pub offset: usize,
    /// It is not the last one.
    pub more: bool,
    /// The part.
    pub octets: &'a [u8],
}

/// Why there is nothing to read in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped<'a> {
    /// It is a part of an IP packet.
    Fragment(Part<'a>),
    /// Neither UDP nor TCP over IP, or cut too short.
    Other,
    /// The link type is not known.
    Link,
}

/// Reads a frame of this link type.
///
/// # Errors
/// [`Skipped`] says why it carries nothing that is wanted.
pub fn read(link: u16, octets: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    let rest = |from: usize| octets.get(from..).ok_or(Skipped::Other);
    match link {
        ETHERNET => {
            let (ether_type, packet) = ethernet(octets).ok_or(Skipped::Other)?;
            by_ether_type(ether_type, packet)
        }
        RAW | 12 | 14 | IPV4 | IPV6 => ip(octets),
        NULL | LOOP => ip(rest(4)?),
        LINUX_COOKED => by_ether_type(u16_at(octets, 14).ok_or(Skipped::Other)?, rest(16)?),
        LINUX_COOKED_2 => by_ether_type(u16_at(octets, 0).ok_or(Skipped::Other)?, rest(20)?),
        _ => Err(Skipped::Link),
    }
}

/// Ether type and packet, behind any tags of IEEE 802.1Q.
fn ethernet(octets: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = 12;
    loop {
        let ether_type = u16_at(octets, at)?;
        if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
            return Some((ether_type, octets.get(at + 2..)?));
        }
        at += 4;
    }
}

fn by_ether_type(ether_type: u16, packet: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    if matches!(ether_type, 0x0800 | 0x86dd) { ip(packet) } else { Err(Skipped::Other) }
}

fn ip(packet: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        _ => Err(Skipped::Other),
    }
}

fn ipv4(packet: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    let parts = || {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let total = usize::from(u16_at(packet, 2)?);
        // 0: the kernel's segmentation offload left it to the card. What follows the packet is padding of the link.
        let end = if total == 0 { packet.len() } else { total.min(packet.len()) };
        let payload = packet.get(header.max(20)..end)?;
        Some(((u16_at(packet, 4)?, u16_at(packet, 6)?), *packet.get(9)?, address(12)?, address(16)?, payload))
    };
    let ((id, fragment), protocol, from, to, octets) = parts().ok_or(Skipped::Other)?;
    let (from, to) = (from.into(), to.into());
    if fragment & 0x3fff != 0 {
        let (offset, more) = (usize::from(fragment & 0x1fff) * 8, fragment & 0x2000 != 0);
        return Err(Skipped::Fragment(Part { from, to, id: id.into(), protocol, offset, more, octets }));
    }
    transport(protocol, from, to, octets)
}

fn ipv6(packet: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    let parts = || {
        let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
        let length = usize::from(u16_at(packet, 4)?);
        let rest = packet.get(40..)?;
        let payload = if length == 0 { rest } else { rest.get(..length.min(rest.len()))? };
        Some((*packet.get(6)?, address(8)?, address(24)?, payload))
    };
    let (mut protocol, from, to, mut payload) = parts().ok_or(Skipped::Other)?;
    // Hop-by-hop options, routing, destination options (RFC 8200 §4).
    while let 0 | 43 | 60 = protocol {
        let next = || Some((*payload.first()?, payload.get(8 + 8 * usize::from(*payload.get(1)?)..)?));
        (protocol, payload) = next().ok_or(Skipped::Other)?;
    }
    let (from, to) = (from.into(), to.into());
    if protocol == 44 {
        let head = || {
            let id = u32::from_be_bytes(*payload.get(4..)?.first_chunk()?);
            Some((*payload.first()?, u16_at(payload, 2)?, id, payload.get(8..)?))
        };
        let (protocol, fragment, id, octets) = head().ok_or(Skipped::Other)?;
        let (offset, more) = (usize::from(fragment & 0xfff8), fragment & 1 != 0);
        return Err(Skipped::Fragment(Part { from, to, id, protocol, offset, more, octets }));
    }
    transport(protocol, from, to, payload)
}

/// Reads what an IP packet carries, which may have come in parts.
///
/// # Errors
/// [`Skipped::Other`]: neither UDP nor TCP.
pub fn transport(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> Result<Segment<'_>, Skipped<'_>> {
    let segment = || {
        let (from, to) = ((from, u16_at(payload, 0)?).into(), (to, u16_at(payload, 2)?).into());
        let carried = match protocol {
            17 => {
                let length = usize::from(u16_at(payload, 4)?);
                let end = if length == 0 { payload.len() } else { length.min(payload.len()) };
                Carried::Udp(payload.get(8..end)?)
            }
            6 => {
                let (header, flags) = (usize::from(payload.get(12)? >> 4) * 4, *payload.get(13)?);
                Carried::Tcp {
                    sequence: u32::from_be_bytes(*payload.get(4..)?.first_chunk()?),
                    syn: flags & 0x02 != 0,
                    end: flags & 0x05 != 0,
                    octets: payload.get(header.max(20)..)?,
                }
            }
            _ => return None,
        };
        Some(Segment { from, to, carried })
    };
    segment().ok_or(Skipped::Other)
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*octets.get(at..)?.first_chunk()?))
}
