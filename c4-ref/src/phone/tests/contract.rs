//! The calling contract of a stream, held by the shared property test.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};

use rtp::packet::Header;
use testkit::{Contract, Dice, Driver, Outcome, check};

use super::*;

#[derive(Clone)]
struct Subject(Stream);

#[derive(Debug, Clone)]
enum Step {
    Connect(Remote),
    Datagram(usize, SocketAddr, Vec<u8>),
    End,
}

impl Contract for Subject {
    type Step = Step;
    type Transmit = Datagram;
    type Event = Infallible;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        match step {
            Step::Connect(remote) => self.0.connect(now, *remote),
            Step::Datagram(socket, from, payload) => self.0.handle_datagram(now, *socket, *from, payload),
            Step::End => self.0.end(now),
        }
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.0.poll_datagram()
    }

    fn poll_event(&mut self) -> Option<Infallible> {
        None
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.0).hash(&mut hasher);
        hasher.finish()
    }
}

/// A party that moves, holds, sends RTP out of order and its own packets back.
#[derive(Default)]
struct Party {
    sequence: u16,
    heard: Vec<Vec<u8>>,
}

impl Driver<Subject> for Party {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let pause = Duration::from_millis([0, 0, 3, 20, 21, 90, 6000][dice.below(7) as usize]);
        let step = match dice.below(40) {
            0 => Step::End,
            1..=6 => {
                let directions = [Direction::SendRecv, Direction::SendRecv, Direction::SendOnly, Direction::Inactive];
                let nowhere = dice.below(6) == 0;
                let remote = remote(Codec::ALL[dice.below(2) as usize], 5000 + 2 * dice.below(3) as u16);
                Step::Connect(Remote {
                    rtp: remote.rtp.filter(|_| !nowhere),
                    rtcp: remote.rtcp.filter(|_| dice.below(6) > 0),
                    direction: directions[dice.below(4) as usize],
                    ..remote
                })
            }
            7..=12 if !self.heard.is_empty() => {
                let octets = self.heard.swap_remove(dice.below(self.heard.len() as u64) as usize);
                Step::Datagram(dice.below(2) as usize, at(5000), octets)
            }
            _ => {
                self.sequence = self.sequence.wrapping_add([1, 1, 1, 2, 0, u16::MAX, 5000][dice.below(7) as usize]);
                let (timestamp, ssrc) = (u32::from(self.sequence) * 160, dice.below(2) as u32);
                let payload_type = [0, 8, 101, 13][dice.below(4) as usize];
                let header = Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc };
                Step::Datagram(RTP, at(5000), [&header.to_octets()[..], &[0xff; 160]].concat())
            }
        };
        (pause, step)
    }

    fn saw_transmit(&mut self, datagram: &Datagram) {
        if self.heard.len() < 8 {
            self.heard.push(datagram.payload.to_vec());
        }
    }
}

#[test]
fn a_stream_keeps_the_calling_contract() {
    let now = base();
    for seed in 0..4 {
        check(|| Subject(stream(now, 1, Some(450), 600)), Party::default(), now, seed, 300, Duration::from_secs(3));
    }
}
