//! What a registered contact keeps in memory, and what a refresh allocates. Alone in its process, for its allocator counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::time::{Duration, Instant};

use c4_sip_core::message::Checked;
use c4_sip_core::registrar::{Config, Context, Registrar, Registration};
use c4_sip_core::{Flow, Limits, Message, Request};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

const CONTACTS: usize = 100_000;

/// A phone behind a load balancer: its Path carries a signed token.
fn request(user: usize, cseq: u32) -> Request {
    let text = format!(
        "REGISTER sip:biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{user}x{cseq}\r\n\
         Max-Forwards: 69\r\nFrom: <sip:user{user}@biloxi.example.com>;tag=456248\r\n\
         To: <sip:user{user}@biloxi.example.com>\r\nCall-ID: 8438176376842309-{user}@998sdasdh09\r\n\
         CSeq: {cseq} REGISTER\r\nUser-Agent: Phone 5.0.1\r\nSupported: path\r\n\
         Path: <sip:AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@10.0.0.1:5060;lr;transport=udp>\r\n\
         Contact: <sip:user{user}@192.0.2.4:{};ob>;expires=3600\r\nContent-Length: 0\r\n\r\n",
        1024 + user % 60_000
    );
    let message = Message::parse(text.into_bytes().into(), &Limits::default()).unwrap();
    match message.check().unwrap() {
        Checked::Request(request) => request,
        Checked::Response(_) => unreachable!(),
    }
}

fn register_all(registrar: &mut Registrar, now: Instant, cseq: u32, users: usize) {
    let flow = Flow::udp("10.0.0.2:5060".parse().unwrap(), "10.0.0.1:5060".parse().unwrap());
    for user in 0..users {
        let context = Context { flow, nated: false, received: Some("192.0.2.4:1024".parse().unwrap()) };
        assert!(registrar.register(now, &request(user, cseq), &context).is_ok());
        assert!(registrar.poll_event().is_some());
    }
}

#[test]
fn a_contact_keeps_at_most_600_octets_and_a_refresh_leaves_nothing_behind() {
    let now = Clock::new().now();
    let before = Heap::now();
    let mut registrar = Registrar::new(Config::new([1; 32]), now, Duration::from_secs(1_700_000_000));
    register_all(&mut registrar, now, 1, CONTACTS);
    let filled = Heap::now();
    // What malloc adds to each allocation: its header, and the rounding to 16 octets.
    const OVERHEAD: u64 = 16;
    let each = (filled.live - before.live) / CONTACTS as u64 + OVERHEAD;
    println!("{each} octets a contact");
    assert!(each <= 600, "{each} octets a contact");

    register_all(&mut registrar, now + Duration::from_secs(60), 2, CONTACTS / 10);
    assert_eq!(registrar.len(), CONTACTS);
    let refreshed = Heap::now();
    assert!(refreshed.live <= filled.live + 1024, "a refresh left something behind");

    // The table's own part of a refresh: the list for the answer, and the Path that it echoes.
    let request = request(7, 3);
    let registration = Registration::parse(&request).unwrap();
    let flow = Flow::udp("10.0.0.2:5060".parse().unwrap(), "10.0.0.1:5060".parse().unwrap());
    let context = Context { flow, nated: false, received: Some("192.0.2.4:1024".parse().unwrap()) };
    let start = Heap::now();
    let granted = registrar.apply(now + Duration::from_secs(61), &registration, &context).unwrap();
    let allocations = Heap::now().allocations_since(start);
    assert_eq!(granted.bindings().len(), 1);
    assert!(allocations <= 3, "{allocations} allocations in a refresh");

    registrar.handle_timeout(now + Duration::from_secs(8000));
    while registrar.poll_event().is_some() {}
    assert!(registrar.is_empty());
}
