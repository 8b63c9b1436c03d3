//! The table from outside, on virtual time.
#![allow(clippy::unwrap_used, reason = "helpers of the tests")]

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;

mod streams;

#[allow(clippy::disallowed_methods, reason = "some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const A: &str = "192.0.2.1:4000";
const B: &str = "192.0.2.2:5000";

struct Bed {
    media: Media,
    now: Instant,
    packet: Packet,
}

impl Bed {
    fn new(ports: (u16, u16)) -> Bed {
        let media = Media::new(Settings { ports, worker: 0, workers: 1, key: [3; 16] });
        Bed { media, now: start(), packet: Packet::new() }
    }

    fn open(&mut self) -> Pair {
        let id = self.media.open(self.now, "127.0.0.1".parse().unwrap(), 184).unwrap();
        assert!(matches!(self.media.poll_event(), Some(Event::Open { pair, tos: 184 }) if pair.id == id));
        self.media.handle_open_done(self.now, id, Ok(())).unwrap().1.unwrap()
    }

    /// Two parties that talk through two pairs.
    fn call(&mut self) -> (Pair, Pair) {
        let (a, b) = (self.open(), self.open());
        for (own, other, party) in [(a, b, A), (b, a, B)] {
            let outs = Setup { out_rtp: Some(other.rtp), out_rtcp: Some(other.rtcp), ..Setup::default() };
            let rtp = Setup { signalled: Some(addr(party)), ..outs };
            let mut next = addr(party);
            next.set_port(next.port() + 1);
            self.media.configure(self.now, own.rtp, &rtp);
            self.media.configure(self.now, own.rtcp, &Setup { kind: Kind::Rtcp, signalled: Some(next), ..outs });
        }
        (a, b)
    }

    fn send(&mut self, socket: SocketId, from: &str, payload: &[u8]) -> Verdict {
        self.packet.fill(payload);
        self.media.forward(self.now, socket, addr(from), &mut self.packet)
    }
}

fn rtp() -> Vec<u8> {
    [&[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0xff; 160]].concat()
}

const RR: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

#[test]
fn rtp_and_rtcp_go_to_the_other_party() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    assert_eq!(bed.send(a.rtp, A, &rtp()), Verdict::Send { socket: b.rtp, to: addr(B) });
    assert_eq!(bed.send(b.rtp, B, &rtp()), Verdict::Send { socket: a.rtp, to: addr(A) });
    assert_eq!(bed.send(a.rtcp, "192.0.2.1:4001", &RR), Verdict::Send { socket: b.rtcp, to: addr("192.0.2.2:5001") });
    let stats = bed.media.stats(a.rtp).unwrap();
    assert_eq!((stats.received, stats.sent), (Count { packets: 1, octets: 172 }, Count { packets: 1, octets: 172 }));
    assert_eq!(bed.media.last_packet(a.rtp), Some(bed.now));
}

#[test]
fn media_that_descriptions_lead_in_a_circle_is_bounded() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    // Each party says that it is where the relay listens for the other one.
    for (own, other) in [(a, b), (b, a)] {
        let setup = Setup { signalled: Some(other.local), ..bed.media.setup(own.rtp).unwrap() };
        bed.media.configure(bed.now, own.rtp, &setup);
    }
    let from = b.local.to_string();
    let verdicts: Vec<_> = (0..5_000).map(|_| bed.send(a.rtp, &from, &rtp())).collect();
    let passed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Send { .. })).count();
    assert_eq!(passed, hairpin::MOST as usize);
    assert_eq!(bed.media.stats(a.rtp).unwrap().dropped(Reason::Loop), 4_000);
    bed.now += Duration::from_secs(1);
    assert!(matches!(bed.send(a.rtp, &from, &rtp()), Verdict::Send { .. }), "chained calls go on");
}

#[test]
fn rfc5761_4_rtcp_on_the_rtp_port_goes_out_as_rtcp() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let to = addr("192.0.2.2:5001");
    assert_eq!(bed.send(a.rtp, A, &RR), Verdict::Send { socket: b.rtcp, to });
}

