//! Connections: asked for, had, refused, lost; and the transport of big requests.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Busy, ConnectId, Event, MtuRule};
use c4_sip_core::{Method, StatusCode, Target, Transport};
use std::io::ErrorKind;

/// The one event is a request to connect.
fn connect(rig: &mut Rig) -> (ConnectId, Target) {
    match rig.events().as_slice() {
        [Event::Connect { id, target }] => (*id, target.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_to_a_stream_target_waits_for_its_connection() {
    let mut rig = Rig::new();
    rig.layer.request(rig.clock.now(), outgoing(Method::Options), tcp_target()).unwrap();
    let (id, target) = connect(&mut rig);
    assert_eq!(target, tcp_target());
    assert!(rig.run(ms(5_000)).is_empty());
    rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(4)));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].flow), (1, tcp(4)));
    assert!(sent[0].header(Header::Via).starts_with("SIP/2.0/TCP b.example:5060;"));
    rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(5)));
    rig.layer.handle_connect_done(rig.clock.now(), id, Err(ErrorKind::TimedOut));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(5));
    assert!(rig.sent().is_empty() && rig.events().is_empty(), "one answer counts");
    rig.receive(tcp(4), answer(&sent[0].text, 200));
    assert_eq!(rig.kinds(), ["Response", "ClientEnded"]);
}

#[test]
fn rfc3261_17_1_4_no_connection_is_a_transport_failure() {
    for method in [Method::Invite, Method::Options] {
        let mut rig = Rig::new();
        rig.layer.request(rig.clock.now(), outgoing(method), tcp_target()).unwrap();
        let (id, _) = connect(&mut rig);
        rig.layer.handle_connect_done(rig.clock.now(), id, Err(ErrorKind::ConnectionRefused));
        assert_eq!(rig.kinds(), ["TransportFailed", "ClientEnded"]);
        assert!(rig.layer.is_idle());
    }
}

#[test]
fn timers_b_and_f_run_while_connecting() {
    for method in [Method::Invite, Method::Options] {
        let mut rig = Rig::new();
        rig.layer.request(rig.clock.now(), outgoing(method), tcp_target()).unwrap();
        let (id, _) = connect(&mut rig);
        rig.run(ms(32_000));
        assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
        rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(1)));
        assert!(rig.sent().is_empty() && rig.layer.is_idle());
    }
}

#[test]
fn octets_that_wait_for_connections_are_bounded() {
    let mut rig = Rig::with(|config| config.max_connecting = 2000);
    let mut taken = Vec::new();
    while rig.layer.request(rig.clock.now(), outgoing(Method::Options), tcp_target()).is_ok() {
        taken.push(connect(&mut rig).0);
    }
    assert!((2..10).contains(&taken.len()), "{}", taken.len());
    assert_eq!(rig.layer.stats().busy, 1);
    assert_eq!(rig.layer.send(rig.clock.now(), outgoing(Method::Ack), tcp_target()), Err(Busy));
    rig.request(Method::Options, udp());
    rig.layer.handle_connect_done(rig.clock.now(), taken[0], Ok(tcp(1)));
    rig.layer.request(rig.clock.now(), outgoing(Method::Options), tcp_target()).unwrap();
    rig.run(ms(100_000));
    assert!(rig.events().len() > 4 && rig.layer.is_idle());
}

#[test]
fn an_ack_to_a_2xx_goes_out_with_a_via_of_ours_and_leaves_nothing() {
    let mut rig = Rig::new();
    rig.layer.send(rig.clock.now(), outgoing(Method::Ack), udp()).unwrap();
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].flow), (1, udp()));
    let via = sent[0].header(Header::Via);
    assert!(via.starts_with("SIP/2.0/UDP b.example:5060;rport;branch=z9hG4bK0005"));
    rig.layer.send(rig.clock.now(), outgoing(Method::Ack), udp()).unwrap();
    assert_ne!(rig.sent()[0].header(Header::Via), via, "branches are unique");
    assert!(rig.layer.is_idle() && rig.layer.poll_timeout().is_none());
}

#[test]
fn an_ack_to_a_stream_target_waits_at_most_64_t1() {
    let mut rig = Rig::new();
    rig.layer.send(rig.clock.now(), outgoing(Method::Ack), tcp_target()).unwrap();
    let (id, _) = connect(&mut rig);
    rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(4)));
    assert_eq!(rig.sent()[0].flow, tcp(4));
    assert!(rig.layer.is_idle());
    rig.layer.send(rig.clock.now(), outgoing(Method::Ack), tcp_target()).unwrap();
    connect(&mut rig);
    rig.run(ms(32_000));
    assert!(rig.layer.is_idle());
}

#[test]
fn a_lost_connection_fails_what_waits_on_it_and_nothing_else() {
    let mut rig = Rig::new();
    rig.request(Method::Invite, tcp(1));
    rig.request(Method::Options, tcp(1));
    let (other, _) = rig.request(Method::Options, tcp(2));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    assert_eq!(rig.kinds(), ["TransportFailed", "ClientEnded", "TransportFailed", "ClientEnded"]);
    assert_eq!(rig.layer.stats().current, 1);
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(2));
    let events = rig.events();
    assert!(matches!(&events[..], [Event::TransportFailed { id }, _] if *id == other));
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_18_2_2_a_peer_that_answered_provisionally_may_come_back() {
    let mut rig = Rig::new();
    rig.layer.request(rig.clock.now(), outgoing(Method::Invite), tcp_target()).unwrap();
    let (id, _) = connect(&mut rig);
    rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(1)));
    let invite = rig.sent().remove(0);
    rig.receive(tcp(1), answer(&invite.text, 180));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    rig.receive(tcp(2), answer(&invite.text, 200));
    assert_eq!(rig.statuses(), [180, 200]);
    // A phone is bound to its flow.
    let (_, invite) = rig.request(Method::Invite, tcp(3));
    rig.receive(tcp(3), answer(&invite.text, 180));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(3));
    assert_eq!(rig.kinds(), ["Response", "TransportFailed", "ClientEnded"]);
}

