//! An edit shows in a reparse, and nothing else changes.

use c4_sip_core::header::{Header, Values};
use c4_sip_core::message::BadValue;
use c4_sip_core::{Checked, Message, Method, StatusCode};
use proptest::prelude::*;

use crate::generate::{piece, pieces, request as generated};
use crate::{pairs, parse, request};

const REQUEST: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1 , SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2\r\n\
    Route: <sip:p1.example.com;lr>,\r\n <sip:p2.example.com;lr>\r\n\
    From: \"A\" <sip:alice@example.com>;tag=a1\r\n\
    t: sip:bob@example.com\r\n\
    Call-ID: 1@example.com\r\n\
    CSeq: 7 INVITE\r\n\
    mAX-fORWARDS  :  070\r\n\
    X-Unknown :  kept  \r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 4\r\n\r\nbody";

#[test]
fn what_is_not_touched_stays_byte_for_byte() {
    let mut request = request(REQUEST);
    assert_eq!(request.to_bytes(), REQUEST);
    request.push_via("SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKme").expect("a Via");
    request.set_max_forwards(69);
    let expected = REQUEST
        .replacen("v: SIP", "Via: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKme\r\nv: SIP", 1)
        .replace("mAX-fORWARDS  :  070", "Max-Forwards: 69");
    assert_eq!(request.to_bytes(), expected);
    assert!(request.pop_via());
    assert_eq!(request.to_bytes(), REQUEST.replace("mAX-fORWARDS  :  070", "Max-Forwards: 69"));
}

#[test]
fn popping_takes_one_value_and_leaves_the_rest_of_the_line() {
    let mut request = request(REQUEST);
    assert!(request.pop_route());
    assert_eq!(request.headers(Header::Route).collect::<Vec<_>>(), [&b"<sip:p2.example.com;lr>"[..]]);
    assert!(request.pop_route());
    assert!(!request.pop_route());
    assert_eq!(request.header(Header::Route), None);
    assert!(request.pop_via());
    assert_eq!(request.via().and_then(|via| via.branch()), Some("z9hG4bK2"));
    assert!(request.pop_via());
    assert!(request.via().is_none());
    assert_eq!(parse(request.to_bytes()).values(Header::Via).count(), 0);
}

#[test]
fn rfc3581_4_received_and_rport_are_filled_in() {
    let mut request = request(REQUEST);
    request.set_received("198.51.100.7:40000".parse().expect("an address"));
    let via = request.via().expect("a Via");
    assert_eq!(via.received(), "198.51.100.7".parse().ok());
    assert_eq!(via.rport(), Some(Some(40000)));
    assert_eq!(via.branch(), Some("z9hG4bK1"));
    assert_eq!(request.values(Header::Via).count(), 2);
}

#[test]
fn rfc3261_18_2_1_received_only_where_sent_by_differs() {
    let octets = REQUEST.replace("rport;", "received=6.6.6.6;");
    let mut same = request(&octets);
    same.set_received("192.0.2.1:5070".parse().expect("an address"));
    assert_eq!(same.via().and_then(|via| via.received()), None, "the sender's own word is removed");
    let mut other = request(&octets);
    other.set_received("[2001:db8::7]:5070".parse().expect("an address"));
    let via = other.via().expect("a Via");
    assert_eq!((via.received(), via.rport()), ("2001:db8::7".parse().ok(), None));
}

#[test]
fn rfc3261_8_2_6_2_a_response_copies_and_takes_a_tag() {
    let mut request = request(REQUEST);
    request.push_record_route("<sip:p3.example.com;lr>").expect("an address");
    let mut response = request.dialog_response(StatusCode::RINGING);
    response.set_to_tag("b2").expect("a token");
    response.set_to_tag("b3").expect("a tag that is there stays");
    let text = "SIP/2.0 180 Ringing\r\n\
        v: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1 , SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2\r\n\
        From: \"A\" <sip:alice@example.com>;tag=a1\r\n\
        To: sip:bob@example.com;tag=b2\r\n\
        Call-ID: 1@example.com\r\n\
        CSeq: 7 INVITE\r\n\
        Record-Route: <sip:p3.example.com;lr>\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(response.to_bytes(), text);
    assert_eq!(request.response(StatusCode::OK).header(Header::RecordRoute), None);
    let Ok(Checked::Response(again)) = parse(response.to_bytes()).check() else { panic!("a valid response") };
    assert_eq!((again.status(), again.to_tag(), again.cseq().seq), (StatusCode::RINGING, Some("b2"), 7));
}

