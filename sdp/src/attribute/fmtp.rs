//! `fmtp`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// Parameters of a format (RFC 8866 §6.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fmtp<'a> {
    /// The format of the `m=` line: a payload type for RTP.
    pub format: &'a str,
    /// The parameters as written.
    pub parameters: &'a str,
}

impl<'a> Fmtp<'a> {
    /// The parameters of the form `name=value; name`, with `""` where there is no value.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let parts = self.parameters.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim())))
    }

    /// The value of a parameter, whose name is found in any letter case.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.pairs().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<'a> TypedAttribute<'a> for Fmtp<'a> {
    const NAME: AttributeName = AttributeName::Fmtp;

    fn parse(value: &'a str) -> Result<Fmtp<'a>, BadAttribute> {
        let (format, parameters) = value.split_once(' ').ok_or(BadAttribute(Self::NAME))?;
        if format.is_empty() {
            return Err(BadAttribute(Self::NAME));
        }
        Ok(Fmtp { format, parameters: parameters.trim() })
    }
}

impl fmt::Display for Fmtp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.parameters)
    }
}
