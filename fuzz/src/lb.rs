//! Sequences of messages at the load balancer.
//!
//! The input is a list of messages with a line `--` between them. What comes first on each, `o`, `i` or `t`, says where
//! it comes from: a phone, a proxy, a phone over TCP. Lines end with LF alone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_ref::config;
use c4_ref::lb::{Health, Lb, Setup};
use c4_ref::machine::Machine;
use nat::keys::KeyRing;
use sip_core::{ConnectionId, Flow, Limits, Message, Transport};

const PUBLIC: ([u8; 4], u16) = ([192, 0, 2, 1], 5060);
const INTERNAL: ([u8; 4], u16) = ([10, 0, 0, 1], 5080);
const PROXY: ([u8; 4], u16) = ([10, 0, 0, 2], 5060);
const PHONE: ([u8; 4], u16) = ([198, 51, 100, 7], 40_000);

/// Plays the messages.
///
/// # Panics
/// When a message of a phone makes one go to anyone but a proxy or that phone, when what comes out is no message, or a
/// timer comes back at once.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let mut now = Instant::now();
    let Some(mut lb) = balancer(now) else { return };
    for step in data.split(|octet| *octet == 0).take(32).flat_map(steps) {
        let Some((from, lines)) = step.split_first() else { continue };
        let mut octets = Vec::with_capacity(lines.len() + 64);
        lines.iter().for_each(|octet| match octet {
            b'\n' => octets.extend_from_slice(b"\r\n"),
            octet => octets.push(*octet),
        });
        let Ok(message) = Message::parse(octets.into(), &Limits::default()) else { continue };
        let flow = match from {
            b'i' => Flow::udp(INTERNAL.into(), PROXY.into()),
            b't' => Flow {
                transport: Transport::Tcp,
                local: PUBLIC.into(),
                remote: PHONE.into(),
                connection: Some(ConnectionId(5)),
            },
            _ => Flow::udp(PUBLIC.into(), PHONE.into()),
        };
        lb.handle_message(now, flow, message);
        while let Some(sent) = lb.poll_transmit() {
            let phone = sent.flow.remote.ip() == SocketAddr::from(PHONE).ip();
            let proxy = sent.flow.remote == SocketAddr::from(PROXY);
            assert!(*from == b'i' || phone || proxy, "{} is neither the phone nor a proxy", sent.flow.remote);
            assert!(Message::parse(sent.payload, &Limits::default()).is_ok(), "what comes out is no message");
        }
        while lb.poll_event().is_some() {}
        now += Duration::from_millis(100);
        lb.handle_timeout(now);
        assert!(lb.poll_timeout().is_none_or(|next| next > now), "a timer comes back at once");
    }
}

fn steps(data: &[u8]) -> Vec<&[u8]> {
    let mut steps = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(4).position(|w| w == b"\n--\n") {
        let (step, tail) = rest.split_at(at + 1);
        steps.push(step);
        rest = tail.get(3..).unwrap_or_default();
    }
    steps.push(rest);
    steps
}

fn balancer(now: Instant) -> Option<Lb> {
    let config = config::Lb {
        listen: vec!["udp:192.0.2.1:5060".parse().ok()?, "tcp:192.0.2.1:5060".parse().ok()?],
        internal: vec!["udp:10.0.0.1:5080".parse().ok()?],
        backends: vec!["10.0.0.2:5060".parse().ok()?],
        probe: config::Probe { interval_ms: 0, ..config::Probe::default() },
        ..config::Lb::default()
    };
    let keys = KeyRing::generate([1; 32], [2; 32], 0);
    let health = Health::new(1);
    let setup = Setup { config: &config, keys, health, worker: 0, epoch: 1, seed: [3; 32], unix: 1_800_000_000 };
    Some(Lb::new(setup, now))
}
