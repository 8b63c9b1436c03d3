//! Requests inside a session, both ways: BYE, re-INVITE and what the application adds (RFC 3261 §12.2, §14, §15).
use super::agent::{Ua, Waiting};
use super::config::{Extra, Refused};
use super::dialog::Role;
use super::dialogs::Usage;
use super::event::{EndCause, Event};
use super::ids::{DialogKey, RequestId, SessionId};
use super::outbound::Purpose;
use super::session::State;
use super::timer::Timer;
use crate::auth::Attempt;
use crate::header::Header;
use crate::message::{Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{ClientId, Layer, ServerId};
use std::time::{Duration, Instant};

/// Requests of one peer that may wait for the application.
const MAX_WAITING: usize = 8;

impl Ua {
    /// Sends a re-INVITE with a new offer (RFC 3261 §14.1). After a 491 it is tried again by itself. The outcome is an
    /// [`Event::Response`]; the ACK is sent here.
    ///
    /// # Errors
    /// [`Refused::State`] before the answer, [`Refused::Busy`] while another INVITE transaction runs either way.
    pub fn reinvite(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        extra: Extra,
    ) -> Result<RequestId, Refused> {
        self.note(now);
        let session = self.open_session(id)?;
        if session.invite_runs() || session.postponed.is_some() {
            return Err(Refused::Busy);
        }
        let saved = self.save_ids();
        let request = RequestId(self.next_id());
        self.send_reinvite(now, layer, id, request, extra).inspect_err(|_| self.restore_ids(saved))?;
        Ok(request)
    }

    /// Sends another request inside a session, such as INFO. The outcome is an [`Event::Response`].
    ///
    /// # Errors
    /// [`Refused::State`] before the answer and for the methods that have verbs of their own.
    pub fn request(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        method: Method,
        extra: &Extra,
    ) -> Result<RequestId, Refused> {
        self.note(now);
        self.open_session(id)?;
        if matches!(method, Method::Invite | Method::Ack | Method::Bye | Method::Cancel) {
            return Err(Refused::State);
        }
        let saved = self.save_ids();
        let request_id = RequestId(self.next_id());
        let sent = self.send_in_dialog(now, layer, id, method, extra, Purpose::InDialog(id, request_id));
        sent.map(|_| request_id).inspect_err(|_| self.restore_ids(saved))
    }

    /// Answers an [`Event::Request`] with a final response. A 2xx to a re-INVITE refreshes the remote target and is
    /// sent again until its ACK.
    ///
    /// # Errors
    /// [`Refused::Gone`] when it has its answer already, or the session is over.
    pub fn answer_request(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: RequestId,
        status: StatusCode,
        extra: &Extra,
    ) -> Result<(), Refused> {
        self.note(now);
        let waiting = self.requests.get(&id).ok_or(Refused::Gone)?;
        if !status.is_final() {
            return Err(Refused::BadValue);
        }
        let mut response = waiting.request.response(status);
        let refreshes = *waiting.request.method() == Method::Invite && status.is_success();
        let session = self.sessions.get(&waiting.session).ok_or(Refused::Gone)?;
        if let (true, Some(entry)) = (refreshes, session.dialog.and_then(|key| self.dialogs.get(key))) {
            let contact = entry.dialog.contact();
            response.set(Header::Contact, contact).map_err(|_| Refused::BadValue)?;
        }
        self.decorate_response(&mut response, extra)?;
        let Some(waiting) = self.take_waiting(id) else { return Err(Refused::Gone) };
        if refreshes {
            self.refresh_target(waiting.session, &waiting.request);
            self.send_2xx(now, layer, waiting.session, waiting.server, waiting.request.cseq().seq, response);
        } else {
            let _ = layer.respond(now, waiting.server, response);
        }
        Ok(())
    }

    /// A request inside one of our dialogs (RFC 3261 §12.2.2).
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        key: DialogKey,
        server: ServerId,
        request: Request,
    ) {
        let in_order = self.dialogs.get_mut(key).is_some_and(|entry| entry.dialog.accept(&request).is_ok());
        if !in_order {
            return self.refuse(now, layer, server, &request, StatusCode::SERVER_INTERNAL_ERROR);
        }
        if self.unsupported(&request).next().is_some() {
            return self.refuse(now, layer, server, &request, StatusCode::BAD_EXTENSION);
        }
        match request.method() {
            Method::Bye => self.on_bye(now, layer, id, key, server, request),
            Method::Invite => self.on_reinvite(now, layer, id, server, request),
            Method::Options => self.refuse(now, layer, server, &request, StatusCode::OK),
            method if self.config.allow.contains(method) => self.ask(now, layer, id, server, request),
            _ => self.refuse(now, layer, server, &request, StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// BYE: 200, and 487 to what is still unanswered (RFC 3261 §15.1.2).
    fn on_bye(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        key: DialogKey,
        server: ServerId,
        request: Request,
    ) {
        self.refuse(now, layer, server, &request, StatusCode::OK);
        let Some(session) = self.sessions.get(&id) else { return };
        if session.surplus.contains(&key) {
            return;
        }
        if matches!(session.state, State::Calling) {
            // A callee may not, but its early dialog is gone all the same.
            return self.drop_early(id, key);
        }
        if let State::Ringing { server, request } = &session.state {
            let (server, invite) = (*server, request.clone());
            let tag = self.dialogs.get(key).map(|entry| entry.dialog.id().local_tag.clone());
            let mut response = invite.response(StatusCode::REQUEST_TERMINATED);
            let _ = response.set_to_tag(tag.as_deref().unwrap_or_default());
            let _ = layer.respond(now, server, response);
        }
        self.terminate_waiting(now, layer, id);
        let own = self.sessions.get_mut(&id).and_then(|session| session.cause.take());
        self.finish(id, own.unwrap_or(EndCause::RemoteBye(Box::new(request))));
    }

    fn drop_early(&mut self, id: SessionId, key: DialogKey) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.early.retain(|early| *early != key);
        }
        self.dialogs.release(key, Usage::Invite(id));
    }

    /// re-INVITE (RFC 3261 §14.2): 491 while our own runs, 500 while another of theirs is unanswered.
    fn on_reinvite(&mut self, now: Instant, layer: &mut Layer, id: SessionId, server: ServerId, request: Request) {
        let Some(session) = self.sessions.get(&id) else { return };
        let ringing = matches!(session.state, State::Ringing { .. });
        let status = if session.their_reinvite.is_some() || ringing {
            StatusCode::SERVER_INTERNAL_ERROR
        } else if session.our_reinvite.is_some() || session.unacked.is_some() || !matches!(session.state, State::Up) {
            StatusCode::REQUEST_PENDING
        } else {
            return self.ask(now, layer, id, server, request);
        };
        self.refuse(now, layer, server, &request, status);
    }

    /// Leaves a request to the application.
    fn ask(&mut self, now: Instant, layer: &mut Layer, id: SessionId, server: ServerId, request: Request) {
        let request_id = RequestId(self.next_id());
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.requests.len() >= MAX_WAITING {
            return self.refuse(now, layer, server, &request, StatusCode::SERVER_INTERNAL_ERROR);
        }
        session.requests.push(request_id);
        if *request.method() == Method::Invite {
            session.their_reinvite = Some(request_id);
            self.servers.insert(server, id);
        }
        let request = Box::new(request);
        self.requests.insert(request_id, Waiting { session: id, server, request: request.clone() });
        self.tell(Event::Request { session: id, id: request_id, request });
    }

    /// The peer's unanswered re-INVITE in this transaction.
    pub(super) fn pending_reinvite(&self, id: SessionId, server: ServerId) -> Option<RequestId> {
        let request = self.sessions.get(&id)?.their_reinvite?;
        (self.requests.get(&request)?.server == server).then_some(request)
    }

    /// CANCEL of a re-INVITE: 487, and the session stays as it was (RFC 3261 §9.2, §14.2).
    pub(super) fn cancel_reinvite(&mut self, now: Instant, layer: &mut Layer, request: RequestId) {
        let Some(waiting) = self.take_waiting(request) else { return };
        let _ = layer.respond(now, waiting.server, waiting.request.response(StatusCode::REQUEST_TERMINATED));
    }

    fn terminate_waiting(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        let requests = self.sessions.get(&id).map(|session| session.requests.clone()).unwrap_or_default();
        for request in requests {
            self.cancel_reinvite(now, layer, request);
        }
    }

    fn take_waiting(&mut self, id: RequestId) -> Option<Waiting> {
        let waiting = self.requests.remove(&id)?;
        self.servers.remove(&waiting.server);
        if let Some(session) = self.sessions.get_mut(&waiting.session) {
            session.requests.retain(|other| *other != id);
            session.their_reinvite.take_if(|reinvite| *reinvite == id);
        }
        Some(waiting)
    }

    /// Sends the BYE of a session (RFC 3261 §15.1.1); it ends when the BYE is answered, or nobody answers.
    pub(super) fn bye(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        self.terminate_waiting(now, layer, id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.state = State::Closing;
        self.timers.stop(Timer::Glare(id));
        let reason = session.hangup.clone().flatten();
        match session.dialog {
            Some(key) => self.send_bye(now, layer, id, key, reason.as_deref()),
            None => self.finish(id, EndCause::LocalBye),
        }
    }

    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        key: DialogKey,
        reason: Option<&str>,
    ) {
        let mut extra = Extra::default();
        extra.headers.extend(reason.map(|reason| ("Reason".to_owned(), reason.to_owned())));
        match self.send_on(now, layer, key, Method::Bye, &extra, Purpose::Bye(id, key)) {
            Ok(_) => {}
            // The peer must hear of it, so it is tried again.
            Err(Refused::Busy) => self.timers.start(Timer::Bye(id, key), now + self.config.t1),
            Err(_) => self.on_bye_done(id, key),
        }
    }

    pub(super) fn repeat_bye(&mut self, now: Instant, layer: &mut Layer, id: SessionId, key: DialogKey) {
        let Some(session) = self.sessions.get(&id) else { return };
        let reason = session.hangup.clone().flatten();
        self.send_bye(now, layer, id, key, reason.as_deref());
    }

    /// Our BYE has its answer, or will have none: the dialog is gone either way (RFC 3261 §15.1.1).
    pub(super) fn on_bye_done(&mut self, id: SessionId, key: DialogKey) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let surplus = session.surplus.len();
        session.surplus.retain(|other| *other != key);
        if session.surplus.len() < surplus {
            self.dialogs.release(key, Usage::Invite(id));
            return self.forget(id);
        }
        let cause = session.cause.take().unwrap_or(EndCause::LocalBye);
        self.finish(id, cause);
    }

    /// A response to our re-INVITE (RFC 3261 §14.1, §12.2.1.2).
    pub(super) fn on_reinvite_response(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        request: RequestId,
        client: ClientId,
        response: Response,
    ) {
        let status = response.status();
        if status.is_provisional() || self.repeat_ack(now, layer, client, response.to_tag().unwrap_or_default()) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let ours = session.our_reinvite.take();
        if status == StatusCode::REQUEST_PENDING && matches!(session.state, State::Up) {
            session.postponed = ours;
            let wait = match session.role {
                // 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other, in steps of 10 ms (RFC 3261 §14.1).
                Role::Caller => self.ids.between(210, 400),
                Role::Callee => self.ids.between(0, 200),
            };
            return self.timers.start(Timer::Glare(id), now + Duration::from_millis(10) * wait as u32);
        }
        if status.is_success() {
            let dialog = session.dialog;
            self.refresh_target(id, &response);
            if let Some(key) = dialog {
                self.acknowledge(now, layer, client, key);
            }
        }
        self.on_in_dialog_done(now, layer, id, request, Some(response));
    }

    pub(super) fn retry_reinvite(&mut self, now: Instant, layer: &mut Layer, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.invite_runs() {
            // Their re-INVITE came first: after it.
            return self.timers.start(Timer::Glare(id), now + self.config.t1);
        }
        let Some((request, extra)) = session.postponed.take() else { return };
        if self.send_reinvite(now, layer, id, request, extra).is_err() {
            self.tell(Event::Response { session: id, id: request, response: None });
        }
    }

    fn send_reinvite(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        request: RequestId,
        extra: Extra,
    ) -> Result<(), Refused> {
        self.send_in_dialog(now, layer, id, Method::Invite, &extra, Purpose::Reinvite(id, request))?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.our_reinvite = Some((request, extra));
        }
        Ok(())
    }

    /// A final response to a request inside a session, or none. 481, 408 and silence mean that the peer has lost the
    /// dialog: it is hung up (RFC 3261 §12.2.1.2).
    pub(super) fn on_in_dialog_done(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        request: RequestId,
        response: Option<Response>,
    ) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.is_over()) else { return };
        let lost = response.as_ref().is_none_or(|response| {
            matches!(response.status(), StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT)
        });
        let hang_up = lost && matches!(session.state, State::Up);
        if hang_up {
            session.cause = Some(EndCause::PeerGone);
        }
        self.tell(Event::Response { session: id, id: request, response: response.map(Box::new) });
        if hang_up {
            self.bye(now, layer, id);
        }
    }

    fn refresh_target(&mut self, id: SessionId, message: &crate::message::Message) {
        let key = self.sessions.get(&id).and_then(|session| session.dialog);
        if let Some(entry) = key.and_then(|key| self.dialogs.get_mut(key)) {
            entry.dialog.refresh_target(message);
        }
    }

    /// A session whose dialog is confirmed and that nobody is hanging up.
    fn open_session(&self, id: SessionId) -> Result<&super::session::Session, Refused> {
        let session = self.sessions.get(&id).filter(|session| !session.is_over()).ok_or(Refused::Gone)?;
        match session.state {
            State::Up if session.hangup.is_none() => Ok(session),
            _ => Err(Refused::State),
        }
    }

    fn send_in_dialog(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        method: Method,
        extra: &Extra,
        purpose: Purpose,
    ) -> Result<ClientId, Refused> {
        let key = self.sessions.get(&id).and_then(|session| session.dialog).ok_or(Refused::Gone)?;
        self.send_on(now, layer, key, method, extra, purpose)
    }

    fn send_on(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        key: DialogKey,
        method: Method,
        extra: &Extra,
        purpose: Purpose,
    ) -> Result<ClientId, Refused> {
        let before = self.dialogs.get(key).ok_or(Refused::Gone)?.dialog.clone();
        self.try_send_on(now, layer, key, method, extra, purpose).inspect_err(|_| {
            if let Some(entry) = self.dialogs.get_mut(key) {
                entry.dialog = before;
            }
        })
    }

    fn try_send_on(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        key: DialogKey,
        method: Method,
        extra: &Extra,
        purpose: Purpose,
    ) -> Result<ClientId, Refused> {
        let entry = self.dialogs.get_mut(key).ok_or(Refused::Gone)?;
        let destination = entry.destination();
        let mut request = entry.dialog.request(method).map_err(|_| Refused::BadValue)?;
        if matches!(purpose, Purpose::Reinvite(..)) {
            self.offer_capabilities(&mut request)?;
        }
        self.decorate(&mut request, extra)?;
        self.send(now, layer, purpose, request, destination, Attempt::default())
    }
}
