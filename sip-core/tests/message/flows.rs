//! The messages of the call flows of RFC 3665: all valid, all written as they were read.

use c4_sip_core::header::{Challenge, Contact, Credentials, Header, Route, Via};
use c4_sip_core::{Checked, Limits, Message};
use std::path::Path;

#[test]
fn rfc3665_every_message_parses_checks_and_writes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rfc3665");
    let index = std::fs::read_to_string(data.join("index.tsv")).expect("index");
    let files = index.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(|line| line.split('\t').next());
    let mut count = 0;
    for file in files {
        let octets = std::fs::read(data.join(file)).expect("message");
        let message = Message::parse(octets.clone().into(), &Limits::default()).expect("readable");
        assert_eq!(message.to_bytes(), octets, "{file}");
        assert!(message.typed_all::<Via<'_>>().all(|via| via.is_ok_and(|via| via.has_magic_cookie())), "{file}");
        assert!(message.typed_all::<Route<'_>>().all(|route| route.is_ok_and(|r| r.parsed_uri().is_some())), "{file}");
        assert!(message.typed_all::<Contact<'_>>().all(|contact| contact.is_ok()), "{file}");
        for name in [Header::WwwAuthenticate, Header::ProxyAuthenticate] {
            assert!(message.headers(name).all(|value| Challenge::parse(value).is_some_and(|c| c.realm().is_some())));
        }
        // 2.1 F3 lacks a comma in the RFC's print: it must not read as other parameters than it has.
        for name in [Header::Authorization, Header::ProxyAuthorization] {
            let malformed = file == "2.1-F03-03.sip";
            assert!(message.headers(name).all(|value| Credentials::parse(value).is_none() == malformed), "{file}");
        }
        match message.check() {
            Ok(Checked::Request(request)) => assert!(request.from_tag().is_some(), "{file}"),
            Ok(Checked::Response(response)) => assert!(response.status().code() >= 100, "{file}"),
            Err(defect) => panic!("{file}: {defect}"),
        }
        count += 1;
    }
    assert_eq!(count, 178);
}
