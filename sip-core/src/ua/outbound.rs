//! Requests of a user agent on their way: sending, the answer to a challenge, and what happens without a response.
use super::agent::Ua;
use super::config::{Extra, Refused};
use super::event::{EndCause, Event};
use super::ids::{DialogKey, RegistrationId, RequestId, SessionId};
use crate::auth::{Asked, Attempt};
use crate::flow::{Destination, Flow};
use crate::header::Header;
use crate::message::{Checked, Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{ClientId, Layer};
use std::net::SocketAddr;
use std::time::Instant;

/// Who may challenge a request: the peer that a session or registration was set up with, at its address and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// As in its account.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
}

/// What a client transaction of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Invite(SessionId),
    Reinvite(SessionId, RequestId),
    Bye(SessionId, DialogKey),
    InDialog(SessionId, RequestId),
    Register(RegistrationId),
}

/// A client transaction of ours.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) purpose: Purpose,
    /// As given to the layer: without Via.
    pub(super) request: Request,
    pub(super) destination: Destination,
    /// How far it has come with its challenges.
    pub(super) attempt: Attempt,
    /// The ACKs to 2xx of this INVITE, by the To tag, to be repeated (RFC 3261 §13.2.2.4).
    pub(super) acks: Vec<(Box<str>, Request, Destination)>,
}

impl Ua {
    /// Gives a request to the layer and remembers what for.
    pub(super) fn send(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        purpose: Purpose,
        request: Request,
        destination: Destination,
        attempt: Attempt,
    ) -> Result<ClientId, Refused> {
        let id = layer.request(now, request.clone(), destination.clone()).map_err(|_| Refused::Busy)?;
        self.clients.insert(id, Client { purpose, request, destination, attempt, acks: Vec::new() });
        Ok(id)
    }

    /// Adds this agent's name and what the application gave to a request.
    pub(super) fn decorate(&self, request: &mut Request, extra: &Extra) -> Result<(), Refused> {
        if let Some(name) = &self.config.user_agent {
            request.set(Header::UserAgent, name).map_err(|_| Refused::BadValue)?;
        }
        for (name, value) in &extra.headers {
            request.push_back(name.as_str(), value).map_err(|_| Refused::BadValue)?;
        }
        if let Some(body) = &extra.body {
            request.set_body(Some(&body.content_type), body.content.clone()).map_err(|_| Refused::BadValue)?;
        }
        Ok(())
    }

    /// The same for a response; Allow where RFC 3261 §13.3.1.4, §11.2 and §8.2.1 want it.
    pub(super) fn decorate_response(&self, response: &mut Response, extra: &Extra) -> Result<(), Refused> {
        let status = response.status();
        if status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED {
            let (allow, supported) = self.capabilities();
            response.set(Header::Allow, allow).map_err(|_| Refused::BadValue)?;
            if !supported.is_empty() {
                response.set(Header::Supported, supported).map_err(|_| Refused::BadValue)?;
            }
        }
        if let Some(name) = &self.config.user_agent {
            response.set(Header::Server, name).map_err(|_| Refused::BadValue)?;
        }
        for (name, value) in &extra.headers {
            response.push_back(name.as_str(), value).map_err(|_| Refused::BadValue)?;
        }
        if let Some(body) = &extra.body {
            response.set_body(Some(&body.content_type), body.content.clone()).map_err(|_| Refused::BadValue)?;
        }
        Ok(())
    }

    /// The values of Allow and Supported (RFC 3261 §20.5, §20.37).
    pub(super) fn capabilities(&self) -> (String, String) {
        let allow: Vec<&str> = self.config.allow.iter().map(Method::as_str).collect();
        (allow.join(", "), self.config.supported.join(", "))
    }

    /// Says in an INVITE what this agent can do (RFC 3261 §13.2.1).
    pub(super) fn offer_capabilities(&self, request: &mut Request) -> Result<(), Refused> {
        let (allow, supported) = self.capabilities();
        request.set(Header::Allow, allow).map_err(|_| Refused::BadValue)?;
        if !supported.is_empty() {
            request.set(Header::Supported, supported).map_err(|_| Refused::BadValue)?;
        }
        Ok(())
    }

    /// A response to one of our requests.
    pub(super) fn on_response(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ClientId,
        response: Response,
        flow: Flow,
    ) {
        let Some(purpose) = self.clients.get(&id).map(|client| client.purpose) else { return };
        let status = response.status();
        if status.is_final() && !status.is_success() && self.retry(now, layer, id, &response, flow) {
            return;
        }
        match purpose {
            Purpose::Invite(session) => self.on_invite_response(now, layer, session, id, response),
            Purpose::Reinvite(session, request) => {
                self.on_reinvite_response(now, layer, session, request, id, response)
            }
            _ if status.is_provisional() => {}
            Purpose::Bye(session, dialog) => self.on_bye_done(session, dialog),
            Purpose::InDialog(session, request) => self.on_in_dialog_done(now, layer, session, request, Some(response)),
            Purpose::Register(registration) => self.on_register_response(now, layer, registration, id, response, flow),
        }
    }

