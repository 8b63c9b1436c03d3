//! Failures of the field, as rules.

use c4_sip_core::header::{Contact, Header, NameAddr, Route, To, Via};
use c4_sip_core::message::{DefectKind, Frame, Framer, ParseError};
use c4_sip_core::uri::Uri;
use c4_sip_core::{Limits, Message};
use proptest::prelude::*;

use crate::generate::{pieces, request as generated};
use crate::parse;

/// A blank before the colon hid a header from removal, and the next hop still read it.
#[test]
fn lesson_03_a_blank_before_the_colon_hides_no_header() {
    let octets = "INVITE sip:a@b SIP/2.0\r\nP-Asserted-Identity : <sip:boss@b>\r\nX-Hdr \t: v\r\n\
        p-asserted-identity\t:<sip:boss@c>\r\nX-Hdr: w\r\nContact\t: <sip:x@y>\r\nl: 0\r\n\r\n";
    let mut message = parse(octets);
    assert_eq!(message.header("X-Hdr"), Some(&b"v"[..]));
    assert_eq!(message.header(Header::Contact), Some(&b"<sip:x@y>"[..]));
    assert_eq!(message.remove(Header::PAssertedIdentity), 2);
    assert_eq!(message.remove("x-hdr"), 2);
    assert_eq!(message.remove("x-hdr"), 0, "a second removal is harmless");
    assert_eq!(message.to_bytes(), "INVITE sip:a@b SIP/2.0\r\nContact\t: <sip:x@y>\r\nl: 0\r\n\r\n");
}

/// A name that only looks like another is no name at all, and the message goes no further.
#[test]
fn lesson_03_a_line_that_is_no_header_is_refused() {
    for line in ["X Hdr: v", ": v", "P-Asserted-Identity\u{b}: v", "no colon", " folded onto nothing: v", "\"X\": v"] {
        let octets = format!("INVITE sip:a@b SIP/2.0\r\n{line}\r\nVia: SIP/2.0/UDP h\r\nl: 0\r\n\r\n");
        let defect = parse(&octets).check().expect_err("refused");
        assert_eq!(defect.kind, DefectKind::HeaderLine, "{line:?}");
        assert_eq!(defect.answer().map(|(status, _)| status.code()), Some(400));
    }
}

proptest! {
    #[test]
    fn lesson_03_after_removal_a_reparse_shows_none(pieces in pieces(), name in prop::sample::select(vec!["Via", "X-Test", "Route", "Subject", "m"])) {
        let mut message = parse(generated(&pieces, b""));
        message.remove(name);
        let again = parse(message.to_bytes());
        prop_assert_eq!(again.headers(name).count(), 0);
        let spelled = c4_sip_core::header::Name::from(name).as_str().to_ascii_lowercase();
        prop_assert!(!again.lines().any(|(n, _)| n.to_ascii_lowercase() == spelled.as_bytes()));
    }
}

/// Framer and parser disagreed about lengths and line ends: one message became two.
#[test]
fn lesson_04_one_rule_for_the_length_and_no_bare_line_ends() {
    let smuggled = "INVITE sip:evil@b SIP/2.0\r\nl: 0\r\n\r\n";
    for head in [
        "OPTIONS sip:a@b SIP/2.0\nl: 0\n\n",
        "OPTIONS sip:a@b SIP/2.0\r\nl: 0\n\r\n",
        "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\n",
        "OPTIONS sip:a@b SIP/2.0\r\nX: a\rl: 0\r\n\r\n",
        "OPTIONS sip:a@b SIP/2.0\rX: a\r\nl: 0\r\n\r\n",
        "OPTIONS sip:a@b SIP/2.0\r\nX: a\r\r\nl: 0\r\n\r\n",
    ] {
        let octets = format!("{head}{smuggled}");
        let datagram = Message::parse(octets.clone().into(), &Limits::default());
        assert!(matches!(datagram, Err(ParseError::BareLineEnd | ParseError::StartLine)), "{head:?}: {datagram:?}");
        let mut framer = Framer::new(Limits::default());
        framer.push(octets.as_bytes());
        assert!(framer.next().is_err(), "{head:?}");
        assert!(matches!(framer.next(), Ok(None)), "nothing comes after an error");
    }
    // A length in a body or a folded value is none.
    let octets =
        format!("OPTIONS sip:a@b SIP/2.0\r\nX: a\r\n l: 0\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let mut framer = Framer::new(Limits::default());
    framer.push(octets.as_bytes());
    let Ok(Some(Frame::Message(message))) = framer.next() else { panic!("a message") };
    assert_eq!(message.body(), smuggled.as_bytes());
    assert!(matches!(framer.next(), Ok(None)));
    assert_eq!(parse(&octets).body(), smuggled.as_bytes());
}

proptest! {
    /// One datagram crashed a parser.
    #[test]
    fn lesson_05_no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&octets);
    }

    #[test]
    fn lesson_05_no_damaged_message_panics(pieces in pieces(), damage in prop::collection::vec((0usize..400, any::<u8>()), 1..6)) {
        let mut octets = generated(&pieces, b"v=0");
        for (at, octet) in damage {
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
        }
        exercise(&octets);
    }
}

/// Everything that reads a message.
fn exercise(octets: &[u8]) {
    Via::parse_any(octets);
    let Ok(message) = Message::parse(octets.to_vec().into(), &Limits::default()) else { return };
    _ = message.typed_all::<Via<'_>>().count() + message.typed_all::<Route<'_>>().count();
    _ = message.typed_all::<Contact<'_>>().filter_map(Result::ok).filter_map(|c| c.q()).count();
    _ = message.typed::<To<'_>>().and_then(Result::ok).and_then(|to| to.parsed_uri().map(|uri| uri.aor()));
    _ = message.check().map(|checked| checked.into_message().to_bytes());
}

trait ParseAny {
    fn parse_any(octets: &[u8]);
}

impl ParseAny for Via<'_> {
    fn parse_any(octets: &[u8]) {
        use c4_sip_core::header::TypedHeader;
        _ = Via::parse(octets);
        _ = NameAddr::parse(octets).map(|address| address.display_name().is_some());
        _ = std::str::from_utf8(octets).ok().and_then(Uri::parse).map(|uri| uri.aor());
    }
}

/// A request without To crashed the builder of responses.
#[test]
fn lesson_06_no_reply_is_built_from_what_is_missing() {
    let lines = [
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:a@b>;tag=1",
        "To: <sip:c@d>",
        "Call-ID: 1",
        "CSeq: 1 INFO",
    ];
    let names = [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq];
    for (missing, name) in names.into_iter().enumerate() {
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, l)| *l).collect();
        let octets = format!("INFO sip:a@b SIP/2.0\r\n{}\r\n\r\n", kept.join("\r\n"));
        let defect = parse(&octets).check().expect_err("no request without it");
        assert_eq!(defect.kind, DefectKind::Missing(name));
        match defect.response() {
            None => assert_eq!(name, Header::Via, "without a Via there is no way back"),
            Some(response) => {
                assert_eq!(response.header(name), None);
                assert!(response.to_bytes().starts_with(format!("SIP/2.0 400 Missing {name}\r\n").as_bytes()));
            }
        }
    }
    // Nor is a response answered, nor an ACK.
    assert!(parse("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n").check().expect_err("no To").response().is_none());
    assert!(
        parse("ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n").check().expect_err("no To").response().is_none()
    );
}
