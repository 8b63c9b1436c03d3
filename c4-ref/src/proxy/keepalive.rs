//! Keepalives towards contacts behind NATs, and the end of those that answer no more.
//!
//! Each shard walks over its part of the location table once an interval, one shelf at a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip_core::header::Header;
use sip_core::transaction::ClientId;
use sip_core::{Destination, Flow, Message, Method, StatusCode};

use super::app::App;
use super::location::{Found, SHELVES};
use super::outbound::destinations;

/// How often the table is walked over where no keepalives are sent: for the contacts that have ended.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// How often an empty table is looked at.
const EMPTY_INTERVAL: Duration = Duration::from_secs(1);
/// Load balancers whose last sign of life is remembered.
const MAX_HOPS: usize = 64;

/// A keepalive that waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    aor: Box<str>,
    contact: u64,
    sent: Instant,
    /// The load balancer on the way, if any.
    hop: Option<SocketAddr>,
}

/// When which shelf is next, and who has been heard of.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    pub(super) next: Instant,
    shelf: usize,
    heard: Vec<(SocketAddr, Instant)>,
}

impl Sweep {
    pub(super) fn new(now: Instant, shard: usize) -> Sweep {
        Sweep { next: now + Duration::from_secs(1), shelf: shard, heard: Vec::new() }
    }

    /// A load balancer gave a sign of life.
    pub(super) fn heard(&mut self, now: Instant, hop: SocketAddr) {
        if let Some((_, at)) = self.heard.iter_mut().find(|(address, _)| *address == hop) {
            *at = now;
        } else if self.heard.len() < MAX_HOPS {
            self.heard.push((hop, now));
        }
    }

    pub(super) fn heard_since(&self, hop: SocketAddr, since: Instant) -> bool {
        self.heard.iter().any(|(address, at)| *address == hop && *at >= since)
    }
}

impl App {
    /// Visits the shelves that are due.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now < self.sweep.next {
            return;
        }
        if self.shared.location.is_empty() {
            self.sweep.next = now + EMPTY_INTERVAL;
            return;
        }
        let shards = self.shared.shards();
        let mine = SHELVES.div_ceil(shards).max(1) as u32;
        let step = self.settings.keepalive.unwrap_or(IDLE_INTERVAL) / mine;
        // After a pause every shelf is visited once, not once for each interval missed.
        let missed = now.saturating_duration_since(self.sweep.next).as_millis() / step.as_millis().max(1);
        let visits = u32::try_from(missed).unwrap_or(mine).saturating_add(1).min(mine);
        for _ in 0..visits {
            self.visit(now);
            self.sweep.shelf += shards;
            if self.sweep.shelf >= SHELVES {
                self.sweep.shelf = self.shard;
            }
        }
        self.sweep.next += step * visits;
        if self.sweep.next <= now {
            self.sweep.next = now + step;
        }
    }

    fn visit(&mut self, now: Instant) {
        let mut changes = Vec::new();
        let nated = self.shared.location.visit(now, self.sweep.shelf, &mut changes);
        self.store(changes);
        if self.settings.keepalive.is_some() {
            nated.iter().for_each(|found| self.probe(now, found));
        }
    }

    /// Sends an OPTIONS to a contact, by its Path if it has one (RFC 3327 §5.4).
    fn probe(&mut self, now: Instant, found: &Found) {
        let Some((to, _)) = destinations(found) else { return };
        let to = self.with_our_socket(to);
        let (tag, call_id) = (self.number(), self.number());
        let ours = match &to {
            Destination::Flow(Flow { transport, local, .. }) => self.settings.listener_at(*transport, *local),
            Destination::Target(target) => self.settings.listener_for(target.transport, target.remote.ip()),
        };
        let Some(ours) = ours.map(|listener| listener.sent_by.clone()) else { return };
        let contact = found.binding.contact();
        let mut request = Message::request(Method::Options, contact)
            .header(Header::MaxForwards, "70")
            .header(Header::From, format!("<sip:{ours}>;tag={tag:016x}"))
            .header(Header::To, format!("<{contact}>"))
            .header(Header::CallId, format!("{call_id:016x}"))
            .header(Header::CSeq, "1 OPTIONS");
        for route in found.binding.path() {
            request = request.header(Header::Route, route);
        }
        let Ok(request) = request.request() else { return };
        let hop = found.binding.path().next().map(|_| to.remote());
        let probe = Probe {
            aor: found.binding.aor().into(),
            contact: self.shared.location.mark(&found.binding),
            sent: now,
            hop,
        };
        if let Ok(id) = self.layer.request(now, request, to) {
            self.counters.keepalives += 1;
            self.probes.insert(id, probe);
        }
    }

    /// Any final answer is a sign of life; 430 says that the flow is gone (RFC 5626 §5.3).
    pub(super) fn probe_answered(&mut self, now: Instant, id: ClientId, status: StatusCode) {
        if !status.is_final() {
            return;
        }
        let Some(probe) = self.probes.remove(&id) else { return };
        if status == StatusCode::FLOW_FAILED {
            self.drop_contact(now, &probe.aor, probe.contact);
        }
    }

    /// No answer: the contact is dead, unless the load balancer before it was silent as well.
    pub(super) fn probe_failed(&mut self, now: Instant, id: ClientId) {
        let Some(probe) = self.probes.remove(&id) else { return };
        if probe.hop.is_none_or(|hop| self.sweep.heard_since(hop, probe.sent)) {
            self.drop_contact(now, &probe.aor, probe.contact);
        }
    }

    /// Drops a dead contact.
    pub(super) fn drop_contact(&mut self, now: Instant, aor: &str, contact: u64) {
        let mut changes = Vec::new();
        if self.shared.location.drop_contact(now, aor, contact, &mut changes) {
            self.counters.dead_contacts += 1;
        }
        self.store(changes);
    }
}
