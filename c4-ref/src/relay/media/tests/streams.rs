//! What is counted of the sources of RTP, and what RTCP adds.

use super::*;

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.resize(172, 0xff);
    packet
}

fn bed() -> (Bed, Pair, Pair) {
    let mut bed = Bed::new((30_000, 30_100));
    let (a, b) = bed.call();
    let mut codecs = Codecs::default();
    codecs.add(0, 8000, Some("PCMU"));
    codecs.add(101, 8000, None);
    for pair in [a, b] {
        let setup = Setup { codecs, ..bed.media.setup(pair.rtp).unwrap() };
        bed.media.configure(bed.now, pair.rtp, &setup);
    }
    (bed, a, b)
}

impl Bed {
    /// So many packets of 20 ms, but those that are dropped by `lost`.
    fn stream(&mut self, socket: SocketId, from: &str, ssrc: u32, numbers: std::ops::Range<u32>, lost: u32) {
        for n in numbers {
            if lost == 0 || n % lost != 5 {
                self.send(socket, from, &packet(ssrc, n as u16, n * 160));
            }
            self.now += Duration::from_millis(20);
        }
    }

    fn only(&self, socket: SocketId) -> StreamStats {
        self.media.streams(socket).next().unwrap()
    }
}

#[test]
fn rfc3550_a3_loss_jitter_and_mos_are_measured_where_nobody_reports() {
    let (mut bed, a, _) = bed();
    bed.stream(a.rtp, A, 7, 0..1000, 0);
    let good = bed.only(a.rtp);
    assert_eq!((good.ssrc, good.received), (7, Count { packets: 1000, octets: 172_000 }));
    assert_eq!((good.loss.lost, good.jitter_ms, good.last_packet + Duration::from_millis(20)), (0, 0.0, bed.now));
    assert!(good.quality.lowest.unwrap().mos.unwrap() > 4.3 && !good.quality.is_reported);
    assert_eq!(good.quality.samples, 4, "one in 5 s, and what came since");
    bed.stream(a.rtp, A, 7, 1000..2000, 10);
    let bad = bed.only(a.rtp);
    assert_eq!(bad.loss.lost, 100);
    let (lowest, highest) = (bad.quality.lowest.unwrap(), bad.quality.highest.unwrap());
    assert!(lowest.mos.unwrap() < 3.6 && (9.0..11.0).contains(&lowest.loss_percent), "{lowest:?}");
    assert!(highest.mos.unwrap() > 4.3);
    let average = bad.quality.average(bed.now).unwrap();
    assert!(lowest.mos < average.mos && average.mos < highest.mos);
}

#[test]
fn rfc3550_a8_jitter_is_told_in_milliseconds_and_not_of_repeated_timestamps() {
    let (mut bed, a, _) = bed();
    for n in 0..400u32 {
        bed.now += Duration::from_millis(if n % 2 == 0 { 10 } else { 30 });
        bed.send(a.rtp, A, &packet(7, n as u16, n * 160));
    }
    assert!((9.0..10.1).contains(&bed.only(a.rtp).jitter_ms), "{}", bed.only(a.rtp).jitter_ms);
    let before = bed.only(a.rtp).jitter_ms;
    for n in 400..420u32 {
        bed.now += Duration::from_millis(50);
        let mut event = packet(7, n as u16, 400 * 160);
        event[1] = 101;
        bed.send(a.rtp, A, &event);
    }
    assert!(bed.only(a.rtp).jitter_ms <= before + 2.0);
    assert_eq!(bed.only(a.rtp).payload_type, 101);
    assert!(bed.only(a.rtp).quality.lowest.unwrap().mos.is_some(), "events go with the codec of before");
}

#[test]
fn sources_of_a_socket_are_bounded_and_the_oldest_goes() {
    let (mut bed, a, _) = bed();
    for ssrc in [1, 2, 3, 4, 2, 5] {
        bed.stream(a.rtp, A, ssrc, 0..10, 0);
    }
    let mut kept: Vec<u32> = bed.media.streams(a.rtp).map(|stream| stream.ssrc).collect();
    assert_eq!(kept.first(), Some(&5), "the present one stands first");
    kept.sort_unstable();
    assert_eq!(kept, [2, 3, 4, 5]);
    assert_eq!(bed.media.stats(a.rtp).unwrap().received.packets, 60);
}

