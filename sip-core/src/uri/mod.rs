//! URIs: sip, sips, tel and others (RFC 3261 §19).

mod compare;
mod escape;
mod host;

pub use host::Host;

use std::fmt;

use crate::Transport;
use crate::header::grammar::{is_uri_text, is_userinfo};

/// A URI, borrowed from its text.
///
/// ```
/// use c4_sip_core::uri::{Host, Scheme, Uri};
/// let uri = Uri::parse("sip:alice:secret@example.com:5070;transport=tcp;lr?subject=x").unwrap();
/// assert_eq!(uri.scheme, Scheme::Sip);
/// assert_eq!((uri.user, uri.port), (Some("alice"), Some(5070)));
/// assert_eq!(uri.host, Host::Name("example.com"));
/// assert!(uri.has_param("lr"));
/// assert_eq!(uri.aor(), "sip:alice@example.com");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// sip and sips: the user as written, escapes kept. tel: the number. Others: everything after the colon.
    pub user: Option<&'a str>,
    /// The password as written. Never log it.
    pub password: Option<&'a str>,
    /// The host; an empty name for tel and others.
    pub host: Host<'a>,
    /// The port, if one is written.
    pub port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

/// A URI's scheme, in any case (RFC 3986 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// sip.
    Sip,
    /// sips.
    Sips,
    /// tel (RFC 3966).
    Tel,
    /// Any other, as written.
    Other(&'a str),
}

impl Scheme<'_> {
    /// The scheme as written by us.
    pub fn as_str(&self) -> &str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Other(other) => other,
        }
    }

    /// Whether it is sip or sips.
    pub fn is_sip(&self) -> bool {
        matches!(self, Scheme::Sip | Scheme::Sips)
    }
}

impl<'a> Uri<'a> {
    /// Parses a whole URI. None: malformed, or blanks, quotes, angle brackets or control characters in it.
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        if let Some(rest) = text.strip_prefix("sip:") {
            return sip(Scheme::Sip, rest);
        }
        let colon = memchr::memchr(b':', text.as_bytes())?;
        let (scheme, rest) = (text.get(..colon)?, text.get(colon + 1..)?);
        match scheme {
            _ if scheme.eq_ignore_ascii_case("sip") => sip(Scheme::Sip, rest),
            _ if scheme.eq_ignore_ascii_case("sips") => sip(Scheme::Sips, rest),
            _ if scheme.eq_ignore_ascii_case("tel") => tel(rest),
            _ if is_scheme(scheme) && !rest.is_empty() && is_uri_text(rest) => {
                Some(opaque(Scheme::Other(scheme), rest, ""))
            }
            _ => None,
        }
    }

    /// The first parameter of this name, in any case: None if absent, Some(None) if without value.
    pub fn param(&self, name: &str) -> Option<Option<&'a str>> {
        self.params().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether a parameter is present, with or without value.
    pub fn has_param(&self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// Each parameter as written: name, and value if any.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        pairs(self.params, ';')
    }

    /// Each header of the `?` part as written: name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        pairs(self.headers, '&')
    }

    /// Whether there is a `?` part. It must never stand in a Request-URI (RFC 3261 §19.1.1).
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The transport parameter: None if absent, Some(None) if it names one that we do not know.
    pub fn transport(&self) -> Option<Option<Transport>> {
        self.param("transport").map(|value| value.and_then(Transport::from_name))
    }

    /// Whether the lr parameter is present (RFC 3261 §16.12: a loose router).
    pub fn is_loose_router(&self) -> bool {
        self.has_param("lr")
    }

    /// The user with its escapes undone once; None if absent or not UTF-8 then.
    pub fn unescaped_user(&self) -> Option<std::borrow::Cow<'a, str>> {
        escape::unescape(self.user?)
    }

    /// Whether two URIs are equal by the rules of RFC 3261 §19.1.4.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        compare::equivalent(self, other)
    }

    /// The canonical address of record (RFC 3261 §10.3 step 5): scheme sip (also for sips), user with needless
    /// escapes undone, host in lower case, no port, password, parameters or headers. tel: digits and `+` alone.
    pub fn aor(&self) -> String {
        let mut out = String::with_capacity(48);
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                out.push_str("sip:");
                if let Some(user) = self.user {
                    escape::normalise(user, &mut out);
                    out.push('@');
                }
                self.host.write_lower(&mut out);
            }
            Scheme::Tel => {
                out.push_str("tel:");
                let number = self.user.unwrap_or_default();
                out.extend(
                    number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).map(|c| c.to_ascii_lowercase()),
                );
            }
            Scheme::Other(scheme) => {
                out.extend(scheme.chars().map(|c| c.to_ascii_lowercase()));
                out.push(':');
                out.push_str(self.user.unwrap_or_default());
            }
        }
        out
    }
}

