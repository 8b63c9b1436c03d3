//! Calls with sound, by both ways of asking and over several workers.

use std::process::Command as Process;

use c4_ref::ng::{Command, Reply, Request};

use crate::harness::{Call, Party, RELAY, Relay, place, request, texts};

#[test]
fn a_call_has_sound_both_ways() {
    let relay = Relay::start("sound", &["relay.workers=1"]);
    let mut ng = relay.udp();
    let mut call = Call::new(&mut ng, "sound");
    (0..20).for_each(|_| call.talk());
    let Reply::Ok(tree) = ng.ask(&request(Command::Query, "sound", "")) else { panic!() };
    assert!(format!("{tree:?}").contains("127.0.0.1"));
    assert!(matches!(ng.ask(&request(Command::Delete, "sound", "")), Reply::Ok(_)));
}

#[test]
fn calls_of_both_workers_have_sound_whichever_way_they_are_asked_for() {
    let relay = Relay::start("workers", &["relay.workers=2"]);
    let (mut udp, mut tcp) = (relay.udp(), relay.tcp());
    assert_eq!(
        (udp.ask(&Request::new(Command::Ping, "")), tcp.ask(&Request::new(Command::Ping, ""))),
        (Reply::Pong, Reply::Pong)
    );
    let names: Vec<String> = (0..12).map(|n| format!("call-{n}")).collect();
    let mut calls: Vec<Call> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        calls.push(Call::new(if n % 2 == 0 { &mut udp } else { &mut tcp }, name));
    }
    for _ in 0..3 {
        calls.iter_mut().for_each(Call::talk);
    }
    // Pair k belongs to worker k % 2: both have calls.
    let of = |worker: u16| calls.iter().filter(move |call| call.to_a.port() / 2 % 2 == worker).count();
    assert!(of(0) > 0 && of(1) > 0, "{} and {}", of(0), of(1));
    let list = |limit| Request { limit, ..Request::new(Command::List, "") };
    let mut all = texts(&tcp.ask(&list(None)), "calls");
    all.sort();
    let mut names = names;
    names.sort();
    assert_eq!(all, names);
    assert_eq!(texts(&udp.ask(&list(Some(5))), "calls").len(), 5);
}

#[test]
fn a_call_over_two_families() {
    let relay = Relay::start(
        "families",
        &[
            "relay.interfaces+={ name = \"x\", bind = \"127.0.0.1\" }",
            "relay.interfaces+={ name = \"x\", bind = \"::1\" }",
        ],
    );
    let mut ng = relay.udp();
    let (a, b) = (Party::new("127.0.0.1"), Party::new("::1"));
    let mut offer = request(Command::Offer, "families", &a.sdp());
    offer.flags.address_family = Some(c4_ref::ng::AddressFamily::Ip6);
    let to_b = place(&ng.ask(&offer));
    let mut answer = request(Command::Answer, "families", &b.sdp());
    answer.flags.address_family = Some(c4_ref::ng::AddressFamily::Ip4);
    let to_a = place(&ng.ask(&answer));
    assert!(to_b.is_ipv6() && to_a.is_ipv4());
    let mut call = Call::of(a, b, to_a, to_b);
    (0..3).for_each(|_| call.talk());
}

#[test]
fn what_cannot_be_bound_ends_it_with_one_line() {
    let relay = Relay::start("taken", &[]);
    let failure = |settings: &[&str]| {
        let all = [&["admin.listen="], settings].concat();
        let args = all.iter().flat_map(|setting| ["-s", setting]);
        let output = Process::new(RELAY).args(args).env("RUST_LOG", "off").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        (output.status.code(), text)
    };
    for transport in ["udp", "tcp"] {
        let ng = format!("relay.ng+={transport}:{}", relay.ng);
        let (code, line) = failure(&[&ng, "relay.interfaces+=127.0.0.1"]);
        assert!(code == Some(71) && line.contains(&relay.ng.to_string()), "{code:?} {line}");
    }
    let (code, line) = failure(&["relay.ng+=udp:127.0.0.1:0", "relay.interfaces+=192.0.2.1"]);
    assert!(code == Some(71) && line.contains("192.0.2.1"), "{code:?} {line}");
    assert_eq!(failure(&[]).0, Some(78), "no interface");
}

#[test]
fn ports_that_are_used_up_are_told_in_rtpengines_words_and_serve_again() {
    // Two pairs a call, and an address of this test's own.
    let local = ["relay.interfaces+=127.0.81.1", "relay.ports=20000-20007"];
    let relay = Relay::start("ports", &[local[0], local[1], "relay.workers=1", "relay.delete-delay-ms=0"]);
    let mut ng = relay.udp();
    let mut calls: Vec<Call> = (0..2).map(|n| Call::new(&mut ng, &format!("c{n}"))).collect();
    let sdp = Party::new("127.0.0.1").sdp();
    for n in 0..3 {
        let reply = ng.ask(&request(Command::Offer, &format!("one too many {n}"), &sdp));
        assert_eq!(reply, Reply::error("Ran out of ports"));
    }
    calls.iter_mut().for_each(Call::talk);
    assert_eq!(texts(&ng.ask(&Request::new(Command::List, "")), "calls").len(), 2, "what failed has left nothing");
}

#[test]
fn files_that_are_used_up_are_told_the_same_and_the_relay_serves_on() {
    let relay = Relay::limited("files", 200, &["relay.workers=2"]);
    let mut ng = relay.udp();
    let mut calls = Vec::new();
    let sdp = Party::new("127.0.0.1").sdp();
    // 200 files less 128 for everything else are 18 calls of four sockets.
    for n in 0..18 {
        calls.push(Call::new(&mut ng, &format!("c{n}")));
    }
    for n in 0..20 {
        let reply = ng.ask(&request(Command::Offer, &format!("one too many {n}"), &sdp));
        assert_eq!(reply, Reply::error("Ran out of ports"));
    }
    // Files for everything else are left.
    let mut tcp = relay.tcp();
    assert_eq!(tcp.ask(&Request::new(Command::Ping, "")), Reply::Pong);
    assert!(relay.c4(&["stats"]).status.success());
    calls.iter_mut().for_each(Call::talk);
}
