//! SIP (RFC 3261) as state machines without I/O: messages, transactions, dialogs, proxy and registrar.
#![forbid(unsafe_code)]

pub mod auth;
pub mod flow;
pub mod header;
pub mod limits;
pub mod message;
pub mod method;
pub mod proxy;
pub mod registrar;
pub mod resolve;
pub mod sanity;
pub mod status;
pub mod transaction;
pub mod ua;
pub mod uri;

pub use flow::{ConnectionId, Destination, Flow, Target, Transport};
pub use limits::Limits;
pub use message::{Checked, Message, Request, Response};
pub use method::Method;
pub use status::StatusCode;
