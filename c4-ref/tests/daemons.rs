//! The binaries on real sockets: crashes, lost connections, garbage.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests on real sockets"
)]

mod common;

use common::raw::Phone;
use common::{Daemon, Scratch, free_port};
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

/// Load balancer and proxy, started one by one and restartable; nobody is challenged.
struct House {
    scratch: Scratch,
    lb: u16,
    internal: u16,
    proxy: u16,
}

impl House {
    fn new(name: &str) -> House {
        House { scratch: Scratch::new(name), lb: free_port(), internal: free_port(), proxy: free_port() }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    fn start_lb(&self) -> Daemon {
        let (lb, internal, proxy) = (self.lb, self.internal, self.proxy);
        let settings = [
            format!("admin.listen=unix:{}", self.path("lb.ctl")),
            format!("lb.listen+=udp:127.0.0.1:{lb}"),
            format!("lb.listen+=tcp:127.0.0.1:{lb}"),
            format!("lb.internal+=udp:127.0.0.1:{internal}"),
            format!("lb.backends+=127.0.0.1:{proxy}"),
            "lb.probe.interval-ms=0".into(),
            "lb.workers=1".into(),
            format!("lb.token-keys={}", self.path("lb.keys")),
        ];
        start(env!("CARGO_BIN_EXE_c4-lb"), &settings, lb)
    }

    fn start_proxy(&self) -> Daemon {
        let proxy = self.proxy;
        let settings = [
            format!("admin.listen=unix:{}", self.path("proxy.ctl")),
            format!("proxy.listen+=udp:127.0.0.1:{proxy}"),
            "proxy.trusted+=127.0.0.1".into(),
            "proxy.domains+=c4.test".into(),
            "proxy.domains+=127.0.0.1".into(),
            "proxy.realm=c4.test".into(),
            "proxy.auth.register=false".into(),
            "proxy.auth.invite=false".into(),
            "proxy.workers=1".into(),
            format!("proxy.store.file={}", self.path("c4.redb")),
            format!("proxy.nonce-keys={}", self.path("proxy.keys")),
            format!("proxy.cdr={}", self.path("cdr.jsonl")),
        ];
        start(env!("CARGO_BIN_EXE_c4-proxy"), &settings, proxy)
    }

    /// One number of `c4 stats` from the daemon behind the control socket `ctl`.
    fn stat(&self, ctl: &str, name: &str) -> i64 {
        let out = Command::new(env!("CARGO_BIN_EXE_c4")).args(["stats", "--socket", &self.path(ctl)]).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{text}{}", String::from_utf8_lossy(&out.stderr)));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn cdr(&self) -> String {
        std::fs::read_to_string(self.path("cdr.jsonl")).unwrap_or_default()
    }
}

fn start(program: &str, settings: &[String], port: u16) -> Daemon {
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
    Daemon::start_sip(program, &args, port)
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + common::PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn kill_9_of_the_lb_in_mid_call_bye_still_arrives_over_udp() {
    let house = House::new("kill-lb");
    let _proxy = house.start_proxy();
    let lb = house.start_lb();
    let mut alice = Phone::udp("alice", "127.0.0.1", house.lb);
    let mut bob = Phone::udp("bob", "127.0.0.1", house.lb);
    bob.register();
    let (_, ok) = alice.call(&mut bob);
    lb.kill();
    let _lb = house.start_lb();
    let bye = alice.in_dialog("BYE", &ok, 2);
    alice.send(&bye);
    let received = bob.expect("BYE ");
    bob.answer(&received, "200 OK");
    alice.expect("SIP/2.0 200");
    wait_until("the CDR is written", || house.cdr().contains("\"alice"));
}

#[test]
fn kill_9_of_the_proxy_keeps_registrations_and_recovers_the_call_record() {
    let house = House::new("kill-proxy");
    let proxy = house.start_proxy();
    let _lb = house.start_lb();
    let mut alice = Phone::udp("alice", "127.0.0.1", house.lb);
    let mut bob = Phone::udp("bob", "127.0.0.1", house.lb);
    bob.register();
    alice.call(&mut bob);
    // Every 200 older than 200 ms survives: twice that, for a crowded machine.
    std::thread::sleep(Duration::from_millis(400));
    proxy.kill();
    let _proxy = house.start_proxy();
    assert_eq!(house.stat("proxy.ctl", "contacts"), 1, "the registration is there after the crash");
    wait_until("the crash yields a recovered record", || house.cdr().contains("recovered"));
    let mut carol = Phone::udp("carol", "127.0.0.1", house.lb);
    carol.call(&mut bob);
}

#[test]
fn rfc5626_5_3_tcp_connection_loss_in_mid_call_ends_the_callees_bye_with_430() {
    let house = House::new("tcp-loss");
    let _proxy = house.start_proxy();
    let _lb = house.start_lb();
    let mut alice = Phone::tcp("alice", house.lb);
    let mut bob = Phone::udp("bob", "127.0.0.1", house.lb);
    bob.register();
    let (invite, _) = alice.call(&mut bob);
    drop(alice);
    // The balancer sees the end of the connection before the BYE is sent.
    std::thread::sleep(Duration::from_millis(200));
    let bye = bob.in_dialog_callee("BYE", &invite, 1);
    bob.send(&bye);
    bob.expect("SIP/2.0 430");
    wait_until("the call is over for the proxy", || house.stat("proxy.ctl", "dialogs") == 0);
}

#[test]
fn a_tcp_call_goes_both_ways_and_ends_from_the_callee() {
    let house = House::new("tcp-call");
    let _proxy = house.start_proxy();
    let _lb = house.start_lb();
    let mut alice = Phone::tcp("alice", house.lb);
    let mut bob = Phone::tcp("bob", house.lb);
    bob.register();
    let (invite, _) = alice.call(&mut bob);
    let bye = bob.in_dialog_callee("BYE", &invite, 1);
    bob.send(&bye);
    let received = alice.expect("BYE ");
    alice.answer(&received, "200 OK");
    bob.expect("SIP/2.0 200");
    wait_until("no dialog is left", || house.stat("proxy.ctl", "dialogs") == 0);
}

#[test]
fn forked_call_the_first_answer_wins_and_the_others_are_cancelled() {
    let house = House::new("fork");
    let _proxy = house.start_proxy();
    let _lb = house.start_lb();
    let mut alice = Phone::udp("alice", "127.0.0.1", house.lb);
    let mut desk = Phone::udp("bob", "127.0.0.1", house.lb);
    let mut mobile = Phone::udp("bob", "127.0.0.1", house.lb);
    desk.register();
    mobile.register();
    let invite = alice.request("INVITE", "sip:bob@c4.test", "sip:bob@c4.test", 1, "");
    alice.send(&invite);
    let at_desk = desk.expect("INVITE ");
    let at_mobile = mobile.expect("INVITE ");
    desk.answer(&at_desk, "180 Ringing");
    mobile.answer(&at_mobile, "200 OK");
    alice.expect("SIP/2.0 200");
    let cancel = desk.expect("CANCEL ");
    desk.answer(&cancel, "200 OK");
    desk.answer(&at_desk, "487 Request Terminated");
    desk.expect("ACK ");
}

#[test]
fn garbage_into_every_port_and_the_house_serves_on() {
    let house = House::new("garbage");
    let _proxy = house.start_proxy();
    let _lb = house.start_lb();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut octets = |n: usize| -> Vec<u8> {
        let next = |s: &mut u64| {
            *s ^= *s << 13;
            *s ^= *s >> 7;
            *s ^= *s << 17;
            *s as u8
        };
        (0..n).map(|_| next(&mut state)).collect()
    };
    for round in 0..200 {
        for port in [house.lb, house.internal, house.proxy] {
            udp.send_to(&octets(round * 7), ("127.0.0.1", port)).unwrap();
        }
        if let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", house.lb)) {
            let _ = tcp.write_all(&octets(300));
        }
        for ctl in ["lb.ctl", "proxy.ctl"] {
            if let Ok(mut admin) = std::os::unix::net::UnixStream::connect(house.path(ctl)) {
                let _ = admin.write_all(&octets(200));
            }
        }
    }
    let mut alice = Phone::udp("alice", "127.0.0.1", house.lb);
    let mut bob = Phone::udp("bob", "127.0.0.1", house.lb);
    bob.register();
    alice.call(&mut bob);
    assert_eq!(house.stat("proxy.ctl", "dialogs"), 1);
}

/// The status of the answer to a MESSAGE for a user.
fn status_of_message(phone: &mut Phone, user: &str, cseq: u32) -> String {
    let uri = format!("sip:{user}@c4.test");
    let message = phone.request("MESSAGE", &uri, &uri, cseq, "");
    phone.send(&message);
    let line = format!("CSeq: {cseq} MESSAGE");
    let answer = phone.wait(common::PATIENCE, |answer| answer.contains(&line)).unwrap();
    answer[8..11].to_owned()
}

fn reload(ctl: &str) -> Result<serde_json::Value, String> {
    c4_ref::io::admin::ask_socket(std::path::Path::new(ctl), "reload", &serde_json::Value::Null)
}

#[test]
fn reload_takes_over_users_peers_and_switches_and_names_what_needs_a_restart() {
    let scratch = Scratch::new("reload-toml");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let (port, trunk) = (free_port(), UdpSocket::bind("127.0.0.1:0").unwrap());
    trunk.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let file = path("c4.toml");
    let write = |workers: usize, rest: &str| {
        let text = format!(
            "[admin]\nlisten = \"unix:{}\"\n[proxy]\nlisten = [\"udp:127.0.0.1:{port}\"]\n\
             domains = [\"c4.test\"]\nworkers = {workers}\nstore.file = \"\"\ncdr = \"\"\n\
             nonce-keys = \"{}\"\n{rest}",
            path("proxy.ctl"),
            path("proxy.keys")
        );
        std::fs::write(&file, text).unwrap();
    };
    let reload = || reload(&path("proxy.ctl"));
    write(2, "auth.invite = false\n");
    let _proxy = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-proxy"), &["-c", &file], port);
    let mut phone = Phone::udp("alice", "127.0.0.1", port);
    let mut cseq = 0;
    let mut status = |user: &str| {
        cseq += 1;
        status_of_message(&mut phone, user, cseq)
    };
    assert_eq!(status("dave"), "404");

    let user = "[[proxy.user]]\nname = \"dave\"\nha1-md5 = \"00000000000000000000000000000000\"\n";
    write(4, &format!("auth.invite = false\n{user}"));
    let answer = reload().unwrap();
    assert_eq!(answer, serde_json::json!({ "changed": ["proxy.user"], "restart": ["proxy.workers"] }));
    wait_until_status(&mut status, "dave", "480", "a user of the file is known");

    // Whatever is wrong, nothing changes: neither what comes before the mistake nor what comes after it.
    for (rest, wrong) in [
        ("auth.invite = true\nauth.register = maybe\n", ":11: "),
        ("auth.invite = true\n[[proxy.user]]\nname = \"eve\"\nha1-md5 = \"x\"\n", ":13: proxy.user.ha1-md5: "),
        ("auth.invite = true\nauth.algorithms = []\n", ":11: proxy.auth.algorithms "),
        ("auth.invite = true\nusers-csv = \"/nonexistent/users.csv\"\n", "proxy.users-csv /nonexistent/users.csv: "),
    ] {
        write(2, rest);
        let why = reload().unwrap_err();
        assert!(why.contains(wrong), "{why}");
        assert!(why.contains(&file) || why.contains("users.csv"), "{why}");
        assert_eq!((status("dave"), status("eve")), ("480".into(), "404".into()), "{why}");
    }

    let peer = format!(
        "[[proxy.peer]]\nname = \"carrier\"\ntarget = \"udp:{}\"\nprefixes = [\"9\"]\n",
        trunk.local_addr().unwrap()
    );
    write(2, &format!("auth.invite = false\n{peer}"));
    let answer = reload().unwrap();
    assert_eq!(answer, serde_json::json!({ "changed": ["proxy.peer", "proxy.user"], "restart": [] }));
    wait_until_status(&mut status, "dave", "404", "a user that is gone from the file is gone");
    let invite = phone.request("INVITE", "sip:900@c4.test", "sip:900@c4.test", 1000, "");
    phone.send(&invite);
    let mut buffer = [0; 4096];
    let length = trunk.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"INVITE "), "a trunk of the file is called");

    write(2, &format!("auth.invite = true\n{peer}"));
    assert_eq!(reload().unwrap(), serde_json::json!({ "changed": ["proxy.auth.invite"], "restart": [] }));
    let mut other = Phone::udp("bob", "127.0.0.1", port);
    let mut cseq = 0;
    let mut status = |user: &str| {
        cseq += 1;
        status_of_message(&mut other, user, cseq)
    };
    wait_until_status(&mut status, "dave", "407", "everybody is challenged");
}

