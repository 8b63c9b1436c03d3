//! A keyed pseudo-random function (SipHash), so that nobody outside can guess a branch or crowd a table.

use std::hash::{BuildHasher, Hasher};

/// Keys drawn from the seed, one for each use.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Keys {
    branch: [u64; 2],
    index: [u64; 2],
}

impl Keys {
    pub(crate) fn new(seed: &[u8; 32]) -> Keys {
        let word = |n: usize| {
            let mut octets = [0; 8];
            for (to, from) in octets.iter_mut().zip(seed.iter().skip(n * 8)) {
                *to = *from;
            }
            u64::from_le_bytes(octets)
        };
        Keys { branch: [word(0), word(1)], index: [word(2), word(3)] }
    }

    /// Authenticates a branch: SipHash-2-4 of its number.
    pub(crate) fn branch_mac(&self, raw: u64) -> u64 {
        let mut state = State::new(self.branch, 0);
        state.absorb::<2>(raw);
        state.absorb::<2>(8 << 56);
        state.finish::<4>(0xff)
    }

    /// A tag for responses that the layer makes itself, fixed for a transaction.
    pub(crate) fn tag(&self, raw: u64) -> u64 {
        let mut state = State::new(self.branch, 0);
        state.absorb::<2>(raw);
        state.absorb::<2>((8 << 56) | 0x7a67);
        state.finish::<4>(0xff)
    }

    /// The 128-bit identity of some octets: SipHash-1-3-128.
    pub(crate) fn identity(&self, octets: &[u8]) -> [u64; 2] {
        let mut state = State::new(self.index, 0xee);
        let mut chunks = octets.chunks_exact(8);
        for chunk in &mut chunks {
            state.absorb::<1>(chunk.iter().rev().fold(0, |word, octet| (word << 8) | u64::from(*octet)));
        }
        let last = chunks.remainder().iter().rev().fold(0, |word, octet| (word << 8) | u64::from(*octet));
        state.absorb::<1>(last | ((octets.len() as u64) << 56));
        let first = state.finish::<3>(0xee);
        state.v1 ^= 0xdd;
        [first, state.rounds::<3>()]
    }
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn new(key: [u64; 2], wide: u64) -> State {
        let [k0, k1] = key;
        State {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d ^ wide,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        }
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    fn absorb<const C: usize>(&mut self, word: u64) {
        self.v3 ^= word;
        for _ in 0..C {
            self.round();
        }
        self.v0 ^= word;
    }

    fn rounds<const D: usize>(&mut self) -> u64 {
        for _ in 0..D {
            self.round();
        }
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    fn finish<const D: usize>(&mut self, mark: u64) -> u64 {
        self.v2 ^= mark;
        self.rounds::<D>()
    }
}

/// For tables whose keys are keyed hashes already, or numbers of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready;

impl BuildHasher for Ready {
    type Hasher = ReadyHasher;

    fn build_hasher(&self) -> ReadyHasher {
        ReadyHasher(0)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyHasher(u64);

impl Hasher for ReadyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // An odd multiplier spreads the small numbers of connection ids over the upper bits too.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let mut seed = [0u8; 32];
        for (n, octet) in seed.iter_mut().enumerate() {
            *octet = (n % 16) as u8;
        }
        Keys::new(&seed)
    }

    #[test]
    fn siphash_2_4_of_eight_octets_is_the_published_vector() {
        // The reference vectors: key 00..0f, input 00..07.
        assert_eq!(keys().branch_mac(0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn an_identity_depends_on_every_octet_and_on_the_key() {
        let octets: Vec<u8> = (0..61).collect();
        let first = keys().identity(&octets);
        for n in 0..octets.len() {
            let mut other = octets.clone();
            other[n] ^= 1;
            let identity = keys().identity(&other);
            assert!(identity[0] != first[0] && identity[1] != first[1]);
        }
        assert_ne!(keys().identity(&octets[..60]), first);
        assert_ne!(Keys::new(&[9; 32]).identity(&octets), first);
        assert_ne!(first[0], first[1]);
    }
}
