//! What the proxy core counts.

/// Counters of a [`Proxy`](super::Proxy) since it was made, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stats {
    /// Contexts now.
    pub contexts: usize,
    /// Requests taken.
    pub requests: u64,
    /// Requests refused: invalid, looping, or too many.
    pub refused: u64,
    /// Branches sent.
    pub branches: u64,
    /// Branches sent to a further destination after a failure (RFC 3263 §4.3).
    pub failovers: u64,
    /// ACKs to 2xx sent on.
    pub acks: u64,
    /// Contexts that the caller cancelled.
    pub cancelled: u64,
    /// Responses that no transaction knew.
    pub stray_responses: u64,
    /// Final responses that could not be delivered upstream.
    pub undeliverable: u64,
}
