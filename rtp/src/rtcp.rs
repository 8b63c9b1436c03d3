//! RTCP (RFC 3550 §6): compound and reduced-size (RFC 5506) packets, read in place and written into a buffer.
//!
//! ```
//! use c4_rtp::rtcp::{Compound, Packet, write};
//! let mut octets = Vec::new();
//! write::receiver_report(&mut octets, 7, &[]);
//! write::cname(&mut octets, 7, b"a@b");
//! let names: Vec<_> = Compound::read(&octets).unwrap().map(|packet| packet.packet_type).collect();
//! assert_eq!(names, [201, 202]);
//! ```

mod report;
mod sdes;
pub mod write;

pub use report::{Block, ReceiverReport, SenderInfo, SenderReport};
pub use sdes::{Chunk, Item};

/// Sender report.
pub const SR: u8 = 200;
/// Receiver report.
pub const RR: u8 = 201;
/// Source description.
pub const SDES: u8 = 202;
/// Goodbye.
pub const BYE: u8 = 203;
/// Application-defined.
pub const APP: u8 = 204;

/// Why octets are no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// Shorter than a header, or than its type needs.
    #[error("too short")]
    Short,
    /// Not version 2.
    #[error("version {0}")]
    Version(u8),
    /// The length exceeds the datagram.
    #[error("the length exceeds the datagram")]
    Length,
    /// The count does not fit the length.
    #[error("count {0} does not fit the length")]
    Count(u8),
    /// P on a packet that is not the last, or a padding count that does not fit.
    #[error("padding")]
    Padding,
    /// The first packet of a compound is neither a sender nor a receiver report (RFC 3550 §6.1).
    #[error("a compound starts with packet type {0}")]
    First(u8),
}

/// One packet of a compound: its header is checked, its body is as its type reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// PT, 192 to 223.
    pub packet_type: u8,
    /// RC, SC or FMT, 0 to 31.
    pub count: u8,
    /// What follows the four octets of header, without padding.
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The first four octets of the body: the SSRC of the sender, or of the first chunk.
    pub fn ssrc(&self) -> Option<u32> {
        self.body.first_chunk().map(|octets| u32::from_be_bytes(*octets))
    }

    /// As a sender report, if it is one.
    ///
    /// # Errors
    /// [`Defect::Short`] and [`Defect::Count`].
    #[inline]
    pub fn sender_report(&self) -> Option<Result<SenderReport<'a>, Defect>> {
        (self.packet_type == SR).then(|| SenderReport::read(self))
    }

    /// As a receiver report, if it is one.
    ///
    /// # Errors
    /// [`Defect::Short`] and [`Defect::Count`].
    #[inline]
    pub fn receiver_report(&self) -> Option<Result<ReceiverReport<'a>, Defect>> {
        (self.packet_type == RR).then(|| ReceiverReport::read(self))
    }

    /// The chunks of a source description; none of another packet. A chunk that does not fit ends them with an error.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Chunk<'a>, Defect>> + use<'a> {
        let count = if self.packet_type == SDES { self.count } else { 0 };
        sdes::Chunks { rest: self.body, left: count, count }
    }

    /// The sources that a BYE says goodbye for, and its reason (§6.6), if it is one.
    ///
    /// # Errors
    /// [`Defect::Count`] where the list or the reason does not fit.
    pub fn bye(&self) -> Option<Result<Bye<'a>, Defect>> {
        (self.packet_type == BYE).then(|| {
            let split = self.body.split_at_checked(4 * usize::from(self.count));
            let (sources, rest) = split.ok_or(Defect::Count(self.count))?;
            let reason = match rest.split_first() {
                None => None,
                Some((length, text)) => Some(text.get(..usize::from(*length)).ok_or(Defect::Length)?),
            };
            Ok(Bye { sources, reason })
        })
    }

    /// An application-defined packet (§6.7), if it is one: SSRC, name, data; [`Packet::count`] is its subtype.
    ///
    /// # Errors
    /// [`Defect::Short`].
    pub fn app(&self) -> Option<Result<App<'a>, Defect>> {
        (self.packet_type == APP).then(|| {
            let (ssrc, rest) = self.body.split_first_chunk::<4>().ok_or(Defect::Short)?;
            let (name, data) = rest.split_first_chunk::<4>().ok_or(Defect::Short)?;
            Ok(App { ssrc: u32::from_be_bytes(*ssrc), name: *name, data })
        })
    }
}

/// A goodbye (RFC 3550 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [u8],
    /// Why, if it says so.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    /// Who leaves.
    pub fn sources(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.sources.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets))
    }
}

/// An application-defined packet (RFC 3550 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    /// Its source.
    pub ssrc: u32,
    /// Four octets of name.
    pub name: [u8; 4],
    /// Its data.
    pub data: &'a [u8],
}

/// The packets of one datagram, all headers checked beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// A datagram as RFC 3550 §6.1 wants it: its first packet is a report.
    ///
    /// # Errors
    /// A [`Defect`] of any header in it.
    #[inline]
    pub fn read(octets: &'a [u8]) -> Result<Self, Defect> {
        match octets.get(1) {
            Some(&(SR | RR)) => Self::read_reduced(octets),
            Some(other) => Err(Defect::First(*other)),
            None => Err(Defect::Short),
        }
    }

    /// A datagram that may start with any packet (RFC 5506).
    ///
    /// # Errors
    /// A [`Defect`] of any header in it.
    #[inline]
    pub fn read_reduced(octets: &'a [u8]) -> Result<Self, Defect> {
        let mut rest = octets;
        if rest.is_empty() {
            return Err(Defect::Short);
        }
        while !rest.is_empty() {
            rest = split(rest)?.1;
        }
        Ok(Self { rest: octets })
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(packet)
    }
}

#[inline]
fn split(octets: &[u8]) -> Result<(Packet<'_>, &[u8]), Defect> {
    let (head, rest) = octets.split_first_chunk::<4>().ok_or(Defect::Short)?;
    let [first, packet_type, ..] = *head;
    if first >> 6 != 2 {
        return Err(Defect::Version(first >> 6));
    }
    let length = 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (mut body, rest) = rest.split_at_checked(length).ok_or(Defect::Length)?;
    if first & 0x20 != 0 {
        let count = usize::from(*body.last().ok_or(Defect::Padding)?);
        let end = body.len().checked_sub(count).filter(|_| count != 0 && rest.is_empty());
        body = end.and_then(|end| body.get(..end)).ok_or(Defect::Padding)?;
    }
    Ok((Packet { packet_type, count: first & 0x1f, body }, rest))
}

#[cfg(test)]
mod tests;
