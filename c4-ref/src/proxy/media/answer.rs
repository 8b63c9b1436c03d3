//! Responses with SDP: the relay gets it before the caller does.

use std::time::Instant;

use bytes::Bytes;
use sip_core::transaction::{ClientId, Event};
use sip_core::{Flow, Method, Response};

use super::super::app::App;
use super::body::{describe, sdp_of};
use super::hold::{Held, Leg, source_of};
use super::session::{Parties, Step};
use super::watch::Why;
use super::{Job, Policy};
use crate::ng::{Command, Request};

impl App {
    /// A response that nothing holds up. `None`: it waits for the relay now.
    pub(super) fn answer_in(
        &mut self,
        now: Instant,
        id: ClientId,
        mut response: Response,
        flow: Flow,
    ) -> Option<Event> {
        let Some((sdp, to_tag)) = description(&response) else {
            return Some(Event::Response { id, response, flow });
        };
        if self.has_leg(id).is_none() {
            return Some(Event::Response { id, response, flow });
        }
        let source = source_of(&response, &flow, self.settings.trusts(flow.remote.ip()));
        let media = self.media.as_mut()?;
        let is_final = !response.status().is_provisional();
        // The first 2xx is told though a 1xx said the same: the relay must know which branch has the call.
        let key = media.key(&format!("{is_final}{to_tag}"), "", &String::from_utf8_lossy(&sdp));
        let Some(leg) = media.legs.get_mut(&id) else { return Some(Event::Response { id, response, flow }) };
        if let Some(known) = leg.known(key) {
            let _ = response.set_body(None, known); // stood in a response before
            return Some(Event::Response { id, response, flow });
        }
        let request = request_for(leg, &to_tag, sdp, &media.flags, source);
        match request.command {
            Command::Offer => media.counters.offers += 1,
            _ => media.counters.answers += 1,
        }
        if leg.is_late && !is_final {
            let parties = leg.parties.clone();
            let offered = media.key(&parties.call_id, &parties.from_tag, &to_tag);
            if media.offered.len() < super::MAX_REQUESTS {
                media.offered.insert(offered);
                if let Some(leg) = media.legs.get_mut(&id)
                    && let Some(before) = leg.offered.replace(offered).filter(|before| *before != offered)
                {
                    media.offered.remove(&before);
                }
            }
        }
        let node = media.legs.get(&id).map(|leg| leg.node);
        if !media.ask(now, node, request, Job::Response(id)) {
            self.unserved(&mut response);
            return Some(Event::Response { id, response, flow });
        }
        if let Some(leg) = media.legs.get_mut(&id) {
            leg.held = Some(Held { response, flow, key });
        }
        None
    }

    /// Makes the leg of a client transaction whose request was anchored. `None`: there is no such.
    fn has_leg(&mut self, id: ClientId) -> Option<()> {
        let media = self.media.as_mut()?;
        if media.legs.contains_key(&id) {
            return Some(());
        }
        let (context, branch) = self.proxy.branch_of(id)?;
        let session = media.sessions.get(&context)?;
        let is_late = match session.step {
            Step::Offer => false,
            Step::Late => true,
            Step::Answer | Step::Bye => return None,
        };
        let leaving = session.branch(branch.user).filter(|leaving| !leaving.is_bare)?;
        let leg = Leg::new(session.parties.clone(), session.node?, leaving.via_branch.clone(), is_late);
        media.legs.insert(id, leg);
        Some(())
    }

    /// A call was answered that the relay does not serve: where the policy refuses such, it ends at once.
    pub(super) fn end_unserved(&mut self, parties: &Parties, callee_tag: &str) {
        let refuses = self.settings.relay_policy == Policy::Refuse;
        if let Some(watch) = self.media.as_mut().and_then(|media| media.watch.as_mut()).filter(|_| refuses) {
            watch.cut_dialog(&parties.call_id, &parties.from_tag, callee_tag, Why::RelayLost);
        }
    }

    /// The relay has failed to serve a response. The request went out with the relay's address in it, so no sound comes of
    /// this call before its next offer; that is no reason to hold signalling up.
    pub(super) fn unserved(&mut self, response: &mut Response) {
        let policy = self.settings.relay_policy;
        let Some(media) = &mut self.media else { return };
        media.counters.passed += 1;
        if policy == Policy::Refuse && response.status().is_provisional() {
            let _ = response.set_body(None, Bytes::new()); // nothing cannot be too long
        }
    }
}

/// The SDP and the To tag of a response that belongs to an exchange of offer and answer.
fn description(response: &Response) -> Option<(Bytes, String)> {
    let (status, method) = (response.status(), response.cseq().method);
    let counts = match method {
        Method::Invite => (101..300).contains(&status.code()),
        Method::Update | Method::Prack => status.is_success(),
        _ => false,
    };
    let tag = response.to_tag().filter(|_| counts)?;
    Some((sdp_of(response)?, tag.to_owned()))
}

fn request_for(leg: &Leg, to_tag: &str, sdp: Bytes, flags: &crate::ng::Flags, source: std::net::IpAddr) -> Request {
    let Parties { call_id, from_tag, .. } = &*leg.parties;
    let mut request = if leg.is_late {
        // It travels in a response: its sender is the To.
        let mut offer = Request::new(Command::Offer, call_id);
        (offer.from_tag, offer.to_tag) = (to_tag.to_owned(), Some(from_tag.clone()));
        offer
    } else {
        let mut answer = Request::new(Command::Answer, call_id);
        (answer.from_tag, answer.to_tag) = (from_tag.clone(), Some(to_tag.to_owned()));
        answer.via_branch = leg.via_branch.clone();
        answer
    };
    describe(&mut request, sdp, flags, source);
    request
}
