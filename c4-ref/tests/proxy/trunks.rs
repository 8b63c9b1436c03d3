//! Calls to and from peers.

use c4_ref::config;
use sip_core::header::Header;

use crate::harness::{Req, Rig, invite, open, reply, s};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
const ONE: &str = "198.51.100.1:5060";
const TWO: &str = "198.51.100.2:5070";
const THREE: &str = "198.51.100.3:5060";

fn peer(name: &str, target: &str, prefix: &str, priority: u32) -> config::Peer {
    config::Peer {
        name: name.into(),
        sources: vec![target.split(':').next().unwrap().parse().unwrap()],
        target: Some(format!("udp:{target}").parse().unwrap()),
        prefixes: vec![prefix.into()],
        strip: 2,
        prepend: "+".into(),
        priority,
    }
}

fn rig() -> Rig {
    let mut config = open();
    config.auth.invite = true;
    config.peer =
        vec![peer("world", THREE, "00", 0), peer("germany-b", TWO, "0049", 20), peer("germany-a", ONE, "0049", 10)];
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    rig
}

fn dial(rig: &mut Rig, number: &str, call_id: &str) {
    rig.authenticated(ALICE, "alice", "pw-alice", invite(&format!("{number}@example.com"), call_id));
}

#[test]
fn a_number_goes_to_the_longest_prefix_in_the_peers_form() {
    let mut rig = rig();
    dial(&mut rig, "004930123", "c");
    let offer = rig.find("INVITE", ONE);
    assert_eq!(offer.message.request_uri(), Some("sip:+4930123@198.51.100.1:5060"));
    assert!(offer.header(Header::To).contains("sip:004930123@example.com"), "the To stays");
    rig.udp(ONE, &reply(&offer, "183 Session Progress", "t", ""));
    rig.udp(ONE, &reply(&offer, "200 OK", "t", "sip:gw@198.51.100.1:5060"));
    rig.find("200", ALICE);
    let mut back = Req::new("BYE", "sip:alice@192.0.2.1:5060")
        .ends("sip:004930123@example.com", "t", "sip:alice@example.com", "a")
        .call("c", 1)
        .via(ONE);
    back = back.header("Route", &offer.header(Header::RecordRoute));
    rig.udp(ONE, &back.text());
    let bye = rig.find("BYE", ALICE);
    rig.udp(ALICE, &reply(&bye, "200 OK", "", ""));
    let record = &rig.records[0];
    for (field, value) in
        [("peer_out", "germany-a"), ("called", "004930123"), ("called_out", "+4930123"), ("caller", "alice")]
    {
        assert_eq!(record[field], value);
    }
    dial(&mut rig, "0033123", "c2");
    rig.find("INVITE", THREE);
}

#[test]
fn a_peer_that_fails_has_one_successor() {
    for failure in ["503 Service Unavailable", "500 Server Internal Error", "408 Request Timeout"] {
        let mut rig = rig();
        dial(&mut rig, "004930123", "c");
        let first = rig.find("INVITE", ONE);
        rig.udp(ONE, &reply(&first, failure, "t", ""));
        let second = rig.find("INVITE", TWO);
        assert_eq!(second.message.request_uri(), Some("sip:+4930123@198.51.100.2:5070"));
        rig.udp(TWO, &reply(&second, "503 Service Unavailable", "t", ""));
        assert!(rig.take().iter().all(|sent| sent.to() != THREE), "one failover");
        assert_eq!(rig.records.len(), 1, "one attempt");
        assert_eq!(rig.records[0]["peer_out"], "germany-a", "whose answer was the best (RFC 3261 §16.7 step 6)");
    }
}

#[test]
fn a_silent_peer_has_its_successor_after_timer_b() {
    let mut rig = rig();
    dial(&mut rig, "004930123", "c");
    rig.find("INVITE", ONE);
    rig.pass(s(33));
    let second = rig.find("INVITE", TWO);
    rig.udp(TWO, &reply(&second, "200 OK", "t", "sip:gw@198.51.100.2:5070"));
    rig.find("200", ALICE);
    assert_eq!(rig.stats()["calls"]["answered"], 1);
}

