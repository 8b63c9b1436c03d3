//! Sequence numbers of one source (RFC 3550 A.1 and A.3): probation, wrap, loss, duplicates, restart.

/// Packets in sequence that make a source valid (MIN_SEQUENTIAL).
const MIN_SEQUENTIAL: u8 = 2;
/// A jump ahead of at most this is loss.
const MAX_DROPOUT: u16 = 3000;
/// A step back of at most this is reordering.
const MAX_MISORDER: u16 = 100;

/// What a sequence number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The source is on probation.
    Probation,
    /// In order; so many numbers before it are missing.
    Next {
        /// How many.
        missing: u16,
    },
    /// Late, but not seen among the last 64.
    Reordered,
    /// Seen before.
    Duplicate,
    /// A large jump: not counted, unless the next one follows it.
    Jump,
    /// Two in sequence after a jump: the sender started anew and counting did too.
    Restart,
}

/// The state of one source, 40 octets.
///
/// ```
/// use c4_rtp::sequence::{Arrival, Source};
/// let mut source = Source::new(65534);
/// assert_eq!(source.update(65534), Arrival::Probation);
/// assert_eq!(source.update(65535), Arrival::Next { missing: 0 });
/// assert_eq!(source.update(1), Arrival::Next { missing: 1 });
/// assert_eq!((source.extended_highest(), source.lost()), (0x1_0001, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    seen: u64,
    cycles: u32,
    base: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    bad: u32,
    duplicates: u32,
    highest: u16,
    probation: u8,
}

const NO_JUMP: u32 = 0x1_0001;

impl Source {
    /// A source whose first packet has this number; give that packet to [`Source::update`] too.
    pub fn new(first: u16) -> Self {
        let mut source = Self {
            seen: 0,
            cycles: 0,
            base: 0,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            bad: NO_JUMP,
            duplicates: 0,
            highest: 0,
            probation: MIN_SEQUENTIAL,
        };
        source.restart(first);
        source.highest = first.wrapping_sub(1);
        source
    }

    fn restart(&mut self, number: u16) {
        self.base = u32::from(number);
        self.highest = number;
        self.bad = NO_JUMP;
        self.cycles = 0;
        self.received = 0;
        self.received_prior = 0;
        self.expected_prior = 0;
        self.duplicates = 0;
        self.seen = 1;
    }

    /// Counts a packet.
    #[inline]
    pub fn update(&mut self, number: u16) -> Arrival {
        let ahead = number.wrapping_sub(self.highest);
        if self.probation > 0 {
            return self.prove(number, ahead);
        }
        if ahead == 0 {
            self.received = self.received.wrapping_add(1);
            self.duplicates = self.duplicates.saturating_add(1);
            return Arrival::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            if number < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = number;
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received = self.received.wrapping_add(1);
            // A second packet after one from before the jump must not look like its sequel.
            self.bad = NO_JUMP;
            return Arrival::Next { missing: ahead - 1 };
        }
        let behind = ahead.wrapping_neg();
        if behind <= MAX_MISORDER {
            self.received = self.received.wrapping_add(1);
            let bit = 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
            if self.seen & bit != 0 {
                self.duplicates = self.duplicates.saturating_add(1);
                return Arrival::Duplicate;
            }
            self.seen |= bit;
            return Arrival::Reordered;
        }
        if u32::from(number) == self.bad {
            self.restart(number);
            self.received = 1;
            return Arrival::Restart;
        }
        self.bad = u32::from(number.wrapping_add(1));
        Arrival::Jump
    }

    fn prove(&mut self, number: u16, ahead: u16) -> Arrival {
        if ahead != 1 {
            self.probation = MIN_SEQUENTIAL - 1;
            self.highest = number;
            return Arrival::Probation;
        }
        self.probation -= 1;
        self.highest = number;
        if self.probation > 0 {
            return Arrival::Probation;
        }
        self.restart(number);
        self.received = 1;
        Arrival::Next { missing: 0 }
    }

