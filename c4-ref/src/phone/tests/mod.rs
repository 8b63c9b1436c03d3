//! The stream on a virtual clock, and two phones with sound.

mod calls;
mod contract;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp::packet::Packet;
use rtp::rtcp::Compound;
use sdp::Direction;

use super::media::{RTCP, RTP, Start, Stream};
use super::*;
use crate::machine::Datagram;

const PTIME: Duration = Duration::from_millis(20);

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn remote(codec: Codec, port: u16) -> Remote {
    Remote {
        rtp: Some(at(port)),
        rtcp: Some(at(port + 1)),
        format: Format { payload_type: codec.payload_type(), codec },
        events: Some(101),
        direction: Direction::SendRecv,
    }
}

fn stream(now: Instant, ssrc: u32, plays: Option<u32>, expects: u32) -> Stream {
    let (unix, cname) = (Duration::from_secs(1_800_000_000), format!("phone-{ssrc}"));
    let start = Start { ssrc, sequence: 65_530, timestamp: u32::MAX - 500, plays, expects, cname, unix, dice: 7 };
    Stream::new(start, now)
}

/// What a stream sends at `now`; then it sleeps.
fn drain(stream: &mut Stream, now: Instant) -> Vec<Datagram> {
    stream.handle_timeout(now);
    let sent: Vec<Datagram> = std::iter::from_fn(|| stream.poll_datagram()).collect();
    assert!(stream.poll_timeout().is_none_or(|due| due > now), "a busy loop");
    sent
}

fn headers(sent: &[Datagram]) -> Vec<(u16, u32, bool)> {
    let rtp = sent.iter().filter(|datagram| datagram.socket == RTP);
    let read = |datagram: &Datagram| {
        let packet = Packet::read(&datagram.payload).unwrap();
        (packet.sequence(), packet.timestamp(), packet.marker())
    };
    rtp.map(read).collect()
}

#[test]
fn a_packet_every_20_ms_without_drift_however_late_the_timer_is() {
    let start = base();
    let mut stream = stream(start, 1, Some(450), 600);
    assert_eq!(stream.poll_timeout(), None);
    stream.connect(start, remote(Codec::Pcmu, 5000));
    assert_eq!(stream.poll_timeout(), Some(start));
    let mut sent = Vec::new();
    let (mut now, mut wakes) = (start, 0);
    while now < start + Duration::from_secs(10) {
        let due = stream.poll_timeout().unwrap();
        // Late by up to 7 ms, never early.
        now = due.max(now) + Duration::from_millis(wakes % 8);
        sent.extend(drain(&mut stream, now));
        wakes += 1;
    }
    let headers = headers(&sent);
    assert!((500..=501).contains(&headers.len()) && wakes < 520, "{} {wakes}", headers.len());
    for (n, (sequence, timestamp, marker)) in (0u32..).zip(headers) {
        assert_eq!(sequence, 65_530u16.wrapping_add(n as u16));
        assert_eq!(timestamp, (u32::MAX - 500).wrapping_add(160 * n));
        assert_eq!(marker, n == 0, "RFC 3551 §4.1");
    }
}

#[test]
fn after_a_standstill_what_is_too_late_is_left_out() {
    let start = base();
    let mut stream = stream(start, 1, Some(450), 600);
    stream.connect(start, remote(Codec::Pcma, 5000));
    assert_eq!(headers(&drain(&mut stream, start)).len(), 1);
    // Three packets are due, and are sent at once.
    assert_eq!(headers(&drain(&mut stream, start + 3 * PTIME)).len(), 3);
    let late = headers(&drain(&mut stream, start + 103 * PTIME));
    let (sequence, timestamp, marker) = late[0];
    assert!(late.len() <= 6, "{late:?}");
    assert_eq!((sequence, marker), (65_534, true), "nothing is lost: it was never sent");
    let timestamp = timestamp.wrapping_sub(u32::MAX - 500);
    assert!(timestamp >= 95 * 160 && timestamp.is_multiple_of(160), "{timestamp}");
    assert_eq!(stream.report().packets_sent, 4 + late.len() as u64);
}

