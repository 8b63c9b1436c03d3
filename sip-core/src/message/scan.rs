//! Finding the lines of a head, and the one rule for the length of a message.

use memchr::{memchr, memchr_iter};

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
        let Some(next) = memchr(b'\n', rest) else {
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
    let start_end = line_len(buf)?.ok_or(ParseError::Truncated)?;
    if start_end > limits.max_start_line {
        return Err(ParseError::StartLineTooLong);
    }
    let (start, mut flaw) = start_line(buf.get(..start_end - 2).unwrap_or_default())?;
    let mut lines = Vec::with_capacity(USUAL_LINES);
    let mut declared = Declared::Absent;
    let mut line_feeds = 1;
    let max_line = limits.max_header.min(Limits::HEADER_CEILING);
    let mut at = start_end;
    let whole = loop {
        let rest = buf.get(at..).unwrap_or_default();
        if let [b'\r', b'\n', ..] = rest {
            at += 2;
            line_feeds += 1;
            break at;
        }
        let before = line_feeds;
        let Some(len) = folded_len(rest, &mut line_feeds)? else {
            // The lines that are whole suffice for an answer.
            flaw = flaw.or(Some(DefectKind::Truncated));
            line_feeds = before;
            break std::mem::replace(&mut at, buf.len());
        };
        if len > max_line {
            return Err(ParseError::HeaderTooLong);
        }
        if lines.len() >= limits.max_headers {
            return Err(ParseError::TooManyHeaders);
        }
        let line = line(rest, len, at);
        if line.is(Header::ContentLength) {
            declared = declare(declared, line.value(buf));
        } else if line.is_malformed() {
            flaw = flaw.or(Some(DefectKind::HeaderLine));
        }
        lines.push(line);
        at += len;
    };
    // Every LF came after a CR: if there are more CRs, one of them stands alone. What is cut off is copied nowhere.
    if memchr_iter(b'\r', buf.get(..whole).unwrap_or_default()).count() != line_feeds {
        return Err(ParseError::BareLineEnd);
    }
    let start_line = Span { start: 0, len: start_end as u32, own: false };
    Ok(Head { start, start_line, lines, end: at, declared, flaw })
}

/// The length of the line at the start of `rest`, with its CRLF. None: it has no end.
#[inline]
fn line_len(rest: &[u8]) -> Result<Option<usize>, ParseError> {
    let Some(lf) = memchr(b'\n', rest) else { return Ok(None) };
    match rest.get(lf.wrapping_sub(1)) {
        Some(b'\r') => Ok(Some(lf + 1)),
        _ => Err(ParseError::BareLineEnd),
    }
}

/// As [`line_len`], with the lines that continue it. The octet after a line says whether it is continued.
#[inline]
fn folded_len(rest: &[u8], line_feeds: &mut usize) -> Result<Option<usize>, ParseError> {
    let Some(mut len) = line_len(rest)? else { return Ok(None) };
    *line_feeds += 1;
    while let Some(b' ' | b'\t') = rest.get(len) {
        match line_len(rest.get(len..).unwrap_or_default())? {
            Some(more) => {
                len += more;
                *line_feeds += 1;
            }
            None => return Ok(None),
        }
    }
    Ok(Some(len))
}

/// Indexes one line: `name HCOLON value CRLF`. Blanks before the colon belong to HCOLON (RFC 3261 §25.1).
#[inline]
fn line(rest: &[u8], len: usize, at: usize) -> Line {
    let octets = rest.get(..len).unwrap_or_default();
    let Some(colon) = colon(octets) else { return Line::malformed(at, octets.len()) };
    let (mut name, after) = octets.split_at_checked(colon).unwrap_or_default();
    while let [before @ .., b' ' | b'\t'] = name {
        name = before;
    }
    let header = Header::lookup_at(rest, name.len());
    if header.is_none() && (name.is_empty() || !name.iter().all(|c| is_token(*c))) {
        return Line::malformed(at, octets.len());
    }
    let blank = match after {
        [_, b' ', c, ..] if !is_lws(*c) => 1,
        [_, after @ ..] => after.iter().take_while(|c| is_lws(**c)).count(),
        [] => 0,
    };
    let value = after.get(1 + blank..).unwrap_or_default();
    let tail = match value {
        [.., c, b'\r', b'\n'] if !is_lws(*c) => 2,
        // An empty value: all white space stands before it.
        _ => value.iter().rev().take_while(|c| is_lws(**c)).count(),
    };
    Line::new(at, octets.len(), name.len(), colon + 1 + blank, tail, header)
}

/// Where the first colon stands: eight octets at a time, since names are short.
#[inline]
fn colon(octets: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut rest = octets;
    let mut at = 0;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        // An octet that is zero after the exclusive-or was a colon; the lowest such bit is exact.
        let x = u64::from_le_bytes(*word) ^ (ONES * b':' as u64);
        let found = x.wrapping_sub(ONES) & !x & (ONES << 7);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        rest = after;
        at += 8;
    }
    rest.iter().position(|c| *c == b':').map(|found| at + found)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    /// The answer to a head that is cut off copies its whole lines: they must be clean.
    #[test]
    fn a_bare_cr_in_a_head_that_is_cut_off_is_found() {
        let parse = |text: &'static str| Message::parse(text.into(), &Limits::default()).map(|_| ());
        assert_eq!(parse("OPTIONS sip:b SIP/2.0\r\nVia: x\r\r\nTo: cut"), Err(ParseError::BareLineEnd));
        assert_eq!(parse("OPTIONS sip:b SIP/2.0\r\nVia: x\r\nTo: cut\r"), Ok(()), "the CR of a line that is cut off");
        assert_eq!(parse("OPTIONS sip:b SIP/2.0\r\nVia: x\r\nTo: a\r\n cut"), Ok(()));
    }
}
