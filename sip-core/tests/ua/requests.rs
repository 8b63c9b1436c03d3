//! Requests that come: inside a dialog, beside it, and what is refused (RFC 3261 §8.2, §12.2.2).
use std::net::SocketAddr;
use std::time::Duration;

use c4_sip_core::header::Header;
use c4_sip_core::ua::{EndCause, Event, Extra};
use c4_sip_core::{Method, StatusCode};

use crate::world::{World, request};

fn carol() -> SocketAddr {
    "192.0.2.40:5060".parse().unwrap()
}

/// What an agent answers to a request from outside.
fn answer_to(world: &mut World, message: &c4_sip_core::Message) -> c4_sip_core::Message {
    let bob = world.address(0);
    world.raw.clear();
    world.inject(carol(), bob, message);
    world.run(Duration::from_millis(50));
    world.raw.last().expect("an answer").message.clone()
}

fn alone() -> World {
    let mut world = World::new();
    world.add_agent(|config| config);
    world
}

#[test]
fn rfc3261_11_2_options_tells_what_is_understood() {
    let answer = answer_to(&mut alone(), &request(Method::Options, "sip:bob@192.0.2.1", carol(), "o", 1));
    assert_eq!(answer.status(), Some(StatusCode::OK));
    assert_eq!(answer.header_str(Header::Allow), Some("INVITE, ACK, BYE, CANCEL, OPTIONS"));
}

#[test]
fn rfc3261_8_2_1_other_methods_are_405_with_allow() {
    let mut world = alone();
    for method in [Method::Subscribe, Method::Register, Method::Message, Method::Other("ODD".into())] {
        let answer = answer_to(&mut world, &request(method, "sip:bob@192.0.2.1", carol(), "m", 1));
        assert_eq!(answer.status(), Some(StatusCode::METHOD_NOT_ALLOWED));
        assert!(answer.header_str(Header::Allow).unwrap().contains("INVITE"));
    }
}

#[test]
fn rfc3261_8_2_2_3_an_unknown_extension_is_420_and_named() {
    let mut required = request(Method::Invite, "sip:bob@192.0.2.1", carol(), "r", 1);
    required.set(Header::Require, "100rel, nonsense").unwrap();
    let answer = answer_to(&mut alone(), &required);
    assert_eq!(answer.status(), Some(StatusCode::BAD_EXTENSION));
    let unsupported: Vec<&[u8]> = answer.values(Header::Unsupported).collect();
    assert_eq!(unsupported, [&b"100rel"[..], b"nonsense"]);
}

#[test]
fn rfc3261_8_2_2_2_the_same_invite_by_two_ways_is_482_the_second_time() {
    let mut world = alone();
    let bob = world.address(0);
    let first = request(Method::Invite, "sip:bob@192.0.2.1", carol(), "merged", 1);
    let mut second = first.clone();
    second.replace_via("SIP/2.0/UDP 192.0.2.40:5060;branch=z9hG4bKother-way").unwrap();
    world.inject(carol(), bob, &first);
    world.run(Duration::from_millis(50));
    assert_eq!(answer_to(&mut world, &second).status(), Some(StatusCode::LOOP_DETECTED));
    assert_eq!(world.agents[0].ua.sessions().count(), 1);
}

#[test]
fn rfc3261_8_1_1_8_an_invite_without_contact_is_400() {
    let mut bad = request(Method::Invite, "sip:bob@192.0.2.1", carol(), "n", 1);
    bad.remove(Header::Contact).unwrap();
    assert_eq!(answer_to(&mut alone(), &bad).status(), Some(StatusCode::BAD_REQUEST));
}

#[test]
fn rfc3261_12_2_2_a_tagged_request_without_dialog_is_481() {
    let mut world = alone();
    for method in [Method::Bye, Method::Invite, Method::Options, Method::Info] {
        let mut stray = request(method, "sip:bob@192.0.2.1", carol(), "s", 1).into_message();
        stray.set(Header::To, "<sip:bob@example.com>;tag=gone").unwrap();
        let answer = answer_to(&mut world, &stray);
        assert_eq!(answer.status(), Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
    }
    assert_eq!(
        answer_to(&mut world, &request(Method::Bye, "sip:bob@192.0.2.1", carol(), "b", 1)).status().unwrap().code(),
        481
    );
}

/// A BYE with the right Call-ID and wrong tags ended a stranger's call (field: pocket-dial#356).
#[test]
fn rfc3261_12_a_dialog_is_matched_by_call_id_and_both_tags() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    let ack = world.last_request("ACK");
    let (alice, bob) = (world.address(0), world.address(1));
    for (from_tag, to_tag) in [("forged", ack.to_tag().unwrap()), (ack.from_tag().unwrap(), "forged"), ("x", "y")] {
        let mut bye = request(Method::Bye, "sip:bob@192.0.2.2", alice, ack.call_id(), 9).into_message();
        bye.set(Header::From, format!("<sip:alice@example.com>;tag={from_tag}")).unwrap();
        bye.set(Header::To, format!("<sip:bob@example.com>;tag={to_tag}")).unwrap();
        bye.set(Header::Via, format!("SIP/2.0/UDP {alice};branch=z9hG4bK{from_tag}{to_tag}")).unwrap();
        world.inject(alice, bob, &bye);
        world.run(Duration::from_millis(50));
    }
    assert_eq!(world.count("481 BYE"), 3);
    assert!(world.ended(0, caller).is_none() && world.ended(1, callee).is_none());
}

