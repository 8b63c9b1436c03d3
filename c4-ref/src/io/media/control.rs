//! The sockets of the NG protocol, on the first worker.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use socket2::SockRef;

use super::super::connection::WRITE_BUFFER;
use super::super::connections::{ACCEPT_PAUSE, out_of_files};
use super::super::poller::{Interest, Poller, Ready};
use super::super::sockets::{Sockets, WorkerSockets};
use super::super::udp::{DATAGRAM, Udp};
use crate::admin::merge;
use crate::net::Network;
use crate::ng::server::{CommandId, ConnectionId, Event, Peer, Rejected, Server};
use crate::ng::{Reply, Request};

/// First tokens of the kinds of sockets; media sockets and the mailbox are below.
const UDP: u64 = 2 << 32;
const LISTENER: u64 = 3 << 32;
const CONNECTION: u64 = 4 << 32;

/// Datagrams taken from a socket per wake-up: media waits for as many requests.
const DATAGRAMS: usize = 8;
/// Connections taken from a listener per wake-up.
const ACCEPTS: usize = 16;
/// A client that has said its last word has so long to read what it asked for.
const LINGER: Duration = Duration::from_secs(10);

/// The NG server and its sockets.
pub(super) struct Control {
    server: Server,
    udp: Vec<Udp>,
    listeners: Vec<TcpListener>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Which connections requests came by that are not answered yet.
    asked: BTreeMap<CommandId, ConnectionId>,
    opened: u64,
    buffer: Vec<u8>,
    /// When listeners that were set aside are looked at again.
    accept_again: Option<Instant>,
    /// Connections whose client says nothing more, and when they go; in that order.
    lingering: VecDeque<(Instant, ConnectionId)>,
    send_failed: u64,
}

struct Connection {
    stream: TcpStream,
    out: BytesMut,
    /// What it is watched for.
    interest: Option<Interest>,
    /// Requests that are not answered yet.
    waiting: usize,
    /// The client says nothing more.
    ended: bool,
    close_when_written: bool,
}

/// The connection is over.
struct Over;

impl Control {
    /// Watches the sockets of the first worker.
    pub(super) fn new(server: Server, sockets: Sockets, poller: &Poller) -> io::Result<Control> {
        let WorkerSockets { udp, streams, .. } = sockets.workers.into_iter().next().unwrap_or_default();
        let udp: Vec<_> = udp.into_iter().map(|(socket, local)| Udp::with_burst(socket, local, DATAGRAMS)).collect();
        let listeners: Vec<_> = streams.into_iter().map(|(listener, _)| listener).collect();
        for (n, udp) in (UDP..).zip(&udp) {
            poller.add(&udp.socket, n, Interest::Read)?;
        }
        for (n, listener) in (LISTENER..).zip(&listeners) {
            poller.add(listener, n, Interest::Read)?;
        }
        Ok(Control {
            server,
            udp,
            listeners,
            connections: BTreeMap::new(),
            asked: BTreeMap::new(),
            opened: 0,
            buffer: vec![0; DATAGRAM],
            accept_again: None,
            lingering: VecDeque::new(),
            send_failed: 0,
        })
    }

    /// One of the sockets is ready.
    pub(super) fn ready(&mut self, now: Instant, poller: &Poller, ready: Ready) {
        match ready.token {
            token @ CONNECTION.. => self.stream(now, poller, ConnectionId(token - CONNECTION), ready),
            token @ LISTENER.. => self.accept(now, poller, (token - LISTENER) as usize),
            token => self.datagrams(now, token.saturating_sub(UDP)),
        }
    }

    /// Who may ask from now on.
    pub(super) fn set_allow(&mut self, allow: &[Network]) {
        self.server.set_allow(allow.to_vec());
    }

    /// The next request.
    pub(super) fn poll_request(&mut self) -> Option<(CommandId, Request)> {
        let Event::Request { id, peer, request } = self.server.poll_event()?;
        if let Peer::Tcp(connection) = peer
            && let Some(known) = self.connections.get_mut(&connection)
        {
            known.waiting += 1;
            self.asked.insert(id, connection);
        }
        Some((id, request))
    }

    /// The reply to a request; [`Control::flush`] sends it.
    pub(super) fn answer(&mut self, now: Instant, id: CommandId, reply: Reply) {
        if self.server.handle_answer(now, id, reply).is_err() {
            tracing::debug!(id = id.0, "a reply comes too late");
        }
        if let Some(connection) = self.asked.remove(&id).and_then(|id| self.connections.get_mut(&id)) {
            connection.waiting -= 1;
        }
    }

