//! The pieces of RFC 3261 §25.1 that the typed headers share, as nom parsers over octets.

use nom::IResult;
use nom::Parser;
use nom::character::complete::{char, digit1};

/// A step of a parser. The error says nothing: the typed header says what is wrong.
pub(crate) type Step<'a, T> = IResult<&'a [u8], T, ()>;

const TOKEN: u8 = 1;
const LWS: u8 = 2;
/// What a host name or an address may be made of, without brackets.
const HOST: u8 = 4;
/// token / host / IPv6 in or without brackets, as a parameter value (gen-value).
const VALUE: u8 = 8;
/// userinfo of a URI.
const USER: u8 = 16;
/// What may never stand in a URI: control characters, blanks, quotes, angle brackets.
const NO_URI: u8 = 32;

#[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a bad index is a build error")]
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut i = 0usize;
    while i < 256 {
        let c = i as u8;
        if c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
        {
            class[i] |= TOKEN | VALUE;
        }
        if matches!(c, b' ' | b'\t' | b'\r' | b'\n') {
            class[i] |= LWS;
        }
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_') {
            class[i] |= HOST;
        }
        if matches!(
            c,
            b'[' | b']' | b':' | b'/' | b'@' | b'(' | b')' | b'&' | b'$' | b'#' | b'?' | b'^' | b'|' | b'{' | b'}'
        ) {
            class[i] |= VALUE; // beyond the grammar, but met in the field and harmless
        }
        if class[i] & TOKEN != 0
            || c >= 0x80
            || matches!(c, b'&' | b'=' | b'$' | b',' | b';' | b'?' | b'/' | b'(' | b')' | b'#' | b'|')
        {
            class[i] |= USER;
        }
        if c <= b' ' || matches!(c, b'<' | b'>' | b'"' | 0x7f) {
            class[i] |= NO_URI;
        }
        i += 1;
    }
    class
};

#[inline]
fn is(c: u8, class: u8) -> bool {
    CLASS.get(usize::from(c)).is_some_and(|found| found & class != 0)
}

/// How many octets at the start are of a class.
#[inline]
fn span(input: &[u8], class: u8) -> usize {
    input.iter().position(|c| !is(*c, class)).unwrap_or(input.len())
}

/// At least one octet of a class, as nom's `take_while1` would take it: this is where reading spends its time, so it
/// is inlined as a loop over a table.
#[inline]
fn some(input: &[u8], class: u8) -> Step<'_, &[u8]> {
    match span(input, class) {
        0 => Err(nom::Err::Error(())),
        len => split(input, len),
    }
}

/// token characters (RFC 3261 §25.1).
#[inline]
pub(crate) fn is_token(c: u8) -> bool {
    is(c, TOKEN)
}

/// White space, or the CRLF of a fold: a received value holds CRLF only where a continuation follows.
#[inline]
pub(crate) fn is_lws(c: u8) -> bool {
    is(c, LWS)
}

/// userinfo (RFC 3261 §25.1): unreserved, escaped, user-unreserved. More is let through, but no separator.
#[inline]
pub(crate) fn is_userinfo(text: &str) -> bool {
    text.bytes().all(|c| is(c, USER))
}

/// Whether octets can stand somewhere in a URI.
#[inline]
pub(crate) fn is_uri_text(text: &str) -> bool {
    !text.bytes().any(|c| is(c, NO_URI))
}

/// What a host name or IPv4 address is made of.
#[inline]
pub(crate) fn is_host(c: u8) -> bool {
    is(c, HOST)
}

/// SWS: white space that may be missing.
#[inline]
pub(crate) fn sws(input: &[u8]) -> Step<'_, &[u8]> {
    split(input, span(input, LWS))
}

/// token.
#[inline]
pub(crate) fn token(input: &[u8]) -> Step<'_, &[u8]> {
    some(input, TOKEN)
}

/// A separator character with white space around it: SEMI, EQUAL, SLASH, COLON, COMMA.
#[inline]
pub(crate) fn separator(c: char) -> impl FnMut(&[u8]) -> Step<'_, char> {
    move |input| {
        let (rest, _) = sws(input)?;
        let (rest, c) = char(c).parse(rest)?;
        let (rest, _) = sws(rest)?;
        Ok((rest, c))
    }
}

