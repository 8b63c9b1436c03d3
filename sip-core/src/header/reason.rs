//! Reason (RFC 3326).

use std::borrow::Cow;

use super::grammar::{sws, text, token};
use super::{Header, HeaderError, Params, TypedHeader};

/// One Reason value: why a request was sent.
///
/// ```
/// use c4_sip_core::header::{Reason, TypedHeader};
/// let reason = Reason::parse(b"Q.850;cause=16;text=\"Normal call clearing\"").unwrap();
/// assert_eq!((reason.protocol, reason.cause()), ("Q.850", Some(16)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850` or another token.
    pub protocol: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Reason<'a> {
    /// The cause: a status code for SIP, a Q.850 cause value for Q.850.
    pub fn cause(&self) -> Option<u16> {
        self.params.value("cause")?.parse().ok()
    }

    /// The text without quotes.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.params.unquoted("text")
    }
}

impl<'a> TypedHeader<'a> for Reason<'a> {
    const NAME: Header = Header::Reason;

    fn parse(value: &'a [u8]) -> Result<Reason<'a>, HeaderError> {
        let bad = HeaderError { header: Header::Reason };
        let (rest, _) = sws(value).map_err(|_| bad)?;
        let (rest, protocol) = token(rest).map_err(|_| bad)?;
        let params = Params::parse(rest).ok_or(bad)?;
        Ok(Reason { protocol: text(protocol).ok_or(bad)?, params })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.protocol.as_bytes());
        out.extend_from_slice(self.params.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3326_2_protocol_cause_text() {
        let reason = Reason::parse(b"SIP ;cause=200 ;text=\"Call completed elsewhere\"").expect("valid");
        assert_eq!(reason.protocol, "SIP");
        assert_eq!(reason.cause(), Some(200));
        assert_eq!(reason.text().as_deref(), Some("Call completed elsewhere"));
        assert!(Reason::parse(b"").is_err());
        assert!(Reason::parse(b";cause=1").is_err());
    }
}
