//! The response context (RFC 3261 §16.2): one request, its branches, what came of them.

use std::time::Instant;

use smallvec::SmallVec;

use super::best::Best;
use super::event::{BranchRef, By, ContextId, Outcome};
use super::loop_detection::LoopHash;
use super::targets::{Branch, Hunt, Queue};
use crate::message::Request;
use crate::transaction::{ClientId, ServerId};

/// What the caller may set on a context while it is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Ask with [`Exhausted`](super::Event::Exhausted) before a failure is sent: redirections, forwards on no answer,
    /// a last resort.
    pub ask: bool,
    /// Follow the Contacts of a 3xx (RFC 3261 §16.5, §16.7 step 4) that are written as numbers. The callee then decides
    /// where calls go: only for peers that may.
    pub recurse: bool,
    /// Targets may be added while others ring: keeps a share of Max-Breadth back for them (RFC 5393 §5.3).
    pub late: bool,
    /// Instead of [`Config::ringing_limit`](super::Config::ringing_limit).
    pub ringing_limit: Option<std::time::Duration>,
}

/// What a context waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Targets, asked for by Route.
    Routing,
    /// Final responses of branches.
    Running,
    /// The caller, asked by Exhausted.
    Asking,
    /// The final response is out; branches that were cancelled have yet to end.
    Ending,
}

#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) id: ContextId,
    pub(super) user: u64,
    pub(super) server: ServerId,
    /// As it is sent on by every branch: own Routes off, one hop less.
    pub(super) request: Request,
    /// Of the request as it came; stands in the branches that go out (RFC 5393 §4.2.1).
    pub(super) hash: LoopHash,
    pub(super) invite: bool,
    pub(super) options: Options,
    pub(super) phase: Phase,
    pub(super) legs: SmallVec<[Leg; 1]>,
    pub(super) queue: Queue,
    /// The preference of the group under way; targets of less wait.
    pub(super) group: u16,
    /// Max-Breadth received, or the default.
    pub(super) breadth: u16,
    pub(super) best: Best,
    /// Given up, by whom and why.
    pub(super) cancelled: Option<Cancelled>,
    /// Set when the final response was sent.
    pub(super) outcome: Option<Outcome>,
    /// End of the phase: of the wait for the caller, of ringing.
    pub(super) deadline: Option<Instant>,
    /// The entry in the timer table; may be earlier than what is due.
    pub(super) armed: Option<Instant>,
    /// Request-URIs tried, where redirections are followed.
    pub(super) tried: Vec<Box<str>>,
    /// Hashes of To tags of 2xx sent on.
    pub(super) answers: SmallVec<[u32; 2]>,
}

/// A request that was given up.
#[derive(Clone, Debug, Hash)]
pub(super) struct Cancelled {
    pub(super) by: By,
    /// The Reason header's value (RFC 3326).
    pub(super) reason: Option<Box<str>>,
}

/// A branch that was sent.
#[derive(Clone, Debug, Hash)]
pub(super) struct Leg {
    pub(super) client: ClientId,
    pub(super) user: u64,
    pub(super) state: LegState,
    /// Given up before it had said anything: nobody may be there.
    pub(super) silent: bool,
    pub(super) hunt: Hunt,
    /// Timer C (RFC 3261 §16.6 step 11).
    pub(super) deadline: Option<Instant>,
    /// Its share of Max-Breadth while it is pending.
    pub(super) breadth: u16,
    /// What was sent, where it may have to be sent again: to its next destination, or to where a 3xx points.
    pub(super) sent: Option<Box<Branch>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LegState {
    /// Sent, no provisional response above 100.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// Cancelled: by the caller, or because another branch decided.
    Cancelled,
    /// Cancelled by Timer C or the ringing limit: its end counts as 408.
    Expired,
    /// Has a final response, or is given up.
    Ended,
}

impl Leg {
    pub(super) fn is_pending(&self) -> bool {
        self.state != LegState::Ended
    }

    /// Whether nobody has given it up yet.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, LegState::Trying | LegState::Proceeding)
    }
}

impl Context {
    pub(super) fn pending(&self) -> usize {
        self.legs.iter().filter(|leg| leg.is_pending()).count()
    }

    /// Whether a request that the caller cancelled waits for silent branches only, though another has ended: they would
    /// hold its answer back for 64*T1.
    pub(super) fn waits_for_nobody(&self) -> bool {
        let pending_silent = self.legs.iter().filter(|leg| leg.is_pending()).all(|leg| leg.silent);
        self.cancelled.is_some() && self.outcome.is_none() && self.best.chosen.is_some() && pending_silent
    }

    /// Whether branches may still be started: no final response sent, not cancelled.
    pub(super) fn is_open(&self) -> bool {
        self.outcome.is_none() && self.cancelled.is_none()
    }

    /// What is left of Max-Breadth (RFC 5393 §5.3.3).
    pub(super) fn breadth_left(&self) -> u16 {
        let used = self.legs.iter().filter(|leg| leg.is_pending()).map(|leg| leg.breadth);
        used.fold(self.breadth, u16::saturating_sub)
    }

    pub(super) fn branch(&self, index: usize) -> BranchRef {
        BranchRef { index: index as u16, user: self.legs.get(index).map_or(0, |leg| leg.user) }
    }

    /// The earliest of its deadlines.
    pub(super) fn due(&self) -> Option<Instant> {
        let legs = self.legs.iter().filter(|leg| leg.is_pending()).filter_map(|leg| leg.deadline);
        legs.chain(self.deadline).min()
    }
}
