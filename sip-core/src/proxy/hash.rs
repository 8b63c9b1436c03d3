//! A keyed hash for branches, loop detection and tags: SipHash-2-4, so that nobody who lacks the key can aim at a
//! collision, and the same input gives the same octets after a restart.

use std::fmt;
use std::hash::Hasher;

/// The secret of a [`KeyedHash`].
///
/// ```
/// use c4_sip_core::proxy::hash::HashKey;
/// let key = HashKey::from_seed(&[7; 32], b"branch");
/// assert_eq!(key.hash(&[b"a", b"b"]), key.hash(&[b"a", b"b"]));
/// assert_ne!(key.hash(&[b"a", b"b"]), key.hash(&[b"ab"])); // parts are delimited
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashKey {
    k0: u64,
    k1: u64,
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

impl HashKey {
    /// A key for one purpose, derived from the seed of the machine that uses it.
    pub fn from_seed(seed: &[u8; 32], purpose: &[u8]) -> HashKey {
        let [a, b, c, d] = [word(seed, 0), word(seed, 8), word(seed, 16), word(seed, 24)];
        let derive = |label: u8| {
            let mut hash = KeyedHash::new(HashKey { k0: a, k1: b });
            hash.part(purpose);
            hash.number(c);
            hash.number(d ^ u64::from(label));
            hash.finish()
        };
        HashKey { k0: derive(0), k1: derive(1) }
    }

    /// Starts a hash under this key.
    pub fn hasher(self) -> KeyedHash {
        KeyedHash::new(self)
    }

    /// The hash of some parts, each delimited.
    pub fn hash(self, parts: &[&[u8]]) -> u64 {
        let mut hash = self.hasher();
        for part in parts {
            hash.part(part);
        }
        hash.finish()
    }
}

fn word(seed: &[u8; 32], at: usize) -> u64 {
    seed.iter().skip(at).take(8).fold(0, |word, octet| (word << 8) | u64::from(*octet))
}

/// A hash under way.
#[derive(Clone, Debug)]
pub struct KeyedHash {
    #[allow(deprecated)]
    // std deprecates the name for hash tables, where no key is wanted; the algorithm is SipHash-2-4
    inner: std::hash::SipHasher,
}

impl KeyedHash {
    fn new(key: HashKey) -> KeyedHash {
        #[allow(deprecated)] // see the field
        let inner = std::hash::SipHasher::new_with_keys(key.k0, key.k1);
        KeyedHash { inner }
    }

    /// Adds a delimited part.
    pub fn part(&mut self, octets: &[u8]) {
        self.inner.write(octets);
        self.number(octets.len() as u64);
    }

    /// Adds a delimited part that may be absent; absence differs from the empty part.
    pub fn optional(&mut self, octets: Option<&[u8]>) {
        match octets {
            Some(octets) => self.part(octets),
            None => self.number(u64::MAX),
        }
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.inner.write(&number.to_le_bytes());
    }

    /// The hash of what was added.
    pub fn finish(&self) -> u64 {
        self.inner.finish()
    }
}

/// A hash written as 16 lower-case hexadecimal digits, which every grammar of SIP takes as a token.
pub struct Hex(pub u64);

impl Hex {
    /// Appends the digits, the highest first.
    pub fn push_to(&self, out: &mut String) {
        let mut digits = [0; 16];
        let mut number = self.0;
        for digit in digits.iter_mut().rev() {
            let value = number as u8 & 15;
            *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
            number >>= 4;
        }
        // Of ASCII alone.
        out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = String::with_capacity(16);
        self.push_to(&mut digits);
        f.write_str(&digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_2_4_reference_vector() {
        // Key 00..0f, input 00..0e: the vector printed in the paper of Aumasson and Bernstein, appendix A.
        let key = HashKey { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 };
        let mut hash = key.hasher();
        hash.inner.write(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(hash.finish(), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_number_is_written_with_all_its_digits() {
        assert_eq!(Hex(0x0123_4567_89ab_cdef).to_string(), "0123456789abcdef");
        assert_eq!(Hex(0).to_string(), "0".repeat(16));
    }

    #[test]
    fn purposes_and_seeds_give_unlike_keys() {
        let a = HashKey::from_seed(&[1; 32], b"loop");
        assert_ne!(a, HashKey::from_seed(&[1; 32], b"branch"));
        assert_ne!(a, HashKey::from_seed(&[2; 32], b"loop"));
        assert_eq!(format!("{a:?}"), "HashKey(..)");
    }

    #[test]
    fn absent_is_not_empty() {
        let key = HashKey::from_seed(&[1; 32], b"loop");
        let (mut absent, mut empty) = (key.hasher(), key.hasher());
        absent.optional(None);
        empty.optional(Some(b""));
        assert_ne!(absent.finish(), empty.finish());
    }
}
