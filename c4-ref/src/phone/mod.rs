//! A built-in phone: a user agent on a transaction layer, with the manners of a person at it. Without I/O, like the roles.
//!
//! It registers, rings for a while and answers, calls and hangs up when told, and keeps a journal of every message that
//! it sent and received. With [`audio::Settings`] it has sound: it negotiates G.711, sends a tone, and knows what it
//! heard. `c4 demo` and the whole-call tests use it.

pub mod audio;
mod call;
mod codec;
mod description;
mod machine;
pub mod media;
mod receiver;
mod report;
mod rtcp;
#[cfg(test)]
mod tests;
pub mod tone;

pub use call::{Call, Outcome, Progress};
pub use codec::Codec;
pub use description::{Format, Remote};
pub use report::{Report, Rtcp, Tone};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sip_core::auth::Account;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::message::{Request, Response};
use sip_core::status::StatusCode;
use sip_core::transaction::{self, ConnectId, Layer};
use sip_core::ua::{self, EndCause, Extra, Invite, Registration, RegistrationId, RequestId, SessionId, Ua};

use self::audio::{Audio, NoSound, sdp_of};
use self::call::failed;
use crate::machine::Event;

/// The name of the phone's outbound proxy in its [`Account`].
pub const PEER: &str = "proxy";

/// Who the phone is, and its manners.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Makes its tags and Call-IDs.
    pub seed: [u8; 32],
    /// The user part of its address of record.
    pub user: String,
    /// The domain it registers in.
    pub domain: String,
    /// Answers the domain's challenges; its peer is [`PEER`].
    pub account: Option<Account>,
    /// Its outbound proxy.
    pub proxy: Target,
    /// Where it is reached.
    pub local: SocketAddr,
    /// How long it rings before it answers.
    pub ring: Duration,
    /// What it does with a call.
    pub manner: Manner,
    /// The lifetime of its registration.
    pub expires: Duration,
    /// Its sound; without it calls have no descriptions.
    pub audio: Option<audio::Settings>,
}

/// What a phone does with an incoming call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Rings, then answers.
    Answers,
    /// Rings until the caller gives up.
    OnlyRings,
    /// Refuses with this status.
    Refuses(StatusCode),
}

/// A message of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it passed.
    pub at: Instant,
    /// Whether the phone sent it.
    pub sent: bool,
    /// The way it took.
    pub flow: Flow,
    /// Its octets.
    pub octets: Bytes,
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({ "sent": self.sent, "message": String::from_utf8_lossy(&self.octets) })
    }
}

/// The registration, as the phone knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Not asked for, or removed.
    No,
    /// On its way.
    Trying,
    /// Until it is refreshed.
    Yes,
    /// Refused with this status, or not answered.
    Failed(Option<StatusCode>),
}

/// A phone.
pub struct Phone {
    settings: Settings,
    layer: Layer,
    agent: Ua,
    registration: Option<RegistrationId>,
    registered: Registered,
    calls: Vec<Call>,
    /// The call that rings, and when it is answered.
    answer: Option<(Instant, SessionId)>,
    audio: Option<Audio>,
    journal: Vec<Entry>,
    events: VecDeque<Event<ConnectId>>,
    now: Instant,
}

/// Calls and messages that a phone remembers.
const REMEMBERED: usize = 1 << 16;

impl Phone {
    /// A phone that is idle and not registered.
    pub fn new(settings: Settings, now: Instant) -> Phone {
        let mut layer = Layer::new(transaction::Config::new(settings.seed), now);
        layer.set_sent_by(settings.proxy.transport, settings.local, &settings.local.to_string());
        let mut seed = settings.seed;
        seed.reverse();
        let mut agent = Ua::new(ua::Config { user_agent: Some("c4-phone".into()), ..ua::Config::new(seed) }, now);
        if let Some(account) = &settings.account {
            agent.add_account(account.clone());
        }
        let audio = settings.audio.clone().map(|audio| Audio::new(audio, settings.seed, now));
        Phone {
            settings,
            layer,
            agent,
            registration: None,
            registered: Registered::No,
            calls: Vec::new(),
            answer: None,
            audio,
            journal: Vec::new(),
            events: VecDeque::new(),
            now,
        }
    }

    /// Registers, and stays registered.
    pub fn register(&mut self, now: Instant) {
        let registration = Registration {
            registrar: format!("sip:{}", self.settings.domain),
            aor: self.aor(),
            contact: self.contact(),
            expires: self.settings.expires,
            destination: self.settings.proxy.clone().into(),
            routes: Vec::new(),
            peer: Some(PEER.to_owned()),
        };
        self.registered = Registered::Trying;
        match self.agent.register(now, &mut self.layer, registration) {
            Ok(id) => self.registration = Some(id),
            Err(_) => self.registered = Registered::Failed(None),
        }
        self.pump(now);
    }

    /// Takes the registration back.
    pub fn unregister(&mut self, now: Instant) {
        if let Some(id) = self.registration {
            let _ = self.agent.unregister(now, &mut self.layer, id);
            self.pump(now);
        }
    }

