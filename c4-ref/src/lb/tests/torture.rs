//! The torture messages of RFC 4475 and RFC 5118 before the balancer.

use super::*;
use bytes::Bytes;

fn corpus(rfc: &str) -> Vec<(String, Vec<u8>, String, String)> {
    let folder = format!("{}/../sip-core/tests/data/{rfc}", env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(format!("{folder}/expectations.tsv")).unwrap();
    let rows = table.lines().filter(|l| !l.starts_with('#') && !l.starts_with("file\t"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let octets = std::fs::read(format!("{folder}/{}", cells[0])).unwrap();
        let (parse, answer) = if rfc == "rfc4475" { (cells[6], cells[7]) } else { (cells[5], cells[6]) };
        (cells[0].to_owned(), octets, parse.to_owned(), answer.to_owned())
    })
    .collect()
}

/// What becomes of a datagram: `forward`, `drop` or a status.
fn fate(octets: Vec<u8>) -> String {
    let mut rig = Rig::new(&one_proxy());
    let Ok(message) = Message::parse(Bytes::from(octets), &Limits::default()) else { return "drop".into() };
    rig.lb.handle_message(rig.now, outside(ALICE), message);
    let sent = rig.drain();
    assert!(sent.len() <= 1 && rig.connects.is_empty());
    match sent.first() {
        None => "drop".into(),
        Some(s) if s.message.is_request() => {
            assert_eq!(s.to(), PROXY);
            "forward".into()
        }
        Some(s) => {
            assert_eq!(s.flow.remote.ip(), addr(ALICE).ip());
            s.status().code().to_string()
        }
    }
}

/// Whether a fate is one of those that the table allows.
fn allowed(expected: &str, parse: &str, fate: &str) -> bool {
    let words: Vec<&str> = expected.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let normal = words.iter().any(|w| matches!(*w, "normal" | "forward" | "RFC"));
    words.contains(&fate)
        || (fate == "forward" && (normal || parse == "accept" && !expected.starts_with(char::is_numeric)))
}

#[test]
fn rfc4475_answers_are_those_of_a_proxy() {
    let mut seen = 0;
    for (file, octets, parse, expected) in corpus("rfc4475") {
        let fate = fate(octets);
        // A response belongs to no request of ours: a balancer drops every one of them.
        let response = matches!(&*file, "unreason.dat" | "noreason.dat" | "scalarlg.dat" | "bigcode.dat" | "bcast.dat");
        // An in-dialog request without a token of ours has no dialog here.
        let tagged = fate == "404";
        assert!(
            if response { fate == "drop" } else { tagged && parse == "accept" || allowed(&expected, &parse, &fate) },
            "{file}: {fate}, expected {expected}"
        );
        seen += 1;
    }
    assert_eq!(seen, 50);
}

#[test]
fn rfc5118_answers_are_those_of_a_proxy() {
    for (file, octets, parse, expected) in corpus("rfc5118") {
        let fate = fate(octets);
        let response = file.starts_with("via-received-param-no") && fate == "drop";
        assert!(response || allowed(&expected, &parse, &fate) || fate == "404", "{file}: {fate}, expected {expected}");
    }
}

#[test]
fn every_cut_of_every_torture_message_is_survived() {
    for rfc in ["rfc4475", "rfc5118"] {
        for (_, octets, ..) in corpus(rfc) {
            for cut in (0..octets.len()).step_by(7) {
                fate(octets[..cut].to_vec());
            }
        }
    }
}