    /// Sends what is to be sent.
    pub(super) fn flush(&mut self, now: Instant, poller: &Poller) {
        while let Some(transmit) = self.server.poll_transmit() {
            match transmit.to {
                Peer::Udp { listener, remote } => {
                    let socket = self.udp.get(usize::from(listener)).map(|udp| &udp.socket);
                    // As if the network had lost it: the client asks again, and is answered from memory.
                    let sent = socket.is_some_and(|socket| socket.send_to(&transmit.payload, remote).is_ok());
                    self.send_failed += u64::from(!sent);
                }
                Peer::Tcp(id) => {
                    let Some(connection) = self.connections.get_mut(&id) else { continue };
                    connection.close_when_written |= transmit.close;
                    let written = connection.write(&transmit.payload);
                    self.settle(now, poller, id, written);
                }
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, poller: &Poller) {
        if self.accept_again.take_if(|at| *at <= now).is_some() {
            for (n, listener) in (LISTENER..).zip(&self.listeners) {
                if let Err(error) = poller.add(listener, n, Interest::Read) {
                    tracing::error!(%error, "a listener cannot be watched again");
                }
            }
        }
        while let Some(&(at, id)) = self.lingering.front()
            && at <= now
        {
            self.lingering.pop_front();
            self.close(now, id);
        }
        self.server.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lingering = self.lingering.front().map(|&(at, _)| at);
        [self.server.poll_timeout(), self.accept_again, lingering].into_iter().flatten().min()
    }

    /// As part of the answer to `stats`.
    pub(super) fn counters(&self) -> Value {
        let mut counters = json!({ "connections": self.connections.len(), "tx_failed": self.send_failed });
        merge(&mut counters, serde_json::to_value(self.server.stats()).unwrap_or_default());
        json!({ "ng": counters })
    }

    fn datagrams(&mut self, now: Instant, n: u64) {
        let Control { server, udp, buffer, .. } = self;
        let listener = n as u16;
        if let Some(udp) = udp.get_mut(usize::from(listener)) {
            // What is refused is counted.
            udp.receive(buffer, |from, datagram| {
                let _ = server.handle_datagram(now, listener, from, datagram);
            });
        }
    }

    fn accept(&mut self, now: Instant, poller: &Poller, n: usize) {
        for _ in 0..ACCEPTS {
            match self.listeners.get(n).map(TcpListener::accept) {
                None => return,
                Some(Ok((stream, remote))) => {
                    self.opened += 1;
                    let id = ConnectionId(self.opened);
                    if self.server.handle_connected(now, id, remote).is_ok() && self.add(poller, id, stream).is_err() {
                        self.server.handle_closed(now, id);
                    }
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The listener stays ready: looked away from for a while, else the loop would spin.
                Some(Err(error)) if error.raw_os_error().is_some_and(out_of_files) => {
                    tracing::warn!(%error, "cannot accept NG connections");
                    self.listeners.iter().for_each(|listener| poller.remove(listener));
                    self.accept_again = Some(now + ACCEPT_PAUSE);
                    return;
                }
                // That one connection was gone before it was taken.
                Some(Err(_)) => {}
            }
        }
    }

    fn add(&mut self, poller: &Poller, id: ConnectionId, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        // A client whose host is gone frees its place some time.
        SockRef::from(&stream).set_keepalive(true)?;
        poller.add(&stream, CONNECTION + id.0, Interest::Read)?;
        let (out, interest) = (BytesMut::new(), Some(Interest::Read));
        let (waiting, ended, close_when_written) = (0, false, false);
        self.connections.insert(id, Connection { stream, out, interest, waiting, ended, close_when_written });
        Ok(())
    }

    /// A connection can be written to, or read from; one read a wake-up is fair to media.
    fn stream(&mut self, now: Instant, poller: &Poller, id: ConnectionId, ready: Ready) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut result = if ready.writable { connection.flush() } else { Ok(()) };
        if ready.readable && result.is_ok() && !connection.ended {
            result = match connection.stream.read(&mut self.buffer) {
                Ok(0) => {
                    connection.ended = true;
                    self.lingering.push_back((now + LINGER, id));
                    Ok(())
                }
                Ok(length) => {
                    let octets = self.buffer.get(..length).unwrap_or_default();
                    match self.server.handle_stream(now, id, octets) {
                        // Not taken, and so the frame is lost; the driver drains before each read.
                        Err(Rejected::Busy) => Err(Over),
                        _ => Ok(()),
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
                Err(_) => Err(Over),
            };
        }
        self.settle(now, poller, id, result);
    }

    /// After something was done with a connection: watched for what it waits for, or closed.
    fn settle(&mut self, now: Instant, poller: &Poller, id: ConnectionId, result: Result<(), Over>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let last = connection.close_when_written || connection.ended && connection.waiting == 0;
        let done = last && connection.out.is_empty();
        if result.is_err() || done {
            return self.close(now, id);
        }
        let interest = match (connection.ended, connection.out.is_empty()) {
            (false, true) => Some(Interest::Read),
            (false, false) => Some(Interest::ReadWrite),
            // It would be ready to be read without end.
            (true, true) => None,
            (true, false) => Some(Interest::Write),
        };
        let (stream, token) = (&connection.stream, CONNECTION + id.0);
        let watched = match (std::mem::replace(&mut connection.interest, interest), interest) {
            (before, after) if before == after => Ok(()),
            (None, Some(after)) => poller.add(stream, token, after),
            (_, Some(after)) => poller.modify(stream, token, after),
            (_, None) => {
                poller.remove(stream);
                Ok(())
            }
        };
        if watched.is_err() {
            self.close(now, id);
        }
    }

    fn close(&mut self, now: Instant, id: ConnectionId) {
        self.connections.remove(&id);
        self.server.handle_closed(now, id);
    }
}

impl Connection {
    /// A reply of any length, a list of all calls, is taken when nothing else waits.
    fn write(&mut self, payload: &[u8]) -> Result<(), Over> {
        if !self.out.is_empty() && self.out.len() + payload.len() > WRITE_BUFFER {
            return Err(Over);
        }
        self.out.extend_from_slice(payload);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Over> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return Err(Over),
                Ok(length) => self.out.advance(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_larger_than_the_buffer_is_written_and_what_follows_is_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let (out, interest) = (BytesMut::new(), None);
        let mut connection = Connection { stream, out, interest, waiting: 0, ended: false, close_when_written: false };
        let list = vec![b'x'; 16 * WRITE_BUFFER];
        assert!(connection.write(&list).is_ok());
        assert!(!connection.out.is_empty(), "more than the kernel takes");
        assert!(connection.write(&list).is_err());
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; 16 * WRITE_BUFFER];
            client.read_exact(&mut read).is_ok()
        });
        while !connection.out.is_empty() {
            assert!(connection.flush().is_ok());
            std::thread::yield_now();
        }
        assert!(reader.join().unwrap());
    }
}