    /// No final response came, or the request could not be sent.
    pub(super) fn on_no_response(&mut self, now: Instant, layer: &mut Layer, id: ClientId, timeout: bool) {
        let Some(client) = self.clients.remove(&id) else { return };
        match client.purpose {
            Purpose::Invite(session_id) => {
                if let Some(session) = self.sessions.get_mut(&session_id) {
                    session.invite = None;
                    let cause = match (session.hangup.is_some(), timeout) {
                        (true, _) => EndCause::Cancelled(None),
                        (false, true) => EndCause::Timeout,
                        (false, false) => EndCause::TransportFailed,
                    };
                    self.finish(session_id, cause);
                    self.forget(session_id);
                }
            }
            Purpose::Reinvite(session, request) => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.our_reinvite = None;
                }
                self.on_in_dialog_done(now, layer, session, request, None);
            }
            Purpose::Bye(session, dialog) => self.on_bye_done(session, dialog),
            Purpose::InDialog(session, request) => self.on_in_dialog_done(now, layer, session, request, None),
            Purpose::Register(registration) => self.on_register_failed(now, registration, None),
        }
    }

    /// Answers a challenge (RFC 3261 §22.2, §22.3): the same request with credentials and the next CSeq, to the very
    /// place the first one went to. False: the challenge stands as the final response.
    fn retry(&mut self, now: Instant, layer: &mut Layer, id: ClientId, response: &Response, flow: Flow) -> bool {
        let Some(client) = self.authorized(id, response) else { return false };
        let (purpose, destination) = (client.purpose, pinned(&client.destination, flow));
        let Ok(new) = self.send(now, layer, purpose, client.request, destination, client.attempt) else { return false };
        self.clients.remove(&id);
        if let Purpose::Invite(session_id) = purpose
            && let Some(session) = self.sessions.get_mut(&session_id)
        {
            session.invite = Some(new);
        }
        true
    }

    /// The request again, with an answer to the challenge in `response`.
    fn authorized(&mut self, id: ClientId, response: &Response) -> Option<Client> {
        let (challenge, answer) = match response.status() {
            StatusCode::UNAUTHORIZED => (Header::WwwAuthenticate, Header::Authorization),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => (Header::ProxyAuthenticate, Header::ProxyAuthorization),
            _ => return None,
        };
        let mut client = self.clients.get(&id)?.clone();
        let peer = self.peer(client.purpose).filter(|peer| peer.address == client.destination.remote())?;
        let asked = Asked {
            peer: &peer.name,
            method: client.request.method().as_str(),
            uri: client.request.uri(),
            body: client.request.body(),
        };
        let value = self.auth.answer(&mut client.attempt, &asked, response.headers(challenge)).ok()?;
        let seq = self.next_seq(client.purpose, &client.request);
        client.request.set(answer, value).ok()?;
        client.request.set_cseq(seq);
        Some(client)
    }

    /// Who may challenge a request.
    fn peer(&self, purpose: Purpose) -> Option<Peer> {
        match purpose {
            // Whoever hangs up a call that is being set up does not try again.
            Purpose::Invite(id) => self.sessions.get(&id).filter(|session| session.hangup.is_none())?.peer.clone(),
            Purpose::Reinvite(id, _) | Purpose::Bye(id, _) | Purpose::InDialog(id, _) => {
                self.sessions.get(&id)?.peer.clone()
            }
            Purpose::Register(id) => self.registrations.get(&id)?.peer(),
        }
    }

    fn next_seq(&mut self, purpose: Purpose, request: &Request) -> u32 {
        let seq = request.cseq().seq.saturating_add(1);
        let key = match purpose {
            Purpose::Bye(_, key) => Some(key),
            Purpose::Reinvite(id, _) | Purpose::InDialog(id, _) => self.sessions.get(&id).and_then(|s| s.dialog),
            Purpose::Invite(_) | Purpose::Register(_) => None,
        };
        let Some(entry) = key.and_then(|key| self.dialogs.get_mut(key)) else { return seq };
        entry.dialog.next_seq()
    }

    /// Repeats the ACK to a 2xx that came again; false when this is the first with its To tag.
    pub(super) fn repeat_ack(&self, now: Instant, layer: &mut Layer, id: ClientId, tag: &str) -> bool {
        let acks = self.clients.get(&id).map(|client| client.acks.as_slice()).unwrap_or_default();
        let Some((_, ack, destination)) = acks.iter().find(|(to, _, _)| **to == *tag) else { return false };
        // One that is not taken is made good by the next retransmission of the 2xx.
        let _ = layer.send(now, Checked::Request(ack.clone()), destination.clone());
        true
    }

    /// Sends the ACK to a 2xx (RFC 3261 §13.2.2.4): the CSeq number and the credentials of its INVITE.
    pub(super) fn acknowledge(&mut self, now: Instant, layer: &mut Layer, id: ClientId, key: DialogKey) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Some(entry) = self.dialogs.get(key) else { return };
        let Ok(mut ack) = entry.dialog.ack(client.request.cseq().seq) else { return };
        for name in [Header::Authorization, Header::ProxyAuthorization] {
            for value in client.request.headers(name) {
                let _ = ack.push_back(name, value);
            }
        }
        let destination = entry.destination();
        client.acks.push((entry.dialog.id().remote_tag.clone(), ack.clone(), destination.clone()));
        let _ = layer.send(now, Checked::Request(ack), destination);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// The place that the first try reached: on a stream the connection that carried the challenge.
fn pinned(first: &Destination, flow: Flow) -> Destination {
    if flow.connection.is_some() { Destination::Flow(flow) } else { first.clone() }
}
