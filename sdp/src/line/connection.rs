//! `c=`.

use std::fmt;
use std::net::IpAddr;

use super::check_field;
use crate::BadEdit;

/// Where media go (RFC 8866 §5.7).
///
/// ```
/// use c4_sdp::Connection;
/// let multicast = Connection::parse("IN IP4 233.252.0.1/127/3").unwrap();
/// assert_eq!((multicast.address, multicast.ttl, multicast.count), ("233.252.0.1", Some(127), Some(3)));
/// assert!(Connection::parse("IN IP4 0.0.0.0").unwrap().is_unspecified());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `IN`.
    pub net_type: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// An address or host name.
    pub address: &'a str,
    /// Hops that an IPv4 multicast may go.
    pub ttl: Option<u8>,
    /// How many adjacent multicast addresses there are.
    pub count: Option<u32>,
}

impl<'a> Connection<'a> {
    /// This address.
    pub fn of(address: &'a str, is_ipv6: bool) -> Connection<'a> {
        let address_type = if is_ipv6 { "IP6" } else { "IP4" };
        Connection { net_type: "IN", address_type, address, ttl: None, count: None }
    }

    /// Reads the value of a `c=` line; None if a field is missing or a suffix is no number.
    pub fn parse(value: &'a str) -> Option<Connection<'a>> {
        let mut fields = value.split_ascii_whitespace();
        let (net_type, address_type, rest) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let mut parts = rest.split('/');
        let address = parts.next().filter(|address| !address.is_empty())?;
        let (first, second) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        // IPv6 multicast has no TTL: the only suffix is a count.
        let (ttl, count) = if address_type.eq_ignore_ascii_case("IP6") {
            if second.is_some() {
                return None;
            }
            (None, first)
        } else {
            (first, second)
        };
        let ttl = ttl.map(str::parse).transpose().ok()?;
        let count = count.map(str::parse).transpose().ok()?;
        Some(Connection { net_type, address_type, address, ttl, count })
    }

    /// The address; None for a host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// Whether it is `0.0.0.0` or `::`: hold in the form of RFC 2543, or no address yet (RFC 3264 §8.4, §5).
    pub fn is_unspecified(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    pub(crate) fn check(&self) -> Result<(), BadEdit> {
        check_field(self.net_type)?;
        check_field(self.address_type)?;
        check_field(self.address)?;
        let fits = Connection::parse(&self.to_string()).is_some_and(|again| again == *self);
        if fits { Ok(()) } else { Err(BadEdit::Token) }
    }
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.net_type, self.address_type, self.address)?;
        if let Some(ttl) = self.ttl {
            write!(f, "/{ttl}")?;
        }
        self.count.map_or(Ok(()), |count| write!(f, "/{count}"))
    }
}
