//! Requests inside dialogs: loose routes, ACK, and lesson 22 (nobody rewrites a route set).

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{AckDropped, Branch, CommandError, Event};
use c4_sip_core::transaction;
use c4_sip_core::{Checked, Request};

use crate::harness::*;

const OURS: &str = "Route: <sip:192.0.2.9;lr;did=1>\n";

fn in_dialog(method: &str, uri: &str, branch: &str, lines: &str) -> String {
    request_text(method, uri, branch, lines).replace("To: <sip:b@example.com>", "To: <sip:b@example.com>;tag=b1")
}

/// Gives the ACK that the layer handed back to the proxy.
fn ack(rig: &mut Rig) -> Result<(), AckDropped> {
    let request = rig.back.drain(..).find_map(|event| match event {
        transaction::Event::Ack { request, .. } => Some(request),
        _ => None,
    });
    let done = rig.proxy.forward_ack(rig.now, &mut rig.layer, request.expect("an ACK"));
    rig.run();
    done
}

fn values(request: &Request, name: Header) -> Vec<String> {
    request.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

#[test]
fn rfc3261_16_12_a_bye_is_relayed_along_its_route() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("BYE", "sip:b@198.51.100.1", "2", OURS));
    assert!(matches!(rig.events[0], Event::Route { in_dialog: true, own_routes: 1, .. }));
    let id = rig.contexts[0];
    rig.proxy.relay(rig.now, &mut rig.layer, id).unwrap();
    rig.run();
    let bye = rig.one("BYE");
    assert_eq!((bye.uri(), bye.header(Header::Route), bye.max_forwards()), ("sip:b@198.51.100.1", None, Some(70)));
    assert_eq!(bye.header(Header::RecordRoute), None);
    rig.answer(&bye, 200);
    assert_eq!(rig.codes(), [200]);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_12_the_next_route_is_the_next_hop_and_stays() {
    let mut rig = Rig::new();
    let lines = format!("{OURS}Route: <sip:198.51.100.7;lr>, <sip:198.51.100.8;lr>\n");
    rig.caller(&in_dialog("BYE", "sip:b@name.example.com", "2", &lines));
    let id = rig.contexts[0];
    rig.proxy.relay(rig.now, &mut rig.layer, id).unwrap();
    rig.run();
    assert_eq!(rig.sent.last().map(|sent| sent.to), Some(callee(7)));
    let bye = rig.one("BYE");
    assert_eq!(values(&bye, Header::Route), ["<sip:198.51.100.7;lr>", "<sip:198.51.100.8;lr>"]);
}

#[test]
fn a_name_as_next_hop_is_the_callers_to_resolve() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("BYE", "sip:b@name.example.com", "2", OURS));
    let id = rig.contexts[0];
    assert_eq!(rig.proxy.relay(rig.now, &mut rig.layer, id), Err(CommandError::Unresolved));
    rig.forward(id, vec![Branch { uri: None, ..to(1) }]);
    assert_eq!(rig.one("BYE").uri(), "sip:b@name.example.com");
}

#[test]
fn rfc3261_16_4_a_strict_router_before_us_is_understood() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("BYE", "sip:192.0.2.9;lr", "2", "Route: <sip:b@198.51.100.1>\n"));
    assert!(matches!(rig.events[0], Event::Route { own_routes: 1, .. }));
    let id = rig.contexts[0];
    rig.proxy.relay(rig.now, &mut rig.layer, id).unwrap();
    rig.run();
    assert_eq!(rig.one("BYE").uri(), "sip:b@198.51.100.1");
}

#[test]
fn rfc3261_16_11_an_ack_to_a_2xx_goes_along_its_route_without_state() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("ACK", "sip:b@198.51.100.1", "3", &format!("{OURS}Max-Forwards: 10\n")));
    ack(&mut rig).unwrap();
    assert_eq!(rig.sent[0].to, callee(1));
    let ack = rig.one("ACK");
    assert_eq!((ack.max_forwards(), ack.headers(Header::Via).count()), (Some(9), 2));
    assert_eq!(ack.header(Header::Route), None);
    rig.assert_idle();
}

