//! TCP: framing, timeouts, bounds, closed flows, other workers' connections.

use std::net::TcpListener;
use std::sync::Arc;

use super::*;
use crate::io::Sources;

fn quick(options: &mut Options) {
    options.timeouts.message = Duration::from_millis(150);
}

/// The stats of the server once the number of connections is `count`.
fn connections(rig: &Rig, count: u64) -> bool {
    eventually(|| rig.stat("connections") == count)
}

#[test]
fn rfc3261_18_3_messages_are_framed_by_content_length() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut stream = rig.tcp();
    let two = options("a", "first") + &options("a", "second");
    let (head, tail) = two.split_at(333);
    stream.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut stream).contains("Call-ID: first"));
    stream.write_all(tail.as_bytes()).unwrap();
    assert!(read_head(&mut stream).contains("Call-ID: second"));
    let (_, flow) = rig.hear_message();
    assert_eq!((flow.transport, flow.local), (Transport::Tcp, rig.address(Transport::Tcp)));
    assert_eq!(flow.remote, stream.local_addr().unwrap());
    assert_eq!(rig.hear_message().1, flow, "one connection, one flow");
}

#[test]
fn rfc5626_3_5_1_a_ping_is_answered_with_a_pong() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut stream = rig.tcp();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    assert!(exchange(&mut stream, &options("a", "after")).starts_with("SIP/2.0 200"));
}

#[test]
fn slow_loris_connections_are_all_closed() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 2, quick);
    let mut streams: Vec<TcpStream> = (0..200).map(|_| rig.tcp()).collect();
    let request = options("a", "loris");
    // A further octet never buys more time.
    for octet in request.as_bytes().iter().take(40) {
        for stream in &mut streams {
            let _ = stream.write_all(&[*octet]);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(streams.iter_mut().all(closes));
    assert_eq!(rig.stat("io_closed_slow"), 200);
}

#[test]
fn half_a_message_is_closed_and_a_quiet_connection_is_not() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, quick);
    let mut quiet = rig.tcp();
    let request = options("a", "half");
    exchange(&mut quiet, &request);
    let mut half = rig.tcp();
    half.write_all(&request.as_bytes()[..60]).unwrap();
    assert!(closes(&mut half));
    assert!(exchange(&mut quiet, &request).starts_with("SIP/2.0 200"));
}

#[test]
fn a_connection_without_a_first_message_is_closed_by_the_message_timeout() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, quick);
    let mut served = rig.tcp();
    exchange(&mut served, &options("a", "served"));
    let mut silent = rig.tcp();
    assert!(closes(&mut silent));
    assert_eq!((rig.stat("io_closed_slow"), rig.stat("connections")), (1, 1));
    assert!(
        exchange(&mut served, &options("a", "again")).starts_with("SIP/2.0 200"),
        "once served, the idle time counts"
    );
}

#[test]
fn rfc5626_4_4_1_pings_before_the_first_message_buy_no_time() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, quick);
    let mut stream = rig.tcp();
    let mut pong = [0; 2];
    let (mut pongs, end) = (0, Instant::now() + SOON);
    // A pong for each ping, until the time for the first message is over.
    while stream.write_all(b"\r\n\r\n").is_ok() && stream.read_exact(&mut pong).is_ok() && Instant::now() < end {
        pongs += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(pongs > 0, "pings are answered all the same");
    assert!(Instant::now() < end);
    assert_eq!(rig.stat("io_closed_slow"), 1);
}

#[test]
fn a_connection_that_we_made_awaits_no_first_message() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, quick);
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = peer.local_addr().unwrap().to_string();
    let flow = rig.connect(json!({ "id": 1, "transport": "tcp", "remote": remote })).unwrap();
    let (mut made, _) = peer.accept().unwrap();
    assert!(closes(&mut rig.tcp()), "the time of one that a peer opened later is over");
    rig.send(flow, &options("a", "outwards"), 1);
    assert!(read_head(&mut made).contains("outwards"));
}

