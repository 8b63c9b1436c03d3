//! Messages as a whole: edits, framing, flows of RFC 3665, lessons of the field.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests stop the test")]

mod edits;
mod flows;
mod framing;
mod generate;
mod lessons;

use c4_sip_core::{Checked, Limits, Message, Request};

/// Reads a message that is valid.
fn parse(octets: impl AsRef<[u8]>) -> Message {
    Message::parse(octets.as_ref().to_vec().into(), &Limits::default()).expect("readable")
}

/// Reads a request that is valid.
fn request(octets: impl AsRef<[u8]>) -> Request {
    match parse(octets).check() {
        Ok(Checked::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// Name and value of each line.
fn pairs(message: &Message) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    message.lines().map(|(name, value)| (text(name), text(value))).collect()
}
