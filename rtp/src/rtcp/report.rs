//! Sender and receiver reports (RFC 3550 §6.4).

use super::{Defect, Packet};

/// Octets of a report block.
const BLOCK: usize = 24;

/// What a sender says of itself (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock in NTP format: seconds since 1900 and their 2^32nds.
    pub ntp: u64,
    /// The same instant in units of the RTP clock.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of payload sent.
    pub octets: u32,
}

/// What is said of one source that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost altogether, 24 bits with sign.
    pub lost: i32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// Interarrival jitter in clock units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report; 0 for none.
    pub last_sr: u32,
    /// Time since it came, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

fn word(octets: &[u8; BLOCK], at: usize) -> u32 {
    octets.as_chunks::<4>().0.get(at).map_or(0, |word| u32::from_be_bytes(*word))
}

impl Block {
    fn read(octets: &[u8; BLOCK]) -> Self {
        let loss = word(octets, 1);
        Self {
            ssrc: word(octets, 0),
            fraction_lost: (loss >> 24) as u8,
            // Sign extension of 24 bits.
            lost: ((loss << 8) as i32) >> 8,
            highest: word(octets, 2),
            jitter: word(octets, 3),
            last_sr: word(octets, 4),
            delay_since_last_sr: word(octets, 5),
        }
    }

    /// The round trip in 65536ths of a second, `now` being the middle 32 bits of our NTP time as the report arrives;
    /// none where the other side had no report of ours, or where its clock makes it negative.
    pub fn round_trip(&self, now: u32) -> Option<u32> {
        let trip = now.wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        (self.last_sr != 0 && trip < 1 << 31).then_some(trip)
    }
}

fn blocks<'a>(packet: &Packet<'a>, octets: &'a [u8]) -> Result<&'a [[u8; BLOCK]], Defect> {
    octets.as_chunks::<BLOCK>().0.get(..usize::from(packet.count)).ok_or(Defect::Count(packet.count))
}

/// A sender report. What follows its blocks is a profile's and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who sends it.
    pub ssrc: u32,
    /// What it sent.
    pub info: SenderInfo,
    blocks: &'a [[u8; BLOCK]],
}

impl<'a> SenderReport<'a> {
    #[inline]
    pub(super) fn read(packet: &Packet<'a>) -> Result<Self, Defect> {
        let (head, rest) = packet.body.split_first_chunk::<24>().ok_or(Defect::Short)?;
        let info = SenderInfo {
            ntp: u64::from(word(head, 1)) << 32 | u64::from(word(head, 2)),
            rtp: word(head, 3),
            packets: word(head, 4),
            octets: word(head, 5),
        };
        Ok(Self { ssrc: word(head, 0), info, blocks: blocks(packet, rest)? })
    }

    /// Its report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block> + use<'a> {
        self.blocks.iter().map(Block::read)
    }
}

/// A receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who sends it.
    pub ssrc: u32,
    blocks: &'a [[u8; BLOCK]],
}

impl<'a> ReceiverReport<'a> {
    #[inline]
    pub(super) fn read(packet: &Packet<'a>) -> Result<Self, Defect> {
        let (ssrc, rest) = packet.body.split_first_chunk::<4>().ok_or(Defect::Short)?;
        Ok(Self { ssrc: u32::from_be_bytes(*ssrc), blocks: blocks(packet, rest)? })
    }

    /// Its report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block> + use<'a> {
        self.blocks.iter().map(Block::read)
    }
}
