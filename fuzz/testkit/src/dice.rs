//! Random numbers from a seed.

/// SplitMix64: small, fast, and the same everywhere.
#[derive(Clone, Debug, Hash)]
pub struct Dice(u64);

impl Dice {
    /// Same seed, same throws.
    pub const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(end)) >> 64) as u64
    }

    /// True with a probability of 0.0 to 1.0.
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.roll() >> 11) as f64) / ((1u64 << 53) as f64) < probability
    }

    /// One of these, or None if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_throws_are_those_of_splitmix64() {
        let mut dice = Dice::new(1234567);
        assert_eq!([dice.roll(), dice.roll()], [6457827717110365317, 3203168211198807973]);
    }

    #[test]
    fn chances_are_met() {
        let mut dice = Dice::new(5);
        let hits = (0..10_000).filter(|_| dice.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..100).all(|_| dice.below(7) < 7 && !dice.chance(0.0) && dice.chance(1.0)));
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
