//! Equality of SIP URIs (RFC 3261 §19.1.4).

use super::escape::{is_unreserved, octets};
use super::{Scheme, Uri};

pub(super) fn equivalent(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    if !(a.scheme.is_sip() && b.scheme.is_sip()) {
        return same_scheme(a, b) && a.aor() == b.aor() && params(a, b);
    }
    a.scheme == b.scheme
        && same_option(a.user, b.user, true)
        && same_option(a.password, b.password, true)
        && a.host.equivalent(&b.host)
        && a.port == b.port
        && params(a, b)
        && headers(a, b)
}

fn same_scheme(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    match (a.scheme, b.scheme) {
        (Scheme::Other(a), Scheme::Other(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

/// An escaped character equals its plain form, unless it is reserved.
fn same(a: &str, b: &str, case: bool) -> bool {
    let canonical = |(octet, escaped): (u8, bool)| {
        let octet = if case { octet } else { octet.to_ascii_lowercase() };
        (octet, escaped && !is_unreserved(octet))
    };
    octets(a).map(canonical).eq(octets(b).map(canonical))
}

fn same_option(a: Option<&str>, b: Option<&str>, case: bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, case),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Parameters that never match when only one URI has them.
const SINGLE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn params(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let covered = |one: &Uri<'_>, other: &Uri<'_>| {
        // A name may stand once (§19.1.1); of one that stands again only the first counts, here as everywhere.
        one.params().all(|(name, _)| match other.param(name) {
            Some(found) => same_option(one.param(name).flatten(), found, false),
            None => !SINGLE.iter().any(|s| s.eq_ignore_ascii_case(name)),
        })
    };
    covered(a, b) && covered(b, a)
}

fn headers(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let covered = |one: &Uri<'_>, other: &Uri<'_>| {
        one.headers()
            .all(|(name, value)| other.headers().any(|(n, v)| same(name, n, false) && same_option(value, v, false)))
    };
    a.headers().count() == b.headers().count() && covered(a, b) && covered(b, a)
}
