//! The way back to a client (RFC 3261 §18.2.2).

use super::event::Event;
use super::id::{ConnectId, ServerId};
use super::output::Cx;
use crate::flow::{Flow, Target};
use bytes::Bytes;
use std::net::SocketAddr;

/// Where the responses of a server transaction go.
#[derive(Clone, Debug, Hash)]
pub(super) struct Reply {
    /// UDP: to the port of the Via or of the source (RFC 3581 §4). Streams: the connection of the request.
    flow: Flow,
    /// The port of the Via's sent-by, for a new connection.
    port: u16,
    way: Way,
    may_connect: bool,
    /// Whether the transaction user knows of a failure.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Open,
    /// The connection is gone; the next response asks for another.
    Closed,
    /// A new connection was asked for.
    Connecting,
    /// A new connection was had; there is no third.
    Reopened,
    Lost,
}

impl Reply {
    pub(super) fn new(flow: Flow, port: u16, may_connect: bool) -> Reply {
        Reply { flow, port, way: Way::Open, may_connect, told: false }
    }

    pub(super) fn is_reliable(&self) -> bool {
        self.flow.transport.is_reliable()
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) fn set_may_connect(&mut self, may: bool) {
        self.may_connect = may;
    }

    /// Whether a response waits for a connection.
    pub(super) fn is_connecting(&self) -> bool {
        self.way == Way::Connecting
    }

    /// Sends, or asks for a connection first. Without a way back nothing happens: the transaction user knows.
    pub(super) fn send(&mut self, cx: &mut Cx<'_>, payload: &Bytes) {
        match self.way {
            Way::Open | Way::Reopened => cx.send(&self.flow, payload),
            Way::Closed => {
                self.way = Way::Connecting;
                let remote = SocketAddr::new(self.flow.remote.ip(), self.port);
                let target = Target::new(self.flow.transport, remote);
                cx.event(Event::Connect { id: ConnectId(cx.raw), target });
            }
            Way::Connecting | Way::Lost => {}
        }
    }

    /// The new connection stands, or not: what waits goes out, or is lost.
    pub(super) fn connect_done(&mut self, cx: &mut Cx<'_>, flow: Option<Flow>, payload: &Bytes) {
        if self.way != Way::Connecting {
            return;
        }
        let Some(flow) = flow else { return self.lose(cx, true) };
        self.flow = flow;
        self.way = Way::Reopened;
        if !payload.is_empty() {
            cx.send(&self.flow, payload);
        }
    }

    /// The connection is gone. `tell` says whether the transaction user still has something to answer.
    pub(super) fn closed(&mut self, cx: &mut Cx<'_>, tell: bool) {
        match self.way {
            Way::Open if self.may_connect => self.way = Way::Closed,
            Way::Open | Way::Reopened => self.lose(cx, tell),
            Way::Closed | Way::Connecting | Way::Lost => {}
        }
    }

    /// A response could not be sent.
    pub(super) fn transmit_failed(&mut self, cx: &mut Cx<'_>, payload: &Bytes) {
        if !self.is_reliable() {
            // Another datagram may get through.
            return self.tell(cx);
        }
        self.closed(cx, true);
        if self.way == Way::Closed {
            self.send(cx, payload);
        }
    }

    fn lose(&mut self, cx: &mut Cx<'_>, tell: bool) {
        self.way = Way::Lost;
        if tell {
            self.tell(cx);
        }
    }

    fn tell(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.told, true) {
            cx.out.stats.transport_failed += 1;
            cx.event(Event::ServerFailed { id: ServerId(cx.raw) });
        }
    }
}
