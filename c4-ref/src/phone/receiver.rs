//! What a phone makes of the RTP that it gets: order, loss, jitter, the tone.

use std::time::Duration;

use rtp::packet::Packet;
use rtp::sequence::{Arrival, Source};
use rtp::stats::{Jitter, Loss};

use super::codec::Codec;
use super::tone::{Detector, RATE};

/// The receiving side of a stream.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    source: Option<(u32, Source)>,
    /// Of sources before the one that is heard now.
    earlier: Loss,
    pub(super) jitter: Jitter,
    pub(super) tone: Detector,
    /// Packets with a valid header, whatever is in them.
    pub(super) packets: u64,
    /// Octets of their payloads.
    pub(super) octets: u64,
    /// Packets that came twice.
    pub(super) duplicates: u64,
    /// Packets that came late, after others that were sent after them.
    pub(super) reordered: u64,
    /// Packets of digits.
    pub(super) events: u64,
    /// Packets of a payload type that was not agreed.
    pub(super) foreign: u64,
}

impl Receiver {
    /// Nothing heard yet; listens for a tone of so many Hz.
    pub(super) fn new(tone_hz: u32) -> Receiver {
        Receiver {
            source: None,
            earlier: Loss::default(),
            jitter: Jitter::new(RATE),
            tone: Detector::new(tone_hz),
            packets: 0,
            octets: 0,
            duplicates: 0,
            reordered: 0,
            events: 0,
            foreign: 0,
        }
    }

    /// A packet came, so long after the stream began.
    pub(super) fn take(&mut self, at: Duration, packet: &Packet<'_>, events: Option<u8>) {
        self.packets += 1;
        self.octets += packet.payload().len() as u64;
        let arrival = self.note_sequence(packet);
        match arrival {
            Arrival::Duplicate => {
                self.duplicates += 1;
                return;
            }
            Arrival::Reordered => self.reordered += 1,
            _ => {}
        }
        if Some(packet.payload_type()) == events {
            // All packets of a digit have the timestamp of its beginning.
            self.events += 1;
            return;
        }
        self.jitter.update(at.as_micros() as u64, packet.timestamp());
        match Codec::ALL.into_iter().find(|codec| codec.payload_type() == packet.payload_type()) {
            Some(codec) => packet.payload().iter().for_each(|octet| self.tone.push(codec.decode(*octet))),
            None => self.foreign += 1,
        }
    }

    fn note_sequence(&mut self, packet: &Packet<'_>) -> Arrival {
        let (ssrc, number) = (packet.ssrc(), packet.sequence());
        let known = self.source.filter(|(known, _)| *known == ssrc);
        if let (None, Some((_, gone))) = (known, self.source) {
            self.earlier.add(&gone);
            self.jitter.restart();
        }
        let before = known.map_or_else(|| Source::new(number), |(_, source)| source);
        let mut source = before;
        let arrival = source.update(number);
        if arrival == Arrival::Restart {
            self.earlier.add(&before);
            self.jitter.restart();
        }
        self.source = Some((ssrc, source));
        arrival
    }

    /// The source that is heard.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.source.map(|(ssrc, _)| ssrc)
    }

    /// The source that is heard, for a report block.
    pub(super) fn source_mut(&mut self) -> Option<(u32, &mut Source)> {
        self.source.as_mut().map(|(ssrc, source)| (*ssrc, source))
    }

    /// Loss so far.
    pub(super) fn loss(&self) -> Loss {
        let mut loss = self.earlier;
        if let Some((_, source)) = &self.source {
            loss.add(source);
        }
        loss
    }
}
