//! Messages that the layer makes itself out of another: ACK, CANCEL, 100, and the answers to a CANCEL.

use crate::flow::Flow;
use crate::header::Header;
use crate::limits::Limits;
use crate::message::{Checked, Message, Request, Response};
use crate::status::StatusCode;
use bytes::Bytes;

/// The ACK to a final response of 300 to 699 (RFC 3261 §17.1.1.3): all of the INVITE's, but To of the response.
pub(super) fn ack(invite: &Bytes, response: &Response) -> Option<Bytes> {
    let invite = reread(invite)?;
    let to = response.header(Header::To)?;
    Some(derived(&invite, "ACK", to, None))
}

/// The CANCEL of an INVITE (RFC 3261 §9.1), with a Reason if there is one (RFC 3326).
pub(super) fn cancel(invite: &Bytes, reason: Option<&str>) -> Option<Bytes> {
    let invite = reread(invite)?;
    let to = invite.header(Header::To)?;
    Some(derived(&invite, "CANCEL", to, reason))
}

/// A 100 for a request as received (RFC 3261 §8.2.6.1): no tag is added, Timestamp is copied.
pub(super) fn trying(request: &Bytes, flow: &Flow, server: Option<&str>) -> Option<Bytes> {
    let mut request = reread(request)?;
    // The flow to answer over has the source's address, and its port where the Via asks for that.
    request.set_received(flow.remote);
    Some(answer(&request, StatusCode::TRYING, None, server))
}

/// A response of the layer's own.
pub(super) fn answer(request: &Request, status: StatusCode, tag: Option<&str>, server: Option<&str>) -> Bytes {
    let mut response = request.response(status);
    // A tag of ours is a token, and a Server value that is none is left out.
    if let Some(tag) = tag {
        _ = response.set_to_tag(tag);
    }
    if let Some(server) = server {
        _ = response.set(Header::Server, server);
    }
    response.to_bytes()
}

/// The To tag of a response that was sent.
pub(super) fn tag_of(response: &Bytes) -> Option<String> {
    let message = Message::parse(response.clone(), &limits()).ok()?;
    let to = message.address(Header::To)?.ok()?;
    to.tag().map(str::to_owned)
}

/// Reads octets that were checked when they came in, or that we made ourselves.
fn reread(octets: &Bytes) -> Option<Request> {
    match Message::parse(octets.clone(), &limits()).ok()?.check() {
        Ok(Checked::Request(request)) => Some(request),
        _ => None,
    }
}

/// Our own messages are at least as long as those that the caller let in, so nothing is refused here.
fn limits() -> Limits {
    let most = usize::from(u16::MAX);
    Limits { max_message: 1 << 20, max_headers: most, max_header: most, max_vias: most, ..Limits::default() }
}

fn derived(invite: &Request, method: &str, to: &[u8], reason: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(768);
    let mut line = |parts: &[&[u8]]| {
        for part in parts {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[method.as_bytes(), b" ", invite.uri().as_bytes(), b" SIP/2.0"]);
    line(&[b"Via: ", invite.values(Header::Via).next().unwrap_or_default()]);
    for route in invite.headers(Header::Route) {
        line(&[b"Route: ", route]);
    }
    line(&[b"Max-Forwards: 70"]);
    line(&[b"From: ", invite.header(Header::From).unwrap_or_default()]);
    line(&[b"To: ", to]);
    line(&[b"Call-ID: ", invite.call_id().as_bytes()]);
    line(&[b"CSeq: ", invite.cseq().seq.to_string().as_bytes(), b" ", method.as_bytes()]);
    if let Some(reason) = reason.filter(|reason| !reason.contains(['\r', '\n', '\0'])) {
        line(&[b"Reason: ", reason.as_bytes()]);
    }
    line(&[b"Content-Length: 0"]);
    line(&[]);
    Bytes::from(out)
}
