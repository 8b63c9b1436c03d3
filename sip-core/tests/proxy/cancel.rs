//! CANCEL at a stateful proxy (RFC 3261 §16.10) and its races with the final response.

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{By, CommandError};
use c4_sip_core::{Request, StatusCode};

use crate::harness::*;

fn cancel_text() -> String {
    request_text("CANCEL", "sip:b@example.com", "1", "Max-Forwards: 70\nReason: Q.850;cause=16, SIP;cause=487\n")
}

/// All status codes sent to the caller, those to CANCEL marked.
fn all(rig: &mut Rig) -> Vec<(String, u16)> {
    rig.responses().iter().map(|r| (r.cseq().method.as_str().to_owned(), r.status().code())).collect()
}

fn ringing() -> (Rig, Request) {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    rig.responses();
    (rig, request)
}

#[test]
fn rfc3261_16_10_cancel_goes_to_every_pending_branch_in_a_transaction_of_its_own() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 180);
    rig.answer(&requests[1], 180);
    rig.responses();
    rig.caller(&cancel_text());
    assert_eq!(all(&mut rig), [("CANCEL".to_owned(), 200)]);
    let cancels = rig.requests("CANCEL");
    assert_eq!(
        cancels.iter().map(|c| c.branch()).collect::<Vec<_>>(),
        requests.iter().map(|r| r.branch()).collect::<Vec<_>>()
    );
    assert_eq!(cancels[0].header(Header::Reason), Some(&b"Q.850;cause=16, SIP;cause=487"[..]), "RFC 3326 §2");
    assert_eq!(cancels[0].uri(), requests[0].uri());
    for (cancel, request) in cancels.iter().zip(&requests) {
        rig.answer(cancel, 200);
        rig.answer(request, 487);
    }
    assert_eq!(rig.codes(), [487]);
    let outcome = rig.finished().remove(0);
    assert_eq!((outcome.by, outcome.cancelled), (By::Caller, true));
    assert_eq!(outcome.reason.as_deref(), Some("Q.850;cause=16, SIP;cause=487"));
    rig.assert_idle();
}

#[test]
fn rfc3261_16_10_cancel_before_any_branch_is_487_and_nothing_is_sent() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.caller(&cancel_text());
    assert_eq!(rig.codes(), [487]);
    assert_eq!(rig.proxy.forward(rig.now, &mut rig.layer, id, vec![to(1)]), Err(CommandError::Gone));
    assert!(rig.requests("INVITE").is_empty());
    assert_eq!(rig.finished()[0].by, By::Caller);
    rig.assert_idle();
}

#[test]
fn rfc3261_9_1_a_branch_without_provisional_response_is_cancelled_at_its_first_one() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.caller(&cancel_text());
    assert!(rig.requests("CANCEL").is_empty());
    rig.answer(&request, 100);
    rig.one("CANCEL");
    rig.answer(&request, 487);
    assert_eq!(rig.codes(), [487]);
    rig.assert_idle();
}

#[test]
fn a_silent_callee_ends_a_cancelled_call_with_487_not_408() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    rig.caller(&cancel_text());
    rig.seconds(33);
    assert!(rig.codes().contains(&487));
    let outcome = rig.finished().remove(0);
    assert_eq!((outcome.by, outcome.status), (By::Caller, Some(StatusCode::REQUEST_TERMINATED)));
    rig.assert_idle();
}

#[test]
fn lesson_20_a_2xx_that_crosses_the_cancel_goes_on() {
    let (mut rig, request) = ringing();
    rig.caller(&cancel_text());
    rig.answer(&request, 200);
    assert_eq!(rig.codes(), [200]);
    let outcome = rig.finished().remove(0);
    assert_eq!((outcome.by, outcome.cancelled, outcome.status), (By::Callee, true, Some(StatusCode::OK)));
    rig.assert_idle();
}

#[test]
fn lesson_20_a_cancel_after_the_2xx_changes_nothing() {
    let (mut rig, request) = ringing();
    rig.answer(&request, 200);
    rig.caller(&cancel_text());
    assert_eq!(all(&mut rig), [("INVITE".to_owned(), 200), ("CANCEL".to_owned(), 200)]);
    assert!(rig.requests("CANCEL").is_empty());
    rig.assert_idle();
}

#[test]
fn lesson_20_a_retransmitted_cancel_is_answered_200_again() {
    let (mut rig, request) = ringing();
    rig.caller(&cancel_text());
    rig.caller(&cancel_text());
    rig.answer(&request, 487);
    rig.caller(&cancel_text());
    let codes: Vec<_> = all(&mut rig).into_iter().filter(|(method, _)| method == "CANCEL").collect();
    assert_eq!(codes, vec![("CANCEL".to_owned(), 200); 3]);
    assert_eq!(rig.requests("CANCEL").len(), 1, "one CANCEL a branch");
    rig.assert_idle();
}

#[test]
fn rfc3261_9_2_a_cancel_of_nothing_is_the_layers_481() {
    let mut rig = Rig::new();
    rig.caller(&cancel_text());
    assert_eq!(all(&mut rig), [("CANCEL".to_owned(), 481)]);
    rig.assert_idle();
}

#[test]
fn targets_that_wait_are_not_tried_after_a_cancel() {
    let mut rig = Rig::new();
    rig.call(vec![at(1, 1000), at(2, 500)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    rig.caller(&cancel_text());
    rig.answer(&request, 487);
    assert!(rig.requests("INVITE").is_empty());
    assert_eq!(rig.codes(), [180, 487]);
    rig.assert_idle();
}

#[test]
fn a_503_after_a_cancel_does_not_go_to_the_next_destination() {
    let mut rig = Rig::new();
    let next = c4_sip_core::Target::new(c4_sip_core::Transport::Udp, callee(11));
    rig.call(vec![c4_sip_core::proxy::Branch { failover: vec![next.into()], ..to(1) }]);
    let request = rig.one("INVITE");
    rig.caller(&cancel_text());
    rig.answer(&request, 503);
    assert!(!rig.sent.iter().any(|sent| sent.to == callee(11)));
    assert_eq!(rig.finished().len(), 1);
    rig.assert_idle();
}

#[test]
fn rfc3261_9_1_a_callee_that_never_answers_its_cancel_is_given_up_after_32_s() {
    let (mut rig, _) = ringing();
    rig.caller(&cancel_text());
    rig.responses();
    rig.seconds(31);
    assert!(rig.finished().is_empty());
    rig.seconds(2);
    assert_eq!(rig.finished().len(), 1);
    assert!(rig.codes().contains(&487));
    rig.assert_idle();
}

#[test]
fn the_application_may_give_a_call_up() {
    let (mut rig, request) = ringing();
    let id = rig.contexts[0];
    rig.proxy.cancel(rig.now, &mut rig.layer, id, Some("Q.850;cause=31")).unwrap();
    rig.run();
    assert_eq!(rig.one("CANCEL").header(Header::Reason), Some(&b"Q.850;cause=31"[..]));
    rig.answer(&request, 487);
    assert_eq!(rig.codes(), [487]);
    assert_eq!(rig.finished()[0].by, By::Application);
    rig.assert_idle();
}
