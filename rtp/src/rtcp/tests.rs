use super::*;
use proptest::prelude::*;

const SR_ALONE: &[u8] = b"\x80\xc8\0\x06\x11\x22\x33\x44\xe1\xe2\xe3\xe4\x80\0\0\0\0\0\x27\x10\0\0\0\x64\0\0\x3e\x80";

#[test]
fn rfc3550_6_4_1_sender_report() {
    let packet = Compound::read(SR_ALONE).unwrap().next().unwrap();
    let report = packet.sender_report().unwrap().unwrap();
    let info = SenderInfo { ntp: 0xe1e2_e3e4_8000_0000, rtp: 10_000, packets: 100, octets: 16_000 };
    assert_eq!((report.ssrc, report.info, report.blocks().len()), (0x1122_3344, info, 0));
    assert!(packet.receiver_report().is_none() && packet.bye().is_none() && packet.app().is_none());
}

#[test]
fn rfc3550_6_4_lost_is_signed_and_counts_are_checked() {
    let octets = b"\x81\xc9\0\x07\x11\x22\x33\x44\x55\x66\x77\x88\x0c\xff\xff\xfe\0\x01\x02\x03\0\0\0\x07\xe3\xe4\x80\0\0\0\x80\0";
    let report = Compound::read(octets).unwrap().next().unwrap().receiver_report().unwrap().unwrap();
    let block = report.blocks().next().unwrap();
    assert_eq!((block.fraction_lost, block.lost, block.highest, block.jitter), (12, -2, 0x0001_0203, 7));
    assert_eq!(block.round_trip(0xe3e5_8000), Some(0x8000));
    let mut lying = SR_ALONE.to_vec();
    lying[0] = 0x9f;
    assert_eq!(Compound::read(&lying).unwrap().next().unwrap().sender_report(), Some(Err(Defect::Count(31))));
}

#[test]
fn rfc3550_6_1_lengths_versions_padding_and_the_first_packet() {
    let changed = |at: usize, to: u8| {
        let mut octets = SR_ALONE.to_vec();
        octets[at] = to;
        Compound::read(&octets).err()
    };
    assert_eq!(changed(3, 255), Some(Defect::Length));
    assert_eq!(changed(0, 0x40), Some(Defect::Version(1)));
    assert_eq!(changed(0, 0xa0), Some(Defect::Padding));
    assert_eq!(changed(1, BYE), Some(Defect::First(BYE)));
    assert_eq!(Compound::read_reduced(&[]).err(), Some(Defect::Short));
    let mut bye = Vec::new();
    write::bye(&mut bye, &[1, 2], Some(b"gone"));
    let packet = Compound::read_reduced(&bye).unwrap().next().unwrap();
    let read = packet.bye().unwrap().unwrap();
    assert!(read.sources().eq([1, 2]) && read.reason == Some(b"gone"));
}

#[test]
fn rfc3550_6_5_chunks_end_at_a_word() {
    let mut octets = Vec::new();
    for name in [&b"a"[..], b"ab", b"abc", b"abcd", b"abcde"] {
        octets.clear();
        write::cname(&mut octets, 9, name);
        let packet = Compound::read_reduced(&octets).unwrap().next().unwrap();
        let chunks: Vec<_> = packet.chunks().collect::<Result<_, _>>().unwrap();
        assert_eq!((chunks.len(), chunks[0].ssrc, chunks[0].cname()), (1, 9, Some(name)));
    }
    let cut = Packet { packet_type: SDES, count: 1, body: b"\0\0\0\x09\x01\x09ab" };
    assert!(cut.chunks().eq([Err(Defect::Count(1))]));
}

#[test]
fn rfc3550_6_7_app() {
    let mut octets = Vec::new();
    write::app(&mut octets, 3, 5, *b"test", b"12345678");
    let packet = Compound::read_reduced(&octets).unwrap().next().unwrap();
    assert_eq!((packet.count, packet.app()), (3, Some(Ok(App { ssrc: 5, name: *b"test", data: b"12345678" }))));
}

proptest! {
    #[test]
    fn reports_written_are_reports_read(
        ssrc: u32, ntp: u64, rtp: u32, lost in -0x80_0000..0x80_0000i32, fraction_lost: u8, highest: u32, n in 0..32usize,
    ) {
        let info = SenderInfo { ntp, rtp, packets: 5, octets: 6 };
        let block = Block { ssrc: 1, fraction_lost, lost, highest, jitter: 3, last_sr: 4, delay_since_last_sr: 5 };
        let mut octets = Vec::new();
        write::sender_report(&mut octets, ssrc, &info, &vec![block; n]);
        let report = Compound::read(&octets).unwrap().next().unwrap().sender_report().unwrap().unwrap();
        prop_assert_eq!((report.ssrc, report.info), (ssrc, info));
        prop_assert!(report.blocks().eq(std::iter::repeat_n(block, n.min(31))));
    }

    #[test]
    fn lying_lengths_do_no_harm(mut octets in proptest::collection::vec(any::<u8>(), 4..120), kind in 200..207u8) {
        octets[0] = octets[0] & 0x3f | 0x80;
        octets[1] = kind;
        octets[2] = 0;
        octets[3] %= 32;
        for packet in Compound::read_reduced(&octets).into_iter().flatten() {
            let _ = (packet.sender_report().map(|r| r.map(|r| r.blocks().count())), packet.app(), packet.ssrc());
            let _ = (packet.receiver_report().map(|r| r.map(|r| r.blocks().count())), packet.bye());
            prop_assert!(packet.chunks().flatten().flat_map(|chunk| chunk.items()).count() <= octets.len());
        }
    }
}
