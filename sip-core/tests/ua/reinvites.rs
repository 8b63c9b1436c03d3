//! re-INVITE: target refresh, glare, the frozen route set (RFC 3261 §12.2, §14).
use std::time::Duration;

use c4_sip_core::header::Header;
use c4_sip_core::ua::{EndCause, Event, Extra, Refused, RequestId, SessionId};
use c4_sip_core::{Method, StatusCode};

use crate::world::World;

fn reinvite(world: &mut World, agent: usize, session: SessionId) -> RequestId {
    world.with(agent, |now, ua, layer| ua.reinvite(now, layer, session, Extra::default())).unwrap()
}

/// The requests that wait for the application.
fn waiting(world: &World, agent: usize) -> Vec<RequestId> {
    let ids = world.agents[agent].events.iter().filter_map(|event| match event {
        Event::Request { id, .. } => Some(*id),
        _ => None,
    });
    ids.collect()
}

fn accept(world: &mut World, agent: usize, id: RequestId) {
    world.with(agent, |now, ua, layer| ua.answer_request(now, layer, id, StatusCode::OK, &Extra::default())).unwrap();
}

fn status_of(world: &World, agent: usize, id: RequestId) -> Option<StatusCode> {
    world.agents[agent].events.iter().find_map(|event| match event {
        Event::Response { id: other, response, .. } if *other == id => response.as_ref().map(|r| r.status()),
        _ => None,
    })
}

#[test]
fn rfc3261_14_a_reinvite_is_answered_and_acknowledged() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    for (agent, session, other) in [(0, caller, 1), (1, callee, 0)] {
        let id = reinvite(&mut world, agent, session);
        world.run(Duration::from_millis(50));
        let theirs = *waiting(&world, other).last().unwrap();
        accept(&mut world, other, theirs);
        world.run(Duration::from_millis(100));
        assert_eq!(status_of(&world, agent, id), Some(StatusCode::OK));
    }
    assert_eq!(world.count("200 INVITE"), 3, "each is acknowledged, none comes again");
    assert_eq!(world.count("ACK"), 3);
    world.hangup(0, caller);
    world.run_out();
}

#[test]
fn rfc3261_12_2_a_reinvite_moves_the_target_and_never_the_route_set() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    reinvite(&mut world, 0, caller);
    // A router on the way would like to change the route set, and the caller has moved.
    world.run(Duration::from_millis(5));
    let mut request = world.last_request("INVITE");
    request.set_cseq(request.cseq().seq + 1);
    request.replace_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKmoved").unwrap();
    request.push_record_route("<sip:192.0.2.66;lr>").unwrap();
    request.set(Header::Contact, "<sip:alice@192.0.2.77>").unwrap();
    let (alice, bob) = (world.address(0), world.address(1));
    world.run(Duration::from_millis(50));
    let first = waiting(&world, 1)[0];
    accept(&mut world, 1, first);
    world.run(Duration::from_millis(100));
    world.inject(alice, bob, &request);
    world.run(Duration::from_millis(50));
    let second = waiting(&world, 1)[1];
    let before = world.agents[1].ua.dialog(callee).unwrap().clone();
    assert_eq!(before.remote_target(), "sip:alice@192.0.2.1:5060", "not before the 2xx");
    accept(&mut world, 1, second);
    let after = world.agents[1].ua.dialog(callee).unwrap();
    assert_eq!(after.remote_target(), "sip:alice@192.0.2.77");
    assert_eq!(after.route_set(), before.route_set());
    assert!(after.route_set().is_empty());
}

#[test]
fn rfc3261_12_2_1_2_the_2xx_to_a_reinvite_moves_the_target_of_its_sender() {
    let mut world = World::pair();
    let (caller, _) = world.established();
    let bob = world.address(1);
    let id = reinvite(&mut world, 0, caller);
    world.filter = Box::new(move |sent| sent.to != bob || sent.label() == "ACK");
    world.run(Duration::from_millis(5));
    let invite = world.sent.last().unwrap().clone();
    world.reply(&invite, StatusCode::OK, "ignored", |response| {
        response.set(Header::Contact, "<sip:bob@192.0.2.88;x=1>").unwrap();
        response.push_back(Header::RecordRoute, "<sip:192.0.2.66;lr>").unwrap();
    });
    world.run(Duration::from_millis(50));
    assert_eq!(status_of(&world, 0, id), Some(StatusCode::OK));
    let dialog = world.agents[0].ua.dialog(caller).unwrap();
    assert_eq!(dialog.remote_target(), "sip:bob@192.0.2.88;x=1");
    assert!(dialog.route_set().is_empty());
    assert_eq!(world.last_request("ACK").uri(), "sip:bob@192.0.2.88;x=1");
}

