//! `ptime` and `maxptime`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// Time of media in a packet, in ms (RFC 8866 §6.4). Some peers write fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ptime(pub f32);

/// The most time of media in a packet, in ms (RFC 8866 §6.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPtime(pub f32);

impl TypedAttribute<'_> for Ptime {
    const NAME: AttributeName = AttributeName::Ptime;

    fn parse(value: &str) -> Result<Ptime, BadAttribute> {
        milliseconds(value).map(Ptime).ok_or(BadAttribute(Self::NAME))
    }
}

impl TypedAttribute<'_> for MaxPtime {
    const NAME: AttributeName = AttributeName::MaxPtime;

    fn parse(value: &str) -> Result<MaxPtime, BadAttribute> {
        milliseconds(value).map(MaxPtime).ok_or(BadAttribute(Self::NAME))
    }
}

/// A positive number; no sign, exponent or name such as `inf`.
fn milliseconds(value: &str) -> Option<f32> {
    if !value.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
        return None;
    }
    value.parse().ok().filter(|ms: &f32| *ms > 0.0 && ms.is_finite())
}

impl fmt::Display for Ptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MaxPtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
