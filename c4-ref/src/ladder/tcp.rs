//! SIP over TCP in a capture: each direction of a connection put in order again and cut into messages.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use sip_core::message::{Frame, Framer};
use sip_core::{Limits, Message};

/// Directions of connections that are followed at a time.
const STREAMS: usize = 8192;
/// Segments that wait for one before them.
const WAITING: usize = 64;

/// One direction of a connection.
struct Stream {
    /// Number of the next octet.
    next: u32,
    /// `None`: what it carries is no SIP, or cannot be followed until a message begins with a segment.
    framer: Option<Framer>,
    /// Segments that came too early.
    waiting: BTreeMap<u32, Vec<u8>>,
}

/// All streams of a capture.
#[derive(Default)]
pub(super) struct Streams {
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    /// Directions that begin with a TLS record.
    pub(super) encrypted: u64,
    /// Octets that were never captured.
    pub(super) gaps: u64,
}

/// A segment, as [`Carried::Tcp`](super::packet::Carried::Tcp) has it.
pub(super) struct Piece<'a> {
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) end: bool,
    pub(super) octets: &'a [u8],
}

impl Streams {
    /// A segment was captured; the messages that are whole with it.
    pub(super) fn take(&mut self, from: SocketAddr, to: SocketAddr, piece: &Piece<'_>) -> Vec<Message> {
        let (key, mut messages) = ((from, to), Vec::new());
        if piece.syn {
            self.streams.remove(&key);
            return messages;
        }
        if !piece.octets.is_empty() {
            if !self.streams.contains_key(&key) && self.streams.len() >= STREAMS {
                return messages;
            }
            let stream = self.streams.entry(key).or_insert_with(|| {
                self.encrypted += u64::from(piece.octets.starts_with(&[0x16, 0x03]));
                Stream { next: piece.sequence, framer: None, waiting: BTreeMap::new() }
            });
            self.gaps += stream.take(piece.sequence, piece.octets, &mut messages);
        }
        if piece.end {
            self.streams.remove(&key);
        }
        messages
    }
}

impl Stream {
    /// Octets that are given up as never captured.
    fn take(&mut self, sequence: u32, octets: &[u8], messages: &mut Vec<Message>) -> u64 {
        let ahead = sequence.wrapping_sub(self.next) as i32;
        if ahead > 0 {
            self.waiting.insert(sequence, octets.to_vec());
            if self.waiting.len() <= WAITING {
                return 0;
            }
            return self.give_up(messages);
        }
        // What was sent again is known already.
        let fresh = octets.get(ahead.unsigned_abs() as usize..).unwrap_or_default();
        self.push(fresh, messages);
        self.drain(messages);
        0
    }

    /// Goes on behind a gap.
    fn give_up(&mut self, messages: &mut Vec<Message>) -> u64 {
        let next = self.next;
        let Some(first) = self.waiting.keys().copied().min_by_key(|at| at.wrapping_sub(next)) else { return 0 };
        (self.next, self.framer) = (first, None);
        self.drain(messages);
        u64::from(first.wrapping_sub(next))
    }

    /// Takes what no longer waits.
    fn drain(&mut self, messages: &mut Vec<Message>) {
        loop {
            let next = self.next;
            let ready = self.waiting.keys().copied().find(|at| at.wrapping_sub(next) as i32 <= 0);
            let Some((at, octets)) = ready.and_then(|at| self.waiting.remove_entry(&at)) else { return };
            self.push(octets.get(next.wrapping_sub(at) as usize..).unwrap_or_default(), messages);
        }
    }

    fn push(&mut self, octets: &[u8], messages: &mut Vec<Message>) {
        self.next = self.next.wrapping_add(octets.len() as u32);
        if self.framer.is_none() && looks_like_sip(octets) {
            self.framer = Some(Framer::new(Limits::default()));
        }
        let Some(framer) = &mut self.framer else { return };
        framer.push(octets);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => messages.push(message),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => return,
                Err(_) => {
                    self.framer = None;
                    return;
                }
            }
        }
    }
}

/// Whether a message may begin here: the version, a method and a URI, or a line that ends with the version. The line may
/// go on in another segment.
pub(super) fn looks_like_sip(octets: &[u8]) -> bool {
    let mut words = octets.splitn(3, |octet| *octet == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if first == b"SIP/2.0" || [&b"sip:"[..], b"sips:", b"tel:"].iter().any(|scheme| second.starts_with(scheme)) {
        return true;
    }
    let line = octets.iter().take(2048).position(|octet| *octet == b'\r' || *octet == b'\n');
    line.and_then(|end| octets.get(..end)).is_some_and(|line| line.ends_with(b" SIP/2.0"))
}
