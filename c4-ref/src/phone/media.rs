//! A phone's audio stream without I/O: when the next packet is due, and what came in.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use c4_ref::phone::media::{Start, Stream};
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let start = Start { ssrc: 1, sequence: 2, timestamp: 3, plays: Some(450), expects: 600, ..Start::default() };
//! let mut stream = Stream::new(start, now);
//! let offer = sdp::Session::parse("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
//!                                  m=audio 5000 RTP/AVP 0\r\n".into(), &sdp::Limits::default()).unwrap();
//! stream.connect(now, c4_ref::phone::media::agreed(&offer).unwrap());
//! stream.handle_timeout(now);
//! let report = stream.poll_datagram().unwrap();
//! let packet = stream.poll_datagram().unwrap();
//! assert_eq!((report.to.port(), packet.to.port(), packet.payload.len()), (5001, 5000, 12 + 160));
//! assert_eq!(stream.poll_timeout(), Some(now + Duration::from_millis(20)));
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rtp::demux::{Kind, classify};
use rtp::packet::{FIXED, Header, Packet};
use rtp::rtcp::SenderInfo;
use rtp::stats::G711;

use super::codec::Codec;
use super::description::{Local, PTIME_MS, Remote};
use super::receiver::Receiver;
use super::report::{Report, Tone};
use super::rtcp::Control;
use super::tone::{BLOCK, Generator, RATE};
use crate::machine::Datagram;
use crate::quality::rounded;

/// The number of the plain socket for RTP, see [`Datagram::socket`].
pub const RTP: usize = 0;
/// The number of the plain socket for RTCP.
pub const RTCP: usize = 1;

/// Time between packets.
const PTIME: Duration = Duration::from_millis(PTIME_MS as u64);
/// Packets that are late by less are sent, else they are left out: nobody could play them.
const LATE: Duration = Duration::from_millis(100);
/// Datagrams that wait for the caller.
const QUEUE: usize = 64;

/// What a stream begins with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Our synchronisation source.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
    /// The frequency of our tone in Hz, a multiple of 50; `None`: silence.
    pub plays: Option<u32>,
    /// The frequency of the other side's.
    pub expects: u32,
    /// Our canonical name in RTCP.
    pub cname: String,
    /// The wall clock at the beginning, since 1970.
    pub unix: Duration,
    /// Draws the times of reports.
    pub dice: u64,
}

/// One audio stream: sends a tone once it is connected, and listens from the beginning, also after its end.
///
/// The contract: [`handle_datagram`](Stream::handle_datagram), [`handle_timeout`](Stream::handle_timeout) when
/// [`poll_timeout`](Stream::poll_timeout) is due, [`poll_datagram`](Stream::poll_datagram) until empty. It has no events:
/// what it knows is in its [`report`](Stream::report).
#[derive(Clone, Debug)]
pub struct Stream {
    start: Instant,
    now: Instant,
    first: Start,
    remote: Option<Remote>,
    tone: Option<Generator>,
    /// Of the next packet.
    sequence: u16,
    /// Of the next packet.
    timestamp: u32,
    /// The next packet begins a talkspurt (RFC 3551 §4.1).
    marker: bool,
    packets: u64,
    octets: u64,
    /// When the next packet is due; `None`: nothing is sent.
    next_packet: Option<Instant>,
    /// When the next report is due.
    next_report: Option<Instant>,
    receiver: Receiver,
    control: Control,
    queue: VecDeque<Datagram>,
    ended: bool,
}

/// Where and how to send by a description: its first audio stream that a phone knows; `None`: it has none.
pub fn agreed(session: &sdp::Session) -> Option<Remote> {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    Local { rtp: nowhere, rtcp: nowhere, codecs: &Codec::ALL, id: 0, version: 0 }.agreed(session)
}

impl Stream {
    /// A stream that listens.
    pub fn new(first: Start, now: Instant) -> Stream {
        Stream {
            start: now,
            now,
            remote: None,
            tone: first.plays.map(Generator::new),
            sequence: first.sequence,
            timestamp: first.timestamp,
            marker: true,
            packets: 0,
            octets: 0,
            next_packet: None,
            next_report: None,
            receiver: Receiver::new(first.expects),
            control: Control::new(first.ssrc, first.cname.clone(), now, first.unix, first.dice),
            queue: VecDeque::new(),
            ended: false,
            first,
        }
    }

    /// Sends from now on to whom and in what was agreed; the same again changes nothing.
    pub fn connect(&mut self, now: Instant, remote: Remote) {
        if self.ended || self.remote == Some(remote) {
            return;
        }
        let now = self.note(now);
        self.remote = Some(remote);
        let sends = remote.rtp.is_some() && remote.direction.receives();
        match (sends, self.next_packet) {
            (true, None) => {
                // The clock of the timestamps runs on while nothing is sent (RFC 3550 §5.1).
                self.timestamp = self.timestamp_at(now);
                self.next_packet = Some(now);
                self.marker = true;
            }
            (false, _) => {
                self.timestamp = self.timestamp_at(now);
                self.next_packet = None;
            }
            (true, Some(_)) => {}
        }
        // Between two parties the first report need not wait (RFC 3550 §6.2).
        self.next_report = remote.rtcp.map(|_| self.next_report.unwrap_or(now));
        self.handle_timeout(now);
    }

