//! The route set of a dialog (RFC 3261 §12.1, §12.2.1.1): built once, never edited.
use crate::header::NameAddr;
use crate::uri::Uri;

/// The ordered proxies that every request inside a dialog visits.
///
/// There is no setter: a dialog freezes its route set when it is confirmed (RFC 3261 §12.1.1, §12.1.2), and Record-Route
/// in later requests and responses changes nothing (§12.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteSet {
    /// Header values as received, name-addr with its parameters.
    routes: Box<[Box<str>]>,
}

/// Where a request of a dialog goes, as text: the Request-URI, the Route values and the URI of the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// The Request-URI.
    pub request_uri: String,
    /// Route header values, in order.
    pub routes: Vec<String>,
    /// The URI whose host receives the request.
    pub next_hop: String,
}

impl RouteSet {
    /// The callee's route set: the Record-Route values of the request, in order (RFC 3261 §12.1.1).
    pub fn callee<'a>(record_routes: impl Iterator<Item = &'a [u8]>) -> RouteSet {
        RouteSet { routes: texts(record_routes).into() }
    }

    /// The caller's route set: the Record-Route values of the response, in reverse order (RFC 3261 §12.1.2).
    pub fn caller<'a>(record_routes: impl Iterator<Item = &'a [u8]>) -> RouteSet {
        let mut routes = texts(record_routes);
        routes.reverse();
        RouteSet { routes: routes.into() }
    }

    /// The route values, nearest hop first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.routes.iter().map(AsRef::as_ref)
    }

    /// Whether requests go straight to the remote target.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Request-URI and Route for a request to `target` (RFC 3261 §12.2.1.1), with the detour for a strict router, whose
    /// URI has no `lr` parameter: it becomes the Request-URI, and the target goes last.
    pub fn address(&self, target: &str) -> Addressing {
        let Some((first, rest)) = self.routes.split_first() else {
            return Addressing { request_uri: target.to_owned(), routes: Vec::new(), next_hop: target.to_owned() };
        };
        let first_uri = NameAddr::parse(first.as_bytes()).map_or(&**first, |route| route.uri);
        let loose = Uri::parse(first_uri).is_some_and(|uri| uri.is_loose_router());
        if loose {
            let routes = self.routes.iter().map(|route| route.to_string()).collect();
            return Addressing { request_uri: target.to_owned(), routes, next_hop: first_uri.to_owned() };
        }
        let mut routes: Vec<String> = rest.iter().map(|route| route.to_string()).collect();
        routes.push(format!("<{target}>"));
        Addressing { request_uri: request_uri_of(first_uri), routes, next_hop: first_uri.to_owned() }
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<Box<str>> {
    values.filter_map(|value| std::str::from_utf8(value).ok()).map(|value| value.trim().into()).collect()
}

/// A Route URI as Request-URI: without header fields and the `method` parameter (RFC 3261 §19.1.1, table 1).
fn request_uri_of(uri: &str) -> String {
    let uri = uri.split_once('?').map_or(uri, |(before, _)| before);
    let mut parts = uri.split(';');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for param in parts.filter(|param| !param.to_ascii_lowercase().starts_with("method=")) {
        out.push(';');
        out.push_str(param);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: [&[u8]; 2] = [b"<sip:p1.example.com;lr;t=x>", b"<sip:p2.example.com;lr>"];

    #[test]
    fn rfc3261_12_1_1_callee_keeps_order_and_uri_parameters() {
        let set = RouteSet::callee(ROUTES.into_iter());
        assert_eq!(set.iter().collect::<Vec<_>>(), ["<sip:p1.example.com;lr;t=x>", "<sip:p2.example.com;lr>"]);
    }

    #[test]
    fn rfc3261_12_1_2_caller_reverses() {
        let set = RouteSet::caller(ROUTES.into_iter());
        assert_eq!(set.iter().collect::<Vec<_>>(), ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr;t=x>"]);
    }

    #[test]
    fn rfc3261_12_2_1_1_no_route_goes_to_the_target() {
        let to = RouteSet::default().address("sip:bob@192.0.2.4:5066");
        assert_eq!(
            (to.request_uri.as_str(), to.next_hop.as_str()),
            ("sip:bob@192.0.2.4:5066", "sip:bob@192.0.2.4:5066")
        );
        assert!(to.routes.is_empty());
    }

    #[test]
    fn rfc3261_12_2_1_1_loose_routers_keep_the_target_as_request_uri() {
        let to = RouteSet::callee(ROUTES.into_iter()).address("sip:bob@192.0.2.4");
        assert_eq!((to.request_uri.as_str(), to.next_hop.as_str()), ("sip:bob@192.0.2.4", "sip:p1.example.com;lr;t=x"));
        assert_eq!(to.routes, ["<sip:p1.example.com;lr;t=x>", "<sip:p2.example.com;lr>"]);
    }

    #[test]
    fn rfc3261_12_2_1_1_a_strict_router_becomes_the_request_uri() {
        let strict: [&[u8]; 2] = [b"<sip:p1.example.com;method=INVITE;x=1?a=b>", b"<sip:p2.example.com;lr>"];
        let to = RouteSet::callee(strict.into_iter()).address("sip:bob@192.0.2.4");
        assert_eq!(to.request_uri, "sip:p1.example.com;x=1");
        assert_eq!(to.routes, ["<sip:p2.example.com;lr>", "<sip:bob@192.0.2.4>"]);
    }
}
