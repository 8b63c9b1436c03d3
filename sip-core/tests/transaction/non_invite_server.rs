//! RFC 3261 §17.2.2 and RFC 4320, row by row.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Event, Gone};
use c4_sip_core::{StatusCode, Transport};
use std::io::ErrorKind;

fn options() -> String {
    incoming("OPTIONS", Transport::Udp, VIA)
}

#[test]
fn rfc3261_17_2_2_retransmissions_are_absorbed_then_answered_until_timer_j() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    rig.receive(udp(), parse(&options()));
    assert!(rig.sent().is_empty() && rig.events().is_empty());
    rig.respond(id, &request, 200);
    let first = rig.sent();
    rig.run(ms(31_999));
    rig.receive(udp(), parse(&options()));
    let again = rig.sent();
    assert_eq!((first.len(), again.len(), &again[0].text), (1, 1, &first[0].text));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
    assert_eq!(rig.layer.stats().rpl_sent, 1);
}

#[test]
fn rfc3261_17_2_2_timer_j_is_zero_over_streams() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &incoming("OPTIONS", Transport::Tcp, VIA));
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent().len(), 1);
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_2_2_a_second_final_response_is_refused() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    rig.respond(id, &request, 200);
    assert_eq!(rig.layer.respond(rig.clock.now(), id, request.response(StatusCode::NOT_FOUND)), Err(Gone));
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn rfc4320_4_1_a_100_is_sent_when_timer_e_has_reached_t2_and_not_before() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    rig.respond(id, &request, 100);
    assert!(rig.run(ms(3_499)).is_empty());
    let sent = rig.run(ms(3_500));
    assert_eq!((sent.len(), sent[0].start_line()), (1, "SIP/2.0 100 Trying"));
    rig.receive(udp(), parse(&options()));
    assert_eq!(rig.sent()[0].text, sent[0].text);
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
}

#[test]
fn rfc4320_4_1_over_streams_a_100_may_go_at_once() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &incoming("OPTIONS", Transport::Tcp, VIA));
    rig.respond(id, &request, 100);
    assert_eq!(times(&rig.run(ms(10_000))), [0]);
}

#[test]
fn rfc4320_4_1_no_other_provisional_response() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(tcp(1), &incoming("OPTIONS", Transport::Tcp, VIA));
    rig.respond(id, &request, 180);
    assert!(rig.sent().is_empty());
}

#[test]
fn rfc4320_4_2_no_408() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    rig.respond(id, &request, 408);
    rig.receive(udp(), parse(&options()));
    assert!(rig.run(ms(31_999)).is_empty());
    assert!(rig.events().is_empty(), "retransmissions are still absorbed");
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert_eq!((rig.layer.stats().rpl_sent, rig.layer.stats().completed_4xx), (0, 0));
}

#[test]
fn rfc4320_4_2_without_any_answer_it_ends_long_after_its_client() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    assert_eq!(times(&rig.run(ms(63_999))), [3_500]);
    assert!(rig.events().is_empty());
    rig.run(ms(64_000));
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    assert_eq!(rig.layer.respond(rig.clock.now(), id, request.response(StatusCode::OK)), Err(Gone));
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_2_4_a_transport_error_is_told() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &options());
    rig.respond(id, &request, 200);
    let sent = rig.sent();
    rig.layer.handle_transmit_failed(rig.clock.now(), sent[0].id, ErrorKind::HostUnreachable);
    let events = rig.events();
    assert!(matches!(&events[..], [Event::ServerFailed { id: a }] if *a == id));
}

#[test]
fn rfc3581_4_the_response_goes_where_the_request_came_from() {
    let mut rig = Rig::new();
    let mut nat = udp();
    nat.remote = addr("203.0.113.7:31000");
    let (id, request) = rig.arrives(nat, &options());
    assert_eq!(
        request.header(Header::Via),
        Some(&b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer;received=203.0.113.7;rport=31000"[..])
    );
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent()[0].flow, nat);
}

#[test]
fn rfc3261_18_2_2_without_rport_it_goes_to_the_port_of_sent_by() {
    let mut rig = Rig::new();
    let mut from = udp();
    from.remote = addr("203.0.113.7:31000");
    let text = incoming("OPTIONS", Transport::Udp, "a.example:5070;branch=z9hG4bKx");
    let (id, request) = rig.arrives(from, &text);
    rig.respond(id, &request, 200);
    assert_eq!(rig.sent()[0].flow.remote, addr("203.0.113.7:5070"));
}
