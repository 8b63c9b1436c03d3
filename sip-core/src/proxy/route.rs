//! Routes at a proxy: route information preprocessing (RFC 3261 §16.4), strict routes on the way out (§16.6 step 6),
//! Record-Route values (§16.6 step 4).

use std::fmt::Write as _;

use super::fold::unfold;
use super::local::Locals;
use super::next_hop;
use crate::header::{Header, NameAddr};
use crate::message::{BadValue, Request};
use crate::uri::{Host, Uri};

/// What preprocessing found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Preprocessed {
    /// Route values that named us and were taken off: 2 where this proxy recorded both of its sides.
    pub own: u8,
    /// Whether the sender was a strict router: the Request-URI was ours and the last Route took its place.
    pub strict: bool,
}

impl Preprocessed {
    /// Whether the request was sent to us by a route.
    pub fn is_routed(&self) -> bool {
        self.own > 0 || self.strict
    }
}

/// Route information preprocessing (RFC 3261 §16.4): undoes what a strict router did, takes off a maddr that is ours,
/// then takes off the Route values on top that name us.
pub fn preprocess(request: &mut Request, ours: &Locals) -> Preprocessed {
    let mut found = Preprocessed::default();
    let uri = request.uri().contains(';').then(|| Uri::parse(request.uri())).flatten();
    let recorded = uri.as_ref().is_some_and(|uri| uri.is_loose_router() && ours.is_local(uri));
    if recorded && let Some(last) = take_last(request) {
        found.strict = request.set_uri(&last).is_ok();
    }
    strip_maddr(request, ours);
    while found.own < u8::MAX && top_is(request, ours) && request.pop_route() {
        found.own += 1;
    }
    found
}

/// Whether the topmost Route names us.
fn top_is(request: &Request, ours: &Locals) -> bool {
    let top = request.values(Header::Route).next().and_then(NameAddr::parse);
    top.and_then(|top| Uri::parse(top.uri)).is_some_and(|uri| ours.is_local(&uri))
}

/// Takes off the last Route value and returns its URI.
fn take_last(request: &mut Request) -> Option<String> {
    let mut routes: Vec<Vec<u8>> = request.values(Header::Route).map(<[u8]>::to_vec).collect();
    let last = routes.pop()?;
    let uri = NameAddr::parse(&last)?.uri.to_owned();
    replace(request, &routes);
    Some(uri)
}

fn replace(request: &mut Request, routes: &[Vec<u8>]) {
    let _ = request.remove(Header::Route);
    for route in routes {
        // A value that was received holds no line end but in a fold, and values() has none left.
        let _ = request.push_back(Header::Route, unfold(route));
    }
}

/// A Request-URI whose maddr is ours goes on without it, and without port and transport (RFC 3261 §16.4).
fn strip_maddr(request: &mut Request, ours: &Locals) {
    if !request.uri().contains(';') {
        return; // most Request-URIs: no parameters
    }
    let Some(uri) = Uri::parse(request.uri()) else { return };
    let Some(maddr) = uri.param("maddr").flatten().and_then(Host::parse) else { return };
    if ours.contains(&maddr, next_hop::port_of(&uri)) {
        let stripped = without_maddr(&uri);
        let _ = request.set_uri(&stripped); // parts of a Request-URI that was received
    }
}

fn without_maddr(uri: &Uri<'_>) -> String {
    let mut out = format!("{}:", uri.scheme.as_str());
    if let Some(user) = uri.user {
        out.push_str(user);
        if let Some(password) = uri.password {
            out.push(':');
            out.push_str(password);
        }
        out.push('@');
    }
    let _ = write!(out, "{}", uri.host);
    for (name, value) in uri.params() {
        if !["maddr", "transport"].iter().any(|gone| name.eq_ignore_ascii_case(gone)) {
            let _ = write!(out, ";{name}");
            if let Some(value) = value {
                let _ = write!(out, "={value}");
            }
        }
    }
    out
}