fn stream(method: &str) -> String {
    incoming(method, Transport::Tcp, "192.0.2.1:5070;branch=z9hG4bKpeer")
}

#[test]
fn rfc3261_18_2_2_a_response_goes_over_a_new_connection_to_a_peer() {
    let mut rig = Rig::with(|config| config.reply_connect = true);
    let (id, request) = rig.arrives(tcp(1), &stream("OPTIONS"));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    assert!(rig.events().is_empty());
    rig.respond(id, &request, 200);
    assert!(rig.sent().is_empty());
    let (connect, target) = connect(&mut rig);
    assert_eq!(target, Target::new(Transport::Tcp, addr("192.0.2.1:5070")));
    rig.layer.handle_connect_done(rig.clock.now(), connect, Ok(tcp(2)));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].flow, sent[0].start_line()), (1, tcp(2), "SIP/2.0 200 OK"));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_18_2_2_the_latest_response_waits_for_the_new_connection() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &stream("INVITE"));
    rig.layer.set_reply_connect(id, true).unwrap();
    rig.respond(id, &request, 180);
    let ringing = rig.sent().remove(0);
    rig.layer.handle_transmit_failed(rig.clock.now(), ringing.id, ErrorKind::BrokenPipe);
    let (connect, _) = connect(&mut rig);
    rig.respond(id, &request, 200);
    rig.layer.handle_connect_done(rig.clock.now(), connect, Ok(tcp(2)));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].flow, sent[0].start_line()), (1, tcp(2), "SIP/2.0 200 OK"));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(2));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
}

#[test]
fn a_new_connection_that_cannot_be_made_is_told() {
    let mut rig = Rig::with(|config| config.reply_connect = true);
    let (id, request) = rig.arrives(tcp(1), &stream("OPTIONS"));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    rig.respond(id, &request, 200);
    let (connect, _) = connect(&mut rig);
    rig.layer.handle_connect_done(rig.clock.now(), connect, Err(ErrorKind::TimedOut));
    assert_eq!(rig.kinds(), ["ServerFailed", "ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn field_lesson_25_a_phones_dead_flow_fails_and_no_other_way_is_tried() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &stream("INVITE"));
    rig.layer.handle_flow_closed(rig.clock.now(), tcp(1));
    assert_eq!(rig.kinds(), ["ServerFailed"]);
    rig.respond(id, &request, 487);
    assert!(rig.run(ms(31_000)).is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerFailed", "ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn a_stray_response_can_be_sent_without_state() {
    let mut rig = Rig::new();
    let c4_sip_core::Checked::Request(request) = parse(&stream("OPTIONS")) else { panic!() };
    rig.layer.send(rig.clock.now(), request.response(StatusCode::SERVICE_UNAVAILABLE), tcp(1)).unwrap();
    let sent = rig.sent();
    assert_eq!(sent[0].start_line(), "SIP/2.0 503 Service Unavailable");
    assert_eq!((rig.layer.stats().completed_5xx, rig.layer.is_idle()), (1, true));
}

fn big() -> c4_sip_core::Request {
    let mut request = outgoing(Method::Invite);
    request.set_body(Some("text/plain"), vec![b'x'; 1200]).unwrap();
    request
}

fn udp_target() -> Target {
    Target::new(Transport::Udp, addr("192.0.2.1:5060"))
}

#[test]
fn rfc3261_18_1_1_a_request_too_big_for_a_datagram_goes_over_tcp() {
    let mut rig = Rig::with(|config| config.mtu = MtuRule::TcpAbove(1300));
    rig.layer.request(rig.clock.now(), big(), udp_target()).unwrap();
    let (id, target) = connect(&mut rig);
    assert_eq!(target, tcp_target());
    rig.layer.handle_connect_done(rig.clock.now(), id, Ok(tcp(1)));
    let sent = rig.sent();
    assert!(sent[0].text.len() > 1300 && sent[0].header(Header::Via).starts_with("SIP/2.0/TCP "));
    assert_eq!(sent[0].message().body().len(), 1200);
    rig.request(Method::Invite, udp_target());
}

#[test]
fn rfc3261_18_1_1_without_a_connection_it_goes_over_udp_after_all() {
    let mut rig = Rig::with(|config| config.mtu = MtuRule::TcpAbove(1300));
    rig.layer.request(rig.clock.now(), big(), udp_target()).unwrap();
    let (id, _) = connect(&mut rig);
    rig.layer.handle_connect_done(rig.clock.now(), id, Err(ErrorKind::ConnectionRefused));
    let sent = rig.run(ms(600));
    assert_eq!((times(&sent), sent[0].flow), (vec![0, 500], udp()));
    assert!(sent[0].header(Header::Via).starts_with("SIP/2.0/UDP b.example:5060;rport;branch=z9hG4bK0005"));
    rig.receive(udp(), answer(&sent[0].text, 200));
    assert_eq!(rig.statuses(), [200]);
}

#[test]
fn the_mtu_rule_is_off_unless_asked_for_and_never_moves_a_flow() {
    let mut rig = Rig::new();
    rig.layer.request(rig.clock.now(), big(), udp_target()).unwrap();
    assert!(rig.sent()[0].text.len() > 1300);
    let mut rig = Rig::with(|config| config.mtu = MtuRule::TcpAbove(1300));
    rig.layer.request(rig.clock.now(), big(), udp()).unwrap();
    assert_eq!(rig.sent()[0].flow, udp());
}
