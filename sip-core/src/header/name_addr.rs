//! name-addr and addr-spec (RFC 3261 §20.10): the shape of From, To, Contact, Route and others.

use std::borrow::Cow;
use std::ops::Deref;

use super::grammar::{is_lws, is_token, quoted, split, sws, text, trim, unquote};
use super::{Header, HeaderError, Params, TypedHeader};
use crate::uri::Uri;

/// An address: optional display name, URI, header parameters.
///
/// ```
/// use c4_sip_core::header::NameAddr;
/// let to = NameAddr::parse(b"\"Bob\" <sips:bob@biloxi.example.com>;tag=a6c85cf").unwrap();
/// assert_eq!(to.display_name().as_deref(), Some("Bob"));
/// assert_eq!(to.uri, "sips:bob@biloxi.example.com");
/// assert_eq!(to.tag(), Some("a6c85cf"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as received, a quoted one with its quotes; None if absent.
    pub display: Option<&'a [u8]>,
    /// The URI as received, without the angle brackets.
    pub uri: &'a str,
    /// The header parameters. Without angle brackets every parameter belongs to the header (RFC 3261 §20.10).
    pub params: Params<'a>,
    /// Whether the URI stood in angle brackets.
    pub bracketed: bool,
    /// Found on the way.
    tag: Option<&'a str>,
}

impl<'a> NameAddr<'a> {
    /// Parses one value. None: it is no address.
    pub fn parse(value: &'a [u8]) -> Option<NameAddr<'a>> {
        let value = trim(value);
        let (after_name, display) = match value.first()? {
            b'"' => {
                let (rest, name) = quoted(value).ok()?;
                (sws(rest).ok()?.0, Some(name))
            }
            b'<' => (value, None),
            _ => match memchr::memchr2(b'<', b'"', value) {
                // A display name of tokens, then the bracket; a quote can only belong to parameters.
                Some(at) if value.get(at) == Some(&b'<') && names(value.get(..at)?) => {
                    let (rest, name) = split(value, at).ok()?;
                    (rest, Some(trim(name)))
                }
                _ => return addr_spec(value),
            },
        };
        let inner = after_name.strip_prefix(b"<")?;
        let end = memchr::memchr(b'>', inner)?;
        Some(NameAddr { display, ..address(text(inner)?, end, 1)? })
    }

    /// Nobody.
    pub(crate) const EMPTY: NameAddr<'static> =
        NameAddr { display: None, uri: "", params: Params::EMPTY, bracketed: true, tag: None };

    /// The display name without quotes and escapes; None if it is absent or no UTF-8.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        self.display.and_then(text).map(unquote)
    }

    /// The tag parameter (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The URI, parsed. None: it is malformed.
    pub fn parsed_uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri)
    }

    /// Appends the address as it is written by us: always with angle brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(display) = self.display {
            out.extend_from_slice(display);
            out.push(b' ');
        }
        out.push(b'<');
        out.extend_from_slice(self.uri.as_bytes());
        out.push(b'>');
        out.extend_from_slice(self.params.as_str().as_bytes());
    }
}

/// The URI up to `end`, and after `skip` octets the parameters. The display name may be in another character set,
/// these may not.
#[inline]
fn address(whole: &str, end: usize, skip: usize) -> Option<NameAddr<'_>> {
    let uri = whole.get(..end)?.trim_ascii();
    // What else may not stand in a URI is found when it is parsed.
    if uri.is_empty() || memchr::memchr(b' ', uri.as_bytes()).is_some() {
        return None;
    }
    let mut tag = None;
    let params = Params::parse_str(whole.get(end + skip..)?, |name, value| {
        if tag.is_none() && name.eq_ignore_ascii_case("tag") {
            tag = Some(value);
        }
    });
    Some(NameAddr { display: None, uri, params: params?, bracketed: skip > 0, tag: tag.flatten() })
}

