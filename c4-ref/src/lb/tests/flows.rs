//! Responses on the flow of their request, and flows that are gone.

use super::*;
use sip_core::flow::Target;
use std::io::ErrorKind;

fn invite(rig: &mut Rig, flow: Flow) -> Sent {
    let via = format!("SIP/2.0/{} 198.51.100.7:40000;rport;branch=z9hG4bKa", flow.transport);
    rig.one(flow, &req("INVITE").via(via).text())
}

/// A request of a proxy to Bob's registration.
fn to_bob(path: &[String]) -> String {
    req("INVITE").uri("sip:bob@10.9.9.9").via(proxy_via("p")).routes(path).text()
}

#[test]
fn rfc3581_4_responses_over_udp_leave_from_the_socket_that_the_request_reached() {
    let mut rig = Rig::new(&config());
    let v6 = udp("[2001:db8::1]:5060", "[2001:db8::77]:9999");
    for flow in [outside(ALICE), v6] {
        let request = invite(&mut rig, flow);
        assert!(request.all("Via")[1].contains(&format!(";rport={}", flow.remote.port())));
        let back = rig.one(inside(&request.to()), &response(&request, 200));
        assert_eq!(back.flow, flow);
        assert_eq!(back.all("Via").len(), 1);
    }
}

#[test]
fn rfc3261_18_2_2_without_rport_the_response_goes_to_the_port_of_sent_by() {
    let mut rig = Rig::new(&config());
    let request = rig.one(outside(ALICE), &req("INVITE").via("SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1").text());
    let back = rig.one(inside(&request.to()), &response(&request, 180));
    assert_eq!(back.to(), "198.51.100.7:5070");
    let answer = rig.one(outside(ALICE), &req("BYE").tagged().via("SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK2").text());
    assert_eq!((answer.to(), answer.status()), ("198.51.100.7:5060".into(), StatusCode::NOT_FOUND));
}

#[test]
fn lesson_25_a_response_to_a_phone_takes_its_connection_or_none() {
    let mut rig = Rig::new(&config());
    let flow = tcp(ALICE, 11);
    let request = invite(&mut rig, flow);
    let other = tcp(ALICE, 12);
    rig.put(other, &req("OPTIONS").uri("sip:192.0.2.1").text());
    assert_eq!(rig.one(inside(&request.to()), &response(&request, 180)).flow, flow);
    rig.lb.handle_flow_closed(rig.now, flow);
    rig.none(inside(&request.to()), &response(&request, 200));
    assert_eq!((rig.count(Counter::LostResponses), rig.connects.len()), (1, 0));
}

#[test]
fn rfc3261_18_2_2_a_response_to_a_peer_opens_a_new_connection() {
    let peers = vec!["198.51.100.0/24".parse().unwrap()];
    let mut rig = Rig::new(&config::Lb { peers, ..config() });
    let flow = tcp(ALICE, 11);
    let request = rig.one(flow, &req("INVITE").via("SIP/2.0/TCP 198.51.100.7:5090;branch=z9hG4bK1").text());
    rig.lb.handle_flow_closed(rig.now, flow);
    rig.none(inside(&request.to()), &response(&request, 200));
    let (id, target) = rig.connects.pop_front().unwrap();
    assert_eq!(target, Target::new(Transport::Tcp, addr("198.51.100.7:5090")));
    let new = stream(Transport::Tcp, "192.0.2.1:33333", "198.51.100.7:5090", 12);
    rig.lb.handle_connect_done(rig.now, id, Ok(new));
    let sent = rig.drain();
    assert_eq!((sent[0].flow, sent[0].status()), (new, StatusCode::OK));
}