#[test]
fn an_ack_without_our_route_is_dropped() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("ACK", "sip:b@198.51.100.1", "3", ""));
    assert!(matches!(ack(&mut rig), Err(AckDropped::NoRoute)));
    assert!(rig.sent.is_empty());
}

#[test]
fn rfc3261_16_3_an_ack_without_hops_or_in_a_loop_is_dropped_in_silence() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("ACK", "sip:b@198.51.100.1", "3", &format!("{OURS}Max-Forwards: 0\n")));
    assert!(matches!(ack(&mut rig), Err(AckDropped::TooManyHops)));
    assert!(rig.sent.is_empty());
}

#[test]
fn an_ack_to_a_name_is_given_back_to_be_resolved() {
    let mut rig = Rig::new();
    rig.caller(&in_dialog("ACK", "sip:b@name.example.com", "3", OURS));
    assert!(matches!(ack(&mut rig), Err(AckDropped::Unresolved(request, _)) if request.max_forwards() == Some(70)));
}

#[test]
fn lesson_22_record_route_and_contact_of_responses_are_never_rewritten() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Record-Route: <sip:192.0.2.50;lr>\n"));
    let id = rig.contexts[0];
    rig.forward(id, vec![Branch { record_route: vec!["<sip:192.0.2.9;lr;did=1>".into()], ..to(1) }]);
    let request = rig.one("INVITE");
    let recorded = values(&request, Header::RecordRoute);
    let mut answer = request.dialog_response(c4_sip_core::StatusCode::OK);
    answer.set_to_tag("b1").unwrap();
    answer.push_back(Header::Contact, "<sip:b@198.51.100.1;transport=tcp>").unwrap();
    rig.respond(&answer, &request);
    let seen = rig.responses().remove(0);
    assert_eq!(
        seen.values(Header::RecordRoute).collect::<Vec<_>>(),
        recorded.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
    assert_eq!(seen.header(Header::Contact), Some(&b"<sip:b@198.51.100.1;transport=tcp>"[..]));
}

#[test]
fn lesson_22_a_reinvite_keeps_the_routes_that_are_not_ours_byte_for_byte() {
    let mut rig = Rig::new();
    let lines =
        format!("{OURS}Route: <sip:198.51.100.7;lr;x=1%2C2>\nRoute: <sip:198.51.100.8:5070;transport=tcp;lr>\n");
    rig.caller(&in_dialog("INVITE", "sip:b@198.51.100.1;transport=tcp", "4", &lines));
    let id = rig.contexts[0];
    rig.proxy.relay(rig.now, &mut rig.layer, id).unwrap();
    rig.run();
    let again = rig.one("INVITE");
    let routes: Vec<_> = again.headers(Header::Route).collect();
    assert_eq!(routes, [&b"<sip:198.51.100.7;lr;x=1%2C2>"[..], b"<sip:198.51.100.8:5070;transport=tcp;lr>"]);
    assert_eq!(again.uri(), "sip:b@198.51.100.1;transport=tcp");
}

#[test]
fn a_request_may_be_changed_before_it_is_sent_on() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Proxy-Authorization: Digest username=\"a\"\n"));
    let id = rig.contexts[0];
    rig.proxy.request_mut(id).unwrap().remove(Header::ProxyAuthorization).unwrap();
    rig.forward(id, vec![to(1), to(2)]);
    assert!(rig.requests("INVITE").iter().all(|request| request.header(Header::ProxyAuthorization).is_none()));
}

#[test]
fn events_of_others_are_given_back() {
    let mut rig = Rig::new();
    let options = Checked::Request(match parse(&request_text("OPTIONS", "sip:b@198.51.100.1", "own", "")) {
        Checked::Request(request) => request,
        Checked::Response(_) => unreachable!(),
    });
    let Checked::Request(mut request) = options else { unreachable!() };
    request.pop_via();
    let target = c4_sip_core::Target::new(c4_sip_core::Transport::Udp, callee(1));
    let id = rig.layer.request(rig.now, request, target).unwrap();
    rig.run();
    let sent = rig.one("OPTIONS");
    rig.answer(&sent, 200);
    let back = rig.back.iter().any(|e| matches!(e, transaction::Event::Response { id: of, .. } if *of == id));
    assert!(back);
    assert!(rig.proxy.is_idle());
}
