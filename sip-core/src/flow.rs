//! Transports, flows and targets: the caller's handles of where a message goes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// How a message travels (RFC 3261 §18, RFC 7118 for WebSocket).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP stream.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// Whether the transport itself retransmits: all but UDP (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether the transport is protected by TLS.
    pub const fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// The name in a Via (RFC 3261 §20.42): `UDP`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of a URI's transport parameter (RFC 3261 §19.1.1): `udp`.
    pub const fn uri_param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// The port where none is written (RFC 3261 §19.1.2, RFC 7118 §5.2): 5060, over TLS 5061, WebSocket 80 and 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }

    /// The transport of this name in any case.
    pub fn from_name(name: &str) -> Option<Transport> {
        Transport::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A connection of the caller's, never reused; 0 is never used. The upper 16 bits name the worker that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The id of a worker's `n`th connection.
    pub const fn of_worker(worker: u16, n: u64) -> ConnectionId {
        ConnectionId(((worker as u64) << 48) | (n & 0xffff_ffff_ffff))
    }

    /// The worker that owns the connection.
    pub const fn worker(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

/// Where a message came from, and by what way an answer goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address: the listener, or the local end of the connection.
    pub local: SocketAddr,
    /// The peer's address as seen by us.
    pub remote: SocketAddr,
    /// The connection; None over UDP.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// A datagram flow.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, connection: None }
    }
}

/// Where to send when no flow exists yet. UDP needs no connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The listener to send from; None: the caller's default for the transport and address family.
    pub local: Option<SocketAddr>,
    /// The name that the peer's certificate must bear (RFC 5922 §4); part of the key of a connection.
    pub tls_name: Option<Arc<str>>,
}

impl Target {
    /// A target without a preferred listener or TLS name.
    pub const fn new(transport: Transport, remote: SocketAddr) -> Target {
        Target { transport, remote, local: None, tls_name: None }
    }
}

/// A flow that exists, or a target to reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// This flow and no other.
    Flow(Flow),
    /// Any flow that reaches the target.
    Target(Target),
}

impl Destination {
    /// The transport.
    pub fn transport(&self) -> Transport {
        match self {
            Destination::Flow(flow) => flow.transport,
            Destination::Target(target) => target.transport,
        }
    }

    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        match self {
            Destination::Flow(flow) => flow.remote,
            Destination::Target(target) => target.remote,
        }
    }
}

impl From<Flow> for Destination {
    fn from(flow: Flow) -> Destination {
        Destination::Flow(flow)
    }
}

impl From<Target> for Destination {
    fn from(target: Target) -> Destination {
        Destination::Target(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for transport in Transport::ALL {
            assert_eq!(Transport::from_name(transport.as_str()), Some(transport));
            assert_eq!(Transport::from_name(transport.uri_param()), Some(transport));
            assert_eq!(transport.is_reliable(), transport != Transport::Udp);
        }
        assert_eq!(Transport::from_name("SCTP"), None);
    }

    #[test]
    fn a_connection_id_carries_its_worker() {
        let id = ConnectionId::of_worker(7, 42);
        assert_eq!(id.worker(), 7);
        assert_ne!(id, ConnectionId::of_worker(8, 42));
    }
}
