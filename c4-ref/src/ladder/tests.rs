//! Captures, made and real ones.

use std::time::Duration;

use rtp::packet::Header;

use super::packet::{Carried, Skipped, read};
use super::pcap::Error;
use super::*;

const UDP: &[u8] = include_bytes!("../../tests/data/ladder/call-udp.pcap");
const TCP: &[u8] = include_bytes!("../../tests/data/ladder/call-tcp.pcapng");

const ETHERNET: u16 = 1;
const RAW: u16 = 101;

fn trace(file: &[u8]) -> Trace {
    let mut trace = Trace::new();
    trace.push(file).unwrap();
    trace
}

/// A capture of raw IP packets, so many milliseconds apart.
fn capture(link: u16, gap_ms: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [&[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0][..]].concat();
    file.extend(link.to_be_bytes());
    for (n, packet) in (0u32..).zip(packets) {
        let ms = n * gap_ms;
        let length = packet.len() as u32;
        for word in [1_700_000_000 + ms / 1000, ms % 1000 * 1000, length, length] {
            file.extend(word.to_be_bytes());
        }
        file.extend(packet);
    }
    file
}

fn ipv4(protocol: u8, from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let length = ((20 + payload.len()) as u16).to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, from, 192, 0, 2, to];
    [&head[..], payload].concat()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = ((8 + payload.len()) as u16).to_be_bytes();
    [&[0x13, 0xc4, 0x13, 0xc5, length[0], length[1], 0, 0][..], payload].concat()
}

fn tcp(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let n = sequence.to_be_bytes();
    let head = [0x13, 0xc4, 0x13, 0xc5, n[0], n[1], n[2], n[3], 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0];
    [&head[..], payload].concat()
}

