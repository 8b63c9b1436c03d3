//! Where a message goes (RFC 3263).
mod next_hop;

pub use next_hop::{NextHop, NoNextHop, of_uri, of_uri_text, of_via, port_of};
