//! Which hosts name this element: in a Route (RFC 3261 §16.4), a Request-URI, a Via.

use std::net::{IpAddr, SocketAddr};

use crate::uri::{Host, Uri};

/// Hosts and ports that are ours. A handful: a list is the fastest set.
///
/// ```
/// use c4_sip_core::proxy::Locals;
/// use c4_sip_core::uri::Uri;
/// let mut ours = Locals::default();
/// ours.add_address("192.0.2.1:5060".parse().unwrap());
/// ours.add_host("proxy.example.com", None);
/// assert!(ours.is_local(&Uri::parse("sip:192.0.2.1;lr").unwrap()));
/// assert!(ours.is_local(&Uri::parse("sip:Proxy.Example.com:5080").unwrap()));
/// assert!(!ours.is_local(&Uri::parse("sip:192.0.2.1:5070").unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locals {
    names: Vec<(Box<str>, Option<u16>)>,
    addresses: Vec<(IpAddr, Option<u16>)>,
}

impl Locals {
    /// Adds a listener's address or its advertised one.
    pub fn add_address(&mut self, address: SocketAddr) {
        self.addresses.push((address.ip(), Some(address.port())));
    }

    /// Adds a host, a name or an address (IPv6 with or without brackets); a port of None: whatever the port.
    pub fn add_host(&mut self, host: &str, port: Option<u16>) {
        match Host::parse(host).and_then(|host| host.ip()) {
            Some(address) => self.addresses.push((address, port)),
            None => self.names.push((host.trim_end_matches('.').to_ascii_lowercase().into(), port)),
        }
    }

    /// Whether a host and port are ours.
    pub fn contains(&self, host: &Host<'_>, port: u16) -> bool {
        let fits = |ours: &Option<u16>| ours.is_none_or(|ours| ours == port);
        let address = match host {
            Host::V4(address) => IpAddr::V4(*address),
            Host::V6(address) => IpAddr::V6(*address),
            Host::Name(name) => {
                let name = name.trim_end_matches('.');
                return self.names.iter().any(|(ours, port)| ours.eq_ignore_ascii_case(name) && fits(port));
            }
        };
        self.addresses.iter().any(|(ours, port)| *ours == address && fits(port))
    }

    /// Whether a URI's host and port, explicit or by default, are ours.
    pub fn is_local(&self, uri: &Uri<'_>) -> bool {
        self.contains(&uri.host, super::next_hop::port_of(uri))
    }
}
