//! SIP messages (RFC 3261 §7): lossless parse, edits, writing and stream framing.

mod build;
mod check;
mod edit;
mod error;
mod line;
mod read;
mod request;
mod response;
mod scan;
mod start;
mod stream;
mod write;

pub use build::{BuildError, Builder};
pub use check::{Checked, Defect};
pub use error::{BadValue, DefectKind, ParseError};
pub use request::Request;
pub use response::Response;
pub use stream::{Frame, FrameError, Framer};

use bytes::Bytes;

use crate::Limits;
use line::{Line, Span};
use scan::{Framing, Head, body_length, head};
use start::Start;

/// A message, received or built by us, that can be read, edited and written.
///
/// What was received stays byte for byte: order, case, folding, compact forms and unknown headers. An edit touches
/// the lines that it names and no others. Reading a header parses that header and no other.
///
/// ```
/// use c4_sip_core::header::{Header, TypedHeader, Via};
/// use c4_sip_core::{Limits, Message};
/// let octets = "OPTIONS sip:b@example.com SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nX-Any : 7\r\nl: 0\r\n\r\n";
/// let mut message = Message::parse(octets.into(), &Limits::default()).unwrap();
/// assert_eq!(message.header("x-any"), Some(&b"7"[..]));
/// message.push_front(Header::Via, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2").unwrap();
/// let via = message.typed::<Via<'_>>().unwrap().unwrap();
/// assert_eq!(via.branch(), Some("z9hG4bK2"));
/// assert_eq!(message.headers(Header::Via).count(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    /// The octets as received, from the start line to the end of the body.
    buf: Bytes,
    /// The lines that edits made.
    own: Vec<u8>,
    /// The index, in the order of writing.
    lines: Vec<Line>,
    start: Start,
    start_line: Span,
    body: Body,
    /// What is wrong with a received message, for `check`.
    flaw: Option<DefectKind>,
}

#[derive(Clone, Debug)]
enum Body {
    /// A stretch of `buf`.
    Received(Span),
    Own(Bytes),
}

impl Message {
    /// Reads a datagram: one message. Octets after Content-Length are cut off (RFC 3261 §18.3).
    ///
    /// A message that is malformed but can still be answered, such as one with a wrong Content-Length, is returned;
    /// [`check`](Message::check) tells what is wrong with it.
    ///
    /// # Errors
    /// [`ParseError::KeepAlive`] for empty lines alone, others for octets that are no message.
    pub fn parse(datagram: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        if datagram.len() > limits.max_message {
            return Err(ParseError::TooLarge);
        }
        let buf = match datagram.first() {
            Some(b'\r' | b'\n' | 0) | None => skip_blank_lines(datagram)?,
            Some(_) => datagram,
        };
        let head = head(&buf, limits)?;
        let framing = Framing::Datagram(buf.len() - head.end);
        Ok(Message::assemble(buf, head, framing))
    }

    /// The message of a head and the octets that it was read from.
    fn assemble(buf: Bytes, head: Head, framing: Framing) -> Message {
        let (len, flaw) = match body_length(head.declared, framing) {
            Ok(len) => (len, head.flaw),
            Err(kind) => (0, head.flaw.or(Some(kind))),
        };
        let body = Span { start: head.end as u32, len: len as u32, own: false };
        Message {
            buf,
            own: Vec::new(),
            lines: head.lines,
            start: head.start,
            start_line: head.start_line,
            body: Body::Received(body),
            flaw,
        }
    }

    /// The octets that a line or span points into.
    #[inline]
    fn octets(&self, own: bool) -> &[u8] {
        if own { &self.own } else { &self.buf }
    }
}

/// Leading CRLFs are ignored (RFC 3261 §7.5); nothing else is a keepalive.
fn skip_blank_lines(datagram: Bytes) -> Result<Bytes, ParseError> {
    if datagram.iter().all(|c| matches!(c, b'\r' | b'\n' | 0)) {
        return Err(ParseError::KeepAlive);
    }
    let mut at = 0;
    while datagram.get(at..at + 2) == Some(b"\r\n") {
        at += 2;
    }
    Ok(datagram.slice(at..))
}
