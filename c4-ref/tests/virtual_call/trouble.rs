//! What the house survives: bad networks, restarts, lost connections.
use std::time::Duration;

use c4_ref::phone::{Outcome, Phone, Progress, Registered};
use sip_core::StatusCode;
use sip_core::flow::Transport;
use testkit::{Link, Network};

use crate::house::House;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn calls_over_a_network_that_loses_doubles_and_reorders() {
    for seed in 1..=20 {
        let link =
            Link { latency: Duration::from_millis(5), jitter: Duration::from_millis(40), loss: 0.08, duplicate: 0.1 };
        let mut house = House::new(2, Transport::Udp, Network::new(seed, link));
        house.register_all();
        for hangs_up in [0, 1] {
            house.call(0, "user1");
            house.run(seconds(20));
            assert_eq!(house.progress(0), &Progress::Up, "seed {seed}: {:#?}", house.labels());
            house.hang_up(hangs_up);
            house.run(seconds(40));
            assert_eq!(house.outcome(hangs_up), Outcome::HungUp, "seed {seed}");
            assert_eq!(house.outcome(1 - hangs_up), Outcome::PeerHungUp, "seed {seed}");
        }
        assert_eq!(house.records.len(), 2, "seed {seed}: {:#?}", house.records);
        house.assert_quiet();
    }
}

#[test]
fn a_call_outlives_a_restart_of_the_load_balancer() {
    let mut house = House::registered(2, Transport::Udp);
    house.call(0, "user1");
    house.run(seconds(4));
    assert_eq!(house.progress(0), &Progress::Up);
    house.restart_lb();
    house.hang_up(1);
    house.run(seconds(2));
    assert_eq!((house.outcome(1), house.outcome(0)), (Outcome::HungUp, Outcome::PeerHungUp));
    assert_eq!(house.records.last().unwrap()["released_by"].as_str(), Some("callee"));
    house.assert_quiet();
}

#[test]
fn a_call_that_is_set_up_outlives_a_restart_of_the_load_balancer() {
    let mut house = House::registered(2, Transport::Udp);
    house.call(0, "user1");
    house.run(seconds(1));
    house.restart_lb();
    house.run(seconds(4));
    assert_eq!((house.progress(0), house.progress(1)), (&Progress::Up, &Progress::Up));
    house.hang_up(0);
    house.run(seconds(1));
    assert_eq!(house.outcome(1), Outcome::PeerHungUp);
}

#[test]
fn registrations_outlive_a_restart_of_the_proxy_and_so_does_the_bye() {
    let mut house = House::registered(2, Transport::Udp);
    house.call(0, "user1");
    house.run(seconds(4));
    assert_eq!(house.progress(0), &Progress::Up);
    house.restart_proxy();
    assert_eq!(house.shared.location.len(), 2);
    house.hang_up(0);
    house.run(seconds(2));
    assert_eq!((house.outcome(0), house.outcome(1)), (Outcome::HungUp, Outcome::PeerHungUp));
    house.call(1, "user0");
    house.run(seconds(4));
    assert_eq!((house.progress(0), house.progress(1)), (&Progress::Up, &Progress::Up));
    house.hang_up(1);
    house.run(seconds(1));
    assert_eq!(house.outcome(0), Outcome::PeerHungUp);
    house.assert_quiet();
}

#[test]
fn a_phone_whose_connection_breaks_registers_anew_and_can_be_called() {
    let mut house = House::registered(2, Transport::Tcp);
    house.close_connections();
    house.run(seconds(1));
    assert_eq!(house.phones[1].registered(), Registered::Yes);
    house.call(0, "user1");
    house.run(seconds(4));
    assert_eq!((house.progress(0), house.progress(1)), (&Progress::Up, &Progress::Up));
    // In mid-call: the BYE of either end goes over its new connection, and finds the other at his.
    house.close_connections();
    house.run(seconds(1));
    house.hang_up(1);
    house.run(seconds(40));
    assert_eq!(house.outcome(1), Outcome::HungUp);
    house.hang_up(0);
    house.run(seconds(40));
    assert!(matches!(house.progress(0), Progress::Ended(_)));
    house.assert_quiet();
}

#[test]
fn a_call_to_a_phone_that_is_gone_without_a_word_fails_in_time() {
    let mut house = House::registered(2, Transport::Udp);
    house.network.partition("192.0.2.1:5060".parse().unwrap(), "198.51.100.2:5060".parse().unwrap());
    house.call(0, "user1");
    house.run(seconds(40));
    assert_eq!(house.outcome(0), Outcome::Failed(StatusCode::REQUEST_TIMEOUT));
    assert_eq!(house.records.last().unwrap()["status"].as_u64(), Some(408));
    house.assert_quiet();
}

#[test]
fn a_phone_that_unregisters_cannot_be_called_any_more() {
    let mut house = House::registered(2, Transport::Tcp);
    house.with(1, Phone::unregister);
    house.run(seconds(1));
    house.call(0, "user1");
    house.run(seconds(3));
    assert_eq!(house.outcome(0), Outcome::Failed(StatusCode::TEMPORARILY_UNAVAILABLE));
}
