//! A packet through the media relay's table, in the middle of a thousand calls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_ref::relay::media::{Kind, Media, Packet, Pair, Settings, Setup, Verdict};

use crate::register::Operation;

/// Their names, without making their state.
pub const NAMES: [&str; 3] = ["relay/rtp", "relay/rtcp", "relay/stranger"];

const CALLS: usize = 1000;
/// G.711, 20 ms.
const RTP: usize = 172;
/// RFC 3550 §6.4: a sender report with one block.
const SR: usize = 52;

/// The operation of that name: RTP of one call after the other, RTCP of the same, or RTP from somebody else, which is
/// dropped.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
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
