//! STUN (RFC 8489), TURN (RFC 8656) and ICE (RFC 8445) without I/O. It is still empty.
#![forbid(unsafe_code)]
