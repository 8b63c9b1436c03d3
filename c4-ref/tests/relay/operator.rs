//! What the operator sees and is told.

use std::net::UdpSocket;

use c4_ref::ng::{Command, Reply};
use serde_json::Value;

use crate::common::PATIENCE;
use crate::harness::{Call, Ng, Party, Relay, request};

#[test]
fn calls_are_listed_shown_and_counted() {
    let relay = Relay::start("operator", &["relay.workers=2"]);
    let mut ng = relay.udp();
    let mut calls: Vec<Call> = (0..6).map(|n| Call::new(&mut ng, &format!("call {n}"))).collect();
    calls.iter_mut().for_each(Call::talk);
    let text = |args: &[&str]| {
        let output = relay.c4(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = text(&["relay", "list"]);
    assert_eq!(list.lines().count(), 6);
    for n in 0..6 {
        let line = list.lines().find(|line| line.contains(&format!("call-id=call {n} "))).unwrap();
        assert!(line.contains("packets=4 ") && line.contains("parties=2 ") && line.contains("port-pairs=2"), "{line}");
        let shown: Value = serde_json::from_str(&text(&["relay", "show", &format!("call {n}")])).unwrap();
        assert_eq!(shown["totals"]["RTP"]["packets"], 2);
    }
    let output = relay.c4(&["relay", "show", "no such call"]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(70), &b"c4: there is no such call\n"[..]));
    for (name, count) in [
        ("relay.calls", 6),
        ("relay.calls-total", 6),
        ("relay.port-pairs", 12),
        ("relay.packets", 24),
        ("io_media_rx", 24),
        ("io_media_tx", 24),
        ("relay.drops.source", 0),
        ("ng.requests", 13),
        ("ng.unknown_flags", 0),
    ] {
        assert_eq!(relay.stat(name), count, "{name}");
    }
    let unknown = "d7:command4:ping5:flagsl12:no-such-flagee";
    ng.send(unknown.as_bytes());
    assert_eq!(ng.receive().unwrap().1, Reply::Pong);
    assert_eq!(relay.stat("ng.unknown_flags"), 1);
}

#[test]
fn a_limit_of_sessions_counts_the_calls_of_all_workers() {
    let relay = Relay::start("sessions", &["relay.workers=2", "relay.max-sessions=5", "relay.delete-delay-ms=0"]);
    let mut ng = relay.udp();
    (0..5).for_each(|n| drop(Call::new(&mut ng, &format!("c{n}"))));
    let offer = |ng: &mut Ng, n: u32, supports: bool| {
        let mut offer = request(Command::Offer, &format!("more{n}"), &Party::new("127.0.0.1").sdp());
        offer.flags.supports_load_limit = supports;
        ng.ask(&offer)
    };
    let text = "Parallel session limit reached";
    for n in 0..8 {
        assert_eq!(offer(&mut ng, n, false), Reply::error(text));
        assert_eq!(offer(&mut ng, n, true), Reply::LoadLimit(text.into()));
    }
    assert_eq!(relay.stat("relay.refused-limit"), 16);
    assert!(matches!(ng.ask(&request(Command::Delete, "c0", "")), Reply::Ok(_)));
    assert!(matches!(offer(&mut ng, 9, true), Reply::Ok(_)));
    assert_eq!(offer(&mut ng, 10, false), Reply::error(text));
}

#[test]
fn timeouts_are_told_to_whoever_listens() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = format!("relay.notify=udp:{}", listener.local_addr().unwrap());
    let relay = Relay::start(
        "notify",
        &[&notify, "relay.workers=2", "relay.media-timeout-ms=200", "relay.offer-timeout-ms=200"],
    );
    let mut ng = relay.udp();
    let mut heard = vec![0; 2048];
    let mut hear = || -> Value {
        let length = listener.recv(&mut heard).unwrap();
        serde_json::from_slice(&heard[..length]).unwrap()
    };
    for n in 0..4 {
        let name = format!("never answered {n}");
        ng.ask(&request(Command::Offer, &name, &Party::new("127.0.0.1").sdp()));
        let notice = hear();
        assert_eq!((&notice["event"], &notice["call-id"]), (&"offer-timeout".into(), &Value::from(name)));
        assert_eq!((&notice["from-tag"], &notice["last-packet-ms"]), (&"a".into(), &Value::Null));
    }
    let mut call = Call::new(&mut ng, "silent");
    call.talk();
    let notice = hear();
    assert_eq!((&notice["event"], &notice["call-id"]), (&"media-timeout".into(), &"silent".into()));
    assert!(notice["last-packet-ms"].as_u64().is_some_and(|since| since >= 200), "{notice}");
    assert_eq!((relay.stat("relay.timeouts.offer-timeout"), relay.stat("relay.timeouts.media-timeout")), (4, 1));
    assert_eq!((relay.stat("relay.calls"), relay.stat("io_media_sockets")), (0, 0));
}

