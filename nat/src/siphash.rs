//! SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash for short inputs.
//!
//! For the places where a keyed hash is needed on every message and 64 bits are enough: the tag of a
//! [`crate::reply::ReplyToken`], hash tables over names chosen by strangers, the choice of a backend.

/// A running SipHash-2-4 over everything written so far.
///
/// ```
/// use c4_nat::siphash::SipHasher;
/// let mut hasher = SipHasher::new(&[0; 16]);
/// hasher.write(b"a");
/// hasher.write(b"b");
/// assert_eq!(hasher.finish(), SipHasher::hash(&[0; 16], b"ab"));
/// ```
#[derive(Clone)]
pub struct SipHasher {
    v: [u64; 4],
    tail: u64,
    held: u32,
    length: u64,
}

impl SipHasher {
    /// A hasher under `key`.
    pub fn new(key: &[u8; 16]) -> Self {
        let k = u128::from_le_bytes(*key);
        let (k0, k1) = (k as u64, (k >> 64) as u64);
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, held: 0, length: 0 }
    }

    /// The hash of `data` under `key` in one step.
    pub fn hash(key: &[u8; 16], data: &[u8]) -> u64 {
        let mut hasher = Self::new(key);
        hasher.write(data);
        hasher.finish()
    }

    /// Appends `data`; the hash does not depend on how the input is cut into pieces.
    pub fn write(&mut self, mut data: &[u8]) {
        self.length = self.length.wrapping_add(data.len() as u64);
        while self.held != 0 {
            let Some((&octet, rest)) = data.split_first() else { return };
            self.take(octet);
            data = rest;
        }
        while let Some((word, rest)) = data.split_first_chunk::<8>() {
            self.compress(u64::from_le_bytes(*word));
            data = rest;
        }
        for &octet in data {
            self.take(octet);
        }
    }

    /// Appends a field with its length in front, so that two neighbouring fields cannot be cut differently.
    pub fn field(&mut self, data: &[u8]) {
        self.write(&(data.len() as u32).to_le_bytes());
        self.write(data);
    }

    /// The hash of what was written.
    pub fn finish(&self) -> u64 {
        let mut end = self.clone();
        end.compress(end.tail | (end.length << 56));
        end.v[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut end.v);
        }
        let [a, b, c, d] = end.v;
        a ^ b ^ c ^ d
    }

    fn take(&mut self, octet: u8) {
        self.tail |= u64::from(octet) << (8 * self.held);
        self.held += 1;
        if self.held == 8 {
            let word = self.tail;
            self.tail = 0;
            self.held = 0;
            self.compress(word);
        }
    }

    fn compress(&mut self, word: u64) {
        self.v[3] ^= word;
        round(&mut self.v);
        round(&mut self.v);
        self.v[0] ^= word;
    }
}

/// Std's [`std::hash::Hasher`] on top, for hash tables keyed from a seed.
impl std::hash::Hasher for SipHasher {
    fn finish(&self) -> u64 {
        SipHasher::finish(self)
    }

    fn write(&mut self, bytes: &[u8]) {
        SipHasher::write(self, bytes);
    }
}

/// Makes [`SipHasher`]s with one key: hash tables whose order nobody outside can foresee.
#[derive(Clone)]
pub struct BuildSipHasher {
    key: [u8; 16],
}

impl BuildSipHasher {
    /// With `key`, from the seed of the machine.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }
}

/// The key stays out of logs.
impl std::fmt::Debug for BuildSipHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildSipHasher").finish_non_exhaustive()
    }
}

impl std::hash::BuildHasher for BuildSipHasher {
    type Hasher = SipHasher;

    fn build_hasher(&self) -> SipHasher {
        SipHasher::new(&self.key)
    }
}

fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> [u8; 16] {
        std::array::from_fn(|i| i as u8)
    }

    /// Appendix A of the SipHash paper: key 00..0f, input 00..0e.
    #[test]
    fn the_vector_of_the_paper() {
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(SipHasher::hash(&key(), &input), 0xa129_ca61_49be_45e5);
    }

    /// The first vectors of the reference implementation (lengths 0, 1, 8), little endian there.
    #[test]
    fn the_vectors_of_the_reference_code() {
        let want: [(usize, [u8; 8]); 3] = [
            (0, [0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72]),
            (1, [0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74]),
            (8, [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]),
        ];
        for (length, octets) in want {
            let input: Vec<u8> = (0..length as u8).collect();
            assert_eq!(SipHasher::hash(&key(), &input), u64::from_le_bytes(octets), "length {length}");
        }
    }

    #[test]
    fn pieces_do_not_matter_but_fields_do() {
        let input: Vec<u8> = (0..64).collect();
        for cut in 0..input.len() {
            let mut hasher = SipHasher::new(&key());
            hasher.write(&input[..cut]);
            hasher.write(&input[cut..]);
            assert_eq!(hasher.finish(), SipHasher::hash(&key(), &input), "cut at {cut}");
        }
        let fields = |a: &[u8], b: &[u8]| {
            let mut hasher = SipHasher::new(&key());
            hasher.field(a);
            hasher.field(b);
            hasher.finish()
        };
        assert_ne!(fields(b"ab", b"c"), fields(b"a", b"bc"));
    }
}
