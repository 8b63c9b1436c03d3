//! Max-Forwards at a proxy (RFC 3261 §16.3 step 3, §16.6 step 3).

use crate::message::Request;

/// What a request without Max-Forwards gets (RFC 3261 §16.6 step 3).
pub const DEFAULT: u8 = 70;

/// The request has no hop left: 483 (RFC 3261 §16.3 step 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Max-Forwards is 0")]
pub struct TooManyHops;

/// Takes one hop off, or adds the default; returns what the request now carries.
pub fn decrement(request: &mut Request) -> Result<u8, TooManyHops> {
    let left = match request.max_forwards() {
        Some(0) => return Err(TooManyHops),
        Some(hops) => hops - 1,
        None => DEFAULT,
    };
    request.set_max_forwards(left);
    Ok(left)
}