fn invite(call_id: &str, body: &str) -> Vec<u8> {
    let head = format!("INVITE sip:bob@c4.test SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_call_over_udp_with_its_sound() {
    let drawn = render(&trace(UDP), &Choice::default());
    assert_eq!(drawn, include_str!("../../tests/data/ladder/call-udp.txt"), "{drawn}");
}

#[test]
fn a_call_over_tcp_and_all_else() {
    let drawn = render(&trace(TCP), &Choice { all: true, ..Choice::default() });
    assert_eq!(drawn, include_str!("../../tests/data/ladder/call-tcp.txt"), "{drawn}");
}

#[test]
fn a_call_can_be_chosen() {
    let trace = trace(UDP);
    let choice = Choice { call_id: Some("fb41595fb615cc44c22e082567f00da5".into()), all: false };
    assert!(render(&trace, &choice).contains("\n1 of 4 dialogs."));
    let other = Choice { call_id: Some("another".into()), all: true };
    assert!(render(&trace, &other).starts_with("0 of 4 dialogs."));
}

#[test]
fn a_file_may_come_in_any_pieces_and_break_off() {
    for file in [UDP, TCP] {
        let whole = trace(file);
        let mut pieces = Trace::new();
        file.chunks(7).for_each(|piece| pieces.push(piece).unwrap());
        assert_eq!(render(&pieces, &Choice::default()), render(&whole, &Choice::default()));
        let cut = trace(&file[..file.len() - 3]);
        assert!(cut.counts().rest > 0 && cut.counts().frames + 1 == whole.counts().frames);
        assert!(render(&cut, &Choice::default()).contains("octets at the end are no whole frame"));
    }
}

#[test]
fn every_link_type_that_is_read() {
    let ip = ipv4(17, 1, 2, &udp(b"x"));
    let ethernet = [&[0; 12][..], &[8, 0], &ip].concat();
    let tagged = [&[0; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], &ip].concat();
    let cooked = [&[0; 14][..], &[8, 0], &ip].concat();
    let cooked_2 = [&[8, 0][..], &[0; 18], &ip].concat();
    let null = [&[2, 0, 0, 0][..], &ip].concat();
    for (link, frame) in [(1, ethernet), (1, tagged), (113, cooked), (276, cooked_2), (0, null.clone()), (108, null)] {
        let segment = read(link, &frame).unwrap();
        assert_eq!(
            (segment.from.to_string(), segment.carried),
            ("192.0.2.1:5060".into(), Carried::Udp(b"x")),
            "{link}"
        );
    }
    for link in [RAW, 12, 14, 228] {
        assert_eq!(read(link, &ip).unwrap().to.to_string(), "192.0.2.2:5061");
    }
    assert_eq!(read(147, &ip), Err(Skipped::Link));
    // What the link has added behind the packet is no part of it.
    let padded = [&ip[..], &[0; 17]].concat();
    assert_eq!(read(RAW, &padded).unwrap().carried, Carried::Udp(b"x"));
}

#[test]
fn rfc8200_4_extension_headers_are_passed_over_and_fragments_are_not() {
    let packet = |next: u8, payload: &[u8]| {
        let length = (payload.len() as u16).to_be_bytes();
        let head = [0x60, 0, 0, 0, length[0], length[1], next, 64];
        [&head[..], &[0x20; 16], &[0x21; 16], payload].concat()
    };
    assert_eq!(read(RAW, &packet(17, &udp(b"x"))).unwrap().carried, Carried::Udp(b"x"));
    let options = [&[60, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0][..], &udp(b"x")].concat();
    assert_eq!(read(RAW, &packet(0, &options)).unwrap().carried, Carried::Udp(b"x"));
    assert!(matches!(read(RAW, &packet(44, &options)), Err(Skipped::Fragment(_))));
    assert_eq!(read(RAW, &packet(0, &[60, 9])), Err(Skipped::Other));
}

/// A part of an IPv4 packet of UDP, at so many octets.
fn part(id: u8, at: usize, more: bool, octets: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(17, 1, 2, octets);
    packet[5] = id;
    packet[6..8].copy_from_slice(&((at / 8) as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
    packet
}

#[test]
fn rfc791_3_2_a_message_in_fragments_in_any_order_is_read() {
    let datagram = udp(&invite("a", &"x".repeat(3000)));
    let (n, a) = (datagram.len(), |from: usize, to: usize| part(1, from, true, &datagram[from..to]));
    let last = part(1, 1480, false, &datagram[1480..n]);
    for packets in [
        vec![a(0, 800), a(800, 1480), last.clone()],
        vec![last.clone(), a(800, 1480), a(800, 1480), part(2, 0, true, &[0; 8]), a(0, 800)],
    ] {
        let trace = trace(&capture(RAW, 1, &packets));
        assert_eq!(trace.calls().len(), 1);
        assert_eq!(trace.counts().fragments, packets.len() as u64 - 3, "those that came twice or alone");
    }
}

#[test]
fn rfc8200_4_5_so_is_one_over_ipv6() {
    let datagram = udp(&invite("a", &"x".repeat(3000)));
    let packet = |at: usize, to: usize, more: u16| {
        let offset = (at as u16 | more).to_be_bytes();
        let payload = [&[17, 0, offset[0], offset[1], 0, 0, 0, 7], &datagram[at..to]].concat();
        let length = (payload.len() as u16).to_be_bytes();
        [&[0x60, 0, 0, 0, length[0], length[1], 44, 64][..], &[0x20; 16], &[0x21; 16], &payload].concat()
    };
    let trace = trace(&capture(RAW, 1, &[packet(0, 1480, 1), packet(1480, datagram.len(), 0)]));
    assert_eq!((trace.calls().len(), trace.counts().fragments), (1, 0));
}

#[test]
fn rfc5722_3_fragments_that_overlap_and_those_that_are_alone_are_counted() {
    let datagram = udp(&invite("a", &"x".repeat(2000)));
    let n = datagram.len();
    let overlap = [part(1, 0, true, &datagram[..808]), part(1, 800, false, &datagram[800..])];
    let beyond = [part(2, 800, false, &datagram[800..]), part(2, n.next_multiple_of(8), true, &[0; 8])];
    let empty = [part(3, 0, true, &[]), part(3, 8, false, &[])];
    let trace = trace(&capture(RAW, 1, &[overlap, beyond, empty].concat()));
    assert_eq!((trace.counts().fragments, trace.calls().len()), (6, 0));
    assert!(render(&trace, &Choice::default()).contains("6 fragments make no whole IP packet."));
}

#[test]
fn a_flood_of_first_fragments_is_bounded() {
    let packets: Vec<_> = (0..200).map(|id| part(id, 0, true, &[0; 1480])).collect();
    let trace = trace(&capture(RAW, 1, &packets));
    assert_eq!(trace.counts().fragments, 200);
}

#[test]
fn lesson_24_tcp_in_pieces_out_of_order_and_twice() {
    let messages = [invite("a", "12345"), invite("b", "")].concat();
    let piece = |from: usize, to: usize| {
        ipv4(6, 1, 2, &tcp((u32::MAX - 10).wrapping_add(from as u32), 0x18, &messages[from..to]))
    };
    let n = messages.len();
    let syn = ipv4(6, 1, 2, &tcp(u32::MAX - 11, 2, b""));
    let packets =
        [syn, piece(0, 30), piece(60, 100), piece(20, 40), piece(40, 60), piece(0, 30), piece(110, n), piece(90, 110)];
    let trace = trace(&capture(RAW, 1, &packets));
    let ids: Vec<&str> = trace.calls().iter().map(|call| &*call.id).collect();
    assert_eq!((ids, trace.counts().gaps), (vec!["a", "b"], 0));
}

#[test]
fn behind_a_gap_tcp_is_read_again() {
    let message = invite("a", "");
    let n = message.len() as u32;
    let mut packets = vec![ipv4(6, 1, 2, &tcp(0, 0x18, &message[..20]))];
    packets.extend((1..80).map(|k| ipv4(6, 1, 2, &tcp(k * n, 0x18, &message))));
    let trace = trace(&capture(RAW, 1, &packets));
    assert_eq!(trace.counts().gaps, u64::from(n) - 20);
    assert_eq!(trace.calls()[0].rows.len(), 79);
}

#[test]
fn what_is_encrypted_is_said() {
    let hello = ipv4(6, 1, 2, &tcp(0, 0x18, &[0x16, 3, 1, 0, 200, 1]));
    let trace = trace(&capture(RAW, 1, &[hello.clone(), hello]));
    assert_eq!(trace.counts().encrypted, 1);
}

#[test]
fn a_message_cut_by_the_snapshot_length_is_shown_and_counted() {
    let mut file = capture(RAW, 1, &[ipv4(17, 1, 2, &udp(&invite("a", &"x".repeat(400))))]);
    let length = file.len();
    file.truncate(length - 300);
    let captured = (length - 300 - 40) as u32;
    file[32..36].copy_from_slice(&captured.to_be_bytes());
    let trace = trace(&file);
    assert_eq!((trace.counts().messages, trace.counts().cut), (1, 1));
    assert!(render(&trace, &Choice::default()).contains("1 messages were not captured whole."));
}

#[test]
fn what_looks_like_sip_and_is_none_is_counted_and_other_datagrams_are_not() {
    let count = |payload: &[u8]| trace(&capture(RAW, 1, &[ipv4(17, 1, 2, &udp(payload))])).counts().malformed;
    assert_eq!((count(b"GET / HTTP/1.0\r\n\r\n"), count(b"SIP/2.0 hello"), count(b"")), (0, 1, 0));
}

#[test]
fn rtp_belongs_to_the_last_call_that_named_its_port() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5061 RTP/AVP 96 101\r\n\
        a=rtpmap:96 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let rtp = |sequence: u16, payload_type: u8| {
        let timestamp = if payload_type == 101 { 0 } else { u32::from(sequence) * 160 };
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: 9 };
        ipv4(17, 1, 2, &udp(&header.to_octets()))
    };
    let sip = |call_id: &str| ipv4(17, 2, 1, &udp(&invite(call_id, sdp)));
    let mut packets = vec![rtp(0, 96), sip("a")];
    packets.extend((1..11).map(|sequence| rtp(sequence, if sequence == 5 { 101 } else { 96 })));
    packets.push(sip("b"));
    packets.extend((30..50).map(|sequence| rtp(sequence, 96)));
    let trace = trace(&capture(RAW, 20, &packets));
    let told = |call: usize| -> Vec<_> {
        let streams = trace.streams(call);
        streams.map(|stream| (stream.packets(), stream.lost(), stream.codec.to_string(), stream.jitter_ms())).collect()
    };
    // The packet before any description is nobody's.
    assert_eq!(told(0), [(10, 0, "G729".into(), 0.0)]);
    assert_eq!(told(1), [(20, 0, "G729".into(), 0.0)]);
    assert!(trace.streams(0).all(|stream| stream.mos().unwrap() < 4.2), "a codec with an impairment of its own");
}

#[test]
fn what_came_over_the_wire_does_not_command_the_terminal() {
    let message =
        b"INVITE sip:\x1b[2Jbob@c4.test SIP/2.0\r\nCall-ID: a\x07\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let drawn = render(&trace(&capture(RAW, 1, &[ipv4(17, 1, 2, &udp(message))])), &Choice::default());
    assert!(!drawn.contains(['\x1b', '\x07']), "{drawn:?}");
}

#[test]
fn a_dialog_without_end_is_bounded() {
    let packets: Vec<Vec<u8>> = (0..2100).map(|_| ipv4(17, 1, 2, &udp(&invite("a", "")))).collect();
    let trace = trace(&capture(RAW, 1, &packets));
    assert_eq!((trace.calls()[0].rows.len(), trace.calls()[0].left_out), (2000, 100));
    assert!(render(&trace, &Choice::default()).contains("100 more messages"));
}

#[test]
fn what_is_no_capture_says_so_and_stays_so() {
    let mut trace = Trace::new();
    assert_eq!(trace.push(b"INVITE sip:a SIP/2.0\r\n"), Err(Error::Unknown));
    assert_eq!(trace.push(UDP), Err(Error::Unknown));
    assert_eq!(trace.counts().frames, 0);
    let damaged = capture(ETHERNET, 1, &[vec![0; 60]]);
    let mut damaged = damaged.clone();
    damaged[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Trace::new().push(&damaged), Err(Error::Length(u32::MAX as usize)));
}

#[test]
fn steps_are_told_since_the_first_message() {
    let trace = trace(UDP);
    let call = &trace.calls()[3];
    assert!(call.is_invite && call.rows[0].at > Duration::from_secs(1_700_000_000));
    assert_eq!(call.start(), call.rows[0].at);
}
