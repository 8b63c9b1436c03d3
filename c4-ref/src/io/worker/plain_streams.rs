//! A worker's connections over which something other than SIP goes: the machine asked for them by number.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use bytes::Bytes;
use socket2::{Protocol, Type};

use super::super::poller::{Interest, Poller, Ready};
use super::super::sockets::unbound;
use super::Worker;
use crate::machine::{Machine, PlainNews};

/// Tokens of the poller: this and the connection's slot.
pub(super) const PLAIN_STREAMS: u64 = 1 << 15;
/// Connections at a time.
const MAX_STREAMS: usize = 256;
/// Octets that may wait for a connection to take them.
const MAX_WAITING: usize = 4 << 20;

#[derive(Default)]
pub(super) struct PlainStreams {
    slots: Vec<Option<Stream>>,
    by_id: HashMap<u64, usize>,
}

struct Stream {
    id: u64,
    stream: TcpStream,
    is_open: bool,
    waiting: Vec<u8>,
    close_when_written: bool,
}

impl PlainStreams {
    fn connect(&mut self, poller: &Poller, id: u64, to: SocketAddr) -> io::Result<()> {
        let slot = match self.slots.iter().position(Option::is_none) {
            Some(slot) => slot,
            None if self.slots.len() < MAX_STREAMS => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return Err(io::ErrorKind::ResourceBusy.into()),
        };
        let socket = unbound(to, Type::STREAM, Protocol::TCP)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        // Small messages must not wait for the acknowledgement of the last.
        let _ = socket.set_tcp_nodelay(true);
        let stream = TcpStream::from(socket);
        poller.add(&stream, PLAIN_STREAMS + slot as u64, Interest::ReadWrite)?;
        let stream = Stream { id, stream, is_open: false, waiting: Vec::new(), close_when_written: false };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(stream);
            self.by_id.insert(id, slot);
        }
        Ok(())
    }

    fn stream(&mut self, id: u64) -> Option<(u64, &mut Stream)> {
        let slot = *self.by_id.get(&id)?;
        Some((PLAIN_STREAMS + slot as u64, self.slots.get_mut(slot)?.as_mut()?))
    }

    fn drop_stream(&mut self, poller: &Poller, id: u64) {
        let Some(slot) = self.by_id.remove(&id) else { return };
        if let Some(stream) = self.slots.get_mut(slot).and_then(Option::take) {
            poller.remove(&stream.stream);
        }
    }
}

impl Stream {
    /// Writes what it takes; an error ends it.
    fn write(&mut self, poller: &Poller, token: u64) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.waiting.drain(..written);
        let interest = if self.waiting.is_empty() { Interest::Read } else { Interest::ReadWrite };
        poller.modify(&self.stream, token, interest)
    }
}

impl<M: Machine> Worker<M> {
    pub(super) fn plain_connect(&mut self, now: Instant, id: u64, to: SocketAddr) {
        if let Err(error) = self.plain_streams.connect(&self.poller, id, to) {
            self.plain_news(now, id, PlainNews::Connected(Err(error.kind())));
        }
    }

    pub(super) fn plain_write(&mut self, now: Instant, id: u64, payload: &[u8], close: bool) {
        let Some((token, stream)) = self.plain_streams.stream(id) else { return };
        stream.waiting.extend_from_slice(payload);
        stream.close_when_written |= close;
        let full = stream.waiting.len() > MAX_WAITING;
        let written = if stream.is_open { stream.write(&self.poller, token) } else { Ok(()) };
        let done = stream.close_when_written && (stream.waiting.is_empty() || !stream.is_open);
        if done {
            self.plain_streams.drop_stream(&self.poller, id);
        } else if full || written.is_err() {
            self.plain_streams.drop_stream(&self.poller, id);
            self.plain_news(now, id, PlainNews::Closed);
        }
    }

    pub(super) fn plain_stream_ready(&mut self, now: Instant, ready: Ready) {
        let slot = ready.token.saturating_sub(PLAIN_STREAMS) as usize;
        let Worker { plain_streams, buffer, poller, .. } = self;
        let Some(stream) = plain_streams.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let id = stream.id;
        if !stream.is_open {
            let failed = stream.stream.take_error().ok().flatten().or_else(|| stream.stream.peer_addr().err());
            if let Some(error) = failed {
                self.plain_streams.drop_stream(&self.poller, id);
                return self.plain_news(now, id, PlainNews::Connected(Err(error.kind())));
            }
            stream.is_open = true;
            // Level-triggered: what is readable is told again.
            let written = stream.write(poller, ready.token);
            self.plain_news(now, id, PlainNews::Connected(Ok(())));
            return self.plain_ended(now, id, written.is_err());
        }
        let mut ended = ready.writable && stream.write(poller, ready.token).is_err();
        ended |= stream.close_when_written && stream.waiting.is_empty();
        let mut octets = None;
        if ready.readable && !ended {
            match stream.stream.read(buffer) {
                Ok(0) => ended = true,
                Ok(n) => octets = buffer.get(..n).map(Bytes::copy_from_slice),
                Err(error) => {
                    ended = !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                }
            }
        }
        if let Some(octets) = octets {
            self.plain_news(now, id, PlainNews::Octets(octets));
        }
        self.plain_ended(now, id, ended);
    }

    fn plain_ended(&mut self, now: Instant, id: u64, ended: bool) {
        if ended {
            self.plain_streams.drop_stream(&self.poller, id);
            self.plain_news(now, id, PlainNews::Closed);
        }
    }

    fn plain_news(&mut self, now: Instant, id: u64, news: PlainNews) {
        self.machine.handle_plain(now, id, news);
    }
}
