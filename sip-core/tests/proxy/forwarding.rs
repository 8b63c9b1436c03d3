//! Request validation, routing and forwarding (RFC 3261 §16.3 to §16.6).

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{Branch, Edit, Event};
use c4_sip_core::{Request, StatusCode};

use crate::harness::*;

fn values(request: &Request, name: Header) -> Vec<String> {
    request.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

#[test]
fn rfc3261_16_6_a_call_goes_through_and_leaves_nothing() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    assert_eq!(request.uri(), "sip:b1@198.51.100.1");
    assert_eq!(request.max_forwards(), Some(69));
    assert_eq!(request.headers(Header::Via).count(), 2);
    rig.answer(&request, 180);
    rig.answer(&request, 200);
    assert_eq!(rig.codes(), [180, 200]);
    let outcome = rig.finished().remove(0);
    assert_eq!(outcome.status, Some(StatusCode::OK));
    rig.assert_idle();
}

#[test]
fn rfc3261_16_6_3_max_forwards_is_added_where_there_is_none() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", ""));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1)]);
    assert_eq!(rig.one("OPTIONS").max_forwards(), Some(70));
}

#[test]
fn rfc3261_16_6_steps_4_to_6_record_route_edits_and_routes_are_put_on() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Record-Route: <sip:192.0.2.77;lr>\nX-Own: 1\n"));
    let branch = Branch {
        record_route: vec!["<sip:192.0.2.9;lr;s=2>".into(), "<sip:192.0.2.9;lr;s=1>".into()],
        routes: vec!["<sip:192.0.2.20;lr>".into(), "<sip:192.0.2.21;lr>".into()],
        edits: vec![
            Edit::Remove { name: "X-Own".into() },
            Edit::Set { name: "P-Asserted-Identity".into(), value: b"<sip:a@example.com>".to_vec() },
        ],
        ..to(1)
    };
    let id = rig.contexts[0];
    rig.forward(id, vec![branch]);
    let request = rig.one("INVITE");
    let recorded = ["<sip:192.0.2.9;lr;s=2>", "<sip:192.0.2.9;lr;s=1>", "<sip:192.0.2.77;lr>"];
    assert_eq!(values(&request, Header::RecordRoute), recorded);
    assert_eq!(values(&request, Header::Route), ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21;lr>"]);
    assert_eq!(request.header("X-Own"), None);
    assert_eq!(request.header(Header::PAssertedIdentity), Some(&b"<sip:a@example.com>"[..]));
}

#[test]
fn rfc3261_16_5_no_targets_is_480() {
    let mut rig = Rig::new();
    rig.call(Vec::new());
    assert_eq!(rig.codes(), [480]);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_4_the_route_event_says_what_was_found() {
    let mut rig = Rig::new();
    rig.caller(&request_text("BYE", "sip:b@198.51.100.1", "1", "Route: <sip:192.0.2.9;lr>\n"));
    assert!(matches!(rig.events[0], Event::Route { in_dialog: false, own_routes: 1, .. }));
}
