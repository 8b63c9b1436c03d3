//! The registrar itself (RFC 3261 §10.3 steps 7 and 8).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::binding::{Binding, Parts, call_id_of, contact_of};
use super::config::{Config, Context, PathPolicy, WallClock, WhenFull};
use super::event::{Event, RemovedBy};
use super::granted::Granted;
use super::refusal::Refusal;
use super::registration::{Registration, Wanted, Wish};
use super::table::{Place, Table};
use crate::transaction::room;
use crate::{Request, Response};

/// Below one hour only may a lifetime be called too brief (RFC 3261 §10.3 step 7).
const BRIEF: u32 = 3600;

/// The location service and registrar of RFC 3261 §10: a machine without I/O.
///
/// Call [`register`](Registrar::register) with each REGISTER, take [`poll_event`](Registrar::poll_event) until it is empty (a store
/// that has followed all events holds what [`iter`](Registrar::iter) shows), and call [`handle_timeout`](Registrar::handle_timeout) when
/// [`poll_timeout`](Registrar::poll_timeout) says so. It sends nothing itself.
///
/// There are no globals in it: a caller with many threads holds several behind locks, and chooses one by a hash of
/// [`Registration::aor`].
///
/// ```
/// use c4_sip_core::registrar::{Config, Context, Registrar};
/// use c4_sip_core::{Flow, Limits, Message, message::Checked};
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() {
/// let now = std::time::Instant::now();
/// let mut registrar = Registrar::new(Config::new([1; 32]), now, std::time::Duration::from_secs(1_700_000_000));
/// let text = b"REGISTER sip:biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKnashds7\r\n\
///     Max-Forwards: 70\r\nFrom: <sip:bob@biloxi.com>;tag=456248\r\nTo: <sip:bob@biloxi.com>\r\n\
///     Call-ID: 843817637684230@998sdasdh09\r\nCSeq: 1826 REGISTER\r\nContact: <sip:bob@192.0.2.4>\r\n\
///     Expires: 7200\r\nContent-Length: 0\r\n\r\n";
/// let message = Message::parse(text.as_slice().into(), &Limits::default()).unwrap();
/// let Ok(Checked::Request(request)) = message.check() else { panic!() };
/// let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.4:5060".parse().unwrap());
/// let context = Context { flow, nated: false, received: None };
/// let response = registrar.register(now, &request, &context).unwrap();
/// assert_eq!(response.header("Contact"), Some(&b"<sip:bob@192.0.2.4>;expires=7200"[..]));
/// assert_eq!(registrar.lookup(now, "sip:bob@biloxi.com")[0].contact(), "sip:bob@192.0.2.4");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Registrar {
    config: Config,
    table: Table,
    events: VecDeque<Event>,
    /// Where the milliseconds of the table count from.
    start: Instant,
    /// The latest instant seen; time never runs backwards inside.
    now: Instant,
    wall: WallClock,
    order: u64,
    /// Kept between requests so that a refresh allocates nothing.
    scratch: Vec<u8>,
}

/// A registration that was refused, and the answer to send. Nothing was changed.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Why, for a counter.
    pub refusal: Refusal,
    /// The answer.
    pub response: Response,
}

impl Registrar {
    /// An empty one. `unix` is the time since the Unix epoch at `now`.
    pub fn new(config: Config, now: Instant, unix: Duration) -> Self {
        let table = Table::new(&config.seed);
        let wall = WallClock { at: now, unix };
        Self { config, table, events: VecDeque::new(), start: now, now, wall, order: 0, scratch: Vec::new() }
    }

