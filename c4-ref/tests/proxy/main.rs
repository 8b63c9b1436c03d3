//! The proxy application on a virtual clock: what comes in as text, what goes out as messages, no sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod admission;
mod calls;
mod contract;
mod dialogs;
mod harness;
mod limits;
mod media;
mod media_ends;
mod media_failures;
mod registrations;
mod shards;
mod targets;
mod trunks;
