//! The branches of our own requests (RFC 3261 §8.1.1.7): magic cookie, shard, transaction, keyed check.
//!
//! `z9hG4bK` + 4 hex digits of the shard + 16 of the transaction + 16 of a keyed hash over both. A response is matched
//! by reading the branch back, without a table; nobody who has not seen the request can make one that is accepted.

use super::keyed::Keys;
use crate::header::MAGIC_COOKIE;

/// Octets of a branch of ours.
pub(super) const LENGTH: usize = 7 + 4 + 16 + 16;

/// Appends the branch of a transaction.
pub(super) fn write(keys: &Keys, shard: u16, raw: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC_COOKIE.as_bytes());
    hex(u64::from(shard), 4, out);
    hex(raw, 16, out);
    hex(keys.branch_mac(raw ^ u64::from(shard).rotate_right(16)), 16, out);
}

/// The transaction of a branch of ours; None when this layer did not make it.
pub(super) fn read(keys: &Keys, shard: u16, branch: &str) -> Option<u64> {
    if shard_of_branch(branch)? != shard {
        return None;
    }
    let raw = unhex(branch.get(11..27)?)?;
    let mac = unhex(branch.get(27..LENGTH)?)?;
    (mac == keys.branch_mac(raw ^ u64::from(shard).rotate_right(16))).then_some(raw)
}

/// The shard that a branch names when a [`Layer`](super::Layer) made it: which shard a response belongs to.
///
/// The keyed part is not looked at: a wrong guess reaches a shard that does not know the branch.
///
/// ```
/// assert_eq!(c4_sip_core::transaction::shard_of_branch("z9hG4bK0003000000000200000501234567890abcdef"), None);
/// assert_eq!(c4_sip_core::transaction::shard_of_branch("z9hG4bK000300000000020000050123456789abcdef"), Some(3));
/// ```
pub fn shard_of_branch(branch: &str) -> Option<u16> {
    mark(branch)?;
    if !branch.starts_with(MAGIC_COOKIE) {
        return None;
    }
    u16::try_from(unhex(branch.get(7..11)?)?).ok()
}

/// What its user put at the end of a branch of ours, from the dot on; empty when nothing. None: it is not of the shape.
pub(super) fn mark(branch: &str) -> Option<&str> {
    branch.get(LENGTH..).filter(|mark| mark.is_empty() || mark.starts_with('.'))
}

/// Appends the last `digits` lower-case hexadecimal digits, 16 at most.
pub(super) fn hex(value: u64, digits: usize, out: &mut Vec<u8>) {
    let mut text = [0; 16];
    for (n, octet) in text.iter_mut().rev().enumerate() {
        let digit = (value >> (4 * n)) as u8 & 15;
        *octet = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    out.extend_from_slice(text.get(16 - digits..).unwrap_or_default());
}

fn unhex(digits: &str) -> Option<u64> {
    let mut value = 0;
    for octet in digits.bytes() {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            _ => return None,
        };
        value = (value << 4) | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(shard: u16, raw: u64) -> String {
        let mut out = Vec::new();
        write(&Keys::new(&[3; 32]), shard, raw, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc3261_8_1_1_7_a_branch_begins_with_the_cookie_and_reads_back() {
        let text = branch(9, 0x1234_5678);
        assert!(text.starts_with("z9hG4bK") && text.len() == LENGTH);
        assert_eq!(shard_of_branch(&text), Some(9));
        assert_eq!(read(&Keys::new(&[3; 32]), 9, &text), Some(0x1234_5678));
    }

    #[test]
    fn rfc5393_4_2_1_a_branch_with_a_mark_behind_it_is_still_ours() {
        let text = branch(9, 0x1234_5678) + ".0123456789abcdef";
        assert_eq!(read(&Keys::new(&[3; 32]), 9, &text), Some(0x1234_5678));
        assert_eq!((shard_of_branch(&text), mark(&text)), (Some(9), Some(".0123456789abcdef")));
    }

    #[test]
    fn a_branch_of_another_key_shard_or_a_changed_one_is_not_ours() {
        let keys = Keys::new(&[3; 32]);
        let text = branch(9, 0x1234_5678);
        assert_eq!(read(&keys, 8, &text), None);
        assert_eq!(read(&Keys::new(&[4; 32]), 9, &text), None);
        for n in 7..text.len() {
            let mut other = text.clone().into_bytes();
            other[n] = if other[n] == b'0' { b'1' } else { b'0' };
            assert_eq!(read(&keys, 9, std::str::from_utf8(&other).unwrap()), None);
        }
        assert_eq!(read(&keys, 9, &format!("{text}0")), None);
        assert_eq!(shard_of_branch("z9hG4bK-someone-elses-branch-of-forty-three"), None);
        assert_eq!(shard_of_branch("z9hG4bK\u{e9}000000000000000000000000000000000000"), None);
    }
}