    /// Whether it is past probation.
    pub fn is_valid(&self) -> bool {
        self.probation == 0
    }

    /// The highest number with its cycles, as a report block carries it.
    pub fn extended_highest(&self) -> u32 {
        self.cycles | u32::from(self.highest)
    }

    /// Packets received since probation or restart, late and duplicate ones included (A.3).
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Packets seen twice (among the last 64) since probation or restart.
    pub fn duplicates(&self) -> u32 {
        self.duplicates
    }

    /// Packets expected since probation or restart.
    pub fn expected(&self) -> u32 {
        if self.is_valid() { self.extended_highest().wrapping_sub(self.base).wrapping_add(1) } else { 0 }
    }

    /// Packets lost, negative after duplicates, clamped to 24 bits (A.3).
    pub fn lost(&self) -> i32 {
        let lost = i64::from(self.expected()) - i64::from(self.received);
        lost.clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// The fraction lost since the last call, in 256ths (A.3). Call it once a report.
    pub fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_prior);
        let received = self.received.wrapping_sub(self.received_prior);
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = i64::from(expected) - i64::from(received);
        if expected == 0 || lost <= 0 { 0 } else { (lost * 256 / i64::from(expected)).min(255) as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(first: u16) -> Source {
        let mut source = Source::new(first);
        assert_eq!(source.update(first), Arrival::Probation);
        assert_eq!(source.update(first.wrapping_add(1)), Arrival::Next { missing: 0 });
        source
    }

    #[test]
    fn rfc3550_a1_probation_needs_two_in_sequence() {
        let mut source = Source::new(10);
        for number in [10, 12, 20, 30] {
            assert_eq!(source.update(number), Arrival::Probation);
        }
        assert_eq!((source.update(31), source.received()), (Arrival::Next { missing: 0 }, 1));
    }

    #[test]
    fn rfc3550_a1_a_restart_forgets_the_duplicates_too() {
        let mut source = valid(1);
        assert_eq!(source.update(2), Arrival::Duplicate);
        assert_eq!((source.update(40_000), source.update(40_001)), (Arrival::Jump, Arrival::Restart));
        assert_eq!((source.duplicates(), source.lost()), (0, 0));
    }

    #[test]
    fn rfc3550_a1_wrap_and_reordering_across_it() {
        let mut source = valid(65533);
        assert_eq!(source.update(0), Arrival::Next { missing: 1 });
        assert_eq!(source.update(65535), Arrival::Reordered);
        assert_eq!(source.update(65535), Arrival::Duplicate);
        assert_eq!((source.extended_highest(), source.expected(), source.lost()), (0x1_0000, 3, -1));
    }

    #[test]
    fn rfc3550_a1_a_jump_counts_only_when_it_goes_on() {
        let mut source = valid(1);
        assert_eq!(source.update(40_000), Arrival::Jump);
        assert_eq!(source.update(3), Arrival::Next { missing: 0 });
        assert_eq!(source.update(40_001), Arrival::Jump);
        assert_eq!(source.update(40_002), Arrival::Restart);
        assert_eq!((source.received(), source.expected(), source.lost()), (1, 1, 0));
    }

    #[test]
    fn rfc3550_a3_fraction_is_of_the_interval() {
        let mut source = valid(0);
        for number in (2..102).filter(|number| number % 4 != 3) {
            source.update(number);
        }
        assert_eq!((source.lost(), source.take_fraction_lost()), (25, 63));
        for number in 102..120 {
            source.update(number);
        }
        assert_eq!((source.take_fraction_lost(), source.lost()), (0, 25));
    }

    #[test]
    fn rfc3550_a3_duplicates_make_the_loss_negative_and_the_fraction_zero() {
        let mut source = valid(0);
        for _ in 0..5 {
            assert_eq!(source.update(1), Arrival::Duplicate);
        }
        assert_eq!((source.lost(), source.take_fraction_lost(), source.duplicates()), (-5, 0, 5));
    }

    #[test]
    fn a_source_is_small() {
        assert!(size_of::<Source>() <= 40);
    }
}
