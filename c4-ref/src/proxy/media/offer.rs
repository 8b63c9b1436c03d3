//! Requests: their SDP goes to the relay before they go on.

use std::sync::Arc;
use std::time::Instant;

use sip_core::proxy::{ContextId, Edit};
use sip_core::{Method, Request, StatusCode};

use super::super::app::App;
use super::body::{describe, sdp_of};
use super::pin;
use super::session::{Departure, Leaving, Parties, Session, Step};
use super::{Job, Media, Policy, Served, Unserved};
use crate::ng;

impl Media {
    /// What the media of a request needs. `None`: nothing, it goes on as it is.
    fn step(&mut self, request: &Request, in_dialog: bool) -> Option<Step> {
        match request.method() {
            Method::Bye if in_dialog => Some(Step::Bye),
            Method::Invite if request.body().is_empty() => Some(Step::Late),
            Method::Invite => sdp_of(request).map(|_| Step::Offer),
            Method::Update if in_dialog => sdp_of(request).map(|_| Step::Offer),
            Method::Prack if in_dialog => sdp_of(request).map(|_| match self.take_offered(request) {
                true => Step::Answer,
                false => Step::Offer,
            }),
            _ => None,
        }
    }

    /// Whether a reliable 1xx made an offer that this PRACK answers.
    fn take_offered(&mut self, prack: &Request) -> bool {
        let parties = Parties::of(prack);
        let key = self.key(&parties.call_id, &parties.from_tag, &parties.to_tag);
        self.offered.remove(&key)
    }
}

impl App {
    /// A request whose targets are known leaves, by the relay if it has media.
    pub(in super::super) fn depart(&mut self, now: Instant, context: ContextId, departure: Departure) {
        let Some(media) = &mut self.media else { return self.leave(now, context, departure, pin::NONE) };
        let Some(request) = self.proxy.request_of(context) else { return };
        let way = departure.way().cloned();
        let began_without = match &departure {
            Departure::InDialog { way, .. } => way.relay == pin::NONE,
            // A call that comes back to us by another way (RFC 3261 §16.3 item 4) has its relay already.
            Departure::New { wanted, .. } => wanted.is_again,
        };
        let step = if began_without { None } else { media.step(request, way.is_some()) };
        let (parties, cseq) = (Parties::of(request), request.cseq().seq);
        if let Some(way) = &way {
            self.note_request(&parties, way, cseq);
        }
        let (Some(step), Some(media)) = (step, &mut self.media) else {
            return self.leave(now, context, departure, pin::NONE);
        };
        let parties = Arc::new(parties);
        let node = match &way {
            Some(way) => media.relay_of(&parties, way).filter(|node| step == Step::Bye || media.is_up(*node)),
            None if step == Step::Late => media.client.node_for(&parties.call_id),
            None => None,
        };
        let session = Session::new(step, parties, way, node);
        match step {
            Step::Bye => {
                media.sessions.insert(context, session);
                self.leave(now, context, departure, pin::NONE);
            }
            Step::Late => self.expect_offer(now, context, departure, session),
            Step::Offer | Step::Answer => self.ask_first(now, context, departure, session),
        }
    }

    /// An INVITE without SDP: its relay is chosen now, for the Record-Route must name it.
    fn expect_offer(&mut self, now: Instant, context: ContextId, departure: Departure, mut session: Session) {
        let Some(media) = &mut self.media else { return };
        let node = session.node.or_else(|| media.client.node_for(&session.parties.call_id));
        let Some(node) = node else { return self.without_relay(now, context, departure) };
        if let (true, Some(way)) = (session.moved, &session.way) {
            media.remember_move(&session.parties, way, node);
        }
        session.node = Some(node);
        session.branches = leaving(&departure, None);
        let name = media.name_of(node);
        media.sessions.insert(context, session);
        self.leave(now, context, departure, name);
    }

    fn ask_first(&mut self, now: Instant, context: ContextId, departure: Departure, mut session: Session) {
        // The names of branches must differ from those of another passage of the same call.
        let passage = format!("{:016x}", self.number());
        let Some(media) = &mut self.media else { return };
        session.branches = leaving(&departure, session.way.is_none().then_some(&passage));
        if session.branches.is_empty() {
            return self.leave(now, context, departure, pin::NONE);
        }
        (session.departure, session.waiting) = (Some(departure), 1);
        media.sessions.insert(context, session);
        self.ask_for(now, context, 0);
    }

