//! NAT tests on a received message: a set of signs, numbered as the SIP proxies in the field number theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_core::header::{Header, NameAddr, Via};
use sip_core::uri::Uri;
use sip_core::{Message, Transport};

/// A set of signs of a NAT.
///
/// ```
/// use c4_nat::detect::Signs;
/// assert_eq!((Signs::USUAL.bits(), Signs::USUAL.contains(Signs::PRIVATE_CONTACT)), (19, true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Signs(u16);

impl Signs {
    /// The host of the Contact is a private address.
    pub const PRIVATE_CONTACT: Signs = Signs(0x01);
    /// The host of the topmost Via is not the source address, or no address.
    pub const VIA_ADDRESS: Signs = Signs(0x02);
    /// The sent-by of the topmost Via is a private address.
    pub const PRIVATE_VIA: Signs = Signs(0x04);
    /// The port of the topmost Via (5060 if none is written) is not the source port.
    pub const VIA_PORT: Signs = Signs(0x10);
    /// The source address is private.
    pub const PRIVATE_SOURCE: Signs = Signs(0x20);
    /// It came over a WebSocket.
    pub const WEBSOCKET: Signs = Signs(0x40);
    /// The port of the Contact is not the source port.
    pub const CONTACT_PORT: Signs = Signs(0x80);
    /// The usual sum, 19: private Contact, address or port of the Via differ.
    pub const USUAL: Signs = Signs(0x13);

    /// The signs of these numbers.
    pub const fn from_bits(bits: u16) -> Signs {
        Signs(bits)
    }

    /// Their numbers.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Signs) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Signs {
    type Output = Signs;

    fn bitor(self, other: Signs) -> Signs {
        Signs(self.0 | other.0)
    }
}

/// Which of the signs `wanted` a message shows that came from `source` over `transport`. What a message does not have
/// (a Contact, a Via that can be read) shows nothing.
pub fn signs(message: &Message, transport: Transport, source: SocketAddr, wanted: Signs) -> Signs {
    let mut found = 0;
    let mut sign = |sign: Signs, shows: bool| found |= if shows { sign.0 } else { 0 };
    let ip = source.ip().to_canonical();
    sign(Signs::PRIVATE_SOURCE, is_private(ip));
    sign(Signs::WEBSOCKET, matches!(transport, Transport::Ws | Transport::Wss));
    if let Some(Ok(via)) = message.typed::<Via<'_>>() {
        let host = via.host_ip().map(|host| host.to_canonical());
        sign(Signs::VIA_ADDRESS, host != Some(ip));
        sign(Signs::PRIVATE_VIA, host.is_some_and(is_private));
        sign(Signs::VIA_PORT, via.port.unwrap_or(5060) != source.port());
    }
    let contact = message.values(Header::Contact).next().and_then(NameAddr::parse);
    if let Some(uri) = contact.and_then(|contact| Uri::parse(contact.uri)) {
        sign(Signs::PRIVATE_CONTACT, uri.host.ip().is_some_and(is_private));
        sign(Signs::CONTACT_PORT, uri.port.unwrap_or(5060) != source.port());
    }
    Signs(found & wanted.0)
}

/// Whether an address is private: RFC 1918, RFC 6598, 192.0.0.0/29 (RFC 7335); in IPv6 unique local (RFC 4193).
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || is_shared(v4),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn is_shared(address: Ipv4Addr) -> bool {
    match address.octets() {
        [100, b, ..] => (64..128).contains(&b),
        [192, 0, 0, d] => d < 8,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Limits;

    fn found(via: &str, contact: &str, source: &str, transport: Transport) -> u16 {
        let text = format!(
            "OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\n{contact}Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(text.into(), &Limits::default()).unwrap();
        signs(&message, transport, source.parse().unwrap(), Signs::from_bits(u16::MAX)).bits()
    }

    #[test]
    fn each_sign_shows_alone() {
        let udp = Transport::Udp;
        let at = |contact: &str| format!("Contact: <sip:a@{contact}>\r\n");
        assert_eq!(found("192.0.2.1:5060", &at("192.0.2.1"), "192.0.2.1:5060", udp), 0);
        assert_eq!(found("192.0.2.1", &at("10.0.0.1"), "192.0.2.1:5060", udp), 0x01);
        assert_eq!(found("192.0.2.2", &at("192.0.2.1"), "192.0.2.1:5060", udp), 0x02);
        assert_eq!(found("192.168.1.1", &at("192.0.2.1"), "192.0.2.1:5060", udp), 0x06);
        assert_eq!(found("192.0.2.1:5062", &at("192.0.2.1"), "192.0.2.1:5060", udp), 0x10);
        assert_eq!(found("10.0.0.1", "", "10.0.0.1:5060", udp), 0x24);
        assert_eq!(found("192.0.2.1", "", "192.0.2.1:5060", Transport::Wss), 0x40);
        assert_eq!(found("192.0.2.1", &at("192.0.2.1:5070"), "192.0.2.1:5060", udp), 0x80);
    }

    #[test]
    fn only_what_is_asked_for_is_reported() {
        let text =
            "OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:7;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n";
        let message = Message::parse(text.into(), &Limits::default()).unwrap();
        let source = "192.0.2.1:5060".parse().unwrap();
        let usual = signs(&message, Transport::Udp, source, Signs::USUAL);
        assert_eq!(usual, Signs::VIA_ADDRESS | Signs::VIA_PORT);
        assert!(signs(&message, Transport::Udp, source, Signs::WEBSOCKET).is_empty());
    }

    #[test]
    fn rfc1918_rfc6598_rfc7335_and_rfc4193_addresses_are_private() {
        for (address, private) in [
            ("10.255.255.255", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.0.0", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("192.0.0.7", true),
            ("192.0.0.8", false),
            ("::ffff:10.0.0.1", true),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }
}
