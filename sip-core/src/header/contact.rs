//! Contact (RFC 3261 §20.10).

use super::grammar::{decimal, trim};
use super::{Header, HeaderError, NameAddr, TypedHeader};

/// One Contact value: an address, or the star of "remove all bindings" (RFC 3261 §10.2.2).
///
/// ```
/// use c4_sip_core::header::{Contact, TypedHeader};
/// let contact = Contact::parse(b"<sip:a@192.0.2.4>;q=0.7;expires=3600").unwrap();
/// assert_eq!(contact.q(), Some(700));
/// assert_eq!(contact.expires(), Some(3600));
/// assert_eq!(Contact::parse(b"*").unwrap(), Contact::Star);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`.
    Star,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// The address; None for the star.
    pub fn address(&self) -> Option<&NameAddr<'a>> {
        match self {
            Contact::Star => None,
            Contact::Address(address) => Some(address),
        }
    }

    /// The preference in thousandths, 0 to 1000. None: absent or malformed, which counts as 1000.
    pub fn q(&self) -> Option<u16> {
        parse_q(self.address()?.params.value("q")?)
    }

    /// The lifetime asked for, in seconds. A value that is no number counts as absent, one above 2^32-1 as
    /// 2^32-1 (RFC 4475 §3.1.2.4: such values can be defaulted).
    pub fn expires(&self) -> Option<u32> {
        super::numbers::delta_seconds(self.address()?.params.value("expires")?.as_bytes())
    }
}

/// qvalue (RFC 3261 §25.1) in thousandths.
pub fn parse_q(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let whole = decimal(whole.as_bytes(), 1)? as u16;
    if fraction.len() > 3 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let q = whole * 1000 + thousandths;
    (q <= 1000).then_some(q)
}

impl<'a> TypedHeader<'a> for Contact<'a> {
    const NAME: Header = Header::Contact;

    fn parse(value: &'a [u8]) -> Result<Contact<'a>, HeaderError> {
        if trim(value) == b"*" {
            return Ok(Contact::Star);
        }
        NameAddr::parse(value).map(Contact::Address).ok_or(HeaderError { header: Header::Contact })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Contact::Star => out.push(b'*'),
            Contact::Address(address) => address.write(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_25_1_qvalue() {
        for (value, q) in
            [("1", Some(1000)), ("1.000", Some(1000)), ("0", Some(0)), ("0.5", Some(500)), ("0.123", Some(123))]
        {
            assert_eq!(parse_q(value), q, "{value}");
        }
        for bad in ["1.1", "2", "0.1234", ".5", "-1", "x", ""] {
            assert_eq!(parse_q(bad), None, "{bad}");
        }
    }

    #[test]
    fn rfc4475_3_1_2_4_expires_beyond_32_bits() {
        let contact = Contact::parse(b"<sip:a@b>;expires=280297596632815").expect("valid");
        assert_eq!(contact.expires(), Some(u32::MAX));
        let contact = Contact::parse(b"<sip:a@b>;expires=soon").expect("valid");
        assert_eq!(contact.expires(), None);
    }
}
