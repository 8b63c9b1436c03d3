//! The stateful proxy and registrar application, without I/O.
//!
//! [`App`] is one shard of it: a transaction layer, the proxy core, and the calls under way. All shards share the location
//! table ([`Shared`]) and the [`Settings`].

mod app;
pub mod calls;
mod counters;
mod dialogs;
mod follow;
mod inbound;
mod keepalive;
pub mod location;
pub mod media;
mod nated;
mod outbound;
pub mod policy;
pub mod record_route;
mod register;
mod report;
pub mod settings;
mod shared;
pub mod targets;
pub mod users;

pub use app::{App, Start, shards};
pub use counters::Counters;
pub use settings::Settings;
pub use shared::Shared;