#[test]
fn rfc3261_14_1_glare_is_491_for_both_and_the_callee_tries_first() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    let (first, second) = (reinvite(&mut world, 0, caller), reinvite(&mut world, 1, callee));
    world.run(Duration::from_millis(100));
    assert_eq!(world.count("491 INVITE"), 2);
    assert_eq!((status_of(&world, 0, first), status_of(&world, 1, second)), (None, None), "both are tried again");
    // The callee waits 0 to 2 s, the owner of the Call-ID 2.1 to 4 s.
    world.run(Duration::from_millis(2010));
    let at_caller = waiting(&world, 0);
    assert_eq!((at_caller.len(), waiting(&world, 1).len()), (1, 0));
    accept(&mut world, 0, at_caller[0]);
    world.run(Duration::from_secs(3));
    let at_callee = waiting(&world, 1);
    assert_eq!(at_callee.len(), 1);
    accept(&mut world, 1, at_callee[0]);
    world.run(Duration::from_millis(100));
    assert_eq!(
        (status_of(&world, 0, first), status_of(&world, 1, second)),
        (Some(StatusCode::OK), Some(StatusCode::OK))
    );
    world.hangup(0, caller);
    world.run_out();
}

#[test]
fn rfc3261_14_1_no_reinvite_while_another_runs() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    reinvite(&mut world, 0, caller);
    let again = world.with(0, |now, ua, layer| ua.reinvite(now, layer, caller, Extra::default()));
    assert_eq!(again, Err(Refused::Busy));
    world.run(Duration::from_millis(50));
    let against = world.with(1, |now, ua, layer| ua.reinvite(now, layer, callee, Extra::default()));
    assert_eq!(against, Err(Refused::Busy));
}

#[test]
fn rfc3261_14_2_a_second_reinvite_before_the_first_is_answered_gets_500_with_retry_after() {
    let mut world = World::pair();
    let (caller, _) = world.established();
    reinvite(&mut world, 0, caller);
    world.run(Duration::from_millis(50));
    let mut request = world.last_request("INVITE");
    request.set_cseq(request.cseq().seq + 1);
    request.replace_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKsecond").unwrap();
    let (alice, bob) = (world.address(0), world.address(1));
    world.inject(alice, bob, &request);
    world.run(Duration::from_millis(50));
    let refusal = &world.last("500 INVITE").message;
    let seconds: u32 = refusal.header_str(Header::RetryAfter).unwrap().parse().unwrap();
    assert!(seconds <= 10);
}

#[test]
fn rfc3261_9_2_a_cancelled_reinvite_gets_487_and_the_call_goes_on() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    let id = reinvite(&mut world, 0, caller);
    world.run(Duration::from_millis(50));
    let invite = world.last_request("INVITE");
    let mut builder = c4_sip_core::Message::request(Method::Cancel, invite.uri());
    for name in [Header::Via, Header::MaxForwards, Header::From, Header::To, Header::CallId] {
        builder = builder.header(name, invite.header(name).unwrap());
    }
    let cancel = builder.header(Header::CSeq, format!("{} CANCEL", invite.cseq().seq)).build().unwrap();
    let (alice, bob) = (world.address(0), world.address(1));
    world.inject(alice, bob, &cancel);
    world.run(Duration::from_millis(100));
    assert_eq!(status_of(&world, 0, id), Some(StatusCode::REQUEST_TERMINATED));
    assert!(world.ended(0, caller).is_none() && world.ended(1, callee).is_none());
    world.hangup(1, callee);
    world.run_out();
}

#[test]
fn rfc3261_12_2_1_2_a_peer_that_has_lost_the_dialog_is_hung_up() {
    for status in [StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, StatusCode::REQUEST_TIMEOUT] {
        let mut world = World::pair();
        let (caller, callee) = world.established();
        reinvite(&mut world, 0, caller);
        world.run(Duration::from_millis(50));
        let id = waiting(&world, 1)[0];
        world.with(1, |now, ua, layer| ua.answer_request(now, layer, id, status, &Extra::default())).unwrap();
        world.run(Duration::from_millis(200));
        assert!(matches!(world.ended(0, caller), Some(EndCause::PeerGone)));
        assert!(matches!(world.ended(1, callee), Some(EndCause::RemoteBye(_))));
        world.run_out();
    }
}

#[test]
fn rfc3261_14_2_a_reinvite_whose_2xx_gets_no_ack_ends_the_call() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    world.filter = Box::new(|sent| sent.label() != "ACK");
    reinvite(&mut world, 0, caller);
    world.run(Duration::from_millis(50));
    let id = waiting(&world, 1)[0];
    accept(&mut world, 1, id);
    world.run(Duration::from_secs(40));
    assert!(matches!(world.ended(1, callee), Some(EndCause::NoAck)));
    assert!(matches!(world.ended(0, caller), Some(EndCause::RemoteBye(_))));
    world.run_out();
}

#[test]
fn rfc3261_15_1_2_a_bye_ends_what_is_unanswered_by_487() {
    let mut world = World::pair();
    let (caller, callee) = world.established();
    reinvite(&mut world, 0, caller);
    world.run(Duration::from_millis(50));
    world.hangup(0, caller);
    world.run(Duration::from_millis(100));
    assert_eq!(world.count("487 INVITE"), 1);
    assert!(matches!(world.ended(1, callee), Some(EndCause::RemoteBye(_))));
    world.run_out();
}
