//! A relay as the client sees it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::super::framer::Framer;
use super::ConnectionId;

/// A relay by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// Where a relay is reached: over UDP, over TCP, or both; then TCP takes what is too large for a datagram.
///
/// ```
/// use c4_ref::ng::client::Node;
/// let node: Node = "udp:192.0.2.1:2223,tcp:192.0.2.1:2223".parse().unwrap();
/// assert!(node.udp.is_some() && node.tcp.is_some());
/// assert_eq!(node.to_string(), "udp:192.0.2.1:2223,tcp:192.0.2.1:2223");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its address for datagrams.
    pub udp: Option<SocketAddr>,
    /// Its address for connections.
    pub tcp: Option<SocketAddr>,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Node, String> {
        let wrong =
            || format!("`{text}` is no relay; accepted: \"udp:ADDR:PORT\", \"tcp:ADDR:PORT\", or both with a comma");
        let mut node = Node { udp: None, tcp: None };
        for part in text.split(',') {
            let (transport, address) = part.trim().split_once(':').ok_or_else(wrong)?;
            let address = address.parse().map_err(|_| wrong())?;
            let place = match transport {
                "udp" => &mut node.udp,
                "tcp" => &mut node.tcp,
                _ => return Err(wrong()),
            };
            if place.replace(address).is_some() {
                return Err(wrong());
            }
        }
        Ok(node)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.udp, self.tcp) {
            (Some(udp), Some(tcp)) => write!(f, "udp:{udp},tcp:{tcp}"),
            (Some(udp), None) => write!(f, "udp:{udp}"),
            (None, Some(tcp)) => write!(f, "tcp:{tcp}"),
            (None, None) => Ok(()),
        }
    }
}

/// A relay and how it does.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) node: Node,
    pub(super) is_up: bool,
    /// Requests in a row that got no reply.
    pub(super) failures: u32,
    /// Requests that wait for its reply, by number.
    pub(super) waiting: BTreeSet<u64>,
    /// The ping among them.
    pub(super) ping: Option<u64>,
    pub(super) link: Link,
}

/// The connection to a relay.
#[derive(Debug, Clone)]
pub(super) enum Link {
    None,
    Connecting(ConnectionId),
    Up(ConnectionId, Framer),
}

impl State {
    pub(super) fn new(node: Node) -> State {
        State { node, is_up: true, failures: 0, waiting: BTreeSet::new(), ping: None, link: Link::None }
    }

    pub(super) fn is_linked_by(&self, id: ConnectionId) -> bool {
        matches!(&self.link, Link::Connecting(known) | Link::Up(known, _) if *known == id)
    }
}
