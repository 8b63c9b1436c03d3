//! Out: to flows, to targets, and what to do when that fails.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use nat::path::{Connection, FlowToken};
use nat::reply::{ReplyToken, Side};
use sip_core::flow::{ConnectionId, Destination, Flow, Target, Transport};
use sip_core::message::{Checked, Message};
use sip_core::{Limits, Method, StatusCode};

use super::Lb;
use super::connections::{ConnectId, Reach, TransmitId};
use super::listeners::ListenerId;
use super::stats::Counter;
use crate::machine::{Event, Transmit};

/// The flow of a token is gone: another boot's, or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dead;

impl Lb {
    /// The way that a connection in a token names.
    fn stream(&self, connection: Connection, listener: ListenerId, peer: std::net::SocketAddr) -> Result<Flow, Dead> {
        if connection.epoch != self.epoch {
            return Err(Dead);
        }
        let id = ConnectionId(connection.id);
        if let Some(live) = self.connections.get(id) {
            return Ok(live.flow);
        }
        // Our own streams are all known; those of other workers may be there or not: the driver will say.
        if id.worker() == self.worker {
            return Err(Dead);
        }
        let listener = self.listeners.get(listener).ok_or(Dead)?;
        let transport = if listener.transport.is_reliable() { listener.transport } else { Transport::Tcp };
        Ok(Flow { transport, local: listener.bind, remote: peer, connection: Some(id) })
    }

    /// Where a route token leads.
    pub(super) fn of_token(&self, token: &FlowToken) -> Result<Destination, Dead> {
        if let Some(connection) = token.connection {
            return self.stream(connection, token.listener, token.peer).map(Destination::Flow);
        }
        let listener = self.listeners.get(token.listener);
        match listener.map(|l| l.transport).filter(|t| t.is_reliable()) {
            // A stream that we opened ourselves, and may open again.
            Some(transport) => Ok(Destination::Target(target(transport, token.peer))),
            None => {
                let listener = self.listeners.datagram(token.listener, token.peer.is_ipv6()).ok_or(Dead)?;
                Ok(Destination::Flow(Flow::udp(listener.bind, token.peer)))
            }
        }
    }

    /// The flow that a response goes back on.
    pub(super) fn of_reply(&self, token: &ReplyToken) -> Result<Flow, Dead> {
        if let Some(connection) = token.connection {
            return self.stream(connection, token.listener, token.peer);
        }
        let listener = self.listeners.datagram(token.listener, token.peer.is_ipv6()).ok_or(Dead)?;
        Ok(Flow::udp(listener.bind, token.peer))
    }

    pub(super) fn transmit(&mut self, flow: Flow, payload: Bytes) {
        self.last_transmit += 1;
        let id = TransmitId(self.last_transmit);
        if flow.connection.is_some() {
            self.connections.sent(self.now, id, &payload);
        }
        self.out.push_back(Transmit { id, flow, payload, close: false });
    }

    /// Sends to a flow, or to a target over the connection that leads there, which is opened when there is none.
    pub(super) fn send(&mut self, destination: Destination, payload: Bytes) {
        let target = match destination {
            Destination::Flow(flow) => return self.transmit(flow, payload),
            Destination::Target(target) => target,
        };
        match self.connections.reach(&target, &payload) {
            Reach::Open(flow) => self.transmit(flow, payload),
            Reach::Ask(id) => self.events.push_back(Event::Connect { id, target }),
            Reach::Waiting => {}
            Reach::Full => {
                self.stats.bump(Counter::Overflow);
                self.bounce(&payload, StatusCode::SERVICE_UNAVAILABLE, false);
            }
        }
    }

    pub(super) fn connect_done(&mut self, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        let flow = result.ok();
        for payload in self.connections.connected(id, flow) {
            match flow {
                Some(flow) => self.transmit(flow, payload),
                None => {
                    self.stats.bump(Counter::ConnectsFailed);
                    self.bounce(&payload, StatusCode::SERVICE_UNAVAILABLE, false);
                }
            }
        }
    }

    /// A transmit on a stream has failed: RFC 5626 §5.3 wants 430 for a request on a dead flow; a response may have
    /// another way (RFC 3261 §18.2.2).
    pub(super) fn transmit_failed(&mut self, id: TransmitId) {
        self.stats.bump(Counter::TransmitsFailed);
        if let Some(payload) = self.connections.failed(id) {
            self.bounce(&payload, StatusCode::FLOW_FAILED, true);
        }
    }

    /// Sends back what could not go on: the answer to a request of ours, to where it came from; a response by its
    /// Via, if `again` and its next hop is known to us.
    fn bounce(&mut self, payload: &Bytes, status: StatusCode, again: bool) {
        let Ok(message) = Message::parse(payload.clone(), &Limits::default()) else { return };
        match message.check() {
            Ok(Checked::Request(mut request)) => {
                let lifetime = self.lifetime;
                let back = request.via().and_then(|v| super::via::open(&v, &self.keys, self.unix(), lifetime).ok());
                let Some(back) = back else { return };
                if status == StatusCode::FLOW_FAILED {
                    self.stats.bump(Counter::DeadFlows);
                }
                if *request.method() == Method::Ack || !request.pop_via() {
                    return;
                }
                // A request that did not reach a proxy is told so as the proxies' absence: nobody out there knows flows.
                let status = if back.to == Side::Inside { status } else { StatusCode::SERVICE_UNAVAILABLE };
                let response = self.answer_of(&request, status);
                self.answer_back(&back, response);
            }
            Ok(Checked::Response(response)) => {
                let target = response.via().and_then(|via| sip_core::proxy::next_hop::of_via(&via));
                let known = |t: &Target| self.is_peer(t.remote.ip()) || self.backends.has_ip(t.remote.ip());
                match target.filter(|t| again && t.transport.is_reliable() && known(t)) {
                    Some(t) => self.send(Destination::Target(self::target(t.transport, t.remote)), payload.clone()),
                    None => self.stats.bump(Counter::LostResponses),
                }
            }
            Err(_) => {}
        }
    }
}

/// A target by its address; a certificate must bear the address, for there is no name (RFC 5922 §4).
pub(super) fn target(transport: Transport, remote: std::net::SocketAddr) -> Target {
    let tls_name: Option<Arc<str>> = transport.is_secure().then(|| remote.ip().to_string().into());
    Target { tls_name, ..Target::new(transport, remote) }
}
