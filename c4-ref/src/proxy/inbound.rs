//! Requests as they come in: what may pass is decided here, before any state is made (a challenge leaves no trace).

use std::net::SocketAddr;
use std::time::Instant;

use sip_core::auth::{Outcome, Secret, Subject};
use sip_core::header::Header;
use sip_core::proxy::validate;
use sip_core::uri::Uri;
use sip_core::{Checked, Destination, Flow, Message, Method, Request, StatusCode, Transport};

use super::app::App;
use super::dialogs::{Astray, Way};
use super::policy::{Verdict, decide, owns};
use crate::source::{self, Source};

/// What was found out about a request that may pass.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    /// Where it came from, as seen by the first of our own hops.
    pub(super) source: Source,
    /// Whether a load balancer brought it.
    pub(super) through_balancer: bool,
    /// The peer that it is trusted as.
    pub(super) peer: Option<usize>,
    /// The authenticated user.
    pub(super) user: Option<Box<str>>,
    /// For a request inside a dialog: what its Route says.
    pub(super) way: Way,
}

enum Admission {
    Pass(Admitted),
    Answer(Refusal),
    Drop,
}

/// An answer to be made without a transaction.
struct Refusal {
    status: StatusCode,
    headers: Vec<(Header, String)>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Refusal {
        Refusal { status, headers: Vec::new() }
    }
}

impl From<validate::Refusal> for Refusal {
    fn from(refused: validate::Refusal) -> Refusal {
        let status = refused.status();
        let headers = match refused {
            validate::Refusal::Extension(tags) => vec![(Header::Unsupported, tags.into())],
            _ => Vec::new(),
        };
        Refusal { status, headers }
    }
}

impl App {
    /// A message from the network.
    pub(super) fn receive(&mut self, now: Instant, flow: Flow, message: Message) {
        if self.settings.trusts(flow.remote.ip()) {
            self.sweep.heard(now, flow.remote);
        }
        let checked = match message.check() {
            Ok(checked) => checked,
            Err(defect) => {
                self.counters.malformed += 1;
                if let Some(answer) = defect.response() {
                    let tag = format!("{:016x}", self.number());
                    self.complain(flow, tagged(answer, &tag).to_bytes());
                }
                return;
            }
        };
        let checked = match checked {
            Checked::Request(request) => match self.screen(now, &flow, request) {
                Some(request) => Checked::Request(request),
                None => return,
            },
            response => response,
        };
        if self.take(now, flow, checked).is_err() {
            self.counters.busy += 1;
            self.admitted = None;
        }
    }

    /// Lets a request through to the transactions, or answers it without one.
    fn screen(&mut self, now: Instant, flow: &Flow, mut request: Request) -> Option<Request> {
        let known = self.layer.knows(&request);
        if known || *request.method() == Method::Cancel {
            let _ = request.remove(source::HEADER);
            return Some(request);
        }
        match self.admit(now, flow, &mut request) {
            Admission::Pass(admitted) => {
                self.admitted = Some(admitted);
                Some(request)
            }
            Admission::Answer(refusal) => {
                self.answer(now, flow, request, refusal);
                None
            }
            Admission::Drop => None,
        }
    }

    /// Answers without a transaction (RFC 3261 §8.2.7): a retransmission of the request gets the same To tag.
    fn answer(&mut self, now: Instant, flow: &Flow, mut request: Request, refusal: Refusal) {
        let back = reply_flow(flow, &request);
        let tag = self.stateless_tag(&request);
        request.set_received(flow.remote);
        let mut response = request.response(refusal.status);
        for (header, value) in refusal.headers {
            let _ = response.push_back(header, value); // written by us
        }
        if response.to_tag().is_none() {
            let _ = response.set_to_tag(&tag); // hexadecimal digits
        }
        if self.layer.send(now, Checked::Response(response), Destination::Flow(back)).is_err() {
            self.counters.busy += 1;
        }
    }

