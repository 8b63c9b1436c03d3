//! What tests on real sockets share: free ports, scratch folders, daemons that are stopped when dropped.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests on real sockets"
)]

pub mod raw;
pub mod sound;

use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Loads of one test binary share the machine with others: generous, and only an upper bound.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder below the system's scratch space that goes away with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static N: AtomicU32 = AtomicU32::new(0);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("c4-{name}-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that is free for UDP and TCP on 127.0.0.1 right now.
pub fn free_port() -> u16 {
    for _ in 0..200 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for UDP and TCP");
}

/// A process of ours, killed when dropped.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    pub fn start(program: &str, args: &[&str]) -> Daemon {
        let child = Command::new(program).args(args).stdin(Stdio::null()).process_group(0).spawn().unwrap();
        Daemon { child }
    }

    /// As `start`, then waits until an OPTIONS to `sip` (a port on 127.0.0.1, UDP) is answered with 200.
    pub fn start_sip(program: &str, args: &[&str], sip: u16) -> Daemon {
        Daemon::start_until(program, args, || answers_options(sip))
    }

    /// As `start`, then waits until an NG `ping` to `ng` (a port on 127.0.0.1, UDP) is answered.
    pub fn start_ng(program: &str, args: &[&str], ng: u16) -> Daemon {
        Daemon::start_until(program, args, || answers_ping(ng))
    }

    fn start_until(program: &str, args: &[&str], ready: impl Fn() -> bool) -> Daemon {
        let mut daemon = Daemon::start(program, args);
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            assert!(daemon.child.try_wait().unwrap().is_none(), "{program} has ended by itself");
            assert!(Instant::now() < deadline, "{program} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// SIGKILL: what a crash leaves behind.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end; its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its number may be another process by now.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // A server that forks (Kamailio) takes its children along only if it is asked to end.
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        // What it has forked and left behind is of its group.
        let group = format!("-{}", self.pid());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// Whether an OPTIONS to 127.0.0.1:`port` is answered with 200 within 300 ms.
pub fn answers_options(port: u16) -> bool {
    static N: AtomicU32 = AtomicU32::new(0);
    let n = N.fetch_add(1, Ordering::Relaxed);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let local = socket.local_addr().unwrap();
    let request = format!(
        "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKready{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:ready@127.0.0.1>;tag={n}\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: ready-{n}-{local}\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    if socket.send_to(request.as_bytes(), ("127.0.0.1", port)).is_err() {
        return false;
    }
    let mut answer = [0u8; 4096];
    matches!(socket.recv(&mut answer), Ok(n) if answer[..n].starts_with(b"SIP/2.0 200"))
}

/// Whether an NG `ping` to 127.0.0.1:`port` is answered within 300 ms.
pub fn answers_ping(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let request = format!("ready-{} d7:command4:pinge", socket.local_addr().unwrap().port());
    let mut answer = [0u8; 512];
    socket.send_to(request.as_bytes(), ("127.0.0.1", port)).is_ok()
        && matches!(socket.recv(&mut answer), Ok(n) if answer[..n].ends_with(b"d6:result4:ponge"))
}

/// Whether a foreign program is here. With `CI=true` a missing one fails the test, else the reason is printed.
pub fn have(program: &str) -> bool {
    let found = installed(program);
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "CI must have {program}");
    found
}

/// Whether a foreign program is here that CI may lack; it is printed either way.
pub fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    println!(
        "{}",
        if found { format!("ran: {program} is installed") } else { format!("skipped: {program} is not installed") }
    );
    found
}
