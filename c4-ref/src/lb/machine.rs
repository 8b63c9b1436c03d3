//! The contract, and the way of a message up to the side that it came from.

use std::io;
use std::time::{Duration, Instant};

use nat::reply::Side;
use sip_core::flow::Flow;
use sip_core::header::{Header, Via};
use sip_core::message::{Checked, Message, Request};
use sip_core::proxy::loop_detection::LoopHash;
use sip_core::proxy::validate::{self, Refusal};
use sip_core::uri::Uri;
use sip_core::{Method, StatusCode};

use super::arrival::Arrival;
use super::connections::{ConnectId, TransmitId};
use super::stats::Counter;
use super::update::Update;
use super::{Lb, MAX_OUTPUT, probing};
use crate::admin::{Answer, Command};
use crate::identity::Identities;
use crate::machine::{Event, Machine, News, Transmit};

impl Machine for Lb {
    type ConnectId = ConnectId;
    type TransmitId = TransmitId;

    /// Answers to probes go to the worker that probes; everything else stays where it came in.
    fn shard(&self, _flow: &Flow, message: &Message) -> Option<usize> {
        message.status()?;
        if !message.header(Header::CSeq)?.ends_with(b"OPTIONS") {
            return None;
        }
        let via = message.typed::<Via<'_>>()?.ok()?;
        probing::is_probe_branch(via.branch()?).then_some(0)
    }

    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        self.advance(now);
        if self.out.len() >= MAX_OUTPUT {
            return self.stats.bump(Counter::Overflow);
        }
        self.connections.seen(&flow);
        let Some(arrival) = self.arrival(flow) else { return self.stats.bump(Counter::Malformed) };
        self.stats.bump(match (message.is_request(), arrival.side) {
            (true, Side::Outside) => Counter::RequestsOutside,
            (true, Side::Inside) => Counter::RequestsInside,
            (false, Side::Outside) => Counter::ResponsesOutside,
            (false, Side::Inside) => Counter::ResponsesInside,
        });
        let stranger = arrival.side == Side::Outside && !arrival.peer;
        if stranger && message.is_request() && !self.guard.admit(self.now, flow.remote.ip()) {
            return self.stats.bump(Counter::RateLimited);
        }
        match message.check() {
            Ok(Checked::Request(request)) => self.request(&arrival, request),
            Ok(Checked::Response(response)) => self.response(&arrival, response),
            Err(defect) => self.answer_defect(&arrival, &defect),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.calls.handle_timeout(self.now);
        self.connections.handle_timeout(self.now);
        self.probe();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<TransmitId>> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.events.pop_front()
    }

    fn handle_connect_done(&mut self, now: Instant, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        self.advance(now);
        self.connect_done(id, result);
    }

    fn handle_transmit_failed(&mut self, now: Instant, id: TransmitId, _kind: io::ErrorKind) {
        self.advance(now);
        self.transmit_failed(id);
    }

    /// Answers to requests go by the worker of their connection: the others need not know.
    fn handle_flow_identified(&mut self, _now: Instant, flow: Flow, identities: &Identities) {
        if flow.connection.is_some_and(|id| id.worker() == self.worker) {
            self.connections.identified(&flow, identities);
        }
    }

    fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        self.advance(now);
        if let Some(id) = flow.connection {
            self.connections.closed(id);
        }
    }

    fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        self.clock = (now, unix.as_secs());
    }

    /// An [`Update`].
    fn handle_reload(&mut self, now: Instant, news: &News) {
        self.advance(now);
        if let Some(update) = news.downcast_ref::<Update>() {
            self.update(update);
        }
    }

    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        self.advance(now);
        self.command(command)
    }
}

impl Lb {
    fn request(&mut self, arrival: &Arrival, request: Request) {
        if self.is_own_ack(&request) {
            return self.stats.bump(Counter::OwnAcks);
        }
        if self.is_options_to_us(&request) {
            self.stats.bump(Counter::OptionsToUs);
            return self.answer(arrival, &request, StatusCode::OK);
        }
        let hash = self.loop_hash(arrival.side, &request);
        if let Err(refusal) = validate::check(&self.validation, &request, hash) {
            return self.refuse(arrival, &request, &refusal);
        }
        match arrival.side {
            Side::Outside => self.inbound(arrival, request),
            Side::Inside => self.outbound(arrival, request),
        }
    }

    /// Every call crosses us twice, so that our Via alone is no loop (RFC 5393 §4.2): each direction has a hash of its
    /// own.
    pub(super) fn loop_hash(&self, side: Side, request: &Request) -> LoopHash {
        let key = match side {
            Side::Outside => self.secrets.loop_outside,
            Side::Inside => self.secrets.loop_inside,
        };
        LoopHash::of(key, request)
    }

    fn is_options_to_us(&self, request: &Request) -> bool {
        *request.method() == Method::Options
            && Uri::parse(request.uri()).is_some_and(|uri| uri.user.is_none() && self.locals().is_local(&uri))
    }

    fn refuse(&mut self, arrival: &Arrival, request: &Request, refusal: &Refusal) {
        match refusal {
            Refusal::Loop => self.stats.bump(Counter::Loops),
            Refusal::TooManyHops => self.stats.bump(Counter::TooManyHops),
            _ => {}
        }
        if Lb::is_ack(request) {
            return;
        }
        let (method, call_id, source) = (request.method().as_str(), request.call_id(), arrival.flow.remote);
        tracing::debug!(?refusal, method, call_id, %source, "refused");
        let mut response = refusal.response(request);
        self.tag(&mut response, request);
        let back = self.way_back(arrival, request.via());
        self.answer_back(&back, response);
    }
}
