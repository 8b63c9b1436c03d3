//! Networks: an address or a prefix, as the configuration writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP network: `192.0.2.0/24`, `2001:db8::/32` or a single address.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:192.0.2.1`) count as the IPv4 address they carry, on both sides.
///
/// ```
/// use c4_ref::net::Network;
/// let lan: Network = "192.0.2.0/24".parse().unwrap();
/// assert!(lan.contains("192.0.2.77".parse().unwrap()));
/// assert!(!lan.contains("198.51.100.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// What is wrong with a network in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither an IPv4 nor an IPv6 address stands before the slash.
    #[error("not an IP address or network: {0:?}")]
    Address(String),
    /// The prefix length is no number, or longer than the address.
    #[error("not a prefix length of this address family: {0:?}")]
    Prefix(String),
}

impl Network {
    /// The network of `bits` leading bits around `address`; the host bits of `address` are cleared.
    /// `None` when `bits` is more than the address has.
    pub fn new(address: IpAddr, bits: u8) -> Option<Network> {
        let base = match address {
            IpAddr::V4(v4) if bits <= 32 => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask32(bits))),
            IpAddr::V6(v6) if bits <= 128 => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask128(bits))),
            _ => return None,
        };
        Some(Network { base, bits })
    }

    /// The length of the prefix; 0: every address of the family.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether `address` lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(a)) => a.to_bits() & mask32(self.bits) == base.to_bits(),
            (IpAddr::V6(base), IpAddr::V6(a)) => a.to_bits() & mask128(self.bits) == base.to_bits(),
            _ => false,
        }
    }
}

/// The network of one address.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        let base = address.to_canonical();
        Network { base, bits: if base.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = bare.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let Some(bits) = bits else {
            return Ok(Network::from(address));
        };
        let bits: u8 = bits.parse().map_err(|_| NetworkError::Prefix(text.to_owned()))?;
        let mapped = match address {
            IpAddr::V6(v6) if bits >= 96 => v6.to_ipv4_mapped(),
            _ => None,
        };
        let network = match mapped {
            Some(v4) => Network::new(IpAddr::V4(v4), bits - 96),
            None => Network::new(address, bits),
        };
        network.ok_or_else(|| NetworkError::Prefix(text.to_owned()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

fn mask32(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn mask128(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_holds_its_addresses_and_no_others() {
        assert!(net("10.1.0.0/16").contains(ip("10.1.255.255")));
        assert!(!net("10.1.0.0/16").contains(ip("10.2.0.0")));
        assert!(net("10.1.2.3/16").contains(ip("10.1.0.1")), "host bits are cleared");
        assert!(net("0.0.0.0/0").contains(ip("203.0.113.9")));
        assert!(!net("0.0.0.0/0").contains(ip("2001:db8::1")), "families stay apart");
        assert!(net("2001:db8::/32").contains(ip("2001:db8:ffff::1")));
        assert!(net("::/0").contains(ip("2001:db8::1")));
    }

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert!(net("127.0.0.1").contains(ip("127.0.0.1")));
        assert!(!net("127.0.0.1").contains(ip("127.0.0.2")));
        assert!(net("[::1]").contains(ip("::1")));
    }

    #[test]
    fn ipv4_in_ipv6_counts_as_ipv4() {
        assert!(net("192.0.2.0/24").contains(ip("::ffff:192.0.2.5")));
        assert!(net("::ffff:192.0.2.5").contains(ip("192.0.2.5")));
        assert!(net("::ffff:192.0.2.0/120").contains(ip("192.0.2.5")));
    }

    #[test]
    fn what_is_no_network_says_which_part_is_wrong() {
        assert_eq!("carrier".parse::<Network>(), Err(NetworkError::Address("carrier".into())));
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Prefix("10.0.0.0/33".into())));
        assert_eq!("10.0.0.0/x".parse::<Network>(), Err(NetworkError::Prefix("10.0.0.0/x".into())));
    }
}
