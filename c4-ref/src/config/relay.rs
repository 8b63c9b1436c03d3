//! `[relay]`: the media relay's settings.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sip_core::flow::Transport;

use super::{Endpoint, Invalid, sane};
use crate::net::Network;

/// `[relay]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Relay {
    /// Sockets of the NG protocol, UDP or TCP.
    pub ng: Vec<Endpoint>,
    /// Who may send NG commands; empty: anybody who reaches a loopback socket.
    pub allow: Vec<Network>,
    /// Local addresses of media; the first is the default.
    pub interfaces: Vec<Interface>,
    /// Ports of media.
    pub ports: Ports,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// TOS octet (traffic class) of media.
    pub tos: u8,
    /// A call without media for so long ends, milliseconds.
    pub media_timeout_ms: u64,
    /// The same while every stream is on hold.
    pub silent_timeout_ms: u64,
    /// An offer that is never answered ends, milliseconds.
    pub offer_timeout_ms: u64,
    /// How long a deleted call lingers, milliseconds.
    pub delete_delay_ms: u64,
    /// Calls at a time; 0: no limit.
    pub max_sessions: usize,
    /// `udp:ADDR:PORT`: one JSON datagram per timeout goes there; empty: nowhere.
    pub notify: String,
}

impl Default for Relay {
    fn default() -> Self {
        Relay {
            ng: vec![Endpoint { transport: Transport::Udp, address: SocketAddr::from(([127, 0, 0, 1], 12_222)) }],
            allow: Vec::new(),
            interfaces: Vec::new(),
            ports: Ports { first: 30_000, last: 40_000 },
            workers: 0,
            // RFC 4594 §4.1, RFC 3246: expedited forwarding.
            tos: 184,
            media_timeout_ms: 60_000,
            silent_timeout_ms: 3_600_000,
            offer_timeout_ms: 3_600_000,
            delete_delay_ms: 30_000,
            max_sessions: 0,
            notify: String::new(),
        }
    }
}

impl Relay {
    pub(super) fn check(&self) -> Result<Vec<String>, Invalid> {
        let wrong = |key: &str, why: &str| Err(Invalid { key: format!("relay.{key}"), why: why.into() });
        if self.ng.is_empty() || self.ng.iter().any(|e| !matches!(e.transport, Transport::Udp | Transport::Tcp)) {
            return wrong("ng", "accepted: a list of \"udp:ADDR:PORT\", \"tcp:ADDR:PORT\"");
        }
        if self.allow.is_empty() && self.ng.iter().any(|e| !e.address.ip().to_canonical().is_loopback()) {
            return wrong(
                "allow",
                "is empty, but relay.ng is not on loopback; accepted: a list of \"ADDR\", \"ADDR/BITS\"",
            );
        }
        if self.interfaces.is_empty() {
            return wrong("interfaces", "is empty; accepted: a list of \"ADDR\" or { name, bind, advertise }");
        }
        if self.interfaces.iter().any(|one| one.bind.is_unspecified() || one.advertised().is_unspecified()) {
            return wrong("interfaces", "names an unspecified address; accepted: an address of this host");
        }
        if self.notify_address().is_err() {
            return wrong("notify", "accepted: \"udp:ADDR:PORT\" or \"\"");
        }
        sane::milliseconds("relay.media-timeout-ms", self.media_timeout_ms, 0)?;
        sane::milliseconds("relay.silent-timeout-ms", self.silent_timeout_ms, 0)?;
        sane::milliseconds("relay.offer-timeout-ms", self.offer_timeout_ms, 0)?;
        sane::milliseconds("relay.delete-delay-ms", self.delete_delay_ms, 0)?;
        Ok(Vec::new())
    }

    /// Where timeouts are told; `None`: nowhere.
    ///
    /// # Errors
    /// `notify` is no UDP endpoint.
    pub fn notify_address(&self) -> Result<Option<SocketAddr>, String> {
        super::endpoint::udp_address(&self.notify)
    }
}

/// A local address of media: `"ADDR"` or `{ name = "public", bind = "ADDR", advertise = "ADDR" }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    /// What `direction` and `from-interface` call it; without one, its address.
    pub name: String,
    /// Where sockets are bound.
    pub bind: IpAddr,
    /// What SDP says instead, behind a static NAT.
    pub advertise: Option<IpAddr>,
}

impl Interface {
    /// What SDP says.
    pub fn advertised(&self) -> IpAddr {
        self.advertise.unwrap_or(self.bind)
    }

    fn plain(bind: IpAddr) -> Interface {
        Interface { name: bind.to_string(), bind, advertise: None }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    bind: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advertise: Option<IpAddr>,
}

impl Serialize for Interface {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Interface::plain(self.bind) {
            return self.bind.serialize(serializer);
        }
        InterfaceTable { name: Some(self.name.clone()), bind: self.bind, advertise: self.advertise }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InterfaceVisitor)
    }
}

struct InterfaceVisitor;

impl<'de> Visitor<'de> for InterfaceVisitor {
    type Value = Interface;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"ADDR\" or { name, bind, advertise }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interface, E> {
        let wrong =
            |_| E::custom(format!("`{text}` is no interface; accepted: \"ADDR\" or {{ name, bind, advertise }}"));
        text.parse().map(Interface::plain).map_err(wrong)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Interface, A::Error> {
        let table = InterfaceTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let name = table.name.unwrap_or_else(|| table.bind.to_string());
        Ok(Interface { name, bind: table.bind, advertise: table.advertise })
    }
}

/// A range of ports, `"FIRST-LAST"`, both included, with at least one pair of an even port and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of ports; accepted: \"FIRST-LAST\" with room for an even pair");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port != 0);
        let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
        if u32::from(first) + u32::from(first) % 2 < u32::from(last) { Ok(Ports { first, last }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
