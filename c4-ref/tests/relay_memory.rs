//! What an answered call keeps in the relay's memory, its four sockets' places in the table included, and what is left
//! when it has ended. Alone in its process, for its allocator counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::time::{Duration, Instant};

use c4_ref::config::Interface;
use c4_ref::ng::{Command, Reply, Request};
use c4_ref::relay::media::{self, Packet, Verdict};
use c4_ref::relay::{Event, Relay, RequestId, Sessions, Settings, Timeouts};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

/// Just past a doubling of the tables, where they are the emptiest.
const CALLS: u64 = 1100;
/// Octets a call, in what the allocator was asked for.
const MOST: u64 = 8 << 10;

fn sdp(address: &str, port: u64) -> String {
    format!(
        "v=0\r\no=alice 2890844526 2890844526 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

fn ask(relay: &mut Relay, now: Instant, request: Request) -> Vec<media::Pair> {
    relay.handle_request(now, RequestId(1), request);
    let mut pairs = Vec::new();
    while let Some(event) = relay.media().poll_event() {
        if let media::Event::Open { pair, .. } = event {
            pairs.push(pair);
            relay.handle_open_done(now, pair.id, Ok(()));
        }
    }
    let reply = std::iter::from_fn(|| relay.poll_event()).last();
    assert!(matches!(reply, Some(Event::Reply { reply: Reply::Ok(_), .. })), "{reply:?}");
    pairs
}

fn request(command: Command, n: u64, sdp: String) -> Request {
    let mut request = Request::new(command, format!("8a7c6b5d4e3f2a1b{n:05}@198.51.100.23"));
    (request.from_tag, request.sdp) = ("9fxced76sl".into(), sdp.into());
    request
}

#[test]
fn an_answered_call_keeps_at_most_8_kb_and_nothing_when_it_has_ended() {
    let mut now = Clock::new().now();
    let mut relay = Relay::new(now, settings());
    let before = Heap::now();
    let mut packet = Packet::new();
    let buffer = Heap::now().live - before.live;
    for n in 0..CALLS {
        let pairs = ask(&mut relay, now, request(Command::Offer, n, sdp("192.0.2.1", 4000)));
        let answer = request(Command::Answer, n, sdp("198.51.100.2", 5000));
        ask(&mut relay, now, Request { to_tag: Some("314159".into()), ..answer });
        let mut sent = 0;
        for pair in &pairs {
            for from in ["192.0.2.1:4000", "198.51.100.2:5000"] {
                packet.fill(&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9, 0xff]);
                let verdict = relay.media().forward(now, pair.rtp, from.parse().unwrap(), &mut packet);
                sent += usize::from(matches!(verdict, Verdict::Send { .. }));
            }
        }
        assert_eq!((pairs.len(), sent), (2, 2), "a source each");
    }
    let each = (Heap::now().live - before.live - buffer) / CALLS;
    println!("{each} octets a call");
    assert!(each <= MOST, "{each} octets a call");

    now += Duration::from_secs(100);
    relay.handle_timeout(now);
    while relay.media().poll_event().is_some() || relay.poll_event().is_some() {}
    assert_eq!((relay.calls(), relay.media().pairs()), (0, 0));
    let left = (Heap::now().live - before.live - buffer) / CALLS;
    println!("{left} octets are left of each, for the calls to come");
    assert!(left <= MOST / 2, "{left} octets are left of each call");
}

fn settings() -> Settings {
    let hour = Duration::from_secs(3600);
    Settings {
        media: media::Settings { ports: (20_000, 39_999), worker: 0, workers: 1, key: [7; 16] },
        interfaces: vec![Interface { name: "int".into(), bind: [127, 0, 0, 1].into(), advertise: None }],
        tos: 184,
        timeouts: Timeouts {
            media: Duration::from_secs(60),
            silent: hour,
            offer: hour,
            delete_delay: Duration::from_secs(30),
        },
        sessions: Sessions::new(0),
        mark: "relay1".into(),
        unix: Duration::from_secs(1_800_000_000),
    }
}
