//! What a phone makes of the RTP that it gets: its quality, and the tone.

use std::time::Duration;

use rtp::packet::Packet;
use rtp::sequence::Arrival;

use super::codec::Codec;
use super::tone::{Detector, RATE};
use crate::quality::Quality;

/// The receiving side of a stream.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) quality: Quality,
    pub(super) tone: Detector,
}

impl Receiver {
    /// Nothing heard yet; listens for a tone of so many Hz.
    pub(super) fn new(tone_hz: u32) -> Receiver {
        Receiver { quality: Quality::new(RATE), tone: Detector::new(tone_hz) }
    }

    /// A packet came, so long after the stream began. The other side may change between the codecs at any time.
    pub(super) fn take(&mut self, at: Duration, packet: &Packet<'_>, events: Option<u8>) {
        let is_event = Some(packet.payload_type()) == events;
        if self.quality.take(at, packet, !is_event) == Arrival::Duplicate || is_event {
            return;
        }
        let codec = Codec::ALL.into_iter().find(|codec| codec.payload_type() == packet.payload_type());
        if let Some(codec) = codec {
            packet.payload().iter().for_each(|octet| self.tone.push(codec.decode(*octet)));
        }
    }
}
