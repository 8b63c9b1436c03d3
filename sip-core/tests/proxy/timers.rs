//! Timers at a stateful proxy: B and F (RFC 3261 §17), C (§16.6 step 11, §16.7 step 2, §16.8), the ringing limit.

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{By, Cause, Config, Event, Options};
use std::time::Duration;

use crate::harness::*;

fn causes(rig: &Rig) -> Vec<Cause> {
    let causes = rig.events.iter().filter_map(|event| match event {
        Event::BranchFailed { cause, .. } => Some(*cause),
        _ => None,
    });
    causes.collect()
}

#[test]
fn rfc3261_16_7_a_silent_branch_counts_as_408() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    rig.seconds(31);
    assert!(!rig.codes().contains(&408));
    rig.seconds(2);
    assert_eq!(rig.codes().last(), Some(&408));
    assert_eq!(causes(&rig), [Cause::Timeout]);
    assert_eq!(rig.finished()[0].by, By::Timer);
    rig.assert_idle();
}

#[test]
fn a_busy_phone_says_more_than_a_silent_one() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 486);
    rig.seconds(33);
    assert!(rig.codes().contains(&486));
    rig.assert_idle();
}

#[test]
fn rfc4320_4_2_a_non_invite_that_timed_out_is_answered_by_silence() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", ""));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1)]);
    rig.seconds(40);
    assert!(rig.codes().iter().all(|code| *code == 100), "at most the 100 that is due after 3.5 s");
    let outcome = rig.finished().remove(0);
    assert_eq!((outcome.status, outcome.by), (None, By::Timer));
    rig.assert_idle();
}

#[test]
fn rfc3261_16_6_11_timer_c_cancels_a_branch_that_rings_on() {
    let mut rig = Rig::with(Config { ringing_limit: Duration::ZERO, ..config() });
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    rig.seconds(184);
    assert!(rig.requests("CANCEL").is_empty());
    rig.seconds(1);
    let cancel = rig.one("CANCEL");
    assert_eq!(cancel.header(Header::Reason), Some(&b"SIP;cause=408;text=\"Request Timeout\""[..]));
    rig.answer(&request, 487);
    assert_eq!(rig.codes(), [180, 408], "it is the callee who did not answer");
    assert_eq!(causes(&rig), [Cause::Expired]);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_2_each_101_to_199_restarts_timer_c_and_100_does_not() {
    let mut rig = Rig::with(Config { ringing_limit: Duration::ZERO, ..config() });
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 100);
    rig.seconds(100);
    rig.answer(&request, 183);
    rig.seconds(100);
    rig.answer(&request, 180);
    rig.seconds(100);
    rig.answer(&request, 100);
    rig.seconds(84);
    assert!(rig.requests("CANCEL").is_empty());
    rig.seconds(1);
    rig.one("CANCEL");
}

#[test]
fn the_ringing_limit_cancels_and_answers_408() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    for request in &requests {
        rig.answer(request, 180);
    }
    rig.responses();
    rig.seconds(119);
    assert!(rig.requests("CANCEL").is_empty());
    rig.seconds(1);
    assert_eq!(rig.requests("CANCEL").len(), 2);
    for request in &requests {
        rig.answer(request, 487);
    }
    assert_eq!(rig.codes(), [408]);
    assert_eq!(rig.finished()[0].by, By::Timer);
    rig.assert_idle();
}

#[test]
fn the_ringing_limit_goes_on_to_the_next_group_which_has_its_own() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.proxy.set_options(id, Options { ringing_limit: Some(Duration::from_secs(20)), ..Options::default() });
    rig.forward(id, vec![at(1, 1000), at(2, 500)]);
    let first = rig.one("INVITE");
    rig.answer(&first, 180);
    rig.seconds(20);
    let cancel = rig.one("CANCEL");
    rig.answer(&cancel, 200);
    rig.answer(&first, 487);
    let second = rig.one("INVITE");
    assert_eq!(request_target(&second), callee(2));
    rig.answer(&second, 180);
    rig.seconds(19);
    assert!(rig.requests("CANCEL").is_empty());
    rig.seconds(1);
    rig.one("CANCEL");
    rig.answer(&second, 487);
    assert_eq!(rig.codes(), [180, 180, 408]);
    rig.assert_idle();
}

#[test]
fn a_2xx_that_crosses_the_end_of_ringing_wins() {
    let mut rig = Rig::new();
    rig.call(vec![at(1, 1000), at(2, 500)]);
    let first = rig.one("INVITE");
    rig.answer(&first, 180);
    rig.seconds(121);
    rig.answer(&first, 200);
    assert_eq!(rig.codes(), [180, 200]);
    assert!(rig.requests("INVITE").is_empty());
    rig.assert_idle();
}

#[test]
fn a_route_that_is_never_answered_ends_in_500() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    rig.seconds(31);
    assert_eq!(rig.finished().len(), 0);
    rig.seconds(2);
    assert_eq!(rig.codes().last(), Some(&500));
    assert_eq!(rig.finished()[0].by, By::Timer);
    rig.assert_idle();
}

#[test]
fn a_question_that_is_never_answered_ends_in_the_best_response() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.proxy.set_options(id, Options { ask: true, ..Options::default() });
    rig.forward(id, vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 486);
    rig.seconds(33);
    assert_eq!(rig.codes().last(), Some(&486));
    rig.assert_idle();
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    rig.seconds(10);
    let past = rig.now - Duration::from_secs(5);
    let before = rig.proxy.poll_timeout();
    rig.proxy.handle_timeout(past, &mut rig.layer);
    assert_eq!(rig.proxy.poll_timeout(), before);
}
