//! Responses whose mandatory headers are facts.

use bytes::Bytes;
use std::ops::Deref;

use super::Message;
use super::error::BadValue;
use super::request::{address, facts, open};
use crate::header::grammar::is_token;
use crate::header::{CSeq, Header, Name, NameAddr, TypedHeader, Via};
use crate::{Method, StatusCode};

/// A checked response. It reads as a [`Message`]; its own setters keep the facts true.
///
/// A response that was received has a Via, until the transaction layer has taken off ours.
#[derive(Clone, Debug)]
pub struct Response {
    message: Message,
}

facts!(Response);

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.message.status().unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
    }

    /// Replaces the status, with another reason phrase than the default if one is given.
    ///
    /// # Errors
    /// [`BadValue::Octet`] for CR, LF or NUL in the reason.
    pub fn set_status(&mut self, status: StatusCode, reason: Option<&str>) -> Result<(), BadValue> {
        self.message.set_status(status, reason.unwrap_or(status.reason()))
    }

    /// Adds a tag to To (RFC 3261 §8.2.6.2); one that is there stays.
    ///
    /// # Errors
    /// [`BadValue::Grammar`] if it is no token.
    pub fn set_to_tag(&mut self, tag: &str) -> Result<(), BadValue> {
        if tag.is_empty() || !tag.bytes().all(is_token) {
            return Err(BadValue::Grammar);
        }
        if self.to_tag().is_some() {
            return Ok(());
        }
        // The value may be folded: it is copied as it was received.
        self.message.append_to_first_line(Header::To, &[b";tag=", tag.as_bytes()]);
        Ok(())
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} to {} ({})", self.status(), self.cseq().method, self.call_id())
    }
}
