//! G.711: A-law and u-law to and from 16-bit linear samples.

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

/// A sample in u-law (PCMU, payload type 0).
///
/// ```
/// assert_eq!(c4_rtp::g711::encode_ulaw(0), 0xff);
/// assert_eq!(c4_rtp::g711::decode_ulaw(0xff), 0);
/// ```
pub fn encode_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let exponent = (24 - magnitude.leading_zeros() as i32).max(0);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !((sign | exponent << 4 | mantissa) as u8)
}

/// The sample of an octet in u-law.
pub fn decode_ulaw(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = ((i32::from(octet & 0x0f) << 3) + BIAS) << ((octet >> 4) & 7);
    let sample = magnitude - BIAS;
    (if octet & 0x80 != 0 { -sample } else { sample }) as i16
}

/// A sample in A-law (PCMA, payload type 8).
pub fn encode_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, i32::from(sample)) } else { (0, !i32::from(sample)) };
    let magnitude = magnitude >> 3;
    let exponent = (27 - magnitude.leading_zeros() as i32).max(0);
    let code = if exponent == 0 { magnitude >> 1 } else { exponent << 4 | (magnitude >> exponent) & 0x0f };
    ((sign | code) as u8) ^ 0x55
}

/// The sample of an octet in A-law.
pub fn decode_alaw(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let (exponent, mantissa) = ((octet >> 4) & 7, i32::from(octet & 0x0f));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    (if octet & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_every_octet_survives_decode_and_encode() {
        for octet in 0..=255u8 {
            assert_eq!(encode_alaw(decode_alaw(octet)), octet, "A-law {octet:#x}");
            // The negative zero of u-law has no sample of its own.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(encode_ulaw(decode_ulaw(octet)), expected, "u-law {octet:#x}");
        }
    }

    #[test]
    fn g711_no_sample_is_far_off() {
        for sample in i16::MIN..=i16::MAX {
            let limit = 64 + i32::from(sample).abs() / 16;
            for decoded in [decode_ulaw(encode_ulaw(sample)), decode_alaw(encode_alaw(sample))] {
                assert!((i32::from(decoded) - i32::from(sample)).abs() <= limit, "{sample} {decoded}");
            }
        }
    }

    #[test]
    fn g711_table_values() {
        assert_eq!([0xff, 0x80, 0x00].map(decode_ulaw), [0, 32_124, -32_124]);
        assert_eq!([0xd5, 0x55, 0xaa, 0x2a].map(decode_alaw), [8, -8, 32_256, -32_256]);
    }
}