#[test]
fn rfc5761_4_a_party_without_a_second_port_gets_its_rtcp_on_the_first() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let setup = Setup { out_rtcp: Some(b.rtp), ..bed.media.setup(a.rtcp).unwrap() };
    bed.media.configure(bed.now, a.rtcp, &setup);
    assert_eq!(bed.send(a.rtcp, "192.0.2.1:4001", &RR), Verdict::Send { socket: b.rtp, to: addr(B) });
}

#[test]
fn lesson_1_a_third_address_neither_speaks_nor_listens() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    for learned in [false, true] {
        for _ in 0..100 {
            assert_eq!(bed.send(a.rtp, "203.0.113.9:4000", &rtp()), Verdict::Drop(Reason::Source), "{learned}");
        }
        assert_eq!(bed.send(a.rtp, A, &rtp()), Verdict::Send { socket: b.rtp, to: addr(B) });
        assert_eq!(bed.media.remote(a.rtp), Some(addr(A)));
    }
    assert_eq!(bed.media.stats(a.rtp).unwrap().dropped(Reason::Source), 200);
}

#[test]
fn what_is_no_rtp_is_dropped_and_teaches_nothing() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, _) = bed.call();
    let same_host = "192.0.2.1:9999";
    assert_eq!(bed.send(a.rtp, same_host, b""), Verdict::Drop(Reason::Short));
    assert_eq!(bed.send(a.rtp, same_host, &[0x80]), Verdict::Drop(Reason::Short));
    assert_eq!(bed.send(a.rtp, same_host, &[0x80; 11]), Verdict::Drop(Reason::Short));
    assert_eq!(bed.send(a.rtp, same_host, b"GET / HTTP/1.0"), Verdict::Drop(Reason::NotRtp));
    assert_eq!(bed.send(a.rtcp, same_host, &rtp()), Verdict::Drop(Reason::NotRtp));
    assert_eq!(bed.media.remote(a.rtp), Some(addr(A)));
    assert!(matches!(bed.send(a.rtp, same_host, &rtp()), Verdict::Send { .. }));
    assert_eq!(bed.media.remote(a.rtp), Some(addr(same_host)), "another port of its host is its NAT");
}

#[test]
fn signalling_alone_lets_a_party_move() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    bed.send(a.rtp, A, &rtp());
    let setup = bed.media.setup(a.rtp).unwrap();
    bed.media.configure(bed.now, a.rtp, &setup);
    assert_eq!(bed.send(a.rtp, "192.0.2.1:4444", &rtp()), Verdict::Drop(Reason::Source), "nothing has changed");
    bed.media.configure(bed.now, a.rtp, &Setup { signalled: Some(addr("192.0.2.7:4444")), ..setup });
    assert_eq!(bed.send(a.rtp, "192.0.2.7:4444", &rtp()), Verdict::Send { socket: b.rtp, to: addr(B) });
    assert_eq!(bed.send(a.rtp, A, &rtp()), Verdict::Drop(Reason::Source));
}

#[test]
fn a_party_behind_nat_is_found_and_its_rtcp_is_believed_from_there_alone() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let outside = Some("198.51.100.7".parse().unwrap());
    for socket in [a.rtp, a.rtcp] {
        let setup = Setup { received_from: outside, ..bed.media.setup(socket).unwrap() };
        bed.media.configure(bed.now, socket, &setup);
    }
    assert_eq!(bed.send(a.rtp, "198.51.100.7:31000", &rtp()), Verdict::Send { socket: b.rtp, to: addr(B) });
    let to = addr("198.51.100.7:31000");
    assert_eq!(bed.send(b.rtp, B, &rtp()), Verdict::Send { socket: a.rtp, to });
    assert_eq!(bed.send(a.rtcp, "192.0.2.1:4001", &RR), Verdict::Drop(Reason::Source), "RTP has shown another host");
    assert!(matches!(bed.send(a.rtcp, "198.51.100.7:31555", &RR), Verdict::Send { .. }));
    assert_eq!(bed.media.remote(a.rtcp), Some(addr("198.51.100.7:31555")));
}

