//! Relays that are dead, full, silent or unwilling: what becomes of the calls.

use c4_ref::ng::Reply;
use c4_ref::proxy::media::{MOST_WAIT, Policy};
use sip_core::header::Header;

use crate::harness::{Call, Sent, address, invite, ms, reply, s};
use crate::media::{ALICE, BOB, BOB_URI, DESK, ONE, TWO, answer, body, reinvite, rig, rig_of, with_relays};

#[test]
fn a_relay_that_refuses_an_answer_does_not_hold_the_call() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let asked = rig.question();
    rig.relay_says(&asked, &Reply::error("Unknown call-id"));
    assert_eq!(body(&rig.find("200", ALICE)), "of-bob");
    assert_eq!(rig.media("failed"), 1);
}

#[test]
fn a_dead_relay_lets_the_call_go_on_without_it() {
    let mut rig = rig();
    rig.dead = vec![address("10.9.0.1:2223")];
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.pass(MOST_WAIT);
    let ringing = rig.find("INVITE", BOB);
    assert_eq!(body(&ringing), "of-alice");
    rig.relayed.clear();
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let ok = rig.find("200", ALICE);
    assert_eq!(body(&ok), "of-bob");
    let mut caller_routes = ok.all(Header::RecordRoute);
    caller_routes.reverse();
    let call = Call { caller_routes, callee_routes: ringing.all(Header::RecordRoute), call_id: "c".into() };
    rig.udp(ALICE, &call.of_caller("ACK", 1).text());
    rig.dead.clear();
    rig.pass(s(10));
    rig.take();
    assert_eq!((rig.media("relays-up"), rig.media("passed-without-relay")), (1, 1));
    rig.udp(ALICE, &reinvite(&call, true, 2, "again").text());
    assert_eq!(body(&rig.find("INVITE", BOB)), "again", "it began without a relay");
    rig.hang_up(&call);
    assert!(rig.asked().is_empty());
    // The next one is served.
    rig.udp(ALICE, &invite("bob@example.com", "d").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
}

#[test]
fn a_dead_relay_refuses_the_call_where_the_policy_says_so() {
    let mut rig = rig_of(&[ONE], Policy::Refuse);
    rig.dead = vec![address("10.9.0.1:2223")];
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.pass(MOST_WAIT);
    rig.find("503", ALICE);
    assert!(rig.take().iter().all(|sent| sent.what() != "INVITE"));
    // Now that it is known to be dead, nobody waits.
    rig.udp(ALICE, &invite("bob@example.com", "d").body("of-alice").text());
    rig.find("503", ALICE);
    assert_eq!((rig.media("relays-down"), rig.media("refused-without-relay"), rig.media("waiting")), (1, 2, 0));
}

#[test]
fn a_call_at_a_relays_limit_goes_to_the_next_and_stays_there() {
    let mut rig = rig_of(&[ONE, TWO], Policy::Pass);
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    let full = rig.question();
    rig.relay_says(&full, &Reply::LoadLimit("full".into()));
    let offer = rig.question();
    assert_ne!(offer.relay, full.relay);
    rig.relay_serves(&offer, "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let asked = rig.relay_serves_next("answer a>b branch", "to-alice");
    assert_eq!(asked.relay, offer.relay);
    let ok = rig.find("200", ALICE);
    let mut caller_routes = ok.all(Header::RecordRoute);
    caller_routes.reverse();
    let call = Call { caller_routes, callee_routes: ringing.all(Header::RecordRoute), call_id: "c".into() };
    rig.udp(ALICE, &call.of_caller("ACK", 1).text());
    // A proxy that was killed finds it by the routes.
    let mut next = rig.killed_and_restarted(&with_relays(&[ONE, TWO], Policy::Pass), s(1));
    next.udp(ALICE, &reinvite(&call, true, 2, "hold").text());
    let again = next.relay_serves_next("offer a>b", "hold-2");
    assert_eq!(again.relay, offer.relay);
    let held = next.find("INVITE", BOB);
    assert_eq!(body(&held), "hold-2");
    next.udp(BOB, &answer(&held, "200 OK", "b", BOB_URI, "held"));
    next.relay_serves_next("answer a>b", "held-2");
    assert_eq!(body(&next.find("200", ALICE)), "held-2");
    next.hang_up(&call);
    let gone = next.question();
    assert_eq!((gone.what().as_str(), gone.relay), ("delete a>b", offer.relay));
}

#[test]
fn a_relay_that_dies_in_mid_call_hands_it_over_at_the_next_offer() {
    let mut rig = rig_of(&[ONE, TWO], Policy::Refuse);
    let call = rig.relayed_call();
    rig.udp(ALICE, &reinvite(&call, true, 2, "one").text());
    let first = rig.relay_serves_next("offer a>b", "one-2");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&ringing, "488 Not Acceptable Here", "b", ""));
    rig.pass(s(40));
    rig.take();
    // It is not known yet that the relay is dead.
    rig.dead = vec![first.relay];
    rig.udp(BOB, &reinvite(&call, false, 7, "two").text());
    rig.pass(ms(700));
    let asked = rig.asked().pop().unwrap();
    assert_eq!(asked.what(), "offer b>a");
    assert_ne!(asked.relay, first.relay);
    rig.relay_serves(&asked, "two-2");
    let at_alice = rig.find("INVITE", ALICE);
    assert_eq!(body(&at_alice), "two-2");
    rig.udp(ALICE, &answer(&at_alice, "200 OK", "a", "sip:alice@192.0.2.1:5060", "yes"));
    let asked = rig.relay_serves_next("answer b>a", "yes-2");
    assert_ne!(asked.relay, first.relay);
    assert_eq!(body(&rig.find("200", BOB)), "yes-2");
    rig.dead.clear();
    rig.pass(s(20));
    rig.take();
    rig.hang_up(&call);
    let gone = rig.question();
    assert_ne!(gone.relay, first.relay, "the relay that has it now, though the first one is back");
    assert_eq!((rig.media("moved-to-another-relay"), rig.media("relays-lost")), (1, 1));
}

