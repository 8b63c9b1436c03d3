//! Where requests inside a dialog may go: to the other side of that dialog, and nowhere else.
//!
//! A Record-Route of ours brings a request back to us; what stands after it, and the Request-URI, the sender writes. Were
//! they followed wherever they lead, everyone with one call could send what he likes to whom he likes, and a BYE to
//! himself would end the record of a call that goes on. So the next hop must be one that the other side named: by its
//! Record-Route or Contact when the call began or was refreshed (RFC 3261 §12.2), as long as the call is known here;
//! after a restart, by where it was when the token was signed.

use std::hash::BuildHasher;
use std::net::IpAddr;

use sip_core::header::{Header, NameAddr};
use sip_core::proxy::ContextId;
use sip_core::resolve::{self, NextHop};
use sip_core::uri::Uri;
use sip_core::{Method, Request};

use super::app::App;
use super::calls::CallId;
use super::record_route::Side;
use crate::cdr::ReleasedBy;

/// A request that moves its sender when it succeeds: a target refresh (RFC 3261 §12.2, RFC 3311 §5.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Refresh {
    call: CallId,
    by: ReleasedBy,
    hop: Hop,
}

/// The next hop towards one side of a call: a keyed hash of its address or name, for there are many calls. The lowest bit
/// says whether a Record-Route named it, not the Contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hop(u64);

impl Hop {
    /// Nobody has said it.
    pub(super) const UNKNOWN: Hop = Hop(0);

    /// Of the hash of an address or a name.
    pub(super) fn new(hash: u64, routed: bool) -> Hop {
        Hop((hash & !1).max(2) | u64::from(routed))
    }

    /// The same hop as a Contact names it.
    pub(super) fn by_contact(self) -> Hop {
        Hop(self.0 & !1)
    }

    pub(super) fn is_routed(self) -> bool {
        self.0 & 1 != 0
    }
}

impl App {
    /// The next hop that a URI names.
    pub(super) fn hop(&self, uri: &str, routed: bool) -> Hop {
        let hash = match resolve::of_uri_text(uri) {
            Ok(NextHop::Target(target)) => {
                self.hasher.hash_one((target.remote.ip().to_canonical(), target.remote.port()))
            }
            Ok(NextHop::Resolve { host, port, .. }) => self.hasher.hash_one((host.to_ascii_lowercase(), port)),
            Err(_) => return Hop::UNKNOWN,
        };
        Hop::new(hash, routed)
    }

    /// Where requests to the sender of a request that makes or refreshes a dialog go: the Record-Route on top, else its
    /// Contact (RFC 3261 §12.1.1).
    pub(super) fn hop_to_sender(&self, request: &Request) -> Hop {
        let route = request.values(Header::RecordRoute).next();
        let value = route.or_else(|| request.values(Header::Contact).next());
        let uri = value.and_then(NameAddr::parse).map(|address| address.uri);
        uri.map(|uri| self.hop(uri, route.is_some())).unwrap_or_default()
    }

    /// Whether a request leads to this side of its dialog.
    pub(super) fn leads_to(&self, request: &Request, side: &Side) -> bool {
        let mut routes = request.values(Header::Route).filter_map(NameAddr::parse).map(|address| address.uri);
        let is_ours = |uri: &str| Uri::parse(uri).is_some_and(|uri| self.locals.is_local(&uri));
        let asked = match routes.find(|uri| !is_ours(uri)) {
            Some(route) => route,
            None if side.direct => return true,
            None => request.uri(),
        };
        let address = match resolve::of_uri_text(asked) {
            Ok(NextHop::Target(target)) => Some(target.remote),
            _ => None,
        };
        // The balancers let nothing pass that they have not signed themselves.
        if address.is_some_and(|address| address == side.hop.remote || self.settings.trusts(address.ip())) {
            return true;
        }
        let (from_tag, to_tag) = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
        let known = self.calls.find(request.call_id(), from_tag, to_tag).and_then(|(call, by)| {
            let other = if by == ReleasedBy::Caller { ReleasedBy::Callee } else { ReleasedBy::Caller };
            self.calls.hop(call, other)
        });
        match known {
            Some(known) => known.by_contact() == self.hop(asked, false),
            None => address.is_some_and(|address| self.are_neighbours(address.ip(), side.hop.remote.ip())),
        }
    }

    /// One host, or one peer's.
    fn are_neighbours(&self, one: IpAddr, other: IpAddr) -> bool {
        let peer = |address: IpAddr| self.settings.peers.by_source(address);
        one.to_canonical() == other.to_canonical() || peer(one).is_some_and(|one| peer(other) == Some(one))
    }

    /// What a request inside a dialog changes about its sender, if it succeeds.
    pub(super) fn refresh_of(&self, request: &Request) -> Option<Refresh> {
        if !matches!(request.method(), Method::Invite | Method::Update) {
            return None;
        }
        let (from_tag, to_tag) = (request.from_tag()?, request.to_tag()?);
        let (call, by) = self.calls.find(request.call_id(), from_tag, to_tag)?;
        Some(Refresh { call, by, hop: self.hop_to_sender(request).by_contact() })
    }

    /// A target refresh succeeded: both sides are where they say now.
    pub(super) fn refreshed(&mut self, context: ContextId, answerer: Hop) {
        let Some(Refresh { call, by, hop }) = self.refreshes.get(&context).copied() else { return };
        let other = if by == ReleasedBy::Caller { ReleasedBy::Callee } else { ReleasedBy::Caller };
        self.calls.set_hop(call, by, hop);
        self.calls.set_hop(call, other, answerer.by_contact());
    }
}
