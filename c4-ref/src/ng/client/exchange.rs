//! A request under way: from relay to relay until one answers.

use std::time::Instant;

use bytes::Bytes;

use super::node::{Link, Node, NodeId};
use super::{
    Client, ConnectionId, Event, Failure, Frame, MOST_DATAGRAM, Rejected, Reply, Request, RequestId, Timer, To,
    Transmit,
};

/// Where a request may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) pinned: Option<NodeId>,
    /// Hash of the Call-ID.
    pub(super) call: u64,
    /// It is our own ping of this relay.
    pub(super) ping: Option<NodeId>,
}

#[derive(Debug, Clone)]
pub(super) struct Exchange {
    route: Route,
    /// Cookie and dictionary; the same for all tries and all relays.
    message: Bytes,
    node: NodeId,
    /// Relays that were asked, one bit each.
    asked: u64,
    tries_left: u32,
    /// Until when it may be sent to another relay.
    until: Instant,
    due: Instant,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Udp,
    /// Waits for the connection.
    Link,
    Tcp,
}

#[cfg(test)]
impl Exchange {
    pub(super) fn is_ping(&self) -> bool {
        self.route.ping.is_some()
    }
}

impl Client {
    /// Begins a request; its number.
    pub(super) fn start(&mut self, route: Route, request: &Request) -> u64 {
        let number = self.next;
        self.next += 1;
        let cookie = format!("{}{number:x}", self.prefix);
        let message = Frame::join(cookie.as_bytes(), |out| request.write(out));
        let node = route.pinned.filter(|node| usize::from(node.0) < self.nodes.len());
        let node = if route.pinned.is_some() { node } else { self.choose(route.call, 0) };
        let Some(node) = node else {
            self.done(number, None, Err(Failure::NoNode));
            return number;
        };
        let until = self.now + self.config.patience;
        let exchange = Exchange { route, message, node, asked: 0, tries_left: 0, until, due: self.now, way: Way::Udp };
        self.exchanges.insert(number, exchange);
        self.ask(number, node);
        number
    }

    /// The relay whose hash with the call's is highest, of those that are up and not among `asked`.
    pub(super) fn choose(&self, call: u64, asked: u64) -> Option<NodeId> {
        let fresh = self.nodes().filter(|(id, _, is_up)| *is_up && asked >> id.0 & 1 == 0);
        let score = |node: &Node| self.choice.hash(&[node.to_string().as_bytes(), &call.to_be_bytes()]);
        fresh.max_by_key(|(_, node, _)| score(node)).map(|(id, ..)| id)
    }

    /// Sends a request to a relay, for the first time.
    fn ask(&mut self, number: u64, node: NodeId) {
        let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
        let Some(exchange) = self.exchanges.get_mut(&number) else { return };
        let size = exchange.message.len();
        let fits = size <= if state.node.tcp.is_some() { self.config.datagram_limit } else { MOST_DATAGRAM };
        (exchange.node, exchange.asked) = (node, exchange.asked | 1u64.checked_shl(node.0.into()).unwrap_or(0));
        exchange.way = match (state.node.udp, state.node.tcp) {
            (Some(_), _) if fits => Way::Udp,
            (_, Some(_)) => Way::Link,
            _ => return self.next_node(number, Failure::TooLarge),
        };
        exchange.tries_left = self.config.tries.saturating_sub(1);
        state.waiting.insert(number);
        if exchange.route.ping.is_some() {
            state.ping = Some(number);
        }
        self.send(number);
    }

    /// Sends a request to its relay, or asks for the connection first.
    fn send(&mut self, number: u64) {
        let Some(exchange) = self.exchanges.get_mut(&number) else { return };
        let Some(state) = self.nodes.get_mut(usize::from(exchange.node.0)) else { return };
        let mut wait = self.config.timeout;
        let to = match (exchange.way, &state.link, state.node.udp) {
            (Way::Udp, _, Some(address)) => Some(To::Udp(address)),
            (_, Link::Up(id, _), _) => {
                exchange.way = Way::Tcp;
                wait *= self.config.tries.max(1);
                Some(To::Tcp(*id))
            }
            (_, link, _) => {
                wait *= self.config.tries.max(1);
                if let (Link::None, Some(address)) = (link, state.node.tcp) {
                    let connection = ConnectionId(self.next);
                    self.next += 1;
                    state.link = Link::Connecting(connection);
                    self.events.push_back(Event::Connect { connection, address });
                }
                None
            }
        };
        exchange.due = self.now + wait;
        self.timers.insert((exchange.due, Timer::Wait(number)));
        // A datagram that does not fit is sent again later; what is for a connection was bounded at admission.
        if let Some(to) = to.filter(|to| matches!(to, To::Tcp(_)) || self.out.len() < 2 * self.config.max_output) {
            self.out.push_back(Transmit { to, payload: exchange.message.clone(), close: false });
        }
    }

    /// The connection to a relay is there: what waits for it goes out.
    pub(super) fn send_over(&mut self, node: NodeId, id: ConnectionId) {
        for number in self.waiting(node) {
            let Some(exchange) = self.exchanges.get_mut(&number) else { continue };
            if exchange.node != node || exchange.way != Way::Link {
                continue;
            }
            exchange.way = Way::Tcp;
            let payload = exchange.message.clone();
            self.out.push_back(Transmit { to: To::Tcp(id), payload, close: false });
        }
    }

