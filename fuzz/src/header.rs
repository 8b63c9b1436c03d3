//! Typed headers: what is read can be written, and reads the same then.

use sip_core::header::{
    CSeq, Challenge, Contact, Credentials, Expires, From, MaxForwards, NameAddr, Reason, RetryAfter, TypedHeader,
    Values, Via, option_tag,
};

/// `T` borrows from what it parses, so the text that is written is read by a type of another lifetime.
macro_rules! round_trip {
    ($value:expr, $($header:ident)*) => {$(
        if let Ok(parsed) = $header::parse($value) {
            let mut written = Vec::new();
            parsed.write(&mut written);
            let again = $header::parse(&written);
            let again = again.unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&written)));
            let mut twice = Vec::new();
            again.write(&mut twice);
            assert_eq!(twice, written, "writing is stable");
        }
    )*};
}

/// Any header value.
pub fn run(value: &[u8]) {
    // A received value holds CR and LF only in folds; other ones never reach a typed header.
    for value in Values::new(value) {
        round_trip!(value, Via From Contact CSeq MaxForwards Expires RetryAfter Reason);
        _ = option_tag(value);
        if let Some(address) = NameAddr::parse(value) {
            _ = (address.display_name(), address.parsed_uri(), address.tag());
            assert_eq!(address.tag(), address.params.value("tag"), "found on the way or looked up: the same");
        }
    }
    if let Some(challenge) = Challenge::parse(value) {
        _ = (challenge.realm(), challenge.qop(), challenge.stale());
    }
    if let Some(credentials) = Credentials::parse(value) {
        _ = (credentials.username(), credentials.nc(), credentials.params.iter().count());
    }
}
