//! What a transaction keeps in memory, and what is left when it is gone. Alone in its process, for its allocator counts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use c4_sip_core::transaction::{Config, Event, Input, Layer};
use c4_sip_core::{Checked, Flow, Limits, Message, Request, StatusCode};
use std::time::{Duration, Instant};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

const TRANSACTIONS: usize = 5_000;
/// What malloc adds to each allocation: its header, and the rounding to 16 octets.
const OVERHEAD: u64 = 24;

fn flow() -> Flow {
    Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap())
}

/// A request of usual size, with a body if it is an INVITE.
fn request(method: &str, n: usize) -> Checked {
    let body = if method == "INVITE" { "x".repeat(500) } else { String::new() };
    let text = format!(
        "{method} sip:bob@biloxi.example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK74bf9c4d0e0abcdef{n};rport\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9{n};received=198.51.100.7;rport=41000\r\n\
         Record-Route: <sip:192.0.2.8;lr;token=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA>\r\n\
         Max-Forwards: 69\r\nFrom: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl{n}\r\n\
         To: <sip:bob@biloxi.example.com>\r\nCall-ID: 3848276298220188511{n}@atlanta.example.com\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@192.0.2.1;ob>\r\nUser-Agent: Phone 5.0.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Message::parse(text.into(), &Limits::default()).unwrap().check().unwrap()
}

struct Bench {
    layer: Layer,
    now: Instant,
}

impl Bench {
    /// A request arrives and is answered at last.
    fn serve(&mut self, method: &str, n: usize, status: StatusCode) -> Request {
        self.layer.handle_input(self.now, Input { flow: flow(), message: request(method, n) }).unwrap();
        let Some(Event::Request { id, request, .. }) = self.layer.poll_event() else { panic!("a request") };
        let mut response = request.dialog_response(status);
        response.set_to_tag("314159").unwrap();
        self.layer.respond(self.now, id, response).unwrap();
        self.drain();
        request
    }

    /// The request goes on, and its final response comes.
    fn forward(&mut self, request: Request, status: StatusCode) {
        self.layer.request(self.now, request, flow()).unwrap();
        let octets = self.layer.poll_transmit().unwrap().payload;
        let sent = Message::parse(octets, &Limits::default()).unwrap().check().unwrap();
        let Checked::Request(sent) = sent else { panic!("a request") };
        let message = sent.dialog_response(status).into();
        self.layer.handle_input(self.now, Input { flow: flow(), message }).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while self.layer.poll_transmit().is_some() || self.layer.poll_event().is_some() {}
    }

    fn quiet(&mut self) {
        for _ in 0..41 {
            self.now += Duration::from_secs(1);
            self.layer.handle_timeout(self.now);
            self.drain();
        }
    }
}

#[test]
fn a_lingering_transaction_keeps_at_most_3_kb_and_nothing_when_it_is_gone() {
    let now = Clock::new().now();
    let mut config = Config::new([1; 32]);
    config.max_transactions = TRANSACTIONS;
    let mut bench = Bench { layer: Layer::new(config, now), now };
    // What stays of a first thousand is the measure for what stays of the rest.
    for n in 0..1000 {
        let request = bench.serve("INVITE", n, StatusCode::OK);
        bench.forward(request, StatusCode::OK);
    }
    bench.quiet();
    let start = Heap::now();
    for (method, status) in [
        ("INVITE", StatusCode::OK),
        ("INVITE", StatusCode::BUSY_HERE),
        ("REGISTER", StatusCode::OK),
        ("OPTIONS", StatusCode::NOT_FOUND),
    ] {
        let before = Heap::now();
        for n in 0..TRANSACTIONS {
            bench.serve(method, n, status);
        }
        let stats = bench.layer.stats();
        assert_eq!((stats.current, stats.waiting), (TRANSACTIONS as u64, TRANSACTIONS as u64));
        let server = (Heap::now().live - before.live) / TRANSACTIONS as u64 + OVERHEAD;
        for n in 0..TRANSACTIONS {
            let Checked::Request(request) = request(method, n) else { panic!("a request") };
            bench.forward(request, status);
        }
        let both = (Heap::now().live - before.live) / TRANSACTIONS as u64 + 2 * OVERHEAD;
        println!("{method} {status:?}: server {server}, client {} octets", both - server);
        // The promise is 3 kB; the message itself is the most of it.
        assert!(server <= 1500 && both - server <= 1200, "{method}: {server}, {both}");
        bench.quiet();
        assert!(bench.layer.is_idle());
    }
    let left = Heap::now().live;
    assert!(left <= start.live + 16 * 1024, "{left} octets are in use, {} were", start.live);
}
