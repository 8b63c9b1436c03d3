//! A capture file from its octets to its calls.
use std::time::Duration;

use bytes::Bytes;
use sip_core::{Limits, Message};

use super::calls::{Call, Calls};
use super::fragments::Fragments;
use super::packet::{Carried, Segment, Skipped, read, transport};
use super::pcap::{Error, Frame, Reader};
use super::streams::{Stream, Streams};
use super::tcp::{self, Piece, looks_like_sip};

/// What was captured, read as it comes: put the file in with [`push`](Trace::push).
///
/// ```
/// let mut trace = c4_ref::ladder::Trace::new();
/// assert!(trace.push(b"this is no capture").is_err());
/// ```
#[derive(Default)]
pub struct Trace {
    reader: Reader,
    calls: Calls,
    streams: Streams,
    tcp: tcp::Streams,
    fragments: Fragments,
    counts: Counts,
}

/// What could not be read, and what was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of the file.
    pub frames: u64,
    /// SIP messages.
    pub messages: u64,
    /// Parts of IP packets that are not all there: a message in them is not seen.
    pub fragments: u64,
    /// Frames of link types that are not known.
    pub links: u64,
    /// Datagrams that look like SIP and are none.
    pub malformed: u64,
    /// Messages of datagrams that were not captured whole: the snapshot length was too short.
    pub cut: u64,
    /// Directions of TLS connections.
    pub encrypted: u64,
    /// Octets of TCP that were never captured.
    pub gaps: u64,
    /// Messages of calls beyond those that are kept.
    pub left_out: u64,
    /// Octets behind the last whole frame: the file was cut off.
    pub rest: u64,
}

impl Trace {
    /// Nothing read yet.
    pub fn new() -> Trace {
        Trace::default()
    }

    /// Reads on.
    ///
    /// # Errors
    /// What follows is no capture; what was read before stays.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.reader.push(octets);
        while let Some(frame) = self.reader.next()? {
            self.frame(&frame);
        }
        Ok(())
    }

    /// The calls, in order of their first messages.
    pub fn calls(&self) -> &[Call] {
        &self.calls.calls
    }

    /// The RTP of the call with this number.
    pub fn streams(&self, call: usize) -> impl Iterator<Item = &Stream> {
        self.streams.of(call)
    }

    /// What could not be read, and what was.
    pub fn counts(&self) -> Counts {
        Counts {
            fragments: self.fragments.left,
            encrypted: self.tcp.encrypted,
            gaps: self.tcp.gaps,
            left_out: self.calls.left_out,
            rest: self.reader.rest() as u64,
            ..self.counts
        }
    }

    fn frame(&mut self, frame: &Frame) {
        self.counts.frames += 1;
        match read(frame.link, &frame.octets) {
            Ok(segment) => self.segment(frame, &segment),
            Err(Skipped::Fragment(part)) => {
                let whole = self.fragments.take(&part);
                if let Some(Ok(segment)) =
                    whole.as_deref().map(|octets| transport(part.protocol, part.from, part.to, octets))
                {
                    self.segment(frame, &segment);
                }
            }
            Err(Skipped::Link) => self.counts.links += 1,
            Err(Skipped::Other) => {}
        }
    }

    fn segment(&mut self, frame: &Frame, segment: &Segment<'_>) {
        let (at, Segment { from, to, carried }) = (frame.at, *segment);
        match carried {
            Carried::Udp(payload) if looks_like_sip(payload) => {
                match Message::parse(Bytes::copy_from_slice(payload), &Limits::default()) {
                    Ok(message) => {
                        self.counts.cut += u64::from(frame.octets.len() < frame.length as usize);
                        self.message(at, &from.to_string(), &to.to_string(), &message);
                    }
                    Err(_) => self.counts.malformed += 1,
                }
            }
            Carried::Udp(payload) => self.streams.take(at, from, to, payload),
            Carried::Tcp { sequence, syn, end, octets } => {
                let messages = self.tcp.take(from, to, &Piece { sequence, syn, end, octets });
                let (from, to) = (from.to_string(), to.to_string());
                messages.iter().for_each(|message| self.message(at, &from, &to, message));
            }
        }
    }

    /// A message from elsewhere than a file, between parties of any names.
    pub fn message(&mut self, at: Duration, from: &str, to: &str, message: &Message) {
        self.counts.messages += 1;
        if let Some(call) = self.calls.take(at, from, to, message)
            && !message.body().is_empty()
        {
            self.streams.describe(call, message.body());
        }
    }
}