#[test]
fn a_response_that_failed_on_its_way_to_a_peer_is_tried_once_more_and_no_further() {
    let peers = vec!["198.51.100.0/24".parse().unwrap()];
    let mut rig = Rig::new(&config::Lb { peers, ..config() });
    let flow = tcp(ALICE, 11);
    let request = rig.one(flow, &req("INVITE").via("SIP/2.0/TCP 198.51.100.7:5090;branch=z9hG4bK1").text());
    let sent = rig.one(inside(&request.to()), &response(&request, 200));
    rig.lb.handle_transmit_failed(rig.now, sent.id, ErrorKind::NotConnected);
    assert!(rig.drain().is_empty());
    let (id, _) = rig.connects.pop_front().unwrap();
    rig.lb.handle_connect_done(rig.now, id, Err(ErrorKind::ConnectionRefused));
    assert!(rig.drain().is_empty() && rig.connects.is_empty());
    assert_eq!(rig.count(Counter::LostResponses), 1);
}

#[test]
fn rfc5626_5_3_1_a_dead_flow_is_430_at_once() {
    let mut rig = Rig::new(&config());
    let flow = tcp(BOB, 3);
    let path = register(&mut rig, flow);
    assert_eq!(rig.one(inside(PROXY), &to_bob(&path)).flow, flow);
    rig.lb.handle_flow_closed(rig.now, flow);
    let answer = rig.one(inside(PROXY), &to_bob(&path));
    assert_eq!((answer.status(), answer.to()), (StatusCode::FLOW_FAILED, PROXY.to_owned()));
    let ack = to_bob(&path).replace("INVITE", "ACK");
    rig.none(inside(PROXY), &ack);
}

#[test]
fn a_flow_of_another_worker_is_tried_and_430_when_it_is_gone() {
    let mut rig = Rig::new(&config());
    // What another worker of this boot has signed.
    let mut other = {
        let config = config();
        let setup = Setup {
            config: &config,
            keys: keys(),
            health: Health::new(2),
            worker: 1,
            epoch: 7,
            seed: [9; 32],
            unix: UNIX,
        };
        Rig { lb: Lb::new(setup, rig.now), now: rig.now, health: Health::new(2), connects: VecDeque::new() }
    };
    let flow = tcp(BOB, ConnectionId::of_worker(1, 5).0);
    let path = register(&mut other, flow);
    let sent = rig.one(inside(PROXY), &to_bob(&path));
    assert_eq!(sent.flow, flow);
    rig.lb.handle_transmit_failed(rig.now, sent.id, ErrorKind::NotConnected);
    let answer = rig.drain().remove(0);
    assert_eq!((answer.status(), answer.to()), (StatusCode::FLOW_FAILED, PROXY.to_owned()));
    assert_eq!(answer.all("Via").len(), 1);
    // An ACK has no answer; an old or foreign id means nothing.
    let sent = rig.one(inside(PROXY), &to_bob(&path).replace("INVITE", "ACK"));
    rig.lb.handle_transmit_failed(rig.now, sent.id, ErrorKind::NotConnected);
    rig.lb.handle_transmit_failed(rig.now, sent.id, ErrorKind::NotConnected);
    assert!(rig.drain().is_empty());
}

#[test]
fn rfc5626_5_3_a_tampered_token_from_inside_is_403() {
    let mut rig = Rig::new(&config());
    let mut path = register(&mut rig, outside(BOB));
    path[1] = path[1].replace("<sip:", "<sip:A");
    assert_eq!(rig.one(inside(PROXY), &to_bob(&path)).status(), StatusCode::FORBIDDEN);
}

