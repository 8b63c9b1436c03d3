//! `c4 demo` as a program.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashSet;
use std::process::{Command, Output};

use serde_json::Value;

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_c4")).arg("demo").args(args).output().unwrap()
}

/// The lines of a phone's messages of one direction, without what varies: a busy machine makes retransmissions and 100s.
fn lines(call: &Value, phone: &str, direction: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let messages = call["phones"][phone][direction].as_array().unwrap();
    let lines = messages.iter().filter(|message| seen.insert(message["message"].as_str().unwrap())).map(|message| {
        let line = message["line"].as_str().unwrap();
        line.strip_prefix("SIP/2.0 ").unwrap_or_else(|| line.split(' ').next().unwrap()).to_owned()
    });
    lines.filter(|line| line != "100 Trying").collect()
}

#[test]
fn two_calls_over_every_transport_and_all_agrees() {
    for transport in ["udp", "tcp", "tls"] {
        let output = demo(&["--json", "--transport", transport]);
        assert!(output.status.success(), "{transport}: {}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["registrations"]["alice"]["algorithm"], "SHA-256");
        assert_eq!(report["registrations"]["bob"]["algorithm"], "MD5");
        let [first, second] = report["calls"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
        assert_eq!(lines(first, "alice", "sent"), ["INVITE", "ACK", "INVITE", "ACK", "BYE"]);
        assert_eq!(
            lines(first, "alice", "received"),
            ["407 Proxy Authentication Required", "180 Ringing", "200 OK", "200 OK"]
        );
        assert_eq!(lines(second, "bob", "sent"), ["180 Ringing", "200 OK", "BYE"]);
        assert_eq!(lines(second, "bob", "received"), ["INVITE", "ACK", "200 OK"]);
        for (call, released_by) in [(first, "caller"), (second, "callee")] {
            assert_eq!(call["cdr"]["released_by"], released_by);
            for (phone, other, hz) in [("alice", "bob", 600), ("bob", "alice", 450)] {
                let [own, its] = [phone, other].map(|phone| &call["phones"][phone]["sound"]);
                assert_eq!((&own["packets_received"], &own["lost"]), (&its["packets_sent"], &Value::from(0)));
                assert!(own["packets_sent"].as_u64().unwrap() >= 35 && own["mos"].as_f64().unwrap() > 4.0, "{own:#}");
                assert_eq!((&own["tone"]["hz"], &own["tone"]["found"]), (&Value::from(hz), &Value::from(true)));
                assert!(own["rtcp"]["sent"].as_u64().unwrap() >= 2, "{own:#}");
                // Both spoke to the relay, and not to each other.
                let tag = &call["cdr"][if phone == "alice" { "from_tag" } else { "to_tag" }];
                let socket = &call["relay"]["tags"][tag.as_str().unwrap()]["medias"][0]["streams"][0];
                assert_eq!(own["remote"], format!("127.0.0.1:{}", socket["local port"]));
                assert_eq!(socket["stats"]["packets"], own["packets_sent"]);
            }
            let total = &call["relay"]["totals"]["RTP"]["packets"];
            let sent = |phone: &str| call["phones"][phone]["sound"]["packets_sent"].as_u64().unwrap();
            assert_eq!(*total, sent("alice") + sent("bob"));
            assert_eq!((&call["cdr"]["call_id"], &call["cdr"]["status"]), (&call["call_id"], &Value::from(200)));
        }
    }
}

#[test]
fn the_terminal_shows_two_ladders_and_two_records() {
    let output = demo(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("alice              c4-lb              c4-proxy           bob").count(), 2, "{text}");
    assert!(text.matches("-BYE-").count() >= 8, "{text}");
    assert_eq!(text.matches("\nRecord: {\"id\"").count(), 2, "{text}");
    assert_eq!((text.matches("\nalice   PCMU").count(), text.matches("\nbob     PCMU").count()), (2, 2), "{text}");
}

#[test]
fn what_is_broken_on_purpose_is_noticed() {
    let cases = [
        ("auth", "alice could not register: 401"),
        ("route", "alice could not call bob@demo.example: 4"),
        ("relay", "alice could not call bob@demo.example: 503 Service Unavailable"),
        ("audio", "call 1: alice does not hear bob's tone of 600 Hz: 0 of "),
    ];
    for (what, why) in cases {
        let output = demo(&["--break", what]);
        assert!(!output.status.success(), "--break {what}");
        assert!(output.stdout.is_empty());
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(line.starts_with("c4: demo: ") && line.contains(why) && line.lines().count() == 1, "{line}");
    }
}