    /// Sends no more than a goodbye; what still comes is counted.
    pub fn end(&mut self, now: Instant) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = self.note(now);
        // Who has said nothing need not say goodbye (RFC 3550 §6.3.7).
        if self.packets > 0 || self.control.heard.sent > 0 {
            self.report_to_peer(now, true);
        }
        (self.next_packet, self.next_report) = (None, None);
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// A datagram came to one of the two sockets.
    pub fn handle_datagram(&mut self, now: Instant, socket: usize, from: SocketAddr, payload: &[u8]) {
        let now = self.note(now);
        let rtp = self.remote.and_then(|remote| remote.rtp);
        if rtp.is_some_and(|rtp| rtp.ip() != from.ip()) {
            return;
        }
        match (classify(payload), socket) {
            (Kind::Rtp, RTP) => {
                let Ok(packet) = Packet::read(payload) else { return };
                let events = self.remote.and_then(|remote| remote.events);
                self.receiver.take(now.saturating_duration_since(self.start), &packet, events);
            }
            // On either socket: RFC 5761 may have been agreed by somebody between.
            (Kind::Rtcp, _) => self.control.read(now, payload),
            _ => {}
        }
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.note(now);
        if self.next_report.is_some_and(|at| at <= now) {
            self.report_to_peer(now, false);
            self.next_report = Some(now + self.control.interval());
        }
        while let Some(at) = self.next_packet.filter(|at| *at <= now) {
            let late = now.saturating_duration_since(at);
            if late > LATE || self.queue.len() >= QUEUE {
                let missed = (late.as_millis() / PTIME.as_millis()).max(1) as u32;
                self.timestamp = self.timestamp.wrapping_add(missed * BLOCK);
                self.next_packet = Some(at + PTIME * missed);
                self.marker = true;
            } else {
                self.send_packet();
                self.next_packet = Some(at + PTIME);
            }
        }
    }

    /// When [`handle_timeout`](Stream::handle_timeout) is due; the last `now` while something waits to be sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let queued = (!self.queue.is_empty()).then_some(self.now);
        [queued, self.next_packet, self.next_report].into_iter().flatten().min()
    }

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.queue.pop_front()
    }

    /// What was sent and heard so far.
    pub fn report(&self) -> Report {
        let (quality, heard) = (&self.receiver.quality, self.control.heard.clone());
        Report {
            codec: self.remote.map(|remote| remote.format.codec.name()),
            ssrc: self.first.ssrc,
            remote_ssrc: quality.ssrc(),
            remote: self.remote.and_then(|remote| remote.rtp),
            packets_sent: self.packets,
            octets_sent: self.octets,
            packets_received: quality.packets,
            octets_received: quality.octets,
            lost: quality.loss().lost,
            duplicates: quality.duplicates,
            reordered: quality.reordered,
            jitter_ms: rounded(quality.jitter().millis().into()),
            mos: quality.mos(G711, heard.round_trip_ms),
            tone: Tone::of(self.first.expects, &self.receiver.tone),
            rtcp: heard,
        }
    }

    /// Time never runs backwards.
    fn note(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// The timestamp of a sample that is taken at `now`.
    fn timestamp_at(&self, now: Instant) -> u32 {
        let samples = now.saturating_duration_since(self.start).as_micros() * u128::from(RATE) / 1_000_000;
        self.first.timestamp.wrapping_add(samples as u32)
    }

    fn send_packet(&mut self) {
        let Some((remote, to)) = self.remote.and_then(|remote| Some((remote, remote.rtp?))) else { return };
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            payload_type: remote.format.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.first.ssrc,
        };
        let mut payload = BytesMut::with_capacity(FIXED + BLOCK as usize);
        payload.put_slice(&header.to_octets());
        for _ in 0..BLOCK {
            let sample = self.tone.as_mut().map_or(0, Generator::next_sample);
            payload.put_u8(remote.format.codec.encode(sample));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(BLOCK);
        self.packets += 1;
        self.octets += u64::from(BLOCK);
        self.queue.push_back(Datagram { socket: RTP, to, payload: payload.freeze() });
    }

    fn report_to_peer(&mut self, now: Instant, bye: bool) {
        let Some(to) = self.remote.and_then(|remote| remote.rtcp) else { return };
        let info = SenderInfo {
            ntp: self.control.ntp(now),
            rtp: self.timestamp_at(now),
            packets: self.packets as u32,
            octets: self.octets as u32,
        };
        // A first report before the first packet is a sender's all the same: its echo is the round trip.
        let sender = (self.packets > 0 || self.next_packet.is_some()).then_some(&info);
        let payload = Bytes::from(self.control.write(now, sender, &mut self.receiver.quality, bye));
        if self.queue.len() < QUEUE {
            self.queue.push_back(Datagram { socket: RTCP, to, payload });
        }
    }
}
