//! The server side: requests in, responses out.

use super::derive;
use super::event::{Event, Gone, Rejected, Transmit};
use super::id::{Kind, ServerId, TransmitId, pack};
use super::invite_server::InviteServer;
use super::layer::Layer;
use super::matching::Key;
use super::non_invite_server::NonInviteServer;
use super::output::Verdict;
use super::reply::Reply;
use super::tenant::{Fsm, Side, Tenant};
use super::via;
use crate::flow::Flow;
use crate::header::Via;
use crate::message::{Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use bytes::Bytes;
use std::time::Instant;

/// Methods besides INVITE that a CANCEL may name.
const CANCELLABLE: [Method; 11] = [
    Method::Invite,
    Method::Bye,
    Method::Options,
    Method::Register,
    Method::Prack,
    Method::Subscribe,
    Method::Notify,
    Method::Publish,
    Method::Info,
    Method::Refer,
    Method::Update,
];

/// A request that belongs to no transaction yet.
struct Arrival {
    key: Key,
    flow: Flow,
    /// The way back, and the port for a new connection.
    back: (Flow, u16),
    octets: Bytes,
}

impl Layer {
    /// Answers a request: 1xx, or the final response. Retransmissions are the layer's; but a 2xx to an INVITE may and
    /// must be repeated by its user until the ACK comes (RFC 3261 §13.3.1.4, RFC 6026 §7.1).
    ///
    /// To a non-INVITE no provisional response but 100 is sent, that one only when it is due, and never a 408
    /// (RFC 4320): such a response counts as given.
    ///
    /// # Errors
    /// [`Gone`] when the transaction has ended or has its final response.
    pub fn respond(&mut self, now: Instant, id: ServerId, response: Response) -> Result<(), Gone> {
        self.advance(now);
        let status = response.status();
        self.table
            .with(id.0, |fsm, cx| match fsm {
                Fsm::InviteServer(fsm) => fsm.respond(cx, status, response.to_bytes()),
                Fsm::NonInviteServer(fsm) => fsm.respond(cx, status, response.to_bytes()),
                _ => Err(Gone),
            })
            .unwrap_or(Err(Gone))
    }

    /// Gives the final response and forgets the transaction at once: a retransmission of the request is a new request.
    /// It keeps no state for a source that is not proven yet, such as with a challenge (401, 407). To an INVITE it is
    /// not retransmitted, and its ACK arrives as [`Event::Ack`].
    ///
    /// # Errors
    /// [`Gone`] when the transaction has ended or has its final response.
    pub fn respond_stateless(&mut self, now: Instant, id: ServerId, response: Response) -> Result<(), Gone> {
        self.respond(now, id, response)?;
        self.table.with(id.0, |fsm, cx| match fsm {
            Fsm::InviteServer(fsm) => fsm.end(cx),
            Fsm::NonInviteServer(fsm) => fsm.end(cx),
            _ => {}
        });
        Ok(())
    }

    /// Says whether responses of this transaction may go over a new connection when theirs is gone: to a peer that
    /// listens, yes; to a phone, no. See [`Config::reply_connect`](super::Config::reply_connect).
    ///
    /// # Errors
    /// [`Gone`] when the transaction has ended.
    pub fn set_reply_connect(&mut self, id: ServerId, may: bool) -> Result<(), Gone> {
        match self.table.get_mut(id.0).map(|tenant| &mut tenant.fsm) {
            Some(Fsm::InviteServer(fsm)) => fsm.set_may_connect(may),
            Some(Fsm::NonInviteServer(fsm)) => fsm.set_may_connect(may),
            _ => return Err(Gone),
        }
        Ok(())
    }

    pub(super) fn handle_request(&mut self, mut request: Request, flow: Flow) -> Result<(), Rejected> {
        let via = request.via().ok_or(Rejected::Via)?;
        let key = self.server_key(&request, &via);
        if let Some(raw) = self.table.find(key) {
            let old = !via.has_magic_cookie();
            self.handle_known(raw, request, old, flow);
            return Ok(());
        }
        let back = via::way_back(&via, &flow);
        let received = via.received_from(flow.remote);
        let arrival = Arrival { key, flow, back, octets: self.octets(&request) };
        if let Some(received) = received {
            request.set_received_via(&received);
        }
        match request.method() {
            Method::Ack => {
                self.table.out.events.push_back(Event::Ack { request, flow });
                Ok(())
            }
            Method::Cancel => self.handle_cancel(request, arrival),
            _ => self.handle_new(request, arrival).map(|_| ()),
        }
    }

    /// Whether a request belongs to a server transaction that exists: a retransmission, or the ACK to a failure. An
    /// element that answers some requests without a transaction (RFC 3261 §8.2.7) asks before it looks at a request.
    pub fn knows(&mut self, request: &Request) -> bool {
        let Some(via) = request.via() else { return false };
        let key = self.server_key(request, &via);
        self.table.find(key).is_some()
    }

    fn server_key(&mut self, request: &Request, via: &Via<'_>) -> Key {
        let method = match request.method() {
            Method::Ack => &Method::Invite,
            method => method,
        };
        self.matcher.key(request, via, method)
    }

    /// The octets to make a 100 of, should one be needed.
    fn octets(&self, request: &Request) -> Bytes {
        match request.method() {
            Method::Ack | Method::Cancel => Bytes::new(),
            _ => request.received().cloned().unwrap_or_else(|| request.to_bytes()),
        }
    }

    /// A retransmission, or an ACK.
    fn handle_known(&mut self, raw: u64, mut request: Request, old: bool, flow: Flow) {
        let ack = *request.method() == Method::Ack;
        self.table.with(raw, |fsm, cx| match fsm {
            Fsm::InviteServer(fsm) if ack => {
                // Without the magic cookie an ACK belongs to the response whose tag it bears (RFC 3261 §17.2.3).
                let tag = fsm.last_response().filter(|_| old).and_then(derive::tag_of);
                if tag.as_deref() == request.to_tag() || !old || tag.is_none() {
                    if fsm.on_ack(cx) == Verdict::Pass {
                        request.set_received(flow.remote);
                        cx.event(Event::Ack { request, flow });
                    }
                } else {
                    cx.event(Event::Ack { request, flow });
                }
            }
            Fsm::InviteServer(fsm) => fsm.on_request(cx),
            Fsm::NonInviteServer(fsm) => fsm.on_request(cx),
            _ => {}
        });
    }

    /// A request that is none of those known: a new transaction.
    fn handle_new(&mut self, request: Request, arrival: Arrival) -> Result<u64, Rejected> {
        let Arrival { key, flow, back: (back, port), octets } = arrival;
        let Some(raw) = self.admit_server(key) else {
            self.table.out.stats.busy += 1;
            return Err(Rejected::Busy);
        };
        let method = request.method().clone();
        let merge = if method == Method::Cancel { None } else { self.matcher.merge_key(&request) };
        let merged = self.table.is_merged(merge);
        let reply = Reply::new(back, port, self.reply_connect);
        let fsm = match method {
            Method::Invite => Fsm::InviteServer(InviteServer::new(reply, octets)),
            _ => Fsm::NonInviteServer(NonInviteServer::new(reply, octets)),
        };
        self.table.out.stats.req_received += 1;
        self.table.insert(raw, Tenant::new(fsm, method, Side::Server { key, merge, merged }));
        self.table.bind(raw, &flow);
        self.table.with(raw, |fsm, cx| {
            match fsm {
                Fsm::InviteServer(fsm) => fsm.start(cx),
                Fsm::NonInviteServer(fsm) => fsm.start(cx),
                _ => {}
            }
            if *request.method() != Method::Cancel {
                cx.event(Event::Request { id: ServerId(raw), request, flow });
            }
        });
        Ok(raw)
    }

    fn admit_server(&mut self, key: Key) -> Option<u64> {
        if self.table.server_count >= self.limits.transactions || self.table.is_taken(key) {
            return None;
        }
        self.table.reserve(Kind::Server)
    }

    /// RFC 3261 §9.2: 200 when there is something to cancel or was, 481 else.
    fn handle_cancel(&mut self, request: Request, arrival: Arrival) -> Result<(), Rejected> {
        let Some(target) = self.cancelled(&request) else {
            let Arrival { key, flow, back: (back, _), .. } = arrival;
            let answer = self.answer(&request, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, key.verify);
            let id = TransmitId(pack(self.table.serial(), 0, Kind::Send));
            let out = &mut self.table.out;
            out.stats.rpl_sent += 1;
            out.stats.completed(4);
            out.transmits.push_back(Transmit { id, flow: back, payload: answer });
            out.events.push_back(Event::StrayCancel { request, flow });
            return Ok(());
        };
        let raw = self.handle_new(request.clone(), arrival)?;
        let mut waiting = true;
        let tag = self.table.with(target, |fsm, _| {
            waiting = fsm.is_waiting();
            match fsm {
                Fsm::InviteServer(fsm) => fsm.last_response().and_then(derive::tag_of),
                _ => None,
            }
        });
        let answer = match tag.flatten() {
            // The tag of the INVITE's own responses, if there were any (RFC 3261 §9.2).
            Some(tag) => {
                self.table.out.stats.rpl_generated += 1;
                derive::answer(&request, StatusCode::OK, Some(&tag), self.server.as_deref())
            }
            None => self.answer(&request, StatusCode::OK, target),
        };
        self.table.with(raw, |fsm, cx| {
            if let Fsm::NonInviteServer(fsm) = fsm {
                // A transaction just made takes its answer.
                _ = fsm.respond(cx, StatusCode::OK, answer);
            }
        });
        let invite = self.table.get(target).is_some_and(|tenant| tenant.method == Method::Invite);
        if invite && !waiting {
            self.table.out.events.push_back(Event::Cancel { id: ServerId(target), request });
        }
        Ok(())
    }

    /// The transaction that a CANCEL names: the same branch, another method.
    fn cancelled(&mut self, request: &Request) -> Option<u64> {
        let via = request.via()?;
        for method in &CANCELLABLE {
            let key = self.matcher.key(request, &via, method);
            if let Some(raw) = self.table.find(key) {
                return Some(raw);
            }
        }
        None
    }

    /// An answer of our own with a tag that follows from the seed.
    fn answer(&mut self, request: &Request, status: StatusCode, about: u64) -> Bytes {
        let mut tag = Vec::with_capacity(16);
        super::branch::hex(self.keys.tag(about), 16, &mut tag);
        self.table.out.stats.rpl_generated += 1;
        let tag = String::from_utf8(tag).unwrap_or_default();
        derive::answer(request, status, Some(&tag), self.server.as_deref())
    }
}
