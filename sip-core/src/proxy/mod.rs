//! The proxy core of RFC 3261 §16 with RFC 5393 (loops, Max-Breadth), RFC 4320 and RFC 6026: validate, route, targets,
//! response context, stateless forwarding.
//!
//! [`Proxy`] is the stateful core. What a stateless element shares with it stands in small rooms of its own:
//! [`hash`], [`loop_detection`], [`max_forwards`], [`next_hop`], [`redirect`], [`route`], [`stateless`], [`validate`], and [`Locals`].

mod best;
mod config;
mod context;
mod core;
mod ending;
mod event;
#[cfg(test)]
mod fixture;
mod fold;
mod forwarding;
pub mod hash;
mod local;
pub mod loop_detection;
pub mod max_forwards;
pub mod next_hop;
pub mod redirect;
mod responses;
pub mod route;
mod state;
pub mod stateless;
mod stats;
mod table;
mod targets;
pub mod validate;

pub use config::Config;
pub use context::Options;
pub use core::{AckDropped, CommandError, Proxy, Rejected};
pub use event::{BranchRef, By, Cause, ContextId, Event, Outcome};
pub use local::Locals;
pub use stats::Stats;
pub use targets::{Branch, Edit, Hunt};
