//! Everything is bounded at admission, and nothing is left over.

use crate::rig::*;
use c4_sip_core::transaction::{Busy, Event, Gone, Rejected};
use c4_sip_core::{Method, Transport};

fn options(n: usize) -> String {
    incoming("OPTIONS", Transport::Udp, &format!("192.0.2.1:5060;branch=z9hG4bK{n}"))
}

#[test]
fn beyond_max_transactions_each_side_is_busy_and_retransmissions_still_are_not() {
    let mut rig = Rig::with(|config| config.max_transactions = 3);
    for n in 0..3 {
        rig.arrives(udp(), &options(n));
        rig.request(Method::Options, udp());
    }
    assert_eq!(rig.input(udp(), parse(&options(9))), Err(Rejected::Busy));
    assert_eq!(rig.layer.request(rig.clock.now(), outgoing(Method::Options), udp()), Err(Busy));
    assert_eq!(rig.layer.stats().busy, 2);
    assert_eq!(rig.input(udp(), parse(&options(1))), Ok(()));
    assert!(rig.events().is_empty() && rig.sent().is_empty());
    assert_eq!(rig.layer.stats().current, 6);
}

#[test]
fn beyond_max_output_inputs_and_requests_are_busy_until_it_is_drained() {
    let mut rig = Rig::with(|config| config.max_output = 4);
    for n in 0..4 {
        rig.receive(udp(), parse(&options(n)));
    }
    assert_eq!(rig.input(udp(), parse(&options(4))), Err(Rejected::Busy));
    assert_eq!(rig.layer.request(rig.clock.now(), outgoing(Method::Options), udp()), Err(Busy));
    assert_eq!(rig.layer.send(rig.clock.now(), outgoing(Method::Ack), udp()), Err(Busy));
    assert_eq!(rig.events().len(), 4);
    rig.arrives(udp(), &options(4));
}

#[test]
fn a_stale_name_is_gone() {
    let mut rig = Rig::new();
    let (server, request) = rig.arrives(udp(), &options(0));
    rig.respond(server, &request, 200);
    let (client, sent) = {
        rig.sent();
        rig.request(Method::Invite, udp())
    };
    rig.receive(udp(), answer(&sent.text, 486));
    rig.run(ms(40_000));
    assert_eq!(rig.kinds(), ["Response", "ServerEnded", "ClientEnded"]);
    assert!(rig.layer.is_idle());
    for n in 1..10 {
        rig.arrives(udp(), &options(n));
        rig.request(Method::Invite, udp());
        assert_eq!(
            rig.layer.respond(rig.clock.now(), server, request.response(c4_sip_core::StatusCode::OK)),
            Err(Gone)
        );
        assert_eq!(rig.layer.cancel(rig.clock.now(), client, None), Err(Gone));
        assert_eq!(rig.layer.set_reply_connect(server, true), Err(Gone));
        rig.run(rig.clock.elapsed() + ms(1));
    }
}

#[test]
fn the_counters_of_a_call() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &incoming("INVITE", Transport::Udp, VIA));
    let (_, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 180));
    rig.receive(udp(), answer(&invite.text, 200));
    rig.respond(id, &request, 180);
    rig.respond(id, &request, 200);
    let stats = rig.layer.stats();
    assert_eq!((stats.current, stats.waiting, stats.total, stats.total_local), (2, 2, 2, 1));
    assert_eq!((stats.rpl_received, stats.rpl_sent, stats.rpl_generated), (2, 2, 0));
    assert_eq!((stats.completed_2xx, stats.created, stats.freed), (1, 2, 0));
    rig.run(ms(40_000));
    let stats = rig.layer.stats();
    assert_eq!((stats.current, stats.waiting, stats.total, stats.freed), (0, 0, 2, 2));
    let names: Vec<&str> = stats.rows().iter().map(|(name, _)| *name).collect();
    assert!(
        ["current", "waiting", "total", "total_local", "2xx", "6xx", "created", "freed"]
            .iter()
            .all(|n| names.contains(n))
    );
}

#[test]
fn each_transaction_ends_with_exactly_one_ended_event() {
    let mut rig = Rig::new();
    for n in 0..200usize {
        let (id, request) = rig.arrives(udp(), &options(n));
        rig.respond(id, &request, 200 + (n as u16 % 4) * 100);
        rig.sent();
        rig.request(if n % 2 == 0 { Method::Invite } else { Method::Info }, udp());
        rig.run(rig.clock.elapsed() + ms(n as u64 % 7));
        rig.layer.poll_event();
    }
    rig.run(rig.clock.elapsed() + ms(64_000));
    let events = rig.events();
    let ended = |event: &&Event| matches!(event, Event::ClientEnded { .. } | Event::ServerEnded { .. });
    assert_eq!(events.iter().filter(ended).count(), 400);
    assert!(rig.layer.is_idle());
}
