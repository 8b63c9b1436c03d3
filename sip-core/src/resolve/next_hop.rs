//! Where a message goes, as far as no DNS is needed: the part of RFC 3263 §4 for addresses written as numbers, and the
//! way of a response by its Via (RFC 3261 §18.2.2, RFC 3581 §4).

use std::net::{IpAddr, SocketAddr};

use crate::flow::{Target, Transport};
use crate::header::Via;
use crate::uri::{Host, Scheme, Uri};

/// The next hop of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// Written as a number: no question left.
    Target(Target),
    /// A name to resolve (RFC 3263 §4.1, §4.2).
    Resolve {
        /// The host name.
        host: Box<str>,
        /// The port, if one is written: no SRV then.
        port: Option<u16>,
        /// The transport, if the URI says: no NAPTR then.
        transport: Option<Transport>,
        /// Whether only TLS will do: sips.
        secure: bool,
    },
}

/// A URI that says no next hop: neither sip nor sips, malformed, or of a transport that we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URI names no next hop")]
pub struct NoNextHop;

/// The next hop of a URI as text.
pub fn of_uri_text(uri: &str) -> Result<NextHop, NoNextHop> {
    of_uri(&Uri::parse(uri).ok_or(NoNextHop)?)
}

/// The next hop of a URI: maddr before host (RFC 3261 §19.1.1); the transport parameter, else TLS for sips and UDP for
/// a numeric host (RFC 3263 §4.1); the port, else the transport's default (§4.2).
pub fn of_uri(uri: &Uri<'_>) -> Result<NextHop, NoNextHop> {
    let secure = match uri.scheme {
        Scheme::Sip => false,
        Scheme::Sips => true,
        _ => return Err(NoNextHop),
    };
    let transport = match uri.transport() {
        Some(named) => Some(secured(named.ok_or(NoNextHop)?, secure)),
        None => None,
    };
    let maddr = uri.param("maddr").flatten();
    let address = match (maddr, uri.host) {
        (Some(maddr), _) => numeric(maddr),
        (None, Host::V4(address)) => Some(IpAddr::V4(address)),
        (None, Host::V6(address)) => Some(IpAddr::V6(address)),
        (None, Host::Name(_)) => None,
    };
    let Some(address) = address else {
        let host = match (maddr, uri.host) {
            (Some(maddr), _) => maddr,
            (None, Host::Name(name)) => name,
            _ => return Err(NoNextHop),
        };
        return Ok(NextHop::Resolve { host: host.into(), port: uri.port, transport, secure });
    };
    let transport = transport.unwrap_or(if secure { Transport::Tls } else { Transport::Udp });
    let port = uri.port.unwrap_or(transport.default_port());
    Ok(NextHop::Target(Target::new(transport, SocketAddr::new(address, port))))
}

fn numeric(host: &str) -> Option<IpAddr> {
    Host::parse(host)?.ip()
}

/// sips with `transport=tcp` means TLS over TCP (RFC 3261 §26.2.2, RFC 5630 §3.1.3).
fn secured(transport: Transport, secure: bool) -> Transport {
    match (transport, secure) {
        (Transport::Tcp | Transport::Udp, true) => Transport::Tls,
        (Transport::Ws, true) => Transport::Wss,
        (transport, _) => transport,
    }
}

/// The port of a URI, explicit or the default of its scheme and transport (RFC 3261 §19.1.2).
pub fn port_of(uri: &Uri<'_>) -> u16 {
    uri.port.unwrap_or_else(|| {
        let secure = uri.scheme == Scheme::Sips;
        let named = uri.transport().flatten();
        named.map_or(if secure { Transport::Tls } else { Transport::Udp }, |t| secured(t, secure)).default_port()
    })
}