#[test]
fn lesson_1_a_third_address_before_the_party_yields_to_it() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let stranger = "203.0.113.9:4000";
    for _ in 0..500 {
        bed.send(a.rtp, stranger, &rtp());
        bed.now += Duration::from_millis(20);
    }
    assert_eq!(bed.send(a.rtp, A, &rtp()), Verdict::Send { socket: b.rtp, to: addr(B) });
    assert_eq!(bed.send(a.rtp, stranger, &rtp()), Verdict::Drop(Reason::Source));
    assert_eq!(bed.send(b.rtp, B, &rtp()), Verdict::Send { socket: a.rtp, to: addr(A) });
}

#[test]
fn without_strictness_other_sources_are_heard_and_never_sent_to() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let setup = Setup { strict: false, ..bed.media.setup(a.rtp).unwrap() };
    bed.media.configure(bed.now, a.rtp, &setup);
    bed.send(a.rtp, A, &rtp());
    assert!(matches!(bed.send(a.rtp, "203.0.113.9:4000", &rtp()), Verdict::Send { .. }));
    assert_eq!(bed.send(b.rtp, B, &rtp()), Verdict::Send { socket: a.rtp, to: addr(A) });
}

#[test]
fn opaque_sockets_pass_anything_and_blocked_ones_nothing() {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let setup = bed.media.setup(a.rtp).unwrap();
    bed.media.configure(bed.now, a.rtp, &Setup { kind: Kind::Opaque, ..setup });
    assert_eq!(bed.send(a.rtp, A, b"t38"), Verdict::Send { socket: b.rtp, to: addr(B) });
    bed.media.configure(bed.now, a.rtp, &Setup { blocked: true, ..setup });
    assert_eq!(bed.send(a.rtp, A, &rtp()), Verdict::Drop(Reason::Blocked));
}

#[test]
fn a_port_in_use_costs_another_try_and_a_full_system_none() {
    let mut bed = Bed::new((30_000, 30_999));
    let id = bed.media.open(bed.now, "127.0.0.1".parse().unwrap(), 0).unwrap();
    assert_eq!(bed.media.handle_open_done(bed.now, id, Err(io::ErrorKind::AddrInUse)), None);
    let mut tries = 0;
    while bed.media.poll_event().is_some() {
        tries += 1;
        if let Some(done) = bed.media.handle_open_done(bed.now, id, Err(io::ErrorKind::AddrInUse)) {
            assert_eq!(done, (id, Err(NoPorts)));
            break;
        }
    }
    assert!((10..20).contains(&tries), "{tries}");
    let id = bed.media.open(bed.now, "127.0.0.1".parse().unwrap(), 0).unwrap();
    assert_eq!(bed.media.handle_open_done(bed.now, id, Err(io::ErrorKind::Other)), Some((id, Err(NoPorts))));
    assert_eq!(bed.media.pairs(), 0);
}

#[test]
fn closed_pairs_forget_everything_and_stale_ids_do_nothing() {
    let mut bed = Bed::new((30_000, 30_003));
    let (a, b) = bed.call();
    bed.media.close(bed.now, a.id);
    bed.media.close(bed.now, a.id);
    assert_eq!(bed.media.poll_event(), Some(Event::Close { pair: a }));
    assert_eq!(bed.media.poll_event(), None);
    assert_eq!(bed.send(b.rtp, B, &rtp()), Verdict::Drop(Reason::NoDestination));
    assert_eq!(bed.media.open(bed.now, a.local.ip(), 0), Err(NoPorts));
    bed.now += bed.media.quarantine() + Duration::from_millis(1);
    let again = bed.open();
    assert_eq!((again.rtp, again.local), (a.rtp, a.local));
    assert_ne!(again.id, a.id);
    assert_eq!(bed.media.pair(a.id), None);
    assert_eq!(bed.media.stats(again.rtp), Some(SocketStats::default()));
    bed.media.configure(bed.now, again.rtp, &Setup { signalled: Some(addr(A)), ..Setup::default() });
    assert_eq!(
        bed.send(b.rtp, B, &rtp()),
        Verdict::Drop(Reason::NoDestination),
        "the old call never meets the new one"
    );
}
