//! `c4-relay` as its controllers and callers meet it: a real process, NG over UDP and TCP, real packets.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "real processes"
)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod garbage;
mod harness;
mod operator;