impl fmt::Display for Uri<'_> {
    /// As written, but for the case of the scheme. A password is written, so that the result is a working URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        if let Some(user) = self.user {
            f.write_str(user)?;
        }
        if let Some(password) = self.password {
            write!(f, ":{password}")?;
        }
        if self.scheme.is_sip() {
            if self.user.is_some() {
                f.write_str("@")?;
            }
            write!(f, "{}", self.host)?;
            if let Some(port) = self.port {
                write!(f, ":{port}")?;
            }
        }
        f.write_str(self.params)?;
        f.write_str(self.headers)
    }
}

/// `;a=b;c` or `?a=b&c=d`, from the first separator on.
fn pairs<'a>(text: &'a str, separator: char) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
    let text = text.get(1..).unwrap_or_default();
    text.split(separator).filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    })
}

fn is_scheme(text: &str) -> bool {
    let mut octets = text.bytes();
    octets.next().is_some_and(|c| c.is_ascii_alphabetic())
        && octets.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

fn opaque<'a>(scheme: Scheme<'a>, user: &'a str, params: &'a str) -> Uri<'a> {
    Uri { scheme, user: Some(user), password: None, host: Host::Name(""), port: None, params, headers: "" }
}

/// RFC 3966 §3: the number, then parameters.
fn tel(rest: &str) -> Option<Uri<'_>> {
    let end = rest.find(';').unwrap_or(rest.len());
    let (number, params) = rest.split_at_checked(end)?;
    let dialable = |c: u8| c.is_ascii_hexdigit() || matches!(c, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#');
    // Visual separators alone are no number.
    let digit = |c: u8| c.is_ascii_hexdigit() || matches!(c, b'*' | b'#');
    if !number.bytes().any(digit) || !number.bytes().all(dialable) || !is_uri_text(params) {
        return None;
    }
    Some(opaque(Scheme::Tel, number, params))
}

/// Every `%` starts two hexadecimal digits.
fn escapes_are_whole(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..) {
            Some([a, b, after @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest = after,
            _ => return false,
        }
    }
    true
}

fn sip<'a>(scheme: Scheme<'a>, rest: &'a str) -> Option<Uri<'a>> {
    // An @ can only end the userinfo: everywhere else it must be escaped.
    let (userinfo, rest) = match memchr::memchr(b'@', rest.as_bytes()) {
        Some(at) => (Some(rest.get(..at)?), rest.get(at + 1..)?),
        None => (None, rest),
    };
    let (user, password) = match userinfo {
        None => (None, None),
        Some(info) => match memchr::memchr(b':', info.as_bytes()) {
            Some(at) => (info.get(..at), info.get(at + 1..)),
            None => (Some(info), None),
        },
    };
    if user.is_some_and(|u| u.is_empty() || !is_userinfo(u) || !escapes_are_whole(u))
        || password.is_some_and(|p| !is_userinfo(p))
    {
        return None;
    }
    let (host, rest) = Host::take(rest)?;
    let (port, rest) = match rest.strip_prefix(':') {
        None => (None, rest),
        Some(after) => {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, rest) = after.split_at_checked(digits)?;
            (Some(digits.parse().ok()?), rest)
        }
    };
    if rest.is_empty() {
        return Some(Uri { scheme, user, password, host, port, params: "", headers: "" });
    }
    let question = memchr::memchr(b'?', rest.as_bytes()).unwrap_or(rest.len());
    let (params, headers) = rest.split_at_checked(question)?;
    if !(params.is_empty() || params.starts_with(';')) || rest.contains('@') || !is_uri_text(rest) {
        return None;
    }
    Some(Uri { scheme, user, password, host, port, params, headers })
}

#[cfg(test)]
mod tests;
