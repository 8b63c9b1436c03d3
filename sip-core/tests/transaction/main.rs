//! The transaction layer on a virtual clock, over its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // Helpers of tests.

mod bounds;
mod cancel;
mod connect;
mod contract;
mod invite_client;
mod invite_server;
mod lossy;
mod matching;
mod non_invite_client;
mod non_invite_server;
mod rig;
