//! Hex digits of secrets, nonces and hashes.

/// Writes `octets` as lower-case digits; what does not fit `out` is left out.
pub(super) fn encode(octets: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'0');
    for (pair, octet) in out.chunks_exact_mut(2).zip(octets) {
        pair.copy_from_slice(&[digit(octet >> 4), digit(*octet)]);
    }
}

/// Reads exactly `N` octets, digits in any case.
pub(super) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut octets = [0; N];
    let digit = |c: &u8| char::from(*c).to_digit(16);
    for (octet, pair) in octets.iter_mut().zip(text.chunks_exact(2)) {
        *octet = match pair {
            [high, low] => (digit(high)? * 16 + digit(low)?) as u8,
            _ => return None,
        };
    }
    Some(octets)
}
