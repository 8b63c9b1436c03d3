//! The calling contract, held by the test kit's property test.

use std::hash::{DefaultHasher, Hasher};

use testkit::{Clock, Contract, Dice, Driver};

use super::*;

#[derive(Clone)]
struct Machine(Registrar);

#[derive(Clone, Debug)]
enum Step {
    Register(String),
    Remove(usize),
}

impl Contract for Machine {
    type Step = Step;
    type Transmit = ();
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> testkit::Outcome {
        let refused = match step {
            Step::Register(text) => self.0.register(now, &parse(text), &context()).err(),
            Step::Remove(user) => {
                self.0.remove(now, &format!("sip:{user}@biloxi.com"), "sip:1@h", RemovedBy::DeadFlow);
                None
            }
        };
        match refused.map(|rejected| rejected.refusal) {
            Some(Refusal::Full | Refusal::Busy | Refusal::TooManyContacts) => testkit::Outcome::Busy,
            _ => testkit::Outcome::Done,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<()> {
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash_state(&mut hasher);
        hasher.finish()
    }
}

struct Phones(u32);

impl Driver<Machine> for Phones {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        self.0 += 1;
        let delay = Duration::from_millis(dice.below(4) * dice.below(20_000));
        let user = dice.below(12);
        if dice.below(8) == 0 {
            return (delay, Step::Remove(user as usize));
        }
        let contacts = match dice.below(10) {
            0 => "Contact: *\r\nExpires: 0\r\n".to_owned(),
            1 => String::new(),
            n => format!("Contact: <sip:{}@h>;expires={}\r\n", dice.below(5), (n - 2) * 40),
        };
        let text = format!(
            "REGISTER sip:biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{0}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@biloxi.com>;tag=4\r\nTo: <sip:{user}@biloxi.com>\r\nCall-ID: {user}\r\nCSeq: {0} REGISTER\r\n\
             {contacts}Content-Length: 0\r\n\r\n",
            self.0
        );
        (delay, Step::Register(text))
    }
}

#[test]
fn the_contract_is_kept() {
    let start = Clock::new().now() + Duration::from_secs(10);
    let make = || {
        let config = Config { max_aors: 6, max_contacts: 3, ..Config::new([5; 32]) };
        Machine(Registrar::new(config, start, UNIX))
    };
    for seed in 0..8 {
        let run = testkit::check(make, Phones(0), start, seed, 400, Duration::from_secs(8000));
        assert!(run.busy > 0 && !run.events.is_empty());
        assert!(run.machine.0.is_empty(), "all has ended");
        assert_eq!(run.machine.0.poll_timeout(), None);
    }
}
