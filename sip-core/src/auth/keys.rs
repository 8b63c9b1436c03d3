//! Key rings: secrets shared between processes, with a way to replace them (format as data, no I/O).

use std::fmt::Write as _;

use super::hex;

/// Octets of a secret.
pub const SECRET_OCTETS: usize = 32;
/// Most keys that a ring holds: one current, one to come, and retired ones.
const MAX_KEYS: usize = 64;

/// One secret of a [`KeyRing`]. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number, unique within the ring; what was made with it names it.
    pub id: u16,
    /// Unix time in seconds from which it is the current one.
    pub from: u64,
    /// The secret.
    pub secret: [u8; SECRET_OCTETS],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, from {})", self.id, self.from)
    }
}

/// Secrets in the order of their beginnings.
///
/// The **current** key is the youngest that has begun: it makes. A key that has a successor is **retired**: what it made
/// is still accepted one lifetime longer. All processes that read the same ring switch at the same second, without
/// talking to each other, when a new key is written with a `from` in the future.
///
/// The file is text, a line `key ID FROM SECRET` for each key, `#` begins a comment:
///
/// ```
/// use c4_sip_core::auth::KeyRing;
/// let text = "# c4 keys\nkey 1 1700000000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
/// let mut ring = KeyRing::parse(text).unwrap();
/// assert_eq!(ring.current(1_700_000_001).unwrap().id, 1);
/// ring.rotate(1_700_003_600, [7; 32], 300);
/// assert_eq!(ring.current(1_700_003_601).unwrap().id, 2);
/// assert!(ring.accepts(1, 1_700_003_601, 300).is_some()); // retired, one lifetime longer
/// assert!(ring.accepts(1, 1_700_003_900, 300).is_none());
/// assert_eq!(KeyRing::parse(&ring.format()).unwrap(), ring);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    /// Ascending by `(from, id)`.
    keys: Vec<Key>,
}

/// Why a key file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct KeyRingError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: KeyRingProblem,
}

/// What is wrong with a line of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingProblem {
    /// Not `key ID FROM SECRET`.
    #[error("expected \"key ID UNIX-SECONDS SECRET\"")]
    Syntax,
    /// The secret has not 64 hex digits.
    #[error("the secret must be 64 hex digits")]
    Secret,
    /// Two keys have this number.
    #[error("a key of this number stands already")]
    Duplicate,
    /// More keys than a ring holds.
    #[error("more than 64 keys")]
    TooMany,
    /// No key at all (named on the line after the last).
    #[error("no key")]
    Empty,
}

impl KeyRing {
    /// A ring of one key that is current from the beginning of time.
    pub fn single(secret: [u8; SECRET_OCTETS]) -> Self {
        Self { keys: vec![Key { id: 1, from: 0, secret }] }
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut ring = Self::default();
        let mut last = 0;
        for (at, line) in text.lines().enumerate() {
            last = at + 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let key = parse_line(line).and_then(|key| ring.admit(key));
            key.map_err(|problem| KeyRingError { line: last, problem })?;
        }
        if ring.keys.is_empty() {
            return Err(KeyRingError { line: last + 1, problem: KeyRingProblem::Empty });
        }
        Ok(ring)
    }

