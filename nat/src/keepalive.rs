//! Keepalives towards phones behind NATs.
