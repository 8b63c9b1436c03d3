//! Response processing (RFC 3261 §16.7) and transport errors (§16.9).

use std::time::Instant;

use smallvec::SmallVec;

use super::best::Candidate;
use super::context::{Context, LegState};
use super::core::Proxy;
use super::event::{By, Cause, Event, Outcome};
use super::hash::HashKey;
use super::stateless;
use super::table::{Owner, Tail};
use super::targets::Hunt;
use crate::flow::Destination;
use crate::message::{Checked, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::transaction::{self, ClientId, Layer};

/// RFC 3326 §2, for the branches that rang in vain.
const ANSWERED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// To tags of one request that are told apart; what comes beyond is sent on and not told.
const MAX_ANSWERS: usize = 16;

impl Proxy {
    /// Takes an event of the layer. Some: it is none of the proxy's, and the caller's to deal with: new requests, ACKs,
    /// events of the caller's own transactions, connects.
    pub fn handle_event(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        event: transaction::Event,
    ) -> Option<transaction::Event> {
        let now = self.tick(now);
        match event {
            transaction::Event::Response { id, response, flow } => {
                return self.on_response(now, layer, id, response).map(|response| transaction::Event::Response {
                    id,
                    response,
                    flow,
                });
            }
            transaction::Event::Timeout { id } => {
                let status = StatusCode::REQUEST_TIMEOUT; // RFC 3261 §16.7: a time-out is a 408
                if !self.on_end(now, layer, id, status, Cause::Timeout) {
                    return Some(event);
                }
            }
            transaction::Event::TransportFailed { id } => {
                let status = StatusCode::SERVICE_UNAVAILABLE; // RFC 3261 §16.9
                if !self.on_end(now, layer, id, status, Cause::Transport) {
                    return Some(event);
                }
            }
            transaction::Event::ClientEnded { id } => {
                if !self.on_client_ended(now, layer, id) {
                    return Some(event);
                }
            }
            transaction::Event::Cancel { id, ref request } => {
                if !self.on_cancel(now, layer, id, request) {
                    return Some(event);
                }
            }
            transaction::Event::ServerEnded { id } => {
                if self.owners.remove_server(id).is_none() {
                    return Some(event);
                }
            }
            transaction::Event::StrayResponse { ref response, .. } => {
                self.stats.stray_responses += 1;
                if !self.config.forward_stray_2xx || !self.forward_stray(now, layer, response) {
                    return Some(event);
                }
            }
            other => return Some(other),
        }
        None
    }

    /// A response of a branch. Some: it belongs to no branch.
    fn on_response(&mut self, now: Instant, layer: &mut Layer, id: ClientId, response: Response) -> Option<Response> {
        match self.owners.clients.get_mut(&id) {
            // RFC 3261 §16.7 step 3: without another Via it was meant for us, and nothing we sent wants that.
            Some(_) if response.via().is_none() => None,
            Some(Owner::Leg(context, index)) => {
                let (context, index) = (*context, usize::from(*index));
                let mut context = self.contexts.take(context)?;
                if response.status().is_provisional() {
                    self.on_provisional(now, layer, &mut context, index, response);
                    self.settle(context);
                } else if response.status().is_success() {
                    self.on_success(now, layer, context, index, response);
                } else {
                    let status = response.status();
                    self.on_failure(now, layer, context, index, status, Some(response), Cause::Response);
                }
                None
            }
            Some(Owner::Answered(tail)) => {
                if response.status().is_success() {
                    let event = tail.answer(self.tag_key, &response);
                    let server = tail.server;
                    if self.respond(now, layer, server, response) {
                        self.events.extend(event);
                    }
                }
                None
            }
            None => Some(response),
        }
    }

    /// RFC 3261 §16.7 steps 2 and 5: Timer C starts again, all but 100 goes on.
    fn on_provisional(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        context: &mut Context,
        index: usize,
        response: Response,
    ) {
        let status = response.status();
        let Some(leg) = context.legs.get_mut(index).filter(|leg| leg.is_pending()) else { return };
        if leg.state == LegState::Trying {
            leg.state = LegState::Proceeding;
        }
        if status == StatusCode::TRYING {
            return;
        }
        if leg.deadline.is_some() {
            leg.deadline = Some(now + self.config.timer_c);
        }
        // RFC 4320 §4.1: nothing but 100 to a request that is no INVITE.
        if context.invite && context.outcome.is_none() {
            let branch = context.branch(index);
            self.respond(now, layer, context.server, response);
            self.events.push_back(Event::Provisional { id: context.id, user: context.user, branch, status });
        }
    }

    /// A 2xx (RFC 3261 §16.7 steps 5 and 10): goes on at once, every one to an INVITE; the other branches are
    /// cancelled.
    fn on_success(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        mut context: Box<Context>,
        index: usize,
        response: Response,
    ) {
        let branch = context.branch(index);
        let Some(leg) = context.legs.get_mut(index) else { return self.settle(context) };
        leg.state = LegState::Ended;
        let client = leg.client;
        let first = context.outcome.is_none();
        let event = note_answer(&mut context.answers, self.tag_key, &response).then(|| Event::Answered {
            id: context.id,
            user: context.user,
            branch,
            status: response.status(),
            to_tag: response.to_tag().map(Into::into),
            first,
        });
        if context.invite {
            let (server, id, user) = (context.server, context.id, context.user);
            let answers = context.answers.clone();
            let tail = Tail { server, id, user, branch, answers };
            self.owners.clients.insert(client, Owner::Answered(Box::new(tail)));
        } else {
            self.owners.remove_client(client);
        }
        if first {
            context.queue.clear();
            self.cancel_legs(now, layer, &mut context, Some(ANSWERED_ELSEWHERE));
            let outcome = Outcome {
                status: Some(response.status()),
                by: By::Callee,
                branch: Some(branch),
                cancelled: context.cancelled.is_some(),
                reason: None,
            };
            self.events.extend(event);
            self.answer(now, layer, &mut context, response, outcome);
        } else if context.invite {
            // After a failure of ours there is nobody to send it to.
            if self.respond(now, layer, context.server, response) {
                self.events.extend(event);
            }
        }
        self.settle(context);
    }

    /// A branch without success: its next destination, or one candidate more (RFC 3261 §16.7 step 4).
    #[allow(clippy::too_many_arguments)] // what a failure is made of
    fn on_failure(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        mut context: Box<Context>,
        index: usize,
        status: StatusCode,
        response: Option<Response>,
        cause: Cause,
    ) {
        let branch = context.branch(index);
        let open = context.is_open();
        let Some(leg) = context.legs.get_mut(index).filter(|leg| leg.is_pending()) else {
            return self.settle(context);
        };
        self.owners.remove_client(leg.client);
        let (state, hunt) = (leg.state, leg.hunt);
        leg.state = LegState::Ended;
        if open && tries_next(state, status, cause) && self.fail_over(now, layer, &mut context, index) {
            self.branch_failed(&context, index, status, cause, true);
            return self.settle(context);
        }
        if open && response.as_ref().is_some_and(|r| status.class() == 3 && self.recurse(&mut context, index, r)) {
            self.branch_failed(&context, index, status, cause, true);
            return self.progress(now, layer, context);
        }
        let candidate = if state == LegState::Expired && matches!(status.code(), 408 | 487) {
            Candidate { status: StatusCode::REQUEST_TIMEOUT, response: None, branch, cause: Cause::Expired }
        } else {
            Candidate { status, response, branch, cause }
        };
        let (status, cause) = (candidate.status, candidate.cause);
        self.branch_failed(&context, index, status, cause, false);
        if status.class() == 6 {
            // RFC 3261 §16.7 step 5: others are cancelled, none is started.
            context.queue.clear();
            let reason = format!("SIP;cause={};text=\"{}\"", status.code(), status.reason());
            self.cancel_legs(now, layer, &mut context, Some(&reason));
        } else if hunt == Hunt::Unreachable && !is_unreachable(status) {
            context.queue.clear();
        }
        context.best.add(candidate);
        self.progress(now, layer, context);
    }

    fn branch_failed(&mut self, context: &Context, index: usize, status: StatusCode, cause: Cause, retried: bool) {
        let branch = context.branch(index);
        let (id, user) = (context.id, context.user);
        self.events.push_back(Event::BranchFailed { id, user, branch, status, cause, retried });
    }

    /// A branch that ended without a response. False: no branch of ours.
    fn on_end(&mut self, now: Instant, layer: &mut Layer, id: ClientId, status: StatusCode, cause: Cause) -> bool {
        match self.owners.clients.get(&id) {
            Some(Owner::Leg(context, index)) => {
                let index = usize::from(*index);
                if let Some(context) = self.contexts.take(*context) {
                    self.on_failure(now, layer, context, index, status, None, cause);
                }
                true
            }
            Some(Owner::Answered(_)) => true,
            None => false,
        }
    }

    /// A 2xx to INVITE that no transaction knows, by its next Via. False: it is no such, or has no way.
    fn forward_stray(&mut self, now: Instant, layer: &mut Layer, response: &Response) -> bool {
        if !response.status().is_success() || response.cseq().method != Method::Invite {
            return false;
        }
        let mut response = response.clone();
        match stateless::forward_response(&mut response, &self.config.locals) {
            Ok(target) => layer.send(now, Checked::Response(response), Destination::Target(target)).is_ok(),
            Err(_) => false,
        }
    }

    /// The last word of a client transaction; a branch that still waited for one ends with it.
    fn on_client_ended(&mut self, now: Instant, layer: &mut Layer, id: ClientId) -> bool {
        let known = self.on_end(now, layer, id, StatusCode::REQUEST_TIMEOUT, Cause::Timeout);
        self.owners.remove_client(id);
        known
    }
}

impl Tail {
    /// A further 2xx; told unless it is a retransmission.
    fn answer(&mut self, key: HashKey, response: &Response) -> Option<Event> {
        note_answer(&mut self.answers, key, response).then(|| Event::Answered {
            id: self.id,
            user: self.user,
            branch: self.branch,
            status: response.status(),
            to_tag: response.to_tag().map(Into::into),
            first: false,
        })
    }
}

/// Whether this To tag is new among the answers of a request.
fn note_answer(answers: &mut SmallVec<[u32; 2]>, key: HashKey, response: &Response) -> bool {
    let tag = key.hash(&[response.to_tag().unwrap_or_default().as_bytes()]) as u32;
    if answers.contains(&tag) || answers.len() >= MAX_ANSWERS {
        return false;
    }
    answers.push(tag);
    true
}

/// Whether a failure is one that the next destination may not share (RFC 3263 §4.3): 503, or nothing heard at all.
fn tries_next(state: LegState, status: StatusCode, cause: Cause) -> bool {
    match cause {
        Cause::Response => {
            status == StatusCode::SERVICE_UNAVAILABLE && matches!(state, LegState::Trying | LegState::Proceeding)
        }
        _ => state == LegState::Trying,
    }
}

/// Whether a target could not be reached or could not serve, which says nothing about whom it was meant for.
fn is_unreachable(status: StatusCode) -> bool {
    matches!(status.code(), 408 | 430) || status.class() == 5
}
