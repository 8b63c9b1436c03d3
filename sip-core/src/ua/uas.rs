//! The callee's side of an INVITE session (RFC 3261 §8.2, §13.3, §9.2).
use super::agent::Ua;
use super::config::{Extra, Refused};
use super::dialog::{Dialog, DialogState, Role};
use super::dialogs::Usage;
use super::event::{EndCause, Event};
use super::ids::SessionId;
use super::session::{Session, State, Unacked};
use super::timer::Timer;
use crate::flow::Flow;
use crate::header::Header;
use crate::message::{Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{Layer, ServerId};
use std::time::{Duration, Instant};

/// A provisional response is repeated each minute, or a proxy's Timer C cancels the call (RFC 3261 §13.3.1.1).
const PROVISIONAL_EVERY: Duration = Duration::from_secs(60);

impl Ua {
    /// Takes a request from outside this agent's dialogs (RFC 3261 §8.2). An INVITE becomes a session, told by
    /// [`Event::Incoming`]; `contact` is the name-addr by which the caller reaches this agent inside it. OPTIONS is
    /// answered 200 (§11.2); what cannot be taken is refused here: 405, 420, 481, 482, 486.
    pub fn incoming(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ServerId,
        request: Request,
        flow: Flow,
        contact: &str,
    ) {
        self.note(now);
        if let Some(status) = self.unfit(&request, layer.is_merged(id)) {
            return self.refuse(now, layer, id, &request, status);
        }
        if *request.method() == Method::Options {
            return self.refuse(now, layer, id, &request, StatusCode::OK);
        }
        let tag = self.ids.tag();
        let dialog = match Dialog::callee(&request, &tag, contact, DialogState::Early) {
            Ok(dialog) => dialog,
            Err(_) => return self.refuse(now, layer, id, &request, StatusCode::BAD_REQUEST),
        };
        let session_id = SessionId(self.next_id());
        let key = self.dialogs.insert(dialog, Usage::Invite(session_id), flow.into());
        let boxed = Box::new(request);
        let mut session = Session::new(Role::Callee, State::Ringing { server: id, request: boxed.clone() }, None);
        session.dialog = Some(key);
        self.sessions.insert(session_id, session);
        self.servers.insert(id, session_id);
        self.tell(Event::Incoming { session: session_id, request: boxed, flow });
    }

    /// What is wrong with a request outside dialogs, in the order of RFC 3261 §8.2.
    fn unfit(&self, request: &Request, merged: bool) -> Option<StatusCode> {
        if request.to_tag().is_some() {
            return Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        }
        match request.method() {
            Method::Invite | Method::Options => {}
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Notify => {
                return Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            }
            _ => return Some(StatusCode::METHOD_NOT_ALLOWED),
        }
        if self.unsupported(request).next().is_some() {
            return Some(StatusCode::BAD_EXTENSION);
        }
        // The same request by another way: a proxy in between forked to us twice (RFC 3261 §8.2.2.2).
        if merged {
            return Some(StatusCode::LOOP_DETECTED);
        }
        (*request.method() == Method::Invite && self.sessions.len() >= self.config.max_sessions)
            .then_some(StatusCode::BUSY_HERE)
    }

    /// Sends a provisional response, 101 to 199, with a tag: it makes the early dialog (RFC 3261 §12.1.1). It is repeated
    /// each minute until the answer.
    ///
    /// # Errors
    /// [`Refused::State`] after the answer.
    pub fn ring(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        status: StatusCode,
        extra: &Extra,
    ) -> Result<(), Refused> {
        self.note(now);
        let (server, _, response) = self.response(id, status, extra)?;
        if !status.is_provisional() {
            return Err(Refused::BadValue);
        }
        layer.respond(now, server, response.clone()).map_err(|_| Refused::Gone)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.provisional = Some(response);
        }
        self.timers.start(Timer::Provisional(id), now + PROVISIONAL_EVERY);
        Ok(())
    }

    /// Answers the call with 200 (RFC 3261 §13.3.1.4): the dialog is confirmed, and the 200 is sent again until the ACK.
    ///
    /// # Errors
    /// [`Refused::State`] when the call has its answer already.
    pub fn answer(&mut self, now: Instant, layer: &mut Layer, id: SessionId, extra: &Extra) -> Result<(), Refused> {
        self.note(now);
        let (server, seq, response) = self.response(id, StatusCode::OK, extra)?;
        self.timers.stop(Timer::Provisional(id));
        let Some(session) = self.sessions.get_mut(&id) else { return Err(Refused::Gone) };
        session.state = State::Up;
        session.provisional = None;
        if let Some(entry) = session.dialog.and_then(|key| self.dialogs.get_mut(key)) {
            entry.dialog.confirm(&response);
        }
        self.send_2xx(now, layer, id, server, seq, response);
        Ok(())
    }

    /// Refuses the call with a final response, 300 to 699.
    ///
    /// # Errors
    /// [`Refused::State`] when the call has its answer already.
    pub fn reject(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        status: StatusCode,
        extra: &Extra,
    ) -> Result<(), Refused> {
        self.note(now);
        let (server, _, response) = self.response(id, status, extra)?;
        if !status.is_final() || status.is_success() {
            return Err(Refused::BadValue);
        }
        let _ = layer.respond(now, server, response);
        self.finish(id, EndCause::Rejected(status));
        Ok(())
    }

    /// A response to the INVITE of a session that has no final one yet.
    fn response(&self, id: SessionId, status: StatusCode, extra: &Extra) -> Result<(ServerId, u32, Response), Refused> {
        let session = self.sessions.get(&id).filter(|session| !session.is_over()).ok_or(Refused::Gone)?;
        let State::Ringing { server, request } = &session.state else { return Err(Refused::State) };
        let entry = session.dialog.and_then(|key| self.dialogs.get(key)).ok_or(Refused::Gone)?;
        let forms_dialog = status.is_provisional() || status.is_success();
        let mut response = if forms_dialog { request.dialog_response(status) } else { request.response(status) };
        response.set_to_tag(&entry.dialog.id().local_tag).map_err(|_| Refused::BadValue)?;
        if forms_dialog {
            response.set(Header::Contact, entry.dialog.contact()).map_err(|_| Refused::BadValue)?;
        }
        self.decorate_response(&mut response, extra)?;
        Ok((*server, request.cseq().seq, response))
    }

    /// Sends a 2xx to an INVITE or re-INVITE and watches for its ACK.
    pub(super) fn send_2xx(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        server: ServerId,
        seq: u32,
        response: Response,
    ) {
        let interval = self.config.t1;
        let _ = layer.respond(now, server, response.clone());
        if let Some(session) = self.sessions.get_mut(&id) {
            session.unacked = Some(Unacked { server, seq, response, interval });
        }
        self.timers.start(Timer::Retransmit2xx(id), now + interval);
        self.timers.start(Timer::NoAck(id), now + self.config.t1 * 64);
    }

    /// The interval doubles from T1 up to T2, over any transport (RFC 3261 §13.3.1.4).
    pub(super) fn retransmit_2xx(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        let Some(unacked) = self.sessions.get_mut(&id).and_then(|session| session.unacked.as_mut()) else { return };
        unacked.interval = (unacked.interval * 2).min(self.config.t2);
        let _ = layer.respond(now, unacked.server, unacked.response.clone());
        self.timers.start(Timer::Retransmit2xx(id), now + unacked.interval);
    }

    /// No ACK in 64*T1: the dialog stands, but the session ends by BYE (RFC 3261 §13.3.1.4, §14.2).
    pub(super) fn on_no_ack(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        self.timers.stop(Timer::Retransmit2xx(id));
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.unacked = None;
        session.cause.get_or_insert(EndCause::NoAck);
        self.bye(now, layer, id);
    }

    /// An ACK inside one of our dialogs: it ends the retransmission of the 2xx with its number; any other is late.
    pub(super) fn on_ack(&mut self, now: Instant, layer: &mut Layer, id: SessionId, request: Request) {
        let seq = request.cseq().seq;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.unacked.take_if(|unacked| unacked.seq == seq).is_none() {
            return;
        }
        let hangup = session.hangup.is_some();
        self.timers.stop(Timer::Retransmit2xx(id));
        self.timers.stop(Timer::NoAck(id));
        self.tell(Event::Confirmed { session: id, ack: Box::new(request) });
        if hangup {
            self.bye(now, layer, id);
        }
    }

    /// CANCEL: the INVITE without final response gets a 487; after a final response it does nothing (RFC 3261 §9.2).
    pub(super) fn on_cancel(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        server: ServerId,
        cancel: Request,
    ) {
        if let Some(reinvite) = self.pending_reinvite(id, server) {
            return self.cancel_reinvite(now, layer, reinvite);
        }
        let Ok((server, _, response)) = self.response(id, StatusCode::REQUEST_TERMINATED, &Extra::default()) else {
            return;
        };
        let _ = layer.respond(now, server, response);
        self.finish(id, EndCause::CancelledByPeer(Box::new(cancel)));
    }

    pub(super) fn repeat_provisional(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (State::Ringing { server, .. }, Some(response)) = (&session.state, &session.provisional) else { return };
        if layer.respond(now, *server, response.clone()).is_ok() {
            self.timers.start(Timer::Provisional(id), now + PROVISIONAL_EVERY);
        }
    }

    /// Option tags of Require that this agent does not know (RFC 3261 §8.2.2.3).
    pub(super) fn unsupported<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = &'a [u8]> {
        let known = |tag: &[u8]| self.config.supported.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(tag));
        request.values(Header::Require).filter(move |tag| !known(tag))
    }

    /// Answers a request at once, with what the status asks for: Allow, Unsupported.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ServerId,
        request: &Request,
        status: StatusCode,
    ) {
        let mut response = request.response(status);
        let _ = response.set_to_tag(&self.ids.tag());
        if status == StatusCode::BAD_EXTENSION {
            for tag in self.unsupported(request) {
                let _ = response.push_back(Header::Unsupported, tag);
            }
        }
        if status == StatusCode::SERVER_INTERNAL_ERROR {
            // The peer may try again after a random time below ten seconds (RFC 3261 §14.2).
            let _ = response.set(Header::RetryAfter, self.ids.between(0, 10).to_string());
        }
        let _ = self.decorate_response(&mut response, &Extra::default());
        let _ = layer.respond(now, id, response);
    }
}
