//! Bounds on what a peer may send.

/// Hard limits of the parser and the stream framer. All sizes are octets.
///
/// ```
/// use c4_sip_core::Limits;
/// let limits = Limits { max_headers: 64, ..Limits::default() };
/// assert_eq!(limits.max_message, 64 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A whole message, head and body.
    pub max_message: usize,
    /// Header lines in one message.
    pub max_headers: usize,
    /// One header line with its folded continuations. Never above 65535, whatever is set here.
    pub max_header: usize,
    /// Via values in one message: Max-Forwards starts at 70 (RFC 3261 §8.1.1.6), so no honest request has more.
    pub max_vias: usize,
    /// The request or status line.
    pub max_start_line: usize,
}

impl Limits {
    /// The longest header line that the index can address.
    pub(crate) const HEADER_CEILING: usize = u16::MAX as usize;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message: 64 * 1024,
            max_headers: 128,
            max_header: 8 * 1024,
            max_vias: 70,
            max_start_line: 8 * 1024,
        }
    }
}
