//! Quality of one stream: interarrival jitter (RFC 3550 A.8), loss over sources that restart, E-model (G.107).

use std::time::Duration;

use crate::sequence::Source;

/// Interarrival jitter, smoothed over 16 packets as RFC 3550 A.8 does it, in sixteenths of clock units inside.
///
/// ```
/// let mut jitter = c4_rtp::stats::Jitter::new(8000);
/// jitter.update(0, 0);
/// jitter.update(30_000, 160); // 10 ms late
/// assert_eq!((jitter.value(), jitter.millis()), (5, 0.625));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    scaled: u32,
    transit: u32,
    clock_rate: u32,
    started: bool,
}

impl Jitter {
    /// For a payload whose clock runs at so many Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self { scaled: 0, transit: 0, clock_rate, started: false }
    }

    /// A packet arrived: `arrival_us` is a monotonic time in microseconds from any origin, `timestamp` its own. Packets
    /// of one frame carry one timestamp: give the first of them only.
    pub fn update(&mut self, arrival_us: u64, timestamp: u32) {
        self.update_since(Duration::from_micros(arrival_us), timestamp);
    }

    /// The same with the time since any instant that stays the same.
    #[inline]
    pub fn update_since(&mut self, arrival: Duration, timestamp: u32) {
        // Whole seconds apart: 64 bits do, and only the lower 32 of the sum count.
        let rate = u64::from(self.clock_rate);
        let rest = u64::from(arrival.subsec_nanos()) * rate / 1_000_000_000;
        let arrival = arrival.as_secs().wrapping_mul(rate).wrapping_add(rest) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        if !self.started {
            self.started = true;
            return;
        }
        let decay = (self.scaled.saturating_add(8)) >> 4;
        self.scaled = self.scaled.saturating_add(difference).saturating_sub(decay);
    }

    /// Forgets the last transit time and keeps the estimate: the source restarted its timestamps.
    pub fn restart(&mut self) {
        self.started = false;
    }

    /// The estimate in clock units, as a report block carries it.
    pub fn value(&self) -> u32 {
        self.scaled >> 4
    }

    /// The estimate in ms; 0 without a clock rate.
    pub fn millis(&self) -> f32 {
        if self.clock_rate == 0 { 0.0 } else { (self.scaled >> 4) as f32 * 1000.0 / self.clock_rate as f32 }
    }
}

/// Loss of a whole stream, sources before a restart included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Loss {
    /// Packets that should have come.
    pub expected: u64,
    /// Packets that never came; duplicates do not make up for it.
    pub lost: u64,
}

impl Loss {
    /// Adds what a source counted; do so before a restart and at the end.
    pub fn add(&mut self, source: &Source) {
        let expected = u64::from(source.expected());
        let missing = i64::from(source.lost()) + i64::from(source.duplicates());
        self.expected += expected;
        self.lost += expected.min(missing.max(0) as u64);
    }

    /// Lost packets of a hundred.
    pub fn percent(&self) -> f32 {
        if self.expected == 0 { 0.0 } else { self.lost as f32 * 100.0 / self.expected as f32 }
    }
}

/// What a codec costs: G.113 appendix I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie: the codec without loss.
    pub ie: f32,
    /// Bpl: its robustness against random loss.
    pub bpl: f32,
}

/// G.711 with loss concealment (G.113: Ie 0, Bpl 25.1).
pub const G711: Impairment = Impairment { ie: 0.0, bpl: 25.1 };

/// The table of codecs by their encoding name of SDP, in any case. Opus, G.722 and AMR have no narrow-band value in G.113:
/// those here are common working assumptions. Unknown names count as G.711.
pub fn impairment(encoding_name: &str) -> Impairment {
    const TABLE: &[(&str, f32, f32)] = &[
        ("PCMU", 0.0, 25.1),
        ("PCMA", 0.0, 25.1),
        ("G729", 11.0, 19.0),
        ("G723", 15.0, 16.1),
        ("GSM", 20.0, 10.0),
        ("GSM-EFR", 5.0, 10.0),
        ("iLBC", 11.0, 32.0),
        ("AMR", 5.0, 10.0),
        ("AMR-WB", 7.0, 10.0),
        ("G722", 0.0, 17.0),
        ("G726-32", 7.0, 17.0),
        ("opus", 0.0, 20.0),
    ];
    let known = TABLE.iter().find(|(name, ..)| name.eq_ignore_ascii_case(encoding_name));
    known.map_or(G711, |(_, ie, bpl)| Impairment { ie: *ie, bpl: *bpl })
}

