//! What can be wrong with a message.

use crate::header::Header;

/// Octets that cannot be read as a message at all; nothing can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A datagram of CRLF or NUL octets alone, or of none: a keepalive (RFC 5626 §4.4), no garbage.
    #[error("a keepalive")]
    KeepAlive,
    /// The first line is neither a request line nor a status line of SIP (RFC 3261 §7.1, §7.2).
    #[error("no SIP start line")]
    StartLine,
    /// LF without CR, or CR without LF, in the head (RFC 3261 §7: lines end with CRLF).
    #[error("a line does not end with CRLF")]
    BareLineEnd,
    /// The first line has no end, or a folded line has none.
    #[error("the start line is cut off")]
    Truncated,
    /// More octets than [`Limits::max_message`](crate::Limits::max_message).
    #[error("the message is too large")]
    TooLarge,
    /// More lines than [`Limits::max_headers`](crate::Limits::max_headers).
    #[error("too many header lines")]
    TooManyHeaders,
    /// A line longer than [`Limits::max_header`](crate::Limits::max_header).
    #[error("a header line is too long")]
    HeaderTooLong,
    /// A start line longer than [`Limits::max_start_line`](crate::Limits::max_start_line).
    #[error("the start line is too long")]
    StartLineTooLong,
}

/// What makes a message a bad one, though it can be read. [`super::Defect`] carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DefectKind {
    /// A version other than SIP/2.0.
    #[error("Version Not Supported")]
    Version,
    /// Blanks in the start line that do not belong there (RFC 4475 §3.1.2.8 to §3.1.2.10).
    #[error("Malformed Request Line")]
    RequestLine,
    /// The Request-URI is malformed, or has headers (RFC 3261 §19.1.1).
    #[error("Malformed Request-URI")]
    RequestUri,
    /// A datagram that ends before the blank line after the head.
    #[error("Head Cut Off")]
    Truncated,
    /// A header line without name or colon.
    #[error("Malformed Header Line")]
    HeaderLine,
    /// Content-Length is no number, negative or too large.
    #[error("Bad Content-Length")]
    ContentLength,
    /// More than one Content-Length (RFC 4475 §3.3.9).
    #[error("Conflicting Content-Length")]
    ContentLengthConflict,
    /// Content-Length is larger than what the datagram holds (RFC 3261 §18.3).
    #[error("Body Shorter Than Content-Length")]
    ShortBody,
    /// A message on a stream without Content-Length (RFC 3261 §18.3, §20.14).
    #[error("Content-Length Required")]
    NoContentLength,
    /// A mandatory header is absent (RFC 3261 §8.1.1).
    #[error("Missing {0}")]
    Missing(Header),
    /// A header that may stand once stands several times.
    #[error("Multiple {0}")]
    Repeated(Header),
    /// A mandatory header does not follow its grammar.
    #[error("Malformed {0}")]
    Malformed(Header),
    /// The method of CSeq is not that of the request line (RFC 3261 §8.1.1.5).
    #[error("CSeq Method Mismatch")]
    MethodMismatch,
    /// More Via values than [`Limits::max_vias`](crate::Limits::max_vias).
    #[error("Too Many Via Values")]
    TooManyVias,
}

/// Why a setter refused a value. The message is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadValue {
    /// CR, LF or NUL in a value.
    #[error("a value holds CR, LF or NUL")]
    Octet,
    /// A header name that is no token.
    #[error("a header name is no token")]
    Name,
    /// A URI, method or value that does not follow its grammar.
    #[error("a value does not follow its grammar")]
    Grammar,
    /// The setter would make a fact of the type untrue: this header has its own setter, or none.
    #[error("{0} cannot be changed here")]
    Protected(Header),
    /// The line or message becomes too long.
    #[error("a value is too long")]
    TooLong,
}
