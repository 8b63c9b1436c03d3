//! OPTIONS to the backends, and what the answers change.

use nat::reply::Side;
use sip_core::flow::{Destination, Flow, Target, Transport};
use sip_core::header::{Header, MAGIC_COOKIE, Via};
use sip_core::message::Message;
use sip_core::{Method, proxy::hash::Hex};

use super::Lb;
use super::backends::BackendId;
use super::probe::Verdict;
use super::stats::Counter;

/// Marks the branch of a probe.
const MARK: &str = "probe";

/// Whether a branch is that of a probe, ours or not.
pub(super) fn is_probe_branch(branch: &str) -> bool {
    branch.strip_prefix(MAGIC_COOKIE).is_some_and(|rest| rest.starts_with(MARK))
}

impl Lb {
    pub(super) fn is_probe_answer(&self, via: &Via<'_>) -> bool {
        via.branch().is_some_and(is_probe_branch)
    }

    /// Counts what was missed and sends what is due.
    pub(super) fn probe(&mut self) {
        while let Some((backend, verdict)) = self.prober.poll_missed(self.now) {
            self.stats.bump(Counter::ProbesMissed);
            self.judge(backend, verdict);
        }
        while let Some((backend, sequence)) = self.prober.poll_due(self.now) {
            self.send_probe(backend, sequence);
        }
    }

    pub(super) fn probe_result(&mut self, backend: BackendId, sequence: u32, willing: bool) {
        if let Some(verdict) = self.prober.answered(backend, sequence, willing) {
            self.stats.bump(Counter::ProbesAnswered);
            self.judge(backend, verdict);
        }
    }

    fn judge(&mut self, backend: BackendId, verdict: Verdict) {
        let up = match verdict {
            Verdict::Same => return,
            Verdict::Up => true,
            Verdict::Down => false,
        };
        if self.backends.set_up(backend, up) {
            let address = self.backends.get(backend).map(|e| e.to_string()).unwrap_or_default();
            if up {
                tracing::info!(backend = address, "backend is up");
            } else {
                tracing::warn!(backend = address, "backend is down");
            }
        }
    }

    fn send_probe(&mut self, backend: BackendId, sequence: u32) {
        let Some(to) = self.backends.get(backend) else { return };
        let listeners = self.listeners.clone();
        let Some(egress) = listeners.towards(Side::Inside, to.transport, to.address.is_ipv6(), 0) else { return };
        let branch = self.probe_branch(backend, sequence);
        let us = format!("<sip:{}>", egress.sent_by);
        let message = Message::request(Method::Options, &format!("sip:{}", to.address))
            .header(Header::Via, format!("SIP/2.0/{} {};branch={branch}", to.transport, egress.sent_by))
            .header(Header::MaxForwards, "1")
            .header(Header::From, format!("{us};tag={}", Hex(self.secrets.tag.hash(&[branch.as_bytes()]))))
            .header(Header::To, format!("<sip:{}>", to.address))
            .header(Header::CallId, format!("{}@{}", branch.trim_start_matches(MAGIC_COOKIE), egress.sent_by))
            .header(Header::CSeq, "1 OPTIONS")
            .build();
        let Ok(message) = message else { return };
        self.stats.bump(Counter::ProbesSent);
        let destination = match to.transport {
            Transport::Udp => Destination::Flow(Flow::udp(egress.bind, to.address)),
            transport => Destination::Target(Target::new(transport, to.address)),
        };
        self.send(destination, message.to_bytes());
    }

    fn probe_branch(&self, backend: BackendId, sequence: u32) -> String {
        let proof = self.secrets.probe.hash(&[&backend.0.to_le_bytes(), &sequence.to_le_bytes()]);
        format!("{MAGIC_COOKIE}{MARK}-{}-{sequence}-{}", backend.0, Hex(proof))
    }

    /// The probe that a branch of ours means.
    pub(super) fn read_probe_branch(&self, branch: &str) -> Option<(BackendId, u32)> {
        let mut parts = branch.strip_prefix(MAGIC_COOKIE)?.strip_prefix(MARK)?.split('-').skip(1);
        let backend = BackendId(parts.next()?.parse().ok()?);
        let sequence = parts.next()?.parse().ok()?;
        (self.probe_branch(backend, sequence) == branch).then_some((backend, sequence))
    }
}
