//! Registrations: bounds, Path, NATs, keepalives, the durable store.

use c4_ref::config;
use sip_core::header::Header;

use crate::harness::{Req, Rig, invite, ms, open, reply, s, tcp_flow};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
/// A phone behind a NAT: what it says of itself, and where it is seen.
const INSIDE: &str = "192.168.1.7:5060";
const OUTSIDE: &str = "203.0.113.5:61000";
const BALANCER: &str = "10.0.0.9:5060";

fn register(user: &str, via: &str, contact: &str) -> Req {
    let uri = format!("sip:{user}@example.com");
    Req::new("REGISTER", "sip:example.com").ends(&uri, "r", &uri, "").call("reg", 1).via(via).header("Contact", contact)
}

fn nated() -> Req {
    register("bob", INSIDE, "<sip:bob@192.168.1.7:5060>")
}

fn contact(rig: &mut Rig, to: &str) -> String {
    rig.find("200", to).header(Header::Contact)
}

fn trusting() -> config::Proxy {
    let mut config = open();
    config.trusted = vec!["10.0.0.0/24".parse().unwrap()];
    config
}

/// The same phone through the load balancer.
fn through_balancer(cseq: u32) -> Req {
    let source = format!("udp:{OUTSIDE};listener=udp:198.51.100.9:5060");
    let text =
        nated().call("reg-lb", cseq).header("X-C4-Source", &source).header("Path", "<sip:TOKEN@10.0.0.9:5060;lr>");
    text.header("Supported", "path")
}

fn lb_text(request: &Req, n: u32) -> String {
    // The balancer's own Via stands before the phone's.
    let via = format!("Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-lb-{n}\r\nVia: ");
    request.text().replacen("Via: ", &via, 1)
}

#[test]
fn lifetimes_are_bounded_by_the_configuration() {
    let mut rig = Rig::new(&open());
    rig.udp(BOB, &register("bob", BOB, "<sip:bob@192.0.2.2>").header("Expires", "30").text());
    let answer = rig.find("423", BOB);
    assert_eq!(answer.header(Header::MinExpires), "60");
    rig.udp(BOB, &register("bob", BOB, "<sip:bob@192.0.2.2>").header("Expires", "999999").cseq(2).text());
    assert_eq!(contact(&mut rig, BOB), "<sip:bob@192.0.2.2>;expires=7200");
    rig.pass(s(7199));
    assert_eq!(rig.stats()["contacts"], 1);
    rig.pass(s(60));
    assert_eq!((&rig.stats()["contacts"], rig.store.len()), (&0.into(), 0), "and the store forgets it");
}

#[test]
fn a_udp_contact_behind_a_nat_lives_shorter() {
    let mut rig = Rig::new(&open());
    rig.udp(OUTSIDE, &nated().header("Expires", "3600").text());
    assert_eq!(contact(&mut rig, OUTSIDE), "<sip:bob@192.168.1.7:5060>;expires=120");
    rig.input(tcp_flow(3, OUTSIDE), &nated().over_tcp().call("t", 1).header("Expires", "3600").text());
    let answer = contact(&mut rig, OUTSIDE);
    assert!(answer.ends_with("expires=3600"), "a stream needs no pings of ours: {answer}");
}

#[test]
fn a_call_reaches_the_phone_behind_the_nat_where_it_is_seen() {
    let mut rig = Rig::new(&open());
    rig.udp(OUTSIDE, &nated().text());
    rig.find("200", OUTSIDE);
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", OUTSIDE);
    assert_eq!(offer.message.request_uri(), Some("sip:bob@192.168.1.7:5060"));
    rig.udp(OUTSIDE, &reply(&offer, "200 OK", "b", "sip:bob@192.168.1.7:5060"));
    let answer = rig.find("200", ALICE);
    for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
        let request = Req::new(method, "sip:bob@192.168.1.7:5060")
            .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
            .call("c", cseq)
            .header("Route", &answer.header(Header::RecordRoute));
        rig.udp(ALICE, &request.text());
        rig.find(method, OUTSIDE);
    }
}

#[test]
fn rfc3327_5_4_calls_go_by_the_path() {
    let mut rig = Rig::new(&trusting());
    rig.udp(BALANCER, &lb_text(&through_balancer(1), 1));
    let answer = rig.find("200", BALANCER);
    assert!(answer.header(Header::Contact).ends_with("expires=120"), "NATed through the balancer too: {}", answer.text);
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BALANCER);
    assert_eq!(offer.all(Header::Route), ["<sip:TOKEN@10.0.0.9:5060;lr>"]);
    assert_eq!(offer.message.request_uri(), Some("sip:bob@192.168.1.7:5060"));
}

