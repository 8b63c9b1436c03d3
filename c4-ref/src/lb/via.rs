//! Our own Via: a deterministic branch, and the way back of the response as a token beside it.

use bytes::Bytes;
use nat::keys::KeyRing;
use nat::path::TokenError;
use nat::reply::{ReplyToken, Side};
use sip_core::flow::Transport;
use sip_core::header::Via;
use sip_core::message::{BadValue, Request};

use super::listeners::Listener;

/// Name of the parameter that holds the token.
const TOKEN: &str = "c4";

/// A request with our Via on top: it speaks for `egress` over `transport`, and its response goes to `back`.
pub(super) fn forwarded(
    request: &Request,
    keys: &KeyRing,
    unix: u64,
    egress: (&Listener, Transport),
    branch: &str,
    back: &ReplyToken,
) -> Result<Bytes, BadValue> {
    let (listener, transport) = egress;
    let mut via = Vec::with_capacity(160);
    via.extend_from_slice(b"SIP/2.0/");
    via.extend_from_slice(transport.as_str().as_bytes());
    via.push(b' ');
    via.extend_from_slice(listener.sent_by.as_bytes());
    if back.to == Side::Inside {
        // Out there a NAT may stand before us (RFC 3581 §3).
        via.extend_from_slice(b";rport");
    }
    via.extend_from_slice(b";branch=");
    via.extend_from_slice(branch.as_bytes());
    via.extend_from_slice(b";c4=");
    keys.seal_reply(back, branch.as_bytes(), unix, &mut via);
    request.forwarded(&via)
}

/// The way back that our Via says, if it is ours.
pub(super) fn open(via: &Via<'_>, keys: &KeyRing, unix: u64, lifetime: u64) -> Result<ReplyToken, TokenError> {
    let token = via.params.value(TOKEN).ok_or(TokenError::Malformed)?;
    let branch = via.branch().ok_or(TokenError::Malformed)?;
    keys.open_reply(token.as_bytes(), branch.as_bytes(), unix, lifetime)
}
