//! What a server counts.

/// Counters of a [`super::Server`]; they only rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests handed on, each once.
    pub requests: u64,
    /// Replies to them.
    pub replies: u64,
    /// Requests that came again with the same cookie.
    pub repeated: u64,
    /// Datagrams and streams without a cookie, and messages that are no request.
    pub malformed: u64,
    /// Datagrams and connections from addresses that may not ask.
    pub denied: u64,
    /// What was turned away because a bound was reached.
    pub busy: u64,
    /// Keys and flags that are not known.
    pub unknown_flags: u64,
    /// Requests that ask for what is not supported.
    pub unsupported: u64,
}
