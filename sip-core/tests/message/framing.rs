//! The stream framer and the datagram parser agree about every message.

use c4_sip_core::message::{DefectKind, Frame, FrameError, Framer, ParseError};
use c4_sip_core::{Limits, Message};
use proptest::prelude::*;
use std::path::Path;

use crate::generate::{pieces, request as generated};
use crate::{pairs, parse};

const SMALL: &str = "OPTIONS sip:a@b SIP/2.0\r\nX : y\r\n folded\r\nl: 3\r\n\r\nabc";

/// Frames of a stream that comes in these segments.
fn frames<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new(Limits::default());
    let mut frames = Vec::new();
    for segment in segments {
        framer.push(segment);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn messages(frames: &[Frame]) -> Vec<&Message> {
    frames.iter().filter_map(|frame| if let Frame::Message(message) = frame { Some(message) } else { None }).collect()
}

/// The messages of the corpus whose Content-Length fits: what a stream can carry.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut found = Vec::new();
    for set in ["rfc4475", "rfc5118", "rfc3665"] {
        for entry in std::fs::read_dir(data.join(set)).expect("corpus").map(|entry| entry.expect("entry").path()) {
            if entry.extension().is_some_and(|e| e == "dat" || e == "sip") {
                found.push((entry.display().to_string(), std::fs::read(&entry).expect("message")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_message_split_at_every_octet() {
    let whole = parse(SMALL);
    for at in 0..=SMALL.len() {
        let (head, tail) = SMALL.as_bytes().split_at(at);
        let (frames, error) = frames([head, tail]);
        assert!(error.is_none());
        let messages = messages(&frames);
        assert_eq!(messages.len(), 1, "split at {at}");
        assert_eq!(messages[0].to_bytes(), whole.to_bytes());
        assert_eq!(pairs(messages[0]), pairs(&whole));
    }
}

#[test]
fn one_octet_at_a_time_and_back_to_back() {
    let stream = [SMALL, SMALL, "\r\n", SMALL].concat();
    let (frames, error) = frames(stream.as_bytes().chunks(1));
    assert!(error.is_none());
    assert_eq!(messages(&frames).len(), 3);
    assert!(messages(&frames).iter().all(|message| message.to_bytes() == SMALL));
}

#[test]
fn the_corpus_is_framed_as_it_is_parsed() {
    let mut framed = 0;
    for (file, octets) in corpus() {
        let datagram = Message::parse(octets.clone().into(), &Limits::default());
        // Two more octets than the message: the framer must not take them.
        // (baddn.dat has no blank line: they would be one.)
        let more: &[u8] = if file.ends_with("baddn.dat") { b"" } else { b"\r\n" };
        let (one, _) = frames([&octets[..], more]);
        let (many, _) = frames(octets.chunks(7).chain([more]));
        let (one, many) = (messages(&one), messages(&many));
        assert_eq!(one.len(), many.len(), "{file}");
        assert!(one.iter().zip(&many).all(|(a, b)| a.to_bytes() == b.to_bytes()), "{file}");
        let Some(first) = one.first() else { continue };
        let datagram = datagram.expect("what a stream takes, a datagram takes");
        assert_eq!(first.to_bytes(), datagram.to_bytes(), "{file}");
        assert_eq!((*first).clone().check().err().map(|d| d.kind), datagram.check().err().map(|d| d.kind), "{file}");
        framed += 1;
    }
    assert!(framed > 200, "{framed}");
}

#[test]
fn rfc3261_18_3_a_message_without_length_ends_the_stream() {
    for (head, kind) in [
        ("X: y", DefectKind::NoContentLength),
        ("Content-Length: -1", DefectKind::ContentLength),
        ("Content-Length: 5 5", DefectKind::ContentLength),
        ("Content-Length: 99999999999999999999", DefectKind::ContentLength),
        ("Content-Length: 5\r\nl: 5", DefectKind::ContentLengthConflict),
        ("Content-Length: 3\r\nContent-Length: 4", DefectKind::ContentLengthConflict),
    ] {
        let (frames, error) = frames([format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n{head}\r\n\r\nINVITE sip:c@d SIP/2.0\r\nl: 0\r\n\r\n"
        )
        .as_bytes()]);
        assert!(frames.is_empty(), "no second message is made of the first one's body");
        let Some(FrameError::Unbounded(defect)) = error else { panic!("{head}: {error:?}") };
        assert_eq!(defect.kind, kind);
        assert_eq!(defect.response().and_then(|r| r.status()).map(|s| s.code()), Some(400));
    }
}

#[test]
fn rfc5626_4_4_1_pings_and_pongs() {
    let kinds = |segments: &[&str]| -> String {
        let (frames, error) = frames(segments.iter().map(|s| s.as_bytes()));
        assert!(error.is_none());
        frames
            .iter()
            .map(|f| match f {
                Frame::Ping => '2',
                Frame::Pong => '1',
                Frame::Message(_) => 'M',
            })
            .collect()
    };
    assert_eq!(kinds(&["\r\n\r\n"]), "2");
    assert_eq!(kinds(&["\r\n"]), "1");
    assert_eq!(kinds(&["\r\n\r\n\r\n\r\n", SMALL]), "22M");
    assert_eq!(kinds(&["\r", "\n\r\n"]), "2");
    assert_eq!(kinds(&["\r\n\r", "\n"]), "2");
    // A ping that is cut in the middle of its pairs is one all the same.
    assert_eq!(kinds(&["\r\n", "\r\n"]), "12");
    assert_eq!(kinds(&[SMALL, "\r\n", SMALL]), "M1M");
}

#[test]
fn limits_hold_before_the_message_is_whole() {
    let limits = Limits { max_message: 1000, max_start_line: 100, ..Limits::default() };
    let error = |stream: String| {
        let mut framer = Framer::new(limits.clone());
        stream.as_bytes().chunks(50).find_map(|chunk| {
            framer.push(chunk);
            framer.next().err()
        })
    };
    let unreadable = |e: Option<FrameError>| match e {
        Some(FrameError::Unreadable(e)) => Some(e),
        _ => None,
    };
    assert_eq!(unreadable(error("A".repeat(200))), Some(ParseError::StartLineTooLong));
    assert_eq!(
        unreadable(error(format!("INVITE sip:a@b SIP/2.0\r\n{}", "X: y\r\n".repeat(300)))),
        Some(ParseError::TooLarge)
    );
    assert_eq!(unreadable(error("INVITE sip:a@b SIP/2.0\r\nl: 2000\r\n\r\n".into())), Some(ParseError::TooLarge));
    assert_eq!(unreadable(error("\u{16}\u{3}\u{1}".into())), Some(ParseError::StartLine), "a TLS hello on a TCP port");
}

#[test]
fn a_half_message_is_seen_and_a_new_one_is_told_from_it() {
    let mut framer = Framer::new(Limits::default());
    assert_eq!(framer.partial(), None);
    framer.push(b"OPTIONS sip:a@b");
    assert!(matches!(framer.next(), Ok(None)));
    let first = framer.partial();
    assert!(first.is_some());
    framer.push(b" SIP/2.0\r\nl: 0\r\n\r\nOPT");
    assert!(matches!(framer.next(), Ok(Some(_))));
    assert!(matches!(framer.next(), Ok(None)));
    assert_ne!(framer.partial(), first);
    framer.push(&[0]);
    framer.push(b"\n");
    assert!(framer.next().is_ok() || framer.partial().is_none());
}

proptest! {
    #[test]
    fn framer_and_parser_agree(
        pieces in pieces(),
        body in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(1usize..30, 1..10),
        damage in prop::option::of((0usize..200, any::<u8>())),
    ) {
        let mut octets = generated(&pieces, &body);
        if let Some((at, octet)) = damage && let Some(place) = octets.get_mut(at) {
            *place = octet;
        }
        let mut segments = Vec::new();
        let mut rest = &octets[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (segment, after) = rest.split_at((*cut).min(rest.len()));
            segments.push(segment);
            rest = after;
        }
        let (pieces, _) = frames(segments);
        let (whole, _) = frames([&octets[..]]);
        // However the stream is cut, the messages are the same.
        let bytes = |frames: &[Frame]| messages(frames).iter().map(|m| m.to_bytes()).collect::<Vec<_>>();
        prop_assert_eq!(bytes(&pieces), bytes(&whole));
        // And the first one is what the datagram parser reads, if nothing stood before it.
        if let Some(Frame::Message(first)) = whole.first() {
            let datagram = Message::parse(octets.into(), &Limits::default()).expect("readable as a datagram");
            prop_assert_eq!(first.to_bytes(), datagram.to_bytes());
            prop_assert_eq!(first.body(), datagram.body());
        }
    }
}
