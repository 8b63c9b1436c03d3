//! The worker's connections: accepted, made, read, written, closed.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use sip_core::flow::{ConnectionId, Flow, Target, Transport};
use sip_core::message::Framer;
use socket2::{Domain, Protocol, Socket, Type};

use super::super::connection::{Arrival, Closed, Connection, State};
use super::super::connections::{ACCEPT_PAUSE, Identity, Key, out_of_files};
use super::super::poller::Ready;
use super::{Mail, Worker, default_listener, dispatch};
use crate::machine::{Machine, Transmit};

/// Connections taken from a listener per wake-up.
const ACCEPTS: usize = 64;
/// Requests that wait for one connection.
const WAITERS: usize = 1024;

impl<M: Machine> Worker<M> {
    pub(super) fn accept(&mut self, now: Instant, n: usize) {
        for _ in 0..ACCEPTS {
            let Some((listener, config)) = self.streams.get(n) else { return };
            let (transport, local) = (config.transport, config.bind);
            match listener.accept() {
                Ok((stream, remote)) => self.accepted(now, stream, transport, local, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // No more files: the listener stays ready, so look away for a while instead of spinning.
                Err(error) if error.raw_os_error().is_some_and(out_of_files) => {
                    tracing::warn!(%error, "cannot accept connections");
                    self.streams.iter().for_each(|(socket, _)| self.poller.remove(socket));
                    self.accept_again = Some(now + ACCEPT_PAUSE);
                    return;
                }
                // That one connection was gone before it was taken.
                Err(_) => {}
            }
        }
    }

    fn accepted(
        &mut self,
        now: Instant,
        stream: TcpStream,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let Some(place) = self.options.sources.admit(remote.ip()) else {
            tracing::debug!(%remote, "refused: its source has as many connections as it may");
            return self.stats.refused_source += 1;
        };
        let Some(id) = self.connections.next_id() else { return self.stats.refused += 1 };
        let tls = match (transport, &self.options.tls) {
            (Transport::Tls, Some(tls)) => match tls.accept() {
                Ok(tls) => Some(tls),
                Err(_) => return self.stats.refused += 1,
            },
            (Transport::Tls, None) => return self.stats.refused += 1,
            _ => None,
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        self.stats.accepted += 1;
        let identity = if tls.is_some() { Identity::Client(None) } else { Identity::Unproved };
        let flow = Flow { transport, local, remote, connection: Some(id) };
        let key = Key { transport, remote, local: Some(local), identity };
        let framer = Framer::new(self.options.limits.clone());
        let mut connection = Connection::new(now, flow, key, stream, tls, framer, false);
        connection.place = Some(place);
        self.add(id, connection);
    }

    /// Answers at once when there is such a connection, else when it stands or has failed.
    pub(super) fn connect(&mut self, now: Instant, id: M::ConnectId, target: &Target) {
        let local = target.local.or_else(|| default_listener(&self.listeners, target.transport, target.remote));
        let identity = match target.transport {
            Transport::Tls => Identity::Server(target.tls_name.clone()),
            _ => Identity::Unproved,
        };
        let key = Key { transport: target.transport, remote: target.remote, local, identity };
        let result = match self.connections.find(&key) {
            Some(connection) => self.join(connection, id),
            None => self.open(now, key, target).and_then(|connection| self.join(connection, id)),
        };
        match result {
            Ok(None) => {}
            Ok(Some(flow)) => self.machine.handle_connect_done(now, id, Ok(flow)),
            Err(kind) => {
                self.stats.connect_failed += 1;
                self.machine.handle_connect_done(now, id, Err(kind));
            }
        }
    }

    /// The flow if the connection stands; else the asker waits for it.
    fn join(&mut self, connection: ConnectionId, id: M::ConnectId) -> Result<Option<Flow>, io::ErrorKind> {
        let Some(found) = self.connections.get(connection) else { return Err(io::ErrorKind::NotConnected) };
        if found.state == State::Open {
            return Ok(Some(found.flow));
        }
        let waiting = self.waiting.entry(connection).or_default();
        if waiting.len() >= WAITERS {
            return Err(io::ErrorKind::ResourceBusy);
        }
        waiting.push(id);
        Ok(None)
    }

    fn open(&mut self, now: Instant, key: Key, target: &Target) -> Result<ConnectionId, io::ErrorKind> {
        let kind = |error: io::Error| error.kind();
        let tls = match target.transport {
            Transport::Tcp => None,
            Transport::Tls => {
                let tls = self.options.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
                Some(tls.connect(target.tls_name.as_deref(), target.remote).map_err(kind)?)
            }
            _ => return Err(io::ErrorKind::Unsupported),
        };
        let id = self.connections.next_id().ok_or(io::ErrorKind::ResourceBusy)?;
        let socket =
            Socket::new(Domain::for_address(target.remote), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
                .map_err(kind)?;
        // From the listener's address, but not its port: that one is taken.
        if let Some(local) = key.local
            && !local.ip().is_unspecified()
        {
            socket.bind(&SocketAddr::new(local.ip(), 0).into()).map_err(kind)?;
        }
        match socket.connect(&target.remote.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error.kind()),
        }
        let stream = TcpStream::from(socket);
        let local = match key.local {
            Some(local) => local,
            None => stream.local_addr().map_err(kind)?,
        };
        let flow = Flow { transport: target.transport, local, remote: target.remote, connection: Some(id) };
        let framer = Framer::new(self.options.limits.clone());
        if !self.add(id, Connection::new(now, flow, key, stream, tls, framer, true)) {
            return Err(io::ErrorKind::Other);
        }
        Ok(id)
    }

    fn add(&mut self, id: ConnectionId, connection: Connection) -> bool {
        // Small messages must not wait for the acknowledgement of the last.
        let _ = connection.stream.set_nodelay(true);
        if self.poller.add(&connection.stream, id.0, connection.interest).is_err() {
            return false;
        }
        self.connections.insert(id, connection);
        true
    }

    pub(super) fn connection_ready(&mut self, now: Instant, id: ConnectionId, ready: Ready) {
        let Some(connection) = self.connections.get(id) else { return };
        let before = connection.state;
        if before == State::Connecting {
            if let Err(why) = connection.connected() {
                return self.close(now, id, why);
            }
        } else if ready.writable
            && let Err(why) = connection.flush()
        {
            return self.close(now, id, why);
        }
        let mut result = Ok(());
        if ready.readable && before != State::Connecting {
            let mut arrivals = std::mem::take(&mut self.arrivals);
            result = connection.receive(now, &mut self.buffer, &mut arrivals);
            let flow = connection.flow;
            if before == State::Handshaking && connection.state == State::Open {
                self.identified(now, id);
            }
            for arrival in arrivals.drain(..) {
                self.arrived(now, flow, arrival);
            }
            self.arrivals = arrivals;
        }
        self.opened(now, id, before);
        match result {
            // What came before the end is answered first.
            Err(why) => self.closing.push((id, why)),
            Ok(()) => self.mark(id),
        }
    }

    /// A TLS handshake is done: what the client's certificate proves is known to all before its first message.
    fn identified(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        if !matches!(connection.key.identity, Identity::Client(_)) {
            return;
        }
        let Some(identities) = connection.identities() else { return };
        let flow = connection.flow;
        self.stats.identified += 1;
        self.connections.identify(id, identities.clone());
        self.machine.handle_flow_identified(now, flow, &identities);
        self.tell_others(|| Mail::FlowIdentified(flow, identities.clone()));
    }

    fn tell_others(&self, mail: impl Fn() -> Mail<M::TransmitId>) {
        for (n, mailbox) in self.boxes.0.iter().enumerate() {
            if n != self.index {
                mailbox.push(mail());
            }
        }
    }

    fn arrived(&mut self, now: Instant, flow: Flow, arrival: Arrival) {
        let Arrival::Message(message) = arrival else { return self.stats.keepalives += 1 };
        self.stats.stream_rx += 1;
        if let Some(tap) = &self.options.tap {
            tap.received(&flow, &message.to_bytes());
        }
        if !dispatch(&mut self.machine, &self.boxes, self.index, now, flow, message) {
            self.stats.overflow += 1;
            // Nobody retransmits on a stream: the peer must learn that its message is lost.
            if let Some(id) = flow.connection {
                self.closing.push((id, Closed::Us));
            }
        }
    }

    /// Tells those who wait for the connection once it stands.
    fn opened(&mut self, now: Instant, id: ConnectionId, before: State) {
        let Some(connection) = self.connections.get(id) else { return };
        if before == State::Open || connection.state != State::Open {
            return;
        }
        let flow = connection.flow;
        if let Some(waiting) = self.waiting.remove(&id) {
            self.stats.connected += 1;
            for asker in waiting {
                self.machine.handle_connect_done(now, asker, Ok(flow));
            }
        }
    }

    /// Puts a message into the buffer of a connection of ours.
    pub(super) fn send_stream(&mut self, now: Instant, transmit: Transmit<M::TransmitId>) -> Result<(), io::ErrorKind> {
        let Transmit { flow, payload, close, .. } = transmit;
        let id = flow.connection.unwrap_or(ConnectionId(0));
        // The flow must be this connection in every respect: nothing meant for TLS leaves over TCP.
        let Some(connection) = self.connections.get(id).filter(|c| c.flow == flow && c.state == State::Open) else {
            self.stats.stream_tx_failed += 1;
            return Err(io::ErrorKind::NotConnected);
        };
        connection.close_when_written |= close;
        if let Err(why) = connection.send(now, &payload) {
            self.stats.stream_tx_failed += 1;
            self.closing.push((id, why));
            return Err(io::ErrorKind::WriteZero);
        }
        self.stats.stream_tx += 1;
        if let Some(tap) = &self.options.tap {
            tap.sent(&flow, &payload);
        }
        self.mark(id);
        Ok(())
    }

    /// The connection is flushed and its timers are looked at when the iteration ends.
    fn mark(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Ends the iteration: output is written, timers are set, what is to close is closed.
    pub(super) fn settle(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(connection) = self.connections.get(id) else { continue };
            connection.dirty = false;
            if let Err(why) = connection.flush() {
                self.closing.push((id, why));
                continue;
            }
            let wants = connection.wants();
            if wants != connection.interest {
                connection.interest = wants;
                if self.poller.modify(&connection.stream, id.0, wants).is_err() {
                    self.closing.push((id, Closed::Us));
                    continue;
                }
            }
            self.connections.watch(id);
        }
        for (id, why) in std::mem::take(&mut self.closing) {
            if let Some(connection) = self.connections.get(id) {
                // Answers to the last messages; what the socket does not take at once is lost with it.
                let _ = connection.flush();
            }
            self.close(now, id, why);
        }
    }

    pub(super) fn close(&mut self, now: Instant, id: ConnectionId, why: Closed) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        self.poller.remove(&connection.stream);
        connection.say_goodbye();
        self.stats.closed(why);
        let flow = connection.flow;
        tracing::debug!(remote = %flow.remote, transport = flow.transport.as_str(), ?why, "connection closed");
        if let Some(waiting) = self.waiting.remove(&id) {
            let kind = match why {
                Closed::Error(kind) => kind,
                Closed::Slow => io::ErrorKind::TimedOut,
                Closed::Tls => io::ErrorKind::InvalidData,
                _ => io::ErrorKind::ConnectionAborted,
            };
            self.stats.connect_failed += waiting.len() as u64;
            for asker in waiting {
                self.machine.handle_connect_done(now, asker, Err(kind));
            }
        }
        if connection.state != State::Open {
            return;
        }
        // The machine may have output now.
        self.busy = true;
        self.machine.handle_flow_closed(now, flow);
        self.tell_others(|| Mail::FlowClosed(flow));
    }
}
