//! `ice-pwd`.

use std::fmt;

use super::ice_ufrag::is_ice_char;
use super::{AttributeName, BadAttribute, TypedAttribute};

/// The password of ICE: 22 to 256 letters, digits, `+` and `/` (RFC 8839 §5.4). A secret: `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IcePwd<'a>(pub &'a str);

impl<'a> TypedAttribute<'a> for IcePwd<'a> {
    const NAME: AttributeName = AttributeName::IcePwd;

    fn parse(value: &'a str) -> Result<IcePwd<'a>, BadAttribute> {
        let good = (22..=256).contains(&value.len()) && value.bytes().all(is_ice_char);
        good.then_some(IcePwd(value)).ok_or(BadAttribute(Self::NAME))
    }
}

impl fmt::Display for IcePwd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for IcePwd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IcePwd(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8839_5_4_size_and_a_silent_debug() {
        let text = "asd88fgpdd777uzjYhagZg";
        let password = IcePwd::parse(text).unwrap();
        assert_eq!(password.to_string(), text);
        assert!(!format!("{password:?}").contains("asd88"));
        assert!(IcePwd::parse("asd88fgpdd777uzjYhagZ").is_err(), "21 octets");
        assert!(IcePwd::parse("asd88fgpdd777uzjYhagZ-").is_err());
    }
}
