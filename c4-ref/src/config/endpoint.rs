//! Listeners, backends and other addresses in settings.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sip_core::flow::Transport;

use crate::ng::client::Node;

/// A transport and an address: `udp:ADDR:PORT`, `tcp:ADDR:PORT` or `tls:ADDR:PORT`. Without a port: 5060, TLS 5061.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no endpoint; accepted: \"udp:ADDR:PORT\", \"tcp:ADDR:PORT\", \"tls:ADDR:PORT\"");
        let (transport, address) = text.split_once(':').ok_or_else(wrong)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(wrong()),
        };
        Ok(Endpoint { transport, address: socket_address(transport, address).ok_or_else(wrong)? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.uri_param(), self.address)
    }
}

fn socket_address(transport: Transport, text: &str) -> Option<SocketAddr> {
    // RFC 3261 §19.1.2: 5060, with TLS 5061.
    let port = if transport == Transport::Tls { 5061 } else { 5060 };
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
    text.parse().ok().or_else(bare)
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

/// The address of `udp:ADDR:PORT`, or none if the text is empty.
pub(super) fn udp_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<Endpoint>() {
        Ok(Endpoint { transport: Transport::Udp, address }) => Ok(Some(address)),
        Ok(_) => Err(format!("`{text}` is not UDP; accepted: \"udp:ADDR:PORT\", \"\"")),
        Err(why) => Err(why),
    }
}

/// A media relay: `udp:ADDR:PORT`, `tcp:ADDR:PORT`, or both of one relay with a comma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaRelay(pub Node);

impl Serialize for MediaRelay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaRelay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(MediaRelay).map_err(Error::custom)
    }
}

/// A proxy behind the load balancer: `ADDR:PORT` (UDP), `udp:ADDR:PORT` or `tcp:ADDR:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend(pub Endpoint);

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = socket_address(Transport::Udp, text) {
            return Ok(Backend(Endpoint { transport: Transport::Udp, address }));
        }
        match text.parse::<Endpoint>() {
            Ok(endpoint) if endpoint.transport != Transport::Tls => Ok(Backend(endpoint)),
            _ => Err(format!("`{text}` is no backend; accepted: \"ADDR:PORT\" (UDP) or \"tcp:ADDR:PORT\"")),
        }
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.transport {
            Transport::Udp => serializer.collect_str(&self.0.address),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

/// A socket to listen on: `"udp:ADDR:PORT"` or `{ bind = "udp:ADDR:PORT", advertise = "HOST:PORT" }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listener {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The local address; it is `Flow::local` of what comes in here.
    pub bind: SocketAddr,
    /// Host and port that others reach it by, for Via, Record-Route and Path; `None`: the bound address.
    pub advertise: Option<String>,
}

impl Listener {
    /// `host:port` for Via, Record-Route and Path.
    pub fn advertised(&self) -> String {
        match &self.advertise {
            Some(advertise) => advertise.clone(),
            None => self.bind.to_string(),
        }
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let endpoint: Endpoint = text.parse().map_err(|_| wrong_listener(text))?;
        Ok(Listener { transport: endpoint.transport, bind: endpoint.address, advertise: None })
    }
}

fn wrong_listener(text: &str) -> String {
    format!("`{text}` is no listener; accepted: {LISTENER}")
}

const LISTENER: &str = "\"udp:ADDR:PORT\", \"tcp:ADDR:PORT\", \"tls:ADDR:PORT\" or { bind, advertise }";

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bind = Endpoint { transport: self.transport, address: self.bind };
        match &self.advertise {
            None => bind.serialize(serializer),
            Some(advertise) => {
                use serde::ser::SerializeStruct;
                let mut table = serializer.serialize_struct("Listener", 2)?;
                table.serialize_field("bind", &bind)?;
                table.serialize_field("advertise", advertise)?;
                table.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenerVisitor)
    }
}

struct ListenerVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ListenerTable {
    bind: String,
    #[serde(default)]
    advertise: Option<String>,
}

impl<'de> Visitor<'de> for ListenerVisitor {
    type Value = Listener;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LISTENER)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listener, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Listener, A::Error> {
        let table = ListenerTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let mut listener: Listener = table.bind.parse().map_err(A::Error::custom)?;
        listener.advertise =
            table.advertise.map(|host| with_port(&host, listener.bind.port())).transpose().map_err(|host| {
                A::Error::custom(format!("`{host}` is no advertised address; accepted: \"HOST\" or \"HOST:PORT\""))
            })?;
        Ok(listener)
    }
}

/// `host` with the listener's port when it has none. IPv6 stands in brackets. Gives the text back when it is neither.
fn with_port(host: &str, port: u16) -> Result<String, String> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port).to_string());
    }
    let name =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    match host.rsplit_once(':') {
        Some((_, number)) if host.parse::<SocketAddr>().is_ok() && number != "0" => Ok(host.into()),
        Some((before, number)) if name(before) && number.parse::<u16>().is_ok_and(|n| n != 0) => Ok(host.into()),
        None if name(host) => Ok(format!("{host}:{port}")),
        _ => Err(host.into()),
    }
}
