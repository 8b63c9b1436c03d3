//! Named sanity checks on received messages.
//!
//! The numbers of the checks are those of Kamailio's `sanity_check` where it has one, so that a configuration can be
//! carried over. What [`Message::check`](crate::Message::check) proves always is named here as well:
//! [`Checks::of`] tells by which check a defect was found.

use std::ops::{BitOr, BitOrAssign};

use crate::header::{Credentials, Expires, Header, NameAddr, TypedHeader, option_tag};
use crate::message::DefectKind;
use crate::uri::{Scheme, Uri};
use crate::{Request, Response, StatusCode};

/// A set of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checks(u32);

impl Checks {
    /// Nothing.
    pub const NONE: Checks = Checks(0);
    /// The version of the request line is SIP/2.0; else 505. Always on.
    pub const RURI_SIP_VERSION: Checks = Checks(1);
    /// The scheme of the Request-URI is sip, sips or tel; else 416 (RFC 3261 §8.2.2.1, §16.3 step 2).
    pub const RURI_SCHEME: Checks = Checks(1 << 1);
    /// To, From, CSeq, Call-ID and Via are there, once each but Via; else 400. Always on.
    pub const REQUIRED_HEADERS: Checks = Checks(1 << 2);
    /// The version of the topmost Via is SIP/2.0; else 400. Always on.
    pub const VIA_SIP_VERSION: Checks = Checks(1 << 3);
    /// The transport of the topmost Via is one of ours; else 400.
    pub const VIA_PROTOCOL: Checks = Checks(1 << 4);
    /// The method of CSeq is that of the request line; else 400. Always on.
    pub const CSEQ_METHOD: Checks = Checks(1 << 5);
    /// The number of CSeq fits in 32 bits; else 400. Always on.
    pub const CSEQ_VALUE: Checks = Checks(1 << 6);
    /// Content-Length stands once, is a number, and fits the body; else 400. Always on.
    pub const CONTENT_LENGTH: Checks = Checks(1 << 7);
    /// Expires is a number of seconds in 32 bits; else 400.
    pub const EXPIRES_VALUE: Checks = Checks(1 << 8);
    /// Every option tag of Proxy-Require is supported; else 420 with Unsupported (RFC 3261 §16.3 step 5).
    pub const PROXY_REQUIRE: Checks = Checks(1 << 9);
    /// The URIs of From, To and Contact are well-formed; else 400.
    pub const PARSE_URIS: Checks = Checks(1 << 10);
    /// Digest credentials have user name, realm, nonce, uri and response; else 400.
    pub const DIGEST: Checks = Checks(1 << 11);
    /// From and To have no second tag; else 400.
    pub const DUPLICATE_TAGS: Checks = Checks(1 << 12);
    /// Authorization and Proxy-Authorization follow their grammar; else 400.
    pub const AUTHORIZATION: Checks = Checks(1 << 13);
    /// The topmost Via follows its grammar; else 400. Always on.
    pub const VIA1_HEADER: Checks = Checks(1 << 14);
    /// Hops are left; else 483 (RFC 3261 §16.3 step 3). Ours: Kamailio checks it elsewhere.
    pub const MAX_FORWARDS: Checks = Checks(1 << 24);

    /// What a proxy checks unless told otherwise.
    pub const DEFAULT: Checks = Checks(
        Checks::RURI_SCHEME.0
            | Checks::EXPIRES_VALUE.0
            | Checks::PROXY_REQUIRE.0
            | Checks::DUPLICATE_TAGS.0
            | Checks::MAX_FORWARDS.0
            | Checks::ALWAYS.0,
    );

    /// What [`Message::check`](crate::Message::check) proves.
    pub const ALWAYS: Checks = Checks(
        Checks::RURI_SIP_VERSION.0
            | Checks::REQUIRED_HEADERS.0
            | Checks::VIA_SIP_VERSION.0
            | Checks::CSEQ_METHOD.0
            | Checks::CSEQ_VALUE.0
            | Checks::CONTENT_LENGTH.0
            | Checks::VIA1_HEADER.0,
    );

    /// The checks of these bits.
    pub const fn from_bits(bits: u32) -> Checks {
        Checks(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Checks) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Checks) -> Checks {
        Checks(self.0 & !other.0)
    }

    /// The check that finds a defect.
    pub fn of(kind: DefectKind) -> Checks {
        match kind {
            DefectKind::Version => Checks::RURI_SIP_VERSION,
            DefectKind::RequestLine | DefectKind::RequestUri => Checks::RURI_SCHEME,
            DefectKind::ContentLength
            | DefectKind::ContentLengthConflict
            | DefectKind::ShortBody
            | DefectKind::NoContentLength => Checks::CONTENT_LENGTH,
            DefectKind::MethodMismatch => Checks::CSEQ_METHOD,
            DefectKind::Malformed(Header::CSeq) => Checks::CSEQ_VALUE,
            DefectKind::Malformed(Header::Via) | DefectKind::TooManyVias => Checks::VIA1_HEADER,
            DefectKind::Malformed(Header::MaxForwards) => Checks::MAX_FORWARDS,
            _ => Checks::REQUIRED_HEADERS,
        }
    }
}

