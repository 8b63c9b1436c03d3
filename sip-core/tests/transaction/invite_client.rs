//! RFC 3261 §17.1.1 and RFC 6026 §7.2, row by row.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Event, Gone};
use c4_sip_core::{Method, Response};
use std::io::ErrorKind;

#[test]
fn rfc3261_17_1_1_2_timer_a_doubles_until_timer_b() {
    let mut rig = Rig::new();
    let (id, first) = rig.request(Method::Invite, udp());
    let sent = rig.run(ms(31_999));
    assert_eq!(times(&sent), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(sent.iter().all(|again| again.text == first.text && again.id == first.id));
    assert!(rig.events().is_empty());
    assert!(rig.run(ms(32_000)).is_empty());
    let events = rig.events();
    assert!(matches!(&events[..], [Event::Timeout { id: a }, Event::ClientEnded { id: b }] if *a == id && *b == id));
    assert!(rig.layer.is_idle());
    assert_eq!((rig.layer.stats().timed_out, rig.layer.poll_timeout()), (1, None));
}

#[test]
fn rfc3261_17_1_1_2_a_reliable_transport_has_no_timer_a() {
    let mut rig = Rig::new();
    rig.request(Method::Invite, tcp(1));
    assert!(rig.run(ms(31_999)).is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
}

#[test]
fn rfc3261_17_1_1_2_a_provisional_response_stops_timers_a_and_b() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, udp());
    rig.run(ms(100));
    for status in [100, 180, 183] {
        rig.receive(udp(), answer(&invite.text, status));
    }
    assert_eq!(rig.statuses(), [100, 180, 183]);
    assert!(rig.run(ms(600_000)).is_empty());
    assert!(rig.events().is_empty());
    assert_eq!(rig.layer.stats().current, 1);
}

#[test]
fn rfc3261_17_1_1_3_the_ack_to_a_failure_is_the_layers() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 486));
    let events = rig.events();
    assert!(matches!(&events[..], [Event::Response { id: a, .. }] if *a == id));
    let sent = rig.sent();
    let ack = &sent[0];
    assert_eq!((sent.len(), ack.flow, ack.start_line()), (1, udp(), "ACK sip:a@192.0.2.1 SIP/2.0"));
    assert_eq!(ack.message().headers(Header::Via).count(), 1);
    for same in [Header::Via, Header::From, Header::CallId, Header::Route] {
        assert_eq!(ack.header(same), invite.header(same), "{same}");
    }
    assert_eq!(ack.header(Header::To), "<sip:a@example.com>;tag=far");
    assert_eq!(ack.header(Header::CSeq), "3 ACK");
    assert_eq!(ack.header(Header::ContentLength), "0");
}

#[test]
fn rfc3261_17_1_1_2_a_repeated_final_response_is_acknowledged_and_absorbed_until_timer_d() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 486));
    let (ack, statuses) = (rig.sent(), rig.statuses());
    assert_eq!(statuses, [486]);
    rig.run(ms(31_999));
    rig.receive(udp(), answer(&invite.text, 486));
    rig.receive(udp(), answer(&invite.text, 180));
    let again = rig.sent();
    assert_eq!((again.len(), &again[0].text), (1, &ack[0].text));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
    rig.receive(udp(), answer(&invite.text, 486));
    assert_eq!(rig.kinds(), ["StrayResponse"]);
    assert!(rig.sent().is_empty());
}

#[test]
fn rfc3261_17_1_1_2_timer_d_is_zero_over_streams() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, tcp(1));
    rig.receive(tcp(1), answer(&invite.text, 486));
    assert_eq!(rig.sent()[0].start_line(), "ACK sip:a@192.0.2.1 SIP/2.0");
    assert_eq!(rig.kinds(), ["Response", "ClientEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc6026_7_2_every_2xx_is_passed_on_until_timer_m() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 200));
    rig.run(ms(31_999));
    rig.receive(udp(), answer(&invite.text, 200));
    rig.receive(udp(), answer(&invite.text, 202));
    rig.receive(udp(), answer(&invite.text, 180));
    rig.receive(udp(), answer(&invite.text, 503));
    let of_id = |event: &Event| matches!(event, Event::Response { id: a, .. } if *a == id);
    let events = rig.events();
    assert_eq!((events.len(), events.iter().all(of_id)), (3, true));
    assert!(rig.sent().is_empty(), "the ACK to a 2xx is not the layer's");
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
    rig.receive(udp(), answer(&invite.text, 200));
    assert_eq!(rig.kinds(), ["StrayResponse"]);
}

#[test]
fn rfc6026_7_2_timer_m_runs_over_streams_too() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, tcp(1));
    rig.receive(tcp(1), answer(&invite.text, 200));
    rig.run(ms(31_999));
    assert_eq!(rig.kinds(), ["Response"]);
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
}

#[test]
fn rfc3261_18_1_2_our_via_is_popped_and_those_below_stay() {
    let mut rig = Rig::new();
    let mut request = outgoing(Method::Invite);
    request.push_via("SIP/2.0/UDP below.example;branch=z9hG4bKbelow").unwrap();
    rig.layer.request(rig.clock.now(), request, udp()).unwrap();
    let invite = rig.sent().remove(0);
    let ours = invite.header(Header::Via);
    assert!(ours.starts_with("SIP/2.0/UDP b.example:5060;rport;branch=z9hG4bK0005"), "{ours}");
    rig.receive(udp(), answer(&invite.text, 180));
    let events = rig.events();
    let Event::Response { response, flow, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(response.branch(), Some("z9hG4bKbelow"));
    assert_eq!((response.headers(Header::Via).count(), *flow), (1, udp()));
}

#[test]
fn rfc3261_17_1_4_a_transport_failure_ends_it() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.layer.handle_transmit_failed(rig.clock.now(), invite.id, ErrorKind::HostUnreachable);
    let events = rig.events();
    assert!(
        matches!(&events[..], [Event::TransportFailed { id: a }, Event::ClientEnded { id: b }] if *a == id && *b == id)
    );
    assert_eq!(rig.layer.cancel(rig.clock.now(), id, None), Err(Gone));
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_1_1_2_an_ack_that_cannot_be_sent_is_told() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 486));
    rig.layer.handle_transmit_failed(rig.clock.now(), invite.id, ErrorKind::HostUnreachable);
    assert_eq!(rig.kinds(), ["Response", "TransportFailed", "ClientEnded"]);
}

#[test]
fn rfc3261_17_1_3_a_response_matches_by_branch_and_cseq_method() {
    let mut rig = Rig::new();
    let (_, invite) = rig.request(Method::Invite, udp());
    let stray = |text: String| match parse(&text) {
        c4_sip_core::Checked::Response(response) => response,
        other => panic!("{other:?}"),
    };
    let good = String::from_utf8(answer(&invite.text, 200).to_bytes().to_vec()).unwrap();
    let other_method = stray(good.replace("3 INVITE", "3 BYE"));
    let branch = invite.header(Header::Via);
    let end = &branch[branch.len() - 4..];
    let forged: Response = stray(good.replace(end, "0000"));
    for response in [other_method, forged] {
        rig.receive(udp(), response);
        assert_eq!(rig.kinds(), ["StrayResponse"]);
    }
    assert_eq!(rig.layer.stats().stray_responses, 2);
    rig.receive(udp(), stray(good));
    assert_eq!(rig.kinds(), ["Response"]);
}
