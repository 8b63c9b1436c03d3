//! RFC 4475 and RFC 5118 messages against the running binaries, inside a network namespace with only `lo`: the messages name
//! foreign hosts, and nothing must leave the machine.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test on real sockets"
)]

mod common;

use common::{Daemon, Scratch, answers_options, free_port};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// One row of an expectations file: the datagram and what a proxy does with it.
struct Row {
    name: String,
    datagram: Vec<u8>,
    parse: String,
    proxy: String,
}

fn rows(folder: &str) -> Vec<Row> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-core/tests/data").join(folder);
    let table = std::fs::read_to_string(dir.join("expectations.tsv")).unwrap();
    let mut lines = table.lines().filter(|line| !line.starts_with('#'));
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| head.iter().position(|column| *column == name);
    let (file, parse, proxy) =
        (column("file").unwrap(), column("parse").unwrap(), column("proxy").or(column("answer")));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        Row {
            name: cells[file].into(),
            datagram: std::fs::read(dir.join(cells[file])).unwrap(),
            parse: cells[parse].into(),
            proxy: proxy.map_or(String::new(), |column| cells[column].into()),
        }
    };
    lines.map(row).collect()
}

/// Runs `test` of this binary again inside a namespace of its own; whether this process is the one inside.
fn inside_namespace(test: &str) -> bool {
    if std::env::var_os("C4_INSIDE_NAMESPACE").is_some() {
        return true;
    }
    let probe = Command::new("unshare").args(["-n", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: no right to make a network namespace");
        return false;
    }
    let exe = std::env::current_exe().unwrap();
    let script = format!("ip link set lo up && exec '{}' --exact {test} --nocapture", exe.display());
    let status =
        Command::new("unshare").args(["-n", "sh", "-c", &script]).env("C4_INSIDE_NAMESPACE", "1").status().unwrap();
    assert!(status.success(), "{test} failed inside the namespace");
    println!("ran: {test} inside a network namespace");
    false
}

/// The code of the final answer to `datagram`, sent over UDP. Many of these messages have no rport, and their answers go to the
/// port of the topmost Via (RFC 3261 §18.2.2): every port that the text names is listened to.
fn answer_udp(port: u16, datagram: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(datagram);
    let named = text
        .split(':')
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok());
    let ports = named.filter(|port| *port >= 1024).chain([5060, 5061, 0]).collect::<std::collections::BTreeSet<u16>>();
    let sockets: Vec<UdpSocket> = ports.iter().filter_map(|port| UdpSocket::bind(("127.0.0.1", *port)).ok()).collect();
    sockets.first()?.send_to(datagram, ("127.0.0.1", port)).unwrap();
    let mut answer = [0u8; 65536];
    let deadline = Instant::now() + Duration::from_millis(150);
    while Instant::now() < deadline {
        for socket in &sockets {
            socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
            let Ok(n) = socket.recv(&mut answer) else { continue };
            match String::from_utf8_lossy(&answer[..n]).get(8..11).and_then(|code| code.parse().ok()) {
                Some(100) | None => {}
                code => return code,
            }
        }
    }
    None
}

