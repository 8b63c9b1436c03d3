//! Hashers keyed from a seed (SipHash-2-4 of the standard library): for hash tables over names chosen by strangers,
//! and for the tag of a [`crate::reply::ReplyToken`].
#![allow(deprecated, reason = "std deprecates the name for tables that want no key; here the key is the point")]

use std::fmt;
use std::hash::{BuildHasher, SipHasher};

/// Makes hashers with one key: hash tables whose order nobody outside can foresee, and which is the same in each run.
///
/// ```
/// use c4_nat::siphash::BuildSipHasher;
/// use std::hash::BuildHasher;
/// let a = BuildSipHasher::new([1; 16]);
/// assert_eq!(a.hash_one("x"), a.hash_one("x"));
/// assert_ne!(a.hash_one("x"), BuildSipHasher::new([2; 16]).hash_one("x"));
/// ```
#[derive(Clone)]
pub struct BuildSipHasher {
    key: (u64, u64),
}

impl BuildSipHasher {
    /// With `key`, from the seed of the machine.
    pub fn new(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        Self { key: (key as u64, (key >> 64) as u64) }
    }
}

/// The key stays out of logs.
impl fmt::Debug for BuildSipHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildSipHasher").finish_non_exhaustive()
    }
}

impl BuildHasher for BuildSipHasher {
    type Hasher = SipHasher;

    fn build_hasher(&self) -> SipHasher {
        SipHasher::new_with_keys(self.key.0, self.key.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    /// Appendix A of the SipHash paper (Aumasson and Bernstein, 2012): key 00..0f, input 00..0e.
    #[test]
    fn the_vector_of_the_paper() {
        let mut hasher = BuildSipHasher::new(std::array::from_fn(|i| i as u8)).build_hasher();
        hasher.write(&[0, 1, 2, 3, 4, 5, 6]);
        hasher.write(&[7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
    }
}
