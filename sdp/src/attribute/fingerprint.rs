//! `fingerprint`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// The hash of a certificate (RFC 8122 §5).
///
/// ```
/// use c4_sdp::TypedAttribute;
/// use c4_sdp::attribute::Fingerprint;
/// let fingerprint = Fingerprint::parse("sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB").unwrap();
/// assert!(fingerprint.is_of("SHA-1"));
/// assert_eq!(fingerprint.octets().take(2).collect::<Vec<_>>(), [0x4A, 0xAD]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint<'a> {
    /// Name of the hash; its letter case does not count. MD5 and MD2 must not be trusted (RFC 8122 §5).
    pub hash: &'a str,
    /// The hash as written: pairs of hexadecimal digits with colons between.
    pub value: &'a str,
}

impl<'a> Fingerprint<'a> {
    /// Whether it is made by this hash, such as `sha-256`.
    pub fn is_of(&self, hash: &str) -> bool {
        self.hash.eq_ignore_ascii_case(hash)
    }

    /// The octets of the hash.
    pub fn octets(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.value.split(':').filter_map(octet)
    }

    /// Whether the hash of a certificate, made by the named function, is this one.
    pub fn matches(&self, hash: &str, digest: &[u8]) -> bool {
        self.is_of(hash) && !digest.is_empty() && self.octets().eq(digest.iter().copied())
    }
}

impl<'a> TypedAttribute<'a> for Fingerprint<'a> {
    const NAME: AttributeName = AttributeName::Fingerprint;

    fn parse(value: &'a str) -> Result<Fingerprint<'a>, BadAttribute> {
        let (hash, value) = value.split_once(' ').ok_or(BadAttribute(Self::NAME))?;
        let value = value.trim();
        let good = !hash.is_empty() && value.split(':').all(|pair| octet(pair).is_some());
        // A hash that was cut short would be easier to hit.
        let whole = size(hash).is_none_or(|size| value.split(':').count() == size);
        (good && whole).then_some(Fingerprint { hash, value }).ok_or(BadAttribute(Self::NAME))
    }
}

/// The octets of a known hash.
fn size(hash: &str) -> Option<usize> {
    let known = [("sha-1", 20), ("sha-224", 28), ("sha-256", 32), ("sha-384", 48), ("sha-512", 64), ("md5", 16)];
    known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(hash)).map(|(_, size)| size)
}

fn octet(pair: &str) -> Option<u8> {
    let good = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    good.then(|| u8::from_str_radix(pair, 16).ok())?
}

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8122_5_hash_and_pairs_of_digits() {
        let text = format!("sha-256 {}", ["aB"; 32].join(":"));
        let fingerprint = Fingerprint::parse(&text).unwrap();
        assert_eq!(fingerprint.to_string(), text);
        assert!(fingerprint.matches("SHA-256", &[0xAB; 32]));
        assert!(!fingerprint.matches("sha-256", &[0xAB; 31]));
        assert!(!fingerprint.matches("sha-1", &[0xAB; 32]));
    }

    #[test]
    fn rfc8122_5_cut_or_malformed_is_refused() {
        for bad in ["", "sha-256", "sha-256 ", "sha-256 AB:CD", "x AB:C", "x AB:+1", "x AB::CD", "x ABCD", " AB"] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
        assert!(Fingerprint::parse("sha-1024 AB:CD").is_ok(), "a hash of which the size is not known");
    }
}
