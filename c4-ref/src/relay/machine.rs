//! The machine of one worker: requests in, replies and timeouts out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::admin::Counters;
use super::call::Call;
use super::media::{Media, NoPorts, Pair, PairId};
use super::offer::Opening;
use super::{Settings, TimeoutKind, Update};
use crate::ng::{Command, Reply, Request};

/// Requests of one call that wait while sockets are opened for it.
const MOST_WAITING: usize = 16;

/// Calls in a list, if the request does not say how many.
const LISTED: usize = 32;

/// A request, by the number that the caller gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the relay tells its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The reply to a request; each gets exactly one.
    Reply {
        /// As it was handed in.
        id: RequestId,
        /// The reply.
        reply: Reply,
    },
    /// A call has ended by itself; its sockets are closed.
    Timeout {
        /// Why.
        kind: TimeoutKind,
        /// Which one.
        call_id: String,
        /// The tag of the party that called.
        from_tag: Option<String>,
        /// How long ago the last packet came in; `None`: there was none.
        since_packet: Option<Duration>,
    },
}

/// The number of a call, never reused.
pub(super) type Number = u64;

/// A call and what goes on with it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) call: Call,
    /// An offer that waits for its sockets.
    pub(super) opening: Option<Box<Opening>>,
    /// What came meanwhile.
    waiting: VecDeque<(RequestId, Request)>,
    timer: Option<Instant>,
}

/// The relay's machine of one worker: the calls, and the table of their sockets.
///
/// Requests go in by [`Relay::handle_request`]; each is answered by one [`Event::Reply`], perhaps later: an offer waits
/// for the sockets that it needs, and requests of the same call wait behind it. A request that fails has changed
/// nothing. After every input, the events of [`Relay::media`] are to be drained as well; what was opened is told by
/// [`Relay::handle_open_done`].
#[derive(Debug, Clone)]
pub struct Relay {
    pub(super) settings: Settings,
    pub(super) media: Media,
    pub(super) calls: BTreeMap<Number, Entry>,
    by_id: BTreeMap<Box<str>, Number>,
    numbers: Number,
    opening: BTreeMap<PairId, Number>,
    timers: BTreeSet<(Instant, Number)>,
    events: VecDeque<Event>,
    pub(super) counters: Counters,
    /// When it was `settings.unix`.
    start: Instant,
    /// Never runs backwards.
    pub(super) now: Instant,
}

impl Relay {
    /// A relay without calls.
    pub fn new(now: Instant, settings: Settings) -> Relay {
        let mut media = Media::new(settings.media);
        settings.interfaces.iter().for_each(|interface| media.add_own(interface.advertised()));
        Relay {
            media,
            settings,
            calls: BTreeMap::new(),
            by_id: BTreeMap::new(),
            numbers: 0,
            opening: BTreeMap::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            start: now,
            now,
        }
    }

