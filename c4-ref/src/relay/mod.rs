//! The media relay: offers and answers of the NG protocol in, SDP that names our own ports out, media in between.
//!
//! [`media`] is the table of sockets and the hot path; everything else here is signalling. [`Relay`] is the machine of
//! one worker; calls are shared out by Call-ID.

mod admin;
mod answer;
mod call;
mod delete;
mod description;
mod driven;
mod machine;
pub mod media;
mod offer;
mod origin;
mod query;
mod rewrite;
mod sessions;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod timeouts;

pub use machine::{Event, Relay, RequestId};
pub use sessions::Sessions;
pub use settings::{Settings, Timeouts, Update};
pub use timeouts::TimeoutKind;
