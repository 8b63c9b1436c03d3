//! Who has been in a call reaches the other side of it through us, and nobody else.

use sip_core::header::Header;

use crate::harness::{Call, Req, Rig, invite, open, reply, s};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
const MOVED: &str = "192.0.2.77:5070";
const EVIL: &str = "sip:x@203.0.113.66:5060";

fn rig() -> Rig {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig
}

fn to(mut request: Req, uri: &str) -> Req {
    request.uri = uri.to_owned();
    request
}

fn assert_goes_on(rig: &mut Rig) {
    let stats = rig.stats();
    assert_eq!((&stats["dialogs"], rig.records.len()), (&1.into(), 0), "the call and its record go on");
}

#[test]
fn a_route_of_ours_leads_to_the_other_side_and_nowhere_else() {
    let mut rig = rig();
    let call = rig.established("c");
    for (n, method) in ["BYE", "INVITE", "INFO", "UPDATE", "REFER", "MESSAGE", "ACK"].into_iter().enumerate() {
        for (request, from) in
            [(call.of_caller(method, 20 + n as u32), ALICE), (call.of_callee(method, 20 + n as u32), BOB)]
        {
            for uri in [
                EVIL,
                "tel:+49",
                "sip:bob@192.0.2.2:5060;maddr=203.0.113.66",
                "sip:bob@192.0.2.2:5061",
                "sip:u@nowhere.invalid",
            ] {
                let request = to(request.clone(), uri)
                    .branch(&format!("{method}{from}{uri}").replace([':', '@', ';', '=', '+'], "-"));
                rig.udp(from, &request.text());
                let expected = if method == "ACK" { vec![] } else { vec![format!("403 {from}")] };
                assert_eq!(rig.look(), expected, "{method} {from} {uri}");
            }
        }
    }
    assert_goes_on(&mut rig);
    assert_eq!(rig.stats()["rejected"]["foreign-target"], 60);
    rig.hang_up(&call);
    assert_eq!(rig.records[0]["released_by"], "caller");
}

#[test]
fn a_bye_to_oneself_ends_no_call() {
    let mut rig = rig();
    let call = rig.established("c");
    rig.udp(ALICE, &to(call.of_caller("BYE", 2), "sip:alice@192.0.2.1:5080").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0));
    rig.hang_up(&call);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1));
}

/// A phone behind a NAT is reached by the address in the token, whatever the Request-URI says. It must be its Contact all the
/// same: the phone refuses a BYE that means somebody else, and the call would go on without a record.
#[test]
fn the_target_behind_a_nat_is_checked_too() {
    const INSIDE: &str = "192.168.1.7:5060";
    const OUTSIDE: &str = "203.0.113.5:61000";
    let mut rig = Rig::new(&open());
    let uri = "sip:bob@example.com";
    let register = Req::new("REGISTER", "sip:example.com").ends(uri, "r", uri, "").via(INSIDE);
    rig.udp(OUTSIDE, &register.header("Contact", "<sip:bob@192.168.1.7:5060>").text());
    rig.find("200", OUTSIDE);
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", OUTSIDE);
    rig.udp(OUTSIDE, &reply(&offer, "200 OK", "b", "sip:bob@192.168.1.7:5060"));
    let routes = rig.find("200", ALICE).all(Header::RecordRoute);
    rig.take();
    let request = |method: &str, cseq: u32, uri: &str| {
        let request = Req::new(method, uri).ends("sip:alice@example.com", "a", "sip:bob@example.com", "b");
        request.call("c", cseq).header("Route", &routes[0]).text()
    };
    for (cseq, uri) in [(2, EVIL), (3, "sip:nobody@192.168.1.7:5060"), (4, "sip:bob@192.168.1.7:5070")] {
        rig.udp(ALICE, &request("BYE", cseq, uri));
        assert_eq!(rig.look(), ["403 192.0.2.1:5060"], "{uri}");
    }
    assert_goes_on(&mut rig);
    let mut next = rig.killed_and_restarted(&open(), s(1));
    next.udp(ALICE, &request("BYE", 5, "sip:moved@192.168.1.7:5070"));
    next.find("BYE", OUTSIDE);
    rig.udp(ALICE, &request("BYE", 6, "sip:bob@192.168.1.7:5060"));
    rig.find("BYE", OUTSIDE);
}

