//! The timers of one transaction, in a table.

/// No timer.
const OFF: u64 = u64::MAX;

/// The timers that one transaction can have at a time. Which letter a row stands for follows from kind and state:
///
/// | row | INVITE client | other client | INVITE server | other server |
/// | --- | --- | --- | --- | --- |
/// | `Repeat` | A | E | G | - |
/// | `Limit` | B, then D or M; after a CANCEL 64*T1 | F, then K | H, then I; L | 2*F without an answer; J |
/// | `Extra` | E of its CANCEL | - | 200 ms until 100 | 100 of RFC 4320 |
/// | `ExtraLimit` | F, then K of its CANCEL | - | - | - |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    Repeat,
    Limit,
    Extra,
    ExtraLimit,
}

/// When each fires, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TimerTable {
    repeat: u64,
    limit: u64,
    extra: u64,
    extra_limit: u64,
}

impl TimerTable {
    pub(super) const fn new() -> TimerTable {
        TimerTable { repeat: OFF, limit: OFF, extra: OFF, extra_limit: OFF }
    }

    pub(super) fn set(&mut self, timer: Timer, at: u64) {
        *self.row(timer) = at;
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        *self.row(timer) = OFF;
    }

    pub(super) fn next(&self) -> Option<u64> {
        let first = self.repeat.min(self.limit).min(self.extra.min(self.extra_limit));
        (first != OFF).then_some(first)
    }

    /// Takes a timer that is due. Limits go before repetitions: what ends now is not repeated once more.
    pub(super) fn take_due(&mut self, now: u64) -> Option<Timer> {
        for timer in [Timer::Limit, Timer::ExtraLimit, Timer::Repeat, Timer::Extra] {
            if *self.row(timer) <= now {
                self.stop(timer);
                return Some(timer);
            }
        }
        None
    }

    fn row(&mut self, timer: Timer) -> &mut u64 {
        match timer {
            Timer::Repeat => &mut self.repeat,
            Timer::Limit => &mut self.limit,
            Timer::Extra => &mut self.extra,
            Timer::ExtraLimit => &mut self.extra_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_goes_before_the_repetition() {
        let mut table = TimerTable::new();
        assert_eq!(table.next(), None);
        table.set(Timer::Repeat, 10);
        table.set(Timer::Limit, 10);
        assert_eq!(table.next(), Some(10));
        assert_eq!(table.take_due(9), None);
        assert_eq!(table.take_due(10), Some(Timer::Limit));
        assert_eq!(table.take_due(10), Some(Timer::Repeat));
        assert_eq!(table.take_due(10), None);
    }
}
