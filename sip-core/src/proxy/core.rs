//! The proxy machine: its contract, its commands.

use std::time::Instant;

use super::best::Best;
use super::config::Config;
use super::context::{Cancelled, Context, Options, Phase};
use super::event::{BranchRef, By, ContextId, Event, Outcome};
use super::hash::{HashKey, Hex};
use super::loop_detection::LoopHash;
use super::max_forwards;
use super::next_hop::{self, NextHop, NoNextHop};
use super::route::{self, Preprocessed};
use super::stats::Stats;
use super::table::{Contexts, Owner, Owners, Timers};
use super::targets::{Branch, Queue};
use super::validate::{self, Refusal};
use crate::flow::{Destination, Target};
use crate::header::Header;
use crate::message::{Checked, Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{Busy, ClientId, Layer, ServerId, room};

/// The proxy core of RFC 3261 §16: response contexts over a [transaction layer](Layer).
///
/// A user of the layer: it takes the layer's events and calls the layer back, and has no output but [events](Event) and
/// what the layer sends. Every call takes `now`; time that runs backwards stands still.
///
/// 1. A new request goes in by [`request`](Self::request). It is validated and its route is preprocessed; then
///    [`Event::Route`] asks for targets, which the caller gives by [`forward`](Self::forward), at once or later.
/// 2. Every event of the layer goes in by [`handle_event`](Self::handle_event), which gives back those that are none
///    of the proxy's.
/// 3. [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout), [`poll_event`](Self::poll_event)
///    until None.
///
/// A context ends by itself, whatever the callees and the caller of these functions do or omit: every wait is bounded.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub(super) config: Config,
    pub(super) loop_key: HashKey,
    pub(super) tag_key: HashKey,
    pub(super) tags: u64,
    pub(super) now: Instant,
    pub(super) contexts: Contexts,
    pub(super) owners: Owners,
    pub(super) timers: Timers,
    pub(super) events: std::collections::VecDeque<Event>,
    pub(super) stats: Stats,
}

/// Why [`Proxy::request`] made no context. The request has been answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// It is not valid for a proxy (RFC 3261 §16.3).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There are as many contexts as allowed: 503.
    #[error("too many contexts")]
    Busy,
}