impl BitOr for Checks {
    type Output = Checks;

    fn bitor(self, other: Checks) -> Checks {
        Checks(self.0 | other.0)
    }
}

impl BitOrAssign for Checks {
    fn bitor_assign(&mut self, other: Checks) {
        self.0 |= other.0;
    }
}

/// Which check failed, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Refusal {
    /// The check.
    pub check: Checks,
    /// The status.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: &'static str,
    /// The value of Unsupported in a 420 (RFC 3261 §20.40).
    pub unsupported: Option<String>,
}

impl Refusal {
    fn new(check: Checks, status: StatusCode, reason: &'static str) -> Refusal {
        Refusal { check, status, reason, unsupported: None }
    }

    /// The answer. The To tag is the caller's. An ACK is never answered (RFC 3261 §17).
    pub fn response(&self, request: &Request) -> Option<Response> {
        if *request.method() == crate::Method::Ack {
            return None;
        }
        let mut response = request.response(self.status);
        _ = response.set_status(self.status, Some(self.reason));
        if let Some(tags) = &self.unsupported {
            _ = response.push_back(Header::Unsupported, tags);
        }
        Some(response)
    }
}

/// Runs checks on a request; `extensions` are the option tags that a Proxy-Require may name.
///
/// ```
/// use c4_sip_core::sanity::{Checks, check};
/// use c4_sip_core::{Checked, Limits, Message};
/// let octets = "OPTIONS nobody:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
///     Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
/// let Ok(Checked::Request(request)) = Message::parse(octets.into(), &Limits::default()).unwrap().check() else { panic!() };
/// assert_eq!(check(&request, Checks::DEFAULT, &[]).unwrap_err().status.code(), 416);
/// ```
///
/// # Errors
/// The first check that failed, and what to answer.
pub fn check(request: &Request, checks: Checks, extensions: &[&str]) -> Result<(), Refusal> {
    let bad = |check, reason| Err(Refusal::new(check, StatusCode::BAD_REQUEST, reason));
    if checks.contains(Checks::RURI_SCHEME) && !is_known_scheme(request.uri()) {
        return Err(Refusal::new(
            Checks::RURI_SCHEME,
            StatusCode::UNSUPPORTED_URI_SCHEME,
            StatusCode::UNSUPPORTED_URI_SCHEME.reason(),
        ));
    }
    if checks.contains(Checks::MAX_FORWARDS) && request.max_forwards() == Some(0) {
        let status = StatusCode::TOO_MANY_HOPS;
        return Err(Refusal::new(Checks::MAX_FORWARDS, status, status.reason()));
    }
    if checks.contains(Checks::VIA_PROTOCOL) && request.via().is_some_and(|via| via.transport().is_none()) {
        return bad(Checks::VIA_PROTOCOL, "Unknown Via Transport");
    }
    if checks.contains(Checks::EXPIRES_VALUE) && request.header(Header::Expires).is_some_and(|v| !is_32_bit(v)) {
        return bad(Checks::EXPIRES_VALUE, "Bad Expires");
    }
    if checks.contains(Checks::PROXY_REQUIRE) {
        proxy_require(request, extensions)?;
    }
    if checks.contains(Checks::DUPLICATE_TAGS) && (tags(&request.from()) > 1 || tags(&request.to()) > 1) {
        return bad(Checks::DUPLICATE_TAGS, "Duplicate Tag");
    }
    if checks.contains(Checks::PARSE_URIS) && !uris_parse(request) {
        return bad(Checks::PARSE_URIS, "Malformed URI");
    }
    authorization(request, checks)
}

fn is_known_scheme(uri: &str) -> bool {
    Uri::parse(uri).is_some_and(|uri| !matches!(uri.scheme, Scheme::Other(_)))
}

fn is_32_bit(value: &[u8]) -> bool {
    // A value that was clamped does not print as it was read.
    Expires::parse(value).is_ok_and(|e| e.0 < u32::MAX || value.ends_with(b"4294967295"))
}

fn tags(address: &NameAddr<'_>) -> usize {
    address.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case("tag")).count()
}

fn uris_parse(request: &Request) -> bool {
    let contacts = request.values(Header::Contact).filter(|value| *value != b"*");
    request.from().parsed_uri().is_some()
        && request.to().parsed_uri().is_some()
        && contacts.map(NameAddr::parse).all(|contact| contact.is_some_and(|c| c.parsed_uri().is_some()))
}

