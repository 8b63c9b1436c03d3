//! Requests inside dialogs: only along a Route that we signed, and to where the other side is.

use c4_ref::proxy::calls::MAX_DIALOG_LIFE;
use sip_core::header::Header;

use crate::harness::{Req, Rig, invite, ms, open, reply, s, tcp_flow};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";

fn rig() -> Rig {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig
}

#[test]
fn a_tagged_request_without_our_route_is_404_and_its_ack_is_dropped() {
    let mut rig = rig();
    let mut call = rig.established("c");
    call.caller_routes.clear();
    rig.udp(ALICE, &call.of_caller("BYE", 2).text());
    rig.find("404", ALICE);
    rig.udp(ALICE, &call.of_caller("ACK", 1).branch("x").text());
    assert_eq!(rig.look(), [""; 0]);
    let stats = rig.stats();
    assert_eq!((&stats["rejected"]["no-route"], &stats["rejected"]["stray-ack"]), (&1.into(), &1.into()));
    assert_eq!(stats["dialogs"], 1, "the call goes on");
}

#[test]
fn nobody_relays_through_us_with_a_forged_or_borrowed_route() {
    let mut rig = rig();
    let call = rig.established("c");
    let route = call.caller_routes[0].clone();
    let plain = "<sip:10.0.0.1:5060;lr>".to_owned();
    let altered = route.replacen("sip:", "sip:A", 1);
    for forged in [plain, altered] {
        let request = Req::new("BYE", "sip:victim@203.0.113.66")
            .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
            .call("c", 2)
            .header("Route", &forged);
        rig.udp(ALICE, &request.text());
        assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "{forged}");
    }
    let borrowed = Req::new("MESSAGE", "sip:victim@203.0.113.66")
        .ends("sip:alice@example.com", "z", "sip:bob@example.com", "b")
        .call("other", 2)
        .header("Route", &route);
    rig.udp(ALICE, &borrowed.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "another call's");
    let elsewhere = route.replace("@10.0.0.1:5060", "@203.0.113.66");
    let elsewhere = Req::new("INFO", "sip:x@203.0.113.66")
        .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
        .call("c", 3)
        .header("Route", &elsewhere);
    rig.udp(ALICE, &elsewhere.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "our token, another's address");
}

#[test]
fn a_to_tag_is_no_way_around_authentication() {
    let mut rig = Rig::new(&crate::harness::config());
    let request =
        Req::new("INVITE", "sip:bob@example.com").ends("sip:alice@example.com", "a", "sip:bob@example.com", "b");
    rig.udp(ALICE, &request.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"]);
    let register =
        Req::new("REGISTER", "sip:example.com").ends("sip:alice@example.com", "a", "sip:alice@example.com", "b");
    rig.udp(ALICE, &register.text());
    assert_eq!(rig.look(), ["401 192.0.2.1:5060"]);
}

#[test]
fn lesson_14_a_bye_of_another_dialog_ends_no_call() {
    let mut rig = rig();
    let call = rig.established("c");
    let bye = call.of_caller("BYE", 5).ends("sip:alice@example.com", "a", "sip:bob@example.com", "other");
    rig.udp(ALICE, &bye.text());
    assert_eq!(rig.look(), ["404 192.0.2.1:5060"], "the route is the caller's in its own dialog only");
    let bye = call.of_callee("BYE", 5).ends("sip:bob@example.com", "other", "sip:alice@example.com", "a");
    rig.udp(BOB, &bye.text());
    let sent = rig.find("BYE", ALICE);
    rig.udp(ALICE, &reply(&sent, "481 Call/Transaction Does Not Exist", "", ""));
    rig.find("481", BOB);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0));
    rig.hang_up(&call);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1));
    assert_eq!(rig.records[0]["released_by"], "caller");
}