/// What came back to `datagram` on a connection of its own: the status codes, and whether it was closed.
fn answers_tcp(port: u16, datagram: &[u8], patient: bool) -> (Vec<u16>, bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Longer than the message timeout set below: a message whose Content-Length is too large ends in a close.
    stream.set_read_timeout(Some(Duration::from_millis(if patient { 3000 } else { 150 }))).unwrap();
    let _ = stream.write_all(datagram);
    let mut all = Vec::new();
    let mut chunk = [0u8; 65536];
    let closed = loop {
        match stream.read(&mut chunk) {
            Ok(0) => break true,
            Ok(n) => {
                all.extend_from_slice(&chunk[..n]);
                stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
            }
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let text = String::from_utf8_lossy(&all);
    let codes = text
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("SIP/2.0 "))
        .filter_map(|rest| rest.get(..3)?.parse().ok());
    (codes.collect(), closed)
}

/// Whether `code` is what the expectations file says. Prose is read for the codes it names; `normal`, `forward` and the like
/// allow what any request of that kind gets from a server that does not know the domain.
fn fits(expected: &str, code: Option<u16>) -> bool {
    match code {
        Some(code) => {
            expected.contains(&code.to_string())
                || (["normal", "forward", "matching"].iter().any(|word| expected.contains(word))
                    && [200, 401, 403, 404, 407, 480, 481, 483, 484].contains(&code))
        }
        // Forwarded to nowhere: there is no backend, and the domains are foreign.
        None => ["normal", "forward", "matching", "drop"].iter().any(|word| expected.contains(word)),
    }
}

fn check(port: u16) {
    let mut wrong = Vec::new();
    for folder in ["rfc4475", "rfc5118"] {
        let rows = rows(folder);
        for row in &rows {
            let code = answer_udp(port, &row.datagram);
            if !row.proxy.is_empty() && !fits(&row.proxy, code) {
                wrong.push(format!("{folder}/{}: expected {}, got {code:?} over UDP", row.name, row.proxy));
            }
            let (codes, closed) = answers_tcp(port, &row.datagram, row.parse == "reject");
            // dblreq has Content-Length 0: over a stream what follows is a message of its own.
            let most = if row.name == "dblreq.dat" { 2 } else { 1 };
            if codes.iter().filter(|code| **code != 100).count() > most {
                wrong.push(format!("{folder}/{}: {codes:?} over TCP: a second message out of the first", row.name));
            }
            if row.parse == "reject" && codes.is_empty() && !closed && !row.proxy.contains("drop") {
                wrong.push(format!("{folder}/{}: rejected, but neither an answer nor a close over TCP", row.name));
            }
        }
        assert!(answers_options(port), "alive after {folder}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rfc4475_and_rfc5118_messages_to_the_lb() {
    if !inside_namespace("rfc4475_and_rfc5118_messages_to_the_lb") {
        return;
    }
    let scratch = Scratch::new("torture-lb");
    let (port, internal) = (free_port(), free_port());
    let settings = [
        format!("admin.listen=unix:{}/lb.ctl", scratch.path().display()),
        format!("lb.listen+=udp:127.0.0.1:{port}"),
        format!("lb.listen+=tcp:127.0.0.1:{port}"),
        format!("lb.internal+=udp:127.0.0.1:{internal}"),
        format!("lb.backends+=127.0.0.1:{}", free_port()),
        "lb.probe.interval-ms=0".into(),
        "lb.message-timeout-ms=500".into(),
        "lb.workers=1".into(),
        format!("lb.token-keys={}/lb.keys", scratch.path().display()),
    ];
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
    let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &args, port);
    check(port);
}

#[test]
fn rfc4475_and_rfc5118_messages_to_the_proxy() {
    if !inside_namespace("rfc4475_and_rfc5118_messages_to_the_proxy") {
        return;
    }
    let scratch = Scratch::new("torture-proxy");
    let port = free_port();
    let dir = scratch.path().display();
    let settings = [
        format!("admin.listen=unix:{dir}/proxy.ctl"),
        format!("proxy.listen+=udp:127.0.0.1:{port}"),
        format!("proxy.listen+=tcp:127.0.0.1:{port}"),
        "proxy.domains+=c4.test".into(),
        "proxy.realm=c4.test".into(),
        "proxy.message-timeout-ms=500".into(),
        "proxy.workers=1".into(),
        format!("proxy.store.file={dir}/c4.redb"),
        format!("proxy.nonce-keys={dir}/proxy.keys"),
        format!("proxy.cdr={dir}/cdr.jsonl"),
    ];
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
    let _proxy = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-proxy"), &args, port);
    check(port);
}
