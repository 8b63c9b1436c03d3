//! What a phone knows of the sound of a call.

use std::net::SocketAddr;

use serde::Serialize;

use super::tone::Detector;

/// The sound of one call, as one of its phones sent and heard it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Encoding name of what was sent.
    pub codec: Option<&'static str>,
    /// Our synchronisation source.
    pub ssrc: u32,
    /// The other side's, once it was heard.
    pub remote_ssrc: Option<u32>,
    /// Where RTP was sent.
    pub remote: Option<SocketAddr>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Octets of their payloads.
    pub octets_sent: u64,
    /// RTP packets received.
    pub packets_received: u64,
    /// Octets of their payloads.
    pub octets_received: u64,
    /// Packets that never came (RFC 3550 A.3; duplicates do not make up for it).
    pub lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came late.
    pub reordered: u64,
    /// Interarrival jitter, ms (RFC 3550 A.8).
    pub jitter_ms: f64,
    /// Mean opinion score, 1 to 4.5 (ITU-T G.107); none where nothing was heard.
    pub mos: Option<f64>,
    /// The other phone's tone.
    pub tone: Tone,
    /// RTCP.
    pub rtcp: Rtcp,
}

/// Whether the other phone's tone was heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tone {
    /// Its frequency.
    pub hz: u32,
    /// Whether it was in nine blocks of ten at least.
    pub found: bool,
    /// Blocks of 20 ms received.
    pub blocks: u64,
    /// Those that were the tone.
    pub heard: u64,
}

/// What RTCP said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rtcp {
    /// Compound packets sent.
    pub sent: u64,
    /// Compound packets received.
    pub received: u64,
    /// Whether the other side said goodbye.
    pub bye: bool,
    /// The other side's canonical name.
    pub cname: Option<String>,
    /// Round trip, ms, from our sender report to its echo.
    pub round_trip_ms: Option<f64>,
    /// Packets of ours that the other side missed, by its last report.
    pub peer_lost: Option<i32>,
    /// The jitter that the other side saw, ms.
    pub peer_jitter_ms: Option<f64>,
}

impl Tone {
    pub(super) fn of(hz: u32, detector: &Detector) -> Tone {
        Tone { hz, found: detector.found(), blocks: detector.blocks(), heard: detector.heard() }
    }
}
