//! SDP in, SDP out: our addresses and ports in the place of the party's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sdp::{Attribute, AttributeName, Protocol, Scope, Session};

use super::description::{Carrier, Line};
use super::origin::{Face, held};
use crate::ng::{Flags, RtcpAttribute};

/// What is written for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The address that the other party is to send to.
    pub(super) address: IpAddr,
    /// The port of RTP.
    pub(super) port: u16,
    /// The port of RTCP; `port` itself where both share it.
    pub(super) rtcp: u16,
    /// `a=rtcp-mux` is written.
    pub(super) mux: bool,
    /// The protocol, if not the one that stands there.
    pub(super) protocol: Option<Box<str>>,
    /// `a=ptime`, if none stands there.
    pub(super) ptime: Option<Box<str>>,
}

/// What is written for all.
#[derive(Debug)]
pub(super) struct Rewrite<'a> {
    /// What the request asks for.
    pub(super) flags: &'a Flags,
    /// What the description says.
    pub(super) lines: &'a [Line],
    /// By line; `None`: refused.
    pub(super) places: &'a [Option<Place>],
    /// An address of ours, for what no line uses.
    pub(super) fallback: IpAddr,
    /// It is an offer.
    pub(super) is_offer: bool,
    /// Marks what has passed this relay.
    pub(super) mark: &'a str,
}

/// The name of the attribute by which a relay knows its own descriptions again.
pub(super) const MARK: &str = "rtpengine";

impl Rewrite<'_> {
    /// Rewrites the description for the party whose face this is.
    pub(super) fn apply(&self, session: &mut Session, face: &mut Face) {
        let address = self.places.iter().flatten().next().map_or(self.fallback, |place| place.address);
        remove_ice(session, Scope::Session);
        let session_wide = self.write_connection(session, address);
        for (index, line) in self.lines.iter().enumerate() {
            match self.places.get(index).and_then(Option::as_ref) {
                Some(place) => self.write_line(session, index, line, place, session_wide),
                None => refuse(session, index),
            }
        }
        if self.flags.loop_protect && !is_marked(session, self.mark) {
            let _ = session.add_attribute(Scope::Session, sdp::Name::Other(MARK), self.mark);
        }
        face.write(session, &self.flags.replace, Some(address));
    }

    /// The `c=` line of the session, and what it says from now on.
    fn write_connection(&self, session: &mut Session, address: IpAddr) -> Option<IpAddr> {
        let held = session.connection()?.is_unspecified() && !self.flags.replace.zero_address;
        let address = if held { unspecified(address) } else { address };
        let _ = session.set_connection(Scope::Session, address);
        Some(address)
    }

    fn write_line(
        &self,
        session: &mut Session,
        index: usize,
        line: &Line,
        place: &Place,
        session_wide: Option<IpAddr>,
    ) {
        let scope = Scope::Media(index);
        let _ = session.set_port(index, place.port);
        if let Some(protocol) = &place.protocol {
            let _ = session.set_protocol(index, &Protocol::parse(protocol));
        }
        let held_by_address = line.is_unspecified && !self.flags.replace.zero_address;
        let address = if held_by_address { unspecified(place.address) } else { place.address };
        let own = session.media(index).is_some_and(|media| media.own_connection().is_some());
        if own || session_wide != Some(address) {
            let _ = session.set_connection(scope, address);
        }
        remove_ice(session, scope);
        self.write_direction(session, scope, line, line.is_unspecified);
        if line.carrier == Carrier::Rtp {
            self.write_rtcp(session, scope, place);
        }
        if let Some(ptime) = &place.ptime {
            let _ = session.add_attribute(scope, AttributeName::Ptime, ptime);
        }
        if self.flags.generate_mid && self.is_offer && session.media(index).is_some_and(|media| media.mid().is_none()) {
            let _ = session.add_attribute(scope, AttributeName::Mid, &(index + 1).to_string());
        }
    }

    fn write_direction(&self, session: &mut Session, scope: Scope, line: &Line, held_by_address: bool) {
        if self.flags.original_sendrecv {
            return;
        }
        let direction = if held_by_address { held(line.direction) } else { line.direction };
        let _ = session.set_direction(scope, direction);
    }

    fn write_rtcp(&self, session: &mut Session, scope: Scope, place: &Place) {
        session.remove_attribute(scope, AttributeName::Rtcp);
        session.remove_attribute(scope, AttributeName::RtcpMux);
        let family = if place.address.is_ipv6() { "IP6" } else { "IP4" };
        let value = match self.flags.rtcp_attribute {
            RtcpAttribute::Omit => None,
            RtcpAttribute::Port => Some(place.rtcp.to_string()),
            RtcpAttribute::Full => Some(format!("{} IN {family} {}", place.rtcp, place.address)),
        };
        if let Some(value) = value {
            let _ = session.add_attribute(scope, AttributeName::Rtcp, &value);
        }
        if place.mux {
            let _ = session.add_attribute(scope, AttributeName::RtcpMux, "");
        }
    }
}

/// Whether this relay wrote it.
pub(super) fn is_marked(session: &Session, mark: &str) -> bool {
    session.attributes().any(|attribute| attribute.name() == MARK && attribute.text() == Some(mark))
}

/// RFC 3264 §6: port 0, and nothing else that could be of use.
fn refuse(session: &mut Session, index: usize) {
    let scope = Scope::Media(index);
    let _ = session.set_port(index, 0);
    session.remove_connection(scope);
    session.remove_attributes_if(scope, |attribute| attribute.name() != "label");
}

/// Candidates would lead around the relay.
fn remove_ice(session: &mut Session, scope: Scope) {
    session.remove_attributes_if(scope, is_ice);
}

fn is_ice(attribute: &Attribute<'_>) -> bool {
    matches!(
        attribute.name(),
        "candidate"
            | "remote-candidates"
            | "end-of-candidates"
            | "ice-ufrag"
            | "ice-pwd"
            | "ice-lite"
            | "ice-mismatch"
            | "ice-options"
            | "ice-pacing"
    )
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}
