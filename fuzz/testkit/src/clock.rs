//! A clock that moves when told to.

use std::time::{Duration, Instant};

/// The virtual clock. Its beginning is a real instant, since an `Instant` cannot be made otherwise; nothing depends on
/// which.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    now: Instant,
}

impl Clock {
    /// A clock at its beginning.
    #[allow(clippy::disallowed_methods)] // The one real reading, as the origin of virtual time.
    pub fn new() -> Clock {
        let start = Instant::now();
        Clock { start, now: start }
    }

    /// The present.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The instant at this time since the beginning.
    pub fn at(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) -> Instant {
        self.now += by;
        self.now
    }

    /// Moves to an instant; never backwards.
    pub fn advance_to(&mut self, to: Instant) -> Instant {
        self.now = self.now.max(to);
        self.now
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}