/// Workers hear of a reload after its answer.
fn wait_until_status(status: &mut impl FnMut(&str) -> String, user: &str, wanted: &str, what: &str) {
    let deadline = Instant::now() + common::PATIENCE;
    loop {
        let status = status(user);
        if status == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sighup_and_reload_read_the_users_again_and_a_broken_file_changes_nothing() {
    let scratch = Scratch::new("reload");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let users = path("users.csv");
    std::fs::write(&users, "alice;c4.test;x\n").unwrap();
    let port = free_port();
    let settings = [
        format!("admin.listen=unix:{}", path("proxy.ctl")),
        format!("proxy.listen+=udp:127.0.0.1:{port}"),
        "proxy.domains+=c4.test".into(),
        "proxy.realm=c4.test".into(),
        "proxy.auth.invite=false".into(),
        "proxy.workers=2".into(),
        format!("proxy.users-csv={users}"),
        "proxy.store.file=".into(),
        format!("proxy.nonce-keys={}", path("proxy.keys")),
        "proxy.cdr=".into(),
    ];
    let proxy = start(env!("CARGO_BIN_EXE_c4-proxy"), &settings, port);
    let mut phone = Phone::udp("alice", "127.0.0.1", port);
    let mut cseq = 0;
    let mut status = |user: &str| {
        cseq += 1;
        status_of_message(&mut phone, user, cseq)
    };
    assert_eq!((status("alice"), status("dave")), ("480".into(), "404".into()), "a user without a phone, and nobody");
    std::fs::write(&users, "alice;c4.test;x\ndave;c4.test;y\n").unwrap();
    assert!(Command::new("kill").args(["-HUP", &proxy.pid().to_string()]).status().unwrap().success());
    let deadline = Instant::now() + common::PATIENCE;
    while status("dave") != "480" {
        assert!(Instant::now() < deadline, "SIGHUP reads the file again");
        std::thread::sleep(Duration::from_millis(50));
    }
    let reload = || reload(&path("proxy.ctl"));
    std::fs::write(&users, "alice,c4.test,x\n").unwrap();
    let broken = reload().unwrap_err();
    assert!(broken.contains("proxy.users-csv") && broken.contains(&users) && broken.contains("line 1"), "{broken}");
    assert_eq!((status("alice"), status("dave")), ("480".into(), "480".into()), "the old users stay");
    std::fs::write(&users, "alice;c4.test;x\n").unwrap();
    assert_eq!(reload(), Ok(serde_json::json!({ "changed": [], "restart": [] })), "no setting, only a file's content");
    let deadline = Instant::now() + common::PATIENCE;
    while status("dave") != "404" {
        assert!(Instant::now() < deadline, "so does the admin method");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn stats_tell_the_live_heap_and_what_else_the_process_uses() {
    let house = House::new("process");
    let _proxy = house.start_proxy();
    let _lb = house.start_lb();
    for ctl in ["proxy.ctl", "lb.ctl"] {
        assert!(house.stat(ctl, "process.heap-bytes") > 10_000, "{ctl}");
        assert!(house.stat(ctl, "process.rss-bytes") > house.stat(ctl, "process.heap-bytes"), "{ctl}");
        assert!(house.stat(ctl, "process.threads") >= 2 && house.stat(ctl, "process.fds") >= 5, "{ctl}");
    }
}

#[test]
fn reload_takes_over_the_backends_of_the_balancer() {
    let scratch = Scratch::new("reload-lb");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let (port, internal) = (free_port(), free_port());
    let backend = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        socket
    };
    let (old, new) = (backend(), backend());
    let file = path("c4.toml");
    let write = |backend: &UdpSocket, workers: usize| {
        let text = format!(
            "[admin]\nlisten = \"unix:{}\"\n[lb]\nlisten = [\"udp:127.0.0.1:{port}\"]\n\
             internal = [\"udp:127.0.0.1:{internal}\"]\nprobe.interval-ms = 0\nworkers = {workers}\n\
             token-keys = \"{}\"\nbackends = [\"{}\"]\n",
            path("lb.ctl"),
            path("lb.keys"),
            backend.local_addr().unwrap()
        );
        std::fs::write(&file, text).unwrap();
    };
    write(&old, 1);
    let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &["-c", &file], port);
    let mut phone = Phone::udp("alice", "127.0.0.1", port);
    let mut cseq = 0;
    let mut arrives = |at: &UdpSocket| {
        cseq += 1;
        let message = phone.request("MESSAGE", "sip:bob@c4.test", "sip:bob@c4.test", cseq, "");
        // A call of its own each time: those under way stay with their proxy.
        phone.send(&message.replace("Call-ID: ", &format!("Call-ID: {cseq}-")));
        at.recv(&mut [0; 4096]).is_ok()
    };
    assert!(arrives(&old));
    write(&new, 2);
    let answer = reload(&path("lb.ctl")).unwrap();
    assert_eq!(answer, serde_json::json!({ "changed": ["lb.backends"], "restart": ["lb.workers"] }));
    let deadline = Instant::now() + common::PATIENCE;
    while !arrives(&new) {
        assert!(Instant::now() < deadline, "the new backend is called");
    }
}

#[test]
fn over_a_reload_calls_stay_with_their_proxy_and_new_ones_follow_backends_peers_and_aliases() {
    let (house, other) = (House::new("reload-calls"), House::new("reload-other"));
    let (first, second) = (house.start_proxy(), other.start_proxy());
    let write = |backend: u16, more: &str| write_lb(&house, backend, more);
    write(house.proxy, "");
    let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &["-c", &house.path("lb.toml")], house.lb);
    let mut alice = Phone::udp("alice", "127.0.0.1", house.lb);
    let mut bob = Phone::udp("bob", "127.0.0.1", house.lb);
    bob.register();
    let (invite, ok) = alice.call(&mut bob);
    let alias = |phone: &mut Phone, cseq| {
        let ping = phone.request("OPTIONS", "sip:sip.example.net", "sip:sip.example.net", cseq, "");
        phone.send(&ping);
        phone.wait(common::PATIENCE, |answer| answer.contains(&format!("CSeq: {cseq} OPTIONS"))).unwrap()[8..11]
            .to_owned()
    };
    assert_ne!(alias(&mut alice, 1), "200", "it is not ours yet");

    write(other.proxy, "peers = [\"127.0.0.1\"]\naliases = [\"sip.example.net\"]\n");
    let answer = reload(&house.path("lb.ctl")).unwrap();
    let changed = serde_json::json!(["lb.aliases", "lb.backends", "lb.peers"]);
    assert_eq!(answer, serde_json::json!({ "changed": changed, "restart": [] }));
    // The worker hears of it after its answer: the alias tells when.
    let deadline = Instant::now() + common::PATIENCE;
    for cseq in 2.. {
        if alias(&mut alice, cseq) == "200" {
            break;
        }
        assert!(Instant::now() < deadline, "the alias is ours");
    }

    // The call under way: both ways through the proxy that has it.
    let again = alice.in_dialog("INFO", &ok, 3);
    alice.send(&again);
    let info = bob.expect("INFO ");
    bob.answer(&info, "200 OK");
    alice.expect("SIP/2.0 200");
    assert_eq!((house.stat("proxy.ctl", "dialogs"), other.stat("proxy.ctl", "dialogs")), (1, 0));
    let bye = bob.in_dialog_callee("BYE", &invite, 1);
    bob.send(&bye);
    let bye = alice.expect("BYE ");
    alice.answer(&bye, "200 OK");
    bob.expect("SIP/2.0 200");
    wait_until("its proxy has no call left", || house.stat("proxy.ctl", "dialogs") == 0);

    // A new one: the other proxy's, which does not know bob before he registers there.
    let mut carol = Phone::udp("carol", "127.0.0.1", house.lb);
    let call = carol.request("INVITE", "sip:bob@c4.test", "sip:bob@c4.test", 1, "");
    carol.send(&call);
    carol.expect("SIP/2.0 404");
    let register = bob.request("REGISTER", "sip:c4.test", "sip:bob@c4.test", 2, "Expires: 600\r\n");
    bob.send(&register);
    bob.expect("SIP/2.0 200");
    assert_eq!(other.stat("proxy.ctl", "contacts"), 1);
    // With the old proxy gone too.
    drop(first);
    let mut dave = Phone::udp("dave", "127.0.0.1", house.lb);
    dave.call(&mut bob);
    assert_eq!(other.stat("proxy.ctl", "dialogs"), 1);
    drop(second);
}

/// The balancer's configuration.
fn write_lb(house: &House, backend: u16, more: &str) {
    let text = format!(
        "[admin]\nlisten = \"unix:{}\"\n[lb]\nlisten = [\"udp:127.0.0.1:{}\"]\ninternal = [\"udp:127.0.0.1:{}\"]\n\
         probe.interval-ms = 0\nworkers = 1\ntoken-keys = \"{}\"\nbackends = [\"127.0.0.1:{backend}\"]\n{more}",
        house.path("lb.ctl"),
        house.lb,
        house.internal,
        house.path("lb.keys"),
    );
    std::fs::write(house.path("lb.toml"), text).unwrap();
}

#[test]
fn rfc3325_5_over_a_reload_a_peer_may_assert_and_no_longer() {
    let house = House::new("reload-peers");
    let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
    backend.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let port = backend.local_addr().unwrap().port();
    write_lb(&house, port, "");
    let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &["-c", &house.path("lb.toml")], house.lb);
    let mut phone = Phone::udp("carol", "127.0.0.1", house.lb);
    let mut asserted = |cseq: u32| {
        let more = "P-Asserted-Identity: <tel:+49>\r\n";
        let call = phone.request("MESSAGE", "sip:bob@c4.test", "sip:bob@c4.test", cseq, more);
        phone.send(&call);
        let mut buffer = [0; 4096];
        let length = backend.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).contains("P-Asserted-Identity")
    };
    assert!(!asserted(1));
    for (more, wanted, first) in [("peers = [\"127.0.0.1\"]\n", true, 2), ("", false, 1000)] {
        write_lb(&house, port, more);
        reload(&house.path("lb.ctl")).unwrap();
        let deadline = Instant::now() + common::PATIENCE;
        let heard = (first..).map(&mut asserted).any(|passed| passed == wanted || Instant::now() > deadline);
        assert!(heard && Instant::now() < deadline, "{more:?}");
    }
}
