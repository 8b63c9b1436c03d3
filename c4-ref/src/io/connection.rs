//! One TCP or TLS connection: octets in, framed messages out, and a bounded buffer towards the peer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use sip_core::flow::Flow;
use sip_core::message::{Frame, FrameError, Framer, Message};

use super::connections::Key;
use super::poller::Interest;
use super::sources::Place;
use crate::identity::Identities;

/// What waits for a peer that does not read, octets; beyond it the connection is closed.
pub(super) const WRITE_BUFFER: usize = 1 << 20;
/// Reads per wake-up, so that one busy peer does not starve the others.
const READS: usize = 4;
/// The answer to a ping of two CRLF (RFC 5626 §3.5.1).
const PONG: &[u8] = b"\r\n";

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The TCP connect is under way.
    Connecting,
    /// TCP stands, TLS does not yet.
    Handshaking,
    /// Messages may pass.
    Open,
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The peer, in order.
    Peer,
    /// The network.
    Error(io::ErrorKind),
    /// TLS failed: handshake, certificate or record.
    Tls,
    /// No SIP, or beyond the limits.
    Framing,
    /// A connect, handshake or message took too long.
    Slow,
    /// Nothing came or went for too long.
    Idle,
    /// The peer does not read, and its buffer is full.
    Full,
    /// Our side wanted it.
    Us,
}

/// A connection and what is under way on it.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) key: Key,
    pub(super) state: State,
    pub(super) stream: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    framer: Framer,
    out: BytesMut,
    /// Its place among those of its source; `None`: we opened it.
    pub(super) place: Option<Place>,
    /// What the poller watches for.
    pub(super) interest: Interest,
    /// Since when a connect, a handshake or a message is unfinished.
    pub(super) unfinished: Option<Instant>,
    /// The peer opened it and has sent no whole message yet: till then its place is lent, not given.
    awaits_first: bool,
    /// When the last message came or went.
    pub(super) active: Instant,
    pub(super) close_when_written: bool,
    /// Stands in the list of connections with unwritten output.
    pub(super) dirty: bool,
    /// Stands in the table of unfinished messages.
    pub(super) timed: bool,
}

/// A framed arrival.
pub(super) enum Arrival {
    Message(Message),
    Ping,
}

