//! Calls that the house carries when nothing breaks.
use std::time::Duration;

use c4_ref::phone::{Manner, Outcome, Phone, Progress, Registered};
use sip_core::StatusCode;
use sip_core::flow::Transport;
use sip_core::header::Header;

use crate::house::{House, Who};

const ALICE: Who = Who::Phone(0);
const BOB: Who = Who::Phone(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn two_phones_register_by_digest_and_take_turns_in_hanging_up() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut house = House::registered(2, transport);
        assert_eq!(house.shared.location.len(), 2);
        for hangs_up in [0, 1] {
            house.call(0, "user1");
            house.run(seconds(1));
            assert_eq!(house.progress(0), &Progress::Ringing);
            house.run(seconds(4));
            assert_eq!((house.progress(0), house.progress(1)), (&Progress::Up, &Progress::Up), "{transport}");
            house.hang_up(hangs_up);
            house.run(seconds(1));
            assert_eq!(house.outcome(hangs_up), Outcome::HungUp);
            assert_eq!(house.outcome(1 - hangs_up), Outcome::PeerHungUp);
            let record = house.records.last().expect("a record").clone();
            let released_by = ["caller", "callee"][hangs_up];
            assert_eq!((record["status"].as_u64(), record["released_by"].as_str()), (Some(200), Some(released_by)));
            assert_eq!(record["call_id"].as_str(), house.last_call(0).call_id.as_deref());
            assert_eq!((record["caller"].as_str(), record["called"].as_str()), (Some("user0"), Some("user1")));
            let duration = record["duration_ms"].as_u64().unwrap();
            assert!((2_900..3_100).contains(&duration), "{record}");
        }
        assert_eq!(house.records.len(), 2, "one record a call, none for the challenges");
        for phone in 0..2 {
            house.with(phone, Phone::unregister);
        }
        house.run(seconds(1));
        assert_eq!(house.phones[0].registered(), Registered::No);
        assert_eq!(house.shared.location.len(), 0);
        house.assert_quiet();
    }
}

#[test]
fn nothing_passes_the_proxy_by_and_the_credentials_stay_with_it() {
    let mut house = House::registered(2, Transport::Udp);
    house.call(0, "user1");
    house.run(seconds(5));
    house.hang_up(0);
    house.run(seconds(1));
    for sent in &house.sent {
        let inside = |who| matches!(who, Who::Phone(_));
        assert!(!(inside(sent.from) && sent.to.is_none_or(inside)), "{sent:?}");
        if sent.to == Some(BOB) {
            assert!(sent.message.header(Header::ProxyAuthorization).is_none(), "{:?}", sent.message);
        }
    }
    // One INVITE without and one with credentials; a single one for the callee.
    assert_eq!((house.count(ALICE, Who::Lb, "INVITE"), house.count(Who::Lb, BOB, "INVITE")), (2, 1));
    assert_eq!((house.count(Who::Lb, ALICE, "407 INVITE"), house.count(Who::Lb, ALICE, "200 INVITE")), (1, 1));
    assert_eq!((house.count(ALICE, Who::Lb, "BYE"), house.count(Who::Lb, BOB, "BYE")), (1, 1));
    assert_eq!(house.count(Who::Lb, ALICE, "407 BYE"), 0, "in-dialog requests are signed by their route");
}

#[test]
fn a_call_rings_on_both_phones_of_a_user_and_one_answers() {
    let mut house = House::registered(2, Transport::Udp);
    let third = house.add_phone(2, "user1", "secret");
    house.with(third, Phone::register);
    house.run(seconds(1));
    house.phones[1].set_manner(Manner::OnlyRings);
    house.call(0, "user1");
    house.run(seconds(1));
    assert_eq!((house.progress(1), house.progress(third)), (&Progress::Ringing, &Progress::Ringing));
    house.run(seconds(3));
    assert_eq!((house.progress(0), house.progress(third)), (&Progress::Up, &Progress::Up));
    assert_eq!(house.outcome(1), Outcome::Cancelled);
    house.hang_up(third);
    house.run(seconds(1));
    assert_eq!(house.outcome(0), Outcome::PeerHungUp);
    assert_eq!(house.records.len(), 1);
    house.assert_quiet();
}