#[test]
fn a_busy_number_is_busy_everywhere() {
    for (answer, status) in [("486 Busy Here", 486), ("404 Not Found", 404), ("603 Decline", 603)] {
        let mut rig = rig();
        dial(&mut rig, "004930123", "c");
        let first = rig.find("INVITE", ONE);
        rig.udp(ONE, &reply(&first, answer, "t", ""));
        assert!(rig.take().iter().all(|sent| sent.to() != TWO), "{answer}");
        assert_eq!(rig.records[0]["status"], status);
        assert_eq!(rig.records[0]["released_by"], "callee");
    }
}

#[test]
fn a_peer_calls_our_users_with_any_from() {
    let mut rig = rig();
    let offer = Req::new("INVITE", "sip:bob@example.com")
        .ends("sip:+4930999@carrier.example", "p", "sip:bob@example.com", "")
        .call("in", 1)
        .via(ONE)
        .header("Contact", "<sip:gw@198.51.100.1:5060>")
        .header("P-Asserted-Identity", "<tel:+4930999>");
    rig.udp(ONE, &offer.text());
    let offer = rig.find("INVITE", BOB);
    assert!(offer.message.header(Header::PAssertedIdentity).is_some(), "a peer may assert");
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    let answer = rig.find("200", ONE);
    let bye = Req::new("BYE", "sip:bob@192.0.2.2:5060")
        .ends("sip:+4930999@carrier.example", "p", "sip:bob@example.com", "b")
        .call("in", 2)
        .via(ONE)
        .header("Route", &answer.header(Header::RecordRoute));
    rig.udp(ONE, &bye.text());
    let bye = rig.find("BYE", BOB);
    rig.udp(BOB, &reply(&bye, "200 OK", "", ""));
    let record = &rig.records[0];
    assert_eq!((&record["peer_in"], &record["caller"]), (&"germany-a".into(), &"+4930999".into()));
    assert_eq!(record["released_by"], "caller");
}

#[test]
fn transit_from_peer_to_peer_never_returns_to_the_sender() {
    let mut rig = rig();
    let transit = |call_id: &str, at: &str| {
        Req::new("INVITE", "sip:004930123@example.com")
            .ends("sip:+33@carrier.example", "p", "sip:004930123@example.com", "")
            .call(call_id, 1)
            .via(at)
    };
    rig.udp(ONE, &transit("t1", ONE).text());
    rig.find("INVITE", TWO);
    rig.udp(THREE, &transit("t2", THREE).text());
    rig.find("INVITE", ONE);
}

#[test]
fn a_foreign_domain_is_403_unless_a_peer_matches() {
    let mut rig = rig();
    let to = |uri: &str, call_id: &str| invite(uri, call_id);
    rig.authenticated(ALICE, "alice", "pw-alice", to("someone@elsewhere.example", "c1"));
    assert_eq!(rig.take().last().unwrap().what(), "403");
    rig.authenticated(ALICE, "alice", "pw-alice", to("desk@198.51.100.3", "c2"));
    let offer = rig.find("INVITE", THREE);
    assert_eq!(offer.message.request_uri(), Some("sip:desk@198.51.100.3:5060"), "the peer itself: no digits to strip");
    rig.authenticated(ALICE, "alice", "pw-alice", to("0049301@elsewhere.example", "c3"));
    rig.find("INVITE", ONE);
}

#[test]
fn a_local_user_goes_before_any_prefix() {
    let mut config = open();
    config.peer = vec![peer("all", ONE, "", 0)];
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    rig.udp(ALICE, &invite("bob@example.com", "c1").text());
    rig.find("INVITE", BOB);
    rig.udp(ALICE, &invite("carol@example.com", "c2").text());
    assert_eq!(rig.take().last().unwrap().what(), "480", "known, without contact");
    rig.udp(ALICE, &invite("123@example.com", "c3").text());
    rig.find("INVITE", ONE);
    rig.udp(ALICE, &invite("123@elsewhere.example", "c4").text());
    assert_eq!(rig.take().last().unwrap().what(), "403", "the default route is for our own domains");
}
