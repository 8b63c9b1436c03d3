//! Whole calls of user agents on a virtual network and clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod calls;
mod cancel;
mod challenges;
mod contract;
mod forks;
mod loss;
mod registrations;
mod reinvites;
mod requests;
mod world;
