//! The proxy core over the transaction layer, rule by rule, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests outside of #[test] functions"
)]

mod harness;

mod cancel;
mod contract;
mod dialogs;
mod forking;
mod forwarding;
mod loops;
mod responses;
mod timers;
mod validation;
