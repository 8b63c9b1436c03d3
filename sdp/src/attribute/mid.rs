//! `mid`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};
use crate::line::is_token;

/// The identification tag of a media description (RFC 5888 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mid<'a>(pub &'a str);

impl<'a> TypedAttribute<'a> for Mid<'a> {
    const NAME: AttributeName = AttributeName::Mid;

    fn parse(value: &'a str) -> Result<Mid<'a>, BadAttribute> {
        let good = !value.is_empty() && value.bytes().all(is_token);
        good.then_some(Mid(value)).ok_or(BadAttribute(Self::NAME))
    }
}

impl fmt::Display for Mid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