#[test]
fn rfc3261_12_2_2_a_cseq_out_of_order_is_500_and_does_nothing() {
    let mut world = World::pair();
    let (_, callee) = world.established();
    let ack = world.last_request("ACK");
    let (alice, bob) = (world.address(0), world.address(1));
    for seq in [0, 1] {
        let mut bye = request(Method::Bye, "sip:bob@192.0.2.2", alice, ack.call_id(), seq).into_message();
        bye.set(Header::From, ack.header(Header::From).unwrap()).unwrap();
        bye.set(Header::To, ack.header(Header::To).unwrap()).unwrap();
        world.inject(alice, bob, &bye);
        world.run(Duration::from_millis(50));
    }
    assert_eq!(world.count("500 BYE"), 2);
    assert!(world.ended(1, callee).is_none());
}

#[test]
fn rfc3261_15_1_2_a_bye_in_the_early_dialog_gets_200_and_the_invite_487() {
    let mut world = World::pair();
    world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.ring(1, callee);
    let ringing = world.last("180 INVITE").clone();
    let (alice, bob) = (world.address(0), world.address(1));
    let call_id = ringing.message.header_str(Header::CallId).unwrap().to_owned();
    let mut bye = request(Method::Bye, "sip:bob@192.0.2.2", alice, &call_id, 2).into_message();
    bye.set(Header::From, ringing.message.header(Header::From).unwrap()).unwrap();
    bye.set(Header::To, ringing.message.header(Header::To).unwrap()).unwrap();
    world.inject(alice, bob, &bye);
    world.run(Duration::from_millis(100));
    assert_eq!((world.count("200 BYE"), world.count("487 INVITE")), (1, 1));
    assert!(matches!(world.ended(1, callee), Some(EndCause::RemoteBye(_))));
    world.run_out();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    world.hangup(0, caller);
    world.hangup(1, callee);
    world.run(Duration::from_millis(100));
    assert!(world.ended(0, caller).is_some() && world.ended(1, callee).is_some());
    assert_eq!(world.count("BYE"), 2);
    world.run_out();
}

#[test]
fn a_bye_that_nobody_answers_ends_the_session_all_the_same() {
    let mut world = World::pair();
    let (caller, _) = world.established();
    world.filter = Box::new(|sent| sent.label() != "BYE");
    world.hangup(0, caller);
    world.run(Duration::from_secs(33));
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
}

#[test]
fn rfc3261_12_2_other_methods_go_to_the_application_as_far_as_it_allows_them() {
    let mut world = World::new();
    for _ in 0..2 {
        world.add_agent(|mut config| {
            config.allow.push(Method::Info);
            config
        });
    }
    let (caller, _) = world.established();
    let extra = Extra { headers: vec![("Info-Package".into(), "x".into())], body: None };
    let id = world.with(0, |now, ua, layer| ua.request(now, layer, caller, Method::Info, &extra)).unwrap();
    let odd = world.with(0, |now, ua, layer| ua.request(now, layer, caller, Method::Message, &extra)).unwrap();
    world.run(Duration::from_millis(50));
    let asked = world.agents[1].events.iter().find_map(|event| match event {
        Event::Request { id, request, .. } => Some((*id, request.clone())),
        _ => None,
    });
    let (theirs, info) = asked.unwrap();
    assert_eq!(*info.method(), Method::Info);
    world.with(1, |now, ua, layer| ua.answer_request(now, layer, theirs, StatusCode::OK, &Extra::default())).unwrap();
    world.run(Duration::from_millis(50));
    let status = |id| {
        world.agents[0].events.iter().find_map(|event| match event {
            Event::Response { id: other, response: Some(response), .. } if *other == id => Some(response.status()),
            _ => None,
        })
    };
    assert_eq!((status(id), status(odd)), (Some(StatusCode::OK), Some(StatusCode::METHOD_NOT_ALLOWED)));
    world.hangup(0, caller);
    world.run_out();
}

#[test]
fn a_full_agent_answers_486_and_refuses_calls_of_its_own() {
    let mut world = World::new();
    world.add_agent(|mut config| {
        config.max_sessions = 1;
        config
    });
    let bob = world.address(0);
    world.inject(carol(), bob, &request(Method::Invite, "sip:bob@192.0.2.1", carol(), "one", 1));
    world.run(Duration::from_millis(50));
    let answer = answer_to(&mut world, &request(Method::Invite, "sip:bob@192.0.2.1", carol(), "two", 1));
    assert_eq!(answer.status(), Some(StatusCode::BUSY_HERE));
}
