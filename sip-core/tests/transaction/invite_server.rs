//! RFC 3261 §17.2.1 and RFC 6026 §7.1, row by row.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Event, Gone};
use c4_sip_core::{StatusCode, Transport};
use std::io::ErrorKind;

fn invite() -> String {
    incoming("INVITE", Transport::Udp, VIA)
}

fn ack() -> String {
    incoming("ACK", Transport::Udp, VIA)
}

fn stream(method: &str) -> String {
    incoming(method, Transport::Tcp, VIA)
}

#[test]
fn rfc3261_17_2_1_100_after_200_ms_of_silence() {
    let mut rig = Rig::with(|config| config.server = Some("c4".into()));
    let (id, request) = rig.arrives(udp(), &invite());
    assert_eq!(rig.run(ms(199)).len(), 0);
    rig.receive(udp(), parse(&invite()));
    assert!(rig.sent().is_empty(), "nothing to repeat yet");
    let sent = rig.run(ms(200));
    assert_eq!((sent.len(), sent[0].start_line()), (1, "SIP/2.0 100 Trying"));
    assert_eq!(
        sent[0].header(Header::Via),
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer;received=192.0.2.1;rport=5060"
    );
    assert_eq!(sent[0].header(Header::To), "<sip:b@example.com>", "a 100 has no tag");
    assert_eq!((sent[0].header(Header::Timestamp), sent[0].header(Header::Server)), ("54".into(), "c4".into()));
    rig.receive(udp(), parse(&invite()));
    assert_eq!(rig.sent()[0].text, sent[0].text);
    assert!(rig.run(ms(60_000)).is_empty());
    rig.respond(id, &request, 200);
    assert_eq!(rig.layer.stats().rpl_generated, 1);
}

#[test]
fn rfc3261_17_2_1_no_100_when_the_user_answers_in_time() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 180);
    assert_eq!(times(&rig.run(ms(10_000))), [0]);
}

#[test]
fn rfc3261_17_2_1_a_retransmission_gets_the_last_provisional_response() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 180);
    rig.respond(id, &request, 183);
    rig.sent();
    rig.receive(udp(), parse(&invite()));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].start_line()), (1, "SIP/2.0 183 Session Progress"));
    assert!(rig.events().is_empty());
    assert_eq!((rig.layer.stats().absorbed, rig.layer.stats().retransmitted), (1, 1));
}

#[test]
fn rfc3261_17_2_1_timer_g_repeats_a_failure_until_timer_h() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 486);
    let sent = rig.run(ms(31_999));
    assert_eq!(times(&sent), [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert!(sent.iter().all(|again| again.text == sent[0].text));
    rig.run(ms(32_000));
    let events = rig.events();
    assert!(
        matches!(&events[..], [Event::ServerFailed { id: a }, Event::ServerEnded { id: b }] if *a == id && *b == id)
    );
    assert_eq!(rig.layer.stats().unacknowledged, 1);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_2_1_a_retransmission_in_completed_gets_the_final_response() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 486);
    rig.sent();
    rig.receive(udp(), parse(&invite()));
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 486 Busy Here");
    let late = request.response(StatusCode::OK);
    assert_eq!(rig.layer.respond(rig.clock.now(), id, late), Err(Gone));
}

#[test]
fn rfc3261_17_2_1_the_ack_confirms_and_timer_i_ends() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 486);
    rig.run(ms(100));
    rig.receive(udp(), parse(&ack()));
    rig.receive(udp(), parse(&ack()));
    rig.receive(udp(), parse(&invite()));
    assert!(rig.run(ms(5_099)).is_empty());
    assert!(rig.events().is_empty());
    rig.run(ms(5_100));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_2_1_over_streams_no_timer_g_and_timer_i_is_zero() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &stream("INVITE"));
    rig.respond(id, &request, 486);
    assert_eq!(times(&rig.run(ms(31_000))), [0]);
    rig.receive(tcp(1), parse(&stream("ACK")));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_2_1_timer_h_runs_over_streams_too() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &stream("INVITE"));
    rig.respond(id, &request, 486);
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerFailed", "ServerEnded"]);
}

#[test]
fn rfc6026_7_1_accepted_absorbs_the_invite_and_passes_2xx_and_ack_until_timer_l() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 200);
    assert_eq!(times(&rig.run(ms(20_000))), [0], "a 2xx is not repeated by the layer");
    rig.receive(udp(), parse(&invite()));
    assert!(rig.sent().is_empty() && rig.events().is_empty());
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
    rig.receive(udp(), parse(&ack()));
    assert_eq!(rig.kinds(), ["Ack"]);
    let failure = request.response(StatusCode::BUSY_HERE);
    assert_eq!(rig.layer.respond(rig.clock.now(), id, failure), Err(Gone));
    rig.run(ms(31_999));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_13_3_1_4_the_ack_to_a_2xx_has_a_branch_of_its_own() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 200);
    let other = VIA.replace("peer", "another");
    rig.receive(udp(), parse(&incoming("ACK", Transport::Udp, &other)));
    let events = rig.events();
    let [Event::Ack { request, flow }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((request.to_tag(), *flow), (Some("ours"), udp()));
}

#[test]
fn an_ack_before_any_final_response_is_absorbed() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.receive(udp(), parse(&ack()));
    assert!(rig.events().is_empty());
    rig.respond(id, &request, 404);
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn rfc6026_7_1_a_transport_error_is_told_once_and_the_state_stays() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 180);
    let sent = rig.sent();
    rig.layer.handle_transmit_failed(rig.clock.now(), sent[0].id, ErrorKind::HostUnreachable);
    rig.layer.handle_transmit_failed(rig.clock.now(), sent[0].id, ErrorKind::HostUnreachable);
    assert_eq!(rig.kinds(), ["ServerFailed"]);
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
}

#[test]
fn a_stateless_answer_leaves_nothing_behind() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    let mut response = request.response(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    response.set_to_tag("x").unwrap();
    rig.layer.respond_stateless(rig.clock.now(), id, response.clone()).unwrap();
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 407 Proxy Authentication Required");
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle() && rig.layer.poll_timeout().is_none());
    assert_eq!(rig.layer.respond_stateless(rig.clock.now(), id, response), Err(Gone));
    rig.receive(udp(), parse(&ack()));
    assert_eq!(rig.kinds(), ["Ack"]);
}
