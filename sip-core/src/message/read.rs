//! Reading a message.

use bytes::Bytes;

use super::line::Line;
use super::start::Start;
use super::{Body, Message};
use crate::header::{Header, HeaderError, Name, NameAddr, TypedHeader, Values};
use crate::{Method, StatusCode};

impl Message {
    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI as written; None in a response, or if it is no UTF-8.
    pub fn request_uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => std::str::from_utf8(uri.of(self.octets(uri.own))).ok(),
            Start::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(*status),
        }
    }

    /// The reason phrase of a response as received; it may be empty.
    pub fn reason(&self) -> Option<&[u8]> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { reason, .. } => Some(reason.of(self.octets(reason.own))),
        }
    }

    /// The value of the first line of this name, trimmed, as received (folds kept).
    pub fn header<'n>(&self, name: impl Into<Name<'n>>) -> Option<&[u8]> {
        let name = name.into();
        let line = self.lines.iter().find(|line| self.matches(line, name))?;
        Some(line.value(self.octets(line.is_own())))
    }

    /// The value of the first line of this name as text; None if absent or no UTF-8.
    pub fn header_str<'n>(&self, name: impl Into<Name<'n>>) -> Option<&str> {
        self.header(name).and_then(crate::header::grammar::text)
    }

    /// The values of the lines of this name, one item a line.
    pub fn headers<'a>(&'a self, name: impl Into<Name<'a>>) -> impl Iterator<Item = &'a [u8]> {
        let name = name.into();
        self.lines
            .iter()
            .filter(move |line| self.matches(line, name))
            .map(|line| line.value(self.octets(line.is_own())))
    }

    /// The values of the lines of this name, split at commas where the header is a list (RFC 3261 §7.3.1).
    pub fn values<'a>(&'a self, name: impl Into<Name<'a>>) -> impl Iterator<Item = &'a [u8]> {
        let name = name.into();
        let list = is_list(name);
        self.headers(name).flat_map(move |line| if list { Values::new(line) } else { Values::single(line) })
    }

    /// Every line: its name as received and its value. Lines without a colon are left out.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().filter(|line| !line.is_malformed()).map(|line| {
            let octets = self.octets(line.is_own());
            (line.name(octets), line.value(octets))
        })
    }

    /// The first value of a typed header.
    pub fn typed<'a, T: TypedHeader<'a>>(&'a self) -> Option<Result<T, HeaderError>> {
        self.first_value(T::NAME).map(T::parse)
    }

    /// All values of a typed header.
    pub fn typed_all<'a, T: TypedHeader<'a>>(&'a self) -> impl Iterator<Item = Result<T, HeaderError>> {
        self.values(T::NAME).map(T::parse)
    }

    /// The first value of any header that has the shape of an address.
    pub fn address(&self, name: Header) -> Option<Result<NameAddr<'_>, HeaderError>> {
        self.first_value(name).map(|value| NameAddr::parse(value).ok_or(HeaderError { header: name }))
    }

    /// The body: exactly Content-Length octets, or all that followed the head of a datagram.
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Body::Received(span) => span.of(&self.buf),
            Body::Own(octets) => octets,
        }
    }

    /// The octets as received, whatever was edited since; None in a message of our own.
    pub(crate) fn received(&self) -> Option<&Bytes> {
        (!self.buf.is_empty()).then_some(&self.buf)
    }

    /// The first value of a known header.
    pub(crate) fn first_value(&self, name: Header) -> Option<&[u8]> {
        let line = self.header(name)?;
        if name.is_list() { Values::new(line).next() } else { Some(line) }
    }

    /// Whether a line is of this name.
    #[inline]
    pub(super) fn matches(&self, line: &Line, name: Name<'_>) -> bool {
        match name {
            Name::Known(header) => line.is(header),
            Name::Other(name) => {
                line.header().is_none()
                    && !line.is_malformed()
                    && line.name(self.octets(line.is_own())).eq_ignore_ascii_case(name.as_bytes())
            }
        }
    }
}

/// A header that we do not know may be a list.
pub(super) fn is_list(name: Name<'_>) -> bool {
    match name {
        Name::Known(header) => header.is_list(),
        Name::Other(_) => true,
    }
}
