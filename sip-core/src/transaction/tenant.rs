//! What lives in the table: one of the four state machines with its timers and indexes.

use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::matching::Key;
use super::non_invite_client::NonInviteClient;
use super::non_invite_server::NonInviteServer;
use super::timer::TimerTable;
use crate::flow::{Flow, Target};
use crate::method::Method;
use bytes::Bytes;

#[derive(Clone, Debug, Hash)]
pub(super) enum Fsm {
    InviteClient(InviteClient),
    NonInviteClient(NonInviteClient),
    InviteServer(InviteServer),
    NonInviteServer(NonInviteServer),
    /// Sent outside of transactions, once its connection stands; empty when done.
    Send(Bytes),
}

impl Fsm {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Fsm::InviteClient(fsm) => fsm.is_over(),
            Fsm::NonInviteClient(fsm) => fsm.is_over(),
            Fsm::InviteServer(fsm) => fsm.is_over(),
            Fsm::NonInviteServer(fsm) => fsm.is_over(),
            Fsm::Send(payload) => payload.is_empty(),
        }
    }

    /// Whether the final response is there and only retransmissions are absorbed.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Fsm::InviteClient(fsm) => fsm.is_waiting(),
            Fsm::NonInviteClient(fsm) => fsm.is_waiting(),
            Fsm::InviteServer(fsm) => fsm.is_waiting(),
            Fsm::NonInviteServer(fsm) => fsm.is_waiting(),
            Fsm::Send(_) => false,
        }
    }

    /// Whether it asked for a connection and has no answer yet.
    pub(super) fn is_connecting(&self) -> bool {
        match self {
            Fsm::InviteClient(fsm) => fsm.is_connecting(),
            Fsm::NonInviteClient(fsm) => fsm.is_connecting(),
            Fsm::InviteServer(fsm) => fsm.is_connecting(),
            Fsm::NonInviteServer(fsm) => fsm.is_connecting(),
            Fsm::Send(_) => true,
        }
    }

    /// Octets of a request that waits for its connection.
    pub(super) fn connecting(&self) -> usize {
        match self {
            Fsm::InviteClient(fsm) if fsm.is_connecting() => fsm.payload().len(),
            Fsm::NonInviteClient(fsm) if fsm.is_connecting() => fsm.payload().len(),
            Fsm::Send(payload) => payload.len(),
            _ => 0,
        }
    }
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Tenant {
    pub(super) fsm: Fsm,
    pub(super) timers: TimerTable,
    pub(super) method: Method,
    pub(super) side: Side,
    /// Whether it is counted as waiting.
    pub(super) waiting: bool,
    pub(super) connection: Connection,
}

/// What the two sides have of their own.
#[derive(Clone, Debug, Hash)]
pub(super) enum Side {
    Client {
        /// Octets counted as waiting for a connection.
        connecting: u32,
        /// Sent to a flow, not to a target: without the flow there is no answer.
        bound: bool,
        /// Goes there by UDP when no connection can be made (RFC 3261 §18.1.1).
        datagram: Option<Box<Target>>,
    },
    Server {
        key: Key,
        merge: Option<u64>,
        merged: bool,
    },
}

/// The place's link into the list of those that share its connection.
#[derive(Clone, Debug, Hash)]
pub(super) struct Connection {
    /// 0: none.
    pub(super) id: u64,
    pub(super) next: u32,
    pub(super) previous: u32,
}

impl Tenant {
    pub(super) fn new(fsm: Fsm, method: Method, side: Side) -> Tenant {
        let connection = Connection { id: 0, next: super::wheel::NONE, previous: super::wheel::NONE };
        Tenant { fsm, timers: TimerTable::new(), method, side, waiting: false, connection }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self.side, Side::Server { .. })
    }
}

/// The connection of a flow as a number; 0 for none.
pub(super) fn connection_of(flow: &Flow) -> u64 {
    flow.connection.map_or(0, |connection| connection.0)
}
