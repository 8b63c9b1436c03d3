//! The caller's side of an INVITE session (RFC 3261 §13.2, §9.1).
use super::agent::Ua;
use super::config::{Invite, Refused};
use super::dialog::{Dialog, DialogId, Role};
use super::dialogs::Usage;
use super::event::{EndCause, Event};
use super::ids::{DialogKey, SessionId};
use super::outbound::{Peer, Purpose};
use super::session::{Session, State};
use crate::auth::Attempt;
use crate::header::Header;
use crate::message::{Message, Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{ClientId, Layer};
use std::time::Instant;

impl Ua {
    /// Places a call.
    ///
    /// # Errors
    /// [`Refused::Busy`] when this agent or the layer is full, [`Refused::BadValue`] for text that cannot be sent.
    pub fn invite(&mut self, now: Instant, layer: &mut Layer, invite: Invite) -> Result<SessionId, Refused> {
        self.note(now);
        if self.sessions.len() >= self.config.max_sessions {
            return Err(Refused::Busy);
        }
        let saved = self.save_ids();
        self.start_invite(now, layer, invite).inspect_err(|_| self.restore_ids(saved))
    }

    fn start_invite(&mut self, now: Instant, layer: &mut Layer, invite: Invite) -> Result<SessionId, Refused> {
        let request = self.invite_request(&invite)?;
        let id = SessionId(self.next_id());
        let peer = invite.peer.map(|name| Peer { name, address: invite.destination.remote() });
        let client = self.send(now, layer, Purpose::Invite(id), request, invite.destination, Attempt::default())?;
        let mut session = Session::new(Role::Caller, State::Calling, peer);
        session.invite = Some(client);
        self.sessions.insert(id, session);
        Ok(id)
    }

    fn invite_request(&mut self, invite: &Invite) -> Result<Request, Refused> {
        let from = format!("{};tag={}", invite.from, self.ids.tag());
        let call_id = self.ids.call_id();
        let mut builder = Message::request(Method::Invite, &invite.uri)
            .header(Header::MaxForwards, "70")
            .header(Header::From, &from)
            .header(Header::To, &invite.to)
            .header(Header::CallId, &call_id)
            .header(Header::CSeq, "1 INVITE")
            .header(Header::Contact, &invite.contact);
        for route in &invite.routes {
            builder = builder.header(Header::Route, route);
        }
        let mut request = builder.request().map_err(|_| Refused::BadValue)?;
        self.offer_capabilities(&mut request)?;
        self.decorate(&mut request, &invite.extra)?;
        Ok(request)
    }

    /// Ends a session at whatever point it is (RFC 3261 §15): CANCEL before the answer, BYE after it, 480 for a call that
    /// is not answered here. `reason` is a Reason value (RFC 3326). The callee's BYE waits for the ACK, as it must.
    ///
    /// # Errors
    /// [`Refused::Gone`] for a session that is over.
    pub fn hangup(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        reason: Option<&str>,
    ) -> Result<(), Refused> {
        self.note(now);
        let session = self.sessions.get_mut(&id).filter(|session| !session.is_over()).ok_or(Refused::Gone)?;
        if session.hangup.is_some() {
            return Ok(());
        }
        if matches!(session.state, State::Ringing { .. }) {
            return self.reject(now, layer, id, StatusCode::TEMPORARILY_UNAVAILABLE, &Default::default());
        }
        session.hangup = Some(reason.map(str::to_owned));
        match (&session.state, session.invite, &session.unacked) {
            (State::Calling, Some(client), _) => {
                let _ = layer.cancel(now, client, reason);
            }
            (State::Up, _, None) => self.bye(now, layer, id),
            // The BYE follows the ACK, or its absence (RFC 3261 §15).
            _ => {}
        }
        Ok(())
    }

    /// A response to the INVITE that opens a session.
    pub(super) fn on_invite_response(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        client: ClientId,
        response: Response,
    ) {
        let status = response.status();
        if status.is_success() {
            self.on_invite_success(now, layer, id, client, response);
        } else if status.is_provisional() {
            if status != StatusCode::TRYING {
                self.on_progress(id, client, response);
            }
        } else {
            let cancelled = self.sessions.get(&id).is_some_and(|session| session.hangup.is_some());
            let cause = match status {
                StatusCode::REQUEST_TERMINATED if cancelled => EndCause::Cancelled(Some(Box::new(response))),
                _ => EndCause::Refused(Box::new(response)),
            };
            self.finish(id, cause);
        }
    }

    /// 101 to 199: an early dialog a To tag (RFC 3261 §13.2.2.1).
    fn on_progress(&mut self, id: SessionId, client: ClientId, response: Response) {
        if !self.sessions.get(&id).is_some_and(|session| matches!(session.state, State::Calling)) {
            return;
        }
        let dialog_id = DialogId::of_response(&response);
        let mut key = self.dialogs.find(&dialog_id);
        if key.is_none() {
            key = self.new_fork(id, client, &response);
            if let (Some(session), Some(key)) = (self.sessions.get_mut(&id), key) {
                session.early.push(key);
            }
        }
        self.tell(Event::Progress { session: id, dialog: key.map(|_| dialog_id), response: Box::new(response) });
    }

    /// A dialog for a To tag that is new, as far as there is room.
    fn new_fork(&mut self, id: SessionId, client: ClientId, response: &Response) -> Option<DialogKey> {
        let session = self.sessions.get_mut(&id)?;
        let client = self.clients.get(&client)?;
        if session.forks >= self.config.max_forks {
            return None;
        }
        let dialog = Dialog::caller(&client.request, response).ok()?;
        session.forks += 1;
        Some(self.dialogs.insert(dialog, Usage::Invite(id), client.destination.clone()))
    }

    /// A 2xx: the first of a dialog gets its ACK, one that comes again gets the same ACK again, and the dialogs after
    /// the first are hung up (RFC 3261 §13.2.2.4). After a CANCEL the 2xx has won: ACK, then BYE.
    fn on_invite_success(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: SessionId,
        client: ClientId,
        response: Response,
    ) {
        if self.repeat_ack(now, layer, client, response.to_tag().unwrap_or_default()) {
            return;
        }
        let dialog_id = DialogId::of_response(&response);
        let Some(key) = self.dialogs.find(&dialog_id).or_else(|| self.new_fork(id, client, &response)) else { return };
        if let Some(entry) = self.dialogs.get_mut(key) {
            entry.dialog.confirm(&response);
        }
        self.acknowledge(now, layer, client, key);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.early.retain(|early| *early != key);
        if session.dialog.is_none() && matches!(session.state, State::Calling) {
            session.dialog = Some(key);
            session.state = State::Up;
            let cancelled = session.hangup.is_some();
            self.tell(Event::Answered { session: id, response: Box::new(response) });
            if cancelled {
                self.bye(now, layer, id);
            }
        } else {
            session.surplus.push(key);
            self.tell(Event::Surplus { session: id, dialog: dialog_id });
            self.send_bye(now, layer, id, key, None);
        }
    }
}
