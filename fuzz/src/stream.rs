//! Streams: however they are cut, the frames are the same, and the datagram parser agrees about each message.

use bytes::Bytes;
use sip_core::Limits;
use sip_core::message::{Frame, Framer, Message};

/// The first octet says how the rest is cut into segments.
pub fn run(octets: &[u8]) {
    let Some((cut, stream)) = octets.split_first() else { return };
    let (whole, whole_failed) = messages(std::iter::once(stream));
    let (cut, cut_failed) = messages(stream.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole_failed, cut_failed, "an error does not depend on the cuts");
    assert_eq!(whole.len(), cut.len(), "nor do the messages");
    let mut offset = 0;
    for (whole, cut) in whole.iter().zip(&cut) {
        let written = whole.to_bytes();
        assert_eq!(written, cut.to_bytes());
        let rest = stream.get(offset..).unwrap_or_default();
        let blank = rest.iter().take_while(|c| matches!(c, b'\r' | b'\n')).count();
        let rest = rest.get(blank..).unwrap_or_default();
        assert!(rest.starts_with(&written), "messages stand in the stream as they are written");
        offset += blank + written.len();
        let datagram = Message::parse(Bytes::copy_from_slice(rest), &limits()).expect("readable as a datagram");
        assert_eq!(datagram.to_bytes(), written, "one rule for the length");
        assert_eq!(datagram.body(), whole.body());
        let kinds = (datagram.check().err().map(|d| d.kind), whole.clone().check().err().map(|d| d.kind));
        assert_eq!(kinds.0, kinds.1, "and one judgement");
    }
}

fn limits() -> Limits {
    Limits { max_message: 8192, ..Limits::default() }
}

fn messages<'a>(segments: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, bool) {
    let mut framer = Framer::new(limits());
    let mut messages = Vec::new();
    for segment in segments {
        framer.push(segment);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => messages.push(message),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}
