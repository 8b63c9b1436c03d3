//! The user agent: its tables, and the way of each transaction event to the room that handles it.
use super::config::Config;
use super::dialog::{Dialog, DialogId};
use super::dialogs::{Dialogs, Usage};
use super::event::{EndCause, Event};
use super::ids::{DialogKey, IdSource, RegistrationId, RequestId, SessionId};
use super::outbound::{Client, Purpose};
use super::registrant::Registrant;
use super::session::{Session, State};
use super::timer::{Timer, Timers};
use crate::auth::{self, Account};
use crate::flow::Flow;
use crate::message::Request;
use crate::transaction::{self, ClientId, Layer, ServerId};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Instant;

/// A user agent core (RFC 3261 §8, §10.2, §12 to §15): INVITE sessions at both ends, their dialogs, and registrations.
///
/// It is a user of [`Layer`]: hand it each event of the layer by [`Ua::handle_event`], which gives back what is not its
/// own; a request that it gives back may become its own by [`Ua::incoming`]. Commands and timers take the layer too, and
/// what they send comes out of [`Layer::poll_transmit`]. After each call drain [`Ua::poll_event`] and the layer, and call
/// [`Ua::handle_timeout`] when [`Ua::poll_timeout`] is due. It has no clock and never fails on network input.
///
/// ```
/// use c4_sip_core::flow::{Target, Transport};
/// use c4_sip_core::transaction::{self, Layer};
/// use c4_sip_core::ua::{Config, Extra, Invite, Ua};
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let mut layer = Layer::new(transaction::Config::new([1; 32]), now);
/// let mut agent = Ua::new(Config::new([2; 32]), now);
/// let invite = Invite {
///     uri: "sip:bob@192.0.2.9".into(),
///     from: "<sip:alice@example.com>".into(),
///     to: "<sip:bob@example.com>".into(),
///     contact: "<sip:alice@192.0.2.1>".into(),
///     destination: Target::new(Transport::Udp, "192.0.2.9:5060".parse().unwrap()).into(),
///     routes: Vec::new(),
///     extra: Extra::default(),
///     peer: None,
/// };
/// let session = agent.invite(now, &mut layer, invite).unwrap();
/// assert!(layer.poll_transmit().unwrap().payload.starts_with(b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\n"));
/// assert!(agent.dialog(session).is_none(), "not before an answer");
/// ```
#[derive(Clone)]
pub struct Ua {
    pub(super) config: Config,
    pub(super) ids: IdSource,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) dialogs: Dialogs,
    pub(super) clients: BTreeMap<ClientId, Client>,
    pub(super) servers: BTreeMap<ServerId, SessionId>,
    pub(super) requests: BTreeMap<RequestId, Waiting>,
    pub(super) registrations: BTreeMap<RegistrationId, Registrant>,
    pub(super) timers: Timers,
    pub(super) auth: auth::Client,
    pub(super) events: VecDeque<Event>,
    last_id: u64,
    now: Instant,
}

/// A request of the peer that the application has to answer.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) session: SessionId,
    pub(super) server: ServerId,
    pub(super) request: Box<Request>,
}

impl Ua {
    /// A user agent without sessions.
    pub fn new(config: Config, now: Instant) -> Ua {
        Ua {
            ids: IdSource::new(config.seed),
            sessions: BTreeMap::new(),
            dialogs: Dialogs::default(),
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            requests: BTreeMap::new(),
            registrations: BTreeMap::new(),
            timers: Timers::default(),
            auth: auth::Client::new(config.seed),
            config,
            events: VecDeque::new(),
            last_id: 0,
            now,
        }
    }

    /// Adds an account, in place of one for the same realm at the same peer.
    pub fn add_account(&mut self, account: Account) {
        self.auth.add(account);
    }

