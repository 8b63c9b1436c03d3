//! What crosses the border and what does not.

use super::*;
use crate::source::Source;

#[test]
fn the_proxies_are_told_the_source_and_what_a_stranger_said_of_it_is_gone() {
    let mut rig = Rig::new(&config());
    for (n, lie) in ["X-C4-Source: udp:1.2.3.4:5", "x-c4-source : tls:1.2.3.4:5;identity=\"boss\"", "X-C4-SOURCE:\n a"]
        .iter()
        .enumerate()
    {
        let sent = rig.one(outside(ALICE), &req("INVITE").call(format!("c{n}")).more(lie).more(lie).text());
        let values: Vec<_> = sent.message.headers("X-C4-Source").map(Source::parse).collect();
        let truth =
            Source { transport: Transport::Udp, remote: addr(ALICE), listener: addr(PUBLIC), identities: vec![] };
        assert_eq!(values, [Some(truth)], "lesson 3: {lie}");
    }
}

#[test]
fn the_verified_name_of_a_tls_peer_is_told() {
    let mut rig = Rig::new(&config());
    rig.none(inside(PROXY), &req("INVITE").uri("sip:+491@203.0.113.80:5061;transport=tls").via(proxy_via("t")).text());
    let (id, target) = rig.connects.pop_front().unwrap();
    assert_eq!(target.tls_name.as_deref(), Some("203.0.113.80"));
    let ours = stream(Transport::Tls, "192.0.2.1:5061", "203.0.113.80:5061", 6);
    rig.lb.handle_connect_done(rig.now, id, Ok(ours));
    rig.drain();
    assert_eq!(identities(&rig.one(ours, &req("INVITE").text())), ["203.0.113.80".into()]);
    let theirs = stream(Transport::Tls, "192.0.2.1:5061", ALICE, 7);
    assert!(identities(&rig.one(theirs, &req("INVITE").text())).is_empty(), "a client without a certificate");
}

fn identities(sent: &Sent) -> Vec<Box<str>> {
    Source::parse(sent.one("X-C4-Source").unwrap().as_bytes()).unwrap().identities
}

#[test]
fn rfc5922_7_the_domains_of_a_tls_client_are_told_and_its_own_words_are_not() {
    let mut rig = Rig::new(&config());
    let trunk = stream(Transport::Tls, "192.0.2.1:5061", ALICE, 7);
    rig.lb.handle_flow_identified(rig.now, trunk, &[Box::from("sip.carrier.example"), "b.example".into()].into());
    let lie = "X-C4-Source: tls:198.51.100.7:40000;listener=tls:192.0.2.1:5061;identity=\"boss.example\"";
    let sent = rig.one(trunk, &req("INVITE").more(lie).text());
    assert_eq!(sent.all("X-C4-Source").len(), 1);
    assert_eq!(identities(&sent), ["sip.carrier.example".into(), "b.example".into()]);
    // Another connection from the same address proved nothing, nor does one that comes after.
    let stranger = stream(Transport::Tls, "192.0.2.1:5061", ALICE, 8);
    assert!(identities(&rig.one(stranger, &req("INVITE").call("c2").more(lie).text())).is_empty());
    rig.lb.handle_flow_closed(rig.now, trunk);
    assert!(identities(&rig.one(trunk, &req("INVITE").call("c3").text())).is_empty(), "nor after its end");
}

#[test]
fn a_tls_client_that_proves_a_peers_name_may_assert_identities() {
    let mut rig = Rig::new(&config::Lb { peer_tls_names: vec!["SIP.carrier.example".parse().unwrap()], ..config() });
    let asserted = req("INVITE").more("P-Asserted-Identity: <sip:ceo@example.com>").text();
    for (id, proved, passes) in [(7, "sip.carrier.example", 1), (8, "other.example", 0)] {
        let flow = stream(Transport::Tls, "192.0.2.1:5061", ALICE, id);
        rig.lb.handle_flow_identified(rig.now, flow, &[Box::from(proved)].into());
        assert_eq!(rig.one(flow, &asserted).all("P-Asserted-Identity").len(), passes, "{proved}");
    }
    assert_eq!(rig.one(outside(ALICE), &asserted).all("P-Asserted-Identity").len(), 0);
}

