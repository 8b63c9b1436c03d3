//! `rtcp`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};
use crate::line::Connection;

/// Where RTCP goes (RFC 3605 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp<'a> {
    /// The port.
    pub port: u16,
    /// The address, if it is another than that of RTP.
    pub address: Option<Connection<'a>>,
}

impl<'a> TypedAttribute<'a> for Rtcp<'a> {
    const NAME: AttributeName = AttributeName::Rtcp;

    fn parse(value: &'a str) -> Result<Rtcp<'a>, BadAttribute> {
        let bad = BadAttribute(Self::NAME);
        let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
        let port = port.parse().map_err(|_| bad)?;
        let address = match rest.trim() {
            "" => None,
            rest => Some(Connection::parse(rest).ok_or(bad)?),
        };
        Ok(Rtcp { port, address })
    }
}

impl fmt::Display for Rtcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        self.address.map_or(Ok(()), |address| write!(f, " {address}"))
    }
}
