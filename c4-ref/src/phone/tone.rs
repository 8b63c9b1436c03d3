//! Tones: what a phone sends instead of speech, and how it knows the other's again.
//!
//! ```
//! use c4_ref::phone::tone::{Detector, Generator};
//! let (mut tone, mut detector) = (Generator::new(450), Detector::new(450));
//! (0..8000).for_each(|_| detector.push(tone.next_sample()));
//! assert_eq!((detector.blocks(), detector.heard()), (50, 50));
//! ```

use std::f64::consts::TAU;

/// Samples a second of G.711.
pub const RATE: u32 = 8000;
/// Samples that are judged at once: 20 ms, so that tones 50 Hz apart are told apart.
pub const BLOCK: u32 = 160;
/// Peak of a generated tone: some 9 dB below the reference level of G.711 (0 dBm0).
const PEAK: f64 = 8000.0;
/// Root mean square below which a block is silence: some 40 dB below the generated tone.
const SILENCE: f64 = 60.0;
/// Share of a block's energy that must be in the tone.
const SHARE: f64 = 0.8;

/// A sine.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    hz: u32,
    /// Samples since the last whole second: an integral frequency repeats after one.
    at: u32,
}

impl Generator {
    /// A tone of so many Hz, from its zero crossing on.
    pub fn new(hz: u32) -> Generator {
        Generator { hz, at: 0 }
    }

    /// The next sample, 1/8000 s after the last.
    pub fn next_sample(&mut self) -> i16 {
        let sample = PEAK * (TAU * f64::from(self.hz) * f64::from(self.at) / f64::from(RATE)).sin();
        self.at = (self.at + 1) % RATE;
        sample as i16
    }
}

/// The Goertzel filter for one frequency, over blocks of 20 ms.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    coefficient: f64,
    /// The filter's last two states.
    states: [f64; 2],
    energy: f64,
    samples: u32,
    blocks: u64,
    heard: u64,
}

impl Detector {
    /// Listens for a tone of so many Hz.
    pub fn new(hz: u32) -> Detector {
        let coefficient = 2.0 * (TAU * f64::from(hz) / f64::from(RATE)).cos();
        Detector { coefficient, states: [0.0; 2], energy: 0.0, samples: 0, blocks: 0, heard: 0 }
    }

    /// Takes a sample.
    pub fn push(&mut self, sample: i16) {
        let sample = f64::from(sample);
        let [last, before] = self.states;
        self.states = [sample + self.coefficient * last - before, last];
        self.energy += sample * sample;
        self.samples += 1;
        if self.samples == BLOCK {
            self.judge();
        }
    }

    /// Blocks that were judged.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Blocks that were the tone.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Whether the tone is what is heard: in nine blocks of ten at least.
    pub fn found(&self) -> bool {
        self.blocks > 0 && self.heard * 10 >= self.blocks * 9
    }

    fn judge(&mut self) {
        let [last, before] = self.states;
        let power = last * last + before * before - self.coefficient * last * before;
        let count = f64::from(BLOCK);
        // A sine alone has energy n a^2 / 2 and power (n a / 2)^2.
        let share = 2.0 * power / (count * self.energy.max(1.0));
        let loud = self.energy > count * SILENCE * SILENCE;
        self.blocks += 1;
        self.heard += u64::from(loud && share > SHARE);
        (self.states, self.energy, self.samples) = ([0.0; 2], 0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of a second in which a detector for `hz` hears its tone.
    fn heard(hz: u32, mut sample: impl FnMut() -> i16) -> u64 {
        let mut detector = Detector::new(hz);
        (0..RATE).for_each(|_| detector.push(sample()));
        assert_eq!(detector.blocks(), 50);
        assert_eq!(detector.found(), detector.heard() >= 45);
        detector.heard()
    }

    fn tone(hz: u32) -> impl FnMut() -> i16 {
        let mut generator = Generator::new(hz);
        move || generator.next_sample()
    }

    /// Uniform noise of full amplitude.
    fn noise() -> impl FnMut() -> i16 {
        let mut state = 1u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as u16 as i16
        }
    }

    #[test]
    fn a_tone_is_found_at_any_level_above_silence() {
        for hz in [350, 450, 600, 1000, 3300] {
            assert_eq!(heard(hz, tone(hz)), 50, "{hz}");
        }
        let mut loud = tone(450);
        assert_eq!(heard(450, move || loud() / 50), 50);
    }

    #[test]
    fn a_tone_is_found_through_both_laws_of_g711() {
        use rtp::g711::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
        let (mut a, mut u) = (tone(600), tone(600));
        assert_eq!(heard(600, move || decode_alaw(encode_alaw(a()))), 50);
        assert_eq!(heard(600, move || decode_ulaw(encode_ulaw(u()))), 50);
    }

    #[test]
    fn another_tone_is_not_found() {
        for (hz, other) in [(450, 600), (600, 450), (450, 500), (450, 400), (450, 900)] {
            assert_eq!(heard(hz, tone(other)), 0, "{hz} {other}");
        }
    }

    #[test]
    fn silence_and_comfort_noise_are_no_tone() {
        assert_eq!(heard(450, || 0), 0);
        let mut whisper = tone(450);
        assert_eq!(heard(450, move || whisper() / 200), 0);
        let mut quiet = noise();
        assert_eq!(heard(450, move || quiet() / 2000), 0);
    }

    #[test]
    fn noise_is_no_tone_and_hides_one_that_is_as_weak() {
        assert_eq!(heard(450, noise()), 0);
        let (mut noise, mut weak) = (noise(), tone(450));
        assert_eq!(heard(450, move || noise() / 2 + weak() / 4), 0);
    }

    #[test]
    fn a_tone_in_half_of_the_time_is_not_found() {
        let (mut generator, mut at) = (Generator::new(450), 0);
        let half = heard(450, move || {
            at += 1;
            if at % 1600 < 800 { generator.next_sample() } else { 0 }
        });
        assert!((20..=30).contains(&half), "{half}");
    }

    #[test]
    fn nothing_heard_is_nothing_found() {
        assert!(!Detector::new(450).found());
    }
}
