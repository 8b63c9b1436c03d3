//! The quality of one stream of RTP, as its receiver measures it: order, loss, jitter, score.

use std::time::Duration;

use rtp::packet::Packet;
use rtp::sequence::{Arrival, Source};
use rtp::stats::{Impairment, Jitter, Loss, Mos};

/// The delay of sound besides the network's, ms: a packet is 20 ms of it, and a player holds three.
const PLAYER_MS: f32 = 80.0;

/// What has been received of a stream, whose source may start anew or be followed by another.
#[derive(Clone, Debug)]
pub struct Quality {
    source: Option<(u32, Source)>,
    /// Of sources before the one that is heard now.
    earlier: Loss,
    jitter: Jitter,
    /// Packets, whatever is in them.
    pub packets: u64,
    /// Octets of their payloads.
    pub octets: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came late, after others that were sent after them.
    pub reordered: u64,
}

impl Quality {
    /// Nothing received yet; timestamps will count at this rate, Hz.
    pub fn new(clock_rate: u32) -> Quality {
        Quality {
            source: None,
            earlier: Loss::default(),
            jitter: Jitter::new(clock_rate),
            packets: 0,
            octets: 0,
            duplicates: 0,
            reordered: 0,
        }
    }

    /// A packet came, so long after any fixed time. `timed`: its timestamp is that of its sending; those of a digit's
    /// packets are not (RFC 4733 §2.2.1).
    pub fn take(&mut self, at: Duration, packet: &Packet<'_>, timed: bool) -> Arrival {
        self.packets += 1;
        self.octets += packet.payload().len() as u64;
        let arrival = self.note_sequence(packet);
        match arrival {
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::Reordered => self.reordered += 1,
            _ => {}
        }
        if timed && arrival != Arrival::Duplicate {
            self.jitter.update(at.as_micros() as u64, packet.timestamp());
        }
        arrival
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

    /// The synchronisation source that is heard.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.map(|(ssrc, _)| ssrc)
    }

    /// The source that is heard, for a report block.
    pub fn source_mut(&mut self) -> Option<(u32, &mut Source)> {
        self.source.as_mut().map(|(ssrc, source)| (*ssrc, source))
    }

    /// Interarrival jitter (RFC 3550 A.8).
    pub fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// Loss so far; duplicates do not make up for it.
    pub fn loss(&self) -> Loss {
        let mut loss = self.earlier;
        if let Some((_, source)) = &self.source {
            loss.add(source);
        }
        loss
    }

    /// The mean opinion score, 1 to 4.5 (ITU-T G.107), with a player that holds 60 ms; `None`: nothing was received.
    pub fn mos(&self, codec: Impairment, round_trip_ms: Option<f64>) -> Option<f64> {
        let network = round_trip_ms.unwrap_or_default() as f32 / 2.0;
        let delay_ms = PLAYER_MS + network + self.jitter.millis();
        let mos = Mos { codec, loss_percent: self.loss().percent(), burst_ratio: 1.0, delay_ms };
        (self.packets > 0).then(|| rounded(mos.score().into()))
    }
}

/// Two digits behind the point: more would say more than is known.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use rtp::packet::{FIXED, Header};
    use rtp::stats::G711;

    use super::*;

    fn octets(ssrc: u32, sequence: u16) -> [u8; FIXED] {
        let timestamp = u32::from(sequence) * 160;
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }.to_octets()
    }

    fn take(quality: &mut Quality, ssrc: u32, sequence: u16) -> Arrival {
        let at = Duration::from_millis(20) * u32::from(sequence);
        quality.take(at, &Packet::read(&octets(ssrc, sequence)).unwrap(), true)
    }

    #[test]
    fn a_new_source_does_not_wipe_out_the_loss_of_the_last() {
        let mut quality = Quality::new(8000);
        for sequence in (0..100).filter(|sequence| sequence % 10 != 5) {
            take(&mut quality, 1, sequence);
        }
        for sequence in 0..50 {
            take(&mut quality, 2, sequence);
        }
        assert_eq!((quality.ssrc(), quality.packets, quality.loss().lost), (Some(2), 140, 10));
        assert_eq!(quality.jitter().value(), 0);
    }

    #[test]
    fn rfc3550_a1_a_restart_does_not_either() {
        let mut quality = Quality::new(8000);
        for sequence in [0, 1, 2, 5, 6, 40_000] {
            take(&mut quality, 1, sequence);
        }
        assert_eq!(take(&mut quality, 1, 40_001), Arrival::Restart);
        take(&mut quality, 1, 40_002);
        assert_eq!((quality.loss().lost, quality.packets), (2, 8));
    }

    #[test]
    fn duplicates_and_late_packets_are_told_apart() {
        let mut quality = Quality::new(8000);
        for sequence in [0, 1, 2, 4, 3, 4, 5] {
            take(&mut quality, 1, sequence);
        }
        assert_eq!((quality.duplicates, quality.reordered, quality.loss().lost), (1, 1, 0));
    }

    #[test]
    fn who_heard_nothing_has_no_score() {
        let mut quality = Quality::new(8000);
        assert_eq!(quality.mos(G711, None), None);
        take(&mut quality, 1, 0);
        assert_eq!(quality.mos(G711, None), Some(4.41));
        assert!(quality.mos(G711, Some(800.0)).unwrap() < 3.5);
    }
}
