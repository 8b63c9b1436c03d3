//! What can be wrong with a description.

/// Octets that are refused as a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// No line of it looks like SDP, or it is empty.
    #[error("no session description")]
    NotSdp,
    /// More octets than [`Limits::max_octets`](crate::Limits::max_octets).
    #[error("the description is too large")]
    TooLarge,
    /// More lines than [`Limits::max_lines`](crate::Limits::max_lines).
    #[error("too many lines")]
    TooManyLines,
    /// A line longer than [`Limits::max_line`](crate::Limits::max_line).
    #[error("line {line} is too long")]
    LineTooLong {
        /// Its number, from 1.
        line: u32,
    },
    /// More media descriptions than [`Limits::max_medias`](crate::Limits::max_medias).
    #[error("too many media descriptions")]
    TooManyMedias,
    /// More attributes in one section than [`Limits::max_attributes`](crate::Limits::max_attributes).
    #[error("too many attributes")]
    TooManyAttributes,
    /// Strict mode only: what lenient mode would warn of.
    #[error("{0}")]
    Strict(Warning),
}

/// An oddity that lenient mode lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Warning {
    /// Number of the line, from 1; for something absent, the line where it was missed.
    pub line: u32,
    /// What is odd.
    pub kind: WarningKind,
}

/// Kinds of oddities (RFC 8866 §5 and §9, unless said otherwise).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// LF without CR.
    #[error("the line ends with a bare LF")]
    BareLineFeed,
    /// CR without LF within a line.
    #[error("a CR stands within the line")]
    BareCarriageReturn,
    /// The last line has no end.
    #[error("the last line has no end")]
    NoLineEnd,
    /// A NUL octet.
    #[error("a NUL octet")]
    Nul,
    /// Octets that are no UTF-8.
    #[error("no UTF-8")]
    NotUtf8,
    /// An empty line.
    #[error("an empty line")]
    EmptyLine,
    /// No `x=`.
    #[error("not of the form type=value")]
    NotALine,
    /// A letter that is no type of RFC 8866.
    #[error("an unknown type of line")]
    UnknownType,
    /// Blanks where the grammar has none.
    #[error("misplaced blanks")]
    Blanks,
    /// A line that stands where the grammar does not allow it.
    #[error("a line out of order")]
    Order,
    /// A line that may stand once stands again.
    #[error("a repeated line")]
    Repeated,
    /// Another version than 0.
    #[error("the version is not 0")]
    Version,
    /// No `v=`.
    #[error("v= is missing")]
    MissingVersion,
    /// No `o=`.
    #[error("o= is missing")]
    MissingOrigin,
    /// No `s=`.
    #[error("s= is missing")]
    MissingName,
    /// An empty `s=` (at least one character is asked for).
    #[error("s= is empty")]
    EmptyName,
    /// No `t=`.
    #[error("t= is missing")]
    MissingTime,
    /// Neither the session nor this media description has a `c=`, and the media is not rejected.
    #[error("c= is missing")]
    MissingConnection,
    /// A malformed `o=`.
    #[error("a malformed o=")]
    Origin,
    /// A malformed `c=`.
    #[error("a malformed c=")]
    Connection,
    /// A malformed `m=`.
    #[error("a malformed m=")]
    Media,
    /// A malformed `b=`.
    #[error("a malformed b=")]
    Bandwidth,
    /// A malformed `t=`.
    #[error("a malformed t=")]
    Time,
    /// An attribute without a name.
    #[error("an attribute without name")]
    AttributeName,
    /// An attribute's name in other letter case than registered.
    #[error("an attribute's name in unusual case")]
    AttributeCase,
    /// An attribute that does not follow its grammar, such as `a=rtpmap:19`.
    #[error("a malformed attribute")]
    Attribute,
}

/// Why an edit was refused. The description is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadEdit {
    /// CR, LF or NUL in a value.
    #[error("a value holds CR, LF or NUL")]
    Octet,
    /// A name or field that is no token, or empty where a value is needed.
    #[error("a field is no token")]
    Token,
    /// There is no media description of this number.
    #[error("no such media description")]
    NoMedia,
    /// There is no line to edit.
    #[error("no such line")]
    NoLine,
    /// The line or description becomes too long.
    #[error("a value is too long")]
    TooLong,
}
