//! The key ring behind the tokens: what signs now, what still verifies, and its file.
//!
//! The file is text, shared by a pair of load balancers and kept over restarts:
//! ```text
//! salt 0001...1f
//! key 1 1763712000 2021...3f
//! key 2 1763884800 4041...5f
//! ```
//! `key ID FROM SECRET`: a key signs from `FROM` (seconds of Unix time) until the next key's `FROM`, and verifies
//! one token lifetime longer. `salt` is never rotated: what has to stay equal over a rotation (the branch of a
//! retransmission, the choice of a backend) hangs on it.

use crate::siphash::BuildSipHasher;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher};

/// Keys a ring holds at most; more in a file is an error.
pub const MAX_KEYS: usize = 64;

/// A secret with its id and the time from which it signs.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: u8,
    from: u64,
    secret: [u8; 32],
    /// HMAC-SHA256 with the secret already absorbed: a clone is cheaper than keying anew.
    mac: Hmac<Sha256>,
    /// Key of the 64-bit tags of reply tokens, derived from the secret.
    reply: BuildSipHasher,
}

impl Key {
    fn new(id: u8, from: u64, secret: [u8; 32]) -> Result<Self, KeyError> {
        let mac = Hmac::<Sha256>::new_from_slice(&secret).map_err(|_| KeyError::Secret)?;
        let derived = mac.clone().chain_update(b"c4 reply token").finalize().into_bytes();
        let reply = derived.first_chunk::<16>().copied().map(BuildSipHasher::new).ok_or(KeyError::Secret)?;
        Ok(Self { id, from, secret, mac, reply })
    }

    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        self.mac.clone()
    }

    /// The tag of a reply token: 64 bits over its body and the branch it stands beside.
    pub(crate) fn reply_tag(&self, body: &[u8], branch: &[u8]) -> u64 {
        let mut hasher = self.reply.build_hasher();
        hasher.write(body);
        hasher.write_u8(body.len() as u8);
        hasher.write(branch);
        hasher.finish()
    }
}

/// The keys of a load balancer (or of a pair), sorted by the time from which they sign.
///
/// ```
/// use c4_nat::keys::KeyRing;
/// let first = KeyRing::generate([7; 32], [1; 32], 1_000);
/// let later = first.rotated([2; 32], 5_000, 3_600);
/// assert_eq!(KeyRing::parse(&later.to_text()).unwrap(), later);
/// assert_eq!(later.len(), 2);
/// ```
#[derive(Clone)]
pub struct KeyRing {
    salt: [u8; 32],
    keys: Vec<Key>,
}

impl PartialEq for KeyRing {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Key, b: &Key| a.id == b.id && a.from == b.from && a.secret == b.secret;
        self.salt == other.salt
            && self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(a, b)| same(a, b))
    }
}

/// Ids and times only: secrets never reach a log.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|k| (k.id, k.from))).finish()
    }
}

/// Why a line of a key file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A line that is neither empty, a comment, `salt HEX` nor `key ID FROM HEX`.
    #[error("expected \"salt HEX\" or \"key ID FROM HEX\"")]
    Line,
    /// The id is no number from 0 to 255.
    #[error("the key id must be a number from 0 to 255")]
    Id,
    /// An id stands twice.
    #[error("the key id stands twice")]
    Twice,
    /// The time is no number of seconds.
    #[error("the time from which the key signs must be in seconds of Unix time")]
    From,
    /// The secret is not 64 hexadecimal digits.
    #[error("the secret and the salt must be 64 hexadecimal digits")]
    Secret,
    /// More than [`MAX_KEYS`] keys.
    #[error("more than 64 keys")]
    Many,
    /// The file has no key or no salt.
    #[error("the file needs one salt and at least one key")]
    Empty,
}

/// A [`KeyError`] and the line (from 1; 0: the file as a whole) that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct KeyFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: KeyError,
}

