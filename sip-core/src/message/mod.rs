//! SIP messages (RFC 3261 §7): lossless parse, edits, writing and stream framing.
