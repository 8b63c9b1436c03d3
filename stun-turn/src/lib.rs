//! STUN (RFC 8489), TURN (RFC 8656) and ICE (RFC 8445) without I/O. Its modules come with the TURN issue.
#![forbid(unsafe_code)]
