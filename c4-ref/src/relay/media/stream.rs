//! What is known of one source of RTP (SSRC): counted packet by packet, and read from RTCP on its way.

use std::time::{Duration, Instant};

use rtp::rtcp::Block;
use rtp::sequence::{Arrival, Source};
use rtp::stats::{Impairment, Jitter, Loss};

use super::codecs::Codecs;
use super::quality::{Quality, Sample};
use super::socket::Count;

/// Sources kept a socket; one more takes the place of the one that was silent for the longest.
pub(super) const MOST_STREAMS: usize = 4;

/// How often the relay takes a sample of its own, in seconds.
const SAMPLE: u64 = 5;

/// No payload type: none was seen yet.
const NO_TYPE: u8 = 0xff;

/// What was counted of one source of RTP.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The source.
    pub ssrc: u32,
    /// The payload type of its last packet.
    pub payload_type: u8,
    /// Packets and octets that came in.
    pub received: Count,
    /// Packets that should have come, and those that never came (RFC 3550 A.3).
    pub loss: Loss,
    /// Packets that came twice.
    pub duplicates: u32,
    /// Interarrival jitter (RFC 3550 A.8), ms.
    pub jitter_ms: f32,
    /// The last packet's sequence number with its cycles.
    pub highest_sequence: u32,
    /// The last packet's timestamp.
    pub timestamp: u32,
    /// When the last packet came in.
    pub last_packet: Instant,
    /// Its quality over its life.
    pub quality: Quality,
}

/// A sender report that has passed (RFC 3550 §6.4.1): the middle of its NTP time, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passed {
    ntp: u32,
    at: Instant,
}

/// One source that a party sends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    ssrc: u32,
    timestamp: u32,
    first: Instant,
    last: Instant,
    /// Seconds after the first packet at which the next sample is due.
    sample_at: u64,
    received: Count,
    source: Source,
    jitter: Jitter,
    payload_type: u8,
    codec: Option<Impairment>,
    clock_rate: u32,
    /// Of sequences that have ended: the source started anew.
    earlier: Loss,
    /// The present sequence up to a jump that may turn out to be such a start.
    until_jump: Loss,
    /// Up to the last sample.
    sampled: Loss,
    quality: Quality,
    reports: [Option<Passed>; 2],
}

/// The fields of the fixed header that are counted (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

impl Fields {
    #[inline]
    pub(super) fn read(payload: &[u8]) -> Option<Fields> {
        let &[_, second, s1, s2, t1, t2, t3, t4, r1, r2, r3, r4] = payload.first_chunk()?;
        Some(Fields {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s1, s2]),
            timestamp: u32::from_be_bytes([t1, t2, t3, t4]),
            ssrc: u32::from_be_bytes([r1, r2, r3, r4]),
        })
    }
}

impl Stream {
    fn new(now: Instant, fields: &Fields) -> Stream {
        Stream {
            ssrc: fields.ssrc,
            timestamp: fields.timestamp,
            first: now,
            last: now,
            sample_at: SAMPLE,
            received: Count::default(),
            source: Source::new(fields.sequence),
            jitter: Jitter::new(0),
            payload_type: NO_TYPE,
            codec: None,
            clock_rate: 0,
            earlier: Loss::default(),
            until_jump: Loss::default(),
            sampled: Loss::default(),
            quality: Quality::default(),
            reports: [None; 2],
        }
    }

    /// Counts a packet.
    #[inline]
    fn update(&mut self, now: Instant, fields: &Fields, octets: usize, codecs: &Codecs) {
        if fields.payload_type != self.payload_type {
            self.change(fields, codecs);
        }
        self.received.count(octets);
        let since = now.saturating_duration_since(self.first);
        self.last = now;
        match self.source.update(fields.sequence) {
            Arrival::Next { .. } | Arrival::Reordered => {}
            Arrival::Probation | Arrival::Duplicate => return,
            Arrival::Jump => return self.jumped(),
            Arrival::Restart => self.started_anew(),
        }
        // Packets of one frame carry one timestamp, and so do those of one telephone event.
        if fields.timestamp != self.timestamp {
            self.timestamp = fields.timestamp;
            self.jitter.update_since(since, fields.timestamp);
        }
        if since.as_secs() >= self.sample_at {
            self.sample(since.as_secs());
        }
    }

    /// Another payload type.
    #[cold]
    fn change(&mut self, fields: &Fields, codecs: &Codecs) {
        self.payload_type = fields.payload_type;
        // Events and comfort noise go with the codec of before.
        self.codec = codecs.impairment(fields.payload_type).or(self.codec);
        let clock_rate = codecs.clock_rate(fields.payload_type);
        if clock_rate != self.clock_rate {
            self.clock_rate = clock_rate;
            self.jitter = Jitter::new(clock_rate);
        }
    }

    /// A large jump: if it goes on, what was counted before it is history.
    #[cold]
    fn jumped(&mut self) {
        self.until_jump = Loss::default();
        self.until_jump.add(&self.source);
    }

    #[cold]
    fn started_anew(&mut self) {
        self.earlier.expected += self.until_jump.expected;
        self.earlier.lost += self.until_jump.lost;
        self.jitter.restart();
    }

    fn loss(&self) -> Loss {
        let mut loss = self.earlier;
        loss.add(&self.source);
        loss
    }

