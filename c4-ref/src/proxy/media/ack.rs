//! ACKs with SDP: the answer to an offer in a 2xx.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::{Request, Target};

use super::super::app::App;
use super::super::dialogs::Way;
use super::body::{describe, sdp_of};
use super::session::Parties;
use super::{Job, Media, pin};
use crate::ng;

/// ACKs remembered at a time; the oldest gives way. One beyond as many that wait is dropped: it comes again with the
/// next 2xx.
const MAX_ACKS: usize = 4096;
/// How long: 64*T1, while 2xx are retransmitted (RFC 3261 §13.3.1.4).
const LIFE: Duration = Duration::from_secs(32);

/// An ACK with SDP.
#[derive(Debug, Clone)]
pub(super) enum HeldAck {
    /// The relay is asked.
    Waiting(Box<Request>, Option<Target>),
    /// What the relay made of its description; nothing, if it did not answer.
    Known(Option<Bytes>),
}

impl Media {
    fn forget_old_acks(&mut self, now: Instant) {
        while let Some((_, key)) = self.ack_order.front().copied().filter(|(until, _)| *until <= now) {
            self.ack_order.pop_front();
            self.acks.remove(&key);
        }
    }

    /// Makes room; the relay is asked again if that one is retransmitted. Not, while its answer is awaited.
    fn forget_oldest_ack(&mut self) -> bool {
        let oldest = self.ack_order.front().map(|(_, key)| *key);
        let Some(key) = oldest.filter(|key| !matches!(self.acks.get(key), Some(HeldAck::Waiting(..)))) else {
            return false;
        };
        self.ack_order.pop_front();
        self.acks.remove(&key).is_some()
    }
}

impl App {
    /// An ACK inside a dialog. `None`: it waits for the relay, or is dropped while an earlier one waits.
    pub(in super::super) fn ack_through_media(
        &mut self,
        now: Instant,
        mut request: Request,
        way: &Way,
        source: std::net::IpAddr,
    ) -> Option<Request> {
        let Some(media) = self.media.as_mut().filter(|_| way.relay != pin::NONE) else { return Some(request) };
        let Some(sdp) = sdp_of(&request) else { return Some(request) };
        media.forget_old_acks(now);
        let parties = Parties::of(&request);
        let key = media.key(&format!("{} {}", parties.call_id, request.cseq().seq), &parties.from_tag, &parties.to_tag);
        match media.acks.get(&key) {
            Some(HeldAck::Waiting(..)) => return None,
            Some(HeldAck::Known(sdp)) => {
                if let Some(sdp) = sdp.clone() {
                    let _ = request.set_body(None, sdp); // stood in an ACK before
                }
                return Some(request);
            }
            None => {
                if media.acks.len() >= MAX_ACKS && !media.forget_oldest_ack() {
                    return None;
                }
            }
        }
        // The offer was that of the called side: its tag comes first.
        let mut answer = ng::Request::new(ng::Command::Answer, &parties.call_id);
        (answer.from_tag, answer.to_tag) = (parties.to_tag.clone(), Some(parties.from_tag.clone()));
        describe(&mut answer, sdp, &media.flags, source);
        media.counters.answers += 1;
        let node = media.relay_of(&parties, way);
        if node.is_none() || !media.ask(now, node, answer, Job::Ack(key)) {
            media.counters.passed += 1;
            return Some(request);
        }
        media.acks.insert(key, HeldAck::Waiting(Box::new(request), way.direct.clone()));
        media.ack_order.push_back((now + LIFE, key));
        None
    }

    /// The relay has answered for an ACK, or will not.
    pub(super) fn ack_answered(&mut self, now: Instant, key: u64, sdp: Option<Bytes>) {
        let Some(media) = &mut self.media else { return };
        let Some(held) = media.acks.get_mut(&key) else { return };
        media.counters.passed += u64::from(sdp.is_none());
        let HeldAck::Waiting(mut request, direct) = std::mem::replace(held, HeldAck::Known(sdp.clone())) else {
            return;
        };
        let parties = sdp.is_none().then(|| Parties::of(&request));
        if let Some(sdp) = sdp {
            let _ = request.set_body(None, sdp); // a relay's reply is smaller than 4 GB
        }
        self.forward_ack(now, *request, direct);
        if let Some(parties) = parties {
            self.end_unserved(&parties, &parties.to_tag);
        }
    }
}