    fn admit(&mut self, now: Instant, flow: &Flow, request: &mut Request) -> Admission {
        let (source, through_balancer) = self.source_of(flow, request);
        let mut admitted = Admitted { source, through_balancer, peer: None, user: None, way: Way::default() };
        let register = *request.method() == Method::Register;
        if *request.method() == Method::Ack || (request.to_tag().is_some() && !register) {
            admitted.peer = self.peer_of(&admitted.source);
            // An ACK repeats the credentials of its INVITE (RFC 3261 §13.2.2.4): they are not for the callee.
            self.clean(request, &admitted);
            return self.admit_in_dialog(now, request, admitted);
        }
        if self.is_ping(request) {
            self.counters.pings += 1;
            return Admission::Answer(capabilities());
        }
        if !register && let Err(refused) = self.proxy.validate(request) {
            self.counters.invalid += 1;
            let refusal = Refusal::from(refused);
            told(request, &admitted.source, refusal.status, "it cannot be forwarded");
            return Admission::Answer(refusal);
        }
        // Only the routes of our own dialogs are followed: a Route that the sender chose would make us an open relay.
        let _ = request.remove(Header::Route);
        admitted.peer = self.peer_of(&admitted.source);
        let local = self.identity_is_local(request);
        match decide(request.method(), self.settings.switches, admitted.peer, local) {
            Verdict::Open => {}
            Verdict::Peer(_) => self.counters.auth_peer += 1,
            Verdict::Forbidden => {
                self.counters.foreign += 1;
                told(
                    request,
                    &admitted.source,
                    StatusCode::FORBIDDEN,
                    "neither from a peer nor in a local user's name",
                );
                return Admission::Answer(StatusCode::FORBIDDEN.into());
            }
            Verdict::Challenge(status) => match self.authenticate(now, request, &admitted.source, status) {
                Ok(user) => admitted.user = Some(user),
                Err(refusal) => return Admission::Answer(refusal),
            },
        }
        self.clean(request, &admitted);
        Admission::Pass(admitted)
    }

    /// Takes off what must not go on: our own header, credentials for our realm, identities that only peers may assert.
    fn clean(&self, request: &mut Request, admitted: &Admitted) {
        if *request.method() == Method::Register {
            return;
        }
        self.consume_ours(request);
        if admitted.peer.is_none() {
            let _ = request.remove(Header::PAssertedIdentity);
            let _ = request.remove(Header::RemotePartyId);
        }
    }

    /// A request with a To tag passes when a Route of ours, signed for its sender in this very dialog, brought it, and when
    /// it goes to the other side.
    fn admit_in_dialog(&mut self, now: Instant, request: &Request, mut admitted: Admitted) -> Admission {
        let ack = *request.method() == Method::Ack;
        match self.way_in_dialog(now, request) {
            Ok(way) => {
                admitted.way = way;
                Admission::Pass(admitted)
            }
            Err(_) if ack => {
                self.counters.stray_ack += 1;
                Admission::Drop
            }
            Err(Astray::NoRoute) => {
                self.counters.no_route += 1;
                told(
                    request,
                    &admitted.source,
                    StatusCode::NOT_FOUND,
                    "no route of ours that its sender got in this dialog",
                );
                Admission::Answer(StatusCode::NOT_FOUND.into())
            }
            Err(Astray::ForeignTarget) => {
                self.counters.foreign_target += 1;
                told(request, &admitted.source, StatusCode::FORBIDDEN, "not to the other side of its dialog");
                Admission::Answer(StatusCode::FORBIDDEN.into())
            }
        }
    }

    /// The sender as the balancer saw it, if a balancer that we trust sent this; else the datagram's own source.
    fn source_of(&self, flow: &Flow, request: &mut Request) -> (Source, bool) {
        let told = request.header(source::HEADER).map(Source::parse);
        if told.is_some() {
            let _ = request.remove(source::HEADER);
        }
        match told.flatten() {
            Some(source) if self.settings.trusts(flow.remote.ip()) => (source, true),
            _ => {
                let Flow { transport, remote, local, connection } = *flow;
                let proved = connection.and_then(|id| self.identified.get(&id));
                let identities = proved.map(|names| names.to_vec()).unwrap_or_default();
                (Source { transport, remote, listener: local, identities }, false)
            }
        }
    }

    fn peer_of(&self, source: &Source) -> Option<usize> {
        self.settings.peers.by_source(source.remote.ip(), &source.identities)
    }

    fn is_ping(&self, request: &Request) -> bool {
        let to_us = |uri: Uri<'_>| uri.user.is_none() && uri.scheme.is_sip() && self.settings.names_us(&uri);
        *request.method() == Method::Options && Uri::parse(request.uri()).is_some_and(to_us)
    }

    fn identity_is_local(&self, request: &Request) -> bool {
        identity(request).is_some_and(|uri| self.settings.is_local(&uri))
    }

