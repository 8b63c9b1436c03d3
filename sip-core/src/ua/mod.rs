//! User agents (RFC 3261 §8, §10.2, §12 to §15): dialogs as values, INVITE sessions at both ends, registrations.
mod agent;
mod config;
mod dialog;
mod dialogs;
mod event;
mod ids;
mod in_dialog;
mod outbound;
mod registrant;
mod route_set;
mod session;
mod timer;
mod uac;
mod uas;

pub use agent::Ua;
pub use config::{Body, Config, Extra, Invite, Refused, Registration};
pub use dialog::{Dialog, DialogError, DialogId, DialogState, Role};
pub use event::{EndCause, Event};
pub use ids::{RegistrationId, RequestId, SessionId};
pub use route_set::{Addressing, RouteSet};
