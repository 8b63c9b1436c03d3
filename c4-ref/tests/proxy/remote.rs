//! Where requests inside a dialog may go: to its other side, as that side said it, and nowhere else.

use crate::harness::{Call, Req, Rig, open, reply, s};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
const VICTIM: &str = "sip:victim@203.0.113.66:5060";

fn rig() -> Rig {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig
}

/// A request of the caller with a Request-URI of her own making.
fn astray(call: &Call, method: &str, cseq: u32, uri: &str) -> Req {
    let request = Req::new(method, uri).ends("sip:alice@example.com", "a", "sip:bob@example.com", "b");
    call.caller_routes.iter().fold(request.call(&call.call_id, cseq), |request, route| request.header("Route", route))
}

/// Bob moves by a re-INVITE with this Contact, which alice answers with `status`.
fn bob_moves(rig: &mut Rig, call: &Call, cseq: u32, contact: &str, status: &str) {
    let request = call.of_callee("INVITE", cseq).header("Contact", contact);
    rig.udp(BOB, &request.text());
    let offer = rig.find("INVITE", ALICE);
    rig.udp(ALICE, &reply(&offer, status, "", "sip:alice@192.0.2.1:5060"));
    rig.find(&status[..3], BOB);
    rig.take();
}

#[test]
fn who_owns_a_dialog_sends_nothing_to_a_third_party() {
    let mut rig = rig();
    let call = rig.established("c");
    for (cseq, method) in [(5, "INFO"), (6, "INVITE"), (7, "MESSAGE"), (8, "UPDATE")] {
        rig.udp(ALICE, &astray(&call, method, cseq, VICTIM).text());
        assert_eq!(rig.look(), ["403 192.0.2.1:5060"], "{method}");
    }
    rig.udp(ALICE, &astray(&call, "ACK", 1, VICTIM).branch("stray").text());
    assert_eq!(rig.look(), [""; 0], "an ACK is dropped");
    for uri in ["sip:bob@192.0.2.2:5070", "sip:bob@192.0.2.2;maddr=203.0.113.66", "sip:bob@evil.example", "tel:+49"] {
        rig.udp(ALICE, &astray(&call, "INFO", 9, uri).branch(uri).text());
        assert_eq!(rig.look(), ["403 192.0.2.1:5060"], "{uri}");
    }
    let further = astray(&call, "INFO", 10, "sip:bob@192.0.2.2:5060").header("Route", "<sip:203.0.113.66;lr>");
    rig.udp(ALICE, &further.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "a Route of her own behind ours");
    assert_eq!(rig.stats()["rejected"]["foreign-target"], 8);
}

#[test]
fn a_bye_to_oneself_ends_no_call() {
    let mut rig = rig();
    let call = rig.established("c");
    rig.udp(ALICE, &astray(&call, "BYE", 2, "sip:alice@192.0.2.1:5080").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0));
    rig.hang_up(&call);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1));
}

#[test]
fn rfc3261_12_2_a_target_refresh_moves_a_side() {
    let mut rig = rig();
    let call = rig.established("c");
    bob_moves(&mut rig, &call, 2, "<sip:bob@192.0.2.9:5064>", "200 OK");
    rig.udp(ALICE, &astray(&call, "INFO", 3, "sip:bob@192.0.2.9:5064").text());
    rig.find("INFO", "192.0.2.9:5064");
    rig.take();
    rig.udp(ALICE, &astray(&call, "INFO", 4, "sip:bob@192.0.2.10:5064").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
}

#[test]
fn rfc3261_14_1_a_refused_refresh_moves_nobody() {
    let mut rig = rig();
    let call = rig.established("c");
    bob_moves(&mut rig, &call, 2, "<sip:bob@192.0.2.9:5064>", "488 Not Acceptable Here");
    rig.udp(ALICE, &astray(&call, "INFO", 3, "sip:bob@192.0.2.9:5064").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
}

#[test]
fn rfc3311_5_1_an_update_moves_a_side_and_its_answer_the_other() {
    let mut rig = rig();
    let call = rig.established("c");
    rig.udp(ALICE, &call.of_caller("UPDATE", 2).header("Contact", "<sip:alice@192.0.2.77>").text());
    let update = rig.find("UPDATE", BOB);
    rig.udp(BOB, &reply(&update, "200 OK", "", "sip:bob@192.0.2.78"));
    rig.find("200", ALICE);
    rig.take();
    rig.udp(ALICE, &astray(&call, "INFO", 3, "sip:bob@192.0.2.78").text());
    rig.find("INFO", "192.0.2.78:5060");
    let info = call.of_callee("INFO", 2).text().replace("sip:alice@192.0.2.1:5060 SIP", "sip:alice@192.0.2.77 SIP");
    rig.udp(BOB, &info);
    rig.find("INFO", "192.0.2.77:5060");
}

#[test]
fn after_a_restart_the_token_still_says_where_the_sides_are() {
    let mut rig = rig();
    let call = rig.established("c");
    let mut next = rig.killed_and_restarted(&open(), s(1));
    next.udp(ALICE, &astray(&call, "BYE", 2, VICTIM).text());
    assert_eq!(next.look(), ["403 192.0.2.1:5060"]);
    next.udp(ALICE, &call.of_caller("BYE", 3).text());
    next.find("BYE", BOB);
}
