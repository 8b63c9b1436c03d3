//! The binaries as an operator meets them: exit codes, one line on stderr, answers, an orderly end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real processes"
)]

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LB: &str = env!("CARGO_BIN_EXE_c4-lb");
const RELAY: &str = env!("CARGO_BIN_EXE_c4-relay");
const PROXY: &str = env!("CARGO_BIN_EXE_c4-proxy");
const C4: &str = env!("CARGO_BIN_EXE_c4");
const SOON: Duration = Duration::from_secs(20);

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("c4-bin-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

/// Exit code and the one line on stderr.
fn failure(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code().unwrap(), text.trim_end().to_owned())
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A running program; killed when the test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Starts it in `dir` and waits until it answers OPTIONS.
    fn start(program: &str, dir: &Path, args: &[&str], address: SocketAddr) -> Program {
        let child = Command::new(program).args(args).current_dir(dir).stderr(Stdio::null()).spawn().unwrap();
        let program = Program(child);
        let until = Instant::now() + SOON;
        while !answers(address) {
            assert!(Instant::now() < until, "it does not answer");
        }
        program
    }

    /// Sends SIGTERM; its exit code.
    fn terminate(mut self) -> Option<i32> {
        let killed = run("kill", &["-TERM", &self.0.id().to_string()]);
        assert!(killed.status.success());
        self.0.wait().unwrap().code()
    }
}

/// Whether an OPTIONS to the program itself is answered with 200.
fn answers(address: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let us = socket.local_addr().unwrap();
    let request = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {us};rport;branch=z9hG4bK{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@{us}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: {port}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n",
        port = us.port()
    );
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.send_to(request.as_bytes(), address).unwrap();
    let mut buffer = [0; 2048];
    socket.recv_from(&mut buffer).is_ok() && buffer.starts_with(b"SIP/2.0 200")
}

#[test]
fn help_fits_a_screen_and_version_is_one_line() {
    for program in [LB, PROXY, RELAY, C4] {
        let help = run(program, &["--help"]);
        assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().lines().count() <= 24);
        let version = run(program, &["--version"]);
        assert_eq!(String::from_utf8(version.stdout).unwrap().lines().count(), 1);
    }
}

