//! Datagrams: reading never fails hard, writing is lossless, edits show and only they.

use bytes::Bytes;
use sip_core::header::{CSeq, Contact, Header, Route, Via};
use sip_core::message::Message;
use sip_core::{Checked, Limits, Request, Response, StatusCode, sanity};

const VIA: &str = "SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKfuzz";

/// Any datagram.
pub fn run(octets: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(octets), &Limits::default()) else { return };
    read(&message);
    match message.check() {
        Ok(Checked::Request(request)) => forward(request),
        Ok(Checked::Response(response)) => pass(response),
        Err(defect) => {
            if let Some(response) = defect.response() {
                assert!(!response.is_request(), "an answer is a response");
                assert!(defect.message().is_request(), "only requests are answered");
            }
        }
    }
}

/// Every accessor.
pub fn read(message: &Message) {
    for name in Header::ALL {
        _ = message.header(*name);
        _ = message.values(*name).count();
    }
    _ = message.typed_all::<Via<'_>>().filter_map(Result::ok).filter_map(|via| via.received()).count();
    _ = message.typed_all::<Route<'_>>().filter_map(Result::ok).filter_map(|route| route.parsed_uri()).count();
    _ = message.typed_all::<Contact<'_>>().filter_map(Result::ok).filter_map(|contact| contact.expires()).count();
    _ = message.typed::<CSeq>();
    _ = message.lines().count();
}

fn reparse(octets: Bytes) -> Message {
    Message::parse(octets, &Limits { max_message: usize::MAX, max_headers: usize::MAX, ..Limits::default() })
        .expect("what we write can be read")
}

/// Names and values, in order.
fn pairs(message: &Message) -> Vec<(Vec<u8>, Vec<u8>)> {
    message.lines().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn forward(mut request: Request) {
    let written = request.to_bytes();
    let again = reparse(written.clone());
    assert_eq!(again.to_bytes(), written, "writing is stable");
    assert_eq!(pairs(&again), pairs(&request), "what is written is what was read");
    assert_eq!(again.body(), request.body());
    _ = sanity::check(&request, sanity::Checks::from_bits(u32::MAX), &[]);
    let before = pairs(&request);
    request.push_via(VIA).expect("a Via");
    let mut after = pairs(&reparse(request.to_bytes()));
    let at = after.iter().position(|(_, value)| value == VIA.as_bytes()).expect("the pushed Via");
    after.remove(at);
    assert_eq!(after, before, "a push changes nothing else");
    assert!(request.pop_via());
    assert_eq!(pairs(&request), before, "a pop undoes it");
    request.set_received(([192, 0, 2, 77], 5077).into());
    request.set_max_forwards(7);
    assert_eq!(request.max_forwards(), Some(7));
    let mut response = request.dialog_response(StatusCode::OK);
    response.set_to_tag("fuzz").expect("a token");
    assert!(response.to_tag().is_some());
    let Ok(Checked::Response(_)) = reparse(response.to_bytes()).check() else {
        panic!("the response to a valid request is valid");
    };
    let Ok(Checked::Request(_)) = reparse(request.to_bytes()).check() else {
        panic!("a request stays valid when it is edited");
    };
}

fn pass(mut response: Response) {
    let vias = response.values(Header::Via).count();
    assert!(response.pop_via());
    assert_eq!(reparse(response.to_bytes()).values(Header::Via).count(), vias - 1);
}
