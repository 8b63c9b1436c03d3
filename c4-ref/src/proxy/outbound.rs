//! Where requests go: our users by location, other numbers by the trunks.

use std::time::Instant;

use sip_core::header::{Header, NameAddr};
use sip_core::proxy::{Branch, CommandError, ContextId, Hunt, Options};
use sip_core::resolve::{self, NextHop};
use sip_core::transaction::ServerId;
use sip_core::uri::Uri;
use sip_core::{Destination, Flow, Method, Request, StatusCode, Target, Transport};

use super::app::{App, Mark};
use super::calls::{CallId, NewCall, Tried};
use super::inbound::Admitted;
use super::location::Found;
use super::media::{Departure, Prepared};
use super::record_route::{Content, Dialog, Holder, Sides};
use super::targets;
use crate::cdr;
use crate::route::Hop;
use crate::source::Named;

/// What is needed of a request to choose its targets.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    method: Method,
    flow: Flow,
    pub(super) admitted: Admitted,
    call: Option<CallId>,
    /// The same call is under way here by another passage.
    pub(super) is_again: bool,
    call_id: String,
    from_tag: String,
    /// Where the caller is, if its Contact cannot be trusted to say it.
    caller: Option<Target>,
    /// The caller's remote target, and the hops before us.
    target: targets::Target,
    hops: Vec<u8>,
}

impl App {
    /// A request that passed: the proxy core validates it, and asks for targets by [`App::follow`].
    pub(super) fn forward(&mut self, now: Instant, id: ServerId, request: Request, flow: &Flow, admitted: Admitted) {
        let in_dialog = request.to_tag().is_some();
        let mark = match (request.method(), in_dialog) {
            (Method::Invite, false) => match self.begin_call(now, &request, &admitted) {
                Some(call) => Mark::Call(call),
                None => {
                    self.counters.busy += 1;
                    return self.respond(now, id, request.response(StatusCode::SERVICE_UNAVAILABLE));
                }
            },
            (Method::Bye, true) => self.bye(now, &request),
            _ => Mark::None,
        };
        let context = match self.proxy.request(now, &mut self.layer, id, request) {
            Ok(context) => context,
            Err(rejected) => {
                self.counters.invalid += 1;
                return self.finished(now, mark, Some(rejected.status()), None);
            }
        };
        self.proxy.set_user(context, mark.to_user());
        self.admitted = Some(admitted);
        self.routing = Some((mark, *flow));
        self.work(now);
    }

    fn begin_call(&mut self, now: Instant, request: &Request, admitted: &Admitted) -> Option<CallId> {
        let id = cdr::Id(self.number());
        let (from, source) = (request.from(), source_text(admitted));
        let peer = admitted.peer.and_then(|peer| self.settings.peers.get(peer));
        let new = NewCall {
            id,
            unix_ms: self.unix(now).as_millis() as u64,
            call_id: request.call_id(),
            from_tag: request.from_tag().unwrap_or_default(),
            from: from.uri,
            to: request.uri(),
            caller: user_of(from.uri),
            called: user_of(request.uri()),
            user: admitted.user.as_deref().unwrap_or_default(),
            source: &source,
            peer_in: peer.map(|peer| peer.name.as_ref()).unwrap_or_default(),
        };
        let call = self.calls.begin(now, &new)?;
        let line = new.start().to_line();
        self.counters.calls += 1;
        self.spool(cdr::spool::Entry::Start(id, line));
        Some(call)
    }