#[test]
fn a_foreign_route_behind_ours_leads_nowhere() {
    let mut rig = rig();
    let call = rig.established("c");
    for method in ["BYE", "INFO", "ACK"] {
        for (request, from) in [(call.of_caller(method, 9), ALICE), (call.of_callee(method, 9), BOB)] {
            let request = request.header("Route", "<sip:203.0.113.66;lr>").branch(&format!("r{method}"));
            rig.udp(from, &request.text());
            let expected = if method == "ACK" { vec![] } else { vec![format!("404 {from}")] };
            assert_eq!(rig.look(), expected, "{method} {from}");
        }
    }
    let strict = to(call.of_caller("BYE", 10), "sip:10.0.0.1:5060;lr").header("Route", "<sip:x@203.0.113.66>");
    rig.udp(ALICE, &strict.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "as a strict router would write it");
    assert_goes_on(&mut rig);
}

/// A balancer that gets a request from us without a token of its own sends it where the Request-URI says; with the token of
/// the caller's own side, back to the caller, who would answer the BYE himself.
#[test]
fn not_even_a_balancer_that_we_trust_is_a_hop_that_the_sender_chooses() {
    let mut config = open();
    config.trusted = vec!["10.0.0.9".parse().unwrap()];
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    let call = rig.established("c");
    for (n, route) in ["<sip:10.0.0.9;lr>", "<sip:token@10.0.0.9:5060;lr>"].into_iter().enumerate() {
        for uri in [EVIL, "sip:bob@192.0.2.2:5060"] {
            let request = to(call.of_caller("BYE", 5 + n as u32), uri).header("Route", route);
            rig.udp(ALICE, &request.branch(&format!("{n}-{}", uri.len())).text());
            assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "{route} {uri}");
        }
    }
    rig.udp(ALICE, &to(call.of_caller("BYE", 9), "sip:x@10.0.0.9:5060").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
    assert_goes_on(&mut rig);
}

