//! `setup`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// Who opens the connection, or is the client of DTLS (RFC 4145 §4, RFC 5763 §5, RFC 8842 §5.3).
///
/// ```
/// use c4_sdp::TypedAttribute;
/// use c4_sdp::attribute::Setup;
/// assert_eq!(Setup::parse("actpass").unwrap().answers(), [Setup::Active, Setup::Passive, Setup::HoldConn]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer opens it.
    Active,
    /// The other side opens it.
    Passive,
    /// Either; only in offers.
    ActPass,
    /// Nobody for now. Not for DTLS-SRTP.
    HoldConn,
}

impl Setup {
    /// The answers that RFC 4145 §4.1 allows to this offer, preferred first: for DTLS the answerer should be active
    /// (RFC 5763 §5).
    pub fn answers(self) -> &'static [Setup] {
        match self {
            Setup::ActPass => &[Setup::Active, Setup::Passive, Setup::HoldConn],
            Setup::Active => &[Setup::Passive, Setup::HoldConn],
            Setup::Passive => &[Setup::Active, Setup::HoldConn],
            Setup::HoldConn => &[Setup::HoldConn],
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
            Setup::HoldConn => "holdconn",
        }
    }
}

impl TypedAttribute<'_> for Setup {
    const NAME: AttributeName = AttributeName::Setup;

    fn parse(value: &str) -> Result<Setup, BadAttribute> {
        let all = [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn];
        let found = all.into_iter().find(|setup| setup.as_str().eq_ignore_ascii_case(value));
        found.ok_or(BadAttribute(Self::NAME))
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4145_4_1_answers_and_spelling() {
        for value in ["active", "passive", "actpass", "holdconn"] {
            let setup = Setup::parse(value).unwrap();
            assert_eq!(setup.to_string(), value);
            assert!(!setup.answers().contains(&Setup::ActPass), "an answer decides");
        }
        assert_eq!(Setup::Active.answers().first(), Some(&Setup::Passive));
        assert_eq!(Setup::Passive.answers().first(), Some(&Setup::Active));
        assert!(Setup::parse("").is_err());
    }
}
