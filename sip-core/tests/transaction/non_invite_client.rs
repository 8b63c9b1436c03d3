//! RFC 3261 §17.1.2, row by row.

use crate::rig::*;
use c4_sip_core::Method;
use std::io::ErrorKind;

#[test]
fn rfc3261_17_1_2_2_timer_e_doubles_up_to_t2_until_timer_f() {
    let mut rig = Rig::new();
    let (_, first) = rig.request(Method::Options, udp());
    let sent = rig.run(ms(31_999));
    assert_eq!(times(&sent), [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert!(sent.iter().all(|again| again.text == first.text));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_17_1_2_2_after_a_provisional_response_timer_e_is_t2() {
    let mut rig = Rig::new();
    let (_, first) = rig.request(Method::Options, udp());
    rig.run(ms(100));
    rig.receive(udp(), answer(&first.text, 100));
    assert_eq!(rig.statuses(), [100]);
    assert_eq!(times(&rig.run(ms(10_000))), [500, 4500, 8500]);
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
}

#[test]
fn rfc3261_17_1_2_2_a_final_response_is_passed_once_and_absorbed_until_timer_k() {
    let mut rig = Rig::new();
    let (_, first) = rig.request(Method::Register, udp());
    rig.receive(udp(), answer(&first.text, 200));
    assert_eq!(rig.statuses(), [200]);
    assert_eq!((rig.layer.stats().current, rig.layer.stats().waiting), (1, 1));
    assert!(rig.run(ms(4_999)).is_empty());
    rig.receive(udp(), answer(&first.text, 200));
    rig.receive(udp(), answer(&first.text, 500));
    assert!(rig.events().is_empty());
    assert_eq!(rig.layer.stats().absorbed, 2);
    rig.run(ms(5_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
    rig.receive(udp(), answer(&first.text, 200));
    assert_eq!(rig.kinds(), ["StrayResponse"]);
}

#[test]
fn rfc3261_17_1_2_2_over_streams_nothing_is_repeated_and_timer_k_is_zero() {
    let mut rig = Rig::new();
    let (_, first) = rig.request(Method::Bye, tcp(1));
    assert!(rig.run(ms(30_000)).is_empty());
    rig.receive(tcp(1), answer(&first.text, 200));
    assert_eq!(rig.kinds(), ["Response", "ClientEnded"]);
    assert!(rig.layer.is_idle());
    rig.request(Method::Bye, tcp(1));
    rig.run(ms(62_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
}

#[test]
fn rfc3261_17_1_4_a_transport_failure_ends_it_but_not_after_the_final_response() {
    let mut rig = Rig::new();
    let (_, first) = rig.request(Method::Options, udp());
    rig.layer.handle_transmit_failed(rig.clock.now(), first.id, ErrorKind::ConnectionRefused);
    assert_eq!(rig.kinds(), ["TransportFailed", "ClientEnded"]);
    let (_, second) = rig.request(Method::Options, udp());
    rig.receive(udp(), answer(&second.text, 404));
    rig.layer.handle_transmit_failed(rig.clock.now(), second.id, ErrorKind::ConnectionRefused);
    assert_eq!(rig.kinds(), ["Response"]);
}

#[test]
fn timers_follow_the_configuration() {
    let mut rig = Rig::with(|config| {
        config.timers = c4_sip_core::transaction::Timers::from_t1(ms(100));
        config.timers.t2 = ms(300);
        config.timers.f = ms(1500);
    });
    rig.request(Method::Options, udp());
    assert_eq!(times(&rig.run(ms(2000))), [100, 300, 600, 900, 1200]);
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
}

#[test]
fn no_timer_is_short_between_ticks() {
    let mut rig = Rig::new();
    rig.clock.advance(std::time::Duration::from_micros(300));
    rig.request(Method::Options, udp());
    let sent = rig.run(ms(600));
    assert_eq!(times(&sent), [501]);
    assert!(sent[0].at >= std::time::Duration::from_micros(500_300));
}
