//! What calls through the proxy core leave in memory when they are over. Alone in its process, for its allocator counts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use c4_sip_core::proxy::{Branch, Config, Event, Locals, Proxy};
use c4_sip_core::transaction::{self, Input, Layer, Transmit};
use c4_sip_core::{Checked, Flow, Limits, Message, Request, StatusCode, Target, Transport};
use std::time::{Duration, Instant};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

const US: &str = "10.0.0.9:5060";
const CALLER: &str = "10.0.0.1:5060";
const CALLEE: &str = "10.0.0.2:5060";
/// A burst: all of it within the 32 s that transactions linger.
const BURST: usize = 4_000;
/// What may differ: a table that has just been made smaller has room for twice what it holds.
const SLACK: u64 = 64 * 1024;

struct Bench {
    layer: Layer,
    proxy: Proxy,
    now: Instant,
    calls: usize,
}

impl Bench {
    fn new() -> Bench {
        let now = Clock::new().now();
        let us = US.parse().unwrap();
        let mut layer = Layer::new(transaction::Config::new([1; 32]), now);
        layer.set_sent_by(Transport::Udp, us, US);
        let mut locals = Locals::default();
        locals.add_address(us);
        let proxy = Proxy::new(Config { seed: [2; 32], locals, ..Config::default() }, now);
        Bench { layer, proxy, now, calls: 0 }
    }

    /// INVITE, 200, BYE, 200.
    fn call(&mut self) {
        self.calls += 1;
        self.now += Duration::from_millis(1);
        for method in ["INVITE", "BYE"] {
            let sent = self.input(CALLER, self.request(method)).unwrap().payload;
            let Checked::Request(sent) = parse(sent) else { panic!("a request") };
            let mut answer = sent.dialog_response(StatusCode::OK);
            _ = answer.set_to_tag("callee"); // a BYE has it
            assert!(self.input(CALLEE, answer.into()).is_some());
        }
    }

    fn request(&self, method: &str) -> Checked {
        let (n, bye) = (self.calls, method == "BYE");
        let (tag, route) = if bye { (";tag=callee", "Route: <sip:10.0.0.9;lr>\r\n") } else { ("", "") };
        let text = format!(
            "{method} sip:b@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n};rport\r\n{route}\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=caller{n}\r\nTo: <sip:b@example.com>{tag}\r\n\
             Call-ID: {n}@10.0.0.1\r\nCSeq: 1 {method}\r\nContact: <sip:a@{CALLER}>\r\nContent-Length: 0\r\n\r\n"
        );
        parse(text.into())
    }

    fn input(&mut self, from: &str, message: Checked) -> Option<Transmit> {
        let flow = Flow::udp(US.parse().unwrap(), from.parse().unwrap());
        self.layer.handle_input(self.now, Input { flow, message }).unwrap();
        self.work();
        let sent = self.layer.poll_transmit();
        while self.layer.poll_transmit().is_some() {}
        sent
    }

    fn work(&mut self) {
        loop {
            if let Some(event) = self.proxy.poll_event() {
                if let Event::Route { id, in_dialog, .. } = event {
                    let to = Target::new(Transport::Udp, CALLEE.parse().unwrap());
                    let branch = if in_dialog { Branch::along(to) } else { Branch::to("sip:b@10.0.0.2", to) };
                    self.proxy.forward(self.now, &mut self.layer, id, vec![branch]).unwrap();
                }
            } else if let Some(event) = self.layer.poll_event() {
                let event = self.proxy.handle_event(self.now, &mut self.layer, event);
                if let Some(transaction::Event::Request { id, request, .. }) = event {
                    self.accept(id, request);
                }
            } else {
                return;
            }
        }
    }

    fn accept(&mut self, id: transaction::ServerId, request: Request) {
        self.proxy.request(self.now, &mut self.layer, id, request).unwrap();
    }

    fn quiet(&mut self) {
        for _ in 0..41 {
            self.now += Duration::from_secs(1);
            self.layer.handle_timeout(self.now);
            self.proxy.handle_timeout(self.now, &mut self.layer);
            self.work();
            while self.layer.poll_transmit().is_some() {}
        }
        assert!(self.layer.is_idle() && self.proxy.is_idle());
    }
}

fn parse(octets: bytes::Bytes) -> Checked {
    Message::parse(octets, &Limits::default()).unwrap().check().unwrap()
}

#[test]
fn after_a_burst_of_calls_the_heap_is_where_the_first_calls_left_it() {
    let mut bench = Bench::new();
    (0..500).for_each(|_| bench.call());
    bench.quiet();
    let first = Heap::now().live;
    for _ in 0..2 {
        (0..BURST).for_each(|_| bench.call());
        assert!(bench.layer.stats().current >= BURST as u64 * 4, "all of them linger");
        println!("{} octets a call that lingers", (Heap::now().live - first) / BURST as u64);
        bench.quiet();
        let left = Heap::now().live;
        println!("{first} octets after the first calls, {left} after {} more", bench.calls - 500);
        assert!(left <= first + SLACK, "{left} octets are in use, {first} were");
    }
}
