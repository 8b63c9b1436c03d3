//! The sockets of the balancer: which side they are on and how they write themselves into headers.

use std::net::SocketAddr;

use nat::path::MAX_LISTENERS;
use nat::reply::Side;
use sip_core::flow::{Flow, Transport};
use sip_core::proxy::Locals;

use crate::config;

/// A listener by its place in the configuration: the public ones first, then the internal ones. Tokens name it so,
/// which is why both halves of a pair list theirs in the same order.
pub(super) type ListenerId = u8;

#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) id: ListenerId,
    pub(super) transport: Transport,
    pub(super) bind: SocketAddr,
    pub(super) side: Side,
    /// Name of the host and port in headers.
    pub(super) sent_by: String,
    /// A Route value without token.
    pub(super) route: String,
    /// What follows the token in a Route value with one.
    pub(super) route_tail: String,
}

#[derive(Debug, Clone)]
pub(super) struct Listeners {
    list: Vec<Listener>,
    has_internal: bool,
}

impl Listeners {
    pub(super) fn new(config: &config::Lb) -> Listeners {
        let public = config.listen.iter().map(|l| (l, Side::Outside));
        let internal = config.internal.iter().map(|l| (l, Side::Inside));
        let list = public.chain(internal).take(MAX_LISTENERS).enumerate();
        let list = list.map(|(id, (listener, side))| compile(id as ListenerId, listener, side)).collect();
        Listeners { list, has_internal: !config.internal.is_empty() }
    }

    pub(super) fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.list.get(usize::from(id))
    }

    /// Whether the proxies have sockets of their own.
    pub(super) fn has_internal(&self) -> bool {
        self.has_internal
    }

    /// The listener that a flow came in by.
    pub(super) fn of_flow(&self, flow: &Flow) -> Option<&Listener> {
        let same = |l: &&Listener| l.transport == flow.transport && l.bind == flow.local;
        let any = |l: &&Listener| {
            l.transport == flow.transport && l.bind.ip().is_unspecified() && l.bind.port() == flow.local.port()
        };
        self.list.iter().find(same).or_else(|| self.list.iter().find(any))
    }

    /// The listener that speaks for us towards a side: of the same transport and address family, `prefer` if it is one;
    /// else of the same family, else whatever there is.
    pub(super) fn towards(&self, side: Side, transport: Transport, v6: bool, prefer: ListenerId) -> Option<&Listener> {
        let side = if self.has_internal { side } else { Side::Outside };
        let rank = |l: &&Listener| {
            let family = l.bind.is_ipv6() == v6;
            (l.transport == transport && family, family, l.transport == transport, l.id == prefer)
        };
        self.list.iter().rev().filter(|l| l.side == side).max_by_key(rank)
    }

    /// The socket for datagrams to an address: `id` if it is one of the family, else the first of its side that is. The
    /// other half of a pair may have other listeners than the one that made a token.
    pub(super) fn datagram(&self, id: ListenerId, v6: bool) -> Option<&Listener> {
        let fits = |l: &&Listener| l.transport == Transport::Udp && l.bind.is_ipv6() == v6;
        let side = self.get(id).map_or(Side::Outside, |l| l.side);
        self.get(id).filter(fits).or_else(|| self.list.iter().filter(|l| l.side == side).find(fits))
    }

    /// All hosts and ports that name us: listeners, advertised addresses, aliases.
    pub(super) fn locals(&self, aliases: &[String]) -> Locals {
        let mut locals = Locals::default();
        for listener in &self.list {
            if !listener.bind.ip().is_unspecified() {
                locals.add_address(listener.bind);
            }
            let (host, port) = split(&listener.sent_by);
            locals.add_host(host, Some(port.unwrap_or(listener.transport.default_port())));
        }
        for alias in aliases {
            let (host, port) = split(alias);
            locals.add_host(host, port);
        }
        locals
    }
}

impl Listener {
    /// Whether a Record-Route must name both: the side, the transport or the address family changes between them.
    pub(super) fn differs(&self, other: &Listener) -> bool {
        self.id != other.id
            && (self.side != other.side
                || self.transport != other.transport
                || self.bind.is_ipv6() != other.bind.is_ipv6())
    }
}

