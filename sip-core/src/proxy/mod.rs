//! The stateful proxy core (RFC 3261 §16) and stateless forwarding (§16.11).