#[test]
fn neither_side_uses_the_route_of_the_other_or_of_a_fork() {
    let mut rig = rig();
    let call = rig.established("c");
    let swapped = Call {
        caller_routes: call.callee_routes.clone(),
        callee_routes: call.caller_routes.clone(),
        call_id: "c".into(),
    };
    rig.udp(ALICE, &swapped.of_caller("BYE", 9).text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"]);
    rig.udp(BOB, &to(swapped.of_callee("BYE", 9), "sip:bob@192.0.2.2:5060").text());
    assert_eq!(rig.look(), ["404 192.0.2.2:5060"], "a BYE that comes back to its sender");
    rig.udp(ALICE, &call.of_caller("BYE", 10).ends("sip:alice@example.com", "a", "sip:bob@example.com", "x").text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"]);
    assert_goes_on(&mut rig);
}

/// The phone moves: a re-INVITE or UPDATE with another Contact, or such an answer.
fn refresh(rig: &mut Rig, call: &Call, method: &str, status: &str) -> String {
    let request = call.of_callee(method, 3).via(MOVED).header("Contact", "<sip:bob@192.0.2.77:5070>");
    rig.udp(MOVED, &request.text());
    let sent = rig.find(method, ALICE);
    rig.udp(ALICE, &reply(&sent, status, "", "sip:alice@192.0.2.1:5060"));
    let answer = rig.take().pop().unwrap().what();
    if method == "INVITE" && answer == "200" {
        rig.udp(MOVED, &call.of_callee("ACK", 3).via(MOVED).text());
        rig.find("ACK", ALICE);
    }
    rig.take();
    answer
}

#[test]
fn rfc3261_12_2_a_target_refresh_moves_the_target() {
    for method in ["INVITE", "UPDATE"] {
        let mut rig = rig();
        let call = rig.established("c");
        refresh(&mut rig, &call, method, "200 OK");
        rig.udp(ALICE, &to(call.of_caller("INFO", 5), EVIL).text());
        assert_eq!(rig.look(), ["403 192.0.2.1:5060"], "{method}");
        rig.udp(ALICE, &to(call.of_caller("BYE", 6), "sip:bob@192.0.2.77:5070").text());
        let bye = rig.find("BYE", MOVED);
        rig.udp(MOVED, &reply(&bye, "200 OK", "", ""));
        assert_eq!(rig.records[0]["released_by"], "caller", "{method}");
    }
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
    rig.udp(ALICE, &to(call.of_caller("INFO", 3), "sip:bob@192.0.2.78").text());
    rig.find("INFO", "192.0.2.78:5060");
    let info = call.of_callee("INFO", 2).text().replace("sip:alice@192.0.2.1:5060 SIP", "sip:alice@192.0.2.77 SIP");
    rig.udp(BOB, &info);
    rig.find("INFO", "192.0.2.77:5060");
}

#[test]
fn rfc3261_14_1_a_refresh_that_is_refused_moves_nothing() {
    let mut rig = rig();
    let call = rig.established("c");
    assert_eq!(refresh(&mut rig, &call, "INVITE", "488 Not Acceptable Here"), "488");
    rig.udp(ALICE, &to(call.of_caller("BYE", 6), "sip:bob@192.0.2.77:5070").text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
    rig.hang_up(&call);
}

#[test]
fn after_a_kill_both_sides_still_hang_up_and_the_relay_stays_closed() {
    let mut rig = rig();
    let call = rig.established("c");
    for uri in [EVIL, "sip:x@203.0.113.66;lr"] {
        let mut next = rig.killed_and_restarted(&open(), s(1));
        next.udp(ALICE, &to(call.of_caller("BYE", 2), uri).text());
        assert_eq!(next.look(), ["403 192.0.2.1:5060"]);
        next.udp(BOB, &call.of_callee("BYE", 2).text());
        next.find("BYE", ALICE);
        next.udp(ALICE, &call.of_caller("BYE", 3).text());
        next.find("BYE", BOB);
    }
}

#[test]
fn after_a_kill_a_phone_that_had_moved_is_found_where_it_is_registered() {
    let mut rig = rig();
    let call = rig.established("c");
    refresh(&mut rig, &call, "INVITE", "200 OK");
    rig.registered("bob", MOVED, "");
    let mut next = rig.killed_and_restarted(&open(), s(1));
    next.udp(ALICE, &to(call.of_caller("BYE", 6), "sip:bob@192.0.2.77:5070").text());
    next.find("BYE", MOVED);
    // While the call is known, another phone of the user is no way around its record.
    rig.registered("bob", "192.0.2.88:5060", "");
    rig.udp(ALICE, &to(call.of_caller("BYE", 6), "sip:bob@192.0.2.88:5060").text());
    rig.find("403", ALICE);
    assert_goes_on(&mut rig);
}

#[test]
fn a_retransmitted_200_carries_the_callers_route_as_well() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    let answer = reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060");
    rig.udp(BOB, &answer);
    let first = rig.find("200", ALICE);
    rig.udp(BOB, &answer);
    let again = rig.find("200", ALICE);
    assert_eq!(first.all(Header::RecordRoute), again.all(Header::RecordRoute));
    assert_ne!(first.all(Header::RecordRoute), offer.all(Header::RecordRoute), "not the called side's");
}

#[test]
fn rfc3261_10_3_a_peers_address_registers_none_of_our_users() {
    let mut config = crate::harness::config();
    config.peer = vec![c4_ref::config::Peer {
        name: "carrier".into(),
        sources: vec!["198.51.100.1".parse().unwrap()],
        tls_names: Vec::new(),
        target: None,
        prefixes: Vec::new(),
        strip: 0,
        prepend: String::new(),
        priority: 0,
    }];
    let mut rig = Rig::new(&config);
    let uri = "sip:bob@example.com";
    let register = Req::new("REGISTER", "sip:example.com")
        .ends(uri, "r", uri, "")
        .via("198.51.100.1:5060")
        .header("Contact", "<sip:bob@198.51.100.1>");
    rig.udp("198.51.100.1:5060", &register.text());
    assert_eq!(rig.look(), ["401 198.51.100.1:5060"]);
    assert_eq!(rig.stats()["contacts"], 0);
}
