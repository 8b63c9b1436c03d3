//! One property test for every state machine without I/O: the calling contract.
//!
//! A run is recorded once with a plain driver, then the same steps are played again in other ways that must make no
//! difference. The rules:
//! 1. any number of inputs and commands may come before draining;
//! 2. the order of polling changes latency only, never behaviour;
//! 3. after `handle_timeout(now)` and a drain, `poll_timeout()` is later than `now` or None;
//! 4. queued output is visible in `poll_timeout`;
//! 5. time never runs backwards inside;
//! 6. an input or command that is refused as busy has changed nothing;
//! 7. the same seed and the same inputs give the same output.

use crate::Dice;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, or rejected for what it is.
    Done,
    /// Refused because a bound is reached: nothing may have changed.
    Busy,
}

/// A machine as the test sees it.
pub trait Contract: Clone {
    /// An input or command, complete with the names that it uses.
    type Step: Clone + Debug;
    /// Output of bytes.
    type Transmit: Debug;
    /// An event.
    type Event: Debug;

    /// Applies an input or command.
    fn apply(&mut self, now: Instant, step: &Self::Step) -> Outcome;
    /// The machine's own.
    fn handle_timeout(&mut self, now: Instant);
    /// The machine's own.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The machine's own.
    fn poll_transmit(&mut self) -> Option<Self::Transmit>;
    /// The machine's own.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// A hash of all that decides what the machine does next, without the counters of what was refused.
    fn digest(&self) -> u64;
}

/// Makes up the steps of the recorded run; it sees the output, and so learns names to use.
pub trait Driver<M: Contract> {
    /// How much time passes, and what comes then.
    fn step(&mut self, dice: &mut Dice) -> (Duration, M::Step);
    /// Sees output.
    fn saw_transmit(&mut self, _transmit: &M::Transmit) {}
    /// Sees an event.
    fn saw_event(&mut self, _event: &M::Event) {}
}

/// The end of a recorded run.
#[derive(Clone, Debug)]
pub struct Run<M> {
    /// The machine after its last timer, or after the horizon.
    pub machine: M,
    /// How many steps were refused as busy.
    pub busy: usize,
    /// All transmits, as text.
    pub transmits: Vec<String>,
    /// All events, as text.
    pub events: Vec<String>,
}

/// Timeouts that may follow each other without a step in between before it counts as a busy loop.
const PATIENCE: usize = 100_000;

/// In which way the steps are played.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    /// Events before transmits, one by one in turns.
    EventsFirst,
    /// Drains only before time passes.
    Lazy,
    /// With calls too many, some of them with a time of the past.
    Spurious,
    /// Goes on with a clone after every step.
    Cloned,
}

/// Checks the rules for a machine: `steps` steps from a seed, then `horizon` of quiet.
///
/// # Panics
/// When a rule is broken; the text says which.
pub fn check<M: Contract, D: Driver<M>>(
    make: impl Fn() -> M,
    mut driver: D,
    start: Instant,
    seed: u64,
    steps: usize,
    horizon: Duration,
) -> Run<M> {
    let mut dice = Dice::new(seed);
    let mut player = Player::new(make(), start, Way::Plain);
    let mut tape = Vec::with_capacity(steps);
    for _ in 0..steps {
        let (seen_transmits, seen_events) = (player.transmits.len(), player.events.len());
        let (delay, step) = driver.step(&mut dice);
        player.play(delay, &step);
        tape.push((delay, step));
        player.transmits.iter().skip(seen_transmits).for_each(|transmit| driver.saw_transmit(transmit));
        player.events.iter().skip(seen_events).for_each(|event| driver.saw_event(event));
    }
    player.finish(horizon);
    let recorded = player.run();
    for way in [Way::Plain, Way::EventsFirst, Way::Lazy, Way::Spurious, Way::Cloned] {
        let mut player = Player::new(make(), start, way);
        for (delay, step) in &tape {
            player.play(*delay, step);
        }
        player.finish(horizon);
        let digest = player.machine.digest();
        let played = player.run();
        assert_same(way, "transmits", &recorded.transmits, &played.transmits);
        assert_same(way, "events", &recorded.events, &played.events);
        assert_eq!(recorded.busy, played.busy, "{way:?}: what is refused differs");
        assert_eq!(recorded.machine.digest(), digest, "{way:?}: the state at the end differs");
    }
    recorded
}

