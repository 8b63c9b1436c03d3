//! The operator's remote procedure calls, as data.
//!
//! JSON-RPC 2.0, one object a line, over the socket of `[admin]`. [`METHODS`] is the whole list and describes itself
//! (`rpc.list`). A method that the driver does not answer goes to the machines as a [`Command`]; [`merge`] makes one
//! answer of theirs. No sockets here: `io` carries the lines.

mod lines;
mod merge;
mod rpc;

pub use lines::lines;
pub use merge::merge;
pub use rpc::{ErrorCode, Request, error_line, parse_line, reply_line};

use serde_json::Value;

/// A question or order for a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Name of the method, as in [`METHODS`].
    pub method: String,
    /// Parameters: an object, an array or null.
    pub params: Value,
}

/// A machine's answer: the result, or one line that says what is wrong with the parameters.
pub type Answer = Result<Value, String>;

/// Who answers a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The program itself, or the driver of the sockets.
    Driver,
    /// Every machine; numbers are added, lists joined.
    All,
    /// One machine: the state is shared by all.
    One,
}

/// A method and what it says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Who answers it.
    pub scope: Scope,
}

/// All methods.
pub const METHODS: &[Method] = &[
    Method { name: "rpc.list", help: "the methods and what they do", scope: Scope::Driver },
    Method { name: "info", help: "name, version, process id, workers", scope: Scope::Driver },
    Method { name: "sockets", help: "the sockets that are listened on", scope: Scope::Driver },
    Method { name: "conns", help: "the open connections", scope: Scope::All },
    Method { name: "stats", help: "counters and gauges of the role and its sockets", scope: Scope::All },
    Method { name: "ul.list", help: "the registered contacts; params {\"aor\": ...} for one", scope: Scope::One },
    Method { name: "backend.list", help: "the backends and whether they are up", scope: Scope::One },
    Method { name: "relay.list", help: "the calls of the media relay", scope: Scope::All },
    Method {
        name: "relay.show",
        help: "all that the relay knows of a call, as `query`; params {\"call-id\": ...}; null: there is none",
        scope: Scope::All,
    },
    Method {
        name: "relay.drain",
        help: "take no new calls and keep those that are there; params {\"on\": false}: take them again",
        scope: Scope::One,
    },
    Method { name: "trace", help: "the last SIP messages, as many as admin.trace says", scope: Scope::One },
    Method { name: "tls.reload", help: "read the certificate files again", scope: Scope::Driver },
    Method {
        name: "reload",
        help: "read the configuration, certificates, keys and users again; answers what changed and what needs a restart",
        scope: Scope::Driver,
    },
    Method { name: "stop", help: "stop the program, flushing what is durable", scope: Scope::Driver },
];

/// The method of this name.
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The answer to `rpc.list`.
pub fn list() -> Value {
    METHODS.iter().map(|method| serde_json::json!({ "name": method.name, "help": method.help })).collect()
}