#[test]
fn a_silent_relay_holds_an_answer_for_a_bounded_time() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.dead = vec![address("10.9.0.1:2223")];
    rig.take();
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    rig.pass(ms(100));
    assert!(rig.take().is_empty());
    rig.pass(MOST_WAIT);
    assert_eq!(body(&rig.find("200", ALICE)), "of-bob");
}

#[test]
fn an_answer_that_no_relay_serves_ends_the_call_where_the_policy_refuses() {
    let mut rig = rig_of(&[ONE], Policy::Refuse);
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let asked = rig.question();
    rig.relay_says(&asked, &Reply::error("Unknown call-id"));
    rig.pass(ms(1));
    rig.find("200", ALICE);
    rig.find("BYE", ALICE);
    rig.find("BYE", BOB);
    assert_eq!((rig.records[0]["cause"].as_u64(), rig.records.len()), (Some(41), 1));
}

#[test]
fn an_answer_in_an_ack_that_no_relay_serves_ends_the_call_where_the_policy_refuses() {
    for (policy, ends) in [(Policy::Refuse, true), (Policy::Pass, false)] {
        let mut rig = rig_of(&[ONE], policy);
        rig.udp(ALICE, &invite("bob@example.com", "c").body("").text());
        let ringing = rig.find("INVITE", BOB);
        rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
        rig.relay_serves_next("offer b>a", "to-alice");
        let ok = rig.find("200", ALICE);
        let mut caller_routes = ok.all(Header::RecordRoute);
        caller_routes.reverse();
        let call = Call { caller_routes, callee_routes: ringing.all(Header::RecordRoute), call_id: "c".into() };
        rig.udp(ALICE, &call.of_caller("ACK", 1).body("of-alice").text());
        let asked = rig.question();
        rig.relay_says(&asked, &Reply::error("Unknown call-id"));
        rig.pass(ms(1));
        let sent: Vec<String> = rig.take().iter().map(Sent::what).collect();
        assert_eq!(sent.first().map(String::as_str), Some("ACK"), "{sent:?}");
        assert_eq!(sent.iter().filter(|what| *what == "BYE").count(), if ends { 2 } else { 0 }, "{sent:?}");
        assert_eq!(rig.records.len(), usize::from(ends));
    }
}

#[test]
fn an_offer_that_the_relay_of_the_dialog_refuses_goes_to_no_other() {
    let mut rig = rig_of(&[ONE, TWO], Policy::Refuse);
    let call = rig.relayed_call();
    rig.udp(ALICE, &reinvite(&call, true, 2, "new").text());
    let asked = rig.question();
    rig.relay_says(&asked, &Reply::error("Failed to parse SDP"));
    assert!(rig.asked().is_empty());
    rig.find("503", ALICE);
    // One without ports is another matter.
    rig.udp(ALICE, &reinvite(&call, true, 3, "new").text());
    let asked = rig.question();
    rig.relay_says(&asked, &Reply::error("Ran out of ports"));
    let again = rig.question();
    rig.relay_says(&again, &Reply::error("Ran out of ports"));
    assert_ne!(rig.question().relay, again.relay);
}

#[test]
fn with_more_branches_than_a_relay_serves_the_others_ring() {
    let mut rig = rig_of(&[ONE], Policy::Refuse);
    for at in [DESK, "192.0.2.4:5060"] {
        rig.registered("bob", at, "");
    }
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "one");
    let asked = rig.asked();
    assert_eq!(asked.len(), 2);
    rig.relay_says(&asked[0], &Reply::error("Ran out of ports"));
    assert!(rig.take().iter().all(|sent| sent.what() != "INVITE"), "the third is not served yet");
    rig.relay_serves(&asked[1], "three");
    let mut bodies: Vec<String> = rig.take().iter().filter(|sent| sent.what() == "INVITE").map(body).collect();
    bodies.sort();
    assert_eq!(bodies, ["one", "three"]);
}

#[test]
fn a_branch_that_the_relay_does_not_serve_is_not_deleted_there() {
    let mut rig = rig();
    rig.registered("bob", DESK, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "served");
    let second = rig.question();
    rig.relay_says(&second, &Reply::error("Ran out of ports"));
    let sent: Vec<Sent> = rig.take().into_iter().filter(|sent| sent.what() == "INVITE").collect();
    let bare = sent.iter().find(|sent| body(sent) == "of-alice").unwrap();
    rig.udp(&bare.to(), &reply(bare, "486 Busy Here", "x", ""));
    assert!(rig.asked().is_empty(), "a branch that it does not know is the whole call to it");
}