#[test]
fn both_phones_answer_at_once_and_the_caller_keeps_one() {
    let mut house = House::registered(2, Transport::Udp);
    let third = house.add_phone(2, "user1", "secret");
    house.with(third, Phone::register);
    house.run(seconds(1));
    house.call(0, "user1");
    house.run(seconds(8));
    let up = [1, third].into_iter().filter(|phone| house.progress(*phone) == &Progress::Up);
    assert_eq!(up.count(), 1, "RFC 3261 §13.2.2.4: {:?}", house.labels());
    house.hang_up(0);
    house.run(seconds(2));
    assert_eq!(house.outcome(0), Outcome::HungUp);
    house.assert_quiet();
}

#[test]
fn a_caller_who_gives_up_before_or_after_it_rings_cancels() {
    for after in [Duration::ZERO, Duration::from_millis(22), Duration::from_millis(60), seconds(1)] {
        let mut house = House::registered(2, Transport::Udp);
        house.call(0, "user1");
        house.run(after);
        house.hang_up(0);
        house.run(seconds(5));
        let outcome = house.outcome(0);
        assert!(matches!(outcome, Outcome::Cancelled | Outcome::Failed(StatusCode::PROXY_AUTHENTICATION_REQUIRED)));
        if house.phones[1].calls().last().is_some() {
            assert_eq!(house.outcome(1), Outcome::Cancelled);
            assert_eq!(house.records.last().unwrap()["status"].as_u64(), Some(487));
            assert_eq!(house.records.last().unwrap()["released_by"].as_str(), Some("caller"));
        }
        house.assert_quiet();
    }
}

/// Lesson 20: the CANCEL and the 200 pass each other anywhere on the way.
#[test]
fn lesson_20_cancel_and_answer_cross_anywhere_and_nobody_is_left_behind() {
    for ms in (1_940..2_120).step_by(3) {
        let mut house = House::registered(2, Transport::Udp);
        house.call(0, "user1");
        house.run(Duration::from_millis(ms));
        house.hang_up(0);
        house.run(seconds(5));
        let (caller, callee) = (house.outcome(0), house.outcome(1));
        let both = [(Outcome::Cancelled, Outcome::Cancelled), (Outcome::HungUp, Outcome::PeerHungUp)];
        assert!(both.contains(&(caller, callee)), "{ms} ms: {caller:?} {callee:?} {:#?}", house.labels());
        assert_eq!(house.records.len(), 1);
        house.assert_quiet();
    }
}

#[test]
fn busy_is_busy_and_nobody_is_not_found() {
    let mut house = House::registered(2, Transport::Udp);
    house.phones[1].set_manner(Manner::Refuses(StatusCode::BUSY_HERE));
    for (user, status) in [("user1", 486), ("nobody", 404), ("user5", 480)] {
        house.call(0, user);
        house.run(seconds(3));
        assert_eq!(house.outcome(0), Outcome::Failed(StatusCode::new(status).unwrap()), "{user}");
        assert_eq!(house.records.last().unwrap()["status"].as_u64(), Some(status.into()));
    }
    house.assert_quiet();
}

#[test]
fn a_wrong_password_is_refused_everywhere() {
    let mut house = House::registered(2, Transport::Udp);
    let mallory = house.add_phone(3, "user0", "wrong");
    house.with(mallory, Phone::register);
    house.run(seconds(1));
    assert_eq!(house.phones[mallory].registered(), Registered::Failed(Some(StatusCode::UNAUTHORIZED)));
    house.call(mallory, "user1");
    house.run(seconds(1));
    assert_eq!(house.outcome(mallory), Outcome::Failed(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
    assert!(house.records.is_empty());
    assert_eq!(house.shared.location.len(), 2);
}
