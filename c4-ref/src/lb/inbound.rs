//! Requests from outside: to the proxy of their dialog if they prove that they belong to one, else to the proxy that the
//! hash chooses. Nothing else: no Request-URI and no Route of a stranger decides where a request goes.

use nat::path::{FlowToken, NextHop, Role};
use nat::reply::Side;
use sip_core::flow::{Destination, Flow, Target, Transport};
use sip_core::header::Header;
use sip_core::message::{BadValue, Request};
use sip_core::uri::Uri;
use sip_core::{Method, StatusCode};

use super::Lb;
use super::arrival::Arrival;
use super::backends::BackendId;
use super::calls::CallKey;
use super::headers::sanitize_request;
use super::routes::{self, Own, Passage};
use super::stats::Counter;
use crate::config::{self, Endpoint};

/// Why a request goes nowhere.
enum Refused {
    /// Dropped without a word.
    Silently,
    /// Answered.
    With(StatusCode),
}

impl Lb {
    /// A request from outside that passed the checks.
    pub(super) fn inbound(&mut self, arrival: &Arrival, mut request: Request) {
        let own = routes::take_own(&mut request, &self.validation.locals, Side::Outside);
        let to = match self.next_inside(&mut request, &own) {
            Ok(to) => to,
            Err(Refused::Silently) => return,
            Err(Refused::With(status)) => return self.answer(arrival, &request, status),
        };
        // An edit fails only where a value would break out of its line; what came by the parser does not.
        if self.forward_inside(arrival, request, to).is_err() {
            self.stats.bump(Counter::Malformed);
        }
    }

    /// The proxy for a request.
    fn next_inside(&mut self, request: &mut Request, own: &Own) -> Result<Endpoint, Refused> {
        let is_ack = *request.method() == Method::Ack;
        if request.to_tag().is_some() {
            if let Some(hop) = self.dialog_hop(request, own) {
                let transport = if hop.stream { Transport::Tcp } else { Transport::Udp };
                return Ok(Endpoint { transport, address: hop.address });
            }
            // The ACK to a failure has a tag and the Routes of its INVITE: none that lead anywhere.
            if !is_ack || own.token.is_some() {
                if is_ack {
                    self.stats.bump(Counter::StrayAcks);
                    return Err(Refused::Silently);
                }
                self.stats.bump(Counter::NoDialog);
                return Err(Refused::With(StatusCode::NOT_FOUND));
            }
        } else if own.token.is_some() && self.dialog_hop(request, own).is_some() {
            // A good token without a dialog leads nowhere by itself; the hash decides as for any initial request.
        }
        self.refuse_foreign_routes(request, is_ack)?;
        match self.choose(request).and_then(|id| self.backends.get(id)) {
            Some(endpoint) => Ok(endpoint),
            None if is_ack => Err(Refused::Silently),
            None => {
                self.stats.bump(Counter::NoBackend);
                Err(Refused::With(StatusCode::SERVICE_UNAVAILABLE))
            }
        }
    }

    /// The proxy of the dialog, if the request has a good token of it.
    fn dialog_hop(&mut self, request: &Request, own: &Own) -> Option<NextHop> {
        let token = own.token.as_deref()?;
        match self.keys.open(token.as_bytes(), request.call_id().as_bytes(), self.unix(), self.lifetime) {
            Ok(FlowToken { role: Role::RecordRoute, next_hop, .. }) => next_hop,
            Ok(FlowToken { role: Role::Path, .. }) => {
                self.stats.bump(Counter::PathTokensOutside);
                None
            }
            Err(_) => {
                self.stats.bump(Counter::BadTokens);
                None
            }
        }
    }

    /// A preloaded Route that names another would lead past the proxies: it is taken off, or refused.
    fn refuse_foreign_routes(&mut self, request: &mut Request, is_ack: bool) -> Result<(), Refused> {
        if request.header(Header::Route).is_none() {
            return Ok(());
        }
        if self.foreign_routes == config::ForeignRoutes::Refuse {
            self.stats.bump(Counter::ForeignRoutesRefused);
            return Err(if is_ack { Refused::Silently } else { Refused::With(StatusCode::FORBIDDEN) });
        }
        self.stats.bump(Counter::ForeignRoutesStripped);
        _ = request.remove(Header::Route);
        Ok(())
    }

