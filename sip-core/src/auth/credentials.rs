//! Digest credentials: the value of Authorization and Proxy-Authorization (RFC 7616 §3.4, RFC 3261 §22).

use std::borrow::Cow;

use super::param::{write_quoted, write_token};
use crate::header::each_digest_param;
use crate::header::grammar::unquote;

/// Digest credentials. Text is unquoted, and borrowed unless it held an escape.
///
/// ```
/// use c4_sip_core::auth::DigestCredentials;
/// let value = b"DIGEST username=\"bob\", realm=\"biloxi.com\", nonce=\"84a4\", uri=\"sip:biloxi.com\", response=\"d9c4\"";
/// let credentials = DigestCredentials::parse(value).unwrap();
/// assert_eq!((&*credentials.username, &*credentials.realm), ("bob", "biloxi.com"));
/// assert_eq!(credentials.qop, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestCredentials<'a> {
    /// The user, from `username` or `username*` (RFC 7616 §3.4), or a hash of it where `userhash` is set.
    pub username: Cow<'a, str>,
    /// Whether `username` is H(username ":" realm) (RFC 7616 §3.4.4).
    pub userhash: bool,
    /// The protection domain.
    pub realm: Cow<'a, str>,
    /// The server's nonce.
    pub nonce: Cow<'a, str>,
    /// The digest-uri.
    pub uri: Cow<'a, str>,
    /// The proof, hex digits.
    pub response: &'a str,
    /// As received; absent means MD5.
    pub algorithm: Option<&'a str>,
    /// The client's nonce.
    pub cnonce: Option<Cow<'a, str>>,
    /// What the server asked to be sent back.
    pub opaque: Option<Cow<'a, str>>,
    /// Quality of protection as received; absent in the form of RFC 2069.
    pub qop: Option<&'a str>,
    /// Nonce count, eight hex digits.
    pub nc: Option<&'a str>,
}

impl<'a> DigestCredentials<'a> {
    /// Parses a value. `None`: another scheme than Digest (in any case), malformed, a mandatory parameter missing or one
    /// sent twice.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = 0u16;
        each_digest_param(value, |name, value| {
            let Some(param) = Param::of(name) else { return Some(()) };
            if seen & param.bit() != 0 {
                return None;
            }
            seen |= param.bit();
            match param {
                Param::Username => found.username = unquote(value),
                Param::UsernameExt => found.username = extended(value)?,
                Param::Realm => found.realm = unquote(value),
                Param::Nonce => found.nonce = unquote(value),
                Param::Uri => found.uri = unquote(value),
                Param::Response => found.response = plain(value),
                Param::Algorithm => found.algorithm = Some(plain(value)),
                Param::Cnonce => found.cnonce = Some(unquote(value)),
                Param::Opaque => found.opaque = Some(unquote(value)),
                Param::Qop => found.qop = Some(plain(value)),
                Param::Nc => found.nc = Some(plain(value)),
                Param::Userhash => found.userhash = plain(value).eq_ignore_ascii_case("true"),
            }
            Some(())
        })?;
        (seen & MANDATORY == MANDATORY).then_some(found)
    }

    /// Appends the value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Digest ");
        if self.username.is_ascii() {
            write_quoted(out, "username", &self.username);
        } else {
            write_extended(out, &self.username);
        }
        write_quoted(out, "realm", &self.realm);
        write_quoted(out, "nonce", &self.nonce);
        write_quoted(out, "uri", &self.uri);
        write_quoted(out, "response", self.response);
        if let Some(algorithm) = self.algorithm {
            write_token(out, "algorithm", algorithm);
        }
        if let Some(cnonce) = &self.cnonce {
            write_quoted(out, "cnonce", cnonce);
        }
        if let Some(opaque) = &self.opaque {
            write_quoted(out, "opaque", opaque);
        }
        if let Some(qop) = self.qop {
            write_token(out, "qop", qop);
        }
        if let Some(nc) = self.nc {
            write_token(out, "nc", nc);
        }
        if self.userhash {
            write_token(out, "userhash", "true");
        }
    }
}

#[derive(Clone, Copy)]
enum Param {
    Username,
    Realm,
    Nonce,
    Uri,
    Response,
    Algorithm,
    Cnonce,
    Opaque,
    Qop,
    Nc,
    Userhash,
    UsernameExt,
}

/// username (in either form), realm, nonce, uri, response.
const MANDATORY: u16 = 0b1_1111;

