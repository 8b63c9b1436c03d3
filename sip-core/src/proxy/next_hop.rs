//! Where a request of a proxy goes (RFC 3261 §16.6 step 7), by the rules of [`resolve`](crate::resolve).

use crate::header::{Header, NameAddr};
use crate::message::Request;
pub use crate::resolve::{NextHop, NoNextHop, of_uri, of_uri_text, of_via, port_of};

/// The next hop of a request ready to be sent (RFC 3261 §16.6 step 7): its first Route, else its Request-URI. Strict
/// routes must have been fixed up before ([`route::postprocess`](super::route::postprocess)).
pub fn of_request(request: &Request) -> Result<NextHop, NoNextHop> {
    match request.values(Header::Route).next() {
        Some(route) => of_uri_text(NameAddr::parse(route).ok_or(NoNextHop)?.uri),
        None => of_uri_text(request.uri()),
    }
}
