//! For the tests of this room.

use crate::message::{Checked, Message, Request};

/// A request from text with bare line feeds.
pub(super) fn request(text: &str) -> Request {
    let message = Message::parse(text.replace('\n', "\r\n").into(), &crate::Limits::default()).unwrap();
    match message.check().unwrap() {
        Checked::Request(request) => request,
        Checked::Response(_) => panic!("a request"),
    }
}