impl KeyRing {
    /// A ring with one key that signs from `unix` on; `salt` and `secret` come from a random source.
    pub fn generate(salt: [u8; 32], secret: [u8; 32], unix: u64) -> Self {
        Self { salt, keys: Key::new(1, unix, secret).into_iter().collect() }
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut salt = None;
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let fail = |kind| KeyFileError { line: index + 1, kind };
            let mut words = line.split_whitespace();
            match words.next() {
                None => {}
                Some(word) if word.starts_with('#') => {}
                Some("salt") if salt.is_none() => {
                    salt = Some(hex(words.next().unwrap_or_default()).ok_or(fail(KeyError::Secret))?);
                }
                Some("key") => {
                    let key = parse_key(&mut words).map_err(fail)?;
                    if keys.iter().any(|k| k.id == key.id) {
                        return Err(fail(KeyError::Twice));
                    }
                    if keys.len() == MAX_KEYS {
                        return Err(fail(KeyError::Many));
                    }
                    keys.push(key);
                }
                Some(_) => return Err(fail(KeyError::Line)),
            }
            if words.next().is_some_and(|w| !w.starts_with('#')) && !line.trim_start().starts_with('#') {
                return Err(fail(KeyError::Line));
            }
        }
        let empty = KeyFileError { line: 0, kind: KeyError::Empty };
        keys.sort_by_key(|k| k.from);
        let salt = salt.ok_or(empty)?;
        if keys.is_empty() { Err(empty) } else { Ok(Self { salt, keys }) }
    }

    /// The text of the ring's file.
    pub fn to_text(&self) -> String {
        let mut out = String::from("# Token keys of a load balancer pair. Secret: readable by its user only.\nsalt ");
        push_hex(&mut out, &self.salt);
        for key in &self.keys {
            let _ = write!(out, "\nkey {} {} ", key.id, key.from);
            push_hex(&mut out, &key.secret);
        }
        out.push('\n');
        out
    }

    /// The ring with one more key that signs from `from` on (leave both halves of a pair the time to read the
    /// file), without the keys that verify nothing any more at that time, given the token `lifetime` in seconds.
    pub fn rotated(&self, secret: [u8; 32], from: u64, lifetime: u64) -> Self {
        let newest = self.keys.last().map_or(0, |k| k.id);
        let free = (1..=u8::MAX).map(|d| newest.wrapping_add(d)).find(|id| self.keys.iter().all(|k| k.id != *id));
        let mut keys: Vec<Key> =
            self.keys.iter().filter(|k| self.retired(k).is_none_or(|at| at + lifetime >= from)).cloned().collect();
        if keys.len() == MAX_KEYS {
            keys.remove(0);
        }
        keys.extend(free.and_then(|id| Key::new(id, from, secret).ok()));
        keys.sort_by_key(|k| k.from);
        Self { salt: self.salt, keys }
    }

    /// How many keys the ring holds.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the ring holds no key (a parsed or generated one always does).
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The part that is never rotated, for hashes that must stay equal over a rotation.
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// The key that signs at `unix`.
    pub(crate) fn signer(&self, unix: u64) -> Option<&Key> {
        self.keys.iter().rev().find(|k| k.from <= unix).or(self.keys.first())
    }

    /// The key `id` if it may still verify at `unix`. A key ahead of its time verifies: the other half's clock may
    /// be ahead of ours.
    pub(crate) fn verifier(&self, id: u8, unix: u64, lifetime: u64) -> Option<&Key> {
        let key = self.keys.iter().find(|k| k.id == id)?;
        self.retired(key).is_none_or(|at| unix <= at.saturating_add(lifetime)).then_some(key)
    }

    /// When the next key takes over from `key`.
    fn retired(&self, key: &Key) -> Option<u64> {
        self.keys.iter().map(|k| k.from).find(|from| *from > key.from)
    }
}

fn parse_key<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Key, KeyError> {
    let id = words.next().and_then(|w| w.parse().ok()).ok_or(KeyError::Id)?;
    let from = words.next().and_then(|w| w.parse().ok()).ok_or(KeyError::From)?;
    let secret = words.next().and_then(hex).ok_or(KeyError::Secret)?;
    Key::new(id, from, secret)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (octet, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        for &digit in pair {
            *octet = *octet << 4 | char::from(digit).to_digit(16)? as u8;
        }
    }
    Some(out)
}

fn push_hex(out: &mut String, data: &[u8]) {
    for octet in data {
        let _ = write!(out, "{octet:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::generate([9; 32], [1; 32], 1_000).rotated([2; 32], 2_000, 500)
    }

    #[test]
    fn the_newest_key_that_has_begun_signs() {
        let ring = ring();
        assert_eq!(ring.signer(1_500).unwrap().id, 1);
        assert_eq!(ring.signer(2_000).unwrap().id, 2);
        assert_eq!(ring.signer(0).unwrap().id, 1, "a clock before all keys still signs");
    }

    #[test]
    fn a_retired_key_verifies_one_lifetime_longer() {
        let ring = ring();
        assert!(ring.verifier(1, 2_500, 500).is_some());
        assert!(ring.verifier(1, 2_501, 500).is_none());
        assert!(ring.verifier(2, 1_000_000, 500).is_some(), "the newest never retires");
        assert!(ring.verifier(2, 1_500, 500).is_some(), "the other half's clock may be ahead");
        assert!(ring.verifier(3, 1_500, 500).is_none());
    }

    #[test]
    fn rotation_drops_what_verifies_nothing() {
        let ring = ring().rotated([3; 32], 2_400, 500);
        assert_eq!(ring.len(), 3);
        let ring = ring.rotated([4; 32], 2_600, 500);
        assert_eq!(ring.len(), 3, "key 1 was retired at 2000 and is gone at 2501");
        assert!(ring.verifier(1, 2_600, 500).is_none());
        assert_eq!(ring.salt(), &[9; 32]);
    }

    #[test]
    fn ids_wrap_and_stay_unique() {
        let mut ring = ring();
        for round in 0..600u64 {
            ring = ring.rotated([5; 32], 3_000 + round, 1_000_000);
            let mut ids: Vec<u8> = ring.keys.iter().map(|k| k.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), ring.len());
            assert!(ring.len() <= MAX_KEYS);
        }
        assert_eq!(ring.len(), MAX_KEYS);
    }

    #[test]
    fn a_file_comes_back_as_it_was_and_errors_name_the_line() {
        let text = ring().to_text();
        assert_eq!(KeyRing::parse(&text).unwrap(), ring());
        let secret = "00".repeat(32);
        for (text, line, kind) in [
            ("salt 00\n".into(), 1, KeyError::Secret),
            (format!("salt {}\n", "0".repeat(64)), 0, KeyError::Empty),
            (format!("key 1 1 {secret}"), 0, KeyError::Empty),
            (format!("\n\nkey 256 1 {secret}"), 3, KeyError::Id),
            (format!("key 1 soon {secret}"), 1, KeyError::From),
            ("key 1 1 zz".into(), 1, KeyError::Secret),
            (format!("key 1 1 {secret}\nkey 1 2 {secret}"), 2, KeyError::Twice),
            (format!("key 1 1 {secret} more"), 1, KeyError::Line),
            ("keys".into(), 1, KeyError::Line),
        ] {
            assert_eq!(KeyRing::parse(&text), Err(KeyFileError { line, kind }), "{text}");
        }
    }

    #[test]
    fn secrets_never_reach_a_log() {
        let shown = format!("{:?}", ring());
        assert_eq!(shown, "[(1, 1000), (2, 2000)]");
    }
}