/// quoted-string with its quotes; a backslash takes the next octet with it.
pub(crate) fn quoted(input: &[u8]) -> Step<'_, &[u8]> {
    let (_, _) = char('"').parse(input)?;
    let end = quoted_len(input).ok_or(nom::Err::Error(()))?;
    split(input, end)
}

/// The length of the quoted-string at the start of `input`, with both quotes. None: no closing quote.
pub(crate) fn quoted_len(input: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = input.get(at..)?;
        let next = memchr::memchr2(b'"', b'\\', rest)?;
        match rest.get(next)? {
            b'"' => return Some(at + next + 1),
            _ => at += next + 2,
        }
    }
}

/// gen-value: token, host or quoted-string.
#[inline]
pub(crate) fn gen_value(input: &[u8]) -> Step<'_, &[u8]> {
    match input.first() {
        Some(b'"') => quoted(input),
        _ => some(input, VALUE),
    }
}

/// host: a name, an IPv4 address or an IPv6 reference in brackets, with the brackets.
#[inline]
pub(crate) fn host(input: &[u8]) -> Step<'_, &[u8]> {
    match input.first() {
        Some(b'[') => {
            let end = memchr::memchr(b']', input).ok_or(nom::Err::Error(()))?;
            split(input, end + 1)
        }
        _ => some(input, HOST),
    }
}

/// A decimal number of at most `max`. An overflow is an error, not a wrapped value.
#[inline]
pub(crate) fn number(input: &[u8], max: u64) -> Step<'_, u64> {
    let (rest, digits) = digit1(input)?;
    match decimal(digits, max) {
        Some(n) => Ok((rest, n)),
        None => Err(nom::Err::Error(())),
    }
}

/// The value of a string of digits alone, at most `max`.
pub(crate) fn decimal(digits: &[u8], max: u64) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        // Beyond 10^18 the next step could wrap, whatever `max` is.
        if digit > 9 || value > 1_000_000_000_000_000_000 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    (value <= max).then_some(value)
}

/// `input` in two at `at`.
#[inline]
pub(crate) fn split(input: &[u8], at: usize) -> Step<'_, &[u8]> {
    match input.split_at_checked(at) {
        Some((head, rest)) => Ok((rest, head)),
        None => Err(nom::Err::Error(())),
    }
}

/// Without white space at both ends.
#[inline]
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_lws(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_lws(*last)
    {
        value = rest;
    }
    value
}

/// As text, if it is UTF-8 (RFC 3261 §7.3: the character set of SIP).
#[inline]
pub(crate) fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
}

/// The part of `whole` that `part` borrows from it: no second look at the UTF-8. Empty if it is no part of it.
#[inline]
pub(crate) fn within<'a>(whole: &'a str, part: &[u8]) -> &'a str {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    whole.get(start..start.wrapping_add(part.len())).unwrap_or_default()
}

/// Whether a value can be written into a header line: no CR, LF or NUL.
pub(crate) fn is_clean(value: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, value).is_none()
}

/// The inside of a quoted-string with its escapes undone; a token stays as it is.
pub(crate) fn unquote(value: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.into();
    };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_25_1_quoted_pairs_hide_quotes() {
        assert_eq!(quoted(br#""a\"b" rest"#), Ok((&b" rest"[..], &br#""a\"b""#[..])));
        assert!(quoted(br#""open"#).is_err());
        assert!(quoted(br#""open\"#).is_err());
        assert_eq!(unquote(r#""a\"b\\c""#), r#"a"b\c"#);
    }

    #[test]
    fn numbers_do_not_wrap() {
        assert_eq!(decimal(b"4294967295", u64::from(u32::MAX)), Some(4_294_967_295));
        assert_eq!(decimal(b"4294967296", u64::from(u32::MAX)), None);
        assert_eq!(decimal(b"99999999999999999999999999", u64::MAX), None);
        assert_eq!(decimal(b"+1", 10), None);
        assert_eq!(decimal(b"", 10), None);
    }
}
