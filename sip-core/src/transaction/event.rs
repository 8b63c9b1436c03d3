//! What goes into a layer and what comes out.

use super::id::{ClientId, ConnectId, ServerId, TransmitId};
use crate::flow::{Flow, Target};
use crate::message::{Checked, Request, Response};
use bytes::Bytes;
use thiserror::Error;

/// A message that a peer sent.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it came from.
    pub flow: Flow,
    /// The message, checked.
    pub message: Checked,
}

/// Octets to put on the wire. Dropping a datagram is allowed: it is sent again or its loss is found out by a timer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transmit {
    /// Whom [`Layer::handle_transmit_failed`](super::Layer::handle_transmit_failed) tells of a failure.
    pub id: TransmitId,
    /// Where to. A UDP flow without a known local address has an unspecified one: the caller picks.
    pub flow: Flow,
    /// A whole message. A retransmission shares the octets.
    pub payload: Bytes,
}

/// What the transaction user must know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new request; its top Via bears `received` and `rport` (RFC 3261 §18.2.1, RFC 3581 §4).
    Request {
        /// Answer it with [`Layer::respond`](super::Layer::respond), at last with a final response.
        id: ServerId,
        /// The request.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// An ACK that belongs to no transaction: that of a 2xx (RFC 3261 §13.3.1.4), or a stray one.
    Ack {
        /// The ACK.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// A CANCEL for an INVITE without a final response (RFC 3261 §9.2). The layer has answered it with 200;
    /// the INVITE still waits for its final response, 487 most likely.
    Cancel {
        /// The transaction of the INVITE.
        id: ServerId,
        /// The CANCEL, with its Reason (RFC 3326) if it has one.
        request: Request,
    },
    /// A CANCEL that matched nothing and was answered 481 (RFC 3261 §9.2).
    StrayCancel {
        /// The CANCEL.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// A response to a request of ours; our Via is popped already. Retransmissions are absorbed, but every 2xx to an
    /// INVITE is passed on until Timer M fires (RFC 6026 §7.2).
    Response {
        /// The client transaction.
        id: ClientId,
        /// The response.
        response: Response,
        /// Where it came from.
        flow: Flow,
    },
    /// A response that matches no transaction. It must not be forwarded (RFC 6026 §7.2); its Via is untouched.
    StrayResponse {
        /// The response.
        response: Response,
        /// Where it came from.
        flow: Flow,
    },
    /// No response in time: Timer B or F, or 64*T1 after a CANCEL without a final response (RFC 3261 §9.1).
    Timeout {
        /// The client transaction, which has ended.
        id: ClientId,
    },
    /// The request, or the ACK to its response, could not be sent or its connection was lost (RFC 3261 §17.1.4).
    TransportFailed {
        /// The client transaction, which has ended.
        id: ClientId,
    },
    /// A response could not be delivered: no ACK until Timer H (RFC 3261 §17.2.1), or no way back to the client
    /// (§17.2.4). An INVITE without a final response still wants one (RFC 6026 §7.1).
    ServerFailed {
        /// The server transaction.
        id: ServerId,
    },
    /// The last event of a client transaction: its id is gone.
    ClientEnded {
        /// The client transaction.
        id: ClientId,
    },
    /// The last event of a server transaction: its id is gone.
    ServerEnded {
        /// The server transaction.
        id: ServerId,
    },
    /// A connection is needed. Answer with [`Layer::handle_connect_done`](super::Layer::handle_connect_done), at once
    /// when one exists already.
    Connect {
        /// To name it in the answer.
        id: ConnectId,
        /// Whom to connect to.
        target: Target,
    },
}

/// Why an input was not taken. Nothing has changed but counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// A bound is reached: too many transactions, or too much output waits to be polled.
    #[error("a bound is reached")]
    Busy,
    /// The topmost Via cannot be answered to.
    #[error("the topmost Via is unusable")]
    Via,
}

/// A command was refused because a bound is reached. Nothing has changed but counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("a bound is reached")]
pub struct Busy;

/// The transaction has ended or has its final response: the command comes too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("the transaction is gone")]
pub struct Gone;
