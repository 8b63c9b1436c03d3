//! The static payload types of RTP.

use crate::attribute::Rtpmap;

/// What a static payload type means without an `a=rtpmap` (RFC 3551 §6); None for those that are dynamic, reserved or
/// unassigned.
///
/// The clock of G722 is 8000 Hz by a mistake of RFC 1890 that was kept, though it samples at 16 kHz (RFC 3551 §4.5.2).
///
/// ```
/// use c4_sdp::payload_type::static_codec;
/// assert_eq!(static_codec(8).map(|codec| codec.to_string()).as_deref(), Some("8 PCMA/8000"));
/// assert_eq!(static_codec(9).map(|codec| codec.clock_rate), Some(8000));
/// assert_eq!(static_codec(96), None);
/// ```
pub fn static_codec(payload_type: u8) -> Option<Rtpmap<'static>> {
    let (encoding, clock_rate, parameters) = match payload_type {
        0 => ("PCMU", 8_000, None),
        3 => ("GSM", 8_000, None),
        4 => ("G723", 8_000, None),
        5 => ("DVI4", 8_000, None),
        6 => ("DVI4", 16_000, None),
        7 => ("LPC", 8_000, None),
        8 => ("PCMA", 8_000, None),
        9 => ("G722", 8_000, None),
        10 => ("L16", 44_100, Some("2")),
        11 => ("L16", 44_100, None),
        12 => ("QCELP", 8_000, None),
        13 => ("CN", 8_000, None),
        14 => ("MPA", 90_000, None),
        15 => ("G728", 8_000, None),
        16 => ("DVI4", 11_025, None),
        17 => ("DVI4", 22_050, None),
        18 => ("G729", 8_000, None),
        25 => ("CelB", 90_000, None),
        26 => ("JPEG", 90_000, None),
        28 => ("nv", 90_000, None),
        31 => ("H261", 90_000, None),
        32 => ("MPV", 90_000, None),
        33 => ("MP2T", 90_000, None),
        34 => ("H263", 90_000, None),
        _ => return None,
    };
    Some(Rtpmap { payload_type, encoding, clock_rate, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3551_6_table_4_audio() {
        let stereo: Vec<u8> =
            (0..128).filter(|number| static_codec(*number).is_some_and(|codec| codec.channels() == 2)).collect();
        assert_eq!(stereo, [10]);
        let table = "PCMU/8000 - - GSM/8000 G723/8000 DVI4/8000 DVI4/16000 LPC/8000 PCMA/8000 G722/8000 L16/44100/2 \
                     L16/44100 QCELP/8000 CN/8000 MPA/90000 G728/8000 DVI4/11025 DVI4/22050 G729/8000 - - - - -";
        check(0, table);
    }

    #[test]
    fn rfc3551_6_table_5_video() {
        check(24, "- CelB/90000 JPEG/90000 - nv/90000 - - H261/90000 MPV/90000 MP2T/90000 H263/90000");
    }

    #[test]
    fn rfc3551_6_the_rest_is_dynamic_reserved_or_unassigned() {
        assert!((35..=u8::MAX).all(|number| static_codec(number).is_none()));
    }

    fn check(first: u8, table: &str) {
        for (payload_type, row) in (first..).zip(table.split_whitespace()) {
            let expected = (row != "-").then(|| format!("{payload_type} {row}"));
            assert_eq!(static_codec(payload_type).map(|codec| codec.to_string()), expected);
        }
    }
}
