//! `c4 ladder` as a program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::raw::Phone;
use common::{Daemon, Scratch, free_port};

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
        (&[&data("call-udp.pcap"), "--call-id", "x"], "no message has the Call-ID x"),
    ] {
        let output = ladder(args);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{line}");
        assert!(output.stdout.is_empty() && line.lines().count() == 1 && line.contains(why), "{line}");
    }
}

/// Load balancer and proxy in one process that keeps so many messages; its admin socket.
fn up(scratch: &Scratch, trace: usize) -> (Daemon, u16, String) {
    let [lb, internal, proxy] = [free_port(), free_port(), free_port()];
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let config = format!(
        "[admin]\nlisten = \"unix:{}\"\ntrace = {trace}\n[lb]\nlisten = [\"udp:127.0.0.1:{lb}\"]\n\
         internal = [\"udp:127.0.0.1:{internal}\"]\nbackends = [\"127.0.0.1:{proxy}\"]\nprobe.interval-ms = 0\n\
         token-keys = \"{}\"\n[proxy]\nlisten = [\"udp:127.0.0.1:{proxy}\"]\ntrusted = [\"127.0.0.1\"]\n\
         domains = [\"c4.test\"]\nauth = {{ register = false, invite = false }}\nkeepalive.interval-s = 0\n\
         store.file = \"\"\nnonce-keys = \"{}\"\ncdr = \"\"\n",
        path("c4.ctl"),
        path("lb.keys"),
        path("proxy.keys"),
    );
    let file = scratch.file("c4.toml", &config);
    let args = ["up", "-c", file.to_str().unwrap()];
    (Daemon::start_sip(env!("CARGO_BIN_EXE_c4"), &args, lb), lb, path("c4.ctl"))
}

#[test]
fn a_running_house_tells_its_last_calls() {
    let scratch = Scratch::new("ladder");
    let (daemon, lb, socket) = up(&scratch, 200);
    let (mut alice, mut bob) = (Phone::udp("alice", "127.0.0.1", lb), Phone::udp("bob", "127.0.0.1", lb));
    bob.register();
    alice.call(&mut bob);
    let output = ladder(&["--live", "--socket", &socket]);
    let text = String::from_utf8(output.stdout).unwrap();
    // Each message once, though two roles saw it.
    let arrows = |label: &str| text.lines().filter(|line| line.contains(&format!("-{label}-"))).count();
    assert_eq!((arrows("INVITE"), arrows("200 OK (INVITE)")), (4, 4), "{text}");
    assert!(text.contains(" c4-lb ") && text.contains(" c4-proxy") && text.contains("\n1 of "), "{text}");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_house_that_keeps_nothing_says_so() {
    let scratch = Scratch::new("ladder");
    let (_daemon, _, socket) = up(&scratch, 0);
    let output = ladder(&["--live", "--socket", &socket]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && line.contains("set admin.trace to a number of messages"), "{line}");
}
