//! What comes of a request that was sent on: the call's record, and contacts found dead.

use std::time::{Duration, Instant};

use sip_core::Request;
use sip_core::header::Header;
use sip_core::proxy::{AckDropped, By, Cause, ContextId, Event, Outcome};
use sip_core::{StatusCode, Target};

use super::app::{App, Mark};
use super::calls::End;
use super::outbound::destinations;
use crate::cdr::ReleasedBy;
use crate::cdr::spool::Entry;

/// How long an INVITE waits for any response: 64*T1 (RFC 3261 §17.1.1.2).
const TIMER_B: Duration = Duration::from_secs(32);

/// Whether a BYE with this outcome ends its call: not, if it was refused before it went out, or for how it was written
/// rather than for what it says (RFC 5057 §5.1). Else whoever pays could end the record and let the call go on. No answer,
/// 408 and 481 end it (RFC 3261 §15.1.1).
fn was_said(code: u16, outcome: Option<&Outcome>) -> bool {
    let sent = outcome.is_some_and(|outcome| outcome.by != By::Application);
    sent && !matches!(code, 400..=403 | 405..=407 | 413..=417 | 420 | 421 | 482 | 483)
}

impl App {
    /// An event of the proxy core.
    pub(super) fn follow(&mut self, now: Instant, event: Event) {
        match event {
            Event::Route { id, in_dialog, own_routes } => self.route(now, id, in_dialog, own_routes),
            Event::Provisional { user, status, .. } => {
                let rings = matches!(status, StatusCode::RINGING | StatusCode::SESSION_PROGRESS);
                if let (true, Mark::Call(call)) = (rings, Mark::of_user(user)) {
                    self.calls.ringing(now, call);
                }
            }
            Event::BranchFailed { id, branch, status, cause, retried, .. } => {
                if !retried {
                    self.media_branch_failed(now, id, branch.user);
                }
                self.branch_failed(now, id, branch.user >> 16, status, cause);
            }
            Event::Answered { user, branch, status, to_tag, first: true, .. } => {
                let Mark::Call(call) = Mark::of_user(user) else { return };
                let tag = to_tag.as_deref().unwrap_or_default();
                let answer = self.calls.answered(now, call, branch.user & 0xffff, tag, status.code());
                if let Some((id, at)) = answer {
                    self.counters.calls_answered += 1;
                    self.spool(Entry::Answer(id, at));
                }
            }
            // That a flow has failed is between us and the phone: to the caller there is no contact (RFC 5626 §5.3).
            Event::Exhausted { id, status: Some(StatusCode::FLOW_FAILED), .. } => {
                self.reject(now, id, StatusCode::TEMPORARILY_UNAVAILABLE);
            }
            Event::Exhausted { id, .. } => {
                let _ = self.proxy.conclude(now, &mut self.layer, id); // Gone: it was cancelled meanwhile
            }
            Event::Finished { id, user, outcome } => {
                self.called.remove(&id);
                let code = outcome.status.map_or(0, StatusCode::code);
                self.media_finished(now, id, &outcome, was_said(code, Some(&outcome)));
                self.finished(now, Mark::of_user(user), outcome.status, Some(&outcome));
            }
            _ => {}
        }
    }

    /// A dead contact, and one whose flow is gone (430, RFC 5626 §5.3), is dropped; the core tries the next.
    fn branch_failed(&mut self, now: Instant, id: ContextId, contact: u64, status: StatusCode, cause: Cause) {
        let dead = matches!(cause, Cause::Timeout | Cause::Transport) || status == StatusCode::FLOW_FAILED;
        if contact == 0 || !dead {
            return;
        }
        let Some(aor) = self.called.get(&id).cloned() else { return };
        if status == StatusCode::FLOW_FAILED || self.is_the_phone(now, &aor, contact, cause) {
            self.drop_contact(now, &aor, contact);
        }
    }

    /// Whether it is the phone that is silent, and not the load balancer before it: all phones behind one that is
    /// restarted would be lost.
    fn is_the_phone(&self, now: Instant, aor: &str, contact: u64, cause: Cause) -> bool {
        let location = &self.shared.location;
        let Some(found) = location.lookup(now, aor).into_iter().find(|found| location.mark(&found.binding) == contact)
        else {
            return false;
        };
        let hop = found.binding.path().next().and_then(|_| destinations(&found)).map(|(to, _)| to.remote());
        let since = now.checked_sub(TIMER_B).unwrap_or(now);
        hop.is_none_or(|hop| cause == Cause::Timeout && self.sweep.heard_since(hop, since))
    }

    /// A context is over, or was refused before it began (`outcome` is none).
    pub(super) fn finished(&mut self, now: Instant, mark: Mark, status: Option<StatusCode>, outcome: Option<&Outcome>) {
        let code = status.map_or(0, StatusCode::code);
        match mark {
            Mark::None => {}
            Mark::Call(call) if matches!(code, 401 | 407) => {
                if let Some(id) = self.calls.forget(call) {
                    self.spool(Entry::End(id));
                }
            }
            Mark::Call(_) if (200..300).contains(&code) => {}
            Mark::Call(call) => {
                let by = match outcome.map(|outcome| outcome.by) {
                    Some(By::Callee) => ReleasedBy::Callee,
                    Some(By::Caller) => ReleasedBy::Caller,
                    _ => ReleasedBy::Proxy,
                };
                let reason = outcome.and_then(|outcome| outcome.reason.as_deref()).unwrap_or_default();
                let branch = outcome.and_then(|outcome| outcome.branch).map(|branch| branch.user & 0xffff);
                if let Some(record) = self.calls.end(now, call, branch, End { status: code, by, reason }) {
                    self.counters.calls_failed += 1;
                    self.write_record(record);
                }
            }
            Mark::Bye(call) if !was_said(code, outcome) => self.calls.bye_refused(call),
            Mark::Bye(call) => {
                let end = End { status: code, by: ReleasedBy::Proxy, reason: "" };
                if let Some(record) = self.calls.end(now, call, None, end) {
                    self.write_record(record);
                }
            }
        }
    }

    /// A BYE goes through: if its full dialog id is that of a call here, the call ends with it.
    pub(super) fn bye(&mut self, now: Instant, request: &Request) -> Mark {
        let (from_tag, to_tag) = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
        let Some((call, by)) = self.calls.find(request.call_id(), from_tag, to_tag) else { return Mark::None };
        self.calls.bye(now, call, by, request.header_str(Header::Reason).unwrap_or_default());
        Mark::Bye(call)
    }

    /// An ACK to a 2xx goes the way of its dialog; any other is dropped.
    pub(super) fn handle_ack(&mut self, now: Instant, request: Request) {
        let Some(admitted) = self.admitted.take() else {
            self.counters.stray_ack += 1;
            return;
        };
        let source = admitted.source.remote.ip();
        if let Some(request) = self.ack_through_media(now, request, &admitted.way, source) {
            self.forward_ack(now, request, admitted.way.direct);
        }
    }

    pub(super) fn forward_ack(&mut self, now: Instant, request: Request, direct: Option<Target>) {
        match self.proxy.forward_ack_to(now, &mut self.layer, request, direct) {
            Ok(()) => {}
            Err(AckDropped::Unresolved(..)) => self.counters.unresolved += 1,
            Err(_) => self.counters.stray_ack += 1,
        }
    }
}
