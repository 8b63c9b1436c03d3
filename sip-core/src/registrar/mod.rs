//! The registrar and location service (RFC 3261 §10), with Path (RFC 3327).
//!
//! [`Registrar`] is the machine; [`Registration`] reads a request before any table is locked.

mod binding;
mod config;
mod event;
mod granted;
mod machine;
mod refusal;
mod registration;
mod table;
#[cfg(test)]
mod tests;

pub use binding::{Binding, ImportError};
pub use config::{Config, Context, PathPolicy, WallClock, WhenFull};
pub use event::{Event, RemovedBy};
pub use granted::Granted;
pub use machine::{Registrar, Rejected};
pub use refusal::Refusal;
pub use registration::Registration;