impl Connection {
    pub(super) fn new(
        now: Instant,
        flow: Flow,
        key: Key,
        stream: TcpStream,
        tls: Option<rustls::Connection>,
        framer: Framer,
        connecting: bool,
    ) -> Connection {
        let state = match (connecting, &tls) {
            (true, _) => State::Connecting,
            (false, Some(_)) => State::Handshaking,
            (false, None) => State::Open,
        };
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(WRITE_BUFFER));
            Box::new(tls)
        });
        Connection {
            flow,
            key,
            state,
            stream,
            tls,
            framer,
            out: BytesMut::new(),
            place: None,
            interest: if connecting { Interest::Write } else { Interest::Read },
            unfinished: Some(now),
            awaits_first: !connecting,
            active: now,
            close_when_written: false,
            dirty: false,
            timed: false,
        }
    }

    /// The TCP connect has ended, one way or the other.
    pub(super) fn connected(&mut self) -> Result<(), Closed> {
        if let Some(error) = self.stream.take_error().map_err(|e| Closed::Error(e.kind()))? {
            return Err(Closed::Error(error.kind()));
        }
        self.state = if self.tls.is_some() { State::Handshaking } else { State::Open };
        if self.state == State::Open {
            self.unfinished = None;
        }
        self.flush()
    }

    /// What the certificate of the TLS client proves; `None` when it showed none, or one that proves nothing.
    pub(super) fn identities(&self) -> Option<Identities> {
        let certificate = self.tls.as_ref()?.peer_certificates()?.first()?;
        Some(super::tls::identities(certificate)).filter(|identities| !identities.is_empty())
    }

    /// Reads what has come. Arrivals before a close are complete and count.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), Closed> {
        let before = arrivals.len();
        let result = match self.tls.is_some() {
            true => self.read_tls(buffer, arrivals),
            false => self.read_plain(buffer, arrivals),
        };
        if arrivals.len() > before {
            self.active = now;
        }
        if self.state == State::Open {
            let came = arrivals.get(before..).unwrap_or_default();
            self.awaits_first &= !came.iter().any(|arrival| matches!(arrival, Arrival::Message(_)));
            // A ping is answered but is no message: RFC 5626 §4.4.1 has it keep a flow open that a REGISTER made
            // (§4.2.1), and four octets now and then must not hold a place that nobody has asked for anything by.
            let whole = !self.awaits_first && !came.is_empty();
            match self.awaits_first || self.framer.partial().is_some() {
                // The clock of a message starts with its first octet, that of the first one with the connection, and
                // neither starts again with later octets.
                true if whole || self.unfinished.is_none() => self.unfinished = Some(now),
                true => {}
                false => self.unfinished = None,
            }
        }
        result
    }

    fn read_plain(&mut self, buffer: &mut [u8], arrivals: &mut Vec<Arrival>) -> Result<(), Closed> {
        for _ in 0..READS {
            match self.stream.read(buffer) {
                Ok(0) => return Err(Closed::Peer),
                Ok(length) => {
                    self.framed(buffer.get(..length).unwrap_or_default(), arrivals)?;
                    if length < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Closed::Error(error.kind())),
            }
        }
        Ok(())
    }

    fn read_tls(&mut self, buffer: &mut [u8], arrivals: &mut Vec<Arrival>) -> Result<(), Closed> {
        for _ in 0..READS {
            let Some(tls) = &mut self.tls else { return Ok(()) };
            match tls.read_tls(&mut self.stream) {
                Ok(0) => return Err(Closed::Peer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Closed::Error(error.kind())),
            }
            let failed = tls.process_new_packets().inspect_err(|error| {
                tracing::debug!(remote = %self.flow.remote, %error, "TLS failed");
            });
            if self.state == State::Handshaking && !tls.is_handshaking() {
                self.state = State::Open;
                self.unfinished = None;
            }
            if tls.wants_write() {
                // Handshake records, tickets and alerts go at once; what does not fit waits for the poller.
                let _ = self.flush();
            }
            if failed.is_err() {
                return Err(Closed::Tls);
            }
            self.decrypted(buffer, arrivals)?;
        }
        Ok(())
    }

    fn decrypted(&mut self, buffer: &mut [u8], arrivals: &mut Vec<Arrival>) -> Result<(), Closed> {
        loop {
            let Some(tls) = &mut self.tls else { return Ok(()) };
            match tls.reader().read(buffer) {
                Ok(0) => return Err(Closed::Peer),
                Ok(length) => self.framed(buffer.get(..length).unwrap_or_default(), arrivals)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Closed::Peer),
            }
        }
    }

    fn framed(&mut self, octets: &[u8], arrivals: &mut Vec<Arrival>) -> Result<(), Closed> {
        self.framer.push(octets);
        loop {
            match self.framer.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Message(message))) => arrivals.push(Arrival::Message(message)),
                Ok(Some(Frame::Ping)) => {
                    self.write(PONG)?;
                    arrivals.push(Arrival::Ping);
                }
                Ok(Some(Frame::Pong)) => arrivals.push(Arrival::Ping),
                Err(error) => {
                    // Where the next message starts is unknown: this one is answered, then the connection ends.
                    if let FrameError::Unbounded(defect) = error
                        && let Some(response) = defect.response()
                    {
                        self.write(&response.to_bytes())?;
                    }
                    return Err(Closed::Framing);
                }
            }
        }
    }

    /// Takes a whole message for the peer; [`Connection::flush`] sends it.
    pub(super) fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), Closed> {
        self.active = now;
        self.write(payload)
    }

    fn write(&mut self, payload: &[u8]) -> Result<(), Closed> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(payload).map_err(|_| Closed::Full),
            None if self.out.len() + payload.len() > WRITE_BUFFER => Err(Closed::Full),
            None => {
                self.out.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    /// Sends what the socket takes now.
    pub(super) fn flush(&mut self) -> Result<(), Closed> {
        if self.state == State::Connecting {
            return Ok(());
        }
        loop {
            let written = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.stream),
                None if !self.out.is_empty() => self.stream.write(&self.out),
                _ => break,
            };
            match written {
                Ok(0) => return Err(Closed::Peer),
                Ok(length) if self.tls.is_none() => self.out.advance(length),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Closed::Error(error.kind())),
            }
        }
        if self.out.is_empty() && self.out.capacity() > 16 * 1024 {
            self.out = BytesMut::new();
        }
        if self.close_when_written { Err(Closed::Us) } else { Ok(()) }
    }

    /// What to watch for from now on.
    pub(super) fn wants(&self) -> Interest {
        let unwritten = !self.out.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        match self.state {
            State::Connecting => Interest::Write,
            _ if unwritten => Interest::ReadWrite,
            _ => Interest::Read,
        }
    }

    /// Tells the peer of a TLS connection that it ends here, as far as the socket takes it.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.stream);
        }
    }
}
