//! The calling contract, held by the shared property test.

use std::hash::{DefaultHasher, Hash, Hasher};

use testkit::{Contract, Dice, Driver, Outcome, check};

use super::*;

#[derive(Clone)]
struct Subject(Relay);

#[derive(Debug, Clone)]
enum Step {
    Request(RequestId, Box<Request>),
    Opened(PairId, Result<(), io::ErrorKind>),
}

impl Contract for Subject {
    type Step = Step;
    type Transmit = media::Event;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        match step {
            Step::Request(id, request) => self.0.handle_request(now, *id, (**request).clone()),
            Step::Opened(id, result) => self.0.handle_open_done(now, *id, *result),
        }
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<media::Event> {
        self.0.media().poll_event()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.0).hash(&mut hasher);
        hasher.finish()
    }
}

/// A controller with few calls and tags, and an opener.
#[derive(Default)]
struct Controller {
    asked: Vec<PairId>,
    count: u64,
}

impl Driver<Subject> for Controller {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let pause = Duration::from_millis([0, 0, 5, 900, 20_000][dice.below(5) as usize]);
        if !self.asked.is_empty() && dice.below(3) != 0 {
            let at = dice.below(self.asked.len() as u64) as usize;
            let result = match dice.below(8) {
                0 => Err(io::ErrorKind::AddrInUse),
                1 => Err(io::ErrorKind::PermissionDenied),
                _ => Ok(()),
            };
            return (pause, Step::Opened(self.asked.swap_remove(at), result));
        }
        self.count += 1;
        let tags = [("a", "b"), ("b", "a"), ("a", "c")][dice.below(3) as usize];
        let sdp = sdp("192.0.2.1", 4000 + 2 * dice.below(4) as u16);
        let mut request = match dice.below(6) {
            0 => offer(tags.0, None, sdp),
            1 => offer(tags.0, Some(tags.1), sdp),
            2 | 3 => answer(tags.0, tags.1, sdp),
            4 => query(),
            _ => delete(tags.0, (dice.below(2) == 0).then_some(tags.1)),
        };
        request.flags.pierce_nat = dice.below(4) == 0;
        request.flags.reset = dice.below(4) == 0;
        request.flags.port_latching = [None, Some(false)][dice.below(2) as usize];
        request.flags.tos = [crate::ng::Tos::Default, crate::ng::Tos::Set(8)][dice.below(2) as usize];
        request.call_id = format!("c{}", dice.below(3));
        request.via_branch = [None, Some("1".into()), Some("2".into())][dice.below(3) as usize].clone();
        (pause, Step::Request(RequestId(self.count), Box::new(request)))
    }

    fn saw_transmit(&mut self, event: &media::Event) {
        if let media::Event::Open { pair, .. } = event {
            self.asked.push(pair.id);
        }
    }
}

#[test]
fn the_relay_keeps_the_calling_contract() {
    let now = start();
    let subject = || {
        let mut few = settings();
        few.media.ports = (20_000, 20_015);
        Subject(Relay::new(now, few))
    };
    for seed in 0..4 {
        let run = check(subject, Controller::default(), now, seed, 200, Duration::from_secs(8000));
        let calls = run.machine.0.calls.values();
        assert!({ calls }.all(|entry| entry.opening.is_some()), "what still opens stays, all else has ended");
    }
}
