//! `ice-ufrag`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// The user fragment of ICE: 4 to 256 letters, digits, `+` and `/` (RFC 8839 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceUfrag<'a>(pub &'a str);

impl<'a> TypedAttribute<'a> for IceUfrag<'a> {
    const NAME: AttributeName = AttributeName::IceUfrag;

    fn parse(value: &'a str) -> Result<IceUfrag<'a>, BadAttribute> {
        let good = (4..=256).contains(&value.len()) && value.bytes().all(is_ice_char);
        good.then_some(IceUfrag(value)).ok_or(BadAttribute(Self::NAME))
    }
}

impl fmt::Display for IceUfrag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// `ice-char` (RFC 8839 §5.1).
pub(super) fn is_ice_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8839_5_4_size_and_alphabet() {
        assert_eq!(IceUfrag::parse("8h+/").map(|ufrag| ufrag.0), Ok("8h+/"));
        assert!(IceUfrag::parse(&"a".repeat(256)).is_ok());
        for bad in ["", "abc", "abc:", "ab cd", &"a".repeat(257)] {
            assert!(IceUfrag::parse(bad).is_err(), "{bad}");
        }
    }
}