    /// The proxy core wants targets.
    pub(super) fn route(&mut self, now: Instant, context: ContextId, in_dialog: bool, own_routes: u8) {
        let (Some(admitted), Some((mark, flow))) = (self.admitted.take(), self.routing.take()) else {
            return self.reject(now, context, StatusCode::SERVER_INTERNAL_ERROR);
        };
        if in_dialog {
            return self.route_in_dialog(now, context, own_routes, admitted);
        }
        let Some(request) = self.proxy.request_of(context) else { return };
        let (call_id, from_tag) = (request.call_id(), request.from_tag().unwrap_or_default());
        let wanted = Wanted {
            // A proxy before us that forks to us twice shows us no route of ours: each of its branches is a call.
            is_again: matches!(mark, Mark::Call(_))
                && self.calls.is_passed(call_id, from_tag)
                && request.values(Header::RecordRoute).any(|value| self.names_us(value)),
            method: request.method().clone(),
            caller: self.side_of_caller(request, &flow, &admitted),
            target: targets::Target::of_contact(request),
            hops: targets::hops(request.values(Header::RecordRoute), &self.locals),
            call_id: call_id.to_owned(),
            from_tag: from_tag.to_owned(),
            call: match mark {
                Mark::Call(call) => Some(call),
                _ => None,
            },
            flow,
            admitted,
        };
        let uri = request.uri().to_owned();
        match self.targets(now, context, &wanted, &uri) {
            Ok(branches) => self.depart(now, context, Departure::New { wanted: Box::new(wanted), branches }),
            Err(status) => self.reject(now, context, status),
        }
    }

    /// Inside a dialog: along the Route, else to where the signed Record-Route says that the other side is, else to the
    /// Request-URI.
    fn route_in_dialog(&mut self, now: Instant, context: ContextId, own_routes: u8, admitted: Admitted) {
        if own_routes == 0 {
            // The token was ours, the host of the Route was not.
            self.counters.no_route += 1;
            return self.reject(now, context, StatusCode::NOT_FOUND);
        }
        let Admitted { way, source, .. } = admitted;
        self.depart(now, context, Departure::InDialog { way, source: source.remote.ip() });
    }

    /// A request leaves that has the body it shall have. `relay` is the name of the relay that has its media.
    pub(super) fn leave(&mut self, now: Instant, context: ContextId, departure: Departure, relay: u32) {
        match departure {
            Departure::New { wanted, branches } => {
                let recorded = |Prepared { mut branch, callee }: Prepared| {
                    branch.record_route = self.record_routes(now, &wanted, &branch.destination, callee, relay);
                    branch
                };
                let branches = branches.into_iter().map(recorded).collect();
                self.send(now, context, branches);
            }
            Departure::InDialog { way, .. } => self.leave_in_dialog(now, context, way.direct),
        }
    }

    fn leave_in_dialog(&mut self, now: Instant, context: ContextId, direct: Option<Target>) {
        let routed = self.proxy.request_of(context).is_some_and(|request| request.header(Header::Route).is_some());
        if let (false, Some(target)) = (routed, direct) {
            return self.send(now, context, vec![Branch::along(target)]);
        }
        let status = match self.proxy.relay(now, &mut self.layer, context) {
            Ok(()) | Err(CommandError::Gone) => return,
            Err(CommandError::Unresolved) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::BAD_REQUEST,
        };
        self.counters.unresolved += 1;
        self.reject(now, context, status);
    }

    fn send(&mut self, now: Instant, context: ContextId, targets: Vec<Branch>) {
        if self.proxy.forward(now, &mut self.layer, context, targets) == Err(CommandError::TooManyBranches) {
            self.counters.busy += 1;
            self.reject(now, context, StatusCode::SERVICE_UNAVAILABLE);
        }
    }

    pub(super) fn reject(&mut self, now: Instant, context: ContextId, status: StatusCode) {
        if let Some(request) = self.proxy.request_of(context) {
            let (method, call_id, to) = (request.method().as_str(), request.call_id(), Named(request.uri()));
            tracing::debug!(status = status.code(), method, call_id, %to, "no way for it");
        }
        let _ = self.proxy.reject_with(now, &mut self.layer, context, status); // Gone: it was cancelled meanwhile
    }