#[test]
fn failures_are_one_line_and_a_code_of_sysexits() {
    let dir = scratch("failures");
    let file = dir.join("c4.toml");
    std::fs::write(&file, "[lb]\nlisten = [\"udp:127.0.0.1:5060\"]\nhash = \"rr\"\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, line) = failure(&run(LB, &["-c", file]));
    assert_eq!(
        (code, line),
        (78, format!("c4-lb: {file}:3: lb.hash: unknown value `rr`; accepted: `call-id` or `aor`"))
    );
    assert_eq!(failure(&run(LB, &["--no-such"])).0, 64);
    assert_eq!(failure(&run(LB, &["-s", "lb.workers"])).0, 64);
    assert_eq!(failure(&run(C4, &["stats", "--socket", "/nonexistent/c4.ctl"])).0, 70);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("lb.listen+=udp:{}", taken.local_addr().unwrap());
    let keys = format!("lb.token-keys={}", dir.join("lb.keys").display());
    let (code, line) = failure(&run(LB, &["-s", &listen, "-s", &keys, "-s", "lb.backends+=127.0.0.1:1"]));
    assert_eq!(code, 71, "{line}");
    assert!(line.contains("cannot listen on UDP"), "{line}");
}

#[test]
fn the_printed_configuration_is_one_that_can_be_read() {
    let dir = scratch("print");
    let printed = run(LB, &["-s", "lb.listen+=udp:127.0.0.1:5060", "-s", "lb.workers=3", "--print-config"]);
    let file = dir.join("c4.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = run(LB, &["-c", file.to_str().unwrap(), "--print-config"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), String::from_utf8(printed.stdout).unwrap());
    let check = run(LB, &["-c", file.to_str().unwrap(), "--check"]);
    assert!(check.status.success() && String::from_utf8(check.stdout).unwrap().ends_with("ok\n"));
}

#[test]
fn the_load_balancer_answers_is_asked_and_ends_in_order() {
    let (dir, address) = (scratch("lb"), free_port());
    let listen = format!("lb.listen+=udp:{address}");
    let args = ["-s", &listen, "-s", "lb.backends+=127.0.0.1:9", "-s", "lb.probe.interval-ms=0", "-s", "lb.workers=2"];
    let lb = Program::start(LB, &dir, &args, address);
    let socket = dir.join("c4-lb.ctl");
    let ask = |args: &[&str]| {
        let output = Command::new(C4).args(args).arg("--socket").arg(&socket).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(ask(&["stats"]).lines().any(|line| line.starts_with("io_udp_rx ")));
    assert!(ask(&["stats", "connections"]).starts_with("connections 0"));
    assert!(ask(&["backend", "list"]).contains("127.0.0.1:9"));
    // From the folder of the program, its socket is found without being named.
    let found = Command::new(C4).arg("stats").current_dir(&dir).output().unwrap();
    assert!(found.status.success());
    assert_eq!(ask(&["reload"]), "c4-lb reloaded\n");
    assert_eq!(lb.terminate(), Some(0));
    assert!(!socket.exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.join("lb.keys")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_proxy_and_the_whole_house_answer_and_end_in_order() {
    let (dir, address) = (scratch("proxy"), free_port());
    let listen = format!("proxy.listen+=udp:{address}");
    let args = ["-s", &listen, "-s", "proxy.domains+=example.com", "-s", "proxy.workers=2"];
    let proxy = Program::start(PROXY, &dir, &args, address);
    let list = Command::new(C4).args(["ul", "list"]).current_dir(&dir).output().unwrap();
    assert!(list.status.success() && list.stdout == b"total 0\n", "{list:?}");
    assert_eq!(proxy.terminate(), Some(0));
    for file in ["c4.redb", "cdr.jsonl", "proxy.keys"] {
        assert!(dir.join(file).exists(), "{file}");
    }
    let lb_address = free_port();
    let (lb_listen, backend) = (format!("lb.listen+=udp:{lb_address}"), format!("lb.backends+={address}"));
    // A port of the relay is not asked for in words of SIP.
    let ng = format!("relay.ng+=udp:{}", free_port());
    let relay = ["-s", &ng, "-s", "relay.interfaces+=127.0.0.1"];
    let all = [&["up"], &args[..], &["-s", &lb_listen, "-s", &backend], &relay].concat();
    let house = Program::start(C4, &dir, &all, lb_address);
    assert!(answers(address));
    let stop = Command::new(C4).args(["stats"]).current_dir(&dir).output().unwrap();
    let stats = String::from_utf8(stop.stdout).unwrap();
    for name in ["io_udp_rx", "relay.calls", "ng.requests"] {
        assert!(stats.contains(name), "{name}");
    }
    assert_eq!(house.terminate(), Some(0));
}

#[test]
fn reload_tells_what_each_program_took_and_what_waits_for_a_restart() {
    let (dir, lb_address, proxy_address) = (scratch("reload"), free_port(), free_port());
    let file = dir.join("c4.toml");
    let write = |more_lb: &str, more_proxy: &str| {
        let text = format!(
            "[lb]\nlisten = [\"udp:{lb_address}\"]\nbackends = [\"{proxy_address}\"]\nprobe.interval-ms = 0\n{more_lb}\
             [proxy]\nlisten = [\"udp:{proxy_address}\"]\ndomains = [\"example.com\"]\n{more_proxy}"
        );
        std::fs::write(&file, text).unwrap();
    };
    let reload = || Command::new(C4).args(["reload", "-c", "c4.toml"]).current_dir(&dir).output().unwrap();
    write("", "");
    assert_eq!(failure(&reload()).0, 70, "nobody runs");
    let args = ["-c", "c4.toml"];
    let (lb, proxy) = (Program::start(LB, &dir, &args, lb_address), Program::start(PROXY, &dir, &args, proxy_address));
    // What a killed program leaves behind is no program.
    drop(std::os::unix::net::UnixListener::bind(dir.join("c4.ctl")).unwrap());
    write("workers = 7\naliases = [\"sip.example.com\"]\n", "auth.invite = false\n");
    let output = reload();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "c4-lb reloaded\nc4-lb changed lb.aliases\nc4-lb needs-restart lb.workers\n\
         c4-proxy reloaded\nc4-proxy changed proxy.auth.invite\n"
    );
    write("workers = 7\nhash = \"rr\"\n", "");
    let (code, line) = failure(&reload());
    assert_eq!(code, 78, "{line}");
    assert!(line.starts_with("c4: c4.toml:6: lb.hash: unknown value `rr`"), "{line}");
    assert_eq!((lb.terminate(), proxy.terminate()), (Some(0), Some(0)));
}
