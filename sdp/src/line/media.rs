//! `m=`.

use std::fmt;

use super::{check_field, is_token};
use crate::{BadEdit, Protocol};

/// The line that opens a media description (RFC 8866 §5.14).
///
/// ```
/// use c4_sdp::{MediaLine, Protocol};
/// let line = MediaLine::parse("video 49170/2 RTP/AVP 31 99").unwrap();
/// assert_eq!((line.kind, line.port, line.count, line.protocol), ("video", 49170, Some(2), Protocol::RtpAvp));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// `audio`, `video`, `text`, `application`, `message`, `image` or another.
    pub kind: &'a str,
    /// The port; 0 rejects the media, or marks it as bundle-only (RFC 3264 §6, RFC 9143 §6).
    pub port: u16,
    /// How many ports (pairs of RTP and RTCP).
    pub count: Option<u32>,
    /// The transport.
    pub protocol: Protocol<'a>,
    /// Payload types or others, with blanks between.
    pub formats: &'a str,
}

impl<'a> MediaLine<'a> {
    /// Reads the value of an `m=` line. Protocol and formats may be missing, as in `m=audio 0`; see
    /// [`is_well_formed`](MediaLine::is_well_formed). None if kind or port is malformed.
    pub fn parse(value: &'a str) -> Option<MediaLine<'a>> {
        let (kind, rest) = field(value)?;
        let (port, rest) = field(rest)?;
        let (port, count) = match port.split_once('/') {
            Some((port, count)) => (port, Some(count.parse().ok()?)),
            None => (port, None),
        };
        let (protocol, formats) = field(rest).unwrap_or(("", ""));
        Some(MediaLine {
            kind,
            port: port.parse().ok()?,
            count,
            protocol: Protocol::parse(protocol),
            formats: formats.trim(),
        })
    }

    /// Whether it has all that the grammar asks for: a protocol and a format at the least.
    pub fn is_well_formed(&self) -> bool {
        !self.protocol.as_str().is_empty() && !self.formats.is_empty() && self.count != Some(0)
    }

    pub(crate) fn check(&self) -> Result<(), BadEdit> {
        check_field(self.kind)?;
        check_field(self.protocol.as_str())?;
        if self.formats.is_empty() || !self.kind.bytes().all(is_token) {
            return Err(BadEdit::Token);
        }
        self.formats.split(' ').try_for_each(check_field)
    }
}

/// The first field and what follows it.
fn field(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return None;
    }
    Some(text.split_once([' ', '\t']).unwrap_or((text, "")))
}

impl fmt::Display for MediaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.port)?;
        if let Some(count) = self.count {
            write!(f, "/{count}")?;
        }
        write!(f, " {} {}", self.protocol.as_str(), self.formats)
    }
}