/// `*(token LWS)`. RFC 4475 §3.1.1.6: no blank is needed before the bracket. Octets above ASCII are let through.
fn names(display: &[u8]) -> bool {
    display.iter().all(|c| is_token(*c) || is_lws(*c) || *c >= 0x80)
}

/// A URI without angle brackets: it ends where the header parameters start, and may not hold `,` `?` (RFC 3261 §20).
fn addr_spec(value: &[u8]) -> Option<NameAddr<'_>> {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    let uri = value.get(..end)?;
    if !uri.contains(&b':') || memchr::memchr3(b'>', b',', b'?', uri).is_some() {
        return None;
    }
    address(text(value)?, end, 0)
}

macro_rules! addresses {
    ($($name:ident $source:literal;)*) => {$(
        #[doc = concat!("An address in ", stringify!($name), " (", $source, ").")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub NameAddr<'a>);

        impl<'a> TypedHeader<'a> for $name<'a> {
            const NAME: Header = Header::$name;

            fn parse(value: &'a [u8]) -> Result<Self, HeaderError> {
                NameAddr::parse(value).map($name).ok_or(HeaderError { header: Self::NAME })
            }

            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
        }

        impl<'a> Deref for $name<'a> {
            type Target = NameAddr<'a>;

            fn deref(&self) -> &NameAddr<'a> {
                &self.0
            }
        }
    )*};
}

addresses! {
    From "RFC 3261 §20.20";
    To "RFC 3261 §20.39";
    Route "RFC 3261 §20.34";
    RecordRoute "RFC 3261 §20.30";
    Path "RFC 3327";
    ServiceRoute "RFC 3608";
    ReplyTo "RFC 3261 §20.31";
    ReferTo "RFC 3515";
    ReferredBy "RFC 3892";
    PAssertedIdentity "RFC 3325 §9.1";
    PPreferredIdentity "RFC 3325 §9.2";
    RemotePartyId "draft-ietf-sip-privacy-04";
    Diversion "RFC 5806";
    HistoryInfo "RFC 7044";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_10_without_brackets_parameters_belong_to_the_header() {
        let bare = NameAddr::parse(b"sip:user@example.com;tag=1;x").expect("valid");
        assert_eq!((bare.uri, bare.tag()), ("sip:user@example.com", Some("1")));
        let bracketed = NameAddr::parse(b"<sip:user@example.com;x>;tag=1").expect("valid");
        assert_eq!((bracketed.uri, bracketed.tag()), ("sip:user@example.com;x", Some("1")));
        assert!(NameAddr::parse(b"sip:user@example.com?Route=%3Csip:x%3E").is_none());
    }

    #[test]
    fn rfc4475_3_1_1_6_no_blank_before_the_bracket() {
        let from = NameAddr::parse(b"caller<sip:caller@example.com>;tag=323").expect("valid");
        assert_eq!(from.display, Some(&b"caller"[..]));
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bad in [
            "",
            "<>",
            "<sip:a",
            "\"open <sip:a@b>",
            "Watson, Thomas <sip:t@example.org>",
            "<sip:a@b>x",
            "nothing",
            "<sip:a b@c>",
            "\"A\" sip:a@b",
            "<sip:a@b> ;;x",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn quoted_display_names_may_hold_anything() {
        let value = b"\"a,<b>;\\\" c\" <sip:x@y> ; tag = q";
        let addr = NameAddr::parse(value).expect("valid");
        assert_eq!(addr.display_name().as_deref(), Some("a,<b>;\" c"));
        assert_eq!(addr.tag(), Some("q"));
    }

    #[test]
    fn of_two_tags_the_first_counts_even_without_a_value() {
        let addr = NameAddr::parse(b"<sip:x@y>;tag;tag=q").expect("valid");
        assert_eq!((addr.tag(), addr.params.value("tag")), (None, None));
        assert_eq!(NameAddr::parse(b"<sip:x@y>;tag=a;tag=b").expect("valid").tag(), Some("a"));
    }
}