    /// A connection could not be made, or ended: what waits on it tries again or goes elsewhere.
    pub(super) fn link_failed(&mut self, node: NodeId, gives_up: bool) {
        self.set_link(node, Link::None);
        for number in self.waiting(node) {
            let Some(exchange) = self.exchanges.get_mut(&number) else { continue };
            // One that failed may have taken others to another relay.
            if exchange.node != node || exchange.way == Way::Udp {
                continue;
            }
            self.timers.remove(&(exchange.due, Timer::Wait(number)));
            if gives_up || exchange.tries_left == 0 {
                self.failed(number, Failure::NoConnection);
                continue;
            }
            exchange.tries_left -= 1;
            exchange.way = Way::Link;
            self.send(number);
        }
    }

    /// A request has waited long enough for this try.
    pub(super) fn waited(&mut self, number: u64) {
        let Some(exchange) = self.exchanges.get_mut(&number) else { return };
        if exchange.way != Way::Udp || exchange.tries_left == 0 {
            return self.failed(number, Failure::TimedOut);
        }
        exchange.tries_left -= 1;
        self.stats.repeated += 1;
        self.send(number);
    }

    /// The relay of a request did not serve it. The timer of the request has been taken out.
    fn failed(&mut self, number: u64, failure: Failure) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let node = exchange.node;
        let Some(state) = self.nodes.get_mut(usize::from(node.0)) else { return };
        state.failures = state.failures.saturating_add(1);
        let goes_down = state.is_up && state.failures >= self.config.failures;
        if goes_down {
            state.is_up = false;
            self.events.push_back(Event::NodeDown(node));
            tracing::warn!(relay = %state.node, "relay is down");
            // A connection over which nothing comes, or that is not made, is no help in finding out when it is up again.
            if let Link::Up(id, _) | Link::Connecting(id) = state.link {
                state.link = Link::None;
                self.close(id);
            }
        }
        self.next_node(number, failure);
        if goes_down {
            self.leave(node);
        }
    }

    /// What waits for a relay that has gone down does not wait longer, if it may go elsewhere.
    fn leave(&mut self, node: NodeId) {
        for number in self.waiting(node) {
            let Some(exchange) = self.exchanges.get(&number) else { continue };
            if exchange.route.pinned.is_none() && self.choose(exchange.route.call, exchange.asked).is_some() {
                self.timers.remove(&(exchange.due, Timer::Wait(number)));
                self.next_node(number, Failure::TimedOut);
            }
        }
    }

    /// On to the next relay, or the end.
    fn next_node(&mut self, number: u64, failure: Failure) {
        self.leave_node(number);
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let (route, last) = (exchange.route, exchange.node);
        let may_move = route.pinned.is_none() && self.now < exchange.until;
        let next = if may_move { self.choose(route.call, exchange.asked) } else { None };
        match next {
            Some(next) => {
                self.stats.moved += 1;
                self.ask(number, next);
            }
            None => {
                self.exchanges.remove(&number);
                if route.ping.is_none() {
                    self.done(number, Some(last), Err(failure));
                }
            }
        }
    }

    /// Takes a request off the list of its relay.
    fn leave_node(&mut self, number: u64) {
        let node = self.exchanges.get(&number).map(|exchange| usize::from(exchange.node.0));
        if let Some(state) = node.and_then(|node| self.nodes.get_mut(node)) {
            state.waiting.remove(&number);
            state.ping.take_if(|ping| *ping == number);
        }
    }

    /// A message from a relay. `is_from` says whether it came from there.
    pub(super) fn reply(&mut self, frame: &Frame, is_from: impl Fn(&Node, NodeId) -> bool) -> Result<(), Rejected> {
        let cookie = std::str::from_utf8(&frame.cookie).ok();
        let number = cookie.and_then(|cookie| u64::from_str_radix(cookie.strip_prefix(&self.prefix)?, 16).ok());
        let known = number.and_then(|number| Some((number, self.exchanges.get(&number)?)));
        let asked = known.and_then(|(number, exchange)| {
            let state = self.nodes.get(usize::from(exchange.node.0))?;
            is_from(&state.node, exchange.node).then_some((number, exchange.node, exchange.due))
        });
        let Some((number, node, due)) = asked else {
            self.stats.strays += 1;
            return Err(Rejected::Stray);
        };
        self.timers.remove(&(due, Timer::Wait(number)));
        match Reply::parse_within(&frame.payload, &self.config.limits) {
            Ok(reply) => self.served(number, node, reply),
            Err(_) => {
                self.failed(number, Failure::BadReply);
                return Err(Rejected::Malformed);
            }
        }
        Ok(())
    }

    fn served(&mut self, number: u64, node: NodeId, reply: Reply) {
        if let Some(state) = self.nodes.get_mut(usize::from(node.0)) {
            state.failures = 0;
            if !state.is_up {
                state.is_up = true;
                self.events.push_back(Event::NodeUp(node));
                tracing::info!(relay = %state.node, "relay is up");
            }
        }
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let route = exchange.route;
        let may_move = route.pinned.is_none() && reply.asks_for_another() && self.now < exchange.until;
        if may_move && let Some(next) = self.choose(route.call, exchange.asked) {
            self.leave_node(number);
            self.stats.moved += 1;
            return self.ask(number, next);
        }
        self.leave_node(number);
        self.exchanges.remove(&number);
        if route.ping.is_none() {
            self.stats.replies += 1;
            self.done(number, Some(node), Ok(reply));
        }
    }

    fn done(&mut self, number: u64, node: Option<NodeId>, result: Result<Reply, Failure>) {
        self.stats.failed += u64::from(result.is_err());
        self.events.push_back(Event::Done { id: RequestId(number), node, result });
    }

    fn waiting(&self, node: NodeId) -> Vec<u64> {
        self.nodes.get(usize::from(node.0)).map(|state| state.waiting.iter().copied().collect()).unwrap_or_default()
    }
}
