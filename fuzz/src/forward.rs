//! Packets from anybody at the media relay's table.
//!
//! The input is a list of steps: an octet that says what happens (the two lowest bits: at which socket; the next two:
//! from where; the rest: a change of the call before it), an octet of length, and so many octets of packet.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_ref::relay::media::{Kind, Media, Packet, Pair, Reason, Settings, Setup, SocketId, Verdict};

const PARTIES: [([u8; 4], u16); 2] = [([192, 0, 2, 1], 4000), ([192, 0, 2, 2], 5000)];
const STRANGER: ([u8; 4], u16) = ([203, 0, 113, 9], 4000);
/// Shorter than the time after which somebody unknown is heard where nobody else speaks.
const MOST: usize = 128;
const PACE: Duration = Duration::from_millis(20);

struct Bed {
    media: Media,
    now: Instant,
    pairs: [Pair; 2],
}

/// Plays the steps.
///
/// # Panics
/// When somebody unknown is heard or is sent to, a packet changes or goes out of a socket that is not open, or a packet
/// is not counted.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let now = Instant::now();
    let mut media = Media::new(Settings { ports: (30_000, 30_999), worker: 0, workers: 1, key: [1; 16] });
    let (Some(a), Some(b)) = (open(&mut media, now), open(&mut media, now)) else { return };
    let mut bed = Bed { media, now, pairs: [a, b] };
    bed.connect(Kind::Rtp, false);
    let mut packet = Packet::new();
    let mut rest = data;
    for _ in 0..MOST {
        let Some((&[what, length], tail)) = rest.split_first_chunk() else { return };
        let (payload, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        bed.change(what >> 4);
        let sockets = bed.pairs.map(|pair| [pair.rtp, pair.rtcp]);
        let own = usize::from(what >> 1 & 1);
        let Some(&socket) = sockets.as_flattened().get(usize::from(what & 3)) else { return };
        bed.step(socket, source(own, what >> 2 & 3), payload, &mut packet);
        bed.now += PACE;
    }
}

/// The party's address, its address behind another port, the other party, somebody else.
fn source(own: usize, from: u8) -> SocketAddr {
    let [a, b] = PARTIES;
    match (from, own) {
        (0, 0) | (2, 1) => a.into(),
        (0, _) | (2, _) => b.into(),
        (1, 0) => (a.0, 40_000).into(),
        (1, _) => (b.0, 40_000).into(),
        _ => STRANGER.into(),
    }
}

fn open(media: &mut Media, now: Instant) -> Option<Pair> {
    let id = media.open(now, [127, 0, 0, 1].into(), 0).ok()?;
    while media.poll_event().is_some() {}
    media.handle_open_done(now, id, Ok(()))?.1.ok()
}

impl Bed {
    fn connect(&mut self, kind: Kind, blocked: bool) {
        let [a, b] = self.pairs;
        let [at_a, at_b] = PARTIES.map(SocketAddr::from);
        for (own, other, at) in [(a, b, at_a), (b, a, at_b)] {
            let outs = Setup { out_rtp: Some(other.rtp), out_rtcp: Some(other.rtcp), blocked, ..Setup::default() };
            let next = SocketAddr::new(at.ip(), at.port() + 1);
            self.media.configure(self.now, own.rtp, &Setup { kind, signalled: Some(at), ..outs });
            self.media.configure(self.now, own.rtcp, &Setup { kind: Kind::Rtcp, signalled: Some(next), ..outs });
        }
    }

    fn change(&mut self, what: u8) {
        match what {
            12 => self.connect(Kind::Rtp, false),
            13 => self.connect(Kind::Rtp, true),
            14 => self.connect(Kind::Opaque, false),
            15 => {
                // The other party's pair goes, and another comes in its place that is not used yet.
                let [a, b] = self.pairs;
                self.media.close(self.now, b.id);
                if let Some(again) = open(&mut self.media, self.now) {
                    self.pairs = [a, again];
                }
            }
            _ => {}
        }
    }

    fn count(&self, of: impl Fn(&Media, SocketId) -> u64) -> u64 {
        self.pairs.iter().flat_map(|pair| [pair.rtp, pair.rtcp]).map(|socket| of(&self.media, socket)).sum()
    }

    fn sent(&self) -> u64 {
        self.count(|media, socket| media.stats(socket).map_or(0, |stats| stats.sent.packets))
    }

    fn dropped(&self) -> u64 {
        let all = |stats: c4_ref::relay::media::SocketStats| stats.drops.iter().sum::<u64>();
        self.count(|media, socket| media.stats(socket).map_or(0, all))
    }

    fn step(&mut self, socket: SocketId, from: SocketAddr, payload: &[u8], packet: &mut Packet) {
        let (sent, dropped) = (self.sent(), self.dropped());
        packet.fill(payload);
        match self.media.forward(self.now, socket, from, packet) {
            Verdict::Send { socket: out, to } => {
                let [a, b] = self.pairs;
                assert!([a, b].iter().any(|pair| [pair.rtp, pair.rtcp].contains(&out)), "{out:?} is not open");
                assert_ne!(out, socket, "back to where it came from");
                let stranger = SocketAddr::from(STRANGER).ip();
                assert!(from.ip() != stranger && to.ip() != stranger, "somebody unknown takes part");
                assert!(PARTIES.iter().any(|party| SocketAddr::from(*party).ip() == to.ip()), "{to} is no party");
                assert_eq!(packet.payload(), payload, "a packet was changed");
                assert_eq!((self.sent(), self.dropped()), (sent + 1, dropped), "not counted");
            }
            Verdict::Drop(Reason::Closed) => panic!("all sockets are in use"),
            Verdict::Drop(_) => assert_eq!((self.sent(), self.dropped()), (sent, dropped + 1), "not counted"),
            other => panic!("{other:?}"),
        }
    }
}
