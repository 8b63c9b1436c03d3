//! Whether a description says something else than the one before (RFC 3264 §8: then o= counts up).

use super::Session;
use super::index::Line;
use crate::line::Origin;

impl Session {
    /// Whether both are the same, line by line, but for the version field of `o=`. Line ends do not count.
    ///
    /// ```
    /// use c4_sdp::{Limits, Session};
    /// let parse = |text: &'static str| Session::parse(text.into(), &Limits::default()).unwrap();
    /// let first = parse("v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n");
    /// assert!(first.same_but_for_version(&parse("v=0\r\no=- 7 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")));
    /// assert!(!first.same_but_for_version(&parse("v=0\r\no=- 8 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")));
    /// ```
    pub fn same_but_for_version(&self, other: &Session) -> bool {
        self.lines.len() == other.lines.len()
            && self.lines.iter().zip(&other.lines).all(|(a, b)| self.same_line(a, other, b))
    }

    fn same_line(&self, a: &Line, other: &Session, b: &Line) -> bool {
        if a.letter() != b.letter() {
            return false;
        }
        let (left, right) = (self.line_value(a), other.line_value(b));
        if left == right {
            return true;
        }
        if a.letter() != b'o' {
            return false;
        }
        let origin = |octets| Origin::parse(std::str::from_utf8(octets).unwrap_or_default());
        match (origin(left), origin(right)) {
            (Some(left), Some(right)) => {
                Origin { session_version: "", ..left } == Origin { session_version: "", ..right }
            }
            _ => false,
        }
    }
}

impl PartialEq for Session {
    /// Both are written alike, octet for octet but for the line ends.
    fn eq(&self, other: &Session) -> bool {
        self.lines.len() == other.lines.len()
            && self
                .lines
                .iter()
                .zip(&other.lines)
                .all(|(a, b)| a.letter() == b.letter() && self.line_value(a) == other.line_value(b))
    }
}

impl Eq for Session {}
