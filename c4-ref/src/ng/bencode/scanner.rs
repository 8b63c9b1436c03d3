//! Finds the end of an item and checks it on the way, in pieces of any size.

use super::{Error, Limits};

/// Reads an item as it arrives: each octet once, with a state of some forty octets.
///
/// ```
/// use c4_ref::ng::bencode::{Limits, Scanner};
/// let mut scanner = Scanner::new(Limits::default());
/// assert_eq!(scanner.push(b"d7:comm"), Ok(None));
/// assert_eq!(scanner.push(b"and4:pinge next"), Ok(Some(10)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scanner {
    depth_limit: u8,
    items_left: u32,
    octets_limit: usize,
    /// Octets taken so far.
    at: usize,
    depth: u8,
    /// By level, the innermost lowest: whether it is a dictionary, and whether a key comes next.
    dicts: u32,
    keys: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// An item begins, or the list or dictionary ends.
    Item,
    /// In the length of a string.
    Length(usize),
    /// In a string, so many octets before its end.
    String(usize),
    /// After the `i`.
    Sign,
    /// In the digits of an integer.
    Integer { negative: bool, digits: u8, value: u64 },
    /// The item is complete.
    Done,
}

impl Scanner {
    /// For one item.
    pub fn new(limits: Limits) -> Scanner {
        Scanner {
            depth_limit: limits.depth.min(32),
            items_left: limits.items,
            octets_limit: limits.octets,
            at: 0,
            depth: 0,
            dicts: 0,
            keys: 0,
            state: State::Item,
        }
    }

    /// Takes the next octets. `Some(n)`: the item ended after `n` of them; `None`: more must come.
    ///
    /// # Errors
    /// As [`super::parse`], without [`Error::Truncated`] and [`Error::Trailing`]. No further call is of use.
    pub fn push(&mut self, octets: &[u8]) -> Result<Option<usize>, Error> {
        let mut rest = octets;
        loop {
            if let State::String(left) = self.state {
                let taken = left.min(rest.len());
                rest = rest.get(taken..).unwrap_or_default();
                self.at += taken;
                if left > taken {
                    self.state = State::String(left - taken);
                    return Ok(None);
                }
                self.complete();
            }
            if self.state == State::Done {
                return Ok(Some(octets.len() - rest.len()));
            }
            let Some((octet, tail)) = rest.split_first() else { return Ok(None) };
            if self.at >= self.octets_limit {
                return Err(Error::TooLong);
            }
            self.octet(*octet)?;
            self.at += 1;
            rest = tail;
        }
    }

    fn octet(&mut self, octet: u8) -> Result<(), Error> {
        let wrong = Err(Error::Syntax { at: self.at });
        match (self.state, octet) {
            (State::Item, b'e') => return self.close(),
            (State::Item, b'0'..=b'9') => {
                self.count()?;
                self.state = State::Length(usize::from(octet - b'0'));
            }
            (State::Item, b'i' | b'l' | b'd') if !self.expects_key() => {
                self.count()?;
                return self.open(octet);
            }
            (State::Length(length), b':') => {
                if length > self.octets_limit.saturating_sub(self.at + 1) {
                    return Err(Error::TooLong);
                }
                self.state = State::String(length);
            }
            // A length has no leading zero.
            (State::Length(length @ 1..), b'0'..=b'9') => {
                let length = length.saturating_mul(10).saturating_add(usize::from(octet - b'0'));
                if length > self.octets_limit {
                    return Err(Error::TooLong);
                }
                self.state = State::Length(length);
            }
            (State::Sign, b'-') => self.state = State::Integer { negative: true, digits: 0, value: 0 },
            (State::Sign, b'0'..=b'9') => {
                self.state = State::Integer { negative: false, digits: 1, value: u64::from(octet - b'0') };
            }
            (State::Integer { negative, digits, value }, b'0'..=b'9') => {
                return self.digit(negative, digits, value, octet - b'0');
            }
            (State::Integer { negative, digits: 1.., value }, b'e') if !(negative && value == 0) => self.complete(),
            _ => return wrong,
        }
        Ok(())
    }

    fn digit(&mut self, negative: bool, digits: u8, value: u64, digit: u8) -> Result<(), Error> {
        let wrong = Error::Syntax { at: self.at };
        if digits > 0 && value == 0 {
            return Err(wrong);
        }
        let most = i64::MAX.unsigned_abs() + u64::from(negative);
        let value = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit)));
        let value = value.filter(|value| *value <= most).ok_or(wrong)?;
        self.state = State::Integer { negative, digits: digits + 1, value };
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.items_left = self.items_left.checked_sub(1).ok_or(Error::TooMany)?;
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.depth > 0 && self.dicts & self.keys & 1 == 1
    }

    fn open(&mut self, octet: u8) -> Result<(), Error> {
        if octet == b'i' {
            self.state = State::Sign;
            return Ok(());
        }
        if self.depth >= self.depth_limit {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        self.dicts = self.dicts << 1 | u32::from(octet == b'd');
        self.keys = self.keys << 1 | 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        // A dictionary does not end between a key and its value.
        if self.depth == 0 || (self.dicts & 1 == 1 && !self.expects_key()) {
            return Err(Error::Syntax { at: self.at });
        }
        self.depth -= 1;
        self.dicts >>= 1;
        self.keys >>= 1;
        self.complete();
        Ok(())
    }

    fn complete(&mut self) {
        self.keys ^= 1;
        self.state = if self.depth == 0 { State::Done } else { State::Item };
    }
}
