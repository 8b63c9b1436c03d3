//! Sequences at the stateful proxy core on its transaction layer.
//!
//! The input is a list of steps with a blank line between them: `wait N` lets N seconds pass; `to Q HOST [HOST..]` gives
//! the newest context targets of preference Q, the first host with the others to fall back on; `reject CODE`, `cancel`,
//! `conclude`, `ask`, `recurse`, `late` command the newest context; `answer N CODE` is a callee's response to the Nth
//! request that was sent, with the lines that follow added to it; anything else is a message from the caller.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sip_core::proxy::{Branch, Config, ContextId, Event, Locals, Options, Proxy};
use sip_core::transaction::{self, Input, Layer};
use sip_core::{Checked, Flow, Limits, Message, Request, StatusCode, Target, Transport};

const US: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);
const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

/// Plays the steps, then lets all timers run out.
///
/// # Panics
/// When a timer comes back at once, a context ends never or twice, what is sent is no SIP, or anything is left.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let mut rig = Rig::new(Instant::now());
    let text = String::from_utf8_lossy(data);
    for step in text.split("\n\n").take(64) {
        rig.step(step);
        rig.drain();
    }
    for _ in 0..40 {
        rig.wait(Duration::from_secs(100));
    }
    assert_eq!(rig.routes, rig.finished, "each context ends once");
    assert!(rig.proxy.is_idle() && rig.layer.is_idle(), "something is left");
}

struct Rig {
    layer: Layer,
    proxy: Proxy,
    now: Instant,
    context: Option<ContextId>,
    options: Options,
    sent: Vec<(SocketAddr, Request)>,
    routes: usize,
    finished: usize,
}

impl Rig {
    fn new(now: Instant) -> Rig {
        let mut layer = Layer::new(transaction::Config::new([1; 32]), now);
        layer.set_sent_by(Transport::Udp, US, "192.0.2.9:5060");
        let mut locals = Locals::default();
        locals.add_address(US);
        let config = Config { seed: [2; 32], locals, max_branches: 8, max_contexts: 16, ..Config::default() };
        let proxy = Proxy::new(config, now);
        let (context, options) = (None, Options::default());
        Rig { layer, proxy, now, context, options, sent: Vec::new(), routes: 0, finished: 0 }
    }

    fn step(&mut self, step: &str) {
        let mut words = step.split_whitespace();
        let id = self.context.unwrap_or(ContextId(0));
        let (now, layer, proxy) = (self.now, &mut self.layer, &mut self.proxy);
        // A command that comes too late does nothing.
        match words.next() {
            Some("wait") => {
                let seconds: u32 = words.next().and_then(|n| n.parse().ok()).unwrap_or(1);
                self.wait(Duration::from_secs(u64::from(seconds % 1000)));
            }
            Some("to") => {
                let q = words.next().and_then(|q| q.parse().ok()).unwrap_or(1000);
                _ = proxy.forward(now, layer, id, branch(q, words).into_iter().collect());
            }
            Some("reject") => {
                let code = words.next().and_then(|code| code.parse().ok()).and_then(StatusCode::new);
                let status = code.filter(|status| status.is_final()).unwrap_or(StatusCode::FORBIDDEN);
                _ = proxy.reject_with(now, layer, id, status);
            }
            Some("cancel") => _ = proxy.cancel(now, layer, id, None),
            Some("conclude") => _ = proxy.conclude(now, layer, id),
            Some(option @ ("ask" | "recurse" | "late")) => {
                self.options.ask |= option == "ask";
                self.options.recurse |= option == "recurse";
                self.options.late |= option == "late";
                proxy.set_options(id, self.options);
            }
            Some("answer") => self.answer(words.next(), words.next(), step),
            _ => self.input(CALLER, format!("{}\r\n\r\n", step.trim_end().replace('\n', "\r\n"))),
        }
    }

    /// A callee's response; its further lines are as the fuzzer likes them.
    fn answer(&mut self, which: Option<&str>, code: Option<&str>, step: &str) {
        let which: usize = which.and_then(|n| n.parse().ok()).unwrap_or(0);
        let status = code.and_then(|code| code.parse().ok()).and_then(StatusCode::new).unwrap_or(StatusCode::OK);
        let Some((from, request)) = self.sent.get(which % self.sent.len().max(1)) else { return };
        let text = String::from_utf8_lossy(&request.response(status).to_bytes()).into_owned();
        let (from, lines) = (*from, step.split_once('\n').map_or("", |(_, lines)| lines));
        let (head, _) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let more =
            if lines.is_empty() { String::new() } else { format!("{}\r\n", lines.trim_end().replace('\n', "\r\n")) };
        self.input(from, format!("{head}\r\n{more}\r\n"));
    }

    fn input(&mut self, from: SocketAddr, text: String) {
        let Ok(message) = Message::parse(text.into(), &Limits::default()) else { return };
        let Ok(message) = message.check() else { return };
        _ = self.layer.handle_input(self.now, Input { flow: Flow::udp(US, from), message });
    }

    fn drain(&mut self) {
        while let Some(event) = self.layer.poll_event() {
            match self.proxy.handle_event(self.now, &mut self.layer, event) {
                Some(transaction::Event::Request { id, request, .. }) => {
                    _ = self.proxy.request(self.now, &mut self.layer, id, request);
                }
                Some(transaction::Event::Ack { request, .. }) => {
                    _ = self.proxy.forward_ack(self.now, &mut self.layer, request);
                }
                Some(transaction::Event::Connect { id, .. }) => {
                    let refused = Err(std::io::ErrorKind::ConnectionRefused);
                    self.layer.handle_connect_done(self.now, id, refused);
                }
                _ => {}
            }
        }
        while let Some(event) = self.proxy.poll_event() {
            match event {
                Event::Route { id, .. } => {
                    self.routes += 1;
                    self.context = Some(id);
                }
                Event::Finished { .. } => self.finished += 1,
                _ => {}
            }
        }
        while let Some(transmit) = self.layer.poll_transmit() {
            let message = Message::parse(transmit.payload, &Limits::default()).expect("what is sent is SIP");
            if let Ok(Checked::Request(request)) = message.check()
                && self.sent.len() < 64
            {
                self.sent.push((transmit.flow.remote, request));
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.drain();
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.layer.handle_timeout(self.now);
            self.drain();
            self.proxy.handle_timeout(self.now, &mut self.layer);
            self.drain();
            assert!(self.next().is_none_or(|next| next > self.now), "a timer comes back at once");
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        [self.layer.poll_timeout(), self.proxy.poll_timeout()].into_iter().flatten().min()
    }
}

/// A branch to hosts by their last number, over UDP, or over TCP (which is refused here) for odd ones.
fn branch<'a>(q: u16, hosts: impl Iterator<Item = &'a str>) -> Option<Branch> {
    let mut targets = hosts.take(4).filter_map(|host| {
        let n: u8 = host.parse().ok()?;
        let transport = if n.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
        Some(Target::new(transport, SocketAddr::from(([198, 51, 100, n], 5060))))
    });
    let first = targets.next()?;
    let failover = targets.map(Into::into).collect();
    Some(Branch { q, failover, ..Branch::to(&format!("sip:b@{}", first.remote.ip()), first) })
}