#[test]
fn a_proxy_behind_tcp_is_connected_to_once_and_reached_by_all() {
    let mut rig = Rig::new(&config::Lb { backends: vec!["tcp:10.0.0.2:5060".parse().unwrap()], ..config() });
    rig.none(outside(ALICE), &req("INVITE").text());
    rig.none(outside(ALICE), &req("INVITE").call("second").text());
    let (id, target) = rig.connects.pop_front().unwrap();
    assert!(rig.connects.is_empty());
    assert_eq!(target, Target::new(Transport::Tcp, addr(PROXY)));
    let flow = stream(Transport::Tcp, "10.0.0.1:33333", PROXY, 20);
    rig.lb.handle_connect_done(rig.now, id, Ok(flow));
    let sent = rig.drain();
    assert_eq!(sent.iter().map(|s| s.flow).collect::<Vec<_>>(), [flow, flow]);
    assert!(sent[0].one("Via").unwrap().starts_with("SIP/2.0/TCP 10.0.0.1:5080;"));
    // What comes on that connection is from inside: responses, and requests by token.
    assert_eq!(rig.one(flow, &response(&sent[0], 200)).to(), ALICE);
    let bye = req("BYE").tagged().routes(sent[0].all("Record-Route")).via("SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKx");
    assert_eq!(rig.one(flow, &bye.text()).to(), ALICE);
    // And in the dialog the caller comes back over it.
    let mut routes = sent[0].all("Record-Route");
    routes.reverse();
    assert_eq!(rig.one(outside(ALICE), &req("BYE").tagged().routes(routes).text()).flow, flow);
}

#[test]
fn a_proxy_that_refuses_the_connection_is_503_to_the_caller() {
    let mut rig = Rig::new(&config::Lb { backends: vec!["tcp:10.0.0.2:5060".parse().unwrap()], ..config() });
    rig.none(outside(ALICE), &req("INVITE").text());
    let (id, _) = rig.connects.pop_front().unwrap();
    rig.lb.handle_connect_done(rig.now, id, Err(ErrorKind::ConnectionRefused));
    let answer = rig.drain().remove(0);
    assert_eq!((answer.status(), answer.to()), (StatusCode::SERVICE_UNAVAILABLE, ALICE.to_owned()));
}

#[test]
fn a_trunk_is_reached_by_its_address_and_comes_back_to_its_proxy() {
    let mut rig = Rig::new(&config());
    let call = req("INVITE").uri("sip:+491@203.0.113.80:5090").via(proxy_via("t"));
    let sent = rig.one(inside(PROXY), &call.text());
    assert_eq!((sent.to(), sent.flow.local), ("203.0.113.80:5090".into(), addr(PUBLIC)));
    assert_eq!(sent.uris("Record-Route").len(), 2);
    let trunk = outside("203.0.113.80:5090");
    let bye = rig.one(trunk, &req("BYE").tagged().routes(sent.all("Record-Route")).text());
    assert_eq!(bye.to(), PROXY);
    assert_eq!(rig.one(trunk, &response(&sent, 200)).to(), PROXY);
}

#[test]
fn a_trunk_over_tcp_is_connected_to_again_when_its_connection_is_gone() {
    let mut rig = Rig::new(&config());
    let call = req("INVITE").uri("sip:+491@203.0.113.80;transport=tcp").via(proxy_via("t"));
    rig.none(inside(PROXY), &call.text());
    let (id, target) = rig.connects.pop_front().unwrap();
    let flow = stream(Transport::Tcp, "192.0.2.1:33334", "203.0.113.80:5060", 21);
    rig.lb.handle_connect_done(rig.now, id, Ok(flow));
    let sent = rig.drain().remove(0);
    assert_eq!(sent.flow, flow);
    assert_eq!(rig.one(flow, &response(&sent, 200)).to(), PROXY);
    rig.lb.handle_flow_closed(rig.now, flow);
    let mut routes = sent.all("Record-Route");
    routes.reverse();
    rig.none(inside(PROXY), &req("BYE").tagged().routes(routes).via(proxy_via("u")).text());
    assert_eq!(rig.connects.pop_front().unwrap().1, target);
}

#[test]
fn a_proxy_cannot_send_to_names_to_ourselves_or_to_nobody() {
    let mut rig = Rig::new(&config());
    for uri in ["sip:x@example.com", "sip:x@192.0.2.1", "sip:x@0.0.0.0", "sip:x@255.255.255.255", "sip:x@224.0.1.75"] {
        let answer = rig.one(inside(PROXY), &req("INVITE").uri(uri).via(proxy_via("n")).text());
        assert_eq!((answer.status(), answer.to()), (StatusCode::SERVICE_UNAVAILABLE, PROXY.into()), "{uri}");
    }
}