    /// Calls a user of the same domain.
    ///
    /// # Errors
    /// What the user agent refuses; [`Busy`](ua::Refused::Busy) too while a phone with sound has a call.
    pub fn call(&mut self, now: Instant, user: &str) -> Result<SessionId, ua::Refused> {
        let extra = self.offer(now, None).map_err(|_| ua::Refused::Busy)?;
        let uri = format!("sip:{user}@{}", self.settings.domain);
        let invite = Invite {
            to: format!("<{uri}>"),
            uri,
            from: self.aor(),
            contact: self.contact(),
            destination: self.settings.proxy.clone().into(),
            routes: Vec::new(),
            extra,
            peer: Some(PEER.to_owned()),
        };
        let session = self.agent.invite(now, &mut self.layer, invite);
        if let Some(audio) = &mut self.audio {
            match session {
                Ok(session) => audio.name(session),
                Err(_) => audio.forget_unnamed(),
            }
        }
        let session = session?;
        self.note_call(Call::new(session, true, None));
        self.pump(now);
        Ok(session)
    }

    /// Ends every call that is not over: CANCEL, BYE or a refusal, as it needs.
    pub fn hang_up(&mut self, now: Instant) {
        let open: Vec<SessionId> = self.agent.sessions().collect();
        for session in open {
            let _ = self.agent.hangup(now, &mut self.layer, session, None);
        }
        self.pump(now);
    }

    /// How the registration stands.
    pub fn registered(&self) -> Registered {
        self.registered
    }

    /// Its calls, oldest first.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What was sent and heard in a call.
    pub fn sound(&self, session: SessionId) -> Option<Report> {
        let current = self.audio.as_ref().and_then(|audio| audio.report(session));
        current.or_else(|| self.calls.iter().find(|call| call.session == session)?.sound.as_deref().cloned())
    }

    /// Every message that it sent and received, in order.
    pub fn journal(&self) -> &[Entry] {
        &self.journal
    }

    /// The user agent, to look at.
    pub fn agent(&self) -> &Ua {
        &self.agent
    }

    /// The transaction layer, to look at.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Changes what it does with calls from now on.
    pub fn set_manner(&mut self, manner: Manner) {
        self.settings.manner = manner;
    }

    fn aor(&self) -> String {
        format!("<sip:{}@{}>", self.settings.user, self.settings.domain)
    }

    fn contact(&self) -> String {
        let Settings { user, local, proxy, .. } = &self.settings;
        match proxy.transport {
            Transport::Udp => format!("<sip:{user}@{local}>"),
            other => format!("<sip:{user}@{local};transport={}>", other.uri_param()),
        }
    }

    fn note_call(&mut self, call: Call) {
        if self.calls.len() >= REMEMBERED {
            self.calls.remove(0);
        }
        self.calls.push(call);
    }

    fn note_message(&mut self, entry: Entry) {
        if self.journal.len() < REMEMBERED {
            self.journal.push(entry);
        }
    }

    /// Hands events up until all is quiet.
    fn pump(&mut self, now: Instant) {
        self.now = self.now.max(now);
        loop {
            if let Some(event) = self.layer.poll_event() {
                self.on_layer_event(now, event);
            } else if let Some(event) = self.agent.poll_event() {
                self.on_agent_event(now, event);
            } else {
                return;
            }
        }
    }

    fn on_layer_event(&mut self, now: Instant, event: transaction::Event) {
        match self.agent.handle_event(now, &mut self.layer, event) {
            Some(transaction::Event::Request { id, request, flow }) => {
                let contact = self.contact();
                self.agent.incoming(now, &mut self.layer, id, request, flow, &contact);
            }
            Some(transaction::Event::Connect { id, target }) => self.events.push_back(Event::Connect { id, target }),
            _ => {}
        }
    }

    fn on_agent_event(&mut self, now: Instant, event: ua::Event) {
        match event {
            ua::Event::Incoming { session, request, .. } => {
                let call_id = Some(request.call_id().to_owned());
                self.note_call(Call::new(session, false, call_id));
                self.on_incoming(now, session, &request);
            }
            ua::Event::Progress { session, response, .. } => {
                self.set(session, Progress::Ringing, Some(&response));
                self.hear_answer(now, session, &response, false);
            }
            ua::Event::Answered { session, response } => {
                self.set(session, Progress::Up, Some(&response));
                self.hear_answer(now, session, &response, true);
            }
            ua::Event::Confirmed { session, ack } => {
                self.set(session, Progress::Up, None);
                if let Some(audio) = &mut self.audio {
                    audio.confirmed(now, session);
                }
                self.hear_answer(now, session, &ack, false);
            }
            ua::Event::Ended { session, cause } => {
                let response = match &cause {
                    EndCause::Refused(response) | EndCause::Cancelled(Some(response)) => Some(&**response),
                    _ => None,
                };
                self.set(session, Progress::Ended(Outcome::of(&cause)), response);
                if let Some(audio) = &mut self.audio {
                    audio.end(now, session);
                }
            }
            ua::Event::Request { session, id, request } => self.on_request(now, session, id, &request),
            ua::Event::Registered { .. } => self.registered = Registered::Yes,
            ua::Event::Unregistered { .. } => {
                self.registered = Registered::No;
                self.registration = None;
            }
            ua::Event::RegistrationFailed { response, .. } => {
                self.registered = Registered::Failed(response.map(|response| response.status()));
            }
            _ => {}
        }
    }

