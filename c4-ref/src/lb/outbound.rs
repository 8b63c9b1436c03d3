//! Requests from the proxies: out on the flow that a token names, else to the address of the next hop.

use nat::path::{FlowToken, NextHop, Role, TokenError};
use nat::reply::Side;
use sip_core::flow::{Destination, Flow, Target, Transport};
use sip_core::message::{BadValue, Request};
use sip_core::proxy::next_hop::{self, NextHop as NextUri};
use sip_core::proxy::route;
use sip_core::uri::Host;
use sip_core::{Method, StatusCode};

use super::Lb;
use super::arrival::Arrival;
use super::inbound::recorded;
use super::listeners::Listener;
use super::routes::{self, Passage};
use super::sending;
use super::stats::Counter;
use crate::config::Endpoint;
use crate::source::HEADER;

/// Why a request of a proxy goes nowhere: the status that says so.
type Refused = StatusCode;

impl Lb {
    /// A request from a proxy that passed the checks.
    pub(super) fn outbound(&mut self, arrival: &Arrival, mut request: Request) {
        let own = routes::take_own(&mut request, &self.validation.locals, Side::Inside);
        let to = match &own.token {
            Some(token) => self.by_token(&request, token),
            None => self.by_address(&mut request),
        };
        match to {
            Ok(to) => {
                if self.forward_outside(arrival, request, to).is_err() {
                    self.stats.bump(Counter::Malformed);
                }
            }
            Err(status) => self.answer(arrival, &request, status),
        }
    }

    /// By the flow of a token: of a registration or of a dialog.
    fn by_token(&mut self, request: &Request, token: &str) -> Result<Destination, Refused> {
        match self.keys.open(token.as_bytes(), request.call_id().as_bytes(), self.unix(), self.lifetime) {
            Ok(token) => self.of_token(&token).map_err(|_| {
                self.stats.bump(Counter::DeadFlows);
                StatusCode::FLOW_FAILED
            }),
            Err(error) => {
                self.stats.bump(Counter::BadTokens);
                // RFC 5626 §5.3: what was tampered with is forbidden. What has only become old is a flow that is gone:
                // the proxy may drop the binding and try the next.
                Err(match error {
                    TokenError::Expired | TokenError::UnknownKey => StatusCode::FLOW_FAILED,
                    _ => StatusCode::FORBIDDEN,
                })
            }
        }
    }

    /// By the address in the next Route or the Request-URI: a trunk. Names are the proxies' to resolve.
    fn by_address(&mut self, request: &mut Request) -> Result<Destination, Refused> {
        let unreachable = |lb: &mut Lb| {
            lb.stats.bump(Counter::Unreachable);
            StatusCode::SERVICE_UNAVAILABLE
        };
        if route::postprocess(request).is_err() {
            return Err(StatusCode::BAD_REQUEST);
        }
        let target = match next_hop::of_request(request) {
            Ok(NextUri::Target(target)) => target,
            Ok(_) => return Err(unreachable(self)),
            Err(_) => return Err(StatusCode::UNSUPPORTED_URI_SCHEME),
        };
        let (ip, v6) = (target.remote.ip().to_canonical(), target.remote.is_ipv6());
        let host = match ip {
            std::net::IpAddr::V4(ip) => Host::V4(ip),
            std::net::IpAddr::V6(ip) => Host::V6(ip),
        };
        let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
        let nobody = ip.is_unspecified() || ip.is_multicast() || broadcast || target.remote.port() == 0;
        // To ourselves would be to a proxy again, which has just said that this is not its own.
        if nobody || self.locals().contains(&host, target.remote.port()) {
            return Err(unreachable(self));
        }
        if target.transport != Transport::Udp {
            return Ok(Destination::Target(sending::target(target.transport, target.remote)));
        }
        let side = self.side_of(&target);
        let listeners = self.listeners.clone();
        let listener = listeners.towards(side, Transport::Udp, v6, 0);
        match listener.filter(|l| l.transport == Transport::Udp && l.bind.is_ipv6() == v6) {
            Some(listener) => Ok(Destination::Flow(Flow::udp(listener.bind, target.remote))),
            None => Err(unreachable(self)),
        }
    }

