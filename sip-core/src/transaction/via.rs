//! The topmost Via: ours in requests that leave, and the way back out of that of requests that come in.

use crate::flow::{Flow, Transport};
use crate::header::Via;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// By what names peers reach our listeners: sent-by of our Vias (RFC 3261 §18.1.1).
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct SentBy {
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug, Hash)]
struct Listener {
    transport: Transport,
    local: SocketAddr,
    sent_by: Box<str>,
}

impl SentBy {
    pub(super) fn set(&mut self, transport: Transport, local: SocketAddr, sent_by: &str) {
        let sent_by = Box::from(sent_by);
        match self.listeners.iter_mut().find(|l| l.transport == transport && l.local == local) {
            Some(listener) => listener.sent_by = sent_by,
            None => self.listeners.push(Listener { transport, local, sent_by }),
        }
    }

    /// The listener to send a datagram to this peer from, when the caller names none: the first of its family.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |l: &&Listener| l.transport == transport && l.local.is_ipv4() == remote.is_ipv4();
        self.listeners.iter().find(fits).map(|l| l.local)
    }

    /// Appends our Via up to its branch parameter, open for the value.
    pub(super) fn write(&self, transport: Transport, local: Option<SocketAddr>, remote: SocketAddr, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(transport.as_str().as_bytes());
        out.push(b' ');
        match (self.listener(transport, local, remote), local) {
            (Some(listener), _) => out.extend_from_slice(listener.sent_by.as_bytes()),
            // Writing to memory does not fail.
            (None, Some(local)) => drop(write!(out, "{local}")),
            (None, None) => drop(write!(out, "{}", unspecified(remote))),
        }
        out.extend_from_slice(b";rport;branch=");
    }

    /// The listener itself, else one that shares the address (a connection of ours has a port of its own), else the
    /// first of the transport and family.
    fn listener(&self, transport: Transport, local: Option<SocketAddr>, remote: SocketAddr) -> Option<&Listener> {
        let of_transport = || self.listeners.iter().filter(move |l| l.transport == transport);
        local
            .and_then(|local| {
                of_transport()
                    .find(|l| l.local == local)
                    .or_else(|| of_transport().find(|l| transport.is_reliable() && l.local.ip() == local.ip()))
            })
            .or_else(|| {
                let may = local.is_none() || transport.is_reliable();
                of_transport().find(|l| may && l.local.is_ipv4() == remote.is_ipv4())
            })
    }
}

/// The unspecified address of the peer's family: the caller picks.
pub(super) fn unspecified(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0),
    }
}

/// Where responses go (RFC 3261 §18.2.2, RFC 3581 §4): over UDP to the source's address, at its port if `rport` is
/// there and at that of sent-by else; over streams back on the connection. Also the port for a new connection.
/// `maddr` is not followed: it would let a stranger aim our answers.
pub(super) fn way_back(via: &Via<'_>, flow: &Flow) -> (Flow, u16) {
    let port = via.port.unwrap_or(flow.transport.default_port());
    let mut back = *flow;
    if flow.transport == Transport::Udp && !via.params.has("rport") {
        back.remote.set_port(port);
    }
    (back, port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::TypedHeader;

    #[test]
    fn rfc3261_18_2_2_responses_go_to_the_source_at_the_port_of_sent_by() {
        let flow = Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:9".parse().unwrap());
        let back = |via: &str| way_back(&Via::parse(via.as_bytes()).unwrap(), &flow).0.remote.port();
        assert_eq!(back("SIP/2.0/UDP a.example;branch=z9hG4bKa"), 5060);
        assert_eq!(back("SIP/2.0/UDP a.example:5070;branch=z9hG4bKa"), 5070);
        assert_eq!(back("SIP/2.0/UDP a.example:5070;branch=z9hG4bKa;rport"), 9);
    }
}
