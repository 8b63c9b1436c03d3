//! Responses wait for the relay, and what follows them waits behind them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::transaction::{ClientId, Event};
use sip_core::{Flow, Response};

use super::super::app::App;
use super::session::Parties;
use crate::ng::client::NodeId;

/// Messages of one client transaction that wait; what comes beyond is sent again by its sender, or was provisional.
const MAX_QUEUE: usize = 16;
/// Descriptions remembered of one branch, for retransmissions.
const MAX_KNOWN: usize = 8;

/// A client transaction whose responses have SDP.
#[derive(Debug, Clone)]
pub(in super::super) struct Leg {
    pub(super) parties: Arc<Parties>,
    pub(super) node: NodeId,
    pub(super) via_branch: Option<String>,
    /// The request had no SDP: responses make the offer.
    pub(super) is_late: bool,
    /// The response that the relay is asked about.
    pub(super) held: Option<Held>,
    queue: VecDeque<Event>,
    known: Vec<(u64, Bytes)>,
    /// The dialog in which a 1xx made an offer.
    pub(super) offered: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) response: Response,
    pub(super) flow: Flow,
    /// Of its description: see [`Leg::known`].
    pub(super) key: u64,
}

impl Leg {
    pub(super) fn new(parties: Arc<Parties>, node: NodeId, via_branch: Option<String>, is_late: bool) -> Leg {
        Leg { parties, node, via_branch, is_late, held: None, queue: VecDeque::new(), known: Vec::new(), offered: None }
    }

    /// What the relay made of a description of this key.
    pub(super) fn known(&self, key: u64) -> Option<Bytes> {
        self.known.iter().find(|(known, _)| *known == key).map(|(_, sdp)| sdp.clone())
    }

    pub(super) fn learn(&mut self, key: u64, sdp: Bytes) {
        if self.known.len() >= MAX_KNOWN {
            self.known.remove(0);
        }
        self.known.push((key, sdp));
    }

    /// Puts an event behind the response that is held. Responses that are retransmitted, and too many of them, are
    /// dropped; the end of a transaction never is.
    fn wait(&mut self, event: Event) {
        if let Event::Response { response, .. } = &event {
            let waiting = self.queue.iter().filter_map(|event| match event {
                Event::Response { response, .. } => Some(response),
                _ => None,
            });
            let mut before = self.held.iter().map(|held| &held.response).chain(waiting);
            let again = before.any(|before| is_again(before, response));
            let full = self.queue.len() >= MAX_QUEUE;
            if again || (full && (response.status().is_provisional() || response.status().is_success())) {
                return;
            }
        }
        self.queue.push_back(event);
    }
}

/// Whether a response says what another one said.
fn is_again(before: &Response, response: &Response) -> bool {
    before.status() == response.status()
        && before.to_tag() == response.to_tag()
        && before.header("RSeq") == response.header("RSeq")
        && before.body() == response.body()
}

impl App {
    /// An event of a client transaction, before the proxy core gets it. `None`: it waits for the relay.
    pub(in super::super) fn through_media(&mut self, now: Instant, event: Event) -> Option<Event> {
        let id = match &event {
            Event::Response { id, .. }
            | Event::Timeout { id }
            | Event::TransportFailed { id }
            | Event::ClientEnded { id } => *id,
            _ => return Some(event),
        };
        let media = self.media.as_mut()?;
        if let Some(leg) = media.legs.get_mut(&id).filter(|leg| leg.held.is_some()) {
            leg.wait(event);
            return None;
        }
        match event {
            Event::Response { id, response, flow } => self.answer_in(now, id, response, flow),
            Event::ClientEnded { .. } => {
                if let Some(key) = media.legs.remove(&id).and_then(|leg| leg.offered) {
                    media.offered.remove(&key);
                }
                Some(event)
            }
            event => Some(event),
        }
    }

    /// The relay has answered for the response that is held: it goes on, and what waited behind it.
    pub(super) fn answered(&mut self, now: Instant, id: ClientId, sdp: Option<Bytes>) {
        let Some(leg) = self.media.as_mut().and_then(|media| media.legs.get_mut(&id)) else { return };
        let Some(Held { mut response, flow, key }) = leg.held.take() else { return };
        let (parties, served) = (leg.parties.clone(), sdp.is_some());
        let leg_is_new = parties.to_tag.is_empty();
        match sdp {
            Some(sdp) => {
                leg.learn(key, sdp.clone());
                let _ = response.set_body(None, sdp); // a relay's reply is smaller than 4 GB
            }
            None => self.unserved(&mut response),
        }
        let makes_dialog = leg_is_new && response.status().is_success();
        let tag = response.to_tag().filter(|_| makes_dialog && !served).map(str::to_owned);
        self.give(now, Event::Response { id, response, flow });
        if let Some(tag) = tag {
            self.end_unserved(&parties, &tag);
        }
        while let Some(event) = self.next_waiting(id) {
            if let Some(event) = self.through_media(now, event) {
                self.give(now, event);
            }
        }
    }

    /// The next event of a client transaction, unless a response is held again.
    fn next_waiting(&mut self, id: ClientId) -> Option<Event> {
        let leg = self.media.as_mut()?.legs.get_mut(&id)?;
        if leg.held.is_some() { None } else { leg.queue.pop_front() }
    }
}

/// Where the sender of a response is, as the first of our own hops saw it, if we trust that one.
pub(super) fn source_of(response: &Response, flow: &Flow, trusted: bool) -> IpAddr {
    let told = response.header(crate::source::HEADER).and_then(crate::source::Source::parse);
    told.filter(|_| trusted).map_or(flow.remote.ip(), |source| source.remote.ip())
}
