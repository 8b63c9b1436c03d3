//! What a stream sounds like over its life: samples of loss, jitter and round trip, and the MOS of each.

use std::time::{Duration, Instant};

use rtp::stats::{Impairment, Mos};

/// The quality of a stream over a few seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Mean opinion score of a conversation, 1 to 4.5 (G.107); `None`: no codec of speech, or one that is not known.
    pub mos: Option<f32>,
    /// Packets lost of a hundred.
    pub loss_percent: f32,
    /// Interarrival jitter (RFC 3550 A.8), ms.
    pub jitter_ms: f32,
    /// From one party to the other and back.
    pub round_trip: Option<Duration>,
    /// From the relay to the party that receives the stream and back.
    pub round_trip_leg: Option<Duration>,
    /// When it was taken.
    pub at: Instant,
}

impl Sample {
    /// With the score that follows from the rest.
    pub(super) fn score(mut self, codec: Option<Impairment>) -> Sample {
        let trip = self.round_trip.or(self.round_trip_leg).unwrap_or_default();
        // A jitter buffer holds about twice the jitter.
        let delay_ms = trip.as_secs_f32() * 500.0 + self.jitter_ms * 2.0;
        let mos = |codec| Mos { codec, loss_percent: self.loss_percent, burst_ratio: 1.0, delay_ms };
        self.mos = codec.map(|codec| mos(codec).score());
        self
    }
}

/// The quality of a stream over its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// How many samples there are.
    pub samples: u32,
    /// The sample of the lowest MOS.
    pub lowest: Option<Sample>,
    /// The sample of the highest MOS.
    pub highest: Option<Sample>,
    /// They are what the receiver reported; else what the relay saw come in.
    pub is_reported: bool,
    scored: u32,
    mos: f32,
    loss: f32,
    jitter: f32,
    trips: u32,
    trip: Duration,
    legs: u32,
    leg: Duration,
}

impl Quality {
    /// A sample that the relay took itself; without effect once the receiver reports, who knows better.
    pub(super) fn measured(&mut self, sample: &Sample) {
        if !self.is_reported {
            self.add(sample);
        }
    }

    /// A sample out of the receiver's report.
    pub(super) fn reported(&mut self, sample: &Sample) {
        if !self.is_reported {
            *self = Quality { is_reported: true, ..Quality::default() };
        }
        self.add(sample);
    }

    fn add(&mut self, sample: &Sample) {
        self.samples = self.samples.saturating_add(1);
        self.loss += sample.loss_percent;
        self.jitter += sample.jitter_ms;
        if let Some(trip) = sample.round_trip {
            (self.trips, self.trip) = (self.trips.saturating_add(1), self.trip.saturating_add(trip));
        }
        if let Some(leg) = sample.round_trip_leg {
            (self.legs, self.leg) = (self.legs.saturating_add(1), self.leg.saturating_add(leg));
        }
        let Some(mos) = sample.mos else { return };
        self.scored = self.scored.saturating_add(1);
        self.mos += mos;
        let score = |kept: Option<Sample>| kept.and_then(|kept| kept.mos);
        if score(self.lowest).is_none_or(|lowest| mos < lowest) {
            self.lowest = Some(*sample);
        }
        if score(self.highest).is_none_or(|highest| mos > highest) {
            self.highest = Some(*sample);
        }
    }

    /// The mean of all samples, as of `at`; `None`: there are none.
    pub fn average(&self, at: Instant) -> Option<Sample> {
        let mean = |sum: f32, count: u32| (count > 0).then(|| sum / count as f32);
        Some(Sample {
            mos: mean(self.mos, self.scored),
            loss_percent: mean(self.loss, self.samples)?,
            jitter_ms: mean(self.jitter, self.samples)?,
            round_trip: self.trip.checked_div(self.trips),
            round_trip_leg: self.leg.checked_div(self.legs),
            at,
        })
    }
}
