//! The 200 to a REGISTER (RFC 3261 §10.3 step 8).

use std::time::Instant;

use super::binding::Binding;
use super::config::WallClock;
use crate::header::{Date, Header};
use crate::{Request, Response, StatusCode};

/// A registration that was done: what the answer has to say. It needs the registrar no more.
#[derive(Clone, Debug)]
pub struct Granted {
    pub(super) bindings: Vec<Binding>,
    /// Joined values that the answer carries; empty for a phone without support for Path.
    pub(super) path: String,
    pub(super) tag: u64,
    pub(super) now: Instant,
    pub(super) wall: WallClock,
}

impl Granted {
    /// All bindings of the address, the preferred first.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The answer: every binding with the seconds it has left, the Path, and the Date.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.response(StatusCode::OK);
        add_tag(&mut response, self.tag);
        let mut value = Vec::with_capacity(128);
        for binding in &self.bindings {
            value.clear();
            binding.write_contact(self.now, &mut value);
            // It was read from a message, so that it can be written to one.
            _ = response.push_back(Header::Contact, &value);
        }
        if !self.path.is_empty() {
            _ = response.push_back(Header::Supported, "path");
            for path in self.path.split('\n') {
                _ = response.push_back(Header::Path, path);
            }
        }
        _ = response.push_back(Header::Date, Date::from_unix(self.wall.unix_at(self.now).as_secs()).text());
        response
    }
}

/// A To tag, where the request had none (RFC 3261 §8.2.6.2).
pub(super) fn add_tag(response: &mut Response, tag: u64) {
    if response.to_tag().is_none() {
        let mut digits = [0; 16];
        for (n, digit) in digits.iter_mut().enumerate() {
            let nibble = (tag >> (60 - 4 * n)) as u8 & 15;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        _ = response.set_to_tag(std::str::from_utf8(&digits).unwrap_or_default());
    }
}