#[test]
fn keepalives_go_through_the_path_every_interval_to_nated_udp_contacts_only() {
    let mut rig = Rig::new(&trusting());
    rig.udp(BALANCER, &lb_text(&through_balancer(1), 1));
    rig.udp(
        "203.0.113.8:5060",
        &register("carol", "203.0.113.8:5060", "<sip:carol@203.0.113.8:5060>").call("k", 1).text(),
    );
    rig.take();
    let mut pings = std::collections::BTreeSet::new();
    for second in 0..90 {
        rig.pass(s(1));
        if second % 25 == 0 {
            // The phone refreshes; the balancer lives.
            rig.udp(BALANCER, &lb_text(&through_balancer(10 + second), 10 + second));
        }
        for sent in rig.take() {
            if sent.what() == "OPTIONS" {
                assert_eq!(sent.to(), BALANCER, "{}", sent.text);
                assert_eq!(sent.message.request_uri(), Some("sip:bob@192.168.1.7:5060"));
                assert_eq!(sent.all(Header::Route), ["<sip:TOKEN@10.0.0.9:5060;lr>"]);
                rig.udp(BALANCER, &reply(&sent, "200 OK", "k", ""));
                pings.insert(sent.header(Header::CallId)); // retransmissions share it
            }
        }
    }
    assert_eq!(pings.len(), 3, "one each 30 s");
    assert_eq!(rig.stats()["registrar"]["keepalives"], 3);
}

#[test]
fn keepalives_can_be_switched_off() {
    let mut config = open();
    config.keepalive.interval_s = 0;
    let mut rig = Rig::new(&config);
    rig.udp(OUTSIDE, &nated().text());
    rig.take();
    rig.pass(s(100));
    assert_eq!(rig.look(), [""; 0]);
}

#[test]
fn a_430_to_a_keepalive_drops_the_binding() {
    let mut rig = Rig::new(&trusting());
    rig.udp(BALANCER, &lb_text(&through_balancer(1), 1));
    rig.take();
    let mut seconds = 0;
    let ping = loop {
        rig.pass(s(1));
        seconds += 1;
        if let Some(ping) = rig.take().pop() {
            break ping;
        }
        assert!(seconds < 40);
    };
    rig.udp(BALANCER, &reply(&ping, "430 Flow Failed", "k", ""));
    assert_eq!((&rig.stats()["contacts"], rig.store.len()), (&0.into(), 0));
    assert_eq!(rig.stats()["registrar"]["dead-contacts"], 1);
}

#[test]
fn a_phone_that_answers_no_keepalive_is_dropped() {
    let mut rig = Rig::new(&open());
    rig.udp(OUTSIDE, &nated().text());
    rig.pass(s(70));
    assert_eq!((&rig.stats()["contacts"], &rig.stats()["registrar"]["dead-contacts"]), (&0.into(), &1.into()));
}

#[test]
fn a_dead_balancer_does_not_take_its_phones_with_it() {
    let mut rig = Rig::new(&trusting());
    rig.udp(BALANCER, &lb_text(&through_balancer(1), 1));
    rig.pass(s(70));
    assert_eq!(rig.stats()["contacts"], 1, "nothing at all was heard of the balancer");
    let ping = Req::new("OPTIONS", "sip:example.com").call("probe", 1);
    rig.udp(BALANCER, &lb_text(&through_balancer(2), 2));
    for n in 0..7 {
        rig.pass(s(10));
        rig.udp(BALANCER, &ping.clone().call(&format!("probe{n}"), 1).text());
    }
    assert_eq!(rig.stats()["contacts"], 0, "now it was the phone that is silent");
}

#[test]
fn calls_while_the_balancer_is_dead_cost_no_registration() {
    let mut rig = Rig::new(&trusting());
    rig.udp(BALANCER, &lb_text(&through_balancer(1), 1));
    rig.pass(s(5));
    rig.udp(ALICE, &invite("bob@example.com", "dead").text());
    rig.find("INVITE", BALANCER);
    rig.pass(s(33));
    assert_eq!(rig.records[0]["status"], 408);
    assert_eq!(rig.stats()["contacts"], 1, "nothing at all was heard of the balancer");
    rig.udp(BALANCER, &lb_text(&through_balancer(2), 2));
    rig.udp(ALICE, &invite("bob@example.com", "alive").text());
    rig.pass(s(10));
    rig.udp(BALANCER, &Req::new("OPTIONS", "sip:example.com").call("probe", 1).text());
    rig.pass(s(23));
    assert_eq!(rig.stats()["contacts"], 0, "now it was the phone that is silent");
}

