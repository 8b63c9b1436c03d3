//! The one trait that `io` drives: a state machine without I/O, one per worker.
//!
//! The calling contract, in the driver's fixed order: [`Machine::handle_timeout`] when [`Machine::poll_timeout`] is
//! due; inputs (messages, closed flows, answers to connects, commands); [`Machine::poll_transmit`] and
//! [`Machine::poll_datagram`] until empty; [`Machine::poll_event`] until empty. A machine that still has output says `poll_timeout() <= now`.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::flow::{Flow, Target};
use sip_core::message::Message;

use crate::admin::{Answer, Command};
use crate::cdr::spool;
use crate::identity::Identities;

/// A role: the load balancer, the proxy, a phone, or an echo in a test.
pub trait Machine {
    /// Names an [`Event::Connect`] in its answer.
    type ConnectId: Copy + Send + 'static;
    /// Names a [`Transmit`] in the news of its failure.
    type TransmitId: Copy + Send + 'static;

    /// The worker whose machine must take `message`; `None`: whoever received it. Called by the receiving worker, so
    /// it may read what all workers share (their number, the tag in a branch), never the state of this one.
    fn shard(&self, flow: &Flow, message: &Message) -> Option<usize> {
        let _ = (flow, message);
        None
    }

    /// A framed message, not yet checked.
    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message);

    /// Whatever is due at `now`; a spurious call does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`Machine::handle_timeout`] must be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next message to send. Its flow may belong to another worker.
    fn poll_transmit(&mut self) -> Option<Transmit<Self::TransmitId>>;

    /// A datagram came to a plain socket: something other than SIP (RTP of a phone, a control protocol). `socket` is its
    /// number among those that this worker was given.
    fn handle_datagram(&mut self, now: Instant, socket: usize, from: SocketAddr, payload: Bytes) {
        let _ = (now, socket, from, payload);
    }

    /// The worker whose machine must take a datagram of a plain socket; `None`: whoever received it.
    fn datagram_shard(&self, socket: usize, payload: &[u8]) -> Option<usize> {
        let _ = (socket, payload);
        None
    }

    /// News of a connection that [`Event::PlainConnect`] asked for.
    fn handle_plain(&mut self, now: Instant, id: u64, news: PlainNews) {
        let _ = (now, id, news);
    }

    /// The next datagram to send from a plain socket. What does not get away is lost, as on the network.
    fn poll_datagram(&mut self) -> Option<Datagram> {
        None
    }

    /// The next request to the outside.
    fn poll_event(&mut self) -> Option<Event<Self::ConnectId>>;

    /// The answer to [`Event::Connect`]; the flow may have existed before.
    fn handle_connect_done(&mut self, now: Instant, id: Self::ConnectId, result: Result<Flow, io::ErrorKind>);

    /// A message of [`Machine::poll_transmit`] did not get away. [`io::ErrorKind::NotConnected`]: its flow is gone.
    fn handle_transmit_failed(&mut self, now: Instant, id: Self::TransmitId, kind: io::ErrorKind);

    /// The client of an accepted TLS connection has shown a certificate that proves these domains. Comes before the flow's
    /// first message, to every worker, and counts until [`Machine::handle_flow_closed`].
    fn handle_flow_identified(&mut self, now: Instant, flow: Flow, identities: &Identities) {
        let _ = (now, flow, identities);
    }

    /// A connection ended; every worker hears of it, for answers may wait in another shard.
    fn handle_flow_closed(&mut self, now: Instant, flow: Flow);

    /// The operator's question or order; `None`: not a method of this machine.
    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        let _ = (now, command);
        None
    }

    /// It is `unix` since 1970 at `now`; told now and then, for somebody may set the clock.
    fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        let _ = (now, unix);
    }

    /// The operator's files were read again and are good: what of `news` is this machine's kind it takes into use.
    fn handle_reload(&mut self, now: Instant, news: &News) {
        let _ = (now, news);
    }

    /// The program stops: what must survive goes into events now. No input follows.
    fn handle_stop(&mut self, now: Instant) {
        let _ = now;
    }
}

/// What the operator's files hold since they were read again: of a type that the machines of the role know.
pub type News = Arc<dyn Any + Send + Sync>;

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit<Id> {
    /// Comes back in [`Machine::handle_transmit_failed`].
    pub id: Id,
    /// The way it takes: the listener's socket over UDP, else this connection and no other.
    pub flow: Flow,
    /// The octets; empty with `close` just closes.
    pub payload: Bytes,
    /// Close the connection once the payload is written.
    pub close: bool,
}

/// A datagram on its way out of a plain socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Number of the socket among those that this worker was given.
    pub socket: usize,
    /// Where to.
    pub to: SocketAddr,
    /// The octets.
    pub payload: Bytes,
}

/// What becomes of a plain connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainNews {
    /// It stands, or could not be made.
    Connected(Result<(), io::ErrorKind>),
    /// Octets came.
    Octets(Bytes),
    /// It ended.
    Closed,
}

/// What a machine asks of the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<ConnectId> {
    /// Make a connection, or find the one that exists; answered by [`Machine::handle_connect_done`] with `id`.
    Connect {
        /// Names the question in the answer.
        id: ConnectId,
        /// Where to.
        target: Target,
    },
    /// Write a record into the durable store (a binary without a store drops it).
    Put {
        /// Table of the record; tables are made at first use.
        table: &'static str,
        /// Key of the record.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Take a record out of the durable store.
    Delete {
        /// Table of the record.
        table: &'static str,
        /// Key of the record.
        key: Vec<u8>,
    },
    /// Make a plain connection, over which something other than SIP goes; answered by [`Machine::handle_plain`].
    PlainConnect {
        /// Its number, never used again by this machine.
        id: u64,
        /// Where to.
        to: SocketAddr,
    },
    /// Write to a plain connection. One that does not take it is closed, with [`PlainNews::Closed`].
    PlainWrite {
        /// Which.
        id: u64,
        /// What; empty with `close` just closes.
        payload: Bytes,
        /// Close it afterwards; nothing more is heard of it.
        close: bool,
    },
    /// Append to the file of call detail records: a whole line with its line feed.
    Cdr(String),
    /// Note the beginning, answer or end of a call in the spool beside that file.
    Spool(spool::Entry),
}
