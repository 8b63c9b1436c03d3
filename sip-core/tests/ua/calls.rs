//! Calls that go well, and the callee's 2xx.
use std::time::Duration;

use c4_sip_core::flow::{Target, Transport};
use c4_sip_core::header::Header;
use c4_sip_core::ua::{Body, EndCause, Event, Extra, Refused};
use c4_sip_core::{Method, StatusCode};

use testkit::Link;

use crate::world::World;

#[test]
fn rfc3261_13_a_call_that_the_caller_ends() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    assert!(world.saw(0, |event| matches!(event, Event::Progress { dialog: Some(_), .. })));
    assert!(world.is_confirmed(0, caller) && world.is_confirmed(1, callee));
    world.hangup(0, caller);
    world.run(Duration::from_millis(100));
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
    assert!(matches!(world.ended(1, callee), Some(EndCause::RemoteBye(_))));
    let alice = world.address(0);
    assert_eq!(world.labels_from(alice), ["INVITE", "ACK", "BYE"]);
    world.run_out();
}

#[test]
fn rfc3261_15_a_call_that_the_callee_ends() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    world.hangup(1, callee);
    world.run(Duration::from_millis(100));
    assert!(matches!(world.ended(0, caller), Some(EndCause::RemoteBye(_))));
    assert!(matches!(world.ended(1, callee), Some(EndCause::LocalBye)));
    world.run_out();
}

#[test]
fn rfc3261_12_2_1_1_requests_of_a_dialog_swap_tags_and_count_up() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    world.hangup(1, callee);
    world.run(Duration::from_millis(100));
    let (invite, ack, bye) = (world.last_request("INVITE"), world.last_request("ACK"), world.last_request("BYE"));
    assert_eq!((ack.cseq().seq, ack.from_tag(), ack.call_id()), (1, invite.from_tag(), invite.call_id()));
    assert_eq!((bye.from_tag(), bye.to_tag()), (ack.to_tag(), invite.from_tag()));
    assert_eq!(bye.uri(), "sip:alice@192.0.2.1:5060", "the caller's Contact");
    assert_eq!(bye.from().uri, "sip:bob@example.com");
    assert_eq!(bye.to().display_name().as_deref(), Some("Alice"));
    let _ = caller;
}

#[test]
fn rfc3261_13_3_1_4_the_2xx_comes_again_until_the_ack_at_t1_doubling_to_t2() {
    let mut world = World::pair();
    let caller = world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.filter = Box::new(|sent| sent.label() != "ACK");
    world.answer(1, callee);
    world.run(Duration::from_secs(40));
    let first = world.sent.iter().find(|sent| sent.label() == "200 INVITE").unwrap().at;
    let times: Vec<u128> =
        world.sent.iter().filter(|s| s.label() == "200 INVITE").map(|s| (s.at - first).as_millis()).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(world.count("ACK"), times.len(), "RFC 3261 §13.2.2.4: each gets its ACK");
    // 64*T1 without ACK: BYE.
    assert!(matches!(world.ended(1, callee), Some(EndCause::NoAck)));
    assert!(matches!(world.ended(0, caller), Some(EndCause::RemoteBye(_))));
    world.filter = Box::new(|_| true);
    world.run_out();
}

#[test]
fn rfc3261_13_3_1_4_the_2xx_comes_again_over_tcp_too() {
    let mut world = World::pair();
    let to = world.address(1);
    world.call_to(0, to, |mut invite| {
        invite.destination = Target::new(Transport::Tcp, to).into();
        invite
    });
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    // A proxy in between may have lost it: the ACK is held back by making the latency longer than T1.
    world.network.set_default(Link::ideal(Duration::from_millis(400)));
    world.answer(1, callee);
    world.run(Duration::from_secs(2));
    assert_eq!(world.count("200 INVITE"), 2);
    assert!(world.saw(1, |event| matches!(event, Event::Confirmed { .. })));
}

#[test]
fn rfc3261_15_the_callee_hangs_up_after_the_ack_and_not_before() {
    let mut world = World::pair();
    let caller = world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.answer(1, callee);
    world.hangup(1, callee);
    assert_eq!(world.count("BYE"), 0);
    world.run(Duration::from_millis(200));
    let labels = world.labels();
    let at = |label: &str| labels.iter().position(|other| other == label).unwrap();
    assert!(at("ACK") < at("BYE"), "{labels:?}");
    assert!(matches!(world.ended(1, callee), Some(EndCause::LocalBye)));
    assert!(matches!(world.ended(0, caller), Some(EndCause::RemoteBye(_))));
    world.run_out();
}

