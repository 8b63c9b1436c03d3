//! What the proxy core tells its caller.

use crate::status::StatusCode;

/// A response context (RFC 3261 §16.2); never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u64);

/// A branch: its place among those of its context, and the caller's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BranchRef {
    /// 0 for the first that was sent.
    pub index: u16,
    /// [`Branch::user`](super::Branch::user).
    pub user: u64,
}

/// Events of a context; `user` is what [`Proxy::set_user`](super::Proxy::set_user) gave it, 0 before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A valid request wants targets (RFC 3261 §16.5). Answer, now or later, with
    /// [`forward`](super::Proxy::forward), [`relay`](super::Proxy::relay) or [`reject`](super::Proxy::reject).
    Route {
        /// The context; read its request with [`Proxy::request_of`](super::Proxy::request_of).
        id: ContextId,
        /// Whether the To has a tag.
        in_dialog: bool,
        /// Route values that named us and were taken off (RFC 3261 §16.4).
        own_routes: u8,
    },
    /// A provisional response above 100 was sent on.
    Provisional {
        /// The context.
        id: ContextId,
        /// Its mark.
        user: u64,
        /// Who sent it.
        branch: BranchRef,
        /// What.
        status: StatusCode,
    },
    /// A branch ended without success. Other targets may follow by themselves, or the caller adds some.
    BranchFailed {
        /// The context.
        id: ContextId,
        /// Its mark.
        user: u64,
        /// Which.
        branch: BranchRef,
        /// What it counts as.
        status: StatusCode,
        /// Why.
        cause: Cause,
        /// Whether it goes on: the same branch to its next destination, or others where it was redirected to.
        retried: bool,
    },
    /// All targets failed and the context was told to ask ([`Options::ask`](super::Options::ask)): answer with
    /// [`forward`](super::Proxy::forward) (more targets), [`reject`](super::Proxy::reject) or
    /// [`conclude`](super::Proxy::conclude) (the best response).
    Exhausted {
        /// The context.
        id: ContextId,
        /// Its mark.
        user: u64,
        /// The best response so far; None when no target was left after a CANCEL or none was given.
        status: Option<StatusCode>,
    },
    /// A 2xx was sent on. A second one with another To tag (a second phone that answered, RFC 3261 §13.2.2.4) is told
    /// with `first: false`, also after the context has finished; retransmissions are not told.
    Answered {
        /// The context.
        id: ContextId,
        /// Its mark.
        user: u64,
        /// Who answered.
        branch: BranchRef,
        /// 2xx.
        status: StatusCode,
        /// The To tag of the answer.
        to_tag: Option<Box<str>>,
        /// Whether it is the context's first.
        first: bool,
    },
    /// The final response is out and every branch has ended: the context is gone. Exactly one for each context.
    Finished {
        /// The context.
        id: ContextId,
        /// Its mark.
        user: u64,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How a context ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// The final response that was sent; None where silence is the rule (RFC 4320 §4.2).
    pub status: Option<StatusCode>,
    /// Who decided it.
    pub by: By,
    /// The branch whose response it was.
    pub branch: Option<BranchRef>,
    /// Whether the caller's CANCEL arrived before the final response.
    pub cancelled: bool,
    /// The Reason header of the final response, else of the CANCEL (RFC 3326).
    pub reason: Option<Box<str>>,
}

/// Who decided a context's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// A server downstream: its response was sent on.
    Callee,
    /// The caller, by CANCEL.
    Caller,
    /// This proxy: a timer (Timer B, C, F, the ringing limit).
    Timer,
    /// This proxy: no branch could be sent or all transports failed.
    Transport,
    /// The application, by [`Proxy::reject`](super::Proxy::reject) or [`Proxy::cancel`](super::Proxy::cancel).
    Application,
}

/// Why a branch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A final response.
    Response,
    /// No response at all: Timer B or F (RFC 3261 §16.7 step 10: 408).
    Timeout,
    /// Timer C (RFC 3261 §16.8) or the ringing limit: 408.
    Expired,
    /// Transport failure (RFC 3261 §16.9: 503).
    Transport,
    /// The transaction layer was full or the target's values could not be written.
    NotSent,
}
