//! Comma-separated values (RFC 3261 §7.3.1).

use super::grammar::{quoted_len, trim};

/// Splits the value of a header line at its commas; quoted strings and `<>` are kept whole.
///
/// A line that is empty has no values; an empty value between commas is one, so that a typed header refuses it.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a [u8]>,
    /// Whether commas separate; else the line is one value.
    list: bool,
}

impl<'a> Values<'a> {
    /// The values of a line.
    pub fn new(value: &'a [u8]) -> Values<'a> {
        let value = trim(value);
        Values { rest: (!value.is_empty()).then_some(value), list: true }
    }

    /// A line that is one value, whatever commas it holds.
    pub fn single(value: &'a [u8]) -> Values<'a> {
        Values { list: false, ..Values::new(value) }
    }

    /// What follows the values that were taken, from the first octet after the comma.
    pub(crate) fn rest(&self) -> Option<&'a [u8]> {
        self.rest
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        match if self.list { comma(rest) } else { None } {
            None => {
                self.rest = None;
                Some(trim(rest))
            }
            Some(at) => {
                self.rest = rest.get(at + 1..);
                rest.get(..at).map(trim)
            }
        }
    }
}

/// Where the first comma outside of quotes and brackets stands.
pub(crate) fn comma(value: &[u8]) -> Option<usize> {
    let first = memchr::memchr(b',', value)?;
    // Most lines have no quote or bracket before their first comma.
    if memchr::memchr2(b'"', b'<', value.get(..first)?).is_none() {
        return Some(first);
    }
    let mut at = 0;
    loop {
        let rest = value.get(at..)?;
        let next = memchr::memchr3(b',', b'"', b'<', rest)?;
        at += next;
        let here = value.get(at..)?;
        match here.first()? {
            b',' => return Some(at),
            // An unclosed quote or bracket swallows the line: a typed header refuses it.
            b'"' => at += quoted_len(here)?,
            _ => at += memchr::memchr(b'>', here)? + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &str) -> Vec<&str> {
        Values::new(value.as_bytes()).map(|v| std::str::from_utf8(v).expect("text")).collect()
    }

    #[test]
    fn rfc3261_7_3_1_commas_in_quotes_and_brackets_do_not_split() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(
            split("\"A, \\\" B\" <sip:a,b@c>;x=\"1,2\", <sip:d>"),
            ["\"A, \\\" B\" <sip:a,b@c>;x=\"1,2\"", "<sip:d>"]
        );
        assert_eq!(split(""), Vec::<&str>::new());
        assert_eq!(split("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(split("\"open, b"), ["\"open, b"]);
    }
}