impl Rejected {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Rejected::Refused(refusal) => refusal.status(),
            Rejected::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a command did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such context, or no branch may be added: its final response is out, or it was cancelled.
    #[error("the context has ended")]
    Gone,
    /// More branches than [`Config::max_branches`].
    #[error("too many branches")]
    TooManyBranches,
    /// The next hop is a name: resolve it and [`forward`](Proxy::forward).
    #[error("the next hop must be resolved")]
    Unresolved,
    /// The next hop cannot be read.
    #[error(transparent)]
    NoNextHop(#[from] NoNextHop),
}

/// Why an ACK was not sent on. ACK is never answered: drop it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckDropped {
    /// Max-Forwards was 0.
    #[error("too many hops")]
    TooManyHops,
    /// It was here before.
    #[error("loop detected")]
    Loop,
    /// No Route of ours brought it: it belongs to no dialog that we recorded a route for.
    #[error("no route of ours")]
    NoRoute,
    /// The next hop is a name: resolve it, then `layer.send` the request given back.
    #[error("the next hop must be resolved")]
    Unresolved(Box<Request>, NextHop),
    /// The next hop cannot be read.
    #[error(transparent)]
    NoNextHop(#[from] NoNextHop),
    /// The layer is at its bounds; the 2xx will come again, and the ACK with it.
    #[error(transparent)]
    Busy(#[from] Busy),
}

impl Proxy {
    /// A proxy without contexts.
    pub fn new(config: Config, now: Instant) -> Proxy {
        let loop_key = HashKey::from_seed(&config.seed, b"proxy loop");
        let tag_key = HashKey::from_seed(&config.seed, b"proxy tag");
        let tables = tag_key.hash(&[b"tables"]);
        Proxy {
            config,
            loop_key,
            tag_key,
            tags: 0,
            now,
            contexts: Contexts::new(tables),
            owners: Owners::new(tables),
            timers: Timers::default(),
            events: std::collections::VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// The settings; changes count from the next request on, but for the seed, which stays.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        Stats { contexts: self.contexts.len(), ..self.stats }
    }

    /// Whether no context exists, nothing is remembered of one that did, and no event waits.
    pub fn is_idle(&self) -> bool {
        self.contexts.len() == 0 && self.owners.is_empty() && self.timers.is_empty() && self.events.is_empty()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        room::pop(&mut self.events)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; at once while events wait.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.events.is_empty() { self.timers.next() } else { Some(self.now) }
    }

    /// Never lets time run backwards.
    pub(super) fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Takes a new request of a server transaction: not ACK, not CANCEL. Validates it (RFC 3261 §16.3), takes off the
    /// Routes that name us (§16.4), and asks for targets by [`Event::Route`].
    ///
    /// On an error the request has been answered.
    pub fn request(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        server: ServerId,
        mut request: Request,
    ) -> Result<ContextId, Rejected> {
        let now = self.tick(now);
        let hash = LoopHash::of(self.loop_key, &request);
        if let Err(rejected) = self.admit(&request, hash) {
            self.stats.refused += 1;
            let response = match &rejected {
                Rejected::Refused(refusal) => refusal.response(&request),
                Rejected::Busy => request.response(StatusCode::SERVICE_UNAVAILABLE),
            };
            let response = self.tagged(response);
            let _ = layer.respond(now, server, response); // Gone: nobody waits for the answer any more
            return Err(rejected);
        }
        let Preprocessed { own, strict } = route::preprocess(&mut request, &self.config.locals);
        let _ = max_forwards::decrement(&mut request); // 0 was refused
        let id = self.contexts.allocate();
        self.owners.servers.insert(server, id);
        let in_dialog = request.to_tag().is_some();
        let breadth = validate::breadth(&request).unwrap_or(self.config.max_breadth).max(1);
        let invite = *request.method() == Method::Invite;
        let mut context = Box::new(Context {
            id,
            user: 0,
            server,
            request,
            hash,
            invite,
            options: Options::default(),
            phase: Phase::Routing,
            legs: smallvec::SmallVec::new(),
            queue: Queue::default(),
            group: 0,
            breadth,
            best: Best::default(),
            cancelled: None,
            tried: Vec::new(),
            outcome: None,
            deadline: Some(now + self.config.answer_limit),
            armed: None,
            answers: smallvec::SmallVec::new(),
        });
        self.timers.arm(&mut context);
        self.contexts.put(context);
        self.stats.requests += 1;
        self.events.push_back(Event::Route { id, in_dialog, own_routes: own.saturating_add(u8::from(strict)) });
        Ok(id)
    }

    fn admit(&self, request: &Request, hash: LoopHash) -> Result<(), Rejected> {
        validate::check(&self.config, request, hash)?;
        if self.contexts.len() >= self.config.max_contexts { Err(Rejected::Busy) } else { Ok(()) }
    }

    /// What [`Proxy::request`] would refuse in any case (RFC 3261 §16.3 steps 2, 3 and 5), for applications that look at
    /// a request before they make a transaction.
    ///
    /// # Errors
    /// The reason, which also makes the answer.
    pub fn validate(&self, request: &Request) -> Result<(), Refusal> {
        validate::check_alone(&self.config, request)
    }

    /// The request of a context as it is sent on.
    pub fn request_of(&self, id: ContextId) -> Option<&Request> {
        self.contexts.get(id).map(|context| &context.request)
    }

    /// The request of the context that a client transaction is a branch of, while that exists: for applications that look at
    /// a response before they hand it in.
    pub fn request_of_branch(&self, id: ClientId) -> Option<&Request> {
        match self.owners.clients.get(&id)? {
            Owner::Leg(context, _) => self.request_of(*context),
            Owner::Answered(tail) => self.request_of(tail.id),
        }
    }

    /// The context and the branch that a client transaction is one of, also after the context has finished: for
    /// applications that hold a response back, or put another body into it, before they hand it in. A response that
    /// comes later than the answer to another one of its branch changes nothing but the order of what goes upstream.
    pub fn branch_of(&self, id: ClientId) -> Option<(ContextId, BranchRef)> {
        match self.owners.clients.get(&id)? {
            Owner::Leg(context, index) => Some((*context, self.contexts.get(*context)?.branch(usize::from(*index)))),
            Owner::Answered(tail) => Some((tail.id, tail.branch)),
        }
    }

    /// The same as [`request_of`](Self::request_of), to change it for all branches that are yet to be sent: credentials taken off, an identity put on.
    pub fn request_mut(&mut self, id: ContextId) -> Option<&mut Request> {
        self.contexts.get_mut(id).map(|context| &mut context.request)
    }

    /// The best final response so far, unless it stands for a timer or a failure: what Exhausted asks about. The Contacts
    /// of a 3xx are read by [`redirects`](super::redirect::redirects).
    pub fn best_response(&self, id: ContextId) -> Option<&Response> {
        self.contexts.get(id)?.best.response()
    }

    /// The caller's mark on a context; its events carry it.
    pub fn set_user(&mut self, id: ContextId, user: u64) {
        if let Some(context) = self.contexts.get_mut(id) {
            context.user = user;
        }
    }

    /// What the caller wants of a context.
    pub fn set_options(&mut self, id: ContextId, options: Options) {
        if let Some(context) = self.contexts.get_mut(id) {
            context.options = options;
        }
    }

    /// Targets for a request (RFC 3261 §16.5, §16.6): the answer to Route or Exhausted, or more while others are
    /// pending. Targets of equal `q` are tried together, those of lower `q` after them; a target that comes late and is
    /// not below the group under way starts at once. None at all, in answer to Route: 480.
    pub fn forward(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ContextId,
        targets: Vec<Branch>,
    ) -> Result<(), CommandError> {
        let now = self.tick(now);
        let context = self.contexts.get(id).ok_or(CommandError::Gone)?;
        if !context.is_open() || context.best.is_global() {
            return Err(CommandError::Gone);
        }
        if context.legs.len() + context.queue.len() + targets.len() > self.config.max_branches {
            return Err(CommandError::TooManyBranches);
        }
        let Some(mut context) = self.contexts.take(id) else { return Err(CommandError::Gone) };
        if context.phase == Phase::Asking && targets.is_empty() {
            self.conclude_best(now, layer, context);
            return Ok(());
        }
        if context.phase != Phase::Running {
            context.best.forget_redirection();
            context.phase = Phase::Running;
            context.deadline = None;
        }
        context.queue.add(targets);
        self.progress(now, layer, context);
        Ok(())
    }

    /// Sends a request on where its Route, else its Request-URI says, as one branch: what a request inside a dialog
    /// wants (RFC 3261 §16.5). A name is the caller's to resolve.
    pub fn relay(&mut self, now: Instant, layer: &mut Layer, id: ContextId) -> Result<(), CommandError> {
        let context = self.contexts.get(id).ok_or(CommandError::Gone)?;
        match next_hop::of_request(&context.request)? {
            NextHop::Target(target) => self.forward(now, layer, id, vec![Branch::along(target)]),
            NextHop::Resolve { .. } => Err(CommandError::Unresolved),
        }
    }

    /// Answers a request with a final response of the caller's. Branches that are pending are cancelled.
    pub fn reject(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ContextId,
        response: Response,
    ) -> Result<(), CommandError> {
        let now = self.tick(now);
        if self.contexts.get(id).is_none_or(|context| context.outcome.is_some()) {
            return Err(CommandError::Gone);
        }
        let Some(mut context) = self.contexts.take(id) else { return Err(CommandError::Gone) };
        context.queue.clear();
        self.cancel_legs(now, layer, &mut context, None);
        let outcome = Outcome {
            status: Some(response.status()),
            by: By::Application,
            branch: None,
            cancelled: context.cancelled.is_some(),
            reason: reason_of(response.header(Header::Reason)),
        };
        let response = self.tagged(response);
        self.answer(now, layer, &mut context, response, outcome);
        self.settle(context);
        Ok(())
    }

    /// The same with a bare status.
    pub fn reject_with(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ContextId,
        status: StatusCode,
    ) -> Result<(), CommandError> {
        let request = self.request_of(id).ok_or(CommandError::Gone)?;
        let response = request.response(status);
        self.reject(now, layer, id, response)
    }

    /// Answers Exhausted: the best response is sent.
    pub fn conclude(&mut self, now: Instant, layer: &mut Layer, id: ContextId) -> Result<(), CommandError> {
        self.forward(now, layer, id, Vec::new())
    }

    /// Gives a request up as the caller's CANCEL would: pending branches are cancelled, waiting targets dropped; the
    /// answer is what comes of it. `reason` is a Reason header's value (RFC 3326).
    pub fn cancel(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        id: ContextId,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        let now = self.tick(now);
        if self.contexts.get(id).is_none_or(|context| !context.is_open()) {
            return Err(CommandError::Gone);
        }
        let Some(context) = self.contexts.take(id) else { return Err(CommandError::Gone) };
        self.give_up(now, layer, context, Cancelled { by: By::Application, reason: reason.map(Into::into) });
        Ok(())
    }

    /// Sends an ACK to a 2xx on along its route, without state (RFC 3261 §16.6, §16.11). Only where a Route of ours
    /// brought it: we forward no ACK that we know nothing of.
    pub fn forward_ack(&mut self, now: Instant, layer: &mut Layer, request: Request) -> Result<(), AckDropped> {
        self.forward_ack_to(now, layer, request, None)
    }

    /// The same for a dialog whose other side is not where its Contact says: without a further Route the ACK goes to
    /// `direct`, not to the Request-URI.
    pub fn forward_ack_to(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        mut request: Request,
        direct: Option<Target>,
    ) -> Result<(), AckDropped> {
        let now = self.tick(now);
        let hash = LoopHash::of(self.loop_key, &request);
        if hash.is_loop(&request) {
            return Err(AckDropped::Loop);
        }
        if !route::preprocess(&mut request, &self.config.locals).is_routed() {
            return Err(AckDropped::NoRoute);
        }
        max_forwards::decrement(&mut request).map_err(|_| AckDropped::TooManyHops)?;
        route::postprocess(&mut request).map_err(|_| NoNextHop)?;
        let next_hop = match direct {
            Some(target) if request.header(Header::Route).is_none() => NextHop::Target(target),
            _ => next_hop::of_request(&request)?,
        };
        match next_hop {
            NextHop::Target(target) => {
                layer.send(now, Checked::Request(request), Destination::Target(target))?;
                self.stats.acks += 1;
                Ok(())
            }
            unresolved => Err(AckDropped::Unresolved(Box::new(request), unresolved)),
        }
    }

    /// Gives a response of our own a To tag (RFC 3261 §8.2.6.2), if it has none.
    pub(super) fn tagged(&mut self, mut response: Response) -> Response {
        if response.to_tag().is_none() {
            self.tags += 1;
            let tag = Hex(self.tag_key.hash(&[&self.tags.to_be_bytes()])).to_string();
            let _ = response.set_to_tag(&tag); // hexadecimal digits
        }
        response
    }
}

/// A Reason header for an [`Outcome`].
pub(super) fn reason_of(value: Option<&[u8]>) -> Option<Box<str>> {
    value.map(|value| String::from_utf8_lossy(value).into_owned().into())
}
