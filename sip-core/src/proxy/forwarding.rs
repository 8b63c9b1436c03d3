//! Request forwarding (RFC 3261 §16.6): which branch starts when, and what it sends.

use std::time::Instant;

use super::best::Candidate;
use super::context::{Context, Leg, LegState, Phase};
use super::core::Proxy;
use super::event::{BranchRef, By, Cause, Event, Outcome};
use super::route;
use super::table::Owner;
use super::targets::{Branch, Edit};
use crate::header::Header;
use crate::message::{BadValue, Request};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::Layer;

impl Proxy {
    /// Starts what may start; ends the context if nothing is left to wait for. Takes the context and keeps it or not.
    pub(super) fn progress(&mut self, now: Instant, layer: &mut Layer, mut context: Box<Context>) {
        loop {
            self.start_group(now, layer, &mut context);
            if context.pending() > 0 && !context.waits_for_nobody() {
                return self.settle(context);
            }
            match context.queue.next_q() {
                Some(q) if context.is_open() => {
                    context.group = q;
                    context.deadline = None;
                }
                _ => break,
            }
        }
        if context.outcome.is_some() || context.phase == Phase::Routing {
            return self.settle(context);
        }
        if context.options.ask && context.is_open() && context.best.wants_more() {
            return self.ask(now, context);
        }
        self.conclude_best(now, layer, context);
    }

    fn ask(&mut self, now: Instant, mut context: Box<Context>) {
        context.phase = Phase::Asking;
        context.deadline = Some(now + self.config.answer_limit);
        let status = context.best.status();
        self.events.push_back(Event::Exhausted { id: context.id, user: context.user, status });
        self.settle(context);
    }

    /// Starts the targets of the group under way that Max-Breadth allows now (RFC 5393 §5.3.3); others wait for one to
    /// end.
    fn start_group(&mut self, now: Instant, layer: &mut Layer, context: &mut Context) {
        if !context.is_open() || context.phase != Phase::Running {
            return;
        }
        if context.pending() == 0
            && let Some(q) = context.queue.next_q()
        {
            context.group = q;
        }
        loop {
            let (left, together) = (context.breadth_left(), context.queue.count(context.group));
            if left == 0 || together == 0 {
                return;
            }
            // A share for each, and one for those that come late where the caller said that some may.
            let shares = together as u16 + u16::from(context.options.late);
            let share = (left / shares).max(1);
            let Some(branch) = context.queue.pop(context.group) else { return };
            self.start(now, layer, context, branch, share);
        }
    }

    /// Sends one branch as a new leg.
    fn start(&mut self, now: Instant, layer: &mut Layer, context: &mut Context, branch: Branch, share: u16) {
        let index = context.legs.len();
        let reference = BranchRef { index: index as u16, user: branch.user };
        let (user, hunt) = (branch.user, branch.hunt);
        let Some(client) = self.send(now, layer, context, &branch, share) else {
            return self.not_sent(context, reference);
        };
        self.owners.clients.insert(client, Owner::Leg(context.id, index as u16));
        self.stats.branches += 1;
        let deadline = context.invite.then(|| now + self.config.timer_c);
        if context.options.recurse {
            context.tried.push(branch.uri.as_deref().unwrap_or(context.request.uri()).into());
        }
        let again = context.options.recurse || !branch.failover.is_empty();
        let sent = again.then(|| Box::new(branch));
        context.legs.push(Leg {
            client,
            user,
            state: LegState::Trying,
            silent: false,
            hunt,
            deadline,
            breadth: share,
            sent,
        });
        self.start_ringing_limit(now, context);
    }

    fn start_ringing_limit(&self, now: Instant, context: &mut Context) {
        if !context.invite || context.deadline.is_some() {
            return;
        }
        let limit = context.options.ringing_limit.unwrap_or(self.config.ringing_limit);
        if !limit.is_zero() {
            context.deadline = Some(now + limit);
        }
    }

    /// Sends a leg again to its next destination (RFC 3263 §4.3). False: there is none.
    pub(super) fn fail_over(&mut self, now: Instant, layer: &mut Layer, context: &mut Context, index: usize) -> bool {
        let Some(leg) = context.legs.get_mut(index) else { return false };
        let Some(mut branch) = leg.sent.take() else { return false };
        let share = leg.breadth;
        while !branch.failover.is_empty() {
            branch.destination = branch.failover.remove(0);
            if let Some(client) = self.send(now, layer, context, &branch, share) {
                self.owners.clients.insert(client, Owner::Leg(context.id, index as u16));
                self.stats.failovers += 1;
                let deadline = context.invite.then(|| now + self.config.timer_c);
                if let Some(leg) = context.legs.get_mut(index) {
                    leg.client = client;
                    leg.state = LegState::Trying;
                    leg.deadline = deadline;
                    leg.sent = Some(branch);
                }
                return true;
            }
        }
        false
    }

