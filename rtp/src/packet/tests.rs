use super::*;
use proptest::prelude::*;

const HEAD: [u8; FIXED] = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];

fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut octets = HEAD.to_vec();
    octets[0] = first;
    octets.extend_from_slice(rest);
    octets
}

#[test]
fn rfc3550_5_1_padding_is_cut_and_must_be_of_the_payload() {
    let good = packet(0xa0, &[1, 2, 3, 4, 0, 0, 0, 4]);
    let view = Packet::read(&good).unwrap();
    assert_eq!((view.payload(), view.padding()), (&[1, 2, 3, 4][..], 4));
    for count in [0, 9, 255] {
        assert_eq!(Packet::read(&packet(0xa0, &[1, 2, 3, 4, 0, 0, 0, count])), Err(Defect::Padding(count)));
    }
    let all = packet(0xa0, &[0, 2]);
    assert_eq!(Packet::read(&all).unwrap().payload(), b"");
}

#[test]
fn rfc3550_5_1_contributing_sources() {
    let sources: Vec<u8> = (100..115u32).flat_map(u32::to_be_bytes).collect();
    let octets = packet(0x8f, &[&sources[..], &[9]].concat());
    let view = Packet::read(&octets).unwrap();
    assert!(view.csrc().eq(100..115) && view.payload() == [9]);
    assert_eq!(Packet::read(&octets[..71]), Err(Defect::Csrc));
}

#[test]
fn rfc3550_5_3_1_extension() {
    let octets = packet(0x90, &[0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, 7]);
    let view = Packet::read(&octets).unwrap();
    assert_eq!(view.extension(), Some(Extension { profile: 0xbede, octets: &[0x10, 0xaa, 0, 0] }));
    assert_eq!(view.payload(), [7]);
    assert_eq!(Packet::read(&packet(0x90, &[0xbe, 0xde, 0, 255, 0x10])), Err(Defect::Extension));
    assert_eq!(Packet::read(&packet(0x90, &[0xbe, 0xde, 0])), Err(Defect::Extension));
}

#[test]
fn rfc3550_5_1_version_and_length() {
    assert_eq!(Packet::read(&packet(0x40, &[])), Err(Defect::Version(1)));
    assert_eq!(Packet::read(&HEAD[..11]), Err(Defect::Short));
    assert_eq!(Packet::read(&vec![0x80; 65536]), Err(Defect::Long));
}

#[test]
fn padding_of_srtp_is_not_read() {
    assert!(Layout::of_encrypted(&packet(0xa0, &[1, 2, 3, 0])).is_ok());
    assert_eq!(Layout::of_encrypted(&packet(0xaf, &[1, 2, 3, 0])), Err(Defect::Csrc));
}

proptest! {
    #[test]
    fn lying_lengths_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(view) = Packet::read(&octets) {
            let extension = view.extension().map_or(0, |extension| 4 + extension.octets.len());
            prop_assert_eq!(
                FIXED + 4 * view.csrc().count() + extension + view.payload().len() + view.padding(), octets.len());
        }
    }

    #[test]
    fn edits_in_place_equal_a_header_built(marker: bool, pt in 0..128u8, sequence: u16, timestamp: u32, ssrc: u32) {
        let mut octets = packet(0x80, b"payload");
        let mut edit = PacketMut::read(&mut octets).unwrap();
        edit.set_marker(marker);
        edit.set_payload_type(pt);
        edit.set_sequence(sequence);
        edit.set_timestamp(timestamp);
        edit.set_ssrc(ssrc);
        let header = Header { marker, payload_type: pt, sequence, timestamp, ssrc };
        prop_assert_eq!(&octets[..FIXED], header.to_octets());
        prop_assert_eq!(&octets[FIXED..], b"payload");
    }
}
