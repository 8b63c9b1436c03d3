//! The end of calls and branches.

use std::time::Instant;

use sip_core::proxy::{ContextId, Outcome};

use super::super::app::App;
use super::Media;
use super::session::{Parties, Step};
use crate::ng::client::NodeId;
use crate::ng::{Command, Request};

/// What of a call is to go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// All of it.
    Call,
    /// A branch that nobody answered.
    Branch(&'a str),
    /// The called side of this tag.
    Side { caller: &'a str, callee: &'a str },
}

impl Media {
    /// Tells a relay that something ends. Nobody waits for its answer.
    pub(super) fn delete(&mut self, now: Instant, node: NodeId, parties: &Parties, scope: Scope<'_>) {
        let mut request = Request::new(Command::Delete, &parties.call_id);
        request.from_tag = parties.from_tag.clone();
        match scope {
            Scope::Call => {}
            Scope::Branch(branch) => request.via_branch = Some(branch.to_owned()),
            // The tags of the dialog as it was made, whoever hangs up: of the tags, the relay takes the second one away.
            Scope::Side { caller, callee } => {
                (request.from_tag, request.to_tag) = (caller.to_owned(), Some(callee.to_owned()));
                request.flags.honour_to_tag = true;
            }
        }
        self.counters.deletes += 1;
        // Busy: the relay ends the call by its own timers.
        let _ = self.client.request(now, Some(node), request);
    }
}

impl App {
    /// A branch failed. The last one ends with its context.
    pub(in super::super) fn media_branch_failed(&mut self, now: Instant, context: ContextId, user: u64) {
        let Some(media) = &mut self.media else { return };
        let Some(session) = media.sessions.get_mut(&context).filter(|session| session.branches.len() > 1) else {
            return;
        };
        let (node, parties) = (session.node, session.parties.clone());
        // One that the relay has refused it does not know, and would take the call to be meant.
        let Some(leaving) = session.branch_mut(user).filter(|leaving| !leaving.is_bare) else { return };
        if let (Some(branch), Some(node)) = (leaving.via_branch.clone(), node) {
            leaving.is_deleted = true;
            media.delete(now, node, &parties, Scope::Branch(&branch));
        }
    }

    /// A context is over; `said` is whether a BYE ended its dialog.
    pub(in super::super) fn media_finished(&mut self, now: Instant, context: ContextId, outcome: &Outcome, said: bool) {
        let Some(media) = &mut self.media else { return };
        let Some(session) = media.sessions.remove(&context) else { return };
        if let (Step::Bye, Some(way), Some(watch), true) = (session.step, &session.way, &mut media.watch, said) {
            let (caller, callee) = session.parties.sides(way.from_caller);
            watch.remove(&session.parties.call_id, caller, callee);
        }
        let Some(node) = session.node else { return };
        let parties = &session.parties;
        let answered = outcome.status.is_some_and(sip_core::StatusCode::is_success);
        match (session.step, &session.way) {
            (Step::Bye, Some(way)) if said => {
                let (caller, callee) = session.parties.sides(way.from_caller);
                media.delete(now, node, &session.parties, Scope::Side { caller, callee });
                media.forget_move(&session.parties, way);
            }
            // A proxy before us may have forked the call to us twice: the other passage needs the relay still.
            (Step::Offer, None) if !answered && self.calls.is_passed(&parties.call_id, &parties.from_tag) => {
                let left = session.branches.iter().filter(|leaving| !leaving.is_bare && !leaving.is_deleted);
                for branch in left.filter_map(|leaving| leaving.via_branch.as_deref()) {
                    media.delete(now, node, parties, Scope::Branch(branch));
                }
            }
            (Step::Offer | Step::Late, None) if !answered => media.delete(now, node, parties, Scope::Call),
            _ => {}
        }
    }
}
