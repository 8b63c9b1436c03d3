//! The transaction layer (RFC 3261 §17, RFC 6026).

mod branch;
mod config;
mod id;
mod keyed;
mod slab;
mod stats;
mod timer;
mod wheel;

pub use branch::{MAGIC_COOKIE, shard_of_branch};
pub use config::{Config, MtuRule, Timers};
pub use id::{ClientId, ConnectId, ServerId, TransmitId};
pub use stats::Stats;
