//! Lossless edits: each appends to `own` and replaces, inserts or removes an index line.

use bytes::Bytes;

use super::error::BadValue;
use super::line::{Line, Span};
use super::read::is_list;
use super::start::{Start, VERSION};
use super::{Body, Message};
use crate::header::grammar::{is_clean, is_token};
use crate::header::{Header, Name, Values, digits};
use crate::uri::Uri;
use crate::{Limits, Method, StatusCode};

/// What the lines of a forwarded request, a challenge or the answer to a REGISTER usually need, so that all edits are one
/// allocation.
const USUAL_OWN: usize = 512;

impl Message {
    /// Replaces the Request-URI. In a response it is refused.
    ///
    /// # Errors
    /// [`BadValue::Grammar`] if it is no URI.
    pub fn set_request_uri(&mut self, uri: &str) -> Result<(), BadValue> {
        let Start::Request { method, .. } = &self.start else { return Err(BadValue::Grammar) };
        if Uri::parse(uri).is_none() {
            return Err(BadValue::Grammar);
        }
        let method = method.clone();
        self.write_request_line(method, uri)
    }

    /// Replaces status and reason phrase. In a request it is refused.
    ///
    /// # Errors
    /// [`BadValue::Octet`] for CR, LF or NUL in the reason.
    pub fn set_status(&mut self, status: StatusCode, reason: &str) -> Result<(), BadValue> {
        if self.is_request() {
            return Err(BadValue::Grammar);
        }
        self.write_status_line(status, reason)
    }

    /// Inserts a line before the first line of its name: a new topmost value of Via, Route, Record-Route or Path.
    /// Without such a line, Via goes to the top and others to the end.
    ///
    /// # Errors
    /// [`BadValue`] if the name is no token, or the value has CR, LF or NUL in it; the message is unchanged then.
    pub fn push_front<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Result<(), BadValue> {
        let name = name.into();
        let line = self.append(name, value.as_ref())?;
        let missing = if name == Name::Known(Header::Via) { 0 } else { self.lines.len() };
        let at = self.lines.iter().position(|line| self.matches(line, name)).unwrap_or(missing);
        self.lines.insert(at, line);
        Ok(())
    }

    /// Inserts a line after the last line of its name, or at the end.
    ///
    /// # Errors
    /// As [`push_front`](Message::push_front).
    pub fn push_back<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Result<(), BadValue> {
        let name = name.into();
        let line = self.append(name, value.as_ref())?;
        let at = self.lines.iter().rposition(|line| self.matches(line, name)).map_or(self.lines.len(), |at| at + 1);
        self.lines.insert(at, line);
        Ok(())
    }

    /// Replaces all lines of a name by one, which stands where the first stood, or at the end.
    ///
    /// # Errors
    /// As [`push_front`](Message::push_front).
    pub fn set<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Result<(), BadValue> {
        let name = name.into();
        let line = self.append(name, value.as_ref())?;
        match self.lines.iter().position(|line| self.matches(line, name)) {
            None => self.lines.push(line),
            Some(at) => {
                self.replace(at, line);
                self.remove_from(name, at + 1);
            }
        }
        Ok(())
    }