/// Where a response goes by the Via on its top, once the flow that the request came by is not known or gone: maddr,
/// else received and rport, else sent-by (RFC 3261 §18.2.2, RFC 3581 §4). None: a name, or no transport of ours.
pub fn of_via(via: &Via<'_>) -> Option<Target> {
    let transport = via.transport()?;
    let maddr = via.params.value("maddr").filter(|_| !transport.is_reliable()).and_then(numeric);
    if let Some(maddr) = maddr {
        return Some(Target::new(transport, SocketAddr::new(maddr, via.port_or_default())));
    }
    let address = via.received().or_else(|| via.host_ip())?;
    let port = match via.rport() {
        Some(Some(port)) if !transport.is_reliable() => port,
        _ => via.port_or_default(),
    };
    Some(Target::new(transport, SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::TypedHeader;

    fn target(uri: &str) -> Option<String> {
        match of_uri_text(uri).ok()? {
            NextHop::Target(target) => Some(format!("{} {}", target.transport, target.remote)),
            NextHop::Resolve { host, port, transport, secure } => {
                Some(format!("resolve {host} {port:?} {transport:?} {secure}"))
            }
        }
    }

    #[test]
    fn rfc3263_4_1_a_numeric_host_takes_udp_or_tls_or_what_is_said() {
        assert_eq!(target("sip:a@192.0.2.1").as_deref(), Some("UDP 192.0.2.1:5060"));
        assert_eq!(target("sips:a@192.0.2.1").as_deref(), Some("TLS 192.0.2.1:5061"));
        assert_eq!(target("sip:192.0.2.1;transport=TCP").as_deref(), Some("TCP 192.0.2.1:5060"));
        assert_eq!(target("sip:192.0.2.1:5070;transport=tls;lr").as_deref(), Some("TLS 192.0.2.1:5070"));
        assert_eq!(target("sip:[2001:db8::1]:5070").as_deref(), Some("UDP [2001:db8::1]:5070"));
        assert_eq!(target("sips:192.0.2.1;transport=tcp").as_deref(), Some("TLS 192.0.2.1:5061"));
    }

    #[test]
    fn rfc3261_19_1_1_maddr_is_where_it_goes() {
        assert_eq!(target("sip:example.com;maddr=192.0.2.9").as_deref(), Some("UDP 192.0.2.9:5060"));
        assert_eq!(
            target("sip:192.0.2.1;maddr=a.example.com").as_deref(),
            Some("resolve a.example.com None None false")
        );
    }

    #[test]
    fn names_are_the_callers_to_resolve() {
        assert_eq!(
            target("sips:b@example.com:5071;transport=ws").as_deref(),
            Some("resolve example.com Some(5071) Some(Wss) true")
        );
    }

    #[test]
    fn other_schemes_and_transports_name_no_next_hop() {
        assert_eq!(target("tel:+4930123"), None);
        assert_eq!(target("sip:192.0.2.1;transport=carrier-pigeon"), None);
        assert_eq!(target("sip:192.0.2.1;transport"), None);
    }

    #[test]
    fn rfc3261_18_2_2_a_response_follows_maddr_received_rport_sent_by() {
        let way = |via: &str| of_via(&Via::parse(via.as_bytes()).unwrap()).map(|t| t.remote.to_string());
        assert_eq!(way("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1").as_deref(), Some("192.0.2.1:5060"));
        assert_eq!(way("SIP/2.0/UDP h:5070;received=192.0.2.2").as_deref(), Some("192.0.2.2:5070"));
        assert_eq!(way("SIP/2.0/UDP h:5070;received=192.0.2.2;rport=40000").as_deref(), Some("192.0.2.2:40000"));
        assert_eq!(way("SIP/2.0/UDP h;maddr=192.0.2.3;received=192.0.2.2").as_deref(), Some("192.0.2.3:5060"));
        assert_eq!(way("SIP/2.0/TCP h;received=192.0.2.2;rport=40000").as_deref(), Some("192.0.2.2:5060"));
        assert_eq!(way("SIP/2.0/TLS 192.0.2.1").as_deref(), Some("192.0.2.1:5061"));
        assert_eq!(way("SIP/2.0/UDP name.example.com").as_deref(), None);
    }
}
