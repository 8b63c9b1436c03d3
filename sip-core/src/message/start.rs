//! Request and status lines (RFC 3261 §7.1, §7.2).

use super::error::{DefectKind, ParseError};
use super::line::Span;
use crate::header::grammar::is_token;
use crate::{Method, StatusCode};

/// What the first line says.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Request { method: Method, uri: Span },
    Response { status: StatusCode, reason: Span },
}

/// The version in all our messages.
pub(super) const VERSION: &[u8] = b"SIP/2.0";

/// Reads a start line without its CRLF. A line that is recognisably SIP but malformed is kept with its flaw.
pub(super) fn start_line(line: &[u8]) -> Result<(Start, Option<DefectKind>), ParseError> {
    if is_version(line.get(..7).unwrap_or_default()) && line.get(7) == Some(&b' ') {
        status_line(line)
    } else {
        request_line(line)
    }
}

/// "SIP/" DIGIT "." DIGIT.
fn is_version(text: &[u8]) -> bool {
    match text {
        [s, i, p, b'/', major, b'.', minor] => {
            [*s, *i, *p].eq_ignore_ascii_case(b"SIP") && major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

fn version_flaw(text: &[u8]) -> Option<DefectKind> {
    (text != VERSION && !text.eq_ignore_ascii_case(VERSION)).then_some(DefectKind::Version)
}

/// `SIP/2.0 SP 3DIGIT SP reason`; a missing last blank is tolerated.
fn status_line(line: &[u8]) -> Result<(Start, Option<DefectKind>), ParseError> {
    let (version, rest) = line.split_at_checked(7).ok_or(ParseError::StartLine)?;
    let [b' ', a, b, c, after @ ..] = rest else { return Err(ParseError::StartLine) };
    let digit = |d: &u8| d.is_ascii_digit().then(|| u16::from(d - b'0')).ok_or(ParseError::StartLine);
    let code = digit(a)? * 100 + digit(b)? * 10 + digit(c)?;
    let status = StatusCode::new(code).ok_or(ParseError::StartLine)?;
    let reason = match after {
        [] => Span { start: 11, len: 0, own: false },
        [b' ', reason @ ..] => Span { start: 12, len: reason.len() as u32, own: false },
        _ => return Err(ParseError::StartLine),
    };
    Ok((Start::Response { status, reason }, version_flaw(version)))
}

/// `method SP uri SP version`. Surplus blanks are a flaw, and the URI is what stands between.
fn request_line(line: &[u8]) -> Result<(Start, Option<DefectKind>), ParseError> {
    let bad = ParseError::StartLine;
    let blank = memchr::memchr(b' ', line).ok_or(bad)?;
    let (method, _) = line.split_at_checked(blank).ok_or(bad)?;
    let method = match Method::known(method) {
        Some(method) => method,
        None if method.is_empty() || !method.iter().all(|c| is_token(*c)) => return Err(bad),
        None => Method::Other(std::str::from_utf8(method).map_err(|_| bad)?.into()),
    };
    let trimmed = line.trim_ascii_end();
    let version_at = memchr::memrchr(b' ', trimmed).ok_or(bad)?;
    let version = trimmed.get(version_at + 1..).ok_or(bad)?;
    if !is_version(version) {
        return Err(bad);
    }
    let between = trimmed.get(blank + 1..version_at).ok_or(bad)?;
    let uri = between.trim_ascii();
    let start = blank + 1 + (between.len() - between.trim_ascii_start().len());
    let mut flaw = version_flaw(version);
    if trimmed.len() != line.len() || uri.len() != between.len() {
        flaw = flaw.or(Some(DefectKind::RequestLine));
    }
    if uri.is_empty() || memchr::memchr2(b' ', b'\t', uri).is_some() {
        flaw = flaw.or(Some(DefectKind::RequestUri));
    }
    let uri = Span { start: start as u32, len: uri.len() as u32, own: false };
    Ok((Start::Request { method, uri }, flaw))
}