    fn side_of(&self, target: &Target) -> Side {
        let endpoint = Endpoint { transport: target.transport, address: target.remote };
        if self.backends.has(endpoint) { Side::Inside } else { Side::Outside }
    }

    fn forward_outside(
        &mut self,
        arrival: &Arrival,
        mut request: Request,
        destination: Destination,
    ) -> Result<(), BadValue> {
        let listeners = self.listeners.clone();
        let transport = destination.transport();
        let remote = destination.remote();
        let ingress = listeners.get(arrival.listener).ok_or(BadValue::Grammar)?;
        let egress = match &destination {
            Destination::Flow(flow) => listeners.of_flow(flow),
            Destination::Target(target) => listeners.towards(self.side_of(target), transport, remote.is_ipv6(), 0),
        };
        let egress = egress.or_else(|| listeners.towards(Side::Outside, transport, remote.is_ipv6(), 0));
        let egress = egress.ok_or(BadValue::Grammar)?;
        let branch = self.branch(arrival, &request);
        // A REGISTER that a proxy sends out registers there; its Path is that registrar's business and leads to us.
        if let Some(role) = recorded(&request) {
            let token = FlowToken {
                role: Role::RecordRoute,
                listener: egress.id,
                peer: remote,
                connection: match &destination {
                    Destination::Flow(flow) => self.token_connection(flow),
                    Destination::Target(_) => None,
                },
                next_hop: Some(self.proxy_of(arrival, &request)),
                double: false,
            };
            if role == Role::RecordRoute {
                let passage = Passage { ingress, egress };
                let unix = self.unix();
                routes::record(&mut request, &self.keys, unix, &token, passage, &mut self.scratch)?;
            }
        }
        // Where the caller is, is nobody's business out there.
        request.remove(HEADER)?;
        self.stats.bump(Counter::ForwardedOutside);
        self.forward(arrival, request, (egress, transport), &branch, destination)
    }

    /// The proxy that a request came from, at the address where it listens: that of its Via.
    fn proxy_of(&self, arrival: &Arrival, request: &Request) -> NextHop {
        let flow = &arrival.flow;
        let opened = flow.connection.and_then(|id| self.connections.get(id)?.target.as_ref());
        let listens =
            request.via().and_then(|via| Some(std::net::SocketAddr::new(via.host_ip()?, via.port_or_default())));
        let address = opened.map(|target| target.remote).or(listens).unwrap_or(flow.remote);
        NextHop { address, stream: flow.transport.is_reliable() }
    }

    /// The last steps of either direction: one hop less, our Via, out (RFC 3261 §16.6 steps 3, 8 and 10).
    pub(super) fn forward(
        &mut self,
        arrival: &Arrival,
        mut request: Request,
        egress: (&Listener, Transport),
        branch: &str,
        destination: Destination,
    ) -> Result<(), BadValue> {
        let back = self.way_back(arrival, request.via());
        request.set_received(arrival.flow.remote);
        // Max-Forwards 0 was refused before.
        _ = sip_core::proxy::max_forwards::decrement(&mut request);
        if egress.1.is_reliable() {
            request.complete_length();
        }
        let payload = super::via::forwarded(&request, &self.keys, self.unix(), egress, branch, &back)?;
        self.send(destination, payload);
        Ok(())
    }

    /// The branch of a request as received (RFC 3261 §16.11).
    pub(super) fn branch(&self, arrival: &Arrival, request: &Request) -> String {
        let hash = self.loop_hash(arrival.side, request);
        sip_core::proxy::stateless::branch(self.secrets.branch, arrival.flow.remote.ip(), request, hash)
    }

    /// Whether an ACK or another request: kept here for what both directions refuse alike.
    pub(super) fn is_ack(request: &Request) -> bool {
        *request.method() == Method::Ack
    }
}
