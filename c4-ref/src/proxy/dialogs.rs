//! Inside dialogs: by whose route a request comes, where it may go, and what responses teach.

use std::time::Instant;

use sip_core::header::{Header, NameAddr};
use sip_core::resolve::{self, NextHop};
use sip_core::transaction::ClientId;
use sip_core::uri::Uri;
use sip_core::{Method, Request, Response, Target};

use super::app::App;
use super::media::text;
use super::record_route::{Content, Dialog, Holder, Sides};
use super::targets::{self, hops};

/// Why a request inside a dialog is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Astray {
    /// No Route of ours that was given to its sender in this dialog, or other hops behind it.
    NoRoute,
    /// The Request-URI is not the other side's remote target.
    ForeignTarget,
}

/// What our Record-Route in a response says.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Where the two sides are.
    pub(super) sides: Sides,
    /// The hops between us and the called side, nearest first.
    pub(super) behind: Vec<String>,
}

/// What the Route of a request inside a dialog says.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// Where it goes when no Route is left, if not to its Request-URI.
    pub(super) direct: Option<Target>,
    /// Whether the caller sent it.
    pub(super) from_caller: bool,
    /// The name of the relay that has the call's media; 0: none.
    pub(super) relay: u32,
}

impl App {
    /// The way of a request inside a dialog.
    pub(super) fn way_in_dialog(&self, now: Instant, request: &Request) -> Result<Way, Astray> {
        let unix = self.unix(now).as_secs();
        let (from_tag, to_tag) = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
        let token = request.values(Header::Route).next().and_then(token_of).ok_or(Astray::NoRoute)?;
        let hops = hops(request.values(Header::Route), &self.locals);
        let call_id = request.call_id();
        let of_caller =
            Dialog { call_id, caller_tag: from_tag, holder: Holder::Caller { callee_tag: to_tag }, hops: &hops };
        let of_callee = Dialog { caller_tag: to_tag, holder: Holder::Callee, ..of_caller };
        let (from_caller, content) = match self.record_route.open(unix, token, &of_caller) {
            Ok(content) => (true, content),
            Err(_) => (false, self.record_route.open(unix, token, &of_callee).map_err(|_| Astray::NoRoute)?),
        };
        let direct = if from_caller { content.sides.callee } else { content.sides.caller };
        // The token says where the request goes, whatever the Request-URI is. That must be right all the same while the call
        // is here: a BYE that its receiver refuses, as it means somebody else, would end the record and not the call.
        let placed = direct.is_some() && hops.is_empty() && !self.calls.knows(call_id, [from_tag, to_tag]);
        // A strict router behind us: its URI is among the hops that the token binds.
        if placed || self.is_target(now, request, content.target) {
            return Ok(Way { direct, from_caller, relay: content.relay });
        }
        Err(Astray::ForeignTarget)
    }

    /// Whether the Request-URI is where the other side said that it is.
    fn is_target(&self, now: Instant, request: &Request, first: targets::Target) -> bool {
        let target = targets::Target::of(request.uri());
        let (from_tag, to_tag) = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
        if target == first {
            return true;
        }
        match self.calls.targets.of(request.call_id(), to_tag, from_tag) {
            Some(known) => known.contains(&target),
            // A process that was restarted has forgotten what was refreshed. There is no call to be charged any more, and
            // those that we call anyway are no strangers.
            None => !self.calls.knows(request.call_id(), [from_tag, to_tag]) && self.is_neighbour(now, request, target),
        }
    }

    /// Whether the Request-URI is a contact of the user that the To names, or a peer's address. An INVITE to a peer could
    /// begin a call there: it needs more than that.
    fn is_neighbour(&self, now: Instant, request: &Request, target: targets::Target) -> bool {
        let registered = Uri::parse(request.to().uri).is_some_and(|to| {
            let contacts = self.shared.location.lookup(now, &to.aor());
            contacts.iter().any(|found| targets::Target::of(found.binding.contact()) == target)
        });
        let to_peer = || match resolve::of_uri_text(request.uri()) {
            Ok(NextHop::Target(target)) => self.settings.peers.target(|peer| peer.remote == target.remote).is_some(),
            _ => false,
        };
        registered || (*request.method() != Method::Invite && to_peer())
    }