/// Two streams, 5 ms apart from each other, for so long; `lose` says which packet of the first is lost.
fn talk(a: &mut Stream, b: &mut Stream, from: Instant, time: Duration, lose: impl Fn(u64) -> bool) -> Instant {
    let (mut now, end, mut sent) = (from, from + time, 0);
    let mut under_way: Vec<(Instant, bool, Datagram)> = Vec::new();
    while now < end {
        for (is_a, stream) in [(true, &mut *a), (false, &mut *b)] {
            for datagram in drain(stream, now) {
                sent += u64::from(is_a && datagram.socket == RTP);
                if !(is_a && datagram.socket == RTP && lose(sent)) {
                    under_way.push((now + Duration::from_millis(5), is_a, datagram));
                }
            }
        }
        let arrived: Vec<_> = under_way.extract_if(.., |(due, ..)| *due <= now).collect();
        for (_, is_a, Datagram { socket, payload, .. }) in arrived {
            let (to, port) = if is_a { (&mut *b, 5000) } else { (&mut *a, 6000) };
            to.handle_datagram(now, socket, at(port + socket as u16), &payload);
        }
        now += Duration::from_millis(1);
    }
    now
}

fn pair(now: Instant) -> (Stream, Stream) {
    let (mut a, mut b) = (stream(now, 1, Some(450), 600), stream(now, 2, Some(600), 450));
    a.connect(now, remote(Codec::Pcmu, 6000));
    b.connect(now, remote(Codec::Pcmu, 5000));
    (a, b)
}

#[test]
fn two_streams_hear_each_other() {
    let start = base();
    let (mut a, mut b) = pair(start);
    let now = talk(&mut a, &mut b, start, Duration::from_secs(12), |_| false);
    a.end(now);
    b.end(now);
    assert_eq!(a.poll_timeout(), Some(now), "the goodbye waits");
    talk(&mut a, &mut b, now, Duration::from_millis(50), |_| false);
    for (own, other, name) in [(a.report(), b.report(), "phone-2"), (b.report(), a.report(), "phone-1")] {
        assert_eq!((own.packets_sent, own.lost, own.duplicates), (600, 0, 0));
        assert_eq!((other.packets_received, other.octets_received), (600, 600 * 160));
        assert!(own.tone.found && own.tone.heard == 600, "{:?}", own.tone);
        assert!(own.mos.unwrap() > 4.3 && own.jitter_ms == 0.0, "{own:?}");
        // At once, two or more while it lasts, and the goodbye.
        assert!((3..=7).contains(&own.rtcp.sent) && own.rtcp.sent == other.rtcp.received, "{own:?}");
        assert!(own.rtcp.bye && own.rtcp.cname.as_deref() == Some(name));
        assert_eq!((own.rtcp.peer_lost, own.rtcp.peer_jitter_ms), (Some(0), Some(0.0)));
        assert!((9.5..=12.5).contains(&own.rtcp.round_trip_ms.unwrap()), "{own:?}");
    }
    assert_eq!((a.poll_timeout(), b.poll_timeout()), (None, None), "all is said");
}

#[test]
fn lost_packets_cost_quality_and_the_sender_hears_of_it() {
    let start = base();
    let (mut a, mut b) = pair(start);
    let now = talk(&mut a, &mut b, start, Duration::from_secs(10), |n| n % 10 == 5);
    a.end(now);
    b.end(now);
    talk(&mut a, &mut b, now, Duration::from_millis(50), |_| false);
    let (at_a, at_b) = (a.report(), b.report());
    assert_eq!((at_a.packets_sent, at_b.packets_received, at_b.lost), (500, 450, 50));
    assert!(at_b.mos.unwrap() < 3.5 && at_a.mos.unwrap() > 4.3, "{at_b:?}");
    assert_eq!(at_a.rtcp.peer_lost, Some(50));
    assert!(at_b.tone.found, "what came is the tone");
}

