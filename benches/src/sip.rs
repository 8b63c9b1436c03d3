//! SIP messages: parse, read, forward.

use std::hint::black_box;

use bytes::Bytes;
use sip_core::header::{CSeq, Contact, From, Header, MaxForwards, Route, To, TypedHeader, Via};
use sip_core::message::Message;
use sip_core::uri::Uri;
use sip_core::{Checked, Limits};

/// An INVITE with SDP of 1213 octets, as a phone sends it through two proxies.
pub const INVITE: &[u8] = include_bytes!("../../sip-core/tests/data/usual/invite.sip");
/// Its 200, with a topmost Via to pop.
pub const OK: &[u8] = include_bytes!("../../sip-core/tests/data/usual/200.sip");

const VIA: &str = "SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKpeerbench0001;rport";

/// One operation by name.
pub type Operation = (&'static str, fn(&Bytes, &Limits) -> usize, &'static [u8]);

/// All operations.
pub const OPERATIONS: &[Operation] = &[
    ("invite/parse", parse, INVITE),
    ("invite/parse+check", parse_check, INVITE),
    ("invite/parse+read8", parse_read, INVITE),
    ("invite/parse+forward", parse_forward, INVITE),
    ("invite/parse+read8+forward", parse_read_forward, INVITE),
    ("200/parse", parse, OK),
    ("200/parse+read8", parse_read, OK),
    ("200/parse+forward", parse_forward, OK),
];

fn message(octets: &Bytes, limits: &Limits) -> Option<Message> {
    Message::parse(octets.clone(), limits).ok()
}

fn parse(octets: &Bytes, limits: &Limits) -> usize {
    message(octets, limits).map_or(0, |m| m.body().len())
}

fn parse_check(octets: &Bytes, limits: &Limits) -> usize {
    match message(octets, limits).and_then(|m| m.check().ok()) {
        Some(Checked::Request(request)) => request.uri().len(),
        Some(Checked::Response(response)) => response.body().len(),
        None => 0,
    }
}

fn parse_read(octets: &Bytes, limits: &Limits) -> usize {
    message(octets, limits).and_then(|m| read(&m)).unwrap_or(0)
}

fn parse_forward(octets: &Bytes, limits: &Limits) -> usize {
    message(octets, limits).and_then(forward).unwrap_or(0)
}

fn parse_read_forward(octets: &Bytes, limits: &Limits) -> usize {
    let Some(message) = message(octets, limits) else { return 0 };
    let seen = read(&message).unwrap_or(0);
    seen + forward(message).unwrap_or(0)
}

/// The eight headers that a proxy looks at.
fn read(message: &Message) -> Option<usize> {
    let branch = message.typed::<Via<'_>>()?.ok()?.branch()?;
    let from = message.typed::<From<'_>>()?.ok()?.tag()?;
    let to = message.typed::<To<'_>>()?.ok()?;
    let call_id = message.header(Header::CallId)?;
    let cseq = message.typed::<CSeq>()?.ok()?.seq;
    let hops = message.typed::<MaxForwards>().map_or(0, |hops| hops.map_or(0, |hops| hops.0));
    let routes = message.typed_all::<Route<'_>>().filter(Result::is_ok).count();
    let contact = message.typed::<Contact<'_>>()?.ok()?;
    let user = Uri::parse(contact.address()?.uri)?.user?;
    black_box((branch, from, to.tag(), call_id, cseq, hops, routes, user));
    Some(branch.len() + user.len())
}

/// What a stateless proxy changes, and the octets out.
fn forward(mut message: Message) -> Option<usize> {
    if message.is_request() {
        let hops = MaxForwards::parse(message.header(Header::MaxForwards)?).ok()?.0.checked_sub(1)?;
        message.push_front(Header::Via, VIA).ok()?;
        message.set_number(Header::MaxForwards, u64::from(hops)).ok()?;
    } else if !message.pop_front_value(Header::Via) {
        return None;
    }
    let mut out = Vec::new();
    message.write(&mut out);
    Some(black_box(out).len())
}