    /// The backend of an initial request: where its Call-ID went before, else where the hash says.
    fn choose(&mut self, request: &Request) -> Option<BackendId> {
        let by_call = self.call_key(request.call_id(), request.from_tag());
        let register = *request.method() == Method::Register;
        let hash = match self.hash {
            config::Hash::CallId => self.secrets.call.hash(&[request.call_id().as_bytes()]),
            config::Hash::Aor => self.secrets.call.hash(&[aor_user(request, register).as_bytes()]),
        };
        // A phone may register several users under one Call-ID: theirs is the hash of the user and nothing else.
        let remembered = !(register && self.hash == config::Hash::Aor);
        if remembered && let Some(id) = self.calls.touch(self.now, by_call) {
            // CANCEL and ACK mean the INVITE there and nothing elsewhere; what may be new goes to one that lives.
            let follows = matches!(request.method(), Method::Cancel | Method::Ack);
            if follows || self.backends.is_up(id) {
                return Some(id);
            }
        }
        let id = self.backends.pick(hash)?;
        if remembered && !self.calls.insert(self.now, by_call, id) {
            self.stats.bump(Counter::Overflow);
        }
        Some(id)
    }

    /// The key of a call in the soft table. What decides besides the Call-ID must not be overridden by whoever learns
    /// only that.
    pub(super) fn call_key(&self, call_id: &str, from_tag: Option<&str>) -> CallKey {
        CallKey(match self.hash {
            config::Hash::CallId => self.secrets.call.hash(&[call_id.as_bytes()]),
            config::Hash::Aor => self.secrets.call.hash(&[call_id.as_bytes(), from_tag.unwrap_or_default().as_bytes()]),
        })
    }

    fn forward_inside(&mut self, arrival: &Arrival, mut request: Request, to: Endpoint) -> Result<(), BadValue> {
        let listeners = self.listeners.clone();
        let v6 = to.address.is_ipv6();
        let ingress = listeners.get(arrival.listener).ok_or(BadValue::Grammar)?;
        let egress = listeners.towards(Side::Inside, to.transport, v6, ingress.id).ok_or(BadValue::Grammar)?;
        let branch = self.branch(arrival, &request);
        if let Some(role) = recorded(&request) {
            let next_hop = NextHop { address: to.address, stream: to.transport.is_reliable() };
            let token = FlowToken {
                role,
                listener: ingress.id,
                peer: arrival.flow.remote,
                connection: self.token_connection(&arrival.flow),
                next_hop: (role == Role::RecordRoute).then_some(next_hop),
                double: false,
            };
            let unix = self.unix();
            let passage = Passage { ingress, egress };
            routes::record(&mut request, &self.keys, unix, &token, passage, &mut self.scratch)?;
        }
        let source = self.source(arrival);
        sanitize_request(&mut request, arrival.peer, &source, &mut self.scratch)?;
        let destination = match to.transport {
            Transport::Udp => Destination::Flow(Flow::udp(egress.bind, to.address)),
            transport => Destination::Target(Target::new(transport, to.address)),
        };
        self.stats.bump(Counter::ForwardedInside);
        self.forward(arrival, request, (egress, to.transport), &branch, destination)
    }
}

/// Which requests leave a route behind: REGISTER a Path (RFC 3327), what may form a dialog a Record-Route. The rest
/// forms none: it has a tag, or is no dialog's first request.
pub(super) fn recorded(request: &Request) -> Option<Role> {
    match request.method() {
        Method::Register => Some(Role::Path),
        Method::Ack | Method::Bye | Method::Cancel | Method::Options | Method::Message | Method::Publish => None,
        Method::Info | Method::Prack | Method::Update => None,
        _ if request.to_tag().is_some() => None,
        _ => Some(Role::RecordRoute),
    }
}

/// The user that `hash = "aor"` goes by: of To for REGISTER, else of the Request-URI.
fn aor_user(request: &Request, register: bool) -> String {
    let text = if register { request.to().uri } else { request.uri() };
    match Uri::parse(text) {
        Some(uri) => uri.unescaped_user().map_or_else(String::new, |user| user.into_owned()),
        None => String::new(),
    }
}