fn proxy_require(request: &Request, extensions: &[&str]) -> Result<(), Refusal> {
    let mut unsupported = String::new();
    for value in request.values(Header::ProxyRequire) {
        let Some(tag) = option_tag(value) else {
            return Err(Refusal::new(Checks::PROXY_REQUIRE, StatusCode::BAD_REQUEST, "Malformed Proxy-Require"));
        };
        if !extensions.iter().any(|known| known.eq_ignore_ascii_case(tag)) {
            if !unsupported.is_empty() {
                unsupported.push_str(", ");
            }
            unsupported.push_str(tag);
        }
    }
    if unsupported.is_empty() {
        return Ok(());
    }
    let status = StatusCode::BAD_EXTENSION;
    Err(Refusal { unsupported: Some(unsupported), ..Refusal::new(Checks::PROXY_REQUIRE, status, status.reason()) })
}

fn authorization(request: &Request, checks: Checks) -> Result<(), Refusal> {
    let bad = |check, reason| Err(Refusal::new(check, StatusCode::BAD_REQUEST, reason));
    if !checks.contains(Checks::AUTHORIZATION) && !checks.contains(Checks::DIGEST) {
        return Ok(());
    }
    for name in [Header::Authorization, Header::ProxyAuthorization] {
        for value in request.headers(name) {
            let Some(credentials) = Credentials::parse(value) else {
                return bad(Checks::AUTHORIZATION, "Malformed Credentials");
            };
            let complete =
                ["username", "realm", "nonce", "uri", "response"].iter().all(|p| credentials.get(p).is_some());
            if checks.contains(Checks::DIGEST) && credentials.is_digest() && !complete {
                return bad(Checks::DIGEST, "Incomplete Credentials");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checked, Limits, Message};

    fn request(first: &str, lines: &str) -> Request {
        let octets = format!(
            "{first}\r\nVia: SIP/2.0/SCTP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        match Message::parse(octets.into(), &Limits::default()).expect("readable").check() {
            Ok(Checked::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn refused(first: &str, lines: &str, checks: Checks) -> Option<(u16, u32)> {
        check(&request(first, lines), checks, &["known"]).err().map(|r| (r.status.code(), r.check.bits()))
    }

    #[test]
    fn each_check_has_its_number_and_answer() {
        const INVITE: &str = "INVITE sip:u@h SIP/2.0";
        let all = Checks::from_bits(u32::MAX).without(Checks::VIA_PROTOCOL);
        assert_eq!(refused(INVITE, "", all), None);
        assert_eq!(refused(INVITE, "", Checks::VIA_PROTOCOL), Some((400, 16)));
        assert_eq!(refused("INVITE http://h SIP/2.0", "", all), Some((416, 2)));
        assert_eq!(refused("INVITE tel:+1 SIP/2.0", "", all), None);
        assert_eq!(refused(INVITE, "Max-Forwards: 0\r\n", all), Some((483, 1 << 24)));
        assert_eq!(refused(INVITE, "Expires: 4294967296\r\n", all), Some((400, 256)));
        assert_eq!(refused(INVITE, "Expires: 4294967295\r\n", all), None);
        assert_eq!(refused(INVITE, "Expires: x\r\n", all), Some((400, 256)));
        assert_eq!(refused(INVITE, "Proxy-Require: known, other\r\n", all), Some((420, 512)));
        assert_eq!(refused(INVITE, "Contact: <sip:a@b:c>\r\n", all), Some((400, 1024)));
        assert_eq!(refused(INVITE, "Contact: *\r\n", all), None);
        assert_eq!(refused(INVITE, "Authorization: Digest realm=\"x\"\r\n", all), Some((400, 2048)));
        assert_eq!(refused(INVITE, "Proxy-Authorization: Digest x\r\n", all), Some((400, 8192)));
        assert_eq!(refused(INVITE, "Proxy-Authorization: Other x\r\n", all), None);
        assert_eq!(refused(INVITE, "", Checks::NONE), None);
    }

    #[test]
    fn rfc3261_16_3_step_5_names_what_is_unsupported() {
        let request = request("INVITE sip:u@h SIP/2.0", "Proxy-Require: one, known\r\nProxy-Require: two\r\n");
        let refusal = check(&request, Checks::DEFAULT, &["known"]).expect_err("refused");
        let response = refusal.response(&request).expect("no ACK");
        assert_eq!(response.status(), StatusCode::BAD_EXTENSION);
        assert_eq!(response.header(Header::Unsupported), Some(&b"one, two"[..]));
    }

    #[test]
    fn duplicate_tags_are_found() {
        let octets = "BYE sip:u@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:a@b>;tag=1;tag=2\r\n\
            To: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 BYE\r\n\r\n";
        let Ok(Checked::Request(request)) = Message::parse(octets.into(), &Limits::default()).expect("read").check()
        else {
            panic!("valid otherwise");
        };
        let refusal = check(&request, Checks::DEFAULT, &[]).expect_err("refused");
        assert_eq!(refusal.check.bits(), 4096);
    }
}
