//! What a user agent tells its owner.
use super::dialog::DialogId;
use super::ids::{RegistrationId, RequestId, SessionId};
use crate::flow::Flow;
use crate::message::{Request, Response};
use crate::status::StatusCode;
use std::time::Duration;

/// Something that happened; drained by [`Ua::poll_event`](super::Ua::poll_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An INVITE opened a session: answer it by [`Ua::ring`](super::Ua::ring), [`Ua::answer`](super::Ua::answer) or
    /// [`Ua::reject`](super::Ua::reject).
    Incoming {
        /// The session.
        session: SessionId,
        /// The INVITE.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
    },
    /// 101 to 199 for our INVITE. Each To tag is an early dialog of its own (RFC 3261 §12.1).
    Progress {
        /// The session.
        session: SessionId,
        /// The early dialog; `None` when the response makes none.
        dialog: Option<DialogId>,
        /// The response as it came.
        response: Box<Response>,
    },
    /// The first 2xx for our INVITE; the ACK is sent.
    Answered {
        /// The session.
        session: SessionId,
        /// The 2xx.
        response: Box<Response>,
    },
    /// A 2xx of a second branch: it got its ACK and a BYE, the session stays with the first (RFC 3261 §13.2.2.4).
    Surplus {
        /// The session.
        session: SessionId,
        /// The dialog that is being hung up.
        dialog: DialogId,
    },
    /// The ACK to our 2xx came: the callee's session is up.
    Confirmed {
        /// The session.
        session: SessionId,
        /// The ACK, with an answer in its body when the 2xx carried an offer.
        ack: Box<Request>,
    },
    /// The peer sent a re-INVITE, or another request that is left to the application; answer it by
    /// [`Ua::answer_request`](super::Ua::answer_request).
    Request {
        /// The session.
        session: SessionId,
        /// Names the request in the answer.
        id: RequestId,
        /// The request.
        request: Box<Request>,
    },
    /// A final response to a request the application sent inside a session.
    Response {
        /// The session.
        session: SessionId,
        /// The request it answers.
        id: RequestId,
        /// `None`: no answer came in time, or it could not be sent.
        response: Option<Box<Response>>,
    },
    /// The session is over; its id means nothing any more.
    Ended {
        /// The session.
        session: SessionId,
        /// Why.
        cause: EndCause,
    },
    /// The registrar took the registration.
    Registered {
        /// The registration.
        registration: RegistrationId,
        /// The lifetime granted.
        expires: Duration,
        /// The 200.
        response: Box<Response>,
    },
    /// The registration is removed at the registrar, on our wish; its id means nothing any more.
    Unregistered {
        /// The registration.
        registration: RegistrationId,
    },
    /// The registrar refused or did not answer; another try follows.
    RegistrationFailed {
        /// The registration.
        registration: RegistrationId,
        /// The refusal, if there was one.
        response: Option<Box<Response>>,
        /// How long until the next try.
        retry_in: Duration,
    },
}

/// Why a session ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndCause {
    /// We gave up before the answer; with the 487, if one came.
    Cancelled(Option<Box<Response>>),
    /// The caller gave up before the answer, by this CANCEL (its Reason may say more).
    CancelledByPeer(Box<Request>),
    /// The callee (or a proxy) refused our INVITE: 300 to 699.
    Refused(Box<Response>),
    /// This end refused the peer's INVITE.
    Rejected(StatusCode),
    /// No final response; counts as 408 (RFC 3261 §8.1.3.1).
    Timeout,
    /// The INVITE could not be sent; counts as 503 (RFC 3261 §8.1.3.1).
    TransportFailed,
    /// This end sent the BYE.
    LocalBye,
    /// The peer sent the BYE (its Reason may say more).
    RemoteBye(Box<Request>),
    /// Our 2xx was never acknowledged (RFC 3261 §13.3.1.4).
    NoAck,
    /// The peer no longer knows the dialog: 481, 408 or silence to a request in it (RFC 3261 §12.2.1.2).
    PeerGone,
}
