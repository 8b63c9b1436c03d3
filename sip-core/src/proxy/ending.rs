//! How a context ends: CANCEL (RFC 3261 §16.10), timers (§16.8), the final response.

use std::time::Instant;

use super::context::{Cancelled, Context, Leg, LegState, Phase};
use super::core::Proxy;
use super::event::{By, Event, Outcome};
use super::fold::unfold;
use crate::header::Header;
use crate::message::{Request, Response};
use crate::transaction::{Layer, ServerId};

/// RFC 3326 §2, for branches cancelled by Timer C or the ringing limit.
const NO_ANSWER: &str = "SIP;cause=408;text=\"Request Timeout\"";

impl Proxy {
    /// Looks at the contexts whose time has come: Timer C, the ringing limit, callers that did not answer.
    pub fn handle_timeout(&mut self, now: Instant, layer: &mut Layer) {
        let now = self.tick(now);
        while let Some(id) = self.timers.pop(now) {
            if let Some(mut context) = self.contexts.take(id) {
                context.armed = None;
                self.expire(now, layer, context);
            }
        }
    }

    fn expire(&mut self, now: Instant, layer: &mut Layer, mut context: Box<Context>) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if due(context.deadline) {
            context.deadline = None;
            if context.phase != Phase::Running {
                return self.conclude_best(now, layer, context);
            }
            // The ringing limit.
            self.stop_legs(now, layer, &mut context, Some(NO_ANSWER), LegState::Expired, |_| true);
        }
        self.stop_legs(now, layer, &mut context, Some(NO_ANSWER), LegState::Expired, |leg| due(leg.deadline));
        self.settle(context);
    }

    /// CANCEL of the caller (RFC 3261 §16.10); the layer has answered it. False: no context of ours.
    pub(super) fn on_cancel(&mut self, now: Instant, layer: &mut Layer, server: ServerId, request: &Request) -> bool {
        let Some(id) = self.owners.servers.get(&server).copied() else { return false };
        if let Some(context) = self.contexts.take(id) {
            self.give_up(now, layer, context, Cancelled { by: By::Caller, reason: reasons(request) });
        }
        true
    }

    pub(super) fn give_up(&mut self, now: Instant, layer: &mut Layer, mut context: Box<Context>, cancelled: Cancelled) {
        if !context.is_open() {
            return self.settle(context);
        }
        self.stats.cancelled += 1;
        context.queue.clear();
        context.deadline = None;
        self.cancel_legs(now, layer, &mut context, cancelled.reason.as_deref());
        context.cancelled = Some(cancelled);
        if context.phase == Phase::Routing {
            context.phase = Phase::Running;
        }
        self.progress(now, layer, context);
    }

    /// Cancels the branches that nobody has given up yet. Only INVITE can be cancelled (RFC 3261 §9.1).
    pub(super) fn cancel_legs(&mut self, now: Instant, layer: &mut Layer, context: &mut Context, reason: Option<&str>) {
        self.stop_legs(now, layer, context, reason, LegState::Cancelled, |_| true);
    }

    fn stop_legs(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        context: &mut Context,
        reason: Option<&str>,
        state: LegState,
        which: impl Fn(&Leg) -> bool,
    ) {
        if !context.invite {
            return;
        }
        for leg in context.legs.iter_mut().filter(|leg| leg.is_live() && which(leg)) {
            leg.silent = leg.state == LegState::Trying;
            leg.state = state;
            leg.deadline = None; // the layer gives it 64*T1 from here (RFC 3261 §9.1)
            leg.sent = None;
            let _ = layer.cancel(now, leg.client, reason); // Gone: its final response is on the way to us
        }
    }

    /// Sends the final response and notes how the context ended.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        context: &mut Context,
        response: Response,
        mut outcome: Outcome,
    ) {
        if outcome.reason.is_none() {
            outcome.reason = context.cancelled.as_ref().and_then(|cancelled| cancelled.reason.clone());
        }
        context.phase = Phase::Ending;
        context.deadline = None;
        let sent = self.respond(now, layer, context.server, response);
        if !sent && !context.invite {
            // It came after the caller's transaction had ended: the caller saw silence.
            outcome.status = None;
        }
        context.outcome = Some(outcome);
    }

    /// Hands a response to the layer; false when its transaction takes none any more.
    pub(super) fn respond(&mut self, now: Instant, layer: &mut Layer, server: ServerId, response: Response) -> bool {
        let sent = layer.respond(now, server, response).is_ok();
        self.stats.undeliverable += u64::from(!sent);
        sent
    }

    /// Keeps a context, or lets it go when its final response is out and all its branches have ended.
    pub(super) fn settle(&mut self, mut context: Box<Context>) {
        if context.pending() > 0 || context.outcome.is_none() {
            self.timers.arm(&mut context);
            return self.contexts.put(context);
        }
        self.timers.remove(context.armed, context.id);
        self.owners.remove_server(context.server);
        self.contexts.free(context.id);
        if let Some(outcome) = context.outcome {
            self.events.push_back(Event::Finished { id: context.id, user: context.user, outcome });
        }
    }
}

/// The Reason values of a CANCEL, to be carried on (RFC 3326 §2).
fn reasons(request: &Request) -> Option<Box<str>> {
    let values: Vec<_> = request.headers(Header::Reason).map(unfold).collect();
    if values.is_empty() { None } else { Some(String::from_utf8_lossy(&values.join(&b", "[..])).into()) }
}
