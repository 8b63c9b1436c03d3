//! The RTP of a capture: who sent what to whom, between the addresses that descriptions named.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rtp::demux::{Kind, classify};
use rtp::packet::Packet;
use rtp::stats::impairment;
use sdp::Session;

use crate::quality::{Quality, rounded};

/// Addresses that are remembered.
const PLACES: usize = 65_536;
/// Streams that are counted.
const STREAMS: usize = 65_536;
/// The clock of a payload type that nobody has explained: that of telephony.
const RATE: u32 = 8000;

/// A codec by its name and clock rate, Hz.
type Codec = (Box<str>, u32);

/// An address where somebody waits for media.
#[derive(Debug)]
struct Place {
    /// The call whose description named it last.
    call: usize,
    /// What the payload types mean there.
    codecs: Vec<(u8, Codec)>,
}

/// Packets of one source from one address to another.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Number of its call.
    pub call: usize,
    /// Where it comes from.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its synchronisation source.
    pub ssrc: u32,
    /// Encoding name of its first packet, or its payload type.
    pub codec: Box<str>,
    /// The first packet.
    pub first: Duration,
    /// The last packet.
    pub last: Duration,
    quality: Quality,
}

impl Stream {
    /// Packets captured.
    pub fn packets(&self) -> u64 {
        self.quality.packets
    }

    /// Packets that are missing in the capture.
    pub fn lost(&self) -> u64 {
        self.quality.loss().lost
    }

    /// Those of a hundred.
    pub fn loss_percent(&self) -> f64 {
        rounded(self.quality.loss().percent().into())
    }

    /// Packets captured twice, and packets captured late.
    pub fn disorder(&self) -> (u64, u64) {
        (self.quality.duplicates, self.quality.reordered)
    }

    /// Interarrival jitter where it was captured, ms (RFC 3550 A.8).
    pub fn jitter_ms(&self) -> f64 {
        rounded(self.quality.jitter().millis().into())
    }

    /// The mean opinion score of who would listen where it was captured (ITU-T G.107).
    pub fn mos(&self) -> Option<f64> {
        self.quality.mos(impairment(&self.codec), None)
    }
}

/// All streams of a capture.
#[derive(Default)]
pub(super) struct Streams {
    places: HashMap<SocketAddr, Place>,
    index: HashMap<(usize, SocketAddr, SocketAddr, u32), usize>,
    streams: Vec<Stream>,
}

impl Streams {
    /// A message of a call carried a description.
    pub(super) fn describe(&mut self, call: usize, body: &[u8]) {
        let Ok(session) = Session::parse(Bytes::copy_from_slice(body), &sdp::Limits::default()) else { return };
        for media in session.medias() {
            let ip = media.connection().filter(|connection| !connection.is_unspecified()).and_then(|c| c.ip());
            let Some(ip) = ip.filter(|_| media.port() != 0 && media.protocol().is_rtp()) else { continue };
            let codec = |payload_type: u8| {
                let map = media.codec(payload_type)?;
                Some((payload_type, (map.encoding.into(), map.clock_rate)))
            };
            let codecs = media.payload_types().filter_map(codec).collect();
            let place = SocketAddr::new(ip, media.port());
            if self.places.len() < PLACES || self.places.contains_key(&place) {
                self.places.insert(place, Place { call, codecs });
            }
        }
    }

    /// A datagram that is no SIP.
    pub(super) fn take(&mut self, at: Duration, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        if classify(payload) != Kind::Rtp {
            return;
        }
        // Who waits there has said what it understands; else who sends from there has.
        let Some(place) = self.places.get(&to).or_else(|| self.places.get(&from)) else { return };
        let Ok(packet) = Packet::read(payload) else { return };
        let explained = place.codecs.iter().find(|(payload_type, _)| *payload_type == packet.payload_type());
        let codec = explained.map(|(_, codec)| codec);
        let is_event = codec.is_some_and(|(name, _)| name.eq_ignore_ascii_case("telephone-event"));
        let (call, ssrc) = (place.call, packet.ssrc());
        let index = match self.index.get(&(call, from, to, ssrc)) {
            Some(index) => *index,
            None if self.streams.len() < STREAMS => {
                let (name, rate) =
                    codec.cloned().unwrap_or_else(|| (format!("type {}", packet.payload_type()).into(), RATE));
                let quality = Quality::new(rate);
                self.streams.push(Stream { call, from, to, ssrc, codec: name, first: at, last: at, quality });
                self.index.insert((call, from, to, ssrc), self.streams.len() - 1);
                self.streams.len() - 1
            }
            None => return,
        };
        if let Some(stream) = self.streams.get_mut(index) {
            stream.last = stream.last.max(at);
            stream.quality.take(at.saturating_sub(stream.first), &packet, !is_event);
        }
    }

    /// The streams of a call, in order of their first packets.
    pub(super) fn of(&self, call: usize) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(move |stream| stream.call == call)
    }
}
