//! Garbage and floods, at the NG sockets and at the ports of media.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use c4_ref::ng::{Command, Reply, Request};

use crate::common::PATIENCE;
use crate::harness::{Call, Ng, Party, RR, Relay, place, request, rtcp_of, rtp, texts};

/// What no relay understands.
fn garbage() -> Vec<Vec<u8>> {
    let offer = request(Command::Offer, "cut", &Party::new("127.0.0.1").sdp()).to_vec();
    let cut = (1..offer.len()).step_by(7).map(|length| offer[..length].to_vec());
    let nested = |open: &str| open.repeat(3000).into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    let whole = [
        nested("l"),
        nested("d1:a"),
        nested("d"),
        [&b"d7:command"[..], &b"l".repeat(5000)].concat(),
        text("d7:command99999999999999999999:pinge"),
        text("d7:command4294967295:pinge"),
        text("d7:command-4:pinge"),
        text("di1e4:pinge"),
        text("d7:commandi99999999999999999999999999ee"),
        text("d7:command4:pinge trailing"),
        text("de"),
        text("le"),
        text("4:ping"),
        text("i1e"),
        text("{\"command\": \"ping\"}"),
        text("d7:command0:e"),
        text("d7:command7:no-suche"),
        text("d7:command5:offere"),
        text("d7:command5:offer7:call-id1:x8:from-tag1:a3:sdp0:e"),
        text("d7:command5:offer7:call-id1:x8:from-tag1:a3:sdp7:no sdp.e"),
        text("d7:command6:answer7:call-id1:x8:from-tag1:ae"),
        text("d7:command6:deletee"),
        text("d7:command5:querye"),
        b"d7:command4:\xff\xfe\0\xffe".to_vec(),
        vec![0; 1000],
        vec![0xff; 60_000],
    ];
    cut.chain(whole).collect()
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(_)) || *reply == Reply::with_warning("Call-ID not found or tags didn't match")
}

fn is_alive(relay: &Relay) {
    assert_eq!(relay.udp().ask(&Request::new(Command::Ping, "")), Reply::Pong);
    assert_eq!(relay.tcp().ask(&Request::new(Command::Ping, "")), Reply::Pong);
}

#[test]
fn ng_garbage_in_datagrams_is_answered_and_survived() {
    let relay = Relay::start("garbage-udp", &["relay.workers=2"]);
    let mut ng = relay.udp();
    let mut call = Call::new(&mut ng, "under way");
    for payload in garbage() {
        let cookie = ng.send(&payload);
        let (of, reply) = ng.receive().unwrap();
        assert!(of == cookie && is_refused(&reply), "{reply:?} for {:?}", String::from_utf8_lossy(&payload));
        // Without a cookie there is nothing that an answer could name.
        ng.send_raw(b"");
        ng.send_raw(b"nocookie");
        ng.send_raw(&[b'x'; 3000]);
    }
    call.talk();
    assert_eq!(relay.stat("relay.calls"), 1);
    is_alive(&relay);
}

#[test]
fn ng_garbage_on_connections_ends_them_alone() {
    let relay = Relay::start("garbage-tcp", &["relay.workers=2"]);
    let mut good = relay.tcp();
    let mut call = Call::new(&mut good, "under way");
    for payload in garbage() {
        // What is cut off may be the beginning of a message: only its end tells.
        let mut ng = relay.tcp();
        ng.send(&payload);
        ng.end();
        while let Some((_, reply)) = ng.receive() {
            // On a connection something may follow.
            let followed = reply == Reply::Pong && payload.ends_with(b"trailing");
            assert!(followed || is_refused(&reply), "{reply:?} for {:?}", String::from_utf8_lossy(&payload));
        }
    }
    assert_eq!(good.ask(&Request::new(Command::Ping, "")), Reply::Pong);
    call.talk();
    is_alive(&relay);
}