#[test]
fn sigterm_ends_it_in_order() {
    let relay = Relay::start("term", &["relay.workers=2"]);
    let mut ng = relay.tcp();
    let _call = Call::new(&mut ng, "under way");
    let file = relay.scratch.path().join("ctl");
    assert!(file.exists());
    let Relay { daemon, scratch: _scratch, .. } = relay;
    assert_eq!(daemon.terminate(), Some(0));
    assert!(!file.exists());
}

#[test]
fn after_a_crash_it_is_there_at_once_on_the_same_ports() {
    // Four pairs in all, on an address of this test's own.
    let relay = Relay::start("crash", &["relay.workers=1", "relay.interfaces+=127.0.83.1", "relay.ports=20000-20007"]);
    let mut tcp = relay.tcp();
    let mut calls: Vec<Call> = (0..2).map(|n| Call::new(&mut tcp, &format!("c{n}"))).collect();
    calls.iter_mut().for_each(Call::talk);
    let relay = relay.restart();
    assert_eq!(tcp.receive(), None, "the connection went with the process");
    let mut tcp = relay.tcp();
    let mut calls: Vec<Call> = (0..2).map(|n| Call::new(&mut tcp, &format!("c{n}"))).collect();
    calls.iter_mut().for_each(Call::talk);
}

#[test]
fn a_drained_relay_keeps_its_calls_and_takes_no_new_ones() {
    let relay = Relay::start("drain", &["relay.workers=2", "relay.delete-delay-ms=0"]);
    let mut ng = relay.udp();
    let mut call = Call::new(&mut ng, "there");
    let drain = |args: &[&str]| String::from_utf8(relay.c4(args).stdout).unwrap();
    assert_eq!(drain(&["relay", "drain"]), "draining true\n");
    for n in 0..6 {
        let offer = request(Command::Offer, &format!("new {n}"), &Party::new("127.0.0.1").sdp());
        assert_eq!(ng.ask(&offer), Reply::error("Parallel session limit reached"));
    }
    // A hold and its end.
    let a = call.a.sdp();
    assert!(matches!(ng.ask(&request(Command::Offer, "there", &a)), Reply::Ok(_)));
    assert!(matches!(ng.ask(&request(Command::Answer, "there", &call.b.sdp())), Reply::Ok(_)));
    call.talk();
    assert_eq!(drain(&["relay", "drain", "--off"]), "draining false\n");
    Call::new(&mut ng, "new again").talk();
}

#[test]
fn a_reload_counts_for_the_calls_that_are_there() {
    let relay = Relay::with_file("reload", "[relay]\nworkers = 2\noffer-timeout-ms = 3600000\nmax-sessions = 3\n");
    let mut ng = relay.udp();
    let offer = |n: u32| request(Command::Offer, &format!("c{n}"), &Party::new("127.0.0.1").sdp());
    (0..3).for_each(|n| assert!(matches!(ng.ask(&offer(n)), Reply::Ok(_))));
    assert_eq!(ng.ask(&offer(3)), Reply::error("Parallel session limit reached"));
    relay.write("[relay]\nworkers = 2\noffer-timeout-ms = 1\nmax-sessions = 0\n");
    let output = String::from_utf8(relay.c4(&["reload"]).stdout).unwrap();
    assert!(
        output.contains("changed relay.max-sessions") && output.contains("changed relay.offer-timeout-ms"),
        "{output}"
    );
    while relay.stat("relay.calls") > 0 {}
    assert_eq!(relay.stat("relay.timeouts.offer-timeout"), 3);
}
