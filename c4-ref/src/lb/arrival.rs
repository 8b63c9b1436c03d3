//! Where a message came from: which listener, which side, whom we know there.

use std::net::SocketAddr;

use nat::path::Connection;
use nat::reply::{ReplyToken, Side};
use sip_core::flow::{Flow, Transport};
use sip_core::header::Via;

use super::Lb;
use super::listeners::ListenerId;
use crate::config::Endpoint;
use crate::source::Source;

/// A flow and what we know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) flow: Flow,
    pub(super) listener: ListenerId,
    pub(super) side: Side,
    /// Whether the source is configured as a peer.
    pub(super) peer: bool,
}

impl Lb {
    /// Classifies a flow. `None`: it is on no socket of ours.
    pub(super) fn arrival(&self, flow: Flow) -> Option<Arrival> {
        let ip = flow.remote.ip();
        let target = flow.connection.and_then(|id| self.connections.get(id)?.target.as_ref());
        let (listener, side) = if let Some(target) = target {
            // A connection that we opened: a proxy's, if it leads to one.
            let endpoint = Endpoint { transport: target.transport, address: target.remote };
            let side = if self.backends.has(endpoint) { Side::Inside } else { Side::Outside };
            (self.listeners.towards(side, flow.transport, flow.remote.is_ipv6(), 0)?, side)
        } else {
            let listener = self.listeners.of_flow(&flow)?;
            // On the internal sockets only proxies are inside; others who reach them are strangers as everywhere.
            // Without such sockets a proxy is known by its whole address, and over UDP only.
            let endpoint = Endpoint { transport: Transport::Udp, address: flow.remote };
            let inside = match self.listeners.has_internal() {
                true => listener.side == Side::Inside && self.backends.has_ip(ip),
                false => flow.transport == Transport::Udp && self.backends.has(endpoint),
            };
            (listener, if inside { Side::Inside } else { Side::Outside })
        };
        let peer = side == Side::Outside && (self.is_peer(ip) || self.proves_peer(&flow));
        Some(Arrival { flow, listener: listener.id, side, peer })
    }

    pub(super) fn is_peer(&self, ip: std::net::IpAddr) -> bool {
        self.peers.iter().any(|network| network.contains(ip))
    }

    /// What the certificate at the other end of a flow proves.
    fn identities(&self, flow: &Flow) -> &[Box<str>] {
        let live = flow.connection.and_then(|id| self.connections.get(id));
        live.and_then(|live| live.identities.as_deref()).unwrap_or_default()
    }

    fn proves_peer(&self, flow: &Flow) -> bool {
        self.peer_tls_names.iter().any(|name| name.is_among(self.identities(flow)))
    }

    /// The connection of a flow, as tokens name it.
    pub(super) fn token_connection(&self, flow: &Flow) -> Option<Connection> {
        flow.connection.map(|id| Connection { id: id.0, epoch: self.epoch })
    }

    /// Where the response to a request goes.
    pub(super) fn way_back(&self, arrival: &Arrival, via: Option<Via<'_>>) -> ReplyToken {
        let connection = self.token_connection(&arrival.flow);
        ReplyToken {
            to: arrival.side,
            listener: arrival.listener,
            peer: if connection.is_some() { arrival.flow.remote } else { reply_address(arrival.flow.remote, via) },
            connection,
        }
    }

    /// What the proxies are told about the source.
    pub(super) fn source(&self, arrival: &Arrival) -> Source {
        let flow = &arrival.flow;
        let identities = self.identities(flow).to_vec();
        let listener = self.listeners.get(arrival.listener).map_or(flow.local, |l| l.bind);
        Source { transport: flow.transport, remote: flow.remote, listener, identities }
    }
}

/// Where a response over UDP goes: to the source, if rport asks for it (RFC 3581 §4) or a NAT shows; else to the port of
/// sent-by (RFC 3261 §18.2.2). Never to an address that did not send the request, whatever maddr says.
fn reply_address(source: SocketAddr, via: Option<Via<'_>>) -> SocketAddr {
    let Some(via) = via else { return source };
    let ip = source.ip().to_canonical();
    if via.params.has("rport") || via.host_ip().map(|host| host.to_canonical()) != Some(ip) {
        return source;
    }
    SocketAddr::new(source.ip(), via.port_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::header::TypedHeader;

    fn back(via: &str) -> String {
        let source = "192.0.2.9:40000".parse().unwrap();
        reply_address(source, Via::parse(via.as_bytes()).ok()).to_string()
    }

    #[test]
    fn rfc3581_4_rport_brings_the_response_to_the_source_port() {
        assert_eq!(back("SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bK1"), "192.0.2.9:40000");
    }

    #[test]
    fn rfc3261_18_2_2_without_rport_it_goes_to_the_port_of_sent_by() {
        assert_eq!(back("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"), "192.0.2.9:5070");
        assert_eq!(back("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"), "192.0.2.9:5060");
    }

    #[test]
    fn behind_a_nat_it_goes_to_the_source_port_without_rport_too() {
        assert_eq!(back("SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1"), "192.0.2.9:40000");
        assert_eq!(back("SIP/2.0/UDP phone.invalid;branch=z9hG4bK1"), "192.0.2.9:40000");
    }

    #[test]
    fn maddr_sends_nothing_to_a_third_party() {
        assert_eq!(back("SIP/2.0/UDP 192.0.2.9;maddr=198.51.100.7;branch=z9hG4bK1"), "192.0.2.9:5060");
    }
}