impl Param {
    const NAMES: [(&'static str, Param); 12] = [
        ("username", Param::Username),
        ("realm", Param::Realm),
        ("nonce", Param::Nonce),
        ("uri", Param::Uri),
        ("response", Param::Response),
        ("algorithm", Param::Algorithm),
        ("cnonce", Param::Cnonce),
        ("opaque", Param::Opaque),
        ("qop", Param::Qop),
        ("nc", Param::Nc),
        ("userhash", Param::Userhash),
        ("username*", Param::UsernameExt),
    ];

    fn of(name: &str) -> Option<Param> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, param)| *param)
    }

    /// Its place in a set. Both forms of the name share one: only one of them may be sent (RFC 7616 §3.4).
    fn bit(self) -> u16 {
        match self {
            Param::UsernameExt => 1 << Param::Username as u16,
            other => 1 << other as u16,
        }
    }
}

/// Without quotes, but with escapes: for what is a token or hex digits, which needs none.
pub(super) fn plain(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// `UTF-8''` and the name with escapes (RFC 5987 §3.2).
fn extended(value: &str) -> Option<Cow<'_, str>> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |c: &u8| char::from(*c).to_digit(16);
                octets.push((digit(high)? * 16 + digit(low)?) as u8);
                after
            }
            (b'%', _) => return None,
            _ => {
                octets.push(*first);
                after
            }
        };
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

fn write_extended(out: &mut Vec<u8>, username: &str) {
    out.extend_from_slice(b"username*=UTF-8''");
    for octet in username.bytes() {
        match octet {
            b'-' | b'.' | b'_' | b'~' => out.push(octet),
            _ if octet.is_ascii_alphanumeric() => out.push(octet),
            _ => out.extend_from_slice(format!("%{octet:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "Digest username=\"a\\\"b\", realm=\"r\", nonce=\"n\", uri=\"sip:x;a=1,2\", response=\"00\", \
                        algorithm=SHA-256, cnonce=\"c\", opaque=\"o\", qop=auth, nc=00000001, userhash=true";

    #[test]
    fn rfc7616_3_4_every_parameter_and_back() {
        let parsed = DigestCredentials::parse(FULL.as_bytes()).unwrap();
        assert_eq!(parsed.username, "a\"b");
        assert_eq!(parsed.uri, "sip:x;a=1,2");
        assert_eq!((parsed.qop, parsed.nc, parsed.userhash), (Some("auth"), Some("00000001"), true));
        let mut out = Vec::new();
        parsed.write(&mut out);
        assert_eq!(DigestCredentials::parse(&out).unwrap(), parsed);
    }

    #[test]
    fn what_phones_send_is_read() {
        let odd =
            "DIGEST  USERNAME = \"bob\" ,realm=\"r\",\r\n nonce=n,uri=\"sip:x\",,response=\"00\",x=\"y\",qop=\"auth\",";
        let parsed = DigestCredentials::parse(odd.as_bytes()).unwrap();
        assert_eq!((&*parsed.username, &*parsed.nonce, parsed.qop), ("bob", "n", Some("auth")));
    }

    #[test]
    fn rfc7616_3_4_username_star() {
        let value =
            "Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"";
        let parsed = DigestCredentials::parse(value.as_bytes()).unwrap();
        assert_eq!(parsed.username, "J\u{e4}s\u{f8}n Doe");
        let mut out = Vec::new();
        parsed.write(&mut out);
        assert_eq!(DigestCredentials::parse(&out).unwrap(), parsed);
        for bad in ["username*=UTF-8''%C3, ", "username*=latin1''a, ", "username*=UTF-8''%4, ", "username*=a, "] {
            let value = format!("Digest {bad}realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"");
            assert_eq!(DigestCredentials::parse(value.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn missing_doubled_or_broken_parameters_are_refused() {
        for bad in [
            "",
            "Digest",
            "Digest ",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\"",
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0",
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\", username=\"b\"",
            "Digest username=\"a\", username*=UTF-8''b, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\"",
            "Digest username=\"a\" realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\"",
        ] {
            assert_eq!(DigestCredentials::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_written_value_cannot_end_its_line() {
        let credentials =
            DigestCredentials { username: "a\r\nX: y".into(), qop: Some("auth\r\n"), ..Default::default() };
        let mut out = Vec::new();
        credentials.write(&mut out);
        assert!(!out.contains(&b'\r') && !out.contains(&b'\n'));
    }
}