#[test]
fn rfc3261_13_3_1_1_a_provisional_response_is_repeated_each_minute() {
    let mut world = World::pair();
    world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.ring(1, callee);
    world.run(Duration::from_secs(150));
    assert_eq!(world.count("180 INVITE"), 3);
    world.with(1, |now, ua, layer| ua.reject(now, layer, callee, StatusCode::DECLINE, &Extra::default())).unwrap();
    world.run_out();
    assert_eq!(world.count("180 INVITE"), 3);
}

#[test]
fn rfc3261_8_1_3_4_a_refusal_ends_the_session_with_its_status() {
    let mut world = World::pair();
    let caller = world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.with(1, |now, ua, layer| ua.reject(now, layer, callee, StatusCode::BUSY_HERE, &Extra::default())).unwrap();
    world.run(Duration::from_millis(100));
    let Some(EndCause::Refused(response)) = world.ended(0, caller) else { panic!("refused") };
    assert_eq!(response.status(), StatusCode::BUSY_HERE);
    assert!(matches!(world.ended(1, callee), Some(EndCause::Rejected(StatusCode::BUSY_HERE))));
    world.run_out();
}

#[test]
fn rfc3261_8_1_3_1_silence_is_a_timeout_and_no_way_a_transport_failure() {
    let mut world = World::pair();
    world.filter = Box::new(|_| false);
    let caller = world.call(0, 1);
    world.run(Duration::from_secs(33));
    assert!(matches!(world.ended(0, caller), Some(EndCause::Timeout)));
    world.run_out();
}

#[test]
fn offer_and_answer_travel_in_the_bodies() {
    let mut world = World::pair();
    let to = world.address(1);
    let body = |text: &str| Body { content_type: "application/sdp".into(), content: text.to_owned().into() };
    world.call_to(0, to, |mut invite| {
        invite.extra = Extra { headers: vec![("Subject".into(), "x".into())], body: Some(body("v=0 offer")) };
        invite
    });
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    let extra = Extra { headers: Vec::new(), body: Some(body("v=0 answer")) };
    world.with(1, |now, ua, layer| ua.answer(now, layer, callee, &extra)).unwrap();
    world.run(Duration::from_millis(100));
    let invite = world.last_request("INVITE");
    assert_eq!((invite.body(), invite.header_str(Header::Subject)), (&b"v=0 offer"[..], Some("x")));
    assert!(invite.header_str(Header::Allow).unwrap().contains("BYE"));
    let answer = world.agents[0].events.iter().find_map(|event| match event {
        Event::Answered { response, .. } => Some(response.body().to_vec()),
        _ => None,
    });
    assert_eq!(answer.as_deref(), Some(&b"v=0 answer"[..]));
}

#[test]
fn commands_to_a_session_in_another_state_are_refused_and_change_nothing() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    let extra = Extra::default();
    let ring = world.with(1, |now, ua, layer| ua.ring(now, layer, callee, StatusCode::RINGING, &extra));
    assert_eq!(ring, Err(Refused::State));
    assert_eq!(world.with(1, |now, ua, layer| ua.answer(now, layer, callee, &extra)), Err(Refused::State));
    assert_eq!(world.with(0, |now, ua, layer| ua.answer(now, layer, caller, &extra)), Err(Refused::State));
    assert_eq!(
        world.with(0, |now, ua, layer| ua.request(now, layer, caller, Method::Bye, &extra)),
        Err(Refused::State)
    );
    world.hangup(0, caller);
    world.run_out();
    assert_eq!(world.with(0, |now, ua, layer| ua.hangup(now, layer, caller, None)), Err(Refused::Gone));
}

#[test]
fn a_call_over_tcp_stays_on_its_connection_and_survives_its_loss() {
    let mut world = World::pair();
    let to = world.address(1);
    let caller = world.call_to(0, to, |mut invite| {
        invite.destination = Target::new(Transport::Tcp, to).into();
        invite.contact = "<sip:alice@192.0.2.1:5060;transport=tcp>".into();
        invite
    });
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.answer(1, callee);
    world.run(Duration::from_millis(100));
    assert!(world.is_confirmed(1, callee));
    world.close_connections();
    world.hangup(1, callee);
    world.run(Duration::from_millis(100));
    assert!(matches!(world.ended(0, caller), Some(EndCause::RemoteBye(_))), "the BYE came over a new connection");
    assert!(matches!(world.ended(1, callee), Some(EndCause::LocalBye)));
    world.run_out();
}
