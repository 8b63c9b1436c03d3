//! RTP: the parts of a packet are its octets and no others, edits change what they name, counters stand any order.

use rtp::demux::{Kind, classify};
use rtp::packet::{FIXED, Header, Layout, Packet, PacketMut};
use rtp::sequence::Source;
use rtp::stats::{Jitter, Loss};

/// Any datagram of a media port.
///
/// # Panics
/// When parts overlap or leave octets out, when an edit changes more than it names, or what is written reads otherwise.
pub fn run(octets: &[u8]) {
    let kind = classify(octets);
    counters(octets);
    let Ok(packet) = Packet::read(octets) else { return };
    assert!(matches!(kind, Kind::Rtp | Kind::Rtcp), "{kind:?}");
    let extension = packet.extension().map_or(0, |extension| 4 + extension.octets.len());
    let parts = FIXED + 4 * packet.csrc().count() + extension + packet.payload().len() + packet.padding();
    assert_eq!(parts, octets.len(), "every octet has one place");
    let encrypted = Layout::of_encrypted(octets).expect("padding is all that is not looked at");
    let layout = packet.layout();
    assert_eq!((encrypted.csrc_end, encrypted.payload), (layout.csrc_end, layout.payload));
    edits(octets, &packet);
    built(&packet);
}

fn edits(octets: &[u8], packet: &Packet<'_>) {
    let mut copy = octets.to_vec();
    let mut edit = PacketMut::read(&mut copy).expect("the same octets");
    edit.set_marker(!packet.marker());
    edit.set_payload_type(!packet.payload_type());
    edit.set_sequence(!packet.sequence());
    edit.set_timestamp(!packet.timestamp());
    edit.set_ssrc(!packet.ssrc());
    assert_eq!(edit.payload_mut(), packet.payload());
    let after = edit.as_packet().expect("a packet");
    assert_eq!(after.payload_type(), !packet.payload_type() & 0x7f);
    assert_eq!((after.marker(), after.sequence()), (!packet.marker(), !packet.sequence()));
    assert_eq!((after.timestamp(), after.ssrc()), (!packet.timestamp(), !packet.ssrc()));
    assert_eq!(after.octets().get(FIXED..), octets.get(FIXED..), "only the fixed header differs");
    assert_eq!(Packet::read(after.octets()).map(|again| again.layout()), Ok(packet.layout()));
}

fn built(packet: &Packet<'_>) {
    let header = Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let mut octets = header.to_octets().to_vec();
    octets.extend_from_slice(packet.payload());
    let again = Packet::read(&octets).expect("what we write can be read");
    assert_eq!((again.marker(), again.payload_type()), (header.marker, header.payload_type));
    assert_eq!((again.sequence(), again.timestamp(), again.ssrc()), (header.sequence, header.timestamp, header.ssrc));
    assert_eq!(again.payload(), packet.payload());
}

/// The octets as sequence numbers in any order, and as arrivals.
fn counters(octets: &[u8]) {
    let numbers = octets.as_chunks::<2>().0;
    let Some(first) = numbers.first() else { return };
    let mut source = Source::new(u16::from_be_bytes(*first));
    let mut jitter = Jitter::new(8000);
    for (at, number) in numbers.iter().enumerate() {
        let number = u16::from_be_bytes(*number);
        _ = source.update(number);
        jitter.update(at as u64 * 20_000, u32::from(number) << 16 | u32::from(number));
        _ = (source.extended_highest(), source.lost(), source.take_fraction_lost());
    }
    assert!(source.received() as usize <= numbers.len(), "no more than came");
    assert!(jitter.millis() >= 0.0);
    let mut loss = Loss::default();
    loss.add(&source);
    assert!((0.0..=100.0).contains(&loss.percent()), "{}", loss.percent());
}