#[test]
fn a_source_that_starts_anew_keeps_its_losses() {
    let (mut bed, a, _) = bed();
    bed.stream(a.rtp, A, 7, 0..100, 10);
    assert_eq!(bed.only(a.rtp).loss.lost, 10);
    bed.stream(a.rtp, A, 7, 30_000..30_100, 10);
    let stats = bed.only(a.rtp);
    assert_eq!((stats.loss.lost, stats.received.packets), (20, 180));
    assert!(stats.loss.expected >= 190);
    assert!(stats.jitter_ms < 1.0, "the jump of the timestamp is no jitter");
}

fn sender_report(ssrc: u32, ntp: u64, blocks: &[rtp::rtcp::Block]) -> Vec<u8> {
    let mut octets = Vec::new();
    let info = rtp::rtcp::SenderInfo { ntp, ..Default::default() };
    rtp::rtcp::write::sender_report(&mut octets, ssrc, &info, blocks);
    octets
}

#[test]
fn rfc3550_6_4_1_round_trips_and_receivers_reports_make_the_quality() {
    let (mut bed, a, b) = bed();
    bed.stream(a.rtp, A, 7, 0..10, 0);
    bed.stream(b.rtp, B, 8, 0..10, 0);
    let at = |host: &str, port: u16| format!("{host}:{port}");
    let (rtcp_a, rtcp_b) = (at("192.0.2.1", 4001), at("192.0.2.2", 5001));
    let ntp = 0x0000_1234_5678_0000;
    let middle = (ntp >> 16) as u32;
    bed.send(a.rtcp, &rtcp_a, &sender_report(7, ntp, &[]));
    bed.send(b.rtcp, &rtcp_b, &sender_report(8, ntp + (1 << 32), &[]));
    // B is 30 ms away and holds the report for half a second; A is 20 ms away.
    let block = |ssrc, last_sr, fraction_lost| rtp::rtcp::Block {
        ssrc,
        fraction_lost,
        jitter: 80,
        last_sr,
        delay_since_last_sr: 1 << 15,
        ..Default::default()
    };
    bed.now += Duration::from_millis(520);
    bed.send(a.rtcp, &rtcp_a, &sender_report(7, ntp + (9 << 32), &[block(8, middle.wrapping_add(1 << 16), 0)]));
    bed.now += Duration::from_millis(10);
    bed.send(b.rtcp, &rtcp_b, &sender_report(8, ntp + (9 << 32), &[block(7, middle, 26)]));
    let quality = bed.only(a.rtp).quality;
    assert!(quality.is_reported);
    let sample = quality.lowest.unwrap();
    assert_eq!(sample.round_trip_leg, Some(Duration::from_millis(30)));
    assert_eq!(sample.round_trip, Some(Duration::from_millis(50)));
    assert_eq!((sample.jitter_ms, sample.loss_percent.round()), (10.0, 10.0));
    assert!(sample.mos.unwrap() < 3.7);
    let first = bed.only(b.rtp).quality.highest.unwrap();
    assert_eq!((first.round_trip_leg, first.round_trip), (Some(Duration::from_millis(20)), None));
    // What the relay measures itself says nothing any more.
    bed.stream(a.rtp, A, 7, 10..1000, 0);
    assert_eq!(bed.only(a.rtp).quality.samples, 1);
}

#[test]
fn what_srtcp_says_is_not_read_and_strange_blocks_change_nothing() {
    let (mut bed, a, b) = bed();
    bed.stream(b.rtp, B, 8, 0..10, 0);
    let block = rtp::rtcp::Block { ssrc: 99, fraction_lost: 200, last_sr: 5, ..Default::default() };
    bed.send(a.rtcp, "192.0.2.1:4001", &sender_report(1, 1 << 40, &[block]));
    assert!(!bed.only(b.rtp).quality.is_reported);
    let setup = Setup { secured: true, ..bed.media.setup(a.rtcp).unwrap() };
    bed.media.configure(bed.now, a.rtcp, &setup);
    let block = rtp::rtcp::Block { ssrc: 8, ..block };
    bed.send(a.rtcp, "192.0.2.1:4001", &sender_report(1, 1 << 40, &[block]));
    assert!(!bed.only(b.rtp).quality.is_reported);
    bed.media.configure(bed.now, a.rtcp, &Setup { secured: false, ..setup });
    bed.send(a.rtcp, "192.0.2.1:4001", &sender_report(1, 1 << 40, &[block]));
    let sample = bed.only(b.rtp).quality.lowest.unwrap();
    assert_eq!((sample.round_trip_leg, sample.round_trip), (None, None), "it names no report that has passed");
}