    /// Asks the relay about one branch.
    fn ask_for(&mut self, now: Instant, context: ContextId, branch: usize) {
        let (Some(media), Some(request)) = (&mut self.media, self.proxy.request_of(context)) else { return };
        let Some(sdp) = sdp_of(request) else { return };
        let Some(session) = media.sessions.get_mut(&context) else { return };
        let (Some(departure), Some(leaving)) = (&session.departure, session.branches.get(branch)) else { return };
        let parties = session.parties.clone();
        let some = |tag: &String| (!tag.is_empty()).then(|| tag.clone());
        let mut request = match session.step {
            // The tags of an answer are those of its offer.
            Step::Answer => {
                media.counters.answers += 1;
                let mut request = ng::Request::new(ng::Command::Answer, &parties.call_id);
                (request.from_tag, request.to_tag) = (parties.to_tag.clone(), some(&parties.from_tag));
                request
            }
            _ => {
                media.counters.offers += 1;
                let mut request = ng::Request::new(ng::Command::Offer, &parties.call_id);
                (request.from_tag, request.to_tag) = (parties.from_tag.clone(), some(&parties.to_tag));
                request
            }
        };
        request.via_branch = leaving.via_branch.clone();
        describe(&mut request, sdp, &media.flags, departure.source());
        let (node, via_branch) = (session.node, leaving.via_branch.clone());
        if !media.ask(now, node, request, Job::Request { context, branch, parties, via_branch }) {
            self.served(now, context, branch, Err(Unserved::Silent));
        }
    }

    /// The relay has answered for a branch, or will not.
    pub(super) fn served(&mut self, now: Instant, context: ContextId, branch: usize, done: Served) {
        let Some(media) = &mut self.media else { return };
        let Some(session) = media.sessions.get_mut(&context) else { return };
        session.waiting = session.waiting.saturating_sub(1);
        let count = session.branches.len();
        let Some(leaving) = session.branches.get_mut(branch) else { return };
        match done {
            Ok((node, sdp)) => {
                leaving.sdp = Some(sdp);
                session.node = Some(node);
                if branch == 0 {
                    session.waiting = count - 1;
                }
                if let (true, Some(way)) = (session.moved, session.way.clone()) {
                    let parties = session.parties.clone();
                    media.remember_move(&parties, &way, node);
                }
                if branch == 0 {
                    (1..count).for_each(|branch| self.ask_for(now, context, branch));
                }
            }
            // The relay of the dialog is dead: another one may take it over, for an offer says all that it must know.
            Err(Unserved::Silent) if session.way.is_some() && !session.moved && session.step == Step::Offer => {
                (session.moved, session.node, session.waiting) = (true, None, 1);
                return self.ask_for(now, context, branch);
            }
            Err(_) if branch == 0 => {
                let departure = media.sessions.remove(&context).and_then(|session| session.departure);
                if let Some(departure) = departure {
                    self.without_relay(now, context, departure);
                }
                return;
            }
            Err(_) => leaving.is_bare = true,
        }
        self.leave_if_served(now, context);
    }

    fn leave_if_served(&mut self, now: Instant, context: ContextId) {
        let policy = self.settings.relay_policy;
        let Some(media) = &mut self.media else { return };
        let Some(session) = media.sessions.get_mut(&context).filter(|session| session.waiting == 0) else { return };
        let Some(mut departure) = session.departure.take() else { return };
        let name = session.node.and_then(|node| media.names.get(usize::from(node.0)).copied()).unwrap_or(pin::NONE);
        match &mut departure {
            Departure::New { branches, .. } => {
                for (prepared, leaving) in branches.iter_mut().zip(&session.branches) {
                    if let Some(body) = leaving.sdp.clone() {
                        prepared.branch.edits.push(Edit::Body { content_type: None, body });
                    }
                }
                if policy == Policy::Refuse {
                    let mut bare = session.branches.iter().map(|leaving| leaving.is_bare);
                    branches.retain(|_| !bare.next().unwrap_or(false));
                }
            }
            Departure::InDialog { .. } => {
                let body = session.branches.first().and_then(|leaving| leaving.sdp.clone());
                if let (Some(body), Some(request)) = (body, self.proxy.request_mut(context)) {
                    let _ = request.set_body(None, body); // a relay's reply is smaller than 4 GB
                }
            }
        }
        if session.step == Step::Answer {
            media.sessions.remove(&context);
        }
        self.leave(now, context, departure, name);
    }

    /// No relay serves a request.
    fn without_relay(&mut self, now: Instant, context: ContextId, departure: Departure) {
        let Some(media) = &mut self.media else { return };
        match self.settings.relay_policy {
            Policy::Pass => {
                media.counters.passed += 1;
                self.leave(now, context, departure, pin::NONE);
            }
            Policy::Refuse => {
                media.counters.refused += 1;
                self.reject(now, context, StatusCode::SERVICE_UNAVAILABLE);
            }
        }
    }
}

/// The branches that leave.
fn leaving(departure: &Departure, passage: Option<&String>) -> Vec<Leaving> {
    let one = |number: u64| Leaving {
        number,
        via_branch: passage.map(|passage| format!("{passage}-{number}")),
        sdp: None,
        is_bare: false,
        is_deleted: false,
    };
    match departure {
        Departure::New { branches, .. } => branches.iter().map(|b| one(b.branch.user & 0xffff)).collect(),
        Departure::InDialog { .. } => vec![one(0)],
    }
}
