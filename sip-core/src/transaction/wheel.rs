//! A hierarchical timer wheel over the places of a table: arming, re-arming and disarming are O(1) and make no garbage.
//!
//! Seven levels of 64 buckets, a tick of a millisecond: level 0 holds the ticks of the current window of 64, each level
//! above a window 64 times as wide. A bucket is a list linked through the places themselves. A place sits on the level
//! of the highest group of six bits in which its deadline differs from the present, so the lowest level in use always
//! holds the earliest deadline.

/// No place.
pub(crate) const NONE: u32 = u32::MAX;
const LEVELS: usize = 7;
const BUCKETS: usize = 64;
const BITS: u32 = 6;
/// 139 years.
const LAST: u64 = (1 << (BITS * LEVELS as u32)) - 1;

/// A place's link into the wheel.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Link {
    next: u32,
    previous: u32,
    at: u64,
    /// Level * 64 + bucket; `OFF` when disarmed.
    bucket: u16,
}

const OFF: u16 = u16::MAX;

impl Link {
    pub(crate) const fn new() -> Link {
        Link { next: NONE, previous: NONE, at: 0, bucket: OFF }
    }

    /// When it wakes, if it is armed.
    pub(crate) fn armed(&self) -> Option<u64> {
        (self.bucket != OFF).then_some(self.at)
    }
}

/// Where the links live.
pub(crate) trait Links {
    fn link(&mut self, place: u32) -> Option<&mut Link>;
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Wheel {
    now: u64,
    /// One bit a bucket that is not empty.
    used: [u64; LEVELS],
    heads: Vec<u32>,
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel { now: 0, used: [0; LEVELS], heads: vec![NONE; LEVELS * BUCKETS] }
    }

    /// Arms a place, or moves it when it is armed.
    pub(crate) fn arm(&mut self, links: &mut impl Links, place: u32, at: u64) {
        self.disarm(links, place);
        let at = at.clamp(self.now, LAST);
        let differs = (self.now ^ at) | 1;
        let level = ((63 - differs.leading_zeros()) / BITS) as usize;
        let bucket = (level * BUCKETS) as u16 + (at >> (BITS * level as u32)) as u16 % BUCKETS as u16;
        let Some(head) = self.heads.get_mut(usize::from(bucket)) else { return };
        let Some(link) = links.link(place) else { return };
        *link = Link { next: *head, previous: NONE, at, bucket };
        let next = std::mem::replace(head, place);
        if let Some(after) = links.link(next) {
            after.previous = place;
        }
        if let Some(used) = self.used.get_mut(level) {
            *used |= 1 << (bucket % BUCKETS as u16);
        }
    }

    pub(crate) fn disarm(&mut self, links: &mut impl Links, place: u32) {
        let Some(link) = links.link(place) else { return };
        if link.bucket == OFF {
            return;
        }
        let Link { next, previous, bucket, .. } = std::mem::replace(link, Link::new());
        if let Some(after) = links.link(next) {
            after.previous = previous;
        }
        if let Some(before) = links.link(previous) {
            before.next = next;
            return;
        }
        if let Some(head) = self.heads.get_mut(usize::from(bucket)) {
            *head = next;
        }
        if next == NONE
            && let Some(used) = self.used.get_mut(usize::from(bucket) / BUCKETS)
        {
            *used &= !(1 << (bucket % BUCKETS as u16));
        }
    }

    /// The earliest deadline; a bound below it when it is more than a window away.
    pub(crate) fn next(&self) -> Option<u64> {
        self.first().map(|(_, _, at)| at)
    }

    /// Takes a place whose deadline has come, in order of the deadlines; None when there is none up to `now`.
    pub(crate) fn pop(&mut self, links: &mut impl Links, now: u64) -> Option<u32> {
        while let Some((level, bucket, at)) = self.first().filter(|(_, _, at)| *at <= now) {
            self.now = self.now.max(at);
            let place = *self.heads.get(level * BUCKETS + bucket)?;
            if level == 0 {
                self.disarm(links, place);
                return Some(place);
            }
            // A window begins: its places move to lower levels. The last linked comes first, so the order stays.
            let mut place = place;
            while place != NONE {
                let (next, at) = links.link(place).map(|link| (link.next, link.at))?;
                self.arm(links, place, at);
                place = next;
            }
        }
        self.now = self.now.max(now.min(LAST));
        None
    }

    /// The first bucket in use: level, bucket and when its window begins.
    fn first(&self) -> Option<(usize, usize, u64)> {
        for (level, used) in self.used.iter().enumerate() {
            if *used != 0 {
                let bucket = used.trailing_zeros();
                let shift = BITS * level as u32;
                let window = self.now >> (shift + BITS) << (shift + BITS);
                return Some((level, bucket as usize, window | (u64::from(bucket) << shift)));
            }
        }
        None
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.used.iter().all(|used| *used == 0) && self.heads.iter().all(|head| *head == NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Table(Vec<Link>);

    impl Links for Table {
        fn link(&mut self, place: u32) -> Option<&mut Link> {
            self.0.get_mut(place as usize)
        }
    }

    #[test]
    fn a_deadline_of_now_is_due_and_a_later_one_is_not() {
        let (mut wheel, mut table) = (Wheel::new(), Table(vec![Link::new(); 2]));
        assert_eq!(wheel.pop(&mut table, 1000), None);
        wheel.arm(&mut table, 0, 1000);
        wheel.arm(&mut table, 1, 1001);
        assert_eq!(wheel.next(), Some(1000));
        assert_eq!(wheel.pop(&mut table, 1000), Some(0));
        assert_eq!(wheel.pop(&mut table, 1000), None);
        assert_eq!(wheel.next(), Some(1001));
        assert_eq!(wheel.pop(&mut table, 5000), Some(1));
        assert!(wheel.is_empty());
    }

    proptest! {
        /// Against a sorted map: arm, move, disarm and advance in any order.
        #[test]
        fn fires_as_a_sorted_map_does(steps in prop::collection::vec((0u8..4, 0u32..24, 0u64..40_000, 0u32..4), 1..300)) {
            let (mut wheel, mut table) = (Wheel::new(), Table(vec![Link::new(); 24]));
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0u64;
            for (verb, place, amount, scale) in steps {
                let amount = amount << (scale * 5);
                match verb {
                    0 | 1 => {
                        wheel.arm(&mut table, place, now + 1 + amount);
                        model.insert(place, now + 1 + amount);
                    }
                    2 => {
                        wheel.disarm(&mut table, place);
                        model.remove(&place);
                    }
                    _ => {
                        now += amount;
                        let mut fired = Vec::new();
                        while let Some(place) = wheel.pop(&mut table, now) {
                            let at = model.remove(&place).unwrap();
                            prop_assert!(at <= now);
                            prop_assert!(fired.last().is_none_or(|last| *last <= at));
                            fired.push(at);
                        }
                        prop_assert!(model.values().all(|at| *at > now));
                    }
                }
                let next = wheel.next();
                prop_assert_eq!(next.is_some(), !model.is_empty());
                if let Some(next) = next {
                    prop_assert!(next > now && model.values().all(|at| *at >= next));
                }
            }
            for place in 0..24 {
                wheel.disarm(&mut table, place);
            }
            prop_assert!(wheel.is_empty());
        }
    }
}
