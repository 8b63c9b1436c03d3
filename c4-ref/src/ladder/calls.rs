//! SIP messages, by call.
use std::collections::HashMap;
use std::time::Duration;

use sip_core::header::Header;
use sip_core::{Message, Method, StatusCode};

use super::label::{label, method};

/// Calls that are kept.
const CALLS: usize = 20_000;
/// Messages of a call that are kept.
const MESSAGES: usize = 2000;

/// A message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Since 1970.
    pub at: Duration,
    /// Who sent it.
    pub from: Box<str>,
    /// Who got it.
    pub to: Box<str>,
    /// What stands on its arrow.
    pub label: Box<str>,
}

/// The messages with one Call-ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The Call-ID.
    pub id: Box<str>,
    /// Its first request: method and URI.
    pub opening: Box<str>,
    /// Whether an INVITE is among its messages.
    pub is_invite: bool,
    /// Its messages in order.
    pub rows: Vec<Row>,
    /// Messages beyond those kept.
    pub left_out: u64,
    /// The first 2xx to an INVITE.
    pub answered: Option<Duration>,
    /// The last refusal of an INVITE without an answer, challenges aside.
    pub refused: Option<StatusCode>,
    /// The first BYE, and who sent it.
    pub ended: Option<(Duration, Box<str>)>,
}

/// All calls.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    index: HashMap<Box<str>, usize>,
    /// Messages of calls beyond those kept.
    pub(super) left_out: u64,
}

impl Calls {
    /// A message; the number of its call, if it is kept.
    pub(super) fn take(&mut self, at: Duration, from: &str, to: &str, message: &Message) -> Option<usize> {
        let id = message.header_str(Header::CallId)?;
        let number = match self.index.get(id) {
            Some(number) => *number,
            None if self.calls.len() < CALLS => {
                self.index.insert(id.into(), self.calls.len());
                self.calls.push(Call::new(id, message));
                self.calls.len() - 1
            }
            None => {
                self.left_out += 1;
                return None;
            }
        };
        self.calls.get_mut(number)?.take(at, from, to, message);
        Some(number)
    }
}

impl Call {
    fn new(id: &str, message: &Message) -> Call {
        let opening = match (message.method(), message.request_uri()) {
            (Some(method), Some(uri)) => format!("{} {uri}", method.as_str()),
            _ => label(message),
        };
        Call {
            id: id.into(),
            opening: opening.into(),
            is_invite: false,
            rows: Vec::new(),
            left_out: 0,
            answered: None,
            refused: None,
            ended: None,
        }
    }

    fn take(&mut self, at: Duration, from: &str, to: &str, message: &Message) {
        let is_invite = method(message) == Method::Invite.as_str();
        self.is_invite |= is_invite;
        match message.status() {
            Some(status) if is_invite && status.is_success() => _ = self.answered.get_or_insert(at),
            Some(status) if is_invite && status.is_final() && !is_challenge(status) => self.refused = Some(status),
            Some(_) => {}
            None if message.method() == Some(&Method::Bye) => _ = self.ended.get_or_insert_with(|| (at, from.into())),
            None => {}
        }
        if self.rows.len() < MESSAGES {
            self.rows.push(Row { at, from: from.into(), to: to.into(), label: label(message).into() });
        } else {
            self.left_out += 1;
        }
    }

    /// Its first message.
    pub fn start(&self) -> Duration {
        self.rows.first().map_or(Duration::ZERO, |row| row.at)
    }
}

fn is_challenge(status: StatusCode) -> bool {
    matches!(status.code(), 401 | 407)
}
