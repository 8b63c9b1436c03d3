//! When to probe which backend, and what its answers and silences mean.

use std::time::{Duration, Instant};

use super::backends::BackendId;
use crate::config;

/// What a probe changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Same,
    /// Enough answers in a row: the backend is up.
    Up,
    /// Enough misses in a row: the backend is down.
    Down,
}

/// The first probe goes when the machine runs, not while it is made.
const SOON: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy)]
struct State {
    next: Instant,
    /// The probe under way and when it counts as missed.
    waiting: Option<(u32, Instant)>,
    answers: u32,
    misses: u32,
}

/// The timetable of the probes.
#[derive(Debug, Clone)]
pub(super) struct Prober {
    interval: Duration,
    timeout: Duration,
    up: u32,
    down: u32,
    states: Vec<State>,
    /// Of the last probe, whichever backend it went to: an answer from before an update means no other backend.
    sequence: u32,
}

impl Prober {
    /// For so many backends; an interval of 0 probes nothing. Probes are spread over the first interval.
    pub(super) fn new(config: config::Probe, backends: usize, now: Instant) -> Prober {
        let interval = Duration::from_millis(config.interval_ms);
        let count = if interval.is_zero() { 0 } else { backends };
        let state = |i: usize| State {
            next: now + SOON + interval * i as u32 / count as u32,
            waiting: None,
            answers: 0,
            misses: 0,
        };
        Prober {
            interval,
            // A probe is decided before the next one goes.
            timeout: Duration::from_millis(config.timeout_ms).min(interval),
            up: config.up.max(1),
            down: config.down.max(1),
            states: (0..count).map(state).collect(),
            sequence: 0,
        }
    }

    /// Another timetable, or other backends: `kept` gives the old number of a new one, if it was there before.
    pub(super) fn update(
        &mut self,
        config: config::Probe,
        backends: usize,
        kept: impl Fn(usize) -> Option<BackendId>,
        now: Instant,
    ) {
        let before = std::mem::replace(self, Prober::new(config, backends, now));
        self.sequence = before.sequence;
        for (new, state) in self.states.iter_mut().enumerate() {
            if let Some(old) = kept(new).and_then(|old| before.states.get(usize::from(old.0))) {
                *state = State { next: old.next.min(now + self.interval), ..*old };
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.states.iter().map(|s| s.waiting.map_or(s.next, |(_, missed)| missed.min(s.next))).min()
    }

    /// A probe that was not answered in time.
    pub(super) fn poll_missed(&mut self, now: Instant) -> Option<(BackendId, Verdict)> {
        let (i, state) =
            self.states.iter_mut().enumerate().find(|(_, s)| s.waiting.is_some_and(|(_, missed)| missed <= now))?;
        state.waiting = None;
        Some((BackendId(i as u16), count(&mut state.misses, &mut state.answers, self.down, Verdict::Down)))
    }

    /// A backend to probe now, and the sequence number of the probe. Ask for what was missed first.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<(BackendId, u32)> {
        let (i, state) = self.states.iter_mut().enumerate().find(|(_, s)| s.next <= now)?;
        state.next = (state.next + self.interval).max(now + self.interval / 2);
        self.sequence = self.sequence.wrapping_add(1);
        state.waiting = Some((self.sequence, now + self.timeout));
        Some((BackendId(i as u16), self.sequence))
    }

    /// The answer to a probe; `willing`: not a refusal of service. None: nobody waits for it.
    pub(super) fn answered(&mut self, backend: BackendId, sequence: u32, willing: bool) -> Option<Verdict> {
        let state = self.states.get_mut(usize::from(backend.0))?;
        state.waiting.take_if(|(waiting, _)| *waiting == sequence)?;
        Some(if willing {
            count(&mut state.answers, &mut state.misses, self.up, Verdict::Up)
        } else {
            count(&mut state.misses, &mut state.answers, self.down, Verdict::Down)
        })
    }
}

/// One more in a row, which ends the other row.
fn count(row: &mut u32, other: &mut u32, enough: u32, verdict: Verdict) -> Verdict {
    *other = 0;
    *row = row.saturating_add(1);
    if *row >= enough { verdict } else { Verdict::Same }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn base() -> Instant {
        Instant::now()
    }

    const CONFIG: config::Probe = config::Probe { interval_ms: 5000, timeout_ms: 1000, up: 2, down: 3 };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn three_misses_in_a_row_are_down_and_two_answers_up_again() {
        let now = base();
        let mut prober = Prober::new(CONFIG, 1, now);
        let mut verdicts = Vec::new();
        for round in 0..8u64 {
            let at = now + SOON + ms(5000) * round as u32;
            let (id, sequence) = prober.poll_due(at).unwrap();
            assert_eq!(prober.poll_due(at), None, "one at a time");
            let answers = [false, false, true, false, false, false, true, true][round as usize];
            verdicts.push(if answers {
                prober.answered(id, sequence, true).unwrap()
            } else {
                assert_eq!(prober.poll_missed(at + ms(999)), None);
                prober.poll_missed(at + ms(1000)).unwrap().1
            });
        }
        use Verdict::{Down, Same, Up};
        assert_eq!(verdicts, [Same, Same, Same, Same, Same, Down, Same, Up]);
    }

    #[test]
    fn late_and_foreign_answers_count_for_nothing() {
        let now = base();
        let mut prober = Prober::new(CONFIG, 1, now);
        let now = now + SOON;
        let (id, sequence) = prober.poll_due(now).unwrap();
        assert_eq!(prober.answered(id, sequence + 1, true), None);
        assert_eq!(prober.answered(BackendId(9), sequence, true), None);
        assert!(prober.poll_missed(now + ms(1000)).is_some());
        assert_eq!(prober.answered(id, sequence, true), None, "too late");
    }

    #[test]
    fn a_refusal_of_service_is_a_miss() {
        let now = base();
        let mut prober = Prober::new(config::Probe { down: 1, ..CONFIG }, 1, now);
        let now = now + SOON;
        let (id, sequence) = prober.poll_due(now).unwrap();
        assert_eq!(prober.answered(id, sequence, false), Some(Verdict::Down));
    }

    #[test]
    fn zero_probes_nothing_and_no_timer_is_ever_stuck() {
        let now = base();
        let off = Prober::new(config::Probe { interval_ms: 0, ..CONFIG }, 5, now);
        assert_eq!(off.poll_timeout(), None);
        let mut prober = Prober::new(CONFIG, 5, now);
        let mut at = now;
        let mut probes = 0;
        while let Some(due) = prober.poll_timeout().filter(|due| *due < now + ms(60_000)) {
            assert!(due >= at);
            at = due;
            while prober.poll_missed(at).is_some() {}
            while prober.poll_due(at).is_some() {
                probes += 1;
            }
            assert!(prober.poll_timeout().unwrap() > at);
        }
        assert_eq!(probes, 5 * 12);
    }
}