    /// A response on its way to the proxy core: the caller's route, and the targets that a refresh confirmed.
    pub(super) fn dialog_response(&mut self, now: Instant, id: ClientId, response: &mut Response) {
        let code = response.status().code();
        let refreshes = matches!(
            response.cseq().method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        if !(101..300).contains(&code) || !refreshes || response.to_tag().is_none() {
            return;
        }
        let recorded = self.give_caller_its_route(now, response);
        self.watch(now, id, response, recorded.as_ref());
        let Some(request) = self.proxy.request_of_branch(id).filter(|request| request.to_tag().is_some()) else {
            return;
        };
        let (from, to) = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
        let (caller, callee) = (targets::Target::of_contact(request), targets::Target::of_contact(response));
        self.calls.targets.learn(now, request.call_id(), from, to, caller);
        self.calls.targets.learn(now, request.call_id(), to, from, callee);
    }

    /// Puts the caller's token in the place of the called side's (RFC 3261 §16.7 step 8): the topmost of ours that is not
    /// the caller's yet, for a request may have passed here twice.
    fn give_caller_its_route(&self, now: Instant, response: &mut Response) -> Option<Recorded> {
        let values: Vec<&[u8]> = response.values(Header::RecordRoute).collect();
        for (at, value) in values.iter().enumerate() {
            let Some((old, new, sides)) = self.token_for_caller(now, response, &values, at, value) else { continue };
            let behind = values.iter().take(at).rev().filter(|value| !self.names_us(value)).map(|value| text(value));
            let recorded = Recorded { sides, behind: behind.collect() };
            let replaced: Vec<Vec<u8>> = values
                .iter()
                .map(|value| match token_of(value) {
                    Some(token) if token == old => replace_once(value, old.as_bytes(), new.as_bytes()),
                    _ => text(value).into_bytes(),
                })
                .collect();
            let _ = response.remove(Header::RecordRoute);
            for value in replaced {
                let _ = response.push_back(Header::RecordRoute, value); // was received, without its folds
            }
            return Some(recorded);
        }
        None
    }

    fn token_for_caller<'a>(
        &self,
        now: Instant,
        response: &Response,
        values: &[&[u8]],
        at: usize,
        value: &'a [u8],
    ) -> Option<(&'a str, String, Sides)> {
        let token = token_of(value).filter(|_| self.names_us(value))?;
        let partner = |value: &&[u8]| token_of(value) == Some(token);
        let before = values.iter().skip(at + 1).skip_while(|value| partner(value)).copied();
        let behind = values.iter().take(at).rev().copied();
        let (before, behind) = (hops(before, &self.locals), hops(behind, &self.locals));
        let unix = self.unix(now).as_secs();
        let (call_id, caller_tag) = (response.call_id(), response.from_tag()?);
        let of_callee = Dialog { call_id, caller_tag, holder: Holder::Callee, hops: &before };
        let Content { sides, relay, .. } = self.record_route.open(unix, token, &of_callee).ok()?;
        let callee_tag = response.to_tag()?;
        let of_caller = Dialog { holder: Holder::Caller { callee_tag }, hops: &behind, ..of_callee };
        let caller = sides.caller.as_ref().map_or(([0, 0, 0, 0], 0).into(), |target| target.remote);
        let content = Content { sides, target: targets::Target::of_contact(response), relay };
        Some((token, self.record_route.seal(unix, &of_caller, caller, &content), content.sides))
    }

    /// Whether a Route or Record-Route value is one of ours.
    pub(super) fn names_us(&self, value: &[u8]) -> bool {
        let uri = NameAddr::parse(value).and_then(|route| Uri::parse(route.uri));
        uri.is_some_and(|uri| self.locals.is_local(&uri))
    }
}

/// The user part of a Route or Record-Route value.
fn token_of(value: &[u8]) -> Option<&str> {
    NameAddr::parse(value).and_then(|route| Uri::parse(route.uri)).and_then(|uri| uri.user)
}

fn replace_once(value: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match value.windows(old.len().max(1)).position(|window| window == old) {
        Some(at) => {
            let (before, rest) = value.split_at(at);
            [before, new, rest.get(old.len()..).unwrap_or_default()].concat()
        }
        None => value.to_vec(),
    }
}
