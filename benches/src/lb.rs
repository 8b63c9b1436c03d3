//! A call through the stateless load balancer: octets in, octets out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_ref::config;
use c4_ref::lb::{Health, Lb, Setup, TransmitId};
use c4_ref::machine::{Machine, Transmit};
use nat::keys::KeyRing;
use sip_core::{Flow, Limits, Message};

use crate::proxy::{SDP, answer, request};
use crate::register::Operation;

const PUBLIC: &str = "192.0.2.1:5060";
const INTERNAL: &str = "10.0.0.1:5080";
const BACKEND: &str = "10.0.0.2:5060";
const CALLER: &str = "10.0.0.1:5060";

/// Their names, without making their state.
pub const NAMES: [&str; 2] = ["lb/call", "lb/options"];

/// The operation of that name: a whole call (INVITE 180 200 ACK, BYE 200: six messages in, six out), or an OPTIONS with
/// its 200.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut rig = Rig::new()?;
    match name {
        "lb/call" => Some((name, Box::new(move || rig.call().unwrap_or(0)))),
        _ => Some((name, Box::new(move || rig.options().unwrap_or(0)))),
    }
}

struct Rig {
    lb: Lb,
    now: Instant,
    calls: u64,
    outside: Flow,
    inside: Flow,
    limits: Limits,
}

impl Rig {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Option<Rig> {
        let now = Instant::now();
        let config = config::Lb {
            listen: vec![format!("udp:{PUBLIC}").parse().ok()?],
            internal: vec![format!("udp:{INTERNAL}").parse().ok()?],
            backends: vec![BACKEND.parse().ok()?],
            probe: config::Probe { interval_ms: 0, ..config::Probe::default() },
            ..config::Lb::default()
        };
        let setup = Setup {
            config: &config,
            keys: KeyRing::generate([1; 32], [2; 32], 0),
            health: Health::new(1),
            worker: 0,
            epoch: 1,
            seed: [3; 32],
            unix: 1_800_000_000,
        };
        Some(Rig {
            lb: Lb::new(setup, now),
            now,
            calls: 0,
            outside: Flow::udp(PUBLIC.parse().ok()?, CALLER.parse().ok()?),
            inside: Flow::udp(INTERNAL.parse().ok()?, BACKEND.parse().ok()?),
            limits: Limits::default(),
        })
    }

    fn call(&mut self) -> Option<usize> {
        let n = self.next();
        let hops = "Max-Forwards: 70\r\n";
        let invite = self.input(self.outside, request("INVITE", "sip:b@example.com", n, hops, SDP))?;
        self.input(self.inside, answer(&invite.payload, "180 Ringing", ""))?;
        let answered = self.input(self.inside, answer(&invite.payload, "200 OK", SDP))?;
        let route = format!("Route: {}\r\n{hops}", recorded(&answered.payload)?);
        self.input(self.outside, request("ACK", "sip:b@10.0.0.2", n, &route, ""))?;
        let bye = self.input(self.outside, request("BYE", "sip:b@10.0.0.2", n, &route, ""))?;
        let last = self.input(self.inside, answer(&bye.payload, "200 OK", ""))?;
        Some(answered.payload.len() + last.payload.len())
    }

    fn options(&mut self) -> Option<usize> {
        let n = self.next();
        let sent = self.input(self.outside, request("OPTIONS", "sip:b@example.com", n, "Max-Forwards: 70\r\n", ""))?;
        self.input(self.inside, answer(&sent.payload, "200 OK", "")).map(|sent| sent.payload.len())
    }

    /// A thousand calls a second; Call-IDs of long ago are forgotten.
    fn next(&mut self) -> u64 {
        self.calls += 1;
        self.now += Duration::from_millis(1);
        if self.lb.poll_timeout().is_some_and(|at| at <= self.now) {
            self.lb.handle_timeout(self.now);
        }
        self.calls
    }

    /// A message arrives; returns the one that leaves.
    fn input(&mut self, flow: Flow, octets: Bytes) -> Option<Transmit<TransmitId>> {
        let message = Message::parse(octets, &self.limits).ok()?;
        self.lb.handle_message(self.now, flow, message);
        self.lb.poll_transmit()
    }
}

/// The route set of the caller: the Record-Route values in reverse order (RFC 3261 §12.1.2).
fn recorded(octets: &Bytes) -> Option<String> {
    let message = Message::parse(octets.clone(), &Limits::default()).ok()?;
    let values: Vec<String> = message
        .values(sip_core::header::Header::RecordRoute)
        .map(|v| String::from_utf8_lossy(v).into_owned())
        .collect();
    Some(values.into_iter().rev().collect::<Vec<_>>().join(", ")).filter(|routes| !routes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_its_work() {
        let mut rig = Rig::new().unwrap();
        assert!((0..100).all(|_| rig.call().is_some() && rig.options().is_some()));
    }
}