#[test]
fn a_bye_that_is_challenged_ends_no_call() {
    let mut rig = rig();
    let call = rig.established("c");
    rig.udp(ALICE, &call.of_caller("BYE", 2).text());
    let sent = rig.find("BYE", BOB);
    rig.udp(BOB, &reply(&sent, "407 Proxy Authentication Required", "", ""));
    assert_eq!(rig.stats()["dialogs"], 1);
    rig.pass(s(5));
    rig.udp(BOB, &call.of_callee("BYE", 7).text());
    let sent = rig.find("BYE", ALICE);
    rig.udp(ALICE, &reply(&sent, "200 OK", "", ""));
    assert_eq!(rig.records[0]["released_by"], "callee");
    assert_eq!(rig.records[0]["duration_ms"], 5_000);
}

/// Whoever pays could end the record and not the call.
#[test]
fn a_bye_that_never_reaches_the_other_side_ends_no_call() {
    let mut rig = rig();
    let call = rig.established("c");
    let no_hop = call.of_caller("BYE", 9).text().replace("Max-Forwards: 70", "Max-Forwards: 0");
    rig.udp(ALICE, &no_hop);
    assert_eq!(rig.look(), ["483 192.0.2.1:5060"]);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0), "no hop left");
    let mut nowhere = Req::new("BYE", "sip:bob@nowhere.invalid")
        .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
        .call("c", 3);
    nowhere = nowhere.header("Route", &call.caller_routes[0]);
    rig.udp(ALICE, &nowhere.text());
    assert_eq!(rig.look(), ["403 192.0.2.1:5060"]);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0), "nobody's target");
    rig.udp(ALICE, &call.of_caller("BYE", 4).text());
    let sent = rig.find("BYE", BOB);
    rig.udp(BOB, &reply(&sent, "483 Too Many Hops", "", ""));
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0), "a hop behind us found none left");
    rig.hang_up(&call);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1));
}

#[test]
fn a_re_invite_passes_both_ways_and_writes_no_record() {
    let mut rig = rig();
    let call = rig.established("c");
    for (request, from, to) in [(call.of_caller("INVITE", 2), ALICE, BOB), (call.of_callee("INVITE", 2), BOB, ALICE)] {
        rig.udp(from, &request.text());
        let sent = rig.find("INVITE", to);
        rig.udp(to, &reply(&sent, "200 OK", "", "sip:x@192.0.2.2"));
        rig.find("200", from);
        let ack = request.method("ACK");
        rig.udp(from, &ack.branch("ack").text());
        rig.find("ACK", to);
        rig.take();
    }
    assert_eq!(
        (&rig.stats()["dialogs"], rig.records.len(), &rig.stats()["calls"]["attempts"]),
        (&1.into(), 0, &1.into())
    );
}

#[test]
fn a_dialog_without_a_bye_ends_at_its_longest_life() {
    let mut rig = rig();
    rig.established("c");
    rig.pass(MAX_DIALOG_LIFE - s(1));
    assert_eq!(rig.stats()["dialogs"], 1);
    rig.pass(s(2));
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1));
    assert_eq!(rig.records[0]["released_by"], "proxy");
}

#[test]
fn a_bye_still_passes_after_a_restart() {
    let mut rig = rig();
    let call = rig.established("c");
    let mut next = rig.killed_and_restarted(&open(), s(1));
    next.udp(ALICE, &call.of_caller("BYE", 2).text());
    let bye = next.find("BYE", BOB);
    next.udp(BOB, &reply(&bye, "200 OK", "", ""));
    next.find("200", ALICE);
    assert!(next.records.is_empty(), "the spool has recovered it");
}

