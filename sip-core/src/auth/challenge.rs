//! Digest challenges: the value of WWW-Authenticate and Proxy-Authenticate (RFC 7616 §3.3, RFC 3261 §22).

use std::borrow::Cow;

use super::credentials::plain;
use super::param::{write_quoted, write_token};
use crate::header::each_digest_param;
use crate::header::grammar::unquote;

/// A digest challenge. Text is unquoted, and borrowed unless it held an escape.
///
/// ```
/// use c4_sip_core::auth::DigestChallenge;
/// let challenge = DigestChallenge::parse(b"Digest realm=\"biloxi.com\", nonce=\"84a4\", qop=\"auth,auth-int\", stale=TRUE").unwrap();
/// assert!(challenge.stale && challenge.offers("auth-int"));
/// assert_eq!(challenge.algorithm, None); // which means MD5
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestChallenge<'a> {
    /// The protection domain.
    pub realm: Cow<'a, str>,
    /// The server's nonce.
    pub nonce: Cow<'a, str>,
    /// To be sent back unchanged.
    pub opaque: Option<Cow<'a, str>>,
    /// The password was right, or not looked at; only the nonce is too old.
    pub stale: bool,
    /// As received; absent means MD5.
    pub algorithm: Option<&'a str>,
    /// The offered qualities of protection, separated by commas; absent in the form of RFC 2069.
    pub qop: Option<&'a str>,
    /// Whether the user's name may be sent as a hash (RFC 7616 §3.4.4).
    pub userhash: bool,
    /// The URIs of the protection space; of no use in SIP (RFC 3261 §22.1).
    pub domain: Option<Cow<'a, str>>,
}

impl<'a> DigestChallenge<'a> {
    /// Parses a value. `None`: another scheme than Digest (in any case), malformed, or without realm or nonce.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut found = Self::default();
        let (mut realm, mut nonce) = (None, None);
        each_digest_param(value, |name, value| {
            let is = |known: &str| known.eq_ignore_ascii_case(name);
            if is("realm") {
                realm = Some(unquote(value));
            } else if is("nonce") {
                nonce = Some(unquote(value));
            } else if is("opaque") {
                found.opaque = Some(unquote(value));
            } else if is("stale") {
                found.stale = plain(value).eq_ignore_ascii_case("true");
            } else if is("algorithm") {
                found.algorithm = Some(plain(value));
            } else if is("qop") {
                found.qop = Some(plain(value));
            } else if is("userhash") {
                found.userhash = plain(value).eq_ignore_ascii_case("true");
            } else if is("domain") {
                found.domain = Some(unquote(value));
            }
            Some(())
        })?;
        (found.realm, found.nonce) = (realm?, nonce?);
        Some(found)
    }

    /// Whether a quality of protection is among those offered.
    pub fn offers(&self, qop: &str) -> bool {
        self.qop.is_some_and(|list| list.split(',').any(|one| one.trim_ascii().eq_ignore_ascii_case(qop)))
    }

    /// Appends the value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Digest ");
        write_quoted(out, "realm", &self.realm);
        if let Some(domain) = &self.domain {
            write_quoted(out, "domain", domain);
        }
        write_quoted(out, "nonce", &self.nonce);
        if let Some(opaque) = &self.opaque {
            write_quoted(out, "opaque", opaque);
        }
        if self.stale {
            write_token(out, "stale", "true");
        }
        if let Some(algorithm) = self.algorithm {
            write_token(out, "algorithm", algorithm);
        }
        if let Some(qop) = self.qop {
            write_quoted(out, "qop", qop);
        }
        if self.userhash {
            write_token(out, "userhash", "true");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7616_3_3_every_parameter_and_back() {
        let value = b"Digest realm=\"r \\\"x\\\"\", domain=\"sip:a sip:b\", nonce=\"n\", opaque=\"o\", stale=true, \
                      algorithm=SHA-256, qop=\"auth, auth-int\", userhash=true";
        let parsed = DigestChallenge::parse(value).unwrap();
        assert_eq!(parsed.realm, "r \"x\"");
        assert!(parsed.offers("auth") && parsed.offers("AUTH-INT") && !parsed.offers("int"));
        assert!(parsed.stale && parsed.userhash);
        let mut out = Vec::new();
        parsed.write(&mut out);
        assert_eq!(out, value);
    }

    #[test]
    fn scheme_in_any_case_and_realm_and_nonce_are_needed() {
        assert!(DigestChallenge::parse(b"dIGEST realm=\"r\", nonce=\"\"").is_some());
        for bad in [
            &b"Basic realm=\"r\", nonce=\"n\""[..],
            b"Digest realm=\"r\"",
            b"Digest nonce=\"n\"",
            b"Digest realm=\"r",
            b"\xff",
        ] {
            assert_eq!(DigestChallenge::parse(bad), None);
        }
    }
}