    /// The wall clock now says this, since 1970; it is only told, never counted with.
    pub fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        (self.start, self.settings.unix) = (now, unix);
    }

    /// These settings count from now on, for the calls that are there too.
    pub fn update(&mut self, now: Instant, update: &Update) {
        self.now = self.now.max(now);
        self.settings.sessions.limit(update.max_sessions);
        self.settings.timeouts = update.timeouts;
        let numbers: Vec<Number> = self.calls.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.rearm(number));
    }

    /// The table of sockets: its events are drained by the caller, and packets go to it.
    pub fn media(&mut self) -> &mut Media {
        &mut self.media
    }

    /// How many calls there are, those included that linger after their end.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Takes a request. Its reply comes as an event.
    pub fn handle_request(&mut self, now: Instant, id: RequestId, request: Request) {
        self.now = self.now.max(now);
        let busy = self.number(&request.call_id).and_then(|number| self.calls.get_mut(&number));
        match busy.filter(|entry| entry.opening.is_some() && needs_call(&request.command)) {
            Some(entry) if entry.waiting.len() >= MOST_WAITING => {
                self.reply(id, Reply::error("Too many requests at once"));
            }
            Some(entry) => entry.waiting.push_back((id, request)),
            None => self.run(id, request),
        }
    }

    fn run(&mut self, id: RequestId, request: Request) {
        let reply = match request.command {
            Command::Ping => Some(Reply::Pong),
            Command::Offer => self.offer(id, request),
            Command::Answer => Some(self.answer(&request)),
            Command::Delete => Some(self.delete(&request)),
            Command::Query => Some(self.query(&request)),
            Command::List => Some(self.list(request.limit.map_or(LISTED, |limit| limit as usize))),
            Command::Other(_) => Some(Reply::error("Unrecognized command")),
        };
        if let Some(reply) = reply {
            self.reply(id, reply);
        }
    }

    /// The sockets of a pair were made, or not.
    pub fn handle_open_done(&mut self, now: Instant, id: PairId, result: Result<(), io::ErrorKind>) {
        self.now = self.now.max(now);
        if let Some((id, result)) = self.media.handle_open_done(self.now, id, result) {
            self.pair_done(id, result);
        }
    }

    fn pair_done(&mut self, id: PairId, result: Result<Pair, NoPorts>) {
        let Some(number) = self.opening.remove(&id) else { return };
        let Some(entry) = self.calls.get_mut(&number) else { return };
        let Some(opening) = entry.opening.as_mut() else { return };
        opening.pair_done(id, result);
        if opening.is_complete() {
            let Some(opening) = entry.opening.take() else { return };
            let request = opening.id;
            let reply = self.commit(number, *opening);
            self.reply(request, reply);
            self.drop_if_empty(number);
            self.run_waiting(number);
        }
    }

    fn run_waiting(&mut self, number: Number) {
        let waiting = self.calls.get_mut(&number).map(|entry| std::mem::take(&mut entry.waiting)).unwrap_or_default();
        for (id, request) in waiting {
            // An offer may have to wait for sockets again, and the rest behind it; a delete may end the call, and another
            // one of its name begin.
            self.handle_request(self.now, id, request);
        }
        // What came due meanwhile does so now.
        self.expire(number);
    }

    /// Whatever is due at `now`; a spurious call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(&(at, number)) = self.timers.first()
            && at <= self.now
        {
            self.timers.pop_first();
            if let Some(entry) = self.calls.get_mut(&number) {
                entry.timer = None;
            }
            self.expire(number);
        }
    }

    /// When [`Relay::handle_timeout`] must be called next; the last `now` while there is output.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() || self.media.has_events() {
            return Some(self.now);
        }
        self.timers.first().map(|&(at, _)| at)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Unix time.
    pub(super) fn unix(&self, at: Instant) -> Duration {
        let before = self.start.saturating_duration_since(at);
        (self.settings.unix + at.saturating_duration_since(self.start)).saturating_sub(before)
    }

    pub(super) fn number(&self, call_id: &str) -> Option<Number> {
        self.by_id.get(call_id).copied()
    }

    pub(super) fn entry(&self, call_id: &str) -> Option<(Number, &Entry)> {
        let number = self.number(call_id)?;
        Some((number, self.calls.get(&number)?))
    }

    pub(super) fn call_mut(&mut self, number: Number) -> Option<&mut Call> {
        self.calls.get_mut(&number).map(|entry| &mut entry.call)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.events.push_back(Event::Reply { id, reply });
    }

    pub(super) fn add_call(&mut self, call: Call) -> Number {
        self.numbers += 1;
        self.counters.calls_total += 1;
        self.by_id.insert(call.id.clone(), self.numbers);
        self.calls.insert(self.numbers, Entry { call, opening: None, waiting: VecDeque::new(), timer: None });
        self.numbers
    }

    /// The offer waits until its pairs are there.
    pub(super) fn wait_for(&mut self, number: Number, opening: Opening) {
        for id in opening.asked() {
            self.opening.insert(id, number);
        }
        if let Some(entry) = self.calls.get_mut(&number) {
            entry.opening = Some(Box::new(opening));
        }
    }

    /// A call that an offer failed to make goes again; what waits for it runs as if it had never been.
    fn drop_if_empty(&mut self, number: Number) {
        let Some(entry) = self.calls.get_mut(&number).filter(|entry| entry.call.parties().next().is_none()) else {
            return;
        };
        let waiting = std::mem::take(&mut entry.waiting);
        self.remove(number);
        for (id, request) in waiting {
            self.handle_request(self.now, id, request);
        }
    }

    /// The call goes, and its sockets.
    pub(super) fn remove(&mut self, number: Number) {
        let Some(entry) = self.calls.remove(&number) else { return };
        self.settings.sessions.give();
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, number));
        }
        self.by_id.remove(&entry.call.id);
        for pair in entry.call.pairs() {
            self.media.close(self.now, pair.id);
        }
    }

    /// Sets the call's one timer to what is due first.
    pub(super) fn rearm(&mut self, number: Number) {
        let Some(entry) = self.calls.get(&number) else { return };
        // While it opens sockets nothing is due: its end would leave them without an owner.
        let due = if entry.opening.is_some() { None } else { self.due(&entry.call) };
        if let Some(entry) = self.calls.get_mut(&number) {
            if let Some(at) = entry.timer.take() {
                self.timers.remove(&(at, number));
            }
            entry.timer = due;
            self.timers.extend(due.map(|at| (at, number)));
        }
    }

    fn list(&self, most: usize) -> Reply {
        let ids = self.calls.values().take(most).map(|entry| entry.call.id.to_string());
        let mut dict = crate::ng::bencode::Dictionary::new();
        dict.insert("calls".into(), crate::ng::bencode::Value::texts(ids));
        Reply::Ok(dict)
    }
}

fn needs_call(command: &Command) -> bool {
    matches!(command, Command::Offer | Command::Answer | Command::Delete | Command::Query)
}