    #[cold]
    fn sample(&mut self, seconds: u64) {
        self.sample_at = seconds.saturating_add(SAMPLE);
        let loss = self.loss();
        self.quality = self.with_sample(&loss);
        self.sampled = loss;
    }

    /// The quality with what came in since the last sample.
    fn with_sample(&self, loss: &Loss) -> Quality {
        let mut quality = self.quality;
        let expected = loss.expected.saturating_sub(self.sampled.expected);
        if expected > 0 {
            // A late packet of the sample before makes up for a lost one of this.
            let lost = loss.lost.saturating_sub(self.sampled.lost);
            let sample = Sample {
                mos: None,
                loss_percent: Loss { expected, lost }.percent(),
                jitter_ms: self.jitter.millis(),
                round_trip: None,
                round_trip_leg: None,
                at: self.last,
            };
            quality.measured(&sample.score(self.codec));
        }
        quality
    }

    /// A sender report of this source has passed.
    pub(super) fn sender_report(&mut self, now: Instant, ntp: u64) {
        let passed = Passed { ntp: (ntp >> 16) as u32, at: now };
        if self.reports.first().is_none_or(|last| last.is_none_or(|last| last.ntp != passed.ntp)) {
            self.reports.rotate_right(1);
            if let Some(first) = self.reports.first_mut() {
                *first = Some(passed);
            }
        }
    }

    /// The round trip between the relay and a receiver that reports so about this source.
    pub(super) fn round_trip(&self, now: Instant, block: &Block) -> Option<Duration> {
        let passed = self.reports.iter().flatten().find(|passed| block.last_sr != 0 && passed.ntp == block.last_sr)?;
        let held = Duration::from_secs_f64(f64::from(block.delay_since_last_sr) / 65_536.0);
        now.saturating_duration_since(passed.at).checked_sub(held)
    }

    /// What a receiver says of this source. `leg`: the round trip between the relay and the receiver; `other`: that
    /// between the relay and the sender.
    pub(super) fn receiver_report(
        &mut self,
        now: Instant,
        block: &Block,
        leg: Option<Duration>,
        other: Option<Duration>,
    ) {
        let per_second = if self.clock_rate == 0 { f32::INFINITY } else { self.clock_rate as f32 };
        let sample = Sample {
            mos: None,
            loss_percent: f32::from(block.fraction_lost) * 100.0 / 256.0,
            jitter_ms: block.jitter as f32 * 1000.0 / per_second,
            round_trip: leg.zip(other).map(|(leg, other)| leg + other),
            round_trip_leg: leg,
            at: now,
        };
        self.quality.reported(&sample.score(self.codec));
    }

    fn stats(&self) -> StreamStats {
        let loss = self.loss();
        StreamStats {
            ssrc: self.ssrc,
            payload_type: self.payload_type,
            received: self.received,
            loss,
            duplicates: self.source.duplicates(),
            jitter_ms: self.jitter.millis(),
            highest_sequence: self.source.extended_highest(),
            timestamp: self.timestamp,
            last_packet: self.last,
            quality: self.with_sample(&loss),
        }
    }
}

/// The sources of one socket, the present one first. Its memory for the first is there from the start; others, of which
/// there are few in a call, allocate when they are first heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Streams {
    list: Vec<Stream>,
}

impl Streams {
    /// Makes room for the first source.
    pub(super) fn prepare(&mut self) {
        if self.list.capacity() == 0 {
            self.list.reserve_exact(1);
        }
    }

    /// Counts a packet.
    #[inline]
    pub(super) fn update(&mut self, now: Instant, payload: &[u8], codecs: &Codecs) {
        let Some(fields) = Fields::read(payload) else { return };
        let octets = payload.len();
        match self.list.first_mut() {
            Some(stream) if stream.ssrc == fields.ssrc => stream.update(now, &fields, octets, codecs),
            _ => self.turn_to(now, &fields, octets, codecs),
        }
    }

    /// Another source than that of the packet before.
    #[cold]
    fn turn_to(&mut self, now: Instant, fields: &Fields, octets: usize, codecs: &Codecs) {
        let at = self.list.iter().position(|stream| stream.ssrc == fields.ssrc);
        let at = at.unwrap_or_else(|| self.place(now, fields));
        self.list.swap(0, at);
        if let Some(stream) = self.list.first_mut() {
            stream.update(now, fields, octets, codecs);
        }
    }

    fn place(&mut self, now: Instant, fields: &Fields) -> usize {
        let new = Stream::new(now, fields);
        if self.list.len() < MOST_STREAMS {
            self.list.push(new);
            return self.list.len() - 1;
        }
        let oldest = self.list.iter().enumerate().min_by_key(|(_, stream)| stream.last).map_or(0, |(at, _)| at);
        if let Some(place) = self.list.get_mut(oldest) {
            *place = new;
        }
        oldest
    }

    pub(super) fn get_mut(&mut self, ssrc: u32) -> Option<&mut Stream> {
        self.list.iter_mut().find(|stream| stream.ssrc == ssrc)
    }

    /// All of them, the present one first.
    pub(super) fn stats(&self) -> impl Iterator<Item = StreamStats> + '_ {
        self.list.iter().map(Stream::stats)
    }
}
