//! What a phone can encode: G.711.

use rtp::g711;

/// An encoding of audio, 8000 samples a second, one octet each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 u-law: static payload type 0.
    Pcmu,
    /// G.711 A-law: static payload type 8.
    Pcma,
}

impl Codec {
    /// Both, in the order in which they are offered.
    pub const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// Its static payload type (RFC 3551 §6).
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The codec of this name, in any case.
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// A sample as an octet.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => g711::encode_ulaw(sample),
            Codec::Pcma => g711::encode_alaw(sample),
        }
    }

    /// An octet as a sample.
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Codec::Pcmu => g711::decode_ulaw(octet),
            Codec::Pcma => g711::decode_alaw(octet),
        }
    }
}
