//! A phone's RTCP: reports, a name, goodbye (RFC 3550 §6).

use std::time::{Duration, Instant};

use rtp::rtcp::{Block, Compound, Packet, SenderInfo, write};

use super::report::Rtcp;
use super::tone::RATE;
use crate::quality::{Quality, rounded};

/// From the epoch of NTP to that of Unix.
const NTP_TO_UNIX: Duration = Duration::from_secs(2_208_988_800);
/// The least mean time between reports (RFC 3550 §6.2), which audio of 64 kbit/s between two never falls below.
const INTERVAL: Duration = Duration::from_secs(5);
/// Reconsideration makes the mean too short by this (RFC 3550 §6.3.1).
const COMPENSATION: f64 = 1.21828;

/// What is said and heard by RTCP.
#[derive(Clone, Debug)]
pub(super) struct Control {
    ssrc: u32,
    cname: String,
    /// Wall clock at the stream's beginning.
    ntp: Duration,
    start: Instant,
    /// Draws the intervals.
    dice: u64,
    /// The middle of the last sender report's NTP timestamp, and when it came.
    last_sr: Option<(u32, Instant)>,
    /// What the report tells.
    pub(super) heard: Rtcp,
}

impl Control {
    /// `unix` is the time since 1970 at `start`.
    pub(super) fn new(ssrc: u32, cname: String, start: Instant, unix: Duration, dice: u64) -> Control {
        Control { ssrc, cname, ntp: unix + NTP_TO_UNIX, start, dice, last_sr: None, heard: Rtcp::default() }
    }

    /// The time until the next report: half to one and a half of the mean (RFC 3550 §6.3.1).
    pub(super) fn interval(&mut self) -> Duration {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = f64::from((self.dice >> 32) as u32) / f64::from(u32::MAX);
        INTERVAL.mul_f64((0.5 + share) / COMPENSATION)
    }

    /// The wall clock as NTP writes it: seconds since 1900 and a fraction of 32 bits.
    pub(super) fn ntp(&self, now: Instant) -> u64 {
        let time = self.ntp + now.saturating_duration_since(self.start);
        let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
        (time.as_secs() << 32) | fraction
    }

    /// A compound: report, name, and goodbye at the end.
    pub(super) fn write(
        &mut self,
        now: Instant,
        sender: Option<&SenderInfo>,
        received: &mut Quality,
        bye: bool,
    ) -> Vec<u8> {
        let (mut out, block) = (Vec::with_capacity(128), self.block(now, received));
        match sender {
            Some(info) => write::sender_report(&mut out, self.ssrc, info, block.as_slice()),
            None => write::receiver_report(&mut out, self.ssrc, block.as_slice()),
        }
        write::cname(&mut out, self.ssrc, self.cname.as_bytes());
        if bye {
            write::bye(&mut out, &[self.ssrc], None);
        }
        self.heard.sent += 1;
        out
    }

    fn block(&self, now: Instant, received: &mut Quality) -> Option<Block> {
        let jitter = received.jitter().value();
        let (ssrc, source) = received.source_mut().filter(|(_, source)| source.is_valid())?;
        let since = |at: Instant| now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
        Some(Block {
            ssrc,
            fraction_lost: source.take_fraction_lost(),
            lost: source.lost(),
            highest: source.extended_highest(),
            jitter,
            last_sr: self.last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: self.last_sr.map_or(0, |(_, at)| u32::try_from(since(at)).unwrap_or(u32::MAX)),
        })
    }

    /// What the other side says; what is no RTCP is passed over.
    pub(super) fn read(&mut self, now: Instant, octets: &[u8]) {
        let Ok(compound) = Compound::read(octets) else { return };
        self.heard.received += 1;
        for packet in compound {
            self.read_packet(now, &packet);
        }
    }

    fn read_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        if let Some(Ok(report)) = packet.sender_report() {
            self.last_sr = Some(((report.info.ntp >> 16) as u32, now));
            report.blocks().for_each(|block| self.read_block(now, &block));
        }
        if let Some(Ok(report)) = packet.receiver_report() {
            report.blocks().for_each(|block| self.read_block(now, &block));
        }
        if let Some(name) = packet.chunks().flatten().find_map(|chunk| chunk.cname()) {
            self.heard.cname = Some(String::from_utf8_lossy(name).into_owned());
        }
        self.heard.bye |= matches!(packet.bye(), Some(Ok(_)));
    }

    fn read_block(&mut self, now: Instant, block: &Block) {
        if block.ssrc != self.ssrc {
            return;
        }
        self.heard.peer_lost = Some(block.lost);
        self.heard.peer_jitter_ms = Some(rounded(f64::from(block.jitter) * 1000.0 / f64::from(RATE)));
        if let Some(units) = block.round_trip((self.ntp(now) >> 16) as u32) {
            self.heard.round_trip_ms = Some(rounded(f64::from(units) * 1000.0 / 65_536.0));
        }
    }
}