    /// Checks the credentials; the error is the answer.
    fn authenticate(
        &mut self,
        now: Instant,
        request: &Request,
        source: &Source,
        status: StatusCode,
    ) -> Result<Box<str>, Refusal> {
        let unix = self.unix(now);
        let (credentials, challenge) = match status {
            StatusCode::UNAUTHORIZED => (Header::Authorization, Header::WwwAuthenticate),
            _ => (Header::ProxyAuthorization, Header::ProxyAuthenticate),
        };
        let (from, source) = (source, source.remote.ip());
        let subject = Subject { method: request.method().as_str(), uri: request.uri(), body: request.body(), source };
        let users = &self.settings.users;
        let outcome = match self.challenger.ours(request.headers(credentials)) {
            None => Outcome::Missing,
            Some(ours) => self.challenger.check(unix, &subject, ours, |name, algorithm| {
                match (name.hashed, users.ha1(name.name, algorithm)) {
                    (false, Some(ha1)) => Secret::Ha1(ha1),
                    (false, None) if users.contains(name.name) => Secret::NotForThisAlgorithm,
                    _ => Secret::Unknown,
                }
            }),
        };
        let stale = match outcome {
            Outcome::Ok { user, proof } => match self.shared.commit(unix, proof) {
                Ok(()) if identity(request).is_some_and(|uri| is_owner(&user, &uri)) => {
                    self.counters.auth_ok += 1;
                    return Ok(user.as_ref().into());
                }
                Ok(()) => {
                    self.counters.not_owner += 1;
                    told(request, from, StatusCode::FORBIDDEN, "credentials of another user");
                    return Err(StatusCode::FORBIDDEN.into());
                }
                Err(_) => true,
            },
            Outcome::Stale => true,
            Outcome::Missing => {
                self.counters.auth_missing += 1;
                false
            }
            Outcome::Bad(_) => {
                self.counters.auth_bad += 1;
                told(request, from, status, "wrong credentials");
                false
            }
            Outcome::Unknown => {
                self.counters.auth_unknown += 1;
                told(request, from, status, "credentials of nobody known");
                false
            }
        };
        self.counters.auth_stale += u64::from(stale);
        let challenges = self.challenger.challenge(unix, source, stale);
        Err(Refusal { status, headers: challenges.into_iter().map(|value| (challenge, value)).collect() })
    }

    fn consume_ours(&self, request: &mut Request) {
        self.consume(request, Header::ProxyAuthorization);
        self.consume(request, Header::Authorization);
    }

    /// Removes the credentials for our realm; those for other servers on the path stay (RFC 3261 §22.3).
    fn consume(&self, request: &mut Request, header: Header) {
        if self.challenger.ours(request.headers(header)).is_none() {
            return;
        }
        let others: Vec<Vec<u8>> = request
            .headers(header)
            .filter(|value| self.challenger.ours([*value]).is_none())
            .map(<[u8]>::to_vec)
            .collect();
        let _ = request.remove(header);
        for value in others {
            let _ = request.push_back(header, value); // a fold in it is refused: such credentials do not go on
        }
    }
}

/// Whom a request outside a dialog is from: To of a REGISTER, From of all others.
fn identity(request: &Request) -> Option<Uri<'_>> {
    let address = if *request.method() == Method::Register { request.to() } else { request.from() };
    Uri::parse(address.uri)
}

fn is_owner(username: &str, uri: &Uri<'_>) -> bool {
    let host = uri.host.to_string();
    uri.unescaped_user().is_some_and(|user| owns(username, &user, &host))
}

/// Where an answer without transaction goes (RFC 3261 §18.2.2, RFC 3581 §4).
fn reply_flow(flow: &Flow, request: &Request) -> Flow {
    let via = request.via();
    match via {
        Some(via) if flow.transport == Transport::Udp && via.rport().is_none() => {
            Flow { remote: SocketAddr::new(flow.remote.ip(), via.port_or_default()), ..*flow }
        }
        _ => *flow,
    }
}

/// An answer with a To tag (RFC 3261 §8.2.6.2), where it has what a response needs to have one.
fn tagged(answer: Message, tag: &str) -> Message {
    match answer.check() {
        Ok(Checked::Response(mut response)) if response.to_tag().is_none() => {
            let _ = response.set_to_tag(tag); // hexadecimal digits
            response.into_message()
        }
        Ok(checked) => checked.into_message(),
        Err(defect) => defect.into_message(),
    }
}

/// Why a request is refused, for the operator who looks for it.
fn told(request: &Request, source: &Source, status: StatusCode, why: &str) {
    let (method, call_id, source) = (request.method().as_str(), request.call_id(), source.remote);
    let (from, to) = (source::Named(request.from().uri), source::Named(request.uri()));
    tracing::debug!(status = status.code(), why, method, call_id, %from, %to, %source, "refused");
}

/// The answer to an OPTIONS for the proxy itself (RFC 3261 §11.2).
fn capabilities() -> Refusal {
    let headers = vec![(Header::Accept, "application/sdp".to_owned()), (Header::Supported, "path".to_owned())];
    Refusal { status: StatusCode::OK, headers }
}
