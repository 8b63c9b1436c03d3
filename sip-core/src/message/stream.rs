//! Cutting messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1 keepalives).

use bytes::{Buf, BytesMut};

use super::error::ParseError;
use super::scan::{Framing, Head, Resume, body_length, head, head_end};
use super::{Defect, Message};
use crate::Limits;
use crate::header::grammar::is_token;

/// Cuts messages out of a byte stream, by the same rules as [`Message::parse`].
///
/// Put octets in with [`push`](Framer::push) or into [`buffer`](Framer::buffer), then take frames with
/// [`next`](Framer::next) until it gives none. After an error nothing more comes: where the next message would
/// start is unknown, so the connection must be closed.
///
/// ```
/// use c4_sip_core::message::{Frame, Framer};
/// use c4_sip_core::Limits;
/// let mut framer = Framer::new(Limits::default());
/// framer.push(b"\r\n\r\nSIP/2.0 200 OK\r\nContent-Len");
/// assert!(matches!(framer.next(), Ok(Some(Frame::Ping))));
/// assert!(matches!(framer.next(), Ok(None)));
/// framer.push(b"gth: 2\r\n\r\nab");
/// let Ok(Some(Frame::Message(message))) = framer.next() else { panic!() };
/// assert_eq!(message.body(), b"ab");
/// ```
#[derive(Debug)]
pub struct Framer {
    buf: BytesMut,
    limits: Limits,
    resume: Resume,
    /// A head that was read, and the length of its message.
    pending: Option<(Head, usize)>,
    /// The last frame was a single CRLF: another one makes a ping.
    crlf: bool,
    dead: bool,
    /// Frames taken so far.
    frames: u64,
}

/// What comes out of a stream.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// CRLF CRLF: to be answered with CRLF (RFC 5626 §4.4.1).
    Ping,
    /// CRLF: the answer to a ping.
    Pong,
}

/// Octets from which no further message can be cut. The connection must be closed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No message; nothing can be answered.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// A message whose end is unknown; [`Defect::response`] may be sent before closing.
    #[error(transparent)]
    Unbounded(Box<Defect>),
}

impl Framer {
    /// A framer for one connection.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            buf: BytesMut::new(),
            limits,
            resume: Resume::default(),
            pending: None,
            crlf: false,
            dead: false,
            frames: 0,
        }
    }

    /// Adds received octets.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.dead {
            self.buf.extend_from_slice(octets);
        }
    }

    /// Where a reader may append received octets itself.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Which message is half received, counted from the first: while it stays the same, that message's time runs.
    /// None: the stream stands between messages.
    pub fn partial(&self) -> Option<u64> {
        (!self.buf.is_empty() && !self.dead).then_some(self.frames)
    }

    /// The next frame; None: more octets are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the connection must be closed.
    #[allow(clippy::should_implement_trait, reason = "it can fail and resume, which no iterator does")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.dead {
            return Ok(None);
        }
        let frame = self.cut();
        match &frame {
            Ok(Some(_)) => {
                self.frames += 1;
                self.resume = Resume::default();
            }
            Ok(None) => {}
            Err(_) => {
                self.dead = true;
                self.buf = BytesMut::new();
            }
        }
        frame
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        let (head, total) = match self.pending.take() {
            Some(pending) => pending,
            None => match self.buf.first() {
                None => return Ok(None),
                Some(b'\r' | b'\n') => return self.cut_crlf(),
                Some(first) if !is_token(*first) => return Err(ParseError::StartLine.into()),
                Some(_) => match self.read_head()? {
                    None => return Ok(None),
                    Some(pending) => pending,
                },
            },
        };
        self.crlf = false;
        if self.buf.len() < total {
            self.pending = Some((head, total));
            return Ok(None);
        }
        let octets = self.buf.split_to(total).freeze();
        Ok(Some(Frame::Message(Message::assemble(octets, head, Framing::Stream))))
    }

    /// Empty lines between messages.
    fn cut_crlf(&mut self) -> Result<Option<Frame>, FrameError> {
        let (octets, frame) = match self.buf.as_ref() {
            [b'\r', b'\n', b'\r', b'\n', ..] => (4, Frame::Ping),
            // The second half of a ping may come in the next segment.
            [b'\r', b'\n', b'\r'] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] if self.crlf => (2, Frame::Ping),
            [b'\r', b'\n', ..] => (2, Frame::Pong),
            _ => return Err(ParseError::BareLineEnd.into()),
        };
        self.crlf = matches!(frame, Frame::Pong);
        self.buf.advance(octets);
        Ok(Some(frame))
    }

    fn read_head(&mut self) -> Result<Option<(Head, usize)>, FrameError> {
        let Some(end) = head_end(&self.buf, &mut self.resume) else {
            if self.buf.len() > self.limits.max_message {
                return Err(ParseError::TooLarge.into());
            }
            let first_line = self.buf.len() > self.limits.max_start_line
                && memchr::memchr(b'\n', self.buf.get(..self.limits.max_start_line).unwrap_or_default()).is_none();
            return if first_line { Err(ParseError::StartLineTooLong.into()) } else { Ok(None) };
        };
        let octets = self.buf.get(..end).unwrap_or_default();
        let head = head(octets, &self.limits)?;
        match body_length(head.declared, Framing::Stream) {
            Ok(len) if head.end.saturating_add(len) > self.limits.max_message => Err(ParseError::TooLarge.into()),
            Ok(len) => {
                let total = head.end + len;
                Ok(Some((head, total)))
            }
            Err(kind) => {
                let octets = self.buf.split_to(end).freeze();
                let message = Message::assemble(octets, head, Framing::Stream);
                Err(FrameError::Unbounded(Box::new(Defect::new(kind, message))))
            }
        }
    }
}
