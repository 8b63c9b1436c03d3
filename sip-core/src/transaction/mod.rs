//! The transaction layer (RFC 3261 §17, RFC 6026): [`Layer`].
//!
//! Four state machines, one a file, live in one table with one timer wheel. A request of ours is found again by its
//! branch, which is the transaction's name with a keyed check; a request of a peer by a keyed hash of its branch,
//! sent-by and method.

mod branch;
mod client;
mod config;
mod derive;
mod event;
mod id;
mod invite_client;
mod invite_server;
pub(crate) mod keyed;
mod layer;
mod matching;
mod non_invite_client;
mod non_invite_server;
mod output;
mod reply;
pub(crate) mod room;
mod server;
mod slab;
mod stats;
mod table;
mod tenant;
mod timer;
mod via;
pub(crate) mod wheel;

pub use branch::shard_of_branch;
pub use config::{Config, MtuRule, Timers};
pub use event::{Busy, Event, Gone, Input, Rejected, Transmit};
pub use id::{ClientId, ConnectId, ServerId, TransmitId};
pub use layer::Layer;
pub use stats::Stats;
