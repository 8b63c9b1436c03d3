//! What the payload types of a party's RTP mean, as far as statistics need it.

use rtp::stats::{Impairment, impairment};

/// Payload types kept a socket; those beyond count as their static meaning says.
const MOST: usize = 6;

/// Clock rate of RFC 3551 for what is not known: most of speech.
const DEFAULT_CLOCK: u32 = 8000;

/// The payload types that a party may send, each with its clock rate and what its codec costs in quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Codecs {
    known: [Codec; MOST],
    count: u8,
}

/// One of them. The impairment factors of G.113 are kept in whole numbers: Ie, and ten times Bpl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Codec {
    payload_type: u8,
    ie: u8,
    bpl: u16,
    clock_rate: u32,
}

impl Codecs {
    /// One more payload type: its clock rate in Hz, and for speech the encoding name of its codec (`PCMU`). Of more than
    /// six the first count.
    pub fn add(&mut self, payload_type: u8, clock_rate: u32, speech: Option<&str>) {
        let Some(place) = self.known.get_mut(usize::from(self.count)) else { return };
        let (ie, bpl) = match speech.map(impairment) {
            Some(Impairment { ie, bpl }) => (ie as u8, (bpl * 10.0) as u16),
            None => (0, 0),
        };
        *place = Codec { payload_type, ie, bpl, clock_rate };
        self.count += 1;
    }

    /// Clock rate of a payload type, Hz.
    pub(super) fn clock_rate(&self, payload_type: u8) -> u32 {
        let known = self.find(payload_type).map(|codec| codec.clock_rate).filter(|rate| *rate != 0);
        known.unwrap_or(match payload_type {
            // RFC 3551 §6.
            6 => 16_000,
            10 | 11 => 44_100,
            16 => 11_025,
            17 => 22_050,
            14 | 25..=34 => 90_000,
            _ => DEFAULT_CLOCK,
        })
    }

    /// What the codec of a payload type costs; `None`: it is not speech, or not known.
    pub(super) fn impairment(&self, payload_type: u8) -> Option<Impairment> {
        let codec = self.find(payload_type).filter(|codec| codec.bpl != 0)?;
        Some(Impairment { ie: codec.ie.into(), bpl: f32::from(codec.bpl) / 10.0 })
    }

    fn find(&self, payload_type: u8) -> Option<&Codec> {
        self.known.iter().take(self.count.into()).find(|codec| codec.payload_type == payload_type)
    }
}
