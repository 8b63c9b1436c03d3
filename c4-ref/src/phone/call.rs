//! How a phone's calls stand.

use sip_core::status::StatusCode;
use sip_core::ua::{EndCause, SessionId};

use super::report::Report;

/// How a call of the phone stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The session.
    pub session: SessionId,
    /// Whether this phone placed it.
    pub outgoing: bool,
    /// Its Call-ID, once it is known.
    pub call_id: Option<String>,
    /// How far it has come.
    pub progress: Progress,
    /// What was sent and heard, once another call has followed; until then [`Phone::sound`](super::Phone::sound) knows.
    pub sound: Option<Box<Report>>,
}

impl Call {
    /// A call at its beginning.
    pub(super) fn new(session: SessionId, outgoing: bool, call_id: Option<String>) -> Call {
        Call { session, outgoing, call_id, progress: Progress::Trying, sound: None }
    }
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No answer of the other side yet.
    Trying,
    /// It rings.
    Ringing,
    /// Answered, and the ACK has passed.
    Up,
    /// Over.
    Ended(Outcome),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This phone hung up.
    HungUp,
    /// The other side hung up.
    PeerHungUp,
    /// The caller gave up while it rang.
    Cancelled,
    /// Refused with this status; 408 and 503 also when nobody answered.
    Failed(StatusCode),
}

impl Outcome {
    pub(super) fn of(cause: &EndCause) -> Outcome {
        match cause {
            EndCause::Cancelled(_) | EndCause::CancelledByPeer(_) => Outcome::Cancelled,
            EndCause::Refused(response) => Outcome::Failed(response.status()),
            EndCause::Rejected(status) => Outcome::Failed(*status),
            EndCause::TransportFailed => Outcome::Failed(StatusCode::SERVICE_UNAVAILABLE),
            EndCause::LocalBye => Outcome::HungUp,
            EndCause::RemoteBye(_) => Outcome::PeerHungUp,
            _ => Outcome::Failed(StatusCode::REQUEST_TIMEOUT),
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Outcome::HungUp => "hung up".into(),
            Outcome::PeerHungUp => "peer hung up".into(),
            Outcome::Cancelled => "cancelled".into(),
            Outcome::Failed(status) => failed(status),
        }
    }
}

pub(super) fn failed(status: StatusCode) -> String {
    format!("failed: {} {}", status.code(), status.reason())
}