/// Readies a request for its next hop (RFC 3261 §16.6 step 6): if the first Route has no lr, its owner is a strict
/// router, which finds itself in the Request-URI and the true Request-URI as last Route.
pub fn postprocess(request: &mut Request) -> Result<(), BadValue> {
    let Some(first) = request.values(Header::Route).next().and_then(NameAddr::parse) else { return Ok(()) };
    if Uri::parse(first.uri).is_none_or(|uri| uri.is_loose_router()) {
        return Ok(());
    }
    let next = first.uri.to_owned();
    let last = format!("<{}>", request.uri());
    request.pop_route();
    request.push_back(Header::Route, last.as_bytes())?;
    request.set_uri(&next)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::request;
    use super::*;

    fn with(uri: &str, routes: &str) -> Request {
        request(&format!(
            "INVITE {uri} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n{routes}From: <sip:a@x>;tag=1\nTo: <sip:b@x>\nCall-ID: 1\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
        ))
    }

    fn ours() -> Locals {
        let mut ours = Locals::default();
        ours.add_address("192.0.2.9:5060".parse().unwrap());
        ours.add_host("proxy.example.com", None);
        ours
    }

    fn routes(request: &Request) -> Vec<String> {
        request.values(Header::Route).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }

    #[test]
    fn rfc3261_16_4_own_routes_on_top_are_taken_off_both_of_them() {
        let mut r = with(
            "sip:b@192.0.2.5",
            "Route: <sip:192.0.2.9;lr>,<sip:proxy.example.com:5080;lr;r=2>\nRoute: <sip:192.0.2.7;lr>, <sip:192.0.2.9;lr>\n",
        );
        assert_eq!(preprocess(&mut r, &ours()), Preprocessed { own: 2, strict: false });
        assert_eq!(routes(&r), ["<sip:192.0.2.7;lr>", "<sip:192.0.2.9;lr>"]);
        assert_eq!(r.uri(), "sip:b@192.0.2.5");
    }

    #[test]
    fn rfc3261_16_4_what_a_strict_router_did_is_undone() {
        let mut r = with("sip:192.0.2.9;lr", "Route: <sip:192.0.2.7;lr>, <sip:b@192.0.2.5>\n");
        assert_eq!(preprocess(&mut r, &ours()), Preprocessed { own: 0, strict: true });
        assert_eq!(r.uri(), "sip:b@192.0.2.5");
        assert_eq!(routes(&r), ["<sip:192.0.2.7;lr>"]);
    }

    #[test]
    fn rfc3261_16_4_a_request_uri_of_ours_without_lr_is_no_strict_route() {
        let mut r = with("sip:b@192.0.2.9", "Route: <sip:192.0.2.7;lr>\n");
        assert_eq!(preprocess(&mut r, &ours()), Preprocessed::default());
        assert_eq!(r.uri(), "sip:b@192.0.2.9");
    }

    #[test]
    fn rfc3261_16_4_a_maddr_of_ours_is_taken_off_with_port_and_transport() {
        let mut r = with("sip:b:p@example.com:5060;maddr=192.0.2.9;user=phone;transport=udp", "");
        preprocess(&mut r, &ours());
        assert_eq!(r.uri(), "sip:b:p@example.com;user=phone");
        let mut r = with("sip:b@example.com;maddr=192.0.2.8", "");
        preprocess(&mut r, &ours());
        assert_eq!(r.uri(), "sip:b@example.com;maddr=192.0.2.8");
    }

    #[test]
    fn rfc3261_16_6_6_a_strict_next_hop_gets_itself_as_request_uri() {
        let mut r = with("sip:b@192.0.2.5", "Route: <sip:192.0.2.7>, <sip:192.0.2.8;lr>\n");
        postprocess(&mut r).unwrap();
        assert_eq!(r.uri(), "sip:192.0.2.7");
        assert_eq!(routes(&r), ["<sip:192.0.2.8;lr>", "<sip:b@192.0.2.5>"]);
    }

    #[test]
    fn rfc3261_16_6_6_a_loose_next_hop_changes_nothing() {
        let mut r = with("sip:b@192.0.2.5", "Route: <sip:192.0.2.7;lr>\n");
        postprocess(&mut r).unwrap();
        assert_eq!((r.uri(), routes(&r).len()), ("sip:b@192.0.2.5", 1));
    }
}
