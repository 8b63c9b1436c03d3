//! The list of parameters that credentials and challenges share (RFC 7235 §2.1, RFC 3261 §25.1).

use std::borrow::Cow;

/// Splits off the scheme. `None`: no scheme, or nothing after it.
pub(super) fn scheme(value: &str) -> Option<(&str, &str)> {
    let value = value.trim_ascii();
    let end = value.find(|c: char| c.is_ascii_whitespace())?;
    let (scheme, rest) = value.split_at_checked(end)?;
    Some((scheme, rest.trim_ascii_start()))
}

/// The rest of a parameter list.
pub(super) struct AuthParams<'a> {
    rest: &'a str,
    /// The list is malformed from here on.
    pub(super) broken: bool,
}

impl<'a> AuthParams<'a> {
    pub(super) fn new(rest: &'a str) -> Self {
        Self { rest, broken: false }
    }

    fn one(&mut self) -> Option<(&'a str, Value<'a>)> {
        let (name, rest) = self.rest.split_once('=')?;
        let name = name.trim_ascii_end();
        let rest = rest.trim_ascii_start();
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let (value, rest) = match rest.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => {
                let end = rest.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(rest.len());
                let (value, rest) = rest.split_at_checked(end)?;
                if value.is_empty() || value.contains('"') {
                    return None;
                }
                (Value { text: value, escaped: false }, rest)
            }
        };
        let rest = rest.trim_ascii_start();
        self.rest = match rest.strip_prefix(',') {
            Some(next) => next,
            None if rest.is_empty() => rest,
            None => return None,
        };
        Some((name, value))
    }
}

impl<'a> Iterator for AuthParams<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // Empty elements are allowed in a list (RFC 7230 §7).
        self.rest = self.rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if self.rest.is_empty() || self.broken {
            return None;
        }
        let found = self.one();
        self.broken = found.is_none();
        found
    }
}

/// A value as received, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    escaped: bool,
}

impl<'a> Value<'a> {
    /// With its escapes undone.
    pub(super) fn unquoted(self) -> Cow<'a, str> {
        if !self.escaped {
            return self.text.into();
        }
        let mut out = String::with_capacity(self.text.len());
        let mut chars = self.text.chars();
        while let Some(c) = chars.next() {
            out.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        out.into()
    }

    /// Whether it says `true`, in any case.
    pub(super) fn is_true(self) -> bool {
        self.text.eq_ignore_ascii_case("true")
    }
}

fn quoted(inside: &str) -> Option<(Value<'_>, &str)> {
    let mut escaped = false;
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', inside.as_bytes().get(from..)?)?;
        if inside.as_bytes().get(at) == Some(&b'"') {
            return Some((Value { text: inside.get(..at)?, escaped }, inside.get(at + 1..)?));
        }
        escaped = true;
        from = at + 2;
    }
}

fn is_token(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&c)
}

/// Appends `, name="value"` (without the comma where nothing was written since the scheme), escaped.
pub(super) fn write_quoted(out: &mut Vec<u8>, name: &str, value: &str) {
    write_name(out, name);
    out.push(b'"');
    for octet in value.bytes() {
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            // What could end the line is left out.
            b'\r' | b'\n' | 0 => {}
            _ => out.push(octet),
        }
    }
    out.push(b'"');
}

/// Appends `, name=value`. What is no token character is left out.
pub(super) fn write_token(out: &mut Vec<u8>, name: &str, value: &str) {
    write_name(out, name);
    out.extend(value.bytes().filter(|c| is_token(*c)));
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    if !out.ends_with(b"Digest ") {
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}