#[test]
fn rfc3325_5_only_peers_assert_identities() {
    let assert = |r: Req| r.more("P-Asserted-Identity: <sip:ceo@example.com>").more("Remote-Party-ID: <sip:ceo@e.org>");
    let mut rig = Rig::new(&config());
    let sent = rig.one(outside(ALICE), &assert(req("INVITE")).text());
    assert!(sent.all("P-Asserted-Identity").is_empty() && sent.all("Remote-Party-ID").is_empty());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let path = register(&mut rig, outside(BOB));
    let to_bob = rig.one(inside(&invite.to()), &assert(req("INVITE")).via(proxy_via("p")).routes(&path).text());
    assert_eq!(to_bob.all("P-Asserted-Identity").len(), 1, "a proxy may");
    let answer = response(&to_bob, 200).replace("CSeq", "P-Asserted-Identity: <sip:ceo@example.com>\nCSeq");
    let answer = rig.one(outside(BOB), &answer);
    assert!(answer.all("P-Asserted-Identity").is_empty(), "nor in a response");
    let peers = vec!["198.51.100.7".parse().unwrap()];
    let mut rig = Rig::new(&config::Lb { peers, ..config() });
    let sent = rig.one(outside(ALICE), &assert(req("INVITE")).text());
    assert_eq!((sent.all("P-Asserted-Identity").len(), sent.all("Remote-Party-ID").len()), (1, 1));
}

#[test]
fn responses_to_the_proxies_tell_their_source_too() {
    let mut rig = Rig::new(&config());
    let path = register(&mut rig, outside(BOB));
    let to_bob = rig.one(inside(PROXY), &req("INVITE").via(proxy_via("p")).routes(&path).text());
    let lie = response(&to_bob, 200).replace("CSeq", "X-C4-Source: udp:9.9.9.9:9;listener=udp:9.9.9.9:9\nCSeq");
    let answer = rig.one(outside(BOB), &lie);
    let values: Vec<_> = answer.message.headers("X-C4-Source").filter_map(Source::parse).collect();
    assert_eq!(values.iter().map(|s| s.remote).collect::<Vec<_>>(), [addr(BOB)]);
}

#[test]
fn nothing_of_it_leaves_the_house() {
    let mut rig = Rig::new(&config());
    let path = register(&mut rig, outside(BOB));
    let source = "X-C4-Source: udp:198.51.100.7:40000;listener=udp:192.0.2.1:5060";
    let to_bob = rig.one(inside(PROXY), &req("INVITE").via(proxy_via("p")).routes(&path).more(source).text());
    assert!(to_bob.all("X-C4-Source").is_empty());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let answer = response(&invite, 200).replace("CSeq", &format!("{source}\nCSeq"));
    assert!(rig.one(inside(PROXY), &answer).all("X-C4-Source").is_empty());
}

#[test]
fn rfc3261_18_2_1_received_is_ours_to_say() {
    let mut rig = Rig::new(&config());
    let via = |rig: &mut Rig, via: &str| rig.one(outside(ALICE), &req("INVITE").via(via).text()).all("Via")[1].clone();
    let honest = via(&mut rig, "SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK1");
    assert!(!honest.contains("received"), "{honest}");
    let natted = via(&mut rig, "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1;received=6.6.6.6");
    assert!(natted.contains(";received=198.51.100.7") && !natted.contains("6.6.6.6"), "{natted}");
    let asked = via(&mut rig, "SIP/2.0/UDP 198.51.100.7:40000;rport=1;branch=z9hG4bK1");
    assert!(asked.contains(";rport=40000") && asked.contains(";received=198.51.100.7"), "{asked}");
}

#[test]
fn unknown_headers_order_case_and_folds_stay_as_they_are() {
    let mut rig = Rig::new(&config());
    let odd = "x-odd :  a,\n\tb ;c\nX-Odd: second\ns: subject";
    let sent = text_of(&rig.one(outside(ALICE), &req("INVITE").more(odd).text()).message);
    assert!(sent.contains(odd), "{sent}");
}

#[test]
fn rfc3261_20_14_a_message_for_a_stream_has_a_content_length() {
    let mut rig = Rig::new(&config());
    let flow = tcp(BOB, 3);
    let path = register(&mut rig, flow);
    let bare = req("INVITE").via(proxy_via("p")).routes(&path).text().replace("Content-Length: 0\n", "");
    assert_eq!(rig.one(inside(PROXY), &bare).one("Content-Length").as_deref(), Some("0"));
}
