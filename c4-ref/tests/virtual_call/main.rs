//! Whole calls through load balancer and proxy, with registrations, on a virtual network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod calls;
mod house;
mod trouble;
