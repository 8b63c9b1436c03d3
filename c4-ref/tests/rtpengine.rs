//! The NG client against rtpengine, over UDP and TCP.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test on real sockets"
)]

mod common;

use c4_ref::ng::bencode::{Dictionary, Limits, Value, parse};
use c4_ref::ng::client::{Client, Config, ConnectionId, Event, To};
use c4_ref::ng::{Command, Flags, Reply, Request};
use common::{Daemon, PATIENCE, free_port, installed};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A client on real sockets, one request at a time.
struct Driver {
    client: Client,
    udp: UdpSocket,
    tcp: Option<(ConnectionId, TcpStream)>,
}

impl Driver {
    fn new(node: &str) -> Driver {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let config = Config { datagram_limit: 8000, ..Config::new(vec![node.parse().unwrap()]) };
        // rtpengine 10.5 keeps replies by cookie alone: two clients must not make the same.
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&udp.local_addr().unwrap().port().to_be_bytes());
        Driver { client: Client::new(config, seed, Instant::now()), udp, tcp: None }
    }

    fn ask(&mut self, request: Request) -> Option<Reply> {
        let pinned = self.client.nodes().next().map(|(id, ..)| id);
        let id = self.client.request(Instant::now(), pinned, request).unwrap();
        loop {
            self.flush();
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Done { id: known, result, .. } if known == id => return result.ok(),
                    Event::Connect { connection, address } => {
                        let stream = TcpStream::connect(address);
                        let result = stream.as_ref().map(|_| ()).map_err(|error| error.kind());
                        self.tcp = stream.ok().map(|stream| (connection, stream));
                        self.client.handle_connect_done(Instant::now(), connection, result);
                    }
                    _ => {}
                }
            }
            self.flush();
            self.receive();
            self.client.handle_timeout(Instant::now());
        }
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            match (transmit.to, &mut self.tcp) {
                (To::Udp(to), _) => _ = self.udp.send_to(&transmit.payload, to),
                (To::Tcp(id), Some((known, stream))) if id == *known => stream.write_all(&transmit.payload).unwrap(),
                _ => {}
            }
        }
    }

    fn receive(&mut self) {
        let mut octets = vec![0; 65_536];
        if let Ok((n, from)) = self.udp.recv_from(&mut octets) {
            let _ = self.client.handle_datagram(Instant::now(), from, octets[..n].to_vec().into());
        }
        let Some((id, stream)) = &mut self.tcp else { return };
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        match stream.read(&mut octets) {
            Ok(0) => {
                self.client.handle_closed(Instant::now(), *id);
                self.tcp = None;
            }
            Ok(n) => _ = self.client.handle_stream(Instant::now(), *id, &octets[..n]),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
        }
    }

    fn ok(&mut self, request: Request) -> Dictionary {
        match self.ask(request) {
            Some(Reply::Ok(dict)) => dict,
            other => panic!("{other:?}"),
        }
    }
}

fn sdp(port: u16, more: &str) -> String {
    format!(
        "v=0\r\no=- {port} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
         a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n{more}"
    )
}

fn request(command: Command, call_id: &str, tags: &[&str]) -> Request {
    let mut request = Request::new(command, call_id);
    request.from_tag = tags.first().copied().unwrap_or_default().to_owned();
    request.to_tag = tags.get(1).map(|tag| (*tag).to_owned());
    request
}

/// The keys of a tree, without those of dictionaries whose keys are names of things.
fn keys(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Dict(dict) => dict.iter().for_each(|(key, value)| {
            let key = if path.ends_with("/tags") { "*" } else { key.as_ref() };
            let path = format!("{path}/{key}");
            if !path.starts_with("/SSRC/") && !path.ends_with("/SSRC") && !path.ends_with("/codec") {
                keys(value, &path, found);
                found.push(path);
            }
        }),
        Value::List(list) => list.iter().for_each(|value| keys(value, path, found)),
        _ => {}
    }
}

fn key_tree(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    keys(value, "", &mut found);
    found.sort();
    found.dedup();
    found
}

fn a_call(driver: &mut Driver, call_id: &str, more: &str) {
    let flags =
        Flags::from_text("replace-origin replace-session-connection ICE=remove trust-address strict-source label=x");
    let mut offer = request(Command::Offer, call_id, &["a"]);
    (offer.sdp, offer.flags) = (sdp(30_000, more).into(), flags.clone());
    offer.received_from = Some([127, 0, 0, 1].into());
    let Some(Value::Octets(out)) = driver.ok(offer).remove("sdp") else { panic!("no SDP") };
    let out = String::from_utf8_lossy(&out).into_owned();
    assert!(out.contains("c=IN IP4 127.0.0.1") && !out.contains("m=audio 30000"), "{out}");
    let mut answer = request(Command::Answer, call_id, &["a", "b"]);
    (answer.sdp, answer.flags) = (sdp(30_002, "").into(), flags);
    let reply = driver.ok(answer);
    assert!(reply.contains_key("sdp"), "{call_id}: {reply:?}");
}

fn through_a_call(node: &str) {
    let mut driver = Driver::new(node);
    let deadline = Instant::now() + PATIENCE;
    while driver.ask(Request::new(Command::Ping, "")) != Some(Reply::Pong) {
        assert!(Instant::now() < deadline, "no pong");
    }
    a_call(&mut driver, "one@c4.test", "");
    let tree = driver.ok(request(Command::Query, "one@c4.test", &[]));
    let known = include_bytes!("data/ng/query.bencode");
    let mut known = parse(known, &Limits::default()).unwrap().dict().unwrap().to_dictionary();
    known.remove("result");
    assert_eq!(key_tree(&Value::Dict(tree)), key_tree(&Value::Dict(known)), "the tree that the test data show");
    let calls = driver.ok(Request::new(Command::List, "")).remove("calls");
    assert_eq!(calls, Some(Value::texts(["one@c4.test"])));
    let mut delete = request(Command::Delete, "one@c4.test", &["a"]);
    delete.flags.delete_delay = Some(Duration::ZERO);
    assert!(driver.ok(delete.clone()).contains_key("totals"));
    assert!(driver.ok(delete.clone()).contains_key("warning"));
    delete.flags.fatal = true;
    let reply = driver.ask(delete);
    assert_eq!(reply, Some(Reply::error("Call-ID not found or tags didn't match")));
    let reply = driver.ask(request(Command::Query, "one@c4.test", &[]));
    assert_eq!(reply, Some(Reply::error("Unknown call-id")));
    let reply = driver.ask(Request::new(Command::Other("frobnicate".into()), ""));
    assert_eq!(reply, Some(Reply::error("Unrecognized command")));
    if node.contains("tcp:") {
        a_call(&mut driver, "two@c4.test", &"a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n".repeat(1600));
    }
    let stats = driver.client.stats();
    assert_eq!(stats.strays, 0, "{stats:?}");
}

#[test]
fn an_ng_client_and_rtpengine() {
    if !installed("rtpengine") {
        return;
    }
    let (udp, tcp) = (free_port(), free_port());
    let (ng, tcp_ng) = (format!("--listen-ng=127.0.0.1:{udp}"), format!("--listen-tcp-ng=127.0.0.1:{tcp}"));
    let fixed = ["--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1"];
    let ours = ["--interface=127.0.0.1", "--port-min=40000", "--port-max=40100", &ng, &tcp_ng];
    let _rtpengine = Daemon::start("rtpengine", &[fixed, ours].concat());
    through_a_call(&format!("udp:127.0.0.1:{udp}"));
    through_a_call(&format!("tcp:127.0.0.1:{tcp}"));
}
