//! A built-in phone: a user agent on a transaction layer, with the manners of a person at it. Without I/O, like the roles.
//!
//! It registers, rings for a while and answers, calls and hangs up when told, and keeps a journal of every message that
//! it sent and received. `c4 demo` and the whole-call tests use it.
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sip_core::auth::Account;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::message::{Message, Response};
use sip_core::status::StatusCode;
use sip_core::transaction::{self, ConnectId, Layer, TransmitId};
use sip_core::ua::{self, EndCause, Extra, Invite, Registration, RegistrationId, SessionId, Ua};

use crate::admin::{Answer, Command};
use crate::machine::{Event, Machine, Transmit};

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

/// How a call of the phone stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The session.
    pub session: SessionId,
    /// Whether this phone placed it.
    pub outgoing: bool,
    /// Its Call-ID, once it is known.
    pub call_id: Option<String>,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No answer of the other side yet.
    Trying,
    /// It rings.
    Ringing,
    /// Answered, and the ACK has passed.
    Up,
    /// Over.
    Ended(Outcome),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This phone hung up.
    HungUp,
    /// The other side hung up.
    PeerHungUp,
    /// The caller gave up while it rang.
    Cancelled,
    /// Refused with this status; 408 and 503 also when nobody answered.
    Failed(StatusCode),
}

impl Outcome {
    fn of(cause: &EndCause) -> Outcome {
        match cause {
            EndCause::Cancelled(_) | EndCause::CancelledByPeer(_) => Outcome::Cancelled,
            EndCause::Refused(response) => Outcome::Failed(response.status()),
            EndCause::Rejected(status) => Outcome::Failed(*status),
            EndCause::TransportFailed => Outcome::Failed(StatusCode::SERVICE_UNAVAILABLE),
            EndCause::LocalBye => Outcome::HungUp,
            EndCause::RemoteBye(_) => Outcome::PeerHungUp,
            _ => Outcome::Failed(StatusCode::REQUEST_TIMEOUT),
        }
    }

    fn name(self) -> String {
        match self {
            Outcome::HungUp => "hung up".into(),
            Outcome::PeerHungUp => "peer hung up".into(),
            Outcome::Cancelled => "cancelled".into(),
            Outcome::Failed(status) => failed(status),
        }
    }
}

fn failed(status: StatusCode) -> String {
    format!("failed: {} {}", status.code(), status.reason())
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
        Phone {
            settings,
            layer,
            agent,
            registration: None,
            registered: Registered::No,
            calls: Vec::new(),
            answer: None,
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
    /// What the user agent refuses.
    pub fn call(&mut self, now: Instant, user: &str) -> Result<SessionId, ua::Refused> {
        let uri = format!("sip:{user}@{}", self.settings.domain);
        let invite = Invite {
            to: format!("<{uri}>"),
            uri,
            from: self.aor(),
            contact: self.contact(),
            destination: self.settings.proxy.clone().into(),
            routes: Vec::new(),
            extra: Extra::default(),
            peer: Some(PEER.to_owned()),
        };
        let session = self.agent.invite(now, &mut self.layer, invite)?;
        self.note_call(Call { session, outgoing: true, call_id: None, progress: Progress::Trying });
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
                self.note_call(Call { session, outgoing: false, call_id, progress: Progress::Trying });
                self.on_incoming(now, session);
            }
            ua::Event::Progress { session, response, .. } => {
                self.set(session, Progress::Ringing, Some(&response));
            }
            ua::Event::Answered { session, response } => self.set(session, Progress::Up, Some(&response)),
            ua::Event::Confirmed { session, .. } => self.set(session, Progress::Up, None),
            ua::Event::Ended { session, cause } => {
                let response = match &cause {
                    EndCause::Refused(response) | EndCause::Cancelled(Some(response)) => Some(&**response),
                    _ => None,
                };
                self.set(session, Progress::Ended(Outcome::of(&cause)), response);
            }
            ua::Event::Request { id, .. } => {
                let _ = self.agent.answer_request(now, &mut self.layer, id, StatusCode::OK, &Extra::default());
            }
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

    fn on_incoming(&mut self, now: Instant, session: SessionId) {
        let extra = Extra::default();
        if let Manner::Refuses(status) = self.settings.manner {
            let _ = self.agent.reject(now, &mut self.layer, session, status, &extra);
            return;
        }
        if self.answer.is_some() {
            let _ = self.agent.reject(now, &mut self.layer, session, StatusCode::BUSY_HERE, &extra);
            return;
        }
        let _ = self.agent.ring(now, &mut self.layer, session, StatusCode::RINGING, &extra);
        self.set(session, Progress::Ringing, None);
        if self.settings.manner == Manner::Answers {
            self.answer = Some((now + self.settings.ring, session));
        }
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
            json!({ "call_id": call.call_id, "outgoing": call.outgoing, "progress": progress })
        });
        json!({ "user": self.settings.user, "registered": registered, "calls": calls.collect::<Vec<Value>>() })
    }
}

impl Machine for Phone {
    type ConnectId = ConnectId;
    type TransmitId = TransmitId;

    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        self.note_message(Entry { at: now, sent: false, flow, octets: message.to_bytes() });
        if let Ok(message) = message.check() {
            let _ = self.layer.handle_input(now, transaction::Input { flow, message });
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.agent.handle_timeout(now, &mut self.layer);
        if let Some((_, session)) = self.answer.take_if(|(at, _)| *at <= now) {
            let _ = self.agent.answer(now, &mut self.layer, session, &Extra::default());
        }
        self.pump(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let queued = (!self.events.is_empty()).then_some(self.now);
        let answer = self.answer.map(|(at, _)| at);
        [queued, answer, self.layer.poll_timeout(), self.agent.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<TransmitId>> {
        let transmit = self.layer.poll_transmit()?;
        let (id, flow, payload) = (transmit.id, transmit.flow, transmit.payload);
        if !payload.is_empty() {
            self.note_message(Entry { at: self.now, sent: true, flow, octets: payload.clone() });
        }
        Some(Transmit { id, flow, payload, close: false })
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.events.pop_front()
    }

    fn handle_connect_done(&mut self, now: Instant, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        self.layer.handle_connect_done(now, id, result);
        self.pump(now);
    }

    fn handle_transmit_failed(&mut self, now: Instant, id: TransmitId, kind: io::ErrorKind) {
        self.layer.handle_transmit_failed(now, id, kind);
        self.pump(now);
    }

    fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        self.layer.handle_flow_closed(now, flow);
        self.agent.handle_flow_closed(now, flow);
        self.pump(now);
    }

    /// `phone.register`, `phone.unregister`, `phone.call {"user": ...}`, `phone.hangup` and `phone.state` answer with the
    /// state of registration and calls; `phone.journal` with the messages sent and received.
    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "phone.register" => self.register(now),
            "phone.unregister" => self.unregister(now),
            "phone.hangup" => self.hang_up(now),
            "phone.state" => {}
            "phone.journal" => return Some(Ok(self.journal.iter().map(Entry::to_json).collect())),
            "phone.call" => {
                let Some(user) = command.params.get("user").and_then(Value::as_str) else {
                    return Some(Err("user: missing; accepted: the user to call".into()));
                };
                if let Err(refused) = self.call(now, user) {
                    return Some(Err(refused.to_string()));
                }
            }
            _ => return None,
        }
        Some(Ok(self.state()))
    }
}
