//! %HEXHEX in URIs (RFC 3261 §19.1.2).

use std::borrow::Cow;

/// The octets of `text` with escapes undone, once; the flag says whether the octet was escaped.
pub(super) fn octets(text: &str) -> impl Iterator<Item = (u8, bool)> + '_ {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = after;
            return Some((high * 16 + low, true));
        }
        let (first, after) = rest.split_first()?;
        rest = after;
        Some((*first, false))
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

/// Undoes escapes once. None: the result is no UTF-8.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    String::from_utf8(octets(text).map(|(octet, _)| octet).collect()).ok().map(Cow::Owned)
}

/// Characters that mean the same escaped and unescaped: unreserved (RFC 3261 §25.1).
pub(super) fn is_unreserved(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// Appends `text` with the escapes of unreserved characters undone and the others in upper case, so that equal
/// texts have equal forms and no two different ones do: `%00` never cuts a name short (RFC 4475 §3.1.1.4).
pub(super) fn normalise(text: &str, out: &mut String) {
    if !text.contains('%') {
        out.push_str(text);
        return;
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.as_bytes() {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let octet =
                    octets(rest.get(before.len()..).unwrap_or_default()).next().map_or(b'%', |(octet, _)| octet);
                if is_unreserved(octet) {
                    out.push(char::from(octet));
                } else {
                    out.push('%');
                    out.push(char::from(high.to_ascii_uppercase()));
                    out.push(char::from(low.to_ascii_uppercase()));
                }
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
}
