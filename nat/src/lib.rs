//! NAT helpers for SIP and SDP.
#![forbid(unsafe_code)]

mod base64url;
#[cfg(feature = "sip")]
pub mod contact;
#[cfg(feature = "sip")]
pub mod detect;
pub mod keepalive;
pub mod keys;
pub mod latch;
pub mod path;
pub mod reply;
pub mod siphash;
mod wire;
