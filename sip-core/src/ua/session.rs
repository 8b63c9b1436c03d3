//! An INVITE session: the state behind one call at one of its ends (RFC 3261 §13 to §15).
use super::config::Extra;
use super::dialog::Role;
use super::event::EndCause;
use super::ids::{DialogKey, RequestId};
use super::outbound::Peer;
use crate::message::{Request, Response};
use crate::transaction::{ClientId, ServerId};
use std::time::Duration;

/// How far a session has come.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Our INVITE has no final response yet.
    Calling,
    /// The peer's INVITE has no final response yet.
    Ringing { server: ServerId, request: Box<Request> },
    /// A 2xx passed.
    Up,
    /// Our BYE is under way.
    Closing,
    /// Over for the application; kept while a 2xx of another branch may still come.
    Ended,
}

/// A 2xx of ours that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Clone, Debug)]
pub(crate) struct Unacked {
    pub(crate) server: ServerId,
    pub(crate) seq: u32,
    pub(crate) response: Response,
    pub(crate) interval: Duration,
}

/// One call attempt and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) state: State,
    /// Who may challenge its requests.
    pub(crate) peer: Option<Peer>,
    /// The dialog of the session: for the callee from its first response, for the caller from the first 2xx.
    pub(crate) dialog: Option<DialogKey>,
    /// The caller's early dialogs, one a branch.
    pub(crate) early: Vec<DialogKey>,
    /// Dialogs of further 2xx, whose BYE is under way.
    pub(crate) surplus: Vec<DialogKey>,
    /// How many dialogs the INVITE has made; bounded.
    pub(crate) forks: usize,
    /// The caller's INVITE transaction, while the layer has it.
    pub(crate) invite: Option<ClientId>,
    /// The application wants out; with the Reason value to be told.
    pub(crate) hangup: Option<Option<String>>,
    /// Why the BYE that is under way was sent, when not on the application's wish.
    pub(crate) cause: Option<EndCause>,
    pub(crate) unacked: Option<Unacked>,
    /// The callee's last provisional response.
    pub(crate) provisional: Option<Response>,
    /// Requests of the peer that the application has not answered.
    pub(crate) requests: Vec<RequestId>,
    /// The re-INVITE among them.
    pub(crate) their_reinvite: Option<RequestId>,
    /// Our re-INVITE without final response.
    pub(crate) our_reinvite: Option<(RequestId, Extra)>,
    /// Our re-INVITE that got a 491 and is to be sent again; the peer's may come meanwhile.
    pub(crate) postponed: Option<(RequestId, Extra)>,
}

impl Session {
    pub(crate) fn new(role: Role, state: State, peer: Option<Peer>) -> Session {
        Session {
            role,
            state,
            peer,
            dialog: None,
            early: Vec::new(),
            surplus: Vec::new(),
            forks: 0,
            invite: None,
            hangup: None,
            cause: None,
            unacked: None,
            provisional: None,
            requests: Vec::new(),
            their_reinvite: None,
            our_reinvite: None,
            postponed: None,
        }
    }

    /// Whether an INVITE transaction of the confirmed dialog runs, either way (RFC 3261 §14.1).
    pub(crate) fn invite_runs(&self) -> bool {
        self.our_reinvite.is_some() || self.their_reinvite.is_some() || self.unacked.is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}
