//! What a client counts.

/// Counters of a [`super::Client`]; they only rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that were taken.
    pub requests: u64,
    /// Replies to them.
    pub replies: u64,
    /// Requests that got none from any relay.
    pub failed: u64,
    /// Pings sent.
    pub pings: u64,
    /// Datagrams sent again.
    pub repeated: u64,
    /// Requests that went on to another relay.
    pub moved: u64,
    /// Replies that nobody waits for, and what is no reply.
    pub strays: u64,
    /// Requests that were turned away because a bound was reached.
    pub busy: u64,
}
