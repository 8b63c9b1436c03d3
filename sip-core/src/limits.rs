//! Bounds on what a peer may send.
