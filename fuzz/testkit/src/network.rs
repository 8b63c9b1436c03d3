//! A virtual network: datagrams and streams between addresses, with latency, loss, reordering, duplicates and partitions
//! from a seed.

use crate::Dice;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How one direction between two addresses behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The least time on the way.
    pub latency: Duration,
    /// Up to this much more, drawn for each datagram: those sent close together overtake each other.
    pub jitter: Duration,
    /// The probability that a datagram is lost.
    pub loss: f64,
    /// The probability that it arrives twice.
    pub duplicate: f64,
}

impl Link {
    /// Nothing is lost, and all arrives after this time.
    pub const fn ideal(latency: Duration) -> Link {
        Link { latency, jitter: Duration::ZERO, loss: 0.0, duplicate: 0.0 }
    }

    /// A bad link: this probability of loss and of duplicates, and a jitter as long as the latency.
    pub const fn lossy(latency: Duration, probability: f64) -> Link {
        Link { latency, jitter: latency, loss: probability, duplicate: probability }
    }
}

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<A, P> {
    /// The sender.
    pub from: A,
    /// The receiver.
    pub to: A,
    /// The octets, or whatever is sent.
    pub payload: P,
}

/// What the network did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Handed to the network.
    pub sent: u64,
    /// Handed to receivers.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost in a partition.
    pub cut: u64,
    /// Delivered twice.
    pub duplicated: u64,
}

/// The network. Same seed and same calls: same deliveries.
///
/// ```
/// use c4_testkit::{Clock, Link, Network};
/// use std::time::Duration;
/// let mut clock = Clock::new();
/// let mut network = Network::new(1, Link::ideal(Duration::from_millis(10)));
/// network.send(clock.now(), 'a', 'b', "hello");
/// assert!(network.receive(clock.now()).is_none());
/// clock.advance_to(network.poll_timeout().unwrap());
/// assert_eq!(network.receive(clock.now()).unwrap().payload, "hello");
/// assert_eq!(clock.elapsed(), Duration::from_millis(10));
/// ```
#[derive(Clone, Debug)]
pub struct Network<A, P> {
    dice: Dice,
    default: Link,
    links: BTreeMap<(A, A), Link>,
    partitions: BTreeSet<(A, A)>,
    /// When the last octets of a stream arrive: those behind them come no earlier.
    streams: BTreeMap<(A, A), Instant>,
    /// By time of arrival, then order of sending.
    queue: BTreeMap<(Instant, u64), Delivery<A, P>>,
    serial: u64,
    traffic: Traffic,
}

impl<A: Copy + Ord, P: Clone> Network<A, P> {
    /// A network in which all links behave the same.
    pub fn new(seed: u64, default: Link) -> Network<A, P> {
        Network {
            dice: Dice::new(seed),
            default,
            links: BTreeMap::new(),
            partitions: BTreeSet::new(),
            streams: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
            traffic: Traffic::default(),
        }
    }

    /// How all links behave that were not set one by one.
    pub fn set_default(&mut self, link: Link) {
        self.default = link;
    }

    /// How one direction behaves.
    pub fn set_link(&mut self, from: A, to: A, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Nothing passes between the two any more; what is under way arrives.
    pub fn partition(&mut self, one: A, other: A) {
        self.partitions.insert((one, other));
        self.partitions.insert((other, one));
    }

    /// Undoes [`Network::partition`].
    pub fn heal(&mut self, one: A, other: A) {
        self.partitions.remove(&(one, other));
        self.partitions.remove(&(other, one));
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, from: A, to: A, payload: P) {
        self.traffic.sent += 1;
        if self.partitions.contains(&(from, to)) {
            self.traffic.cut += 1;
            return;
        }
        let link = self.link(from, to);
        if self.dice.chance(link.loss) {
            self.traffic.lost += 1;
            return;
        }
        if self.dice.chance(link.duplicate) {
            self.traffic.duplicated += 1;
            let at = now + self.delay(link);
            self.enqueue(at, Delivery { from, to, payload: payload.clone() });
        }
        let at = now + self.delay(link);
        self.enqueue(at, Delivery { from, to, payload });
    }

    /// Sends over a stream: in order, without loss. A partition cuts it as if the connection were gone.
    pub fn send_stream(&mut self, now: Instant, from: A, to: A, payload: P) {
        self.traffic.sent += 1;
        if self.partitions.contains(&(from, to)) {
            self.traffic.cut += 1;
            return;
        }
        let link = self.link(from, to);
        let at = (now + self.delay(link)).max(self.streams.get(&(from, to)).copied().unwrap_or(now));
        self.streams.insert((from, to), at);
        self.enqueue(at, Delivery { from, to, payload });
    }

    /// When the next delivery arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// What has arrived by now, one by one.
    pub fn receive(&mut self, now: Instant) -> Option<Delivery<A, P>> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        self.traffic.delivered += 1;
        Some(first.remove())
    }

    /// What the network did so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn link(&self, from: A, to: A) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(self.default)
    }

    fn delay(&mut self, link: Link) -> Duration {
        let jitter = self.dice.below(link.jitter.as_micros() as u64 + 1);
        link.latency + Duration::from_micros(jitter)
    }

    fn enqueue(&mut self, at: Instant, delivery: Delivery<A, P>) {
        self.serial += 1;
        self.queue.insert((at, self.serial), delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    const MS: Duration = Duration::from_millis(1);

    fn drain(network: &mut Network<u8, u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| network.receive(now)).map(|delivery| delivery.payload).collect()
    }

    #[test]
    fn a_lossy_link_loses_doubles_and_reorders_and_a_stream_does_not() {
        let clock = Clock::new();
        let mut network = Network::new(3, Link::lossy(20 * MS, 0.2));
        for n in 0..1000 {
            network.send(clock.now(), 1, 2, n);
        }
        let arrived = drain(&mut network, clock.at(60 * MS));
        let traffic = network.traffic();
        assert_eq!(arrived.len() as u64, 1000 - traffic.lost + traffic.duplicated);
        assert!((150..250).contains(&traffic.lost) && (100..220).contains(&traffic.duplicated));
        assert!(!arrived.is_sorted());
        for n in 0..100 {
            network.send_stream(clock.now() + MS * n, 1, 2, n);
        }
        assert_eq!(drain(&mut network, clock.at(1000 * MS)), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_partition_holds_until_it_is_healed() {
        let clock = Clock::new();
        let mut network = Network::new(3, Link::ideal(MS));
        network.send(clock.now(), 1, 2, 0);
        network.partition(2, 1);
        network.send(clock.now(), 1, 2, 1);
        network.send(clock.now(), 1, 3, 2);
        network.heal(1, 2);
        network.send(clock.now(), 1, 2, 3);
        assert_eq!(drain(&mut network, clock.at(MS)), [0, 2, 3]);
        assert_eq!(network.traffic().cut, 1);
        assert_eq!(network.poll_timeout(), None);
    }
}