#[test]
fn a_caller_behind_a_nat_is_found_inside_the_dialog() {
    let mut rig = rig();
    let seen = "203.0.113.5:61000";
    let offer = Req::new("INVITE", "sip:bob@example.com")
        .call("c", 1)
        .via("192.168.1.7:5060")
        .header("Contact", "<sip:alice@192.168.1.7:5060>");
    rig.udp(seen, &offer.text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.find("200", seen);
    let bye = Req::new("BYE", "sip:alice@192.168.1.7:5060")
        .ends("sip:bob@example.com", "b", "sip:alice@example.com", "a")
        .call("c", 2)
        .via(BOB)
        .header("Route", &offer.header(Header::RecordRoute));
    rig.udp(BOB, &bye.text());
    let bye = rig.find("BYE", seen);
    assert_eq!(bye.message.request_uri(), Some("sip:alice@192.168.1.7:5060"), "the URI stays as it is");
}

#[test]
fn rfc5658_a_stream_on_one_side_gets_two_record_routes() {
    let mut rig = rig();
    let phone = "192.0.2.1:40000";
    let request = invite("bob@example.com", "c").over_tcp().via("192.0.2.1:40000");
    rig.tcp(7, phone, &request.text());
    let offer = rig.find("INVITE", BOB);
    let routes = offer.all(Header::RecordRoute);
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(!routes[0].contains("transport") && routes[1].contains(";transport=tcp"), "the called side's on top");
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    let answer = rig.find("200", phone);
    assert_eq!(answer.flow, tcp_flow(7, phone));
    let mut back = answer.all(Header::RecordRoute);
    back.reverse();
    let mut ack = Req::new("ACK", "sip:bob@192.0.2.2:5060")
        .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
        .call("c", 1)
        .over_tcp();
    for route in back {
        ack = ack.header("Route", &route);
    }
    rig.tcp(7, phone, &ack.text());
    assert!(rig.find("ACK", BOB).message.header(Header::Route).is_none(), "both are taken off");
}

#[test]
fn a_lost_connection_in_mid_call_costs_the_call_nothing_but_that_leg() {
    use c4_ref::machine::Machine;
    let mut rig = rig();
    let phone = "192.0.2.1:40000";
    rig.tcp(7, phone, &invite("bob@example.com", "c").over_tcp().via(phone).text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.find("200", phone);
    rig.app.handle_flow_closed(rig.now, tcp_flow(7, phone));
    rig.drain();
    assert_eq!(rig.stats()["dialogs"], 1);
    let mut bye = Req::new("BYE", "sip:alice@192.0.2.1:5060")
        .ends("sip:bob@example.com", "b", "sip:alice@example.com", "a")
        .call("c", 2)
        .via(BOB);
    for route in offer.all(Header::RecordRoute) {
        bye = bye.header("Route", &route);
    }
    rig.udp(BOB, &bye.text());
    let (id, target) = rig.connects.pop().expect("it asks for the phone's connection");
    assert_eq!((target.remote.to_string().as_str(), target.transport), (phone, sip_core::Transport::Tcp));
    rig.app.handle_connect_done(rig.now, id, Err(std::io::ErrorKind::ConnectionRefused));
    rig.drain();
    let answer = rig.take().pop().unwrap();
    assert!(answer.message.status().unwrap().code() >= 400, "{}", answer.text);
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&0.into(), 1), "the BYE was said");
    assert_eq!(rig.records[0]["released_by"], "callee");
    rig.pass(ms(1));
}

#[test]
fn a_corrected_wall_clock_counts_for_records_and_registrations() {
    let mut rig = rig();
    c4_ref::machine::Machine::set_wall_clock(&mut rig.app, rig.now, crate::harness::UNIX + s(86_400));
    let call = rig.established("c");
    rig.hang_up(&call);
    assert_eq!(rig.records[0]["start"], "2023-11-15T22:13:20.000Z");
    let uri = "sip:carol@example.com";
    let register =
        Req::new("REGISTER", "sip:example.com").ends(uri, "r", uri, "").header("Contact", "<sip:c@192.0.2.9>");
    rig.udp("192.0.2.9:5060", &register.text());
    assert_eq!(rig.find("200", "192.0.2.9:5060").header(Header::Date), "Wed, 15 Nov 2023 22:13:20 GMT");
}
