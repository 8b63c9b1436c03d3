//! A packet through the media relay's table, in the middle of a thousand calls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_ref::config::Interface;
use c4_ref::ng::{Command, Flags, Request};
use c4_ref::relay::media::{Event, Kind, Media, Packet, Pair, Settings, Setup, Verdict};
use c4_ref::relay::{Relay, RequestId, Sessions, Timeouts};

use crate::register::Operation;

/// Their names, without making their state.
pub const NAMES: [&str; 4] = ["relay/rtp", "relay/rtcp", "relay/stranger", "relay/call"];

const CALLS: usize = 1000;
/// G.711, 20 ms.
const RTP: usize = 172;
/// RFC 3550 §6.4: a sender report with one block.
const SR: usize = 52;

/// A call's life: offer, answer and delete, its sockets opened and closed, without I/O.
struct Calls {
    relay: Relay,
    now: Instant,
    offer: Request,
    answer: Request,
    delete: Request,
}

impl Calls {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Calls {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        let timeouts = Timeouts { media: hour, silent: hour, offer: hour, delete_delay: Duration::ZERO };
        let settings = c4_ref::relay::Settings {
            media: Settings { ports: (10_000, 60_000), worker: 0, workers: 1, key: [1; 16] },
            interfaces: vec![Interface { name: "int".into(), bind: [127, 0, 0, 1].into(), advertise: None }],
            tos: 184,
            timeouts,
            sessions: Sessions::new(0),
            mark: "relay1".into(),
            unix: hour,
        };
        let request = |command: Command, address: &str| {
            let mut request = Request::new(command, "8a7c6b5d4e3f2a1b@198.51.100.23");
            request.from_tag = "9fxced76sl".into();
            request.to_tag = Some("314159".into()).filter(|_| request.command != Command::Offer);
            request.flags = Flags::from_text("replace-origin trust-address");
            request.sdp = format!(
                "v=0\r\no=alice 2890844526 2890844526 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
                 m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                 a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
            )
            .into();
            request
        };
        let mut delete = request(Command::Delete, "192.0.2.1");
        delete.sdp = Default::default();
        let (offer, answer) = (request(Command::Offer, "192.0.2.1"), request(Command::Answer, "192.0.2.2"));
        Calls { relay: Relay::new(now, settings), now, offer, answer, delete }
    }

    fn call(&mut self) -> Option<usize> {
        // Ports rest before they are used again.
        self.now += Duration::from_millis(10);
        let mut octets = 0;
        for request in [&self.offer, &self.answer, &self.delete] {
            self.relay.handle_request(self.now, RequestId(1), request.clone());
            while let Some(event) = self.relay.media().poll_event() {
                if let Event::Open { pair, .. } = event {
                    self.relay.handle_open_done(self.now, pair.id, Ok(()));
                }
            }
            match self.relay.poll_event()? {
                c4_ref::relay::Event::Reply { reply, .. } => octets += reply.to_vec().len(),
                _ => return None,
            }
        }
        Some(octets)
    }
}

/// The operation of that name: a whole call's signalling; or RTP of one call after the other, RTCP of the same, or RTP from somebody else, which is
/// dropped.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    if name == "relay/call" {
        let mut calls = Calls::new();
        return Some((name, Box::new(move || calls.call().unwrap_or(0))));
    }
    let mut rig = Rig::new()?;
    Some((
        name,
        match name {
            "relay/rtp" => Box::new(move || rig.rtp().unwrap_or(0)),
            "relay/rtcp" => Box::new(move || rig.rtcp().unwrap_or(0)),
            _ => Box::new(move || rig.stranger().unwrap_or(0)),
        },
    ))
}

struct Rig {
    media: Media,
    now: Instant,
    calls: Vec<(Pair, SocketAddr)>,
    next: usize,
    sent: u32,
    packet: Packet,
    rtp: [u8; RTP],
    rtcp: [u8; SR],
    stranger: SocketAddr,
}

impl Rig {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Option<Rig> {
        let now = Instant::now();
        let mut media = Media::new(Settings { ports: (10_000, 60_000), worker: 0, workers: 1, key: [1; 16] });
        let (mut calls, mut others) = (Vec::new(), Vec::new());
        for n in 0..CALLS as u16 {
            let (a, b) = (open(&mut media, now)?, open(&mut media, now)?);
            let at = |host, add| SocketAddr::from(([192, 0, 2, host], 10_000 + n * 4 + add));
            for (own, other, host) in [(a, b, 1), (b, a, 2)] {
                let outs = Setup { out_rtp: Some(other.rtp), out_rtcp: Some(other.rtcp), ..Setup::default() };
                media.configure(now, own.rtp, &Setup { signalled: Some(at(host, 0)), ..outs });
                media.configure(now, own.rtcp, &Setup { kind: Kind::Rtcp, signalled: Some(at(host, 1)), ..outs });
            }
            calls.push((a, at(1, 0)));
            others.push((b, at(2, 0)));
        }
        let (mut rtp, mut rtcp) = ([0xff; RTP], [0; SR]);
        rtp.first_chunk_mut().map(|head| *head = [0x80u8, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9])?;
        rtcp.first_chunk_mut().map(|head| *head = [0x81u8, 200, 0, 12])?;
        let stranger = SocketAddr::from(([203, 0, 113, 9], 4000));
        let mut rig = Rig { media, now, calls, next: 0, sent: 0, packet: Packet::new(), rtp, rtcp, stranger };
        // Every party has been heard.
        for (pair, from) in others {
            rig.packet.fill(&rig.rtp);
            sent(rig.media.forward(now, pair.rtp, from, &mut rig.packet))?;
        }
        (0..CALLS).all(|_| rig.rtp().is_some()).then_some(rig)
    }

    fn call(&mut self) -> Option<(Pair, SocketAddr)> {
        self.next = (self.next + 1) % CALLS;
        self.now += Duration::from_micros(20);
        self.calls.get(self.next).copied()
    }

    fn rtp(&mut self) -> Option<usize> {
        let (pair, from) = self.call()?;
        if self.next == 0 {
            self.sent += 1;
            let ([s1, s2], [t1, t2, t3, t4]) = ((self.sent as u16).to_be_bytes(), (self.sent * 160).to_be_bytes());
            self.rtp.first_chunk_mut().map(|head| *head = [0x80, 0, s1, s2, t1, t2, t3, t4, 0, 0, 0, 9])?;
        }
        self.packet.fill(&self.rtp);
        sent(self.media.forward(self.now, pair.rtp, from, &mut self.packet))
    }

    fn rtcp(&mut self) -> Option<usize> {
        let (pair, from) = self.call()?;
        self.packet.fill(&self.rtcp);
        let from = SocketAddr::new(from.ip(), from.port() + 1);
        sent(self.media.forward(self.now, pair.rtcp, from, &mut self.packet))
    }

    fn stranger(&mut self) -> Option<usize> {
        let (pair, _) = self.call()?;
        self.packet.fill(&self.rtp);
        sent(self.media.forward(self.now, pair.rtp, self.stranger, &mut self.packet))
    }
}

fn sent(verdict: Verdict) -> Option<usize> {
    match verdict {
        Verdict::Send { to, .. } => Some(usize::from(to.port())),
        _ => None,
    }
}

fn open(media: &mut Media, now: Instant) -> Option<Pair> {
    let id = media.open(now, [127, 0, 0, 1].into(), 0).ok()?;
    while media.poll_event().is_some() {}
    media.handle_open_done(now, id, Ok(()))?.1.ok()
}