fn compile(id: ListenerId, listener: &config::Listener, side: Side) -> Listener {
    let transport = listener.transport;
    let sent_by = listener.advertised();
    let param = match transport {
        Transport::Udp => String::new(),
        other => format!(";transport={}", other.uri_param()),
    };
    let route_tail = format!("@{sent_by}{param};lr>");
    let route = format!("<sip:{sent_by}{param};lr>");
    Listener { id, transport, bind: listener.bind, side, sent_by, route, route_tail }
}

/// A host and perhaps a port; an IPv6 address may stand in brackets or, without port, bare.
fn split(text: &str) -> (&str, Option<u16>) {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::uri::Uri;

    fn listeners(listen: &[&str], internal: &[&str]) -> Listeners {
        let parse = |list: &[&str]| list.iter().map(|l| l.parse().unwrap()).collect();
        Listeners::new(&config::Lb { listen: parse(listen), internal: parse(internal), ..config::Lb::default() })
    }

    #[test]
    fn the_listener_of_the_same_transport_and_family_speaks_for_us() {
        let l = listeners(
            &["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"],
            &["udp:10.0.0.1:5080", "tcp:10.0.0.1:5080"],
        );
        let id = |side, transport, v6| l.towards(side, transport, v6, 0).unwrap().id;
        assert_eq!(id(Side::Inside, Transport::Udp, false), 3);
        assert_eq!(id(Side::Inside, Transport::Tcp, false), 4);
        assert_eq!(id(Side::Outside, Transport::Udp, true), 2);
        assert_eq!(id(Side::Outside, Transport::Tls, false), 0, "no TLS listener: one of the family");
        assert!(l.get(0).unwrap().differs(l.get(1).unwrap()), "transport");
        assert!(l.get(0).unwrap().differs(l.get(2).unwrap()), "address family");
        assert!(l.get(0).unwrap().differs(l.get(3).unwrap()), "side");
        assert!(!l.get(0).unwrap().differs(l.get(0).unwrap()));
    }

    #[test]
    fn without_internal_sockets_the_public_ones_serve_both_sides() {
        let l = listeners(&["udp:192.0.2.1:5060", "udp:192.0.2.2:5060"], &[]);
        assert_eq!(l.towards(Side::Inside, Transport::Udp, false, 1).unwrap().id, 1, "the preferred one");
        assert!(!l.has_internal());
    }

    #[test]
    fn listeners_advertised_addresses_and_aliases_name_us() {
        let config = config::Lb {
            listen: vec![config::Listener {
                transport: Transport::Tls,
                bind: "0.0.0.0:5061".parse().unwrap(),
                advertise: Some("sbc.example.com:5061".into()),
            }],
            internal: vec!["udp:10.0.0.1:5080".parse().unwrap()],
            ..config::Lb::default()
        };
        let l = Listeners::new(&config);
        let locals = l.locals(&["vip.example.com".into(), "[2001:db8::5]:5070".into()]);
        for (uri, ours) in [
            ("sip:sbc.example.com:5061;transport=tls;lr", true),
            ("sip:SBC.example.com;transport=tls;lr", true),
            ("sip:sbc.example.com", false),
            ("sip:10.0.0.1:5080;lr", true),
            ("sip:10.0.0.1;lr", false),
            ("sip:vip.example.com:7000;lr", true),
            ("sip:[2001:db8::5]:5070;lr", true),
            ("sip:[2001:db8::5]:5071;lr", false),
            ("sip:other.example.com;lr", false),
        ] {
            assert_eq!(locals.is_local(&Uri::parse(uri).unwrap()), ours, "{uri}");
        }
    }

    #[test]
    fn a_flow_on_a_wildcard_socket_is_found_by_its_port() {
        let l = listeners(&["udp:0.0.0.0:5060"], &["udp:0.0.0.0:5080"]);
        let flow = Flow::udp("192.0.2.1:5080".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
        assert_eq!(l.of_flow(&flow).unwrap().id, 1);
    }
}