#[test]
fn bodies_keep_content_length_right() {
    let mut message = parse(REQUEST);
    message.set_body(Some("application/sdp"), "v=0\r\n").expect("clean");
    let again = parse(message.to_bytes());
    assert_eq!(again.body(), b"v=0\r\n");
    assert_eq!(again.header(Header::ContentType), Some(&b"application/sdp"[..]));
    assert_eq!(again.headers(Header::ContentLength).collect::<Vec<_>>(), [b"5"]);
    message.set_body(None, "").expect("clean");
    let again = parse(message.to_bytes());
    assert_eq!((again.body(), again.header(Header::ContentType)), (&b""[..], None));
    let mut absent = parse("INFO sip:a@b SIP/2.0\r\nX: y\r\n\r\nabc");
    absent.complete_length();
    assert_eq!(absent.to_bytes(), "INFO sip:a@b SIP/2.0\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
}

#[test]
fn cr_lf_nul_enter_through_no_setter() {
    for bad in ["a\r\nX: y", "a\nb", "a\rb", "a\0b"] {
        let mut message = parse(REQUEST);
        let before = message.to_bytes();
        assert_eq!(message.push_front(Header::Route, bad), Err(BadValue::Octet));
        assert_eq!(message.push_back("X-Y", bad), Err(BadValue::Octet));
        assert_eq!(message.set(Header::Subject, bad), Err(BadValue::Octet));
        assert_eq!(message.set(bad, "x"), Err(BadValue::Name));
        assert_eq!(message.replace_front_value(Header::Via, bad), Err(BadValue::Octet));
        assert_eq!(message.set_body(Some(bad), "x"), Err(BadValue::Octet));
        assert!(message.set_request_uri(&format!("sip:{bad}@h")).is_err());
        assert_eq!(message.to_bytes(), before, "a refused value leaves no trace");
        let mut request = request(REQUEST);
        assert!(request.push_via(&format!("SIP/2.0/UDP h;x=\"{bad}\"")).is_err());
        assert!(request.push_route(&format!("<sip:h>;x=\"{bad}\"")).is_err());
        let mut response = request.response(StatusCode::OK);
        assert!(response.set_to_tag(bad).is_err());
        assert!(response.set_status(StatusCode::OK, Some(bad)).is_err());
        assert!(Message::request(Method::from(bad), "sip:a@b").build().is_err());
        assert!(Message::request(Method::Info, bad).build().is_err());
    }
}

#[test]
fn facts_have_no_generic_setters() {
    let mut request = request(REQUEST);
    for name in [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq, Header::ContentLength] {
        assert_eq!(request.set(name, "x"), Err(BadValue::Protected(name)));
        assert_eq!(request.remove(name), Err(BadValue::Protected(name)));
        assert_eq!(request.push_front(name, "x"), Err(BadValue::Protected(name)));
    }
    // Nor by another spelling.
    assert_eq!(request.set("cALL-iD", "x"), Err(BadValue::Protected(Header::CallId)));
    assert_eq!(request.remove("i"), Err(BadValue::Protected(Header::CallId)));
    assert_eq!(request.set_uri("not a uri"), Err(BadValue::Grammar));
    assert_eq!(request.uri(), "sip:bob@example.com");
}

proptest! {
    #[test]
    fn parse_write_is_the_same_octets(pieces in pieces(), body in prop::collection::vec(any::<u8>(), 0..40)) {
        let octets = generated(&pieces, &body);
        let message = parse(&octets);
        prop_assert_eq!(message.body(), &body[..]);
        prop_assert_eq!(message.to_bytes(), octets);
    }

    #[test]
    fn an_edit_shows_and_nothing_else_does(pieces in pieces(), edits in prop::collection::vec((0u8..6, piece()), 1..5)) {
        let mut message = parse(generated(&pieces, b"body"));
        for (kind, piece) in edits {
            let (name, value) = {
                let text = piece.text();
                let (name, value) = text.split_once(':').expect("a line");
                (name.trim().to_owned(), value.replace("\r\n", " ").trim().to_owned())
            };
            let before = pairs(&message);
            match kind {
                0 => message.push_front(&name, &value).expect("clean"),
                1 => message.push_back(&name, &value).expect("clean"),
                2 => message.set(&name, &value).expect("clean"),
                3 => _ = message.remove(&name),
                4 => _ = message.pop_front_value(&name),
                _ => _ = message.replace_front_value(&name, &value).expect("clean"),
            }
            let again = parse(message.to_bytes());
            let after = pairs(&again);
            prop_assert_eq!(&after, &pairs(&message), "what is written is what is read");
            prop_assert_eq!(again.body(), b"body");
            let others = |lines: &[(String, String)]| {
                lines.iter().filter(|(n, _)| !piece.is(n)).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(others(&after), others(&before), "lines of other names stay, in order");
            let of_name = |lines: &[(String, String)]| {
                lines.iter().filter(|(n, _)| piece.is(n)).map(|(_, v)| v.clone()).collect::<Vec<_>>()
            };
            let (had, has) = (of_name(&before), of_name(&after));
            match kind {
                0 => prop_assert_eq!(has, [vec![value], had].concat()),
                1 => prop_assert_eq!(has, [had, vec![value]].concat()),
                2 => prop_assert_eq!(has, vec![value]),
                3 => prop_assert!(has.is_empty()),
                4 => prop_assert_eq!(values(&name, &has), values(&name, &had).into_iter().skip(1).collect::<Vec<_>>()),
                _ => {}
            }
        }
    }
}

/// All values of lines of a name.
fn values(name: &str, lines: &[String]) -> Vec<String> {
    let single = matches!(c4_sip_core::header::Name::from(name), c4_sip_core::header::Name::Known(h) if !h.is_list());
    let split = |line: &String| -> Vec<String> {
        let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        if single {
            Values::single(line.as_bytes()).map(text).collect()
        } else {
            Values::new(line.as_bytes()).map(text).collect()
        }
    };
    lines.iter().flat_map(split).collect()
}
