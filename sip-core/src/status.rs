//! SIP status codes (RFC 3261 §21).
