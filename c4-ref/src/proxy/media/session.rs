//! A request whose media is anchored.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_core::Target;
use sip_core::proxy::Branch;

use super::super::dialogs::Way;
use super::super::outbound::Wanted;
use crate::ng::client::NodeId;

/// Who talks to whom, as the SIP request says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Parties {
    pub(in super::super) call_id: String,
    pub(in super::super) from_tag: String,
    /// Nothing in a request that makes a dialog.
    pub(in super::super) to_tag: String,
}

impl Parties {
    pub(in super::super) fn of(request: &sip_core::Request) -> Parties {
        Parties {
            call_id: request.call_id().to_owned(),
            from_tag: request.from_tag().unwrap_or_default().to_owned(),
            to_tag: request.to_tag().unwrap_or_default().to_owned(),
        }
    }

    /// The caller's and the called side's tag.
    pub(in super::super) fn sides(&self, from_caller: bool) -> (&str, &str) {
        if from_caller { (&self.from_tag, &self.to_tag) } else { (&self.to_tag, &self.from_tag) }
    }
}

/// A request on its way out.
#[derive(Debug, Clone)]
pub(in super::super) enum Departure {
    /// It may make a dialog.
    New { wanted: Box<Wanted>, branches: Vec<Prepared> },
    /// Inside a dialog; and where it came from.
    InDialog { way: Way, source: IpAddr },
}

/// A branch without its Record-Route, which names the relay.
#[derive(Debug, Clone)]
pub(in super::super) struct Prepared {
    pub(in super::super) branch: Branch,
    /// Where the called side is, if its Contact does not say it.
    pub(in super::super) callee: Option<Target>,
}

impl Departure {
    pub(super) fn source(&self) -> IpAddr {
        match self {
            Departure::New { wanted, .. } => wanted.admitted.source.remote.ip(),
            Departure::InDialog { source, .. } => *source,
        }
    }

    pub(super) fn way(&self) -> Option<&Way> {
        match self {
            Departure::New { .. } => None,
            Departure::InDialog { way, .. } => Some(way),
        }
    }
}

/// What the SDP of a request, or the lack of it, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An offer; the answer is in a response.
    Offer,
    /// None: the offer is in a response (RFC 3261 §13.2.1).
    Late,
    /// The answer to an offer in a reliable 1xx (RFC 3262 §5).
    Answer,
    /// The end of a dialog.
    Bye,
}

/// A branch of a request.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// What the proxy core calls it: the low 16 bits of [`Branch::user`].
    pub(super) number: u64,
    /// What the relay calls it; inside a dialog the tags say it all.
    pub(super) via_branch: Option<String>,
    /// The SDP that it gets.
    pub(super) sdp: Option<Bytes>,
    /// Whether the relay has refused it.
    pub(super) is_bare: bool,
    /// Whether the relay was told that it has ended.
    pub(super) is_deleted: bool,
}

/// A request and the relay that serves it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) step: Step,
    pub(super) parties: Arc<Parties>,
    /// Whose request it is, and by which relay the dialog began; `None`: it makes a dialog.
    pub(super) way: Option<Way>,
    /// The relay; `None`: not known before the first offer is served.
    pub(super) node: Option<NodeId>,
    /// Whether the relay that the dialog names was given up.
    pub(super) moved: bool,
    /// What goes out once the relay has answered.
    pub(super) departure: Option<Departure>,
    pub(super) branches: Vec<Leaving>,
    /// Offers that the relay has not answered.
    pub(super) waiting: usize,
}

impl Session {
    pub(super) fn new(step: Step, parties: Arc<Parties>, way: Option<Way>, node: Option<NodeId>) -> Session {
        let moved = way.is_some() && node.is_none();
        Session { step, parties, way, node, moved, departure: None, branches: Vec::new(), waiting: 0 }
    }

    /// The same, to change it.
    pub(super) fn branch_mut(&mut self, user: u64) -> Option<&mut Leaving> {
        self.branches.iter_mut().find(|branch| branch.number == user & 0xffff)
    }

    /// The branch that the proxy core marks with `user`.
    pub(super) fn branch(&self, user: u64) -> Option<&Leaving> {
        self.branches.iter().find(|branch| branch.number == user & 0xffff)
    }
}
