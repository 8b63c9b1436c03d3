//! Messages of our own.

use bytes::Bytes;

use super::check::{Checked, Defect};
use super::error::BadValue;
use super::line::Span;
use super::start::Start;
use super::{Body, Message, Request};
use crate::header::{Header, Name};
use crate::{Method, StatusCode};

/// Builds a request. The first bad value is remembered and reported at the end.
///
/// ```
/// use c4_sip_core::header::Header;
/// use c4_sip_core::{Message, Method};
/// let request = Message::request(Method::Options, "sip:b@example.com")
///     .header(Header::MaxForwards, "70")
///     .header(Header::From, "<sip:a@example.com>;tag=1")
///     .header(Header::To, "<sip:b@example.com>")
///     .header(Header::CallId, "x@example.com")
///     .header(Header::CSeq, "1 OPTIONS")
///     .request()
///     .unwrap();
/// assert_eq!(request.from_tag(), Some("1"));
/// assert_eq!(request.header(Header::ContentLength), Some(&b"0"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    message: Message,
    error: Option<BadValue>,
}

impl Builder {
    /// Adds a line at the end of the lines of its name, or at the end.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Builder {
        let result = self.message.push_back(name, value);
        self.note(result)
    }

    /// Sets the body with its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Builder {
        let result = self.message.set_body(Some(content_type), body);
        self.note(result)
    }

    /// The message, with Content-Length.
    ///
    /// # Errors
    /// The first value that was refused.
    pub fn build(mut self) -> Result<Message, BadValue> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.message.complete_length();
        Ok(self.message)
    }

    /// The message as a request of our own: it needs all mandatory headers but Via, which the transaction layer adds.
    ///
    /// # Errors
    /// What is missing or malformed; a value that was refused counts as a malformed request.
    pub fn request(self) -> Result<Request, BuildError> {
        match self.build()?.check_own()? {
            Checked::Request(request) => Ok(request),
            Checked::Response(_) => Err(BuildError::Value(BadValue::Grammar)),
        }
    }

    fn note(mut self, result: Result<(), BadValue>) -> Builder {
        self.error = self.error.or(result.err());
        self
    }
}

/// Why no request could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value was refused.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// Something mandatory is missing or malformed.
    #[error(transparent)]
    Defect(#[from] Box<Defect>),
}

impl Message {
    /// Starts a request of our own.
    pub fn request(method: Method, uri: &str) -> Builder {
        let mut message = Message::empty();
        let error = message.write_request_line(method, uri).err();
        Builder { message, error }
    }

    /// The answer to a request: Via, From, To, Call-ID and CSeq are copied as they are (RFC 3261 §8.2.6.2), and
    /// Timestamp into a 100 (§8.2.6.1). It works on a malformed request as well as it can.
    pub(super) fn reply(&self, status: StatusCode, reason: &str, record_route: bool) -> Message {
        let mut reply = Message { buf: self.buf.clone(), ..Message::empty() };
        _ = reply.write_status_line(status, reason);
        for line in &self.lines {
            let copied = match line.header() {
                Some(Header::Via | Header::From | Header::To | Header::CallId | Header::CSeq) => true,
                Some(Header::RecordRoute) => record_route,
                Some(Header::Timestamp) => status == StatusCode::TRYING,
                _ => false,
            };
            if copied {
                reply.copy_line(*line, self);
            }
        }
        reply.complete_length();
        reply
    }

    fn empty() -> Message {
        let nothing = Span { start: 0, len: 0, own: true };
        Message {
            buf: Bytes::new(),
            own: Vec::new(),
            lines: Vec::with_capacity(12),
            start: Start::Response { status: StatusCode::OK, reason: nothing },
            start_line: nothing,
            body: Body::Own(Bytes::new()),
            flaw: None,
        }
    }
}
