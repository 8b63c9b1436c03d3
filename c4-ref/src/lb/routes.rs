//! Route tokens in messages: taking our values off the Route, putting them into Record-Route and Path.

use nat::keys::KeyRing;
use nat::path::{FlowToken, Role};
use nat::reply::Side;
use sip_core::header::{Header, NameAddr};
use sip_core::message::{BadValue, Request};
use sip_core::proxy::Locals;
use sip_core::uri::{Scheme, Uri};

use super::listeners::Listener;

/// What stood on top of the Route.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// The token of the value of ours that had one.
    pub(super) token: Option<String>,
    /// Whether any value of ours was there.
    pub(super) any: bool,
}

/// Takes off the Route values on top that name us (RFC 3261 §16.4), up to and including one with a token and, when the
/// request comes from outside, the partner of a double one: the side that a request leaves by stands behind the side
/// that it reaches. Further values of ours belong to another pass through the proxies and stay.
pub(super) fn take_own(request: &mut Request, ours: &Locals, from: Side) -> Own {
    undo_strict(request, ours);
    let mut own = Own::default();
    loop {
        match top(request, ours) {
            Top::Other => break,
            Top::Ours(None) => {
                own.any = true;
                request.pop_route();
            }
            Top::Ours(token) => {
                own.any = true;
                own.token = token;
                request.pop_route();
                if from == Side::Outside && top(request, ours) == Top::Ours(None) {
                    request.pop_route();
                }
                break;
            }
        }
    }
    own
}

#[derive(Debug, PartialEq, Eq)]
enum Top {
    /// Ours, with its token if it has one.
    Ours(Option<String>),
    /// None, or not ours.
    Other,
}

fn top(request: &Request, ours: &Locals) -> Top {
    let Some(Ok(route)) = request.address(Header::Route) else { return Top::Other };
    match Uri::parse(route.uri) {
        Some(uri) if ours.is_local(&uri) => Top::Ours(uri.user.map(str::to_owned)),
        _ => Top::Other,
    }
}

/// A strict router before us has put our Record-Route value into the Request-URI and the Request-URI into the last
/// Route (RFC 3261 §16.4): puts both back, so that what follows sees loose routes only.
fn undo_strict(request: &mut Request, ours: &Locals) {
    let Some(uri) = Uri::parse(request.uri()) else { return };
    if !uri.has_param("lr") || !ours.is_local(&uri) {
        return;
    }
    let mut routes: Vec<Vec<u8>> = request.values(Header::Route).map(<[u8]>::to_vec).collect();
    let Some(last) = routes.pop() else { return };
    let Some(target) = NameAddr::parse(&last).map(|last| last.uri.to_owned()) else { return };
    let recorded = format!("<{}>", request.uri());
    if request.set_uri(&target).is_err() {
        return;
    }
    _ = request.remove(Header::Route);
    _ = request.push_back(Header::Route, recorded);
    for route in routes {
        // A folded value is no value of ours; it goes on unfolded (RFC 3261 §7.3.1).
        let unfolded: Vec<u8> = route.into_iter().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        _ = request.push_back(Header::Route, unfolded);
    }
}

/// The two sockets that a request passes through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) ingress: &'a Listener,
    pub(super) egress: &'a Listener,
}

impl Passage<'_> {
    pub(super) fn is_double(&self) -> bool {
        self.ingress.differs(self.egress)
    }
}

/// Puts our values into Record-Route (RFC 3261 §16.6 step 4) or Path (RFC 3327 §5.2): one, or where side, transport or
/// address family change two, the side that the request leaves by on top. The token stands in the value of the side
/// outside.
pub(super) fn record(
    request: &mut Request,
    keys: &KeyRing,
    unix: u64,
    token: &FlowToken,
    passage: Passage<'_>,
    out: &mut Vec<u8>,
) -> Result<(), BadValue> {
    let header = if token.role == Role::Path { Header::Path } else { Header::RecordRoute };
    let double = passage.is_double();
    let (outside, inside) = match token.listener == passage.ingress.id {
        true => (passage.ingress, passage.egress),
        false => (passage.egress, passage.ingress),
    };
    out.clear();
    // RFC 3261 §16.6 step 4: a secure request records a secure route.
    let secure = outside.transport.is_secure() && Uri::parse(request.uri()).is_some_and(|u| u.scheme == Scheme::Sips);
    out.extend_from_slice(if secure { b"<sips:" } else { b"<sip:" });
    keys.seal(&FlowToken { double, ..*token }, request.call_id().as_bytes(), unix, out);
    out.extend_from_slice(outside.route_tail.as_bytes());
    if !double {
        return request.push_front(header, &out);
    }
    if outside.id == passage.ingress.id {
        request.push_front(header, &out)?;
        request.push_front(header, &inside.route)
    } else {
        request.push_front(header, &inside.route)?;
        request.push_front(header, &out)
    }
}
