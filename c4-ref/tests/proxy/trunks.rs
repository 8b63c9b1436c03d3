//! Calls to and from peers.

use c4_ref::config;
use c4_ref::machine::Machine;
use sip_core::header::Header;
use sip_core::{ConnectionId, Flow, Transport};

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
        tls_names: Vec::new(),
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

/// A TLS connection of a trunk whose certificate proves these domains.
fn proved(rig: &mut Rig, connection: u64, names: &[&str]) -> Flow {
    let (local, remote) = ("10.0.0.1:5061".parse().unwrap(), "198.51.100.77:40000".parse().unwrap());
    let flow = Flow { transport: Transport::Tls, local, remote, connection: Some(ConnectionId(connection)) };
    let names: Vec<Box<str>> = names.iter().map(|&name| name.into()).collect();
    rig.app.handle_flow_identified(rig.now, flow, &names.into());
    flow
}

/// From a carrier, in whose name nobody else may speak.
fn from_carrier(call_id: &str) -> Req {
    Req::new("INVITE", "sip:bob@example.com")
        .ends("sip:+4930999@carrier.example", "p", "sip:bob@example.com", "")
        .call(call_id, 1)
        .via("198.51.100.77:40000")
        .header("Contact", "<sip:gw@198.51.100.77;transport=tls>")
        .header("P-Asserted-Identity", "<tel:+4930999>")
}

fn certified() -> Rig {
    let mut config = open();
    config.auth.invite = true;
    config.trusted = vec!["10.0.0.9".parse().unwrap()];
    config.peer = vec![config::Peer {
        sources: Vec::new(),
        tls_names: vec!["sip.carrier.example".parse().unwrap(), "b.example".parse().unwrap()],
        target: Some("tls:198.51.100.9:5061".parse().unwrap()),
        ..peer("carrier", ONE, "00", 0)
    }];
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    rig
}

#[test]
fn rfc5922_7_a_trunk_is_known_by_its_certificate() {
    for names in [&["sip.carrier.example"][..], &["x.example", "B.example"]] {
        let mut rig = certified();
        let flow = proved(&mut rig, 7, names);
        rig.input(flow, &from_carrier("c").text());
        let offer = rig.find("INVITE", BOB);
        assert!(offer.message.header(Header::PAssertedIdentity).is_some(), "a peer may assert");
        rig.udp(BOB, &reply(&offer, "486 Busy Here", "b", ""));
        assert_eq!(rig.records[0]["peer_in"], "carrier");
    }
    for (connection, names) in [(7, &["carrier.example"][..]), (8, &["*.carrier.example"]), (9, &[])] {
        let mut rig = certified();
        let flow = proved(&mut rig, connection, names);
        rig.input(flow, &from_carrier("c").text());
        assert_eq!(rig.look(), ["403 198.51.100.77:40000"], "{names:?}");
    }
    // Lesson 16: neither another connection of the same address nor a later one is that trunk.
    let mut rig = certified();
    let flow = proved(&mut rig, 7, &["sip.carrier.example"]);
    rig.input(Flow { connection: Some(ConnectionId(8)), ..flow }, &from_carrier("c").text());
    assert_eq!(rig.look(), ["403 198.51.100.77:40000"]);
    rig.app.handle_flow_closed(rig.now, flow);
    rig.input(flow, &from_carrier("c2").text());
    assert_eq!(rig.look(), ["403 198.51.100.77:40000"]);
}

#[test]
fn a_balancer_tells_what_the_trunks_certificate_proves_and_nobody_else_does() {
    let told = |name: &str| {
        let source = format!("tls:198.51.100.77:40000;listener=tls:203.0.113.1:5061;identity=\"{name}\"");
        from_carrier("c").header("X-C4-Source", &source).text()
    };
    let mut rig = certified();
    rig.udp("10.0.0.9:5060", &told("sip.carrier.example"));
    rig.find("INVITE", BOB);
    for (from, name) in [("10.0.0.9:5060", "other.example"), ("198.51.100.77:5060", "sip.carrier.example")] {
        let mut rig = certified();
        rig.udp(from, &told(name));
        let look = rig.look();
        assert!(look.len() == 1 && look[0].starts_with("403 "), "{from} {name}: {look:?}");
    }
}

#[test]
fn rfc5922_7_3_the_certificate_of_a_trunk_must_bear_its_name_in_every_request() {
    let mut rig = certified();
    dial(&mut rig, "004930123", "c");
    let (id, target) = rig.connects.pop().unwrap();
    assert_eq!(target.tls_name.as_deref(), Some("sip.carrier.example"));
    let flow = Flow {
        transport: Transport::Tls,
        local: "10.0.0.1:5061".parse().unwrap(),
        remote: target.remote,
        connection: Some(ConnectionId(3)),
    };
    rig.app.handle_connect_done(rig.now, id, Ok(flow));
    rig.drain();
    let offer = rig.find("INVITE", "198.51.100.9:5061");
    rig.input(flow, &reply(&offer, "200 OK", "t", "sip:gw@198.51.100.9:5061;transport=tls"));
    let answer = rig.find("200", ALICE);
    let bye = Req::new("BYE", "sip:gw@198.51.100.9:5061;transport=tls")
        .ends("sip:alice@example.com", "a", "sip:004930123@example.com", "t")
        .call("c", 9);
    let bye = answer.all(Header::RecordRoute).iter().rev().fold(bye, |bye, route| bye.header("Route", route));
    rig.udp(ALICE, &bye.text());
    let (_, target) = rig.connects.pop().expect("the connection is asked for by target");
    assert_eq!(target.tls_name.as_deref(), Some("sip.carrier.example"), "inside the dialog too");
}
