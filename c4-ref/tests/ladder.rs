//! `c4 ladder` as a program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn ladder(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_c4")).arg("ladder").args(args).output().unwrap()
}

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ladder").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_capture_is_printed_as_it_was_and_from_standard_input_too() {
    let expected = std::fs::read_to_string(data("call-udp.txt")).unwrap();
    let output = ladder(&[&data("call-udp.pcap")]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let file = std::fs::File::open(data("call-udp.pcap")).unwrap();
    let mut piped = Command::new(env!("CARGO_BIN_EXE_c4"));
    let output = piped.args(["ladder", "-"]).stdin(Stdio::from(file)).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn what_cannot_be_read_ends_with_one_line() {
    for (args, why) in [
        (&[&data("call-udp.txt")[..]][..], "call-udp.txt: no capture file: neither pcap nor pcapng"),
        (&[&data("no-such-file")], "No such file or directory"),
        (&[&data("call-udp.pcap"), "--call-id", "x"], "call-udp.pcap: no message has the Call-ID x"),
    ] {
        let output = ladder(args);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{line}");
        assert!(output.stdout.is_empty() && line.lines().count() == 1 && line.contains(why), "{line}");
    }
}