#[test]
fn kill_9_registrations_are_back_with_their_time_left() {
    let mut rig = Rig::new(&open());
    rig.udp(BOB, &register("bob", BOB, "<sip:bob@192.0.2.2:5060>;q=0.5").header("Expires", "600").text());
    rig.udp(OUTSIDE, &register("carol", INSIDE, "<sip:carol@192.168.1.7>").call("n", 1).text());
    let phone = tcp_flow(5, "192.0.2.4:40000");
    let over_tcp =
        register("alice", "192.0.2.4:40000", "<sip:alice@192.0.2.4:5060;transport=tcp>").call("t", 1).over_tcp();
    rig.input(phone, &over_tcp.text());
    rig.take();
    let mut next = rig.killed_and_restarted(&open(), s(50));
    assert_eq!(next.stats()["contacts"], 3);
    next.udp(BOB, &register("bob", BOB, "<sip:bob@192.0.2.2:5060>").cseq(1).header("Expires", "600").text());
    next.find("500", BOB);
    let query = register("bob", BOB, "x").text().replace("Contact: x\r\n", "").replace("z9hG4bK-", "z9hG4bK-q");
    next.udp(BOB, &query);
    assert_eq!(contact(&mut next, BOB), "<sip:bob@192.0.2.2:5060>;q=0.5;expires=550");
    next.udp(ALICE, &invite("carol@example.com", "c1").text());
    next.find("INVITE", OUTSIDE);
    next.udp(BOB, &invite("alice@example.com", "c2").via(BOB).text());
    let (_, target) = next.connects.pop().expect("the connection was another process's");
    assert_eq!(target.remote.to_string(), "192.0.2.4:5060");
}

#[test]
fn a_phone_on_a_stream_is_called_over_its_connection() {
    let mut rig = Rig::new(&open());
    let phone = tcp_flow(5, "192.0.2.4:40000");
    let over_tcp = register("bob", "192.0.2.4:40000", "<sip:bob@192.0.2.4:40000;transport=tcp>").over_tcp();
    rig.input(phone, &over_tcp.text());
    rig.take();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", "192.0.2.4:40000");
    assert_eq!(offer.flow, phone);
    assert_eq!(offer.all(Header::RecordRoute).len(), 2);
    rig.input(phone, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.4:40000;transport=tcp"));
    rig.find("200", ALICE);
}

#[test]
fn a_contact_of_a_closed_connection_is_dropped_when_it_fails_and_the_next_tried() {
    use c4_ref::machine::Machine;
    let mut rig = Rig::new(&open());
    let phone = tcp_flow(5, "192.0.2.4:40000");
    let over_tcp = register("bob", "192.0.2.4:40000", "<sip:bob@192.0.2.4:40000;transport=tcp>;q=0.9").over_tcp();
    rig.input(phone, &over_tcp.text());
    rig.registered("bob", BOB, ";q=0.1");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", "192.0.2.4:40000");
    rig.app.handle_transmit_failed(rig.now, offer.id, std::io::ErrorKind::NotConnected);
    rig.drain();
    if let Some((id, _)) = rig.connects.pop() {
        rig.app.handle_connect_done(rig.now, id, Err(std::io::ErrorKind::ConnectionRefused));
        rig.drain();
    }
    rig.find("INVITE", BOB);
    assert_eq!(rig.stats()["contacts"], 1);
}

#[test]
fn a_register_for_another_domain_is_404_even_when_open() {
    let mut rig = Rig::new(&open());
    let foreign = Req::new("REGISTER", "sip:example.com").ends("sip:x@example.com", "r", "sip:x@elsewhere.example", "");
    rig.udp(ALICE, &foreign.header("Contact", "<sip:x@192.0.2.1>").text());
    rig.find("404", ALICE);
    assert_eq!(rig.stats()["contacts"], 0);
}

#[test]
fn the_operator_sees_who_is_where() {
    use c4_ref::admin::Command;
    use c4_ref::machine::Machine;
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig.registered("carol", "192.0.2.3:5060", "");
    let list = |rig: &mut Rig, params: serde_json::Value| {
        let command = Command { method: "ul.list".into(), params };
        rig.app.handle_command(rig.now, &command).unwrap().unwrap()
    };
    assert_eq!(list(&mut rig, serde_json::Value::Null)["total"], 2);
    let one = list(&mut rig, serde_json::json!({ "aor": "sip:bob@example.com" }));
    assert_eq!((&one["total"], &one["contacts"][0]["contact"]), (&1.into(), &"sip:bob@192.0.2.2:5060".into()));
    let bare = list(&mut rig, serde_json::json!({ "aor": "bob@example.com" }));
    assert_eq!(bare["total"], 1);
    let unknown = Command { method: "nothing".into(), params: serde_json::Value::Null };
    assert!(rig.app.handle_command(rig.now, &unknown).is_none());
    rig.pass(ms(1));
}
