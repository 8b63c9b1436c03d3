//! Registrations that are kept up (RFC 3261 §10.2): first REGISTER, refreshes, and tries after a failure.
use super::agent::Ua;
use super::config::{Extra, Refused, Registration};
use super::event::Event;
use super::ids::RegistrationId;
use super::outbound::{Peer, Purpose};
use super::timer::Timer;
use crate::auth::Attempt;
use crate::flow::Flow;
use crate::header::{Header, NameAddr};
use crate::message::{Message, Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{ClientId, Layer};
use std::time::{Duration, Instant};

/// First and longest wait after a failure (RFC 5626 §4.5: base-time-all-fail and max-time).
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_LONGEST: Duration = Duration::from_secs(1800);

/// One registration. Its REGISTER requests share a Call-ID and count up in CSeq (RFC 3261 §10.2).
#[derive(Clone, Debug)]
pub(crate) struct Registrant {
    registration: Registration,
    call_id: String,
    tag: String,
    seq: u32,
    /// What is asked for: the wish, or the registrar's Min-Expires if that is more.
    expires: Duration,
    /// No new REGISTER before the old one has its answer (RFC 3261 §10.2).
    pending: bool,
    /// The application wants the registration removed.
    remove: bool,
    /// In a row.
    failures: u32,
    /// What the last answer came over.
    flow: Option<Flow>,
}

impl Registrant {
    pub(super) fn peer(&self) -> Option<Peer> {
        let name = self.registration.peer.clone()?;
        Some(Peer { name, address: self.registration.destination.remote() })
    }

    fn request(&mut self) -> Result<Request, Refused> {
        self.seq = self.seq.saturating_add(1);
        let expires = if self.remove { 0 } else { self.expires.as_secs() };
        let from = format!("{};tag={}", self.registration.aor, self.tag);
        let mut builder = Message::request(Method::Register, &self.registration.registrar)
            .header(Header::MaxForwards, "70")
            .header(Header::From, &from)
            .header(Header::To, &self.registration.aor)
            .header(Header::CallId, &self.call_id)
            .header(Header::CSeq, format!("{} REGISTER", self.seq))
            .header(Header::Contact, format!("{};expires={expires}", self.registration.contact));
        for route in &self.registration.routes {
            builder = builder.header(Header::Route, route);
        }
        builder.request().map_err(|_| Refused::BadValue)
    }

    /// The lifetime that a 200 grants to our Contact (RFC 3261 §10.2.1, §10.3 step 8).
    fn granted(&self, response: &Response) -> Duration {
        let own = |value: &&[u8]| same_contact(value, &self.registration.contact);
        let contact = response.values(Header::Contact).find(own).and_then(NameAddr::parse);
        let of_contact = contact.and_then(|contact| contact.params.value("expires")?.parse().ok());
        let seconds = of_contact.or_else(|| number(response, Header::Expires));
        seconds.map_or(self.expires, |seconds: u32| Duration::from_secs(seconds.into()))
    }
}

impl Ua {
    /// Registers, and keeps the registration up until [`Ua::unregister`].
    ///
    /// # Errors
    /// [`Refused::Busy`] when the layer is full, [`Refused::BadValue`] for text that cannot be sent.
    pub fn register(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        registration: Registration,
    ) -> Result<RegistrationId, Refused> {
        self.note(now);
        let saved = self.save_ids();
        let registrant = Registrant {
            call_id: self.ids.call_id(),
            tag: self.ids.tag(),
            seq: 0,
            expires: registration.expires,
            pending: false,
            remove: false,
            failures: 0,
            flow: None,
            registration,
        };
        let id = RegistrationId(self.next_id());
        self.registrations.insert(id, registrant);
        self.send_register(now, layer, id).inspect_err(|_| {
            self.registrations.remove(&id);
            self.restore_ids(saved);
        })?;
        Ok(id)
    }

    /// Removes a registration at the registrar (RFC 3261 §10.2.2), after an outstanding REGISTER has its answer.
    ///
    /// # Errors
    /// [`Refused::Gone`] for one that does not exist, [`Refused::Busy`] when the layer is full.
    pub fn unregister(&mut self, now: Instant, layer: &mut Layer, id: RegistrationId) -> Result<(), Refused> {
        self.note(now);
        let registrant = self.registrations.get_mut(&id).ok_or(Refused::Gone)?;
        let wanted = std::mem::replace(&mut registrant.remove, true);
        if registrant.pending {
            return Ok(());
        }
        self.send_register(now, layer, id).inspect_err(|_| {
            if let Some(registrant) = self.registrations.get_mut(&id) {
                registrant.remove = wanted;
            }
        })
    }

    fn send_register(&mut self, now: Instant, layer: &mut Layer, id: RegistrationId) -> Result<(), Refused> {
        let registrant = self.registrations.get_mut(&id).ok_or(Refused::Gone)?;
        let seq = registrant.seq;
        let destination = registrant.registration.destination.clone();
        let sent = registrant.request().and_then(|mut request| {
            self.decorate(&mut request, &Extra::default())?;
            self.send(now, layer, Purpose::Register(id), request, destination, Attempt::default())
        });
        if let Some(registrant) = self.registrations.get_mut(&id) {
            match sent {
                Ok(_) => registrant.pending = true,
                Err(_) => registrant.seq = seq,
            }
        }
        sent?;
        self.timers.stop(Timer::Register(id));
        Ok(())
    }

    /// A refresh, or another try, is due.
    pub(super) fn register_now(&mut self, now: Instant, layer: &mut Layer, id: RegistrationId) {
        if self.registrations.get(&id).is_some_and(|registrant| registrant.pending) {
            return;
        }
        if self.send_register(now, layer, id).is_err() {
            self.on_register_failed(now, id, None);
        }
    }

    pub(super) fn on_register_response(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: RegistrationId,
        client: ClientId,
        response: Response,
        flow: Flow,
    ) {
        let request_seq = self.clients.get(&client).map(|client| client.request.cseq().seq);
        let Some(registrant) = self.registrations.get_mut(&id) else { return };
        registrant.pending = false;
        registrant.flow = Some(flow);
        registrant.seq = registrant.seq.max(request_seq.unwrap_or(0));
        if response.status() == StatusCode::INTERVAL_TOO_BRIEF
            && let Some(least) = number(&response, Header::MinExpires).map(|s| Duration::from_secs(s.into()))
            && least > registrant.expires
        {
            // RFC 3261 §10.2.8.
            registrant.expires = least;
            return self.register_now(now, layer, id);
        }
        if !response.status().is_success() {
            return self.on_register_failed(now, id, Some(response));
        }
        registrant.failures = 0;
        let expires = registrant.granted(&response);
        if registrant.remove && request_removes(self.clients.get(&client).map(|client| &client.request)) {
            self.registrations.remove(&id);
            self.timers.stop(Timer::Register(id));
            return self.tell(Event::Unregistered { registration: id });
        }
        if registrant.remove {
            return self.register_now(now, layer, id);
        }
        // Early enough for a few retransmissions: at four fifths of the lifetime, and no busy loop for a lifetime of 0.
        self.timers.start(Timer::Register(id), now + (expires * 4 / 5).max(Duration::from_secs(1)));
        self.tell(Event::Registered { registration: id, expires, response: Box::new(response) });
    }

    /// Another try after a wait that doubles with each failure, half of it at random (RFC 5626 §4.5), or as Retry-After
    /// says. A removal that fails is over: the registration runs out by itself.
    pub(super) fn on_register_failed(&mut self, now: Instant, id: RegistrationId, response: Option<Response>) {
        let Some(registrant) = self.registrations.get_mut(&id) else { return };
        registrant.pending = false;
        if registrant.remove {
            self.registrations.remove(&id);
            self.timers.stop(Timer::Register(id));
            return self.tell(Event::Unregistered { registration: id });
        }
        let longest = RETRY_FIRST.saturating_mul(1 << registrant.failures.min(8)).min(RETRY_LONGEST).as_millis() as u64;
        registrant.failures = registrant.failures.saturating_add(1);
        let asked =
            response.as_ref().and_then(|r| number(r, Header::RetryAfter)).map(|s| Duration::from_secs(s.into()));
        let wait = asked.unwrap_or_else(|| Duration::from_millis(self.ids.between(longest / 2, longest)));
        let retry_in = wait.clamp(Duration::from_secs(1), RETRY_LONGEST);
        self.timers.start(Timer::Register(id), now + retry_in);
        self.tell(Event::RegistrationFailed { registration: id, response: response.map(Box::new), retry_in });
    }

    /// The connection that registrations came over is gone, and with it the way back: register anew.
    pub(super) fn reregister_after(&mut self, now: Instant, flow: &Flow) {
        for (id, registrant) in &mut self.registrations {
            if flow.connection.is_some()
                && registrant.flow.take_if(|used| used == flow).is_some()
                && !registrant.pending
            {
                self.timers.start(Timer::Register(*id), now);
            }
        }
    }
}

fn request_removes(request: Option<&Request>) -> bool {
    let contact = request.and_then(|request| request.header(Header::Contact));
    contact.and_then(NameAddr::parse).is_some_and(|contact| contact.params.value("expires") == Some("0"))
}

fn same_contact(value: &[u8], own: &str) -> bool {
    let (theirs, ours) = (NameAddr::parse(value), NameAddr::parse(own.as_bytes()));
    match (theirs.and_then(|c| c.parsed_uri()), ours.and_then(|c| c.parsed_uri())) {
        (Some(theirs), Some(ours)) => theirs.equivalent(&ours),
        _ => false,
    }
}

/// The number at the start of a header value.
fn number(response: &Response, name: Header) -> Option<u32> {
    let text = std::str::from_utf8(response.header(name)?).ok()?;
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