fn assert_same(way: Way, what: &str, recorded: &[String], played: &[String]) {
    for (n, (one, other)) in recorded.iter().zip(played).enumerate() {
        assert_eq!(one, other, "{way:?}: {what} differ at {n}");
    }
    assert_eq!(recorded.len(), played.len(), "{way:?}: the number of {what} differs");
}

struct Player<M: Contract> {
    machine: M,
    now: Instant,
    way: Way,
    busy: usize,
    transmits: Vec<M::Transmit>,
    events: Vec<M::Event>,
}

impl<M: Contract> Player<M> {
    fn new(machine: M, now: Instant, way: Way) -> Player<M> {
        Player { machine, now, way, busy: 0, transmits: Vec::new(), events: Vec::new() }
    }

    fn play(&mut self, delay: Duration, step: &M::Step) {
        if !delay.is_zero() {
            self.drain();
            self.advance(self.now + delay);
        }
        if self.is_refused(step) {
            // Perhaps only because nobody has drained yet.
            self.drain();
            self.busy += usize::from(self.is_refused(step));
        }
        match self.way {
            Way::Lazy => return,
            Way::Cloned => self.machine = self.machine.clone(),
            Way::Spurious => self.spurious(),
            Way::Plain | Way::EventsFirst => {}
        }
        self.drain();
    }

    fn is_refused(&mut self, step: &M::Step) -> bool {
        // A digest costs much; one way of playing is enough for this rule.
        let before = (self.way == Way::Plain).then(|| self.machine.digest());
        let refused = self.machine.apply(self.now, step) == Outcome::Busy;
        if refused && let Some(before) = before {
            assert_eq!(before, self.machine.digest(), "rule 6: {step:?} was refused, but changed the state");
        }
        refused
    }

    /// Lets time pass, with every timer at its time.
    fn advance(&mut self, to: Instant) {
        for _ in 0..PATIENCE {
            match self.machine.poll_timeout() {
                Some(at) if at <= to => self.timeout(at.max(self.now)),
                _ => return self.timeout(to),
            }
        }
        assert!(self.machine.poll_timeout().is_none_or(|next| next > to), "rule 3: timers fire without end");
    }

