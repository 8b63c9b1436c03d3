//! CANCEL against every answer (RFC 3261 §9, §13.2.2.4): lesson 20 of the field.
use std::time::Duration;

use c4_sip_core::StatusCode;
use c4_sip_core::header::Header;
use c4_sip_core::ua::{EndCause, Event, Extra};

use crate::world::World;

#[test]
fn rfc3261_9_1_cancel_while_it_rings() {
    let mut world = World::pair();
    let (caller, callee) = world.ringing();
    let reason = Some("SIP;cause=200;text=\"Call completed elsewhere\"");
    world.with(0, |now, ua, layer| ua.hangup(now, layer, caller, reason)).unwrap();
    world.run(Duration::from_millis(100));
    assert!(matches!(world.ended(0, caller), Some(EndCause::Cancelled(Some(_)))));
    let Some(EndCause::CancelledByPeer(cancel)) = world.ended(1, callee) else { panic!("cancelled") };
    assert_eq!(cancel.header_str(Header::Reason), reason);
    assert_eq!((world.count("200 CANCEL"), world.count("487 INVITE")), (1, 1));
    world.run_out();
}

#[test]
fn rfc3261_9_1_no_cancel_before_a_provisional_response() {
    let mut world = World::pair();
    // The callee is silent, and its layer too for 200 ms (RFC 3261 §17.2.1).
    let caller = world.call(0, 1);
    world.hangup(0, caller);
    world.run(Duration::from_millis(150));
    assert_eq!(world.count("CANCEL"), 0);
    world.run(Duration::from_millis(500));
    let labels = world.labels();
    let at = |label: &str| labels.iter().position(|other| other == label).unwrap();
    assert!(at("100 INVITE") < at("CANCEL"), "{labels:?}");
    assert!(matches!(world.ended(0, caller), Some(EndCause::Cancelled(_))));
    world.run_out();
}

#[test]
fn rfc3261_13_2_2_4_a_2xx_after_the_cancel_gets_ack_then_bye() {
    let mut world = World::pair();
    let (caller, callee) = world.ringing();
    // The 200 and the CANCEL cross on the wire.
    world.answer(1, callee);
    world.hangup(0, caller);
    world.run(Duration::from_millis(200));
    let alice = world.address(0);
    assert_eq!(world.labels_from(alice), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert!(world.saw(0, |event| matches!(event, Event::Answered { .. })), "it was answered, and is told so");
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
    assert!(matches!(world.ended(1, callee), Some(EndCause::RemoteBye(_))));
    assert_eq!(world.count("487 INVITE"), 0, "RFC 3261 §9.2: no effect after the final response");
    world.run_out();
}

#[test]
fn rfc3261_9_2_a_cancel_that_comes_again_is_answered_again_and_never_481() {
    let mut world = World::pair();
    let (caller, _) = world.ringing();
    let mut lost = 2;
    world.filter = Box::new(move |sent| {
        let lose = sent.label() == "200 CANCEL" && lost > 0;
        lost -= i32::from(lose);
        !lose
    });
    world.hangup(0, caller);
    world.run(Duration::from_secs(5));
    assert_eq!((world.count("CANCEL"), world.count("200 CANCEL")), (3, 3));
    assert_eq!(world.count("481 CANCEL"), 0);
    world.run_out();
}

#[test]
fn rfc3261_9_1_without_a_final_response_the_call_counts_as_cancelled() {
    let mut world = World::pair();
    let (caller, _) = world.ringing();
    world.filter = Box::new(|sent| sent.label() != "487 INVITE");
    world.hangup(0, caller);
    world.run(Duration::from_secs(33));
    assert!(matches!(world.ended(0, caller), Some(EndCause::Cancelled(None))));
    world.run_out();
}

#[test]
fn hanging_up_twice_is_hanging_up_once() {
    let mut world = World::pair();
    let caller = world.call(0, 1);
    world.run(Duration::from_millis(300));
    world.hangup(0, caller);
    world.hangup(0, caller);
    world.run(Duration::from_millis(200));
    assert_eq!(world.count("CANCEL"), 1);
    assert!(matches!(world.ended(0, caller), Some(EndCause::Cancelled(_))));
    world.run_out();
}

#[test]
fn rfc3261_15_hanging_up_a_call_that_rings_here_refuses_it() {
    let mut world = World::pair();
    let caller = world.call(0, 1);
    world.run(Duration::from_millis(50));
    let callee = world.incoming(1);
    world.ring(1, callee);
    world.hangup(1, callee);
    world.run(Duration::from_millis(100));
    let Some(EndCause::Refused(response)) = world.ended(0, caller) else { panic!("refused") };
    assert_eq!(response.status(), StatusCode::TEMPORARILY_UNAVAILABLE);
    world.run_out();
}

/// Both ends act at any two moments of a call, in every order and with every overlap in flight: in the end neither end
/// holds a session, and each was told once how it ended.
#[test]
fn every_interleaving_of_answer_cancel_refusal_and_bye_ends() {
    #[derive(Clone, Copy, Debug)]
    enum Callee {
        Answers,
        Rejects,
        AnswersAndHangsUp,
    }
    for does in [Callee::Answers, Callee::Rejects, Callee::AnswersAndHangsUp] {
        for (rings_at, acts_at) in [(5, 20), (5, 5), (40, 60), (250, 260)] {
            for hangup_at in (0..400).step_by(5) {
                let mut world = World::pair();
                let caller = world.call(0, 1);
                let mut callee = None;
                for ms in (0..=500).step_by(5) {
                    if ms == hangup_at {
                        let _ = world.with(0, |now, ua, layer| ua.hangup(now, layer, caller, None));
                    }
                    if ms == rings_at + 10 {
                        callee = world.agents[1].ua.sessions().next();
                    }
                    let Some(callee) = callee else {
                        world.run(Duration::from_millis(5));
                        continue;
                    };
                    let extra = Extra::default();
                    world.with(1, |now, ua, layer| {
                        if ms == rings_at + 10 {
                            let _ = ua.ring(now, layer, callee, StatusCode::RINGING, &extra);
                        }
                        if ms == acts_at + 10 {
                            let _ = match does {
                                Callee::Rejects => ua.reject(now, layer, callee, StatusCode::BUSY_HERE, &extra),
                                _ => ua.answer(now, layer, callee, &extra),
                            };
                        }
                        if ms == acts_at + 30 && matches!(does, Callee::AnswersAndHangsUp) {
                            let _ = ua.hangup(now, layer, callee, None);
                        }
                    });
                    world.run(Duration::from_millis(5));
                }
                let _ = world.with(1, |now, ua, layer| {
                    ua.sessions().collect::<Vec<_>>().into_iter().map(|id| ua.hangup(now, layer, id, None)).count()
                });
                world.run_out();
                assert!(world.ended(0, caller).is_some(), "{does:?} {rings_at} {acts_at} {hangup_at}");
                assert_eq!(world.count("481 CANCEL"), 0);
                if let Some(callee) = callee {
                    assert!(world.ended(1, callee).is_some(), "{does:?} {rings_at} {acts_at} {hangup_at}");
                }
            }
        }
    }
}
