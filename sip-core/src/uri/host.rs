//! Hosts (RFC 3261 §25.1, RFC 5118).

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::header::grammar::is_host;

/// The host part of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name, as written.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; it stands in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// A host alone: a name, an IPv4 address, an IPv6 address with or without brackets.
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        if let Ok(address) = text.parse() {
            return Some(Host::V6(address));
        }
        match Host::take(text)? {
            (host, "") => Some(host),
            _ => None,
        }
    }

    /// The host at the start of `text`, and what follows it.
    pub(super) fn take(text: &'a str) -> Option<(Host<'a>, &'a str)> {
        if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']')?;
            return Some((Host::V6(v6(address)?), rest));
        }
        let end = text.bytes().position(|c| !is_host(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        if name.is_empty() {
            return None;
        }
        // Only a name that ends in a digit can be an IPv4 address (RFC 3261 toplabel starts with a letter).
        if name.ends_with(|c: char| c.is_ascii_digit())
            && let Ok(address) = name.parse()
        {
            return Some((Host::V4(address), rest));
        }
        Some((Host::Name(name), rest))
    }

    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether both are the same host: names without regard to case, addresses by value.
    pub fn equivalent(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self.ip() == other.ip(),
        }
    }

    pub(super) fn write_lower(&self, out: &mut String) {
        match self {
            Host::Name(name) => out.extend(name.chars().map(|c| c.to_ascii_lowercase())),
            address => _ = write!(out, "{address}"),
        }
    }
}

/// RFC 5118 §4.10: the grammar of RFC 3261 allowed a third colon before an IPv4 tail; it must be tolerated.
fn v6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.contains(":::").then(|| text.replacen(":::", "::", 1).parse().ok())?)
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => write!(f, "{address}"),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}
