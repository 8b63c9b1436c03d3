//! URIs: equality is an equivalence, and the canonical form is one.

use sip_core::uri::Uri;

/// Two URIs, separated by a blank, or one.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let (one, two) = text.split_once(' ').unwrap_or((text, text));
    let (Some(a), Some(b)) = (Uri::parse(one), Uri::parse(two)) else { return };
    for uri in [&a, &b] {
        assert!(uri.equivalent(uri), "a URI equals itself");
        let printed = uri.to_string();
        let again = Uri::parse(&printed).expect("what is printed can be read");
        assert_eq!(again.to_string(), printed, "printing is stable");
        assert!(again.equivalent(uri));
        let aor = uri.aor();
        assert_eq!(Uri::parse(&aor).map(|canonical| canonical.aor()), Some(aor), "the canonical form is one");
    }
    let equal = a.equivalent(&b);
    assert_eq!(equal, b.equivalent(&a), "equality has no direction");
    if equal {
        assert_eq!(a.aor(), b.aor(), "equal URIs are of one address of record");
    }
}