#[test]
fn the_clock_starts_again_with_each_message() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |o| o.timeouts.message = Duration::from_secs(2));
    let mut stream = rig.tcp();
    let message = options("a", "steady");
    // Always half a message under way, none of them for long.
    let (head, tail) = message.split_at(50);
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(250));
        stream.write_all(format!("{tail}{head}").as_bytes()).unwrap();
        read_head(&mut stream);
    }
    assert_eq!(rig.stat("io_closed_slow"), 0);
}

#[test]
fn an_idle_connection_is_closed() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |o| o.timeouts.idle = Duration::from_millis(100));
    assert!(closes(&mut rig.tcp()));
    assert_eq!(rig.stat("io_closed_idle"), 1);
}

#[test]
fn garbage_on_a_stream_closes_that_stream_only() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut good = rig.tcp();
    for garbage in [&b"\xff\xfe\xfd\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"] {
        let mut bad = rig.tcp();
        bad.write_all(garbage).unwrap();
        assert!(closes(&mut bad));
    }
    assert!(exchange(&mut good, &options("a", "good")).starts_with("SIP/2.0 200"));
    assert_eq!(rig.stat("io_closed_framing"), 2);
}

#[test]
fn the_end_of_a_connection_is_told_to_every_worker() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 2, |_| {});
    let mut stream = rig.tcp();
    exchange(&mut stream, &options("a", "closing"));
    let (_, flow) = rig.hear_message();
    drop(stream);
    let mut told = [rig.hear(), rig.hear()];
    told.sort_by_key(|heard| format!("{heard:?}"));
    assert_eq!(told, [Heard::Closed(0, flow), Heard::Closed(1, flow)]);
    rig.send(flow, "late", 1);
    assert!(matches!(rig.hear(), Heard::Failed(_, ErrorKind::NotConnected)));
}

#[test]
fn what_came_before_the_end_of_a_stream_is_answered() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut stream = rig.tcp();
    stream.write_all(options("a", "last").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read_head(&mut stream).contains("Call-ID: last"));
    assert!(closes(&mut stream));
}

#[test]
fn close_after_send_comes_after_the_octets() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut stream = rig.tcp();
    assert!(exchange(&mut stream, &options_with("a", "bye", "Subject: close\r\n")).starts_with("SIP/2.0 200"));
    assert!(closes(&mut stream));
    assert_eq!(rig.stat("io_closed_us"), 1);
}

#[test]
fn a_peer_that_does_not_read_is_closed_when_its_buffer_is_full() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let mut stream = rig.tcp();
    exchange(&mut stream, &options("a", "deaf"));
    let (_, flow) = rig.hear_message();
    // Far more than our buffer and those of the kernel hold.
    rig.send(flow, &"x".repeat(60_000), 600);
    assert!(matches!(rig.hear(), Heard::Failed(_, ErrorKind::WriteZero)));
    assert!(eventually(|| rig.stat("io_closed_full") == 1));
    assert!(connections(&rig, 0));
}

#[test]
fn a_transmit_reaches_another_workers_connection() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 4, |_| {});
    let mut far = 0;
    // The kernel spreads connections over the workers: after 40 the first owns not all.
    for n in 0..40 {
        let mut stream = rig.tcp();
        exchange(&mut stream, &options("a", &format!("cross-{n}")));
        let (worker, flow) = rig.hear_message();
        assert_eq!(usize::from(flow.connection.unwrap().worker()), worker, "the id names the owner");
        far += usize::from(worker != 0);
        // Commands go to the first worker.
        rig.send(flow, &options("a", "from-the-first"), 1);
        assert!(read_head(&mut stream).contains("from-the-first"));
        drop(stream);
        for _ in 0..4 {
            assert!(matches!(rig.hear(), Heard::Closed(..)));
        }
        if worker != 0 {
            rig.send(flow, "late", 1);
            assert!(matches!(rig.hear(), Heard::Failed(_, ErrorKind::NotConnected)), "failures come back");
        }
    }
    assert!(far > 0);
}

