//! The proxy core of RFC 3261 §16 with RFC 5393 (loops, Max-Breadth), RFC 4320 and RFC 6026: validate, route, targets,
//! response context, stateless forwarding.
//!
//! What a stateless element shares with the stateful core stands in small rooms of its own:
//! [`hash`], [`loop_detection`], [`max_forwards`], [`next_hop`], [`route`], [`stateless`], [`validate`], and [`Locals`].

mod config;
mod event;
pub mod hash;
mod local;
pub mod loop_detection;
pub mod max_forwards;
pub mod next_hop;
pub mod route;
pub mod stateless;
mod targets;
pub mod validate;

pub use config::Config;
pub use event::{BranchRef, By, Cause, ContextId, Event, Outcome};
pub use local::Locals;
pub use targets::{Branch, Edit, Hunt};