#[test]
fn the_wrong_tone_and_silence_are_noticed() {
    for plays in [Some(500), None] {
        let start = base();
        let (mut a, mut b) = (stream(start, 1, plays, 600), stream(start, 2, Some(600), 450));
        a.connect(start, remote(Codec::Pcma, 6000));
        b.connect(start, remote(Codec::Pcma, 5000));
        talk(&mut a, &mut b, start, Duration::from_secs(1), |_| false);
        let (at_a, at_b) = (a.report(), b.report());
        assert!(at_a.tone.found && !at_b.tone.found && at_b.tone.heard == 0, "{at_b:?}");
        assert_eq!(at_b.codec, Some("PCMA"));
    }
}

#[test]
fn rfc3264_hold_stops_the_packets_and_their_clock_runs_on() {
    let start = base();
    let mut stream = stream(start, 1, Some(450), 600);
    stream.connect(start, remote(Codec::Pcmu, 5000));
    let before = headers(&drain(&mut stream, start));
    stream.connect(start, Remote { direction: Direction::SendOnly, ..remote(Codec::Pcmu, 5000) });
    assert_eq!(headers(&drain(&mut stream, start + 2 * PTIME)), []);
    stream.connect(start + 50 * PTIME, Remote { rtp: None, rtcp: None, ..remote(Codec::Pcmu, 5000) });
    assert_eq!(stream.poll_timeout(), None, "nowhere to send to");
    stream.connect(start + 100 * PTIME, remote(Codec::Pcmu, 5002));
    let sent = drain(&mut stream, start + 100 * PTIME);
    let after = headers(&sent);
    assert_eq!(after, [(before[0].0 + 1, before[0].1.wrapping_add(100 * 160), true)]);
    assert_eq!(sent.iter().find(|datagram| datagram.socket == RTP).unwrap().to, at(5002));
}

#[test]
fn rfc3550_6_3_7_who_has_said_nothing_says_no_goodbye() {
    let now = base();
    let mut stream = stream(now, 1, Some(450), 600);
    stream.end(now);
    assert_eq!((stream.poll_timeout(), stream.poll_datagram()), (None, None));
    stream.connect(now, remote(Codec::Pcmu, 5000));
    assert_eq!(stream.poll_timeout(), None, "what is over stays so");
}

#[test]
fn strangers_and_garbage_are_not_heard() {
    let now = base();
    let mut stream = stream(now, 1, Some(450), 600);
    let rtp = [&[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0xff; 160]].concat();
    stream.handle_datagram(now, RTP, at(7), &rtp);
    assert_eq!(stream.report().packets_received, 1, "early media comes before the answer");
    stream.connect(now, remote(Codec::Pcmu, 5000));
    stream.handle_datagram(now, RTP, "203.0.113.5:5000".parse().unwrap(), &rtp);
    for garbage in [&b""[..], b"\x80", b"GET / HTTP/1.0\r\n\r\n", &[0x80, 200, 0, 9], &[0xbf; 13]] {
        stream.handle_datagram(now, RTP, at(5000), garbage);
        stream.handle_datagram(now, RTCP, at(5001), garbage);
    }
    let report = stream.report();
    assert_eq!((report.packets_received, report.rtcp.received), (1, 0));
}

#[test]
fn a_caller_that_never_drains_keeps_the_queue_bounded() {
    let start = base();
    let mut stream = stream(start, 1, Some(450), 600);
    stream.connect(start, remote(Codec::Pcmu, 5000));
    for n in 0..1000 {
        stream.handle_timeout(start + PTIME * n);
    }
    assert!(std::iter::from_fn(|| stream.poll_datagram()).count() <= 64);
}

#[test]
fn rfc3550_6_1_every_compound_begins_with_a_report_and_has_a_name() {
    let now = base();
    let mut stream = stream(now, 1, Some(450), 600);
    stream.connect(now, remote(Codec::Pcmu, 5000));
    let mut sent = drain(&mut stream, now);
    stream.end(now + PTIME);
    sent.extend(drain(&mut stream, now + PTIME));
    let control = sent.iter().filter(|datagram| datagram.socket == RTCP);
    let types: Vec<Vec<u8>> =
        control.map(|datagram| Compound::read(&datagram.payload).unwrap().map(|p| p.packet_type).collect()).collect();
    assert_eq!(types, [vec![200, 202], vec![200, 202, 203]]);
}
