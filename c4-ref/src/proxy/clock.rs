//! Wall clock times from the monotonic clock.

use std::time::{Duration, Instant};

/// The time since the Unix epoch at one instant, from which all others follow.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    at: Instant,
    unix: Duration,
}

impl Wall {
    /// At `at` it was `unix`.
    pub fn new(at: Instant, unix: Duration) -> Wall {
        Wall { at, unix }
    }

    /// The time since the Unix epoch at `now`.
    pub fn unix(&self, now: Instant) -> Duration {
        match now.checked_duration_since(self.at) {
            Some(later) => self.unix + later,
            None => self.unix.saturating_sub(self.at.saturating_duration_since(now)),
        }
    }

    /// The same in milliseconds.
    pub fn unix_ms(&self, now: Instant) -> u64 {
        u64::try_from(self.unix(now).as_millis()).unwrap_or(u64::MAX)
    }

    /// The instant of a wall clock time; of one before the present, `now`.
    pub fn instant(&self, now: Instant, unix: Duration) -> Instant {
        now + unix.saturating_sub(self.unix(now))
    }
}