    fn timeout(&mut self, now: Instant) {
        self.now = now;
        self.machine.handle_timeout(now);
        if self.way == Way::Spurious {
            self.spurious();
        }
        self.drain();
        let next = self.machine.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "rule 3: poll_timeout is not later than now after a drain");
    }

    fn finish(&mut self, horizon: Duration) {
        self.drain();
        self.advance(self.now + horizon);
    }

    fn spurious(&mut self) {
        let before = self.machine.digest();
        let next = self.machine.poll_timeout();
        self.machine.handle_timeout(self.now);
        let past = self.now.checked_sub(Duration::from_secs(1)).unwrap_or(self.now);
        self.machine.handle_timeout(past);
        assert_eq!(before, self.machine.digest(), "rule 5: a spurious timeout changed the state");
        assert_eq!(next, self.machine.poll_timeout(), "rule 5: a spurious timeout changed poll_timeout");
    }

    fn drain(&mut self) {
        let (next, before) = (self.machine.poll_timeout(), self.transmits.len() + self.events.len());
        self.drain_all();
        if self.transmits.len() + self.events.len() > before {
            assert!(next.is_some_and(|next| next <= self.now), "rule 4: queued output is not seen in poll_timeout");
        }
    }

    fn drain_all(&mut self) {
        loop {
            let (before, events) = (self.transmits.len(), self.events.len());
            if self.way == Way::EventsFirst {
                self.events.extend(self.machine.poll_event());
                self.transmits.extend(self.machine.poll_transmit());
            } else {
                self.transmits.extend(std::iter::from_fn(|| self.machine.poll_transmit()));
                self.events.extend(std::iter::from_fn(|| self.machine.poll_event()));
            }
            if (before, events) == (self.transmits.len(), self.events.len()) {
                return;
            }
        }
    }

    fn run(self) -> Run<M> {
        Run {
            machine: self.machine,
            busy: self.busy,
            transmits: self.transmits.iter().map(|transmit| format!("{transmit:?}")).collect(),
            events: self.events.iter().map(|event| format!("{event:?}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use std::collections::VecDeque;
    use std::hash::{DefaultHasher, Hash, Hasher};

    /// Echoes a number after a second; at most three at a time. `broken` names the rule that it breaks.
    #[derive(Clone)]
    struct Echo {
        broken: u8,
        latest: Instant,
        pending: VecDeque<(Instant, u64)>,
        out: VecDeque<u64>,
        count: u64,
    }

    impl Contract for Echo {
        type Step = u64;
        type Transmit = u64;
        type Event = ();

        fn apply(&mut self, now: Instant, step: &u64) -> Outcome {
            if self.pending.len() >= 3 {
                self.count += u64::from(self.broken == 6);
                return Outcome::Busy;
            }
            self.pending.push_back((now + Duration::from_secs(1), *step));
            if self.broken == 2 && !self.out.is_empty() {
                self.out.push_back(0);
            }
            self.out.push_back(*step);
            Outcome::Done
        }

        fn handle_timeout(&mut self, now: Instant) {
            self.latest = if self.broken == 5 { now } else { now.max(self.latest) };
            if self.broken == 3 {
                return;
            }
            while let Some((_, step)) = self.pending.pop_front_if(|(at, _)| *at <= now) {
                self.out.push_back(step);
            }
        }

        fn poll_timeout(&self) -> Option<Instant> {
            if !self.out.is_empty() && self.broken != 4 {
                return Some(self.latest);
            }
            self.pending.front().map(|(at, _)| *at)
        }

        fn poll_transmit(&mut self) -> Option<u64> {
            self.out.pop_front()
        }

        fn poll_event(&mut self) -> Option<()> {
            None
        }

        fn digest(&self) -> u64 {
            let mut hasher = DefaultHasher::new();
            (self.latest, &self.pending, &self.out, self.count).hash(&mut hasher);
            hasher.finish()
        }
    }

    struct Numbers;

    impl Driver<Echo> for Numbers {
        fn step(&mut self, dice: &mut Dice) -> (Duration, u64) {
            (Duration::from_millis(dice.below(3) * 300), dice.roll())
        }
    }

    fn run(broken: u8) -> Run<Echo> {
        let start = Clock::new().now() + Duration::from_secs(10);
        let make = || Echo { broken, latest: start, pending: [].into(), out: [].into(), count: 0 };
        check(make, Numbers, start, 7, 200, Duration::from_secs(5))
    }

    #[test]
    fn a_machine_that_keeps_the_contract_passes() {
        let run = run(0);
        assert!(run.busy > 0 && run.transmits.len() == 2 * (200 - run.busy));
    }

    #[test]
    fn each_broken_rule_is_found() {
        for (broken, text) in [(2, "Lazy"), (3, "rule 3"), (4, "rule 4"), (5, "rule 5"), (6, "rule 6")] {
            let error = std::panic::catch_unwind(|| run(broken)).err().unwrap();
            let fixed = error.downcast_ref::<&str>().map(|said| said.to_string());
            let said = error.downcast_ref::<String>().cloned().or(fixed).unwrap_or_default();
            assert!(said.contains(text), "rule {broken}: {said}");
        }
    }
}