/// What the E-model needs of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mos {
    /// The codec.
    pub codec: Impairment,
    /// Lost packets of a hundred, those that came too late to be played included.
    pub loss_percent: f32,
    /// BurstR: mean length of a loss burst over that of random loss; 1 when loss is random.
    pub burst_ratio: f32,
    /// Delay from mouth to ear in ms: half the round trip, jitter buffer and packetisation.
    pub delay_ms: f32,
}

impl Mos {
    /// The rating R, 0 to 93.2 (G.107 with its default values: 93.2 - Id - Ie,eff).
    pub fn r(&self) -> f32 {
        let loss = self.loss_percent.clamp(0.0, 100.0);
        let burst = self.burst_ratio.max(1.0);
        let equipment = self.codec.ie + (95.0 - self.codec.ie) * loss / (loss / burst + self.codec.bpl);
        (93.2 - self.delay_impairment() - equipment).clamp(0.0, 93.2)
    }

    /// Idd of G.107 §7.4: nothing up to 100 ms.
    fn delay_impairment(&self) -> f32 {
        if self.delay_ms <= 100.0 {
            return 0.0;
        }
        let x = (self.delay_ms / 100.0).log2();
        25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
    }

    /// The mean opinion score of a conversation, 1 to 4.5 (G.107 annex B); with `delay_ms` 0 that of listening only.
    ///
    /// ```
    /// use c4_rtp::stats::{G711, Mos};
    /// let good = Mos { codec: G711, loss_percent: 0.0, burst_ratio: 1.0, delay_ms: 40.0 };
    /// assert!((good.score() - 4.41).abs() < 0.01);
    /// assert!(Mos { loss_percent: 10.0, ..good }.score() < 3.5);
    /// ```
    pub fn score(&self) -> f32 {
        let r = self.r();
        if r <= 6.5 {
            return 1.0;
        }
        1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The arithmetic of RFC 3550 A.8 in floating point beside ours.
        #[test]
        fn rfc3550_a8_jitter_on_random_traces(delays in proptest::collection::vec(0..200_000u64, 2..300), start: u32) {
            let mut ours = Jitter::new(8000);
            let (mut reference, mut last) = (0f64, None);
            for (k, delay) in delays.iter().enumerate() {
                let (arrival, timestamp) = (k as u64 * 20_000 + delay, start.wrapping_add(k as u32 * 160));
                ours.update(arrival, timestamp);
                let transit = (arrival * 8 / 1000) as f64 - k as f64 * 160.0;
                if let Some(last) = last {
                    let difference: f64 = transit - last;
                    reference += (difference.abs() - reference) / 16.0;
                }
                last = Some(transit);
            }
            prop_assert!((f64::from(ours.value()) - reference).abs() <= 2.0, "{} {reference}", ours.value());
        }

        #[test]
        fn scores_fall_with_loss_and_delay_and_stay_in_range(loss in 0f32..100.0, delay in 0f32..2000.0, burst in 1f32..5.0) {
            let mos = Mos { codec: G711, loss_percent: loss, burst_ratio: burst, delay_ms: delay };
            let worse = Mos { loss_percent: loss + 1.0, delay_ms: delay + 50.0, ..mos };
            prop_assert!((0.99..=4.5).contains(&mos.score()) && worse.r() <= mos.r() + 1e-3);
        }
    }

    #[test]
    fn g107_known_values() {
        let mos = |codec, loss_percent, delay_ms| Mos { codec, loss_percent, burst_ratio: 1.0, delay_ms };
        assert!((mos(G711, 0.0, 0.0).r() - 93.2).abs() < 0.01);
        assert!((mos(impairment("g729"), 0.0, 0.0).r() - 82.2).abs() < 0.01);
        assert!((mos(impairment("g729"), 0.0, 0.0).score() - 4.10).abs() < 0.02);
        assert!((mos(G711, 0.0, 400.0).r() - (93.2 - 23.0)).abs() < 3.0);
    }

    #[test]
    fn loss_adds_up_over_restarts_and_duplicates_do_not_hide_it() {
        let mut source = Source::new(1);
        for number in [1, 2, 4, 4] {
            source.update(number);
        }
        let mut loss = Loss::default();
        loss.add(&source);
        loss.add(&source);
        assert_eq!(loss, Loss { expected: 6, lost: 2 });
    }
}
