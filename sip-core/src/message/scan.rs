//! Finding the lines of a head, and the one rule for the length of a message.

use memchr::memchr2;

use super::error::{DefectKind, ParseError};
use super::line::{Line, Span};
use super::start::{Start, start_line};
use crate::Limits;
use crate::header::Header;
use crate::header::grammar::{decimal, is_lws, is_token};

/// Room for the lines of a usual message and some edits, so that the index is one allocation.
const USUAL_LINES: usize = 32;

/// A head that is there to its end.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: Start,
    pub(super) start_line: Span,
    pub(super) lines: Vec<Line>,
    /// Where the body starts.
    pub(super) end: usize,
    pub(super) declared: Declared,
    /// The first thing that is wrong with it.
    pub(super) flaw: Option<DefectKind>,
}

/// What the Content-Length lines say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Absent,
    Octets(usize),
    Bad(DefectKind),
}

/// How a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A datagram with this many octets after the head.
    Datagram(usize),
    /// A stream: only Content-Length says where the body ends.
    Stream,
}

/// The length of a body, for datagrams and streams alike (RFC 3261 §18.3).
pub(super) fn body_length(declared: Declared, framing: Framing) -> Result<usize, DefectKind> {
    match (declared, framing) {
        (Declared::Bad(kind), _) => Err(kind),
        (Declared::Absent, Framing::Datagram(rest)) => Ok(rest),
        (Declared::Absent, Framing::Stream) => Err(DefectKind::NoContentLength),
        (Declared::Octets(octets), Framing::Datagram(rest)) if octets > rest => Err(DefectKind::ShortBody),
        (Declared::Octets(octets), _) => Ok(octets),
    }
}

/// Where the search for the end of a head goes on when more octets come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resume {
    at: usize,
}

/// The end of the head: the first octet after the blank line. Each octet is looked at once over all calls.
pub(super) fn head_end(buf: &[u8], resume: &mut Resume) -> Option<usize> {
    loop {
        let rest = buf.get(resume.at..)?;
        let Some(next) = memchr::memchr(b'\n', rest) else {
            resume.at = buf.len();
            return None;
        };
        let lf = resume.at + next;
        resume.at = lf + 1;
        if lf >= 3 && buf.get(lf - 3..=lf) == Some(b"\r\n\r\n") {
            return Some(lf + 1);
        }
    }
}

/// Reads a head. One that is cut off after its first line is kept with that flaw; streams call this with whole heads.
pub(super) fn head(buf: &[u8], limits: &Limits) -> Result<Head, ParseError> {
    let start_end = line_end(buf, 0)?;
    if start_end > limits.max_start_line {
        return Err(ParseError::StartLineTooLong);
    }
    let first = buf.get(..start_end - 2).ok_or(ParseError::Truncated)?;
    let (start, mut flaw) = start_line(first)?;
    let mut lines = Vec::with_capacity(USUAL_LINES);
    let mut declared = Declared::Absent;
    let max_line = limits.max_header.min(Limits::HEADER_CEILING);
    let mut at = start_end;
    loop {
        let mut end = match line_end(buf, at) {
            Err(ParseError::Truncated) => {
                // The lines that are whole suffice for an answer.
                flaw = flaw.or(Some(DefectKind::Truncated));
                at = buf.len();
                break;
            }
            other => other?,
        };
        if end == at + 2 {
            at = end;
            break;
        }
        // The octet after a line says whether it is continued.
        while matches!(buf.get(end), Some(b' ' | b'\t')) {
            end = line_end(buf, end)?;
        }
        if end - at > max_line {
            return Err(ParseError::HeaderTooLong);
        }
        if lines.len() >= limits.max_headers {
            return Err(ParseError::TooManyHeaders);
        }
        let octets = buf.get(at..end).ok_or(ParseError::Truncated)?;
        let line = line(octets, at);
        if line.is(Header::ContentLength) {
            declared = declare(declared, line.value(buf));
        } else if line.is_malformed() {
            flaw = flaw.or(Some(DefectKind::HeaderLine));
        }
        lines.push(line);
        at = end;
    }
    let start_line = Span { start: 0, len: start_end as u32, own: false };
    Ok(Head { start, start_line, lines, end: at, declared, flaw })
}

/// The first octet after the CRLF of the line at `at`.
#[inline]
fn line_end(buf: &[u8], at: usize) -> Result<usize, ParseError> {
    let rest = buf.get(at..).ok_or(ParseError::Truncated)?;
    let next = memchr2(b'\r', b'\n', rest).ok_or(ParseError::Truncated)?;
    match rest.get(next..) {
        Some([b'\r', b'\n', ..]) => Ok(at + next + 2),
        Some([b'\r']) => Err(ParseError::Truncated),
        _ => Err(ParseError::BareLineEnd),
    }
}

/// Indexes one line: `name HCOLON value CRLF`. Blanks before the colon belong to HCOLON (RFC 3261 §25.1).
#[inline]
fn line(octets: &[u8], at: usize) -> Line {
    let name = octets.iter().position(|c| !is_token(*c)).unwrap_or(0);
    let mut value = name;
    while matches!(octets.get(value), Some(b' ' | b'\t')) {
        value += 1;
    }
    if name == 0 || octets.get(value) != Some(&b':') {
        return Line::malformed(at, octets.len());
    }
    value += 1;
    while octets.get(value).is_some_and(|c| is_lws(*c)) {
        value += 1;
    }
    let mut end = octets.len();
    while end > value && octets.get(end - 1).is_some_and(|c| is_lws(*c)) {
        end -= 1;
    }
    // An empty value: the white space after the colon is all tail.
    let header = octets.get(..name).and_then(Header::lookup);
    Line::new(at, octets.len(), name, value, octets.len() - end, header)
}

/// Content-Length may stand once; every further one is a conflict, equal or not.
fn declare(before: Declared, value: &[u8]) -> Declared {
    match before {
        Declared::Absent => match decimal(value, u64::from(u32::MAX)) {
            Some(octets) => Declared::Octets(octets as usize),
            None => Declared::Bad(DefectKind::ContentLength),
        },
        _ => Declared::Bad(DefectKind::ContentLengthConflict),
    }
}