    /// Removes all lines of a name, and says how many there were. A reparse of the written message shows none.
    pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) -> usize {
        self.remove_from(name.into(), 0)
    }

    /// Removes the first value of a name: its line, or its part of the line. Says whether there was one.
    pub fn pop_front_value<'n>(&mut self, name: impl Into<Name<'n>>) -> bool {
        let name = name.into();
        while let Some(at) = self.lines.iter().position(|line| self.matches(line, name)) {
            let (found, rest) = self.split_first_value(at, name);
            match rest {
                Some(rest) => {
                    let line = self.append_parts(name, &[], &rest);
                    self.replace(at, line);
                }
                None => _ = self.lines.remove(at),
            }
            if found {
                return true;
            }
        }
        false
    }

    /// Replaces the first value of a name, and leaves the values behind it on the line. Says whether there was one.
    ///
    /// # Errors
    /// As [`push_front`](Message::push_front).
    pub fn replace_front_value<'n>(
        &mut self,
        name: impl Into<Name<'n>>,
        value: impl AsRef<[u8]>,
    ) -> Result<bool, BadValue> {
        let name = name.into();
        let value = value.as_ref();
        check_line(name, value)?;
        let position = self
            .lines
            .iter()
            .position(|line| self.matches(line, name) && !line.value(self.octets(line.is_own())).is_empty());
        let Some(at) = position else { return Ok(false) };
        let (_, rest) = self.split_first_value(at, name);
        let line = self.append_parts(name, value, &rest.unwrap_or_default());
        self.replace(at, line);
        Ok(true)
    }

    /// Replaces the body and makes Content-Length right. A new Content-Type replaces the old; without one the old
    /// stays, but an empty body has none.
    ///
    /// # Errors
    /// [`BadValue::Octet`] for CR, LF or NUL in the content type.
    pub fn set_body(&mut self, content_type: Option<&str>, body: impl Into<Bytes>) -> Result<(), BadValue> {
        let body = body.into();
        if u32::try_from(body.len()).is_err() {
            return Err(BadValue::TooLong);
        }
        match content_type {
            Some(content_type) => self.set(Header::ContentType, content_type)?,
            None if body.is_empty() => {
                for name in [Header::ContentType, Header::ContentEncoding, Header::ContentDisposition] {
                    self.remove(name);
                }
            }
            None => {}
        }
        self.body = Body::Own(body);
        self.write_content_length()
    }

    /// Adds Content-Length if it is absent, as a stream needs it (RFC 3261 §20.14).
    pub fn complete_length(&mut self) {
        if !self.lines.iter().any(|line| line.is(Header::ContentLength)) {
            _ = self.write_content_length();
        }
    }

    /// As [`set`](Message::set), with a number for value: Max-Forwards, Expires and others.
    ///
    /// # Errors
    /// As [`push_front`](Message::push_front).
    pub fn set_number<'n>(&mut self, name: impl Into<Name<'n>>, number: u64) -> Result<(), BadValue> {
        let (digits, used) = digits(number);
        self.set(name, digits.get(used..).unwrap_or_default())
    }

    fn write_content_length(&mut self) -> Result<(), BadValue> {
        self.set_number(Header::ContentLength, self.body().len() as u64)
    }

    pub(super) fn write_request_line(&mut self, method: Method, uri: &str) -> Result<(), BadValue> {
        if method.as_str().is_empty() || !method.as_str().bytes().all(is_token) || uri.bytes().any(|c| c <= b' ') {
            return Err(BadValue::Grammar);
        }
        let room = uri.len() + method.as_str().len() + 16;
        let at = self.reserve(room)?;
        self.own.extend_from_slice(method.as_str().as_bytes());
        self.own.push(b' ');
        let uri_at = self.own.len();
        self.own.extend_from_slice(uri.as_bytes());
        self.own.push(b' ');
        self.own.extend_from_slice(VERSION);
        self.own.extend_from_slice(b"\r\n");
        let uri = Span { start: uri_at as u32, len: uri.len() as u32, own: true };
        self.start = Start::Request { method, uri };
        self.start_line = Span { start: at as u32, len: (self.own.len() - at) as u32, own: true };
        Ok(())
    }

    pub(super) fn write_status_line(&mut self, status: StatusCode, reason: &str) -> Result<(), BadValue> {
        if !is_clean(reason.as_bytes()) {
            return Err(BadValue::Octet);
        }
        let at = self.reserve(reason.len() + 16)?;
        self.own.extend_from_slice(VERSION);
        self.own.push(b' ');
        self.own.extend_from_slice(&status.digits());
        self.own.push(b' ');
        let reason_at = self.own.len();
        self.own.extend_from_slice(reason.as_bytes());
        self.own.extend_from_slice(b"\r\n");
        let reason = Span { start: reason_at as u32, len: reason.len() as u32, own: true };
        self.start = Start::Response { status, reason };
        self.start_line = Span { start: at as u32, len: (self.own.len() - at) as u32, own: true };
        Ok(())
    }

    /// Puts a line of another message into this one's end.
    pub(super) fn copy_line(&mut self, line: Line, from: &Message) {
        if line.is_own() {
            let at = self.own.len();
            self.own.extend_from_slice(line.whole().of(&from.own));
            self.lines.push(line.moved_to(at));
        } else {
            self.lines.push(line);
        }
    }

    /// Adds clean octets to the value of the first line of a header.
    pub(super) fn append_to_first_line(&mut self, header: Header, added: &[&[u8]]) {
        let Some(at) = self.lines.iter().position(|line| line.is(header)) else { return };
        let value = self.lines.get(at).map(|line| line.value(self.octets(line.is_own())).to_vec());
        let mut value = value.unwrap_or_default();
        value.extend(added.iter().copied().flatten());
        let line = self.append_parts(Name::Known(header), &value, &[]);
        self.replace(at, line);
    }

    /// Whether the line at `at` had a value, and what stands behind that value.
    fn split_first_value(&self, at: usize, name: Name<'_>) -> (bool, Option<Vec<u8>>) {
        let Some(line) = self.lines.get(at) else { return (false, None) };
        let value = line.value(self.octets(line.is_own()));
        if !is_list(name) {
            return (!value.is_empty(), None);
        }
        let mut values = Values::new(value);
        let found = values.next().is_some();
        let rest = values.rest().map(|rest| rest.trim_ascii_start().to_vec());
        (found, rest)
    }

    fn remove_from(&mut self, name: Name<'_>, from: usize) -> usize {
        let before = self.lines.len();
        let mut at = 0;
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|line| {
            at += 1;
            at <= from || !self.matches(line, name)
        });
        self.lines = lines;
        before - self.lines.len()
    }

    fn replace(&mut self, at: usize, line: Line) {
        if let Some(slot) = self.lines.get_mut(at) {
            *slot = line;
        }
    }

    /// Room in `own`, and where the new octets start.
    fn reserve(&mut self, octets: usize) -> Result<usize, BadValue> {
        let at = self.own.len();
        if u32::try_from(at + octets).is_err() {
            return Err(BadValue::TooLong);
        }
        if self.own.capacity() == 0 {
            self.own.reserve(octets.max(USUAL_OWN));
        }
        Ok(at)
    }

    /// Appends `name: value CRLF`.
    pub(super) fn append(&mut self, name: Name<'_>, value: &[u8]) -> Result<Line, BadValue> {
        check_line(name, value)?;
        self.reserve(name.as_str().len() + value.len() + 4)?;
        Ok(self.append_parts(name, value.trim_ascii(), &[]))
    }

    /// Appends a line of one value and what follows it, both clean or received.
    fn append_parts(&mut self, name: Name<'_>, first: &[u8], rest: &[u8]) -> Line {
        let header = match name {
            Name::Known(header) => Some(header),
            Name::Other(_) => None,
        };
        let name = name.as_str();
        let at = self.own.len();
        self.own.extend_from_slice(name.as_bytes());
        self.own.extend_from_slice(b": ");
        self.own.extend_from_slice(first);
        if !first.is_empty() && !rest.is_empty() {
            self.own.extend_from_slice(b", ");
        }
        self.own.extend_from_slice(rest);
        self.own.extend_from_slice(b"\r\n");
        Line::new(at, self.own.len() - at, name.len(), name.len() + 2, 2, header).into_own()
    }
}

/// A name must be a token, and a value must not break the line.
fn check_line(name: Name<'_>, value: &[u8]) -> Result<(), BadValue> {
    if let Name::Other(name) = name
        && (name.is_empty() || !name.bytes().all(is_token))
    {
        return Err(BadValue::Name);
    }
    if !is_clean(value) {
        return Err(BadValue::Octet);
    }
    if name.as_str().len() + value.len() + 4 > Limits::HEADER_CEILING {
        return Err(BadValue::TooLong);
    }
    Ok(())
}