    /// Writes the text of a key file.
    pub fn format(&self) -> String {
        let mut text = String::from("# c4 keys, oldest first; keep secret\n");
        for key in &self.keys {
            let _ = write!(text, "key {} {} ", key.id, key.from);
            for octet in &key.secret {
                let _ = write!(text, "{octet:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// The keys, oldest first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key to make with at `unix` seconds. Before the first has begun, the first; `None` for an empty ring.
    pub fn current(&self, unix: u64) -> Option<&Key> {
        self.keys.iter().rev().find(|key| key.from <= unix).or_else(|| self.keys.first())
    }

    /// The key numbered `id`, if what it made may still be accepted at `unix` seconds, given that such a thing lives
    /// `lifetime` seconds.
    pub fn accepts(&self, id: u16, unix: u64, lifetime: u64) -> Option<&Key> {
        let at = self.keys.iter().position(|key| key.id == id)?;
        match self.keys.get(at + 1) {
            Some(successor) if successor.from.saturating_add(lifetime) <= unix => None,
            _ => self.keys.get(at),
        }
    }

    /// Adds a key that begins at `from`, and forgets those that nothing alive was made with.
    pub fn rotate(&mut self, from: u64, secret: [u8; SECRET_OCTETS], lifetime: u64) {
        let dead = self.keys.windows(2).filter(|pair| match pair {
            [_, successor] => successor.from.saturating_add(lifetime) <= from,
            _ => false,
        });
        let dead = dead.count().max((self.keys.len() + 1).saturating_sub(MAX_KEYS));
        self.keys.drain(..dead.min(self.keys.len()));
        let mut id = self.keys.last().map_or(1, |key| key.id.wrapping_add(1));
        while self.keys.iter().any(|key| key.id == id) {
            id = id.wrapping_add(1);
        }
        let from = self.keys.last().map_or(from, |key| key.from.max(from));
        self.keys.push(Key { id, from, secret });
    }

    fn admit(&mut self, key: Key) -> Result<(), KeyRingProblem> {
        if self.keys.iter().any(|other| other.id == key.id) {
            return Err(KeyRingProblem::Duplicate);
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(KeyRingProblem::TooMany);
        }
        let at = self.keys.partition_point(|other| (other.from, other.id) < (key.from, key.id));
        self.keys.insert(at, key);
        Ok(())
    }
}

fn parse_line(line: &str) -> Result<Key, KeyRingProblem> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().ok_or(KeyRingProblem::Syntax);
    if word()? != "key" {
        return Err(KeyRingProblem::Syntax);
    }
    let id = word()?.parse().map_err(|_| KeyRingProblem::Syntax)?;
    let from = word()?.parse().map_err(|_| KeyRingProblem::Syntax)?;
    let secret = hex::decode(word()?.as_bytes()).ok_or(KeyRingProblem::Secret)?;
    match words.next() {
        Some(_) => Err(KeyRingProblem::Syntax),
        None => Ok(Key { id, from, secret }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u16, from: u64) -> String {
        format!("key {id} {from} {}\n", "ab".repeat(32))
    }

    #[test]
    fn a_key_of_the_future_verifies_but_does_not_make_yet() {
        let ring = KeyRing::parse(&(line(2, 200) + &line(1, 100))).unwrap();
        assert_eq!(ring.current(50).unwrap().id, 1);
        assert_eq!(ring.current(199).unwrap().id, 1);
        assert_eq!(ring.current(200).unwrap().id, 2);
        assert!(ring.accepts(2, 150, 30).is_some(), "the pair's other half may be a second ahead");
        assert!(ring.accepts(1, 229, 30).is_some());
        assert!(ring.accepts(1, 230, 30).is_none());
        assert!(ring.accepts(9, 150, 30).is_none());
    }

    #[test]
    fn errors_name_the_line() {
        let problem = |text: &str| {
            let error = KeyRing::parse(text).unwrap_err();
            (error.line, error.problem)
        };
        assert_eq!(problem(""), (1, KeyRingProblem::Empty));
        assert_eq!(problem("# only\n"), (2, KeyRingProblem::Empty));
        assert_eq!(problem(&(line(1, 0) + &line(1, 1))), (2, KeyRingProblem::Duplicate));
        assert_eq!(problem("key 1 0 abcd"), (1, KeyRingProblem::Secret));
        assert_eq!(problem("key 1 x abcd"), (1, KeyRingProblem::Syntax));
        assert_eq!(problem(&format!("{} more", line(1, 0).trim())), (1, KeyRingProblem::Syntax));
        let many: String = (0..65).map(|id| line(id, u64::from(id))).collect();
        assert_eq!(problem(&many), (65, KeyRingProblem::TooMany));
    }

    #[test]
    fn rotation_forgets_what_nothing_alive_was_made_with_and_stays_bounded() {
        let mut ring = KeyRing::single([1; 32]);
        for hour in 1..200u64 {
            ring.rotate(hour * 3600, [2; 32], 300);
            assert!(ring.keys().len() <= 2, "{ring:?}");
        }
        for second in 0..200 {
            ring.rotate(800_000 + second, [3; 32], 86_400);
            assert!(ring.keys().len() <= MAX_KEYS);
        }
        assert_eq!(KeyRing::parse(&ring.format()).unwrap(), ring);
    }
}