    /// Takes an event of the layer; gives it back when it belongs to none of this agent's sessions and registrations.
    pub fn handle_event(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        event: transaction::Event,
    ) -> Option<transaction::Event> {
        self.note(now);
        match event {
            transaction::Event::Request { id, request, flow } => match self.session_of(&request) {
                Some((session, key)) => self.on_request(now, layer, session, key, id, request),
                None => return Some(transaction::Event::Request { id, request, flow }),
            },
            transaction::Event::Ack { request, flow } => match self.session_of(&request) {
                Some((session, _)) => self.on_ack(now, layer, session, request),
                None => return Some(transaction::Event::Ack { request, flow }),
            },
            transaction::Event::Cancel { id, request } => match self.servers.get(&id) {
                Some(session) => self.on_cancel(now, layer, *session, id, request),
                None => return Some(transaction::Event::Cancel { id, request }),
            },
            transaction::Event::Response { id, response, flow } => {
                if !self.clients.contains_key(&id) {
                    return Some(transaction::Event::Response { id, response, flow });
                }
                self.on_response(now, layer, id, response, flow);
            }
            transaction::Event::Timeout { id } | transaction::Event::TransportFailed { id }
                if self.clients.contains_key(&id) =>
            {
                let timeout = matches!(event, transaction::Event::Timeout { .. });
                self.on_no_response(now, layer, id, timeout);
            }
            transaction::Event::ClientEnded { id } if self.clients.contains_key(&id) => self.on_client_ended(id),
            transaction::Event::ServerFailed { id } | transaction::Event::ServerEnded { id }
                if self.servers.contains_key(&id) =>
            {
                self.servers.remove(&id);
            }
            other => return Some(other),
        }
        None
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant, layer: &mut Layer) {
        self.note(now);
        let now = self.now;
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Retransmit2xx(session) => self.retransmit_2xx(now, layer, session),
                Timer::NoAck(session) => self.on_no_ack(now, layer, session),
                Timer::Provisional(session) => self.repeat_provisional(now, layer, session),
                Timer::Glare(session) => self.retry_reinvite(now, layer, session),
                Timer::Bye(session, dialog) => self.repeat_bye(now, layer, session, dialog),
                Timer::Register(registration) => self.register_now(now, layer, registration),
            }
        }
    }

    /// When [`Ua::handle_timeout`] is due; at once while events wait.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.events.is_empty() { self.timers.next() } else { Some(self.now) }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A connection is gone: dialogs that used it connect anew, registrations that came over it are renewed at once.
    pub fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        self.note(now);
        self.dialogs.forget_flow(&flow);
        self.reregister_after(now, &flow);
    }

    /// Sessions that the application still holds.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().filter(|(_, session)| !session.is_over()).map(|(id, _)| *id)
    }

    /// How many dialogs are held, early ones included.
    pub fn dialog_count(&self) -> usize {
        self.dialogs.len()
    }

    /// Whether nothing at all is held: no session, dialog, transaction or registration.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.dialogs.len() == 0 && self.clients.is_empty() && self.registrations.is_empty()
    }

    /// The dialog of a session: the callee's from its first response, the caller's from the first 2xx.
    pub fn dialog(&self, session: SessionId) -> Option<&Dialog> {
        let key = self.sessions.get(&session)?.dialog?;
        self.dialogs.get(key).map(|entry| &entry.dialog)
    }

    /// The caller's early dialogs.
    pub fn early_dialogs(&self, session: SessionId) -> impl Iterator<Item = &Dialog> {
        let keys = self.sessions.get(&session).map(|session| session.early.as_slice()).unwrap_or_default();
        keys.iter().filter_map(|key| self.dialogs.get(*key)).map(|entry| &entry.dialog)
    }

    pub(super) fn note(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Identifiers as they are now, to be put back when a command is refused: then nothing has changed.
    pub(super) fn save_ids(&self) -> (IdSource, u64) {
        (self.ids.clone(), self.last_id)
    }

    /// Puts back [`Ua::save_ids`]; what was taken since was given to nobody.
    pub(super) fn restore_ids(&mut self, (ids, last_id): (IdSource, u64)) {
        (self.ids, self.last_id) = (ids, last_id);
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The session that a request inside a dialog belongs to, by the full dialog id.
    fn session_of(&self, request: &Request) -> Option<(SessionId, DialogKey)> {
        request.to_tag()?;
        let key = self.dialogs.find(&DialogId::of_request(request))?;
        let session = self.dialogs.get(key)?.usages.iter().map(|Usage::Invite(session)| *session).next()?;
        Some((session, key))
    }

    /// Tells the application that a session is over and lets go of what it held.
    pub(super) fn finish(&mut self, id: SessionId, cause: EndCause) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.is_over()) else { return };
        if let State::Ringing { server, .. } = std::mem::replace(&mut session.state, State::Ended) {
            self.servers.remove(&server);
        }
        session.unacked = None;
        session.provisional = None;
        session.our_reinvite = None;
        session.postponed = None;
        for request in session.requests.drain(..) {
            self.requests.remove(&request);
        }
        let dialogs: Vec<DialogKey> = session.early.drain(..).chain(session.dialog.take()).collect();
        for key in dialogs {
            self.dialogs.release(key, Usage::Invite(id));
        }
        for timer in [Timer::Retransmit2xx, Timer::NoAck, Timer::Provisional, Timer::Glare] {
            self.timers.stop(timer(id));
        }
        self.events.push_back(Event::Ended { session: id, cause });
        self.forget(id);
    }

    /// Drops an ended session when no 2xx can come for it any more.
    pub(super) fn forget(&mut self, id: SessionId) {
        if self.sessions.get(&id).is_some_and(|s| s.is_over() && s.invite.is_none() && s.surplus.is_empty()) {
            self.sessions.remove(&id);
        }
    }

    fn on_client_ended(&mut self, id: ClientId) {
        let Some(client) = self.clients.remove(&id) else { return };
        if let Purpose::Invite(session_id) = client.purpose
            && let Some(session) = self.sessions.get_mut(&session_id)
        {
            session.invite = None;
            // No further branch can answer (RFC 3261 §13.2.2.4): early dialogs without 2xx are over.
            for key in std::mem::take(&mut session.early) {
                self.dialogs.release(key, Usage::Invite(session_id));
            }
            self.forget(session_id);
        }
    }
}

/// All that decides what the agent does next, for tests.
impl Hash for Ua {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ids.hash(state);
        self.dialogs.hash(state);
        self.timers.hash(state);
        self.servers.hash(state);
        self.last_id.hash(state);
        self.now.hash(state);
        self.events.len().hash(state);
        // Messages have no hash of their own; as text they have.
        format!("{:?}{:?}{:?}{:?}", self.sessions, self.clients, self.requests, self.registrations).hash(state);
    }
}
