//! Session descriptions (RFC 8866 §5): lossless parse, edits and writing.

mod compare;
mod edit;
mod error;
pub(crate) mod index;
mod parse;
mod read;
mod write;

pub use error::{BadEdit, ParseError, Warning, WarningKind};
pub use read::RawLine;
pub(crate) use read::text;

use std::fmt;

use bytes::Bytes;

use index::Line;

/// Where a line stands: in the session part, or in a media description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Before the first `m=`.
    Session,
    /// The media description of this number, from 0.
    Media(usize),
}

/// A session description, received or built by us, that can be read, edited and written.
///
/// What was received stays octet for octet: order, unknown lines and attributes, line ends, odd forms. An edit touches
/// the lines that it names and no others. Media descriptions are numbered from 0 in the order of their `m=` lines.
///
/// ```
/// use c4_sdp::{Limits, Session, WarningKind};
/// // Bare line feeds, no s= and no t=, an attribute that nobody knows, a malformed rtpmap.
/// let odd = "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 9 RTP/AVP 0 19\na=rtpmap:19\na=x-any:thing\n";
/// let session = Session::parse(odd.into(), &Limits::default()).unwrap();
/// assert_eq!(session.to_bytes(), odd.as_bytes());
/// assert_eq!(session.media(0).unwrap().attribute("x-any"), Some("thing"));
/// assert!(session.warnings().iter().any(|warning| warning.kind == WarningKind::MissingTime));
/// assert!(Session::parse_strict(odd.into(), &Limits::default()).is_err());
/// ```
#[derive(Clone, Default)]
pub struct Session {
    /// The octets as received.
    buf: Bytes,
    /// The lines that edits made.
    own: Vec<u8>,
    /// The index, in the order of writing.
    lines: Vec<Line>,
    warnings: Vec<Warning>,
}

/// Sizes only: `a=crypto` and `a=ice-pwd` are secrets, and logs are made of `Debug`.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("lines", &self.lines.len())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Reads a description leniently: what can be understood is, and [`warnings`](Session::warnings) tells the rest.
    ///
    /// # Errors
    /// [`ParseError`] for what is over a limit, and for octets that are no description at all.
    pub fn parse(octets: Bytes, limits: &crate::Limits) -> Result<Session, ParseError> {
        parse::parse(octets, limits)
    }

    /// As [`parse`](Session::parse), but every oddity is an error, and so is a known attribute that is malformed.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::Strict`] names the first oddity.
    pub fn parse_strict(octets: Bytes, limits: &crate::Limits) -> Result<Session, ParseError> {
        let session = parse::parse(octets, limits)?;
        if let Some(first) = session.warnings.first().copied().or_else(|| session.lint().into_iter().next()) {
            return Err(ParseError::Strict(first));
        }
        Ok(session)
    }

    /// The oddities of the description as received.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The octets that a line or span points into.
    #[inline]
    pub(crate) fn octets(&self, own: bool) -> &[u8] {
        if own { &self.own } else { &self.buf }
    }

    pub(crate) fn line_value(&self, line: &Line) -> &[u8] {
        line.value(self.octets(line.is_own()))
    }

    /// The index of a section: where its lines start and end.
    pub(crate) fn section(&self, scope: Scope) -> Option<std::ops::Range<usize>> {
        let mut starts = self.lines.iter().enumerate().filter(|(_, line)| line.letter() == b'm').map(|(at, _)| at);
        let end = self.lines.len();
        match scope {
            Scope::Session => Some(0..starts.next().unwrap_or(end)),
            Scope::Media(index) => {
                let start = starts.nth(index)?;
                Some(start..starts.next().unwrap_or(end))
            }
        }
    }
}
