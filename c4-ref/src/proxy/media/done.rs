//! What the relays answered.

use std::time::Instant;

use super::super::app::App;
use super::delete::Scope;
use super::{Job, LOST, Media, Policy, Served, Unserved, WARNINGS};
use crate::ng::Reply;
use crate::ng::client::{Event, Failure, NodeId};

impl Media {
    /// The next event of the client that is about a call.
    pub(in super::super) fn poll_event(&mut self, now: Instant, policy: Policy) -> Option<Event> {
        let ends = policy == Policy::Refuse && self.watch.is_some();
        loop {
            match self.client.poll_event()? {
                Event::Connect { connection, address } => {
                    self.connects.push_back((connection.0, address));
                }
                Event::NodeDown(node) => {
                    self.counters.nodes_lost += 1;
                    if ends {
                        self.lost.push((node, now + LOST));
                    }
                }
                Event::NodeUp(node) => self.lost.retain(|(lost, _)| *lost != node),
                done @ Event::Done { .. } => return Some(done),
            }
        }
    }

    /// The relay and the SDP of a reply that holds one.
    fn description(&mut self, now: Instant, node: Option<NodeId>, result: Result<Reply, Failure>) -> Served {
        let served = node.zip(result.as_ref().ok().and_then(|reply| reply.sdp().cloned()));
        served.ok_or_else(|| {
            self.counters.failures += 1;
            // Each call may meet it, and callers can bring it about; the counter has them all.
            let why = match &result {
                Ok(Reply::Error(why) | Reply::LoadLimit(why)) => why.to_string(),
                Ok(_) => "a reply without SDP".to_owned(),
                Err(failure) => failure.to_string(),
            };
            if self.warn_again.is_none_or(|at| at <= now) {
                self.warn_again = Some(now + WARNINGS);
                tracing::warn!(why, "a relay does not serve a call");
            } else {
                tracing::debug!(why, "a relay does not serve a call");
            }
            match result {
                Ok(reply) if !reply.asks_for_another() => Unserved::Refused,
                _ => Unserved::Silent,
            }
        })
    }
}

impl App {
    /// A relay has answered, or none has.
    pub(in super::super) fn media_event(&mut self, now: Instant, event: Event) {
        let Event::Done { id, node, result } = event else { return };
        let Some(media) = &mut self.media else { return };
        let Some(job) = media.jobs.remove(&id) else {
            // A delete: the relay forgets by itself what it was not told.
            media.counters.failures += u64::from(!matches!(result, Ok(Reply::Ok(_))));
            return;
        };
        if let Job::Query(key) = job {
            let unix = self.wall.unix_at(now);
            let when = |at: u64| now.checked_sub(unix.saturating_sub(std::time::Duration::from_secs(at)));
            if let Ok(reply) = &result {
                media.told(key, reply, when);
            }
            return;
        }
        let served = media.description(now, node, result);
        match job {
            Job::Request { context, branch, .. } if media.sessions.contains_key(&context) => {
                self.served(now, context, branch, served);
            }
            // The request was given up meanwhile: by CANCEL, for one.
            Job::Request { parties, via_branch, .. } => {
                if let (Some(branch), Ok((node, _))) = (via_branch, served) {
                    let another = self.calls.knows(&parties.call_id, [&parties.from_tag; 2]);
                    media.delete(now, node, &parties, if another { Scope::Branch(&branch) } else { Scope::Call });
                }
            }
            Job::Response(client) => self.answered(now, client, served.ok().map(|(_, sdp)| sdp)),
            Job::Query(_) => {}
            Job::Ack(key) => self.ack_answered(now, key, served.ok().map(|(_, sdp)| sdp)),
        }
    }
}