#[test]
fn a_cookie_that_comes_again_gets_the_same_reply_and_does_nothing_twice() {
    let relay = Relay::start("cookies", &["relay.workers=2"]);
    let mut ng = relay.udp();
    for n in 0..6 {
        let offer = request(Command::Offer, &format!("c{n}"), &Party::new("127.0.0.1").sdp()).to_vec();
        let message = [format!("same{n} ").as_bytes(), &offer].concat();
        (0..20).for_each(|_| ng.send_raw(&message));
        // Those that come while the first is under way wait for its reply.
        let first = ng.receive().unwrap();
        ng.send_raw(&message);
        assert_eq!(ng.receive().unwrap(), first);
        ng.quiet(&first);
    }
    // Six offers, as many pings, and the first one.
    assert_eq!((relay.stat("relay.calls"), relay.stat("relay.port-pairs"), relay.stat("ng.requests")), (6, 12, 13));
}

#[test]
fn a_hundred_thousand_offers_from_one_source_are_bounded_and_answered() {
    let relay = Relay::start("offers", &["relay.workers=2", "relay.ports=10000-10799"]);
    let mut ng = relay.udp();
    let sdp = Party::new("127.0.0.1").sdp();
    let (mut made, mut refused) = (0, 0);
    for round in 0..2500 {
        for n in 0..40 {
            ng.send(&request(Command::Offer, &format!("flood {round} {n}"), &sdp).to_vec());
        }
        for _ in 0..40 {
            match ng.receive().unwrap().1 {
                Reply::Ok(_) => made += 1,
                Reply::Error(why) if why == "Ran out of ports" => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(made + refused, 100_000);
    // A worker has half of the 400 pairs, and a call takes two.
    assert!((190..=200).contains(&made), "{made}");
    assert_eq!(relay.stat("relay.calls"), made);
    let heap = relay.stat("process.heap-bytes");
    assert!(heap < 64 << 20, "{heap}");
    is_alive(&relay);
}

#[test]
fn connections_that_do_not_read_or_say_nothing_are_bounded() {
    let relay = Relay::start("connections", &[]);
    let mut good = relay.tcp();
    let idle: Vec<Ng> = (0..300).map(|_| relay.tcp()).collect();
    assert_eq!(good.ask(&Request::new(Command::Ping, "")), Reply::Pong);
    assert_eq!(relay.udp().ask(&Request::new(Command::Ping, "")), Reply::Pong);
    assert!(relay.stat("ng.connections") <= 256);
    drop(idle);
    while relay.stat("ng.connections") > 1 {}
    let deaf = relay.tcp();
    assert!(deaf.floods(b"cookie d7:command4:pinge"), "it is closed some time");
    is_alive(&relay);
}

#[test]
fn lesson_24_what_no_datagram_carries_goes_over_tcp() {
    let relay = Relay::start("lesson-24", &[]);
    let party = Party::new("127.0.0.1");
    // As browsers write them: many candidates, extensions and codecs.
    let line = format!("a=x-candidate:{}\r\n", "0123456789 ".repeat(30));
    let long = |octets: usize| party.sdp() + &line.repeat(octets / line.len());
    let (mut udp, mut tcp) = (relay.udp(), relay.tcp());
    let browser = request(Command::Offer, "browser", &long(40_000));
    assert!(matches!(udp.ask(&browser), Reply::Ok(_)), "a datagram of several fragments");
    let offer = request(Command::Offer, "longest", &long(65_300));
    assert!(offer.to_vec().len() > 65_507 - 500);
    let reply = tcp.ask(&offer);
    assert!(reply.sdp().unwrap().len() > 60_000);
    let b = Party::new("127.0.0.1");
    let to_b = place(&reply);
    let to_a = place(&tcp.ask(&request(Command::Answer, "longest", &b.sdp())));
    Call::of(party, b, to_a, to_b).talk();
    // A request that fits into a datagram, though its reply does not: the client is told what to do.
    let names: Vec<String> = (0..150).map(|n| format!("{n:0500}")).collect();
    let sdp = Party::new("127.0.0.1").sdp();
    names.iter().for_each(|name| assert!(matches!(tcp.ask(&request(Command::Offer, name, &sdp)), Reply::Ok(_))));
    let list = Request { limit: Some(1000), ..Request::new(Command::List, "") };
    assert_eq!(udp.ask(&list), Reply::error("Reply is larger than a datagram, ask over TCP"));
    assert_eq!(texts(&tcp.ask(&list), "calls").len(), 152);
}

/// Sends to `targets` until told to stop, and counts.
fn flood(stop: Arc<AtomicBool>, sent: Arc<AtomicU64>, targets: Vec<SocketAddr>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.2:0").unwrap();
        while !stop.load(Ordering::Relaxed) {
            for target in &targets {
                for payload in [&rtp(7)[..], b"GET / HTTP/1.0\r\n\r\n", &RR, &[], &[0x80; 11], &[0xff; 1400]] {
                    sent.fetch_add(u64::from(socket.send_to(payload, target).is_ok()), Ordering::Relaxed);
                }
            }
        }
    })
}

#[test]
fn a_flood_into_one_calls_ports_harms_no_other_call() {
    let relay = Relay::start("flood", &["relay.workers=1"]);
    let mut ng = relay.udp();
    let (mut call, mut flooded) = (Call::new(&mut ng, "heard"), Call::new(&mut ng, "flooded"));
    call.talk();
    flooded.talk();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let targets = [flooded.to_a, flooded.to_b].iter().flat_map(|at| [*at, rtcp_of(*at)]).collect();
    let flooder = flood(stop.clone(), sent.clone(), targets);
    let mut rounds = 0;
    while rounds < 300 || sent.load(Ordering::Relaxed) < 20_000 {
        call.talk();
        if rounds % 100 == 0 {
            is_alive(&relay);
        }
        rounds += 1;
    }
    stop.store(true, Ordering::Relaxed);
    flooder.join().unwrap();
    // What waits in its sockets goes first; then it can be heard again, and nothing of the flood was passed on.
    let mut seen = 0;
    while seen != relay.stat("io_media_rx") {
        seen = relay.stat("io_media_rx");
    }
    flooded.talk();
    for name in ["relay.drops.source", "relay.drops.short", "relay.drops.not_rtp"] {
        assert!(relay.stat(name) > 100, "{name}");
    }
}

#[test]
fn garbage_between_the_packets_of_a_call_is_dropped_and_counted() {
    let relay = Relay::start("rtp-garbage", &["relay.workers=1"]);
    let mut ng = relay.udp();
    let mut call = Call::new(&mut ng, "garbage");
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    call.talk();
    const ROUNDS: u64 = 100;
    for n in 0..ROUNDS {
        for to in [call.to_a, call.to_b] {
            // From strangers, and from the parties themselves.
            stranger.send_to(&rtp(n as u16), to).unwrap();
            stranger.send_to(&RR, rtcp_of(to)).unwrap();
            let party = if to == call.to_a { &call.a } else { &call.b };
            party.rtp.send_to(b"GET / HTTP/1.0\r\n\r\n", to).unwrap();
            party.rtp.send_to(&[0x80, 0], to).unwrap();
            party.rtp.send_to(&[], to).unwrap();
            party.rtcp.send_to(&rtp(1), rtcp_of(to)).unwrap();
        }
        // Whatever is wrong with them is in the sockets before what is right.
        call.talk();
    }
    assert_eq!(relay.stat("relay.drops.source"), 4 * ROUNDS);
    assert_eq!(relay.stat("relay.drops.not_rtp"), 4 * ROUNDS);
    assert_eq!(relay.stat("relay.drops.short"), 4 * ROUNDS);
    assert_eq!(relay.stat("relay.packets"), 4 * (ROUNDS + 1));
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv_from(&mut [0; 64]).is_err(), "the stranger hears nothing");
}
