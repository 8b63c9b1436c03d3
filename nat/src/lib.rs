//! NAT helpers for SIP and SDP.
#![forbid(unsafe_code)]

#[cfg(feature = "sip")]
pub mod contact;
#[cfg(feature = "sip")]
pub mod detect;
pub mod keepalive;
pub mod path;
