//! base64url without padding (RFC 4648 §5), for tokens inside SIP URIs and Via parameters.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BAD: u8 = 0xff;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut table = [BAD; 256];
    let mut i = 0;
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler; 64 is the length of the alphabet")]
    while i < 64 {
        table[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    table
}

fn letter(six_bits: u32) -> u8 {
    ALPHABET.get((six_bits & 63) as usize).copied().unwrap_or(b'A')
}

/// Appends the text of `data`.
pub(crate) fn encode(data: &[u8], out: &mut Vec<u8>) {
    let mut rest = data;
    while let Some((&[a, b, c], tail)) = rest.split_first_chunk::<3>() {
        let n = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        out.extend_from_slice(&[letter(n >> 18), letter(n >> 12), letter(n >> 6), letter(n)]);
        rest = tail;
    }
    match *rest {
        [a] => {
            let n = u32::from(a) << 16;
            out.extend_from_slice(&[letter(n >> 18), letter(n >> 12)]);
        }
        [a, b] => {
            let n = u32::from(a) << 16 | u32::from(b) << 8;
            out.extend_from_slice(&[letter(n >> 18), letter(n >> 12), letter(n >> 6)]);
        }
        _ => {}
    }
}

/// Decodes `text` into `out` and returns how many octets it filled; `None` for a foreign character, an
/// impossible length, bits set behind the end, or more than `out` holds. One text only decodes to a value.
pub(crate) fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for group in text.chunks(4) {
        let mut n: u32 = 0;
        for &c in group {
            let value = VALUES.get(usize::from(c)).copied().filter(|v| *v != BAD)?;
            n = n << 6 | u32::from(value);
        }
        let (octets, spare) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if n & ((1 << spare) - 1) != 0 {
            return None;
        }
        let [_, a, b, c] = ((n >> spare) << (8 * (3 - octets))).to_be_bytes();
        out.get_mut(length..length + octets)?.copy_from_slice([a, b, c].get(..octets)?);
        length += octets;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc4648_10_vectors() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            encode(data.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
            let mut back = [0; 8];
            let n = decode(text.as_bytes(), &mut back).unwrap();
            assert_eq!(&back[..n], data.as_bytes());
        }
    }

    #[test]
    fn rfc4648_3_5_bits_behind_the_end_are_refused() {
        let mut out = [0; 8];
        assert_eq!(decode(b"Zh", &mut out), None);
        assert_eq!(decode(b"Z", &mut out), None);
        assert_eq!(decode(b"Zg==", &mut out), None);
        assert_eq!(decode(b"+/+/", &mut out), None);
        assert_eq!(decode(b"AAAAAAAAAAAAAAAA", &mut out), None, "longer than the room for it");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(data in proptest::collection::vec(any::<u8>(), 0..90)) {
            let mut text = Vec::new();
            encode(&data, &mut text);
            let mut back = [0; 90];
            let n = decode(&text, &mut back).unwrap();
            prop_assert_eq!(&back[..n], &data[..]);
        }

        #[test]
        fn a_text_that_decodes_is_the_text_of_its_value(text in "[A-Za-z0-9_-]{0,40}") {
            let mut back = [0; 40];
            if let Some(n) = decode(text.as_bytes(), &mut back) {
                let mut again = Vec::new();
                encode(&back[..n], &mut again);
                prop_assert_eq!(again, text.as_bytes());
            }
        }
    }
}
