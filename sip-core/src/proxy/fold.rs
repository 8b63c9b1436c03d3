//! Folded values (RFC 3261 §7.3.1), which are received but never written.

/// A value in one line: each fold, with the blanks around it, is one blank.
pub(super) fn unfold(value: &[u8]) -> Vec<u8> {
    let parts = value.split(|c| matches!(c, b'\r' | b'\n')).map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_7_3_1_a_fold_is_one_blank() {
        assert_eq!(unfold(b"Digest realm=\"x\",\r\n   nonce=\"y\""), b"Digest realm=\"x\", nonce=\"y\"");
        assert_eq!(unfold(b"plain  text"), b"plain  text");
    }
}