    /// Corrects the wall clock. Bindings keep the time that they have left.
    pub fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        self.wall = WallClock { at: now, unix };
    }

    /// The wall clock, for [`Binding::export`] and [`Binding::import`].
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// Takes other limits, as after a reload. Bindings that stand are not touched; the seed stays.
    pub fn set_config(&mut self, config: Config) {
        self.config = Config { seed: self.config.seed, ..config };
    }

    /// Reads a REGISTER, does what it asks, all of it or nothing, and makes the answer.
    ///
    /// # Errors
    /// The reason and the answer where it was refused; nothing was changed then.
    pub fn register(&mut self, now: Instant, request: &Request, context: &Context) -> Result<Response, Box<Rejected>> {
        let granted = Registration::parse(request).and_then(|registration| {
            let granted = self.apply(now, &registration, context)?;
            Ok(granted.response(request))
        });
        granted.map_err(|refusal| {
            let mut response = refusal.response(request);
            let tag = self.table.tag(request.call_id().as_bytes());
            super::granted::add_tag(&mut response, tag);
            Box::new(Rejected { refusal, response })
        })
    }

    /// Does what a registration asks, all of it or nothing. [`Granted::response`] makes the answer, without the registrar.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then.
    pub fn apply(
        &mut self,
        now: Instant,
        registration: &Registration<'_>,
        context: &Context,
    ) -> Result<Granted, Refusal> {
        let now = self.advance(now);
        if self.config.path == PathPolicy::Refuse && !registration.path.is_empty() && !registration.supports_path {
            return Err(Refusal::PathUnsupported);
        }
        if self.events.len() >= self.config.max_events {
            return Err(Refusal::Busy);
        }
        self.drop_expired(&registration.aor);
        match &registration.wish {
            Wish::Query => {}
            Wish::RemoveAll => self.remove_all(registration)?,
            Wish::Update(wanted) => {
                let plan = self.plan(registration, wanted, context)?;
                self.commit(registration, wanted, context, plan)?;
            }
        }
        Ok(Granted {
            bindings: self.lookup(now, &registration.aor),
            path: if registration.supports_path { registration.path.clone() } else { String::new() },
            tag: self.table.tag(registration.call_id.as_bytes()),
            now,
            wall: self.wall,
        })
    }

    /// The bindings of an address of record, the preferred first: by q, then the last changed first.
    pub fn lookup(&self, now: Instant, aor: &str) -> Vec<Binding> {
        let now = self.millis(now.max(self.now));
        let alive = self.table.of_aor(aor).filter(|(_, place)| place.expires > now);
        let mut found: Vec<Binding> = alive.filter_map(|(_, place)| self.binding(place)).collect();
        found.sort_by_key(|binding| std::cmp::Reverse((binding.q().unwrap_or(1000), binding.order)));
        found
    }

    /// Removes one contact of an address, given as it stands in the binding: its flow is dead (RFC 5626 §5.3), or an
    /// operator says so. `false`: there is none.
    pub fn remove(&mut self, now: Instant, aor: &str, contact: &str, by: RemovedBy) -> bool {
        self.advance(now);
        let found = self.table.of_aor(aor).find(|(_, place)| contact_of(place.data()) == contact.as_bytes());
        match found.map(|(number, _)| number) {
            Some(number) => self.take(number, |binding| Event::Removed { binding, by }),
            None => false,
        }
    }

    /// Puts back a binding from a store, without an event. `false`: it is over, or there is no room, or a newer one stands.
    pub fn restore(&mut self, now: Instant, binding: Binding) -> bool {
        let now = self.advance(now);
        let expires = self.millis(binding.expires_at);
        let known = self
            .table
            .of_aor(binding.aor())
            .find(|(_, place)| contact_of(place.data()) == binding.contact().as_bytes());
        if known.is_some() || expires <= self.millis(now) || self.no_room(binding.aor()) {
            return false;
        }
        self.order = self.order.max(binding.order);
        self.table.insert(binding.data, binding.cseq, binding.order, expires);
        true
    }

    /// Every binding, in an order that is the same for the same history. For dumps and snapshots.
    pub fn iter(&self) -> impl Iterator<Item = Binding> {
        self.table.iter().filter_map(|place| self.binding(place))
    }

    /// Bindings held.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Addresses of record with a binding.
    pub fn aors(&self) -> usize {
        self.table.aors()
    }

    /// Drops what has ended.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let now = self.millis(now);
        while let Some(number) = self.table.pop(now) {
            self.take(number, Event::Expired);
        }
    }

    /// When [`handle_timeout`](Registrar::handle_timeout) is next due, or a moment before that.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() {
            return Some(self.now);
        }
        self.table.next().map(|millis| self.start + Duration::from_millis(millis))
    }

    /// What has changed, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        room::pop(&mut self.events)
    }

    /// Puts the whole state into a hasher, so that tests can compare two registrars.
    pub fn hash_state<H: std::hash::Hasher>(&self, state: &mut H) {
        use std::hash::Hash;
        self.now.hash(state);
        self.order.hash(state);
        for binding in self.iter() {
            binding.hash(state);
        }
        for event in &self.events {
            event.hash(state);
        }
    }

    /// What each contact of the request comes to, or the refusal of all (RFC 3261 §10.3 step 7).
    fn plan(&self, registration: &Registration<'_>, wanted: &[Wanted<'_>], context: &Context) -> Result<Plan, Refusal> {
        let mut plan = Plan::default();
        let (mut stand, mut touched) = (0usize, 0usize);
        let places: SmallVec<[(u32, &Place); 4]> = self.table.of_aor(&registration.aor).collect();
        let in_order = |place: &Place| {
            registration.cseq > place.cseq || call_id_of(place.data()) != registration.call_id.as_bytes()
        };
        for one in wanted {
            let exact = places.iter().find(|(_, place)| contact_of(place.data()) == one.contact.as_bytes());
            let known = exact.or_else(|| places.iter().find(|(_, place)| one.is(contact_of(place.data()))));
            if known.is_some_and(|(_, place)| !in_order(place)) {
                return Err(Refusal::OutOfOrder);
            }
            let lifetime = self.lifetime(one.expires, context)?;
            let number = known.map(|(number, _)| *number);
            // Two of the request may be equal to one that stands, though not to each other: §19.1.4 is not transitive.
            let number = number.filter(|number| !plan.steps.iter().any(|step| step.number == Some(*number)));
            touched += usize::from(number.is_some());
            stand += usize::from(lifetime > 0);
            plan.steps.push(Step { number, lifetime });
        }
        stand += places.len() - touched;
        let excess = stand.saturating_sub(self.config.max_contacts);
        // Who was over the limit before it was lowered may still refresh.
        let grows = stand > places.len();
        if excess > 0 && grows {
            let untouched =
                places.iter().filter(|(number, _)| !plan.steps.iter().any(|step| step.number == Some(*number)));
            let mut oldest: SmallVec<[(u64, u32); 4]> =
                untouched.map(|(number, place)| (place.order, *number)).collect();
            oldest.sort_unstable();
            if self.config.when_full == WhenFull::Refuse || oldest.len() < excess {
                return Err(Refusal::TooManyContacts);
            }
            plan.replaced = oldest.iter().take(excess).map(|(_, number)| *number).collect();
        }
        if stand > 0 && places.is_empty() && self.no_room(&registration.aor) {
            return Err(Refusal::Full);
        }
        Ok(plan)
    }

    /// The lifetime that is granted, in seconds; 0 removes.
    fn lifetime(&self, asked: Option<u32>, context: &Context) -> Result<u32, Refusal> {
        let config = &self.config;
        let asked = asked.unwrap_or(config.default_expires);
        if asked > 0 && asked < BRIEF && asked < config.min_expires {
            return Err(Refusal::TooBrief(config.min_expires.min(BRIEF)));
        }
        let most = if context.nated { config.max_expires.min(config.nat_max_expires) } else { config.max_expires };
        Ok(asked.min(most.max(1)))
    }

    fn commit(
        &mut self,
        registration: &Registration<'_>,
        wanted: &[Wanted<'_>],
        context: &Context,
        plan: Plan,
    ) -> Result<(), Refusal> {
        // Everything is written down before anything is changed, so that a text too long changes nothing.
        let mut texts: SmallVec<[Option<Arc<[u8]>>; 2]> = SmallVec::new();
        for (one, step) in wanted.iter().zip(&plan.steps) {
            texts.push(if step.lifetime > 0 { self.encode(registration, one, context, step.number)? } else { None });
        }
        for number in plan.replaced {
            self.take(number, |binding| Event::Removed { binding, by: RemovedBy::Replaced });
        }
        let now = self.millis_up(self.now);
        for (step, text) in plan.steps.into_iter().zip(texts) {
            let expires = now + u64::from(step.lifetime) * 1000;
            match step.number {
                Some(number) if step.lifetime == 0 => {
                    self.take(number, |binding| Event::Removed { binding, by: RemovedBy::Phone });
                }
                Some(number) => self.refresh(number, text, registration.cseq, expires),
                None if step.lifetime > 0 => self.add(text, registration.cseq, expires),
                None => {}
            }
        }
        Ok(())
    }

    /// The text of a binding; `None` where it is what the place holds already.
    fn encode(
        &mut self,
        registration: &Registration<'_>,
        one: &Wanted<'_>,
        context: &Context,
        number: Option<u32>,
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        let parts = Parts {
            aor: &registration.aor,
            contact: one.contact,
            params: one.params,
            q: one.q,
            call_id: registration.call_id,
            path: &registration.path,
            user_agent: registration.user_agent,
            flow: context.flow,
            received: context.received,
            nated: context.nated,
        };
        if !parts.encode(&mut self.scratch) || self.scratch.len() > self.config.max_binding {
            return Err(Refusal::TooLong);
        }
        let same = number.and_then(|number| self.table.get(number)).is_some_and(|place| place.data() == self.scratch);
        Ok((!same).then(|| self.scratch.as_slice().into()))
    }

    fn add(&mut self, text: Option<Arc<[u8]>>, cseq: u32, expires: u64) {
        let Some(data) = text else { return };
        self.order += 1;
        let binding = Binding { data: data.clone(), cseq, expires_at: self.instant(expires), order: self.order };
        self.table.insert(data, cseq, self.order, expires);
        self.events.push_back(Event::Added(binding));
    }

    fn refresh(&mut self, number: u32, text: Option<Arc<[u8]>>, cseq: u32, expires: u64) {
        let Some(place) = self.table.get(number) else { return };
        // Equal to the contact that stands, but written otherwise: a store knows it by another name.
        let renamed = text.as_ref().is_some_and(|text| contact_of(text) != contact_of(place.data()));
        if renamed {
            self.take(number, |binding| Event::Removed { binding, by: RemovedBy::Phone });
            return self.add(text, cseq, expires);
        }
        self.order += 1;
        self.table.update(number, text, cseq, self.order, expires);
        if let Some(binding) = self.table.get(number).and_then(|place| self.binding(place)) {
            self.events.push_back(Event::Refreshed(binding));
        }
    }

    /// `Contact: *` (RFC 3261 §10.3 step 6).
    fn remove_all(&mut self, registration: &Registration<'_>) -> Result<(), Refusal> {
        let mut numbers: SmallVec<[u32; 4]> = SmallVec::new();
        for (number, place) in self.table.of_aor(&registration.aor) {
            if call_id_of(place.data()) == registration.call_id.as_bytes() && registration.cseq <= place.cseq {
                return Err(Refusal::OutOfOrder);
            }
            numbers.push(number);
        }
        for number in numbers {
            self.take(number, |binding| Event::Removed { binding, by: RemovedBy::Phone });
        }
        Ok(())
    }

    /// Drops the bindings of an address that have ended, though their timer was not handled yet: they count no more.
    fn drop_expired(&mut self, aor: &str) {
        let now = self.millis(self.now);
        let over = self.table.of_aor(aor).filter(|(_, place)| place.expires <= now);
        let over: SmallVec<[u32; 4]> = over.map(|(number, _)| number).collect();
        for number in over {
            self.take(number, Event::Expired);
        }
    }

    fn take(&mut self, number: u32, event: impl FnOnce(Binding) -> Event) -> bool {
        let binding = self.table.remove(number).and_then(|place| self.binding(&place));
        match binding {
            Some(binding) => {
                self.events.push_back(event(binding));
                true
            }
            None => false,
        }
    }

    fn binding(&self, place: &Place) -> Option<Binding> {
        let data = place.data.clone()?;
        Some(Binding { data, cseq: place.cseq, expires_at: self.instant(place.expires), order: place.order })
    }

    fn no_room(&self, aor: &str) -> bool {
        self.table.aors() >= self.config.max_aors && self.table.of_aor(aor).next().is_none()
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn millis(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_millis() as u64
    }

    /// Rounded up, so that nothing ends before its time.
    fn millis_up(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_micros().div_ceil(1000) as u64
    }

    fn instant(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }
}

#[derive(Debug, Default)]
struct Plan {
    steps: SmallVec<[Step; 2]>,
    /// Those that make room.
    replaced: SmallVec<[u32; 2]>,
}

#[derive(Debug)]
struct Step {
    /// The binding that it concerns; `None`: a new one.
    number: Option<u32>,
    lifetime: u32,
}