    /// The targets of a request outside a dialog, or the status that refuses it.
    fn targets(
        &mut self,
        now: Instant,
        context: ContextId,
        wanted: &Wanted,
        text: &str,
    ) -> Result<Vec<Prepared>, StatusCode> {
        let settings = self.settings.clone();
        let uri = Uri::parse(text).ok_or(StatusCode::BAD_REQUEST)?;
        let from = wanted.admitted.peer;
        let Some(user) = uri.unescaped_user().filter(|user| !user.is_empty()) else {
            self.counters.incomplete += 1;
            return Err(StatusCode::ADDRESS_INCOMPLETE);
        };
        if uri.scheme.is_sip() && !settings.names_us(&uri) {
            let ways = settings.peers.by_domain(&uri.host.to_string(), &user, from);
            if ways.is_empty() {
                self.counters.foreign_domain += 1;
                return Err(StatusCode::FORBIDDEN);
            }
            return Ok(self.trunks(wanted, &ways, &user));
        }
        let aor = uri.aor();
        let contacts = self.shared.location.lookup(now, &aor);
        let branches: Vec<Prepared> =
            contacts.iter().filter_map(|contact| self.contact_branch(wanted, contact)).collect();
        if !branches.is_empty() {
            self.called.insert(context, aor.into());
            self.proxy.set_options(context, Options { ask: true, ..Options::default() });
            return Ok(branches);
        }
        if !contacts.is_empty() || settings.users.has_address(&user, &uri.host.to_string()) {
            self.counters.no_contact += 1;
            return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        let ways = settings.peers.by_number(&user, from);
        if ways.is_empty() {
            self.counters.unknown_user += 1;
            return Err(StatusCode::NOT_FOUND);
        }
        Ok(self.trunks(wanted, &ways, &user))
    }

    fn trunks(&mut self, wanted: &Wanted, ways: &[Hop], dialled: &str) -> Vec<Prepared> {
        let settings = self.settings.clone();
        let mut branches = Vec::with_capacity(ways.len());
        for (way, q) in ways.iter().zip([1000u16, 900]) {
            let Some(peer) = settings.peers.get(way.peer) else { continue };
            let Some(target) = &peer.target else { continue };
            let uri = trunk_uri(&way.number, target);
            let called = if way.number == dialled { String::new() } else { way.number.clone() };
            let tried = Tried { peer: peer.name.to_string(), target: uri.clone(), called };
            let mut branch = self.branch(wanted, uri, target.clone().into(), tried);
            branch.q = q;
            branch.hunt = Hunt::Unreachable;
            branches.push(Prepared { branch, callee: None });
        }
        branches
    }

    /// The branch to a registered contact; `None` when nobody can say where that is.
    fn contact_branch(&mut self, wanted: &Wanted, contact: &Found) -> Option<Prepared> {
        let (first, rest) = destinations(contact)?;
        let binding = &contact.binding;
        // A phone that is reached by the way it registered, without a load balancer before it, is found again so.
        let direct = matches!(first, Destination::Flow(_));
        let callee = direct.then(|| Target::new(first.transport(), first.remote()));
        let tried = Tried { target: binding.contact().to_owned(), ..Tried::default() };
        let mut branch = self.branch(wanted, binding.contact().to_owned(), first, tried);
        branch.user |= self.shared.location.mark(binding) << 16;
        branch.routes = binding.path().map(str::to_owned).collect();
        branch.q = binding.q().unwrap_or(1000);
        branch.failover = rest.into_iter().collect();
        Some(Prepared { branch, callee })
    }

    fn branch(&mut self, wanted: &Wanted, uri: String, to: Destination, tried: Tried) -> Branch {
        let to = self.with_our_socket(to);
        let number = wanted.call.map_or(0, |call| self.calls.tried(call, tried));
        let mut branch = Branch::along(to);
        branch.user = number & 0xffff;
        branch.uri = Some(uri);
        branch
    }

    /// Names the socket to send from, so that Via and Record-Route agree.
    pub(super) fn with_our_socket(&self, to: Destination) -> Destination {
        match to {
            Destination::Target(mut target) if target.local.is_none() => {
                let listener = self.settings.listener_for(target.transport, target.remote.ip());
                target.local = listener.map(|listener| listener.bind);
                Destination::Target(target)
            }
            to => to,
        }
    }

    /// Our Record-Route for a request that may form a dialog (RFC 3261 §16.6 step 4): one value, or two where the sides
    /// differ in transport or address family (RFC 5658), that of the called side on top.
    fn record_routes(
        &self,
        now: Instant,
        wanted: &Wanted,
        to: &Destination,
        callee: Option<Target>,
        relay: u32,
    ) -> Vec<String> {
        if !matches!(wanted.method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify) {
            return Vec::new();
        }
        let sides = Sides { caller: wanted.caller.clone(), callee };
        let content = Content { sides, target: wanted.target, relay };
        let dialog = Dialog {
            call_id: &wanted.call_id,
            caller_tag: &wanted.from_tag,
            holder: Holder::Callee,
            hops: &wanted.hops,
        };
        let token = self.record_route.seal(self.unix(now).as_secs(), &dialog, wanted.flow.remote, &content);
        let settings = &self.settings;
        let inside = settings.listener_at(wanted.flow.transport, wanted.flow.local);
        let outside = match to {
            Destination::Flow(flow) => settings.listener_at(flow.transport, flow.local),
            Destination::Target(target) => settings.listener_for(target.transport, target.remote.ip()),
        };
        let value = |listener: &super::settings::Listener| match listener.transport {
            Transport::Udp => format!("<sip:{token}@{};lr>", listener.sent_by),
            other => format!("<sip:{token}@{};transport={};lr>", listener.sent_by, other.uri_param()),
        };
        match (outside, inside) {
            (Some(outside), Some(inside)) if outside != inside => vec![value(outside), value(inside)],
            (Some(only), _) | (None, Some(only)) => vec![value(only)],
            (None, None) => Vec::new(),
        }
    }

    /// Where requests to the caller go inside the dialog, if its Contact does not say it: it is behind a NAT or came over
    /// a stream, and nobody before us records a route.
    fn side_of_caller(&self, request: &Request, flow: &Flow, admitted: &Admitted) -> Option<Target> {
        if admitted.through_balancer || request.header(Header::RecordRoute).is_some() {
            return None;
        }
        let hidden = flow.transport.is_reliable() || super::nated::is_nated(request, &admitted.source, false);
        hidden.then(|| Target::new(flow.transport, flow.remote))
    }
}

/// Where a contact is: its Path, else the flow that it registered by, else its URI. And where to try next.
pub(super) fn destinations(found: &Found) -> Option<(Destination, Option<Destination>)> {
    let of_uri = |uri: &str| match resolve::of_uri_text(uri) {
        Ok(NextHop::Target(target)) => Some(Destination::Target(target)),
        _ => None,
    };
    if let Some(first) = found.binding.path().next() {
        let route = NameAddr::parse(first.as_bytes())?;
        return Some((of_uri(route.uri)?, None));
    }
    let by_uri = of_uri(found.binding.contact());
    match found.flow {
        Some(flow) if found.binding.is_nated() => Some((Destination::Flow(flow), None)),
        Some(flow) if flow.connection.is_some() => Some((Destination::Flow(flow), by_uri)),
        _ => Some((by_uri?, None)),
    }
}

fn trunk_uri(number: &str, target: &Target) -> String {
    let mut uri = String::with_capacity(48);
    uri.push_str("sip:");
    for octet in number.bytes() {
        // RFC 3261 §25.1: unreserved and user-unreserved stand as they are.
        if octet.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            uri.push_str(&format!("%{octet:02X}"));
        }
    }
    uri.push_str(&format!("@{}", target.remote));
    if target.transport != Transport::Udp {
        uri.push_str(&format!(";transport={}", target.transport.uri_param()));
    }
    uri
}

/// The user part as written, or the number of a tel URI; nothing if there is none.
fn user_of(uri: &str) -> &str {
    Uri::parse(uri).and_then(|uri| uri.user).unwrap_or_default()
}

fn source_text(admitted: &Admitted) -> String {
    format!("{}:{}", admitted.source.transport.uri_param(), admitted.source.remote)
}
