//! Whom the certificate of a TLS peer proves: SIP domain identities (RFC 5922 §7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The SIP domain identities of one verified certificate, in lower case, [`MAX_IDENTITIES`] at most.
pub type Identities = Arc<[Box<str>]>;

/// Identities that are read from one certificate; the further ones prove nothing.
pub const MAX_IDENTITIES: usize = 16;

/// A domain that a certificate is asked to prove: a host name without wildcards, without regard to case (RFC 5922 §7.2).
///
/// ```
/// use c4_ref::identity::Domain;
/// let trunk: Domain = "SIP.carrier.example.".parse().unwrap();
/// assert!(trunk.is_among(&["sip.carrier.example".into()]));
/// assert!(!trunk.is_among(&["*.carrier.example".into()]));
/// assert!("*.carrier.example".parse::<Domain>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain(Box<str>);

/// It is no host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host name; accepted: \"sip.example.com\", without wildcards")]
pub struct DomainError(String);

impl Domain {
    /// Whether one of the identities is this domain.
    pub fn is_among(&self, identities: &[Box<str>]) -> bool {
        identities.iter().any(|identity| identity.eq_ignore_ascii_case(&self.0))
    }

    /// In lower case, without a dot at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Domain, DomainError> {
        normal(text).map(Domain).ok_or_else(|| DomainError(text.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identities in the subjectAltName of a certificate: the hosts of its `sip` URIs without a user, else its DNS names
/// (RFC 5922 §7.1). The common name counts for nothing, and a wildcard matches nothing (§7.2).
pub fn identities<'a>(uris: impl Iterator<Item = &'a str>, dns: impl Iterator<Item = &'a str>) -> Identities {
    let of_uri = |uri: &'a str| {
        let (scheme, rest) = uri.split_once(':')?;
        let host = rest.split([';', '?']).next()?;
        if scheme.eq_ignore_ascii_case("sip") { normal(host) } else { None }
    };
    let hosts: Vec<Box<str>> = uris.filter_map(of_uri).take(MAX_IDENTITIES).collect();
    if hosts.is_empty() { dns.filter_map(normal).take(MAX_IDENTITIES).collect() } else { hosts.into() }
}

/// A host name in lower case without the dot at its end; `None`: it is none, or a wildcard.
fn normal(name: &str) -> Option<Box<str>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    // RFC 1035 §2.3.4.
    (name.len() <= 253 && name.split('.').all(label)).then(|| name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uris: &[&'static str], dns: &[&'static str]) -> Vec<String> {
        identities(uris.iter().copied(), dns.iter().copied()).iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn rfc5922_7_1_sip_uris_without_a_user_count_before_dns_names() {
        assert_eq!(of(&["SIP:Example.com", "sip:example.org;x=1"], &["dns.example"]), ["example.com", "example.org"]);
        assert_eq!(
            of(&["sip:alice@example.com", "https://example.com", "sips:example.com"], &["DNS.example."]),
            ["dns.example"]
        );
        assert_eq!(of(&[], &[]), [""; 0]);
    }

    #[test]
    fn rfc5922_7_2_a_wildcard_is_no_identity() {
        assert_eq!(of(&["sip:*.example.com"], &["*.example.com", "a.example.com"]), ["a.example.com"]);
        for text in ["*.example.com", "", ".", "a..b", "a b", "a\r\nVia: x", "\"", "sip:example.com", "ex*mple.com"] {
            assert!(text.parse::<Domain>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_beyond_the_bound_prove_nothing() {
        let many: Vec<String> = (0..1000).map(|n| format!("h{n}.example")).collect();
        assert_eq!(identities(std::iter::empty(), many.iter().map(String::as_str)).len(), MAX_IDENTITIES);
        let long: &'static str = "a.".repeat(200).leak();
        assert_eq!(of(&[], &[long]), [""; 0]);
    }
}
