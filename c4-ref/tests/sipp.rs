//! Calls of a foreign user agent (SIPp) through the load balancer and the proxy.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test on real sockets"
)]

mod common;

use common::{Daemon, Scratch, free_port, have};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The load balancer on 127.0.0.1:lb before the proxy on 127.0.0.1:proxy, with two users and two trunks.
struct House {
    scratch: Scratch,
    lb: u16,
    _lb: Daemon,
    _proxy: Daemon,
}

impl House {
    fn start(name: &str, trunk_out: u16) -> House {
        let scratch = Scratch::new(name);
        let (lb, internal, proxy) = (free_port(), free_port(), free_port());
        let dir = scratch.path().display();
        scratch.file("users.csv", "alice;c4.test;apass\nbob;c4.test;bpass\n");
        let config = scratch.file(
            "c4.toml",
            &format!(
                r#"
[admin]
listen = "unix:{dir}/{{name}}.ctl"
[lb]
listen = ["udp:127.0.0.1:{lb}", "tcp:127.0.0.1:{lb}"]
internal = ["udp:127.0.0.1:{internal}"]
backends = ["127.0.0.1:{proxy}"]
workers = 1
probe = {{ interval-ms = 0 }}
token-keys = "{dir}/lb.keys"
[proxy]
listen = ["udp:127.0.0.1:{proxy}"]
workers = 1
domains = ["c4.test", "127.0.0.1"]
realm = "c4.test"
trusted = ["127.0.0.1"]
users-csv = "{dir}/users.csv"
auth = {{ algorithms = ["md5"] }}
store = {{ file = "{dir}/c4.redb" }}
nonce-keys = "{dir}/proxy.keys"
cdr = "{dir}/cdr.jsonl"
[[proxy.peer]]
name = "carrier-in"
sources = ["127.0.0.2"]
[[proxy.peer]]
name = "carrier-out"
sources = ["127.0.0.3"]
target = "udp:127.0.0.3:{trunk_out}"
prefixes = ["49"]
"#
            ),
        );
        let config = config.to_str().unwrap();
        let _proxy = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-proxy"), &["-c", config], proxy);
        let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &["-c", config], lb);
        House { scratch, lb, _lb, _proxy }
    }

    /// A SIPp that plays `scenario` once; `to` is the load balancer for callers, nothing for callees.
    fn sipp(&self, scenario: &str, from: &str, port: u16, transport: &str, caller: &str, callee: &str) -> Sipp {
        self.play(scenario, (from, port), transport, (caller, callee, "c4.test"))
    }

    /// As `sipp`, with the domain of both.
    fn play(
        &self,
        scenario: &str,
        (from, port): (&str, u16),
        transport: &str,
        (caller, callee, domain): (&str, &str, &str),
    ) -> Sipp {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sipp/{scenario}.xml"));
        let target = if scenario.starts_with("uas_") { None } else { Some(format!("127.0.0.1:{}", self.lb)) };
        let child = Command::new("sipp")
            .args(target)
            .arg("-sf")
            .arg(file)
            .args([
                "-i",
                from,
                "-p",
                &port.to_string(),
                "-t",
                transport,
                "-m",
                "1",
                "-timeout",
                "25",
                "-nostdin",
                "-trace_err",
            ])
            .args(["-key", "caller", caller, "-key", "callee", callee, "-key", "domain", domain])
            .args(["-au", caller, "-ap", &format!("{}pass", &caller[..1]), "-d", "50"])
            .args([
                "-auth_uri",
                &if scenario == "register" { "c4.test".to_owned() } else { format!("{callee}@c4.test") },
            ])
            .current_dir(self.scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sipp {
            child,
            what: format!("{scenario} {caller} to {callee} over {transport}"),
            dir: self.scratch.path().into(),
        }
    }

    /// From the port on which the user is called later: requests go to the flow that registered.
    fn register(&self, user: &str, port: u16) {
        self.sipp("register", "127.0.0.1", port, "u1", user, user).ok();
    }

    fn cdrs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.scratch.path().join("cdr.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

struct Sipp {
    child: Child,
    what: String,
    dir: std::path::PathBuf,
}

impl Sipp {
    /// Waits for the end; every message of the scenario must have come as written.
    fn ok(mut self) {
        let status = self.child.wait().unwrap();
        if !status.success() {
            for entry in std::fs::read_dir(&self.dir).unwrap().flatten() {
                if entry.file_name().to_string_lossy().ends_with("_errors.log") {
                    eprintln!("{}", std::fs::read_to_string(entry.path()).unwrap_or_default());
                }
            }
            panic!("sipp: {} ended with {status}", self.what);
        }
    }
}

#[test]
fn sipp_registers_with_digest_and_calls_both_ways() {
    if !have("sipp") {
        return;
    }
    let house = House::start("sipp-call", free_port());
    let (alice, bob) = (free_port(), free_port());
    house.register("alice", alice);
    house.register("bob", bob);
    for transport in ["u1", "t1"] {
        let callee = house.sipp("uas_call", "127.0.0.1", bob, "u1", "bob", "bob");
        house.sipp("uac_auth_call", "127.0.0.1", free_port(), transport, "alice", "bob").ok();
        callee.ok();
    }
    let callee = house.sipp("uas_call", "127.0.0.1", alice, "u1", "alice", "alice");
    house.sipp("uac_auth_call", "127.0.0.1", free_port(), "u1", "bob", "alice").ok();
    callee.ok();
    common_wait(|| house.cdrs().iter().filter(|line| line.contains("\"answer")).count() == 3);
}

#[test]
fn sipp_cancels_a_ringing_call() {
    if !have("sipp") {
        return;
    }
    let house = House::start("sipp-cancel", free_port());
    let bob = free_port();
    house.register("bob", bob);
    let callee = house.sipp("uas_cancel", "127.0.0.1", bob, "u1", "bob", "bob");
    house.sipp("uac_cancel", "127.0.0.1", free_port(), "u1", "alice", "bob").ok();
    callee.ok();
}

#[test]
fn sipp_trunk_calls_both_ways_and_strangers_are_refused() {
    if !have("sipp") {
        return;
    }
    let trunk = free_port();
    let house = House::start("sipp-trunk", trunk);
    let bob = free_port();
    house.register("bob", bob);
    // In: the carrier's address needs no credentials.
    let callee = house.sipp("uas_call", "127.0.0.1", bob, "u1", "bob", "bob");
    house.sipp("uac_call", "127.0.0.2", free_port(), "u1", "4930123", "bob").ok();
    callee.ok();
    // Out: an authenticated user reaches the carrier by prefix.
    let carrier = house.sipp("uas_call", "127.0.0.3", trunk, "u1", "carrier", "carrier");
    house.sipp("uac_auth_call", "127.0.0.1", free_port(), "u1", "bob", "4930456").ok();
    carrier.ok();
    // A stranger with a foreign From is refused.
    house.play("uac_refused", ("127.0.0.9", free_port()), "u1", ("mallory", "bob", "evil.test")).ok();
}

/// Waits until `done`, at most `PATIENCE`.
fn common_wait(done: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + common::PATIENCE;
    while !done() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
