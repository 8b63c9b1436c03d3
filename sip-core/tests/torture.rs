//! The torture messages of RFC 4475 and RFC 5118, against what the RFCs expect of a proxy.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests stop the test")]

use c4_sip_core::message::ParseError;
use c4_sip_core::sanity::{self, Checks};
use c4_sip_core::{Checked, Limits, Message};
use std::path::{Path, PathBuf};

/// What we do with a datagram.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Goes on to be routed.
    Accepted,
    /// Answered with this status.
    Answered(u16),
    /// No answer.
    Dropped,
}

fn data(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(set)
}

/// Rows of `expectations.tsv` as maps from column name to text.
fn rows(set: &str) -> Vec<Vec<(String, String)>> {
    let table = std::fs::read_to_string(data(set).join("expectations.tsv")).expect("expectations");
    let mut lines = table.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<&str> = lines.next().expect("columns").split('\t').collect();
    lines.map(|line| columns.iter().map(|c| c.to_string()).zip(line.split('\t').map(str::to_owned)).collect()).collect()
}

fn column<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    row.iter().find(|(column, _)| column == name).map_or("", |(_, text)| text)
}

fn octets(set: &str, file: &str) -> Vec<u8> {
    std::fs::read(data(set).join(file)).expect("message")
}

/// A proxy: read, check, sanity.
fn outcome(octets: &[u8]) -> Outcome {
    let message = match Message::parse(octets.to_vec().into(), &Limits::default()) {
        Err(ParseError::KeepAlive) => panic!("no message here is a keepalive"),
        Err(_) => return Outcome::Dropped,
        Ok(message) => message,
    };
    match message.check() {
        Err(defect) => {
            let answer = defect.answer().map(|(status, _)| status.code());
            assert_eq!(defect.response().map(|r| r.status().expect("a response").code()), answer);
            answer.map_or(Outcome::Dropped, Outcome::Answered)
        }
        Ok(Checked::Response(_)) => Outcome::Accepted,
        Ok(Checked::Request(request)) => match sanity::check(&request, Checks::DEFAULT, &[]) {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Answered(refusal.status.code()),
        },
    }
}

/// Whether an outcome is what the role's column says: "400", "416 or 404", "400, or forward ...", "normal", "drop".
fn allowed(expected: &str, parse: &str, outcome: &Outcome) -> bool {
    let expected = expected.split(" (second").next().unwrap_or(expected);
    match outcome {
        Outcome::Answered(code) => expected.contains(&code.to_string()),
        Outcome::Dropped => expected.contains("drop"),
        Outcome::Accepted => {
            parse != "reject"
                && ["normal", "forward", "matching", "process", "drop"].iter().any(|word| expected.contains(word))
        }
    }
}

#[test]
fn rfc4475_every_message_has_its_outcome() {
    let mut seen = 0;
    for row in rows("rfc4475") {
        let file = column(&row, "file");
        let outcome = outcome(&octets("rfc4475", file));
        let (parse, proxy) = (column(&row, "parse"), column(&row, "proxy"));
        assert!(allowed(proxy, parse, &outcome), "{file}: {outcome:?}, expected {proxy}");
        seen += 1;
    }
    assert_eq!(seen, 50);
}

#[test]
fn rfc5118_every_message_has_its_outcome() {
    let mut seen = 0;
    for row in rows("rfc5118") {
        let file = column(&row, "file");
        let outcome = outcome(&octets("rfc5118", file));
        let (parse, answer) = (column(&row, "parse"), column(&row, "answer"));
        assert!(allowed(answer, parse, &outcome), "{file}: {outcome:?}, expected {answer}");
        seen += 1;
    }
    assert_eq!(seen, 15);
}

#[test]
fn valid_messages_are_written_byte_for_byte() {
    for set in ["rfc4475", "rfc5118"] {
        for row in rows(set) {
            if column(&row, "parse") != "accept" {
                continue;
            }
            let file = column(&row, "file");
            let octets = octets(set, file);
            let message = Message::parse(octets.clone().into(), &Limits::default()).expect("valid");
            let written = message.to_bytes();
            assert!(octets.starts_with(&written), "{file}");
            let surplus = octets.len() - written.len();
            let cut = file == "dblreq.dat" || column(&row, "note").contains("surplus octets");
            assert_eq!(surplus > 0, cut, "{file}: only what Content-Length excludes is left out");
        }
    }
}

#[test]
fn valid_requests_are_forwarded_unchanged_but_for_what_a_proxy_changes() {
    const VIA: &str = "SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKtest";
    for set in ["rfc4475", "rfc5118"] {
        for row in rows(set) {
            let octets = octets(set, column(&row, "file"));
            let parsed = Message::parse(octets.into(), &Limits::default());
            let Some(Checked::Request(mut request)) = parsed.ok().and_then(|m| m.check().ok()) else { continue };
            let before = request.to_bytes();
            request.push_via(VIA).expect("clean");
            if request.max_forwards().is_some() {
                request.set_max_forwards(69);
            }
            let after = request.to_bytes();
            let (before, after) = (lines(&before), lines(&after));
            let added = after.iter().filter(|line| **line == format!("Via: {VIA}\r\n").as_bytes()).count();
            assert_eq!(added, 1);
            let kept = |line: &&Vec<u8>| {
                !line.to_ascii_lowercase().starts_with(b"max-forwards") && !line.ends_with(b"z9hG4bKtest\r\n")
            };
            assert!(before.iter().filter(kept).eq(after.iter().filter(kept)), "{}", column(&row, "file"));
        }
    }
}

/// The octets cut after each LF.
fn lines(octets: &[u8]) -> Vec<Vec<u8>> {
    octets.split_inclusive(|c| *c == b'\n').map(<[u8]>::to_vec).collect()
}