    fn send(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        context: &Context,
        branch: &Branch,
        share: u16,
    ) -> Option<crate::transaction::ClientId> {
        let request = build(&context.request, branch, share).ok()?;
        layer.request_marked(now, request, branch.destination.clone(), &context.hash.suffix()).ok()
    }

    /// A target that could not even be sent counts as a transport failure (RFC 3261 §16.9).
    fn not_sent(&mut self, context: &mut Context, branch: BranchRef) {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        self.events.push_back(Event::BranchFailed {
            id: context.id,
            user: context.user,
            branch,
            status,
            cause: Cause::NotSent,
            retried: false,
        });
        context.best.add(Candidate { status, response: None, branch, cause: Cause::NotSent });
    }

    /// Every branch has ended and no final response was sent: the best one goes (RFC 3261 §16.7 step 6).
    pub(super) fn conclude_best(&mut self, now: Instant, layer: &mut Layer, mut context: Box<Context>) {
        let given_up = context.cancelled.as_ref().map(|cancelled| cancelled.by);
        let cancelled = given_up.is_some();
        let Some(candidate) = context.best.take() else {
            let (status, by) = match (given_up, context.phase) {
                (Some(by), _) => (StatusCode::REQUEST_TERMINATED, by),
                (None, Phase::Routing) => (StatusCode::SERVER_INTERNAL_ERROR, By::Timer),
                (None, _) => (StatusCode::TEMPORARILY_UNAVAILABLE, By::Application), // RFC 3261 §16.5: no targets
            };
            return self.answer_own(now, layer, context, status, by, None);
        };
        let (status, branch) = (candidate.status, Some(candidate.branch));
        let by = match given_up {
            // What is no INVITE cannot be cancelled: it ran its course.
            Some(by)
                if status == StatusCode::REQUEST_TERMINATED || (context.invite && candidate.response.is_none()) =>
            {
                by
            }
            _ => candidate.by(),
        };
        match candidate.response {
            // RFC 4320 §4.2: a 408 to anything but INVITE comes too late for whom it is meant; the layer keeps it back.
            _ if !context.invite && status == StatusCode::REQUEST_TIMEOUT => {
                let response = context.request.response(status);
                let outcome = Outcome { status: None, by, branch, cancelled, reason: None };
                self.answer(now, layer, &mut context, response, outcome);
                self.settle(context);
            }
            None if cancelled => {
                self.answer_own(now, layer, context, StatusCode::REQUEST_TERMINATED, by, branch);
            }
            // RFC 3261 §16.7 step 6: a 503 speaks of its sender alone.
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                self.answer_own(now, layer, context, StatusCode::SERVER_INTERNAL_ERROR, by, branch);
            }
            None => self.answer_own(now, layer, context, status, by, branch),
            Some(response) => {
                let reason = super::core::reason_of(response.header(Header::Reason));
                let outcome = Outcome { status: Some(status), by, branch, cancelled, reason };
                self.answer(now, layer, &mut context, response, outcome);
                self.settle(context);
            }
        }
    }

    fn answer_own(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        mut context: Box<Context>,
        status: StatusCode,
        by: By,
        branch: Option<BranchRef>,
    ) {
        let response = context.request.response(status);
        let response = self.tagged(response);
        let outcome =
            Outcome { status: Some(status), by, branch, cancelled: context.cancelled.is_some(), reason: None };
        self.answer(now, layer, &mut context, response, outcome);
        self.settle(context);
    }
}

/// The copy of a request for a branch (RFC 3261 §16.6 steps 1 to 6). The layer puts the Via on (step 8).
fn build(request: &Request, branch: &Branch, breadth: u16) -> Result<Request, BadValue> {
    let mut copy = request.clone();
    if let Some(uri) = &branch.uri {
        copy.set_uri(uri)?;
    }
    for value in branch.record_route.iter().rev() {
        copy.push_record_route(value)?;
    }
    for edit in &branch.edits {
        apply(&mut copy, edit)?;
    }
    for value in branch.routes.iter().rev() {
        copy.push_route(value)?;
    }
    route::postprocess(&mut copy)?;
    if !matches!(copy.method(), Method::Ack | Method::Cancel) {
        copy.set(Header::MaxBreadth, breadth.to_string().as_bytes())?;
    }
    Ok(copy)
}

fn apply(request: &mut Request, edit: &Edit) -> Result<(), BadValue> {
    match edit {
        Edit::Set { name, value } => request.set(name, value),
        Edit::PushFront { name, value } => request.push_front(name, value),
        Edit::PushBack { name, value } => request.push_back(name, value),
        Edit::Remove { name } => request.remove(name).map(|_| ()),
        Edit::Body { content_type, body } => request.set_body(content_type.as_deref(), body.clone()),
    }
}
