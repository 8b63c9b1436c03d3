//! Responses: back to the flow that our Via says, and nowhere else.

use nat::reply::Side;
use sip_core::StatusCode;
use sip_core::flow::Destination;
use sip_core::header::Header;
use sip_core::message::Response;
use sip_core::proxy::next_hop;

use super::Lb;
use super::arrival::Arrival;
use super::headers::sanitize_response;
use super::sending;
use super::stats::Counter;
use super::via;
use crate::source::HEADER;

impl Lb {
    /// A response that passed the checks.
    pub(super) fn response(&mut self, arrival: &Arrival, mut response: Response) {
        let Some(top) = response.via() else { return self.stats.bump(Counter::StrayResponses) };
        if arrival.side == Side::Inside && self.is_probe_answer(&top) {
            return self.probe_answered(&response);
        }
        let back = via::open(&top, &self.keys, self.unix(), self.lifetime);
        // A response from outside leads inside only: not past the proxies to another phone.
        let Some(back) = back.ok().filter(|b| arrival.side == Side::Inside || b.to == Side::Inside) else {
            return self.stats.bump(Counter::StrayResponses);
        };
        let call = self.call_key(response.call_id(), response.from_tag());
        self.calls.touch(self.now, call);
        response.pop_via();
        if response.header(Header::Via).is_none() {
            return self.stats.bump(Counter::StrayResponses);
        }
        let edited = match back.to {
            Side::Inside if arrival.side == Side::Outside => {
                let source = self.source(arrival);
                sanitize_response(&mut response, arrival.peer, &source, &mut self.scratch)
            }
            _ => response.remove(HEADER).map(|_| ()),
        };
        if edited.is_err() {
            return self.stats.bump(Counter::Malformed);
        }
        self.stats.bump(if back.to == Side::Inside { Counter::RelayedInside } else { Counter::RelayedOutside });
        match self.of_reply(&back) {
            Ok(flow) => {
                if flow.transport.is_reliable() {
                    response.complete_length();
                }
                self.transmit(flow, response.to_bytes());
            }
            Err(sending::Dead) => self.relay_by_via(response),
        }
    }

    /// The connection of the request is gone: RFC 3261 §18.2.2 opens another to the address of the Via, which we do for
    /// those whom we know. A phone behind a NAT could not be reached so, and whoever else is there must not be.
    fn relay_by_via(&mut self, mut response: Response) {
        let target = response.via().and_then(|via| next_hop::of_via(&via));
        let known = |ip| self.is_peer(ip) || self.backends.has_ip(ip);
        let Some(target) = target.filter(|t| t.transport.is_reliable() && known(t.remote.ip())) else {
            return self.stats.bump(Counter::LostResponses);
        };
        response.complete_length();
        let target = sending::target(target.transport, target.remote);
        self.send(Destination::Target(target), response.to_bytes());
    }

    fn probe_answered(&mut self, response: &Response) {
        let branch = response.branch().unwrap_or_default();
        let Some((backend, sequence)) = self.read_probe_branch(branch) else {
            return self.stats.bump(Counter::StrayResponses);
        };
        if response.status().is_provisional() {
            return;
        }
        // Whoever answers lives; 503 says that it does not want to serve (RFC 3261 §21.5.4).
        let willing = response.status() != StatusCode::SERVICE_UNAVAILABLE;
        self.probe_result(backend, sequence, willing);
    }
}