    fn on_incoming(&mut self, now: Instant, session: SessionId, invite: &Request) {
        let refusal = match self.settings.manner {
            Manner::Refuses(status) => Some(status),
            _ if self.answer.is_some() => Some(StatusCode::BUSY_HERE),
            _ => self.sound_for(now, session, invite).err().map(|why| match why {
                NoSound::Busy => StatusCode::BUSY_HERE,
                NoSound::NotAcceptable => StatusCode::NOT_ACCEPTABLE_HERE,
            }),
        };
        if let Some(status) = refusal {
            let _ = self.agent.reject(now, &mut self.layer, session, status, &Extra::default());
            return;
        }
        let _ = self.agent.ring(now, &mut self.layer, session, StatusCode::RINGING, &Extra::default());
        self.set(session, Progress::Ringing, None);
        if self.settings.manner == Manner::Answers {
            self.answer = Some((now + self.settings.ring, session));
        }
    }

    /// Answers the call that rings.
    fn pick_up(&mut self, now: Instant, session: SessionId) {
        let extra = self.audio.as_ref().map(Audio::extra).unwrap_or_default();
        let _ = self.agent.answer(now, &mut self.layer, session, &extra);
    }

    /// A description for a call that we make, or that came without one.
    fn offer(&mut self, now: Instant, session: Option<SessionId>) -> Result<Extra, NoSound> {
        self.keep_sound();
        let Some(audio) = &mut self.audio else { return Ok(Extra::default()) };
        audio.offer(now, session, &self.settings.user)?;
        Ok(audio.extra())
    }

    fn sound_for(&mut self, now: Instant, session: SessionId, invite: &Request) -> Result<(), NoSound> {
        let Some(offer) = sdp_of(invite) else { return self.offer(now, Some(session)).map(|_| ()) };
        self.keep_sound();
        let Some(audio) = &mut self.audio else { return Ok(()) };
        audio.answer(now, session, &self.settings.user, &offer)
    }

    /// The report of the last stream stays with its call: another one follows.
    fn keep_sound(&mut self) {
        let Some((session, report)) = self.audio.as_ref().filter(|audio| !audio.is_busy()).and_then(Audio::last) else {
            return;
        };
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.session == session) {
            call.sound = Some(Box::new(report));
        }
    }

    /// What the other side answers to our offer, if `message` says it; `last`: it must.
    fn hear_answer(&mut self, now: Instant, session: SessionId, message: &sip_core::Message, last: bool) {
        let body = sdp_of(message);
        if body.is_none() && !last {
            return;
        }
        let Some(audio) = &mut self.audio else { return };
        if !audio.handle_answer(now, session, &body.unwrap_or_default()) && last {
            let _ = self.agent.hangup(now, &mut self.layer, session, None);
        }
    }

    /// A re-INVITE: the phone goes along with what it knows (RFC 3264 §8).
    fn on_request(&mut self, now: Instant, session: SessionId, id: RequestId, request: &Request) {
        let offer = sdp_of(request).unwrap_or_default();
        let renewed = self.audio.as_mut().map(|audio| audio.renew(now, session, &offer));
        let (status, extra) = match renewed {
            None => (StatusCode::OK, Extra::default()),
            Some(Ok(extra)) => (StatusCode::OK, extra),
            Some(Err(_)) => (StatusCode::NOT_ACCEPTABLE_HERE, Extra::default()),
        };
        let _ = self.agent.answer_request(now, &mut self.layer, id, status, &extra);
    }

    fn set(&mut self, session: SessionId, progress: Progress, response: Option<&Response>) {
        if matches!(progress, Progress::Ended(_)) {
            self.answer.take_if(|(_, ringing)| *ringing == session);
        }
        let Some(call) = self.calls.iter_mut().rev().find(|call| call.session == session) else { return };
        call.progress = progress;
        if let Some(response) = response {
            call.call_id = Some(response.call_id().to_owned());
        }
    }

    fn state(&self) -> Value {
        let registered = match self.registered {
            Registered::No => "no".to_owned(),
            Registered::Trying => "trying".to_owned(),
            Registered::Yes => "yes".to_owned(),
            Registered::Failed(None) => "failed: no answer".to_owned(),
            Registered::Failed(Some(status)) => failed(status),
        };
        let calls = self.calls.iter().map(|call| {
            let progress = match &call.progress {
                Progress::Trying => "trying".to_owned(),
                Progress::Ringing => "ringing".to_owned(),
                Progress::Up => "up".to_owned(),
                Progress::Ended(outcome) => outcome.name(),
            };
            let sound = self.sound(call.session);
            json!({ "call_id": call.call_id, "outgoing": call.outgoing, "progress": progress, "sound": sound })
        });
        json!({ "user": self.settings.user, "registered": registered, "calls": calls.collect::<Vec<Value>>() })
    }
}