#[test]
fn a_connect_finds_the_connection_that_exists() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = peer.local_addr().unwrap();
    let ask = |id: u64| rig.connect(json!({ "id": id, "transport": "tcp", "remote": remote.to_string() }));
    let flow = ask(1).unwrap();
    assert_eq!((flow.remote, flow.local), (remote, rig.address(Transport::Tcp)), "it bears the listener's address");
    assert_eq!(ask(2), Ok(flow));
    let (mut stream, _) = peer.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    rig.send(flow, &options("a", "outwards"), 1);
    assert!(read_head(&mut stream).contains("outwards"));
    // A connection that a peer made is found too.
    let mut inbound = rig.tcp();
    exchange(&mut inbound, &options("a", "inbound"));
    let (_, flow) = rig.hear_message();
    let params = json!({ "id": 3, "transport": "tcp", "remote": flow.remote.to_string() });
    assert_eq!(rig.connect(params), Ok(flow));
}

#[test]
fn a_connect_that_fails_says_why() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |_| {});
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let params = |id: u64| json!({ "id": id, "transport": "tcp", "remote": nobody.to_string() });
    assert_eq!(rig.connect(params(1)), Err(ErrorKind::ConnectionRefused));
    assert_eq!(rig.connect(params(2)), Err(ErrorKind::ConnectionRefused), "nothing is left of the first");
    let params = json!({ "id": 3, "transport": "ws", "remote": nobody.to_string() });
    assert_eq!(rig.connect(params), Err(ErrorKind::Unsupported));
    assert!(connections(&rig, 0));
}

#[test]
fn beyond_the_bound_connections_are_refused_and_places_are_used_again() {
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 1, |o| o.max_connections = 10);
    let mut streams: Vec<TcpStream> = (0..10).map(|_| rig.tcp()).collect();
    assert!(connections(&rig, 10));
    assert!(closes(&mut rig.tcp()));
    assert_eq!(rig.stat("io_refused"), 1);
    let mut ids = std::collections::HashSet::new();
    for n in 0..50 {
        streams.remove(0);
        assert!(connections(&rig, 9));
        let mut stream = rig.tcp();
        exchange(&mut stream, &options("a", &format!("place-{n}")));
        streams.push(stream);
    }
    while let Ok(heard) = rig.heard.try_recv() {
        if let Heard::Message(_, flow, _) = heard {
            assert!(ids.insert(flow.connection), "ids are never used again");
        }
    }
    assert_eq!(ids.len(), 50);
}

#[test]
fn one_source_holds_so_many_connections_and_the_others_do_not_feel_it() {
    let sources = Arc::new(Sources::new(3, Vec::new()));
    let with = sources.clone();
    let rig = Rig::start(&["tcp:127.0.0.1:0"], 2, |options| options.sources = with);
    let from = |address: [u8; 4]| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&rig.address(Transport::Tcp).into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let mut held: Vec<TcpStream> = (0..3).map(|_| from([127, 0, 0, 7])).collect();
    for stream in &mut held {
        assert!(exchange(stream, &options("a", "held")).starts_with("SIP/2.0 200"));
    }
    assert!(closes(&mut from([127, 0, 0, 7])), "the fourth of one source, at whatever worker");
    assert!(exchange(&mut from([127, 0, 0, 8]), &options("a", "other")).starts_with("SIP/2.0 200"));
    assert_eq!((rig.stat("io_refused_source"), rig.stat("io_refused")), (1, 0));
    drop(held.pop());
    assert!(eventually(|| rig.stat("connections") <= 2));
    let mut again = from([127, 0, 0, 7]);
    assert!(exchange(&mut again, &options("a", "again")).starts_with("SIP/2.0 200"), "a place that was given back");
    sources.set(3, vec!["127.0.0.7".parse().unwrap()]);
    assert!(exchange(&mut from([127, 0, 0, 7]), &options("a", "peer")).starts_with("SIP/2.0 200"), "a peer");
}
