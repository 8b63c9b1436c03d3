//! `delete`: a call or one branch of it ends, after a while.

use super::machine::Relay;
use crate::ng::{Reply, Request};

const NOT_FOUND: &str = "Call-ID not found or tags didn't match";

impl Relay {
    /// A to-tag or a via-branch selects one dialogue, the call goes with its last one.
    pub(super) fn delete(&mut self, request: &Request) -> Reply {
        let not_found = || if request.flags.fatal { Reply::error(NOT_FOUND) } else { Reply::with_warning(NOT_FOUND) };
        let Some((number, entry)) = self.entry(&request.call_id) else { return not_found() };
        let call = &entry.call;
        let from = call.tagged(&request.from_tag);
        if from.is_none() && !request.from_tag.is_empty() {
            return not_found();
        }
        let to: Option<Vec<usize>> = match (request.to_tag.as_deref(), request.via_branch.as_deref()) {
            (Some(tag), _) => match call.tagged(tag) {
                Some(to) => Some(vec![to]),
                None => return not_found(),
            },
            (None, Some(branch)) => {
                // Several, where a proxy further on has forked it and more than one of its parties has answered.
                let of = |party: &super::call::Party| party.via_branch.as_deref() == Some(branch);
                let to: Vec<usize> = call.parties().filter(|(_, party)| of(party)).map(|(number, _)| number).collect();
                // The branch of a BYE is its own, and no party's: the call is meant.
                (!to.is_empty()).then_some(to)
            }
            (None, None) => None,
        };
        let reply = Reply::Ok(self.tree(number, None));
        let at = self.now + request.flags.delete_delay.unwrap_or(self.settings.timeouts.delete_delay);
        let Some(call) = self.call_mut(number) else { return not_found() };
        if let Some(to) = &to {
            // Sent by the branch itself it names the branch twice.
            let from = from.filter(|from| !to.contains(from));
            let ends = |a: usize, b: usize| {
                (to.contains(&a) || to.contains(&b)) && from.is_none_or(|from| [a, b].contains(&from))
            };
            for dialogue in call.dialogues_mut() {
                if ends(dialogue.offerer, dialogue.answerer) {
                    dialogue.delete_at.get_or_insert(at);
                }
            }
        }
        if to.is_none() || call.dialogues().iter().all(|dialogue| dialogue.delete_at.is_some()) {
            call.delete_at.get_or_insert(at);
        }
        self.expire(number);
        reply
    }
}
