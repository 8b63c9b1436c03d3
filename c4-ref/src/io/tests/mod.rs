//! Tests on real sockets of the loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of the tests")]

mod admin;
mod echo;
mod streams;
mod tls;
mod udp;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip_core::flow::{Flow, Transport};

use self::echo::{Echo, Heard};
use super::{Options, Outputs, Server, Sockets};
use crate::admin::Command;

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(10);

/// An empty folder of this test's own.
pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("c4-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Whether `true_now` becomes true within ten seconds.
pub(super) fn eventually(mut true_now: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        if true_now() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

/// A running echo server.
struct Rig {
    server: Option<Server>,
    heard: Receiver<Heard>,
}

impl Rig {
    fn start(listeners: &[&str], workers: usize, change: impl FnOnce(&mut Options)) -> Rig {
        let listeners: Vec<_> = listeners.iter().map(|l| l.parse().unwrap()).collect();
        Rig::start_on(Sockets::bind(&listeners, workers).unwrap(), workers, change)
    }

    fn start_on(sockets: Sockets, workers: usize, change: impl FnOnce(&mut Options)) -> Rig {
        let (sender, heard) = channel();
        let mut options = Options::new("echo");
        change(&mut options);
        let server = Server::start(sockets, Echo::all(workers, &sender), &options, &Outputs::default()).unwrap();
        Rig { server: Some(server), heard }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        self.server().handle().address(transport).unwrap()
    }

    /// What the machine hears next.
    fn hear(&self) -> Heard {
        self.heard.recv_timeout(SOON).unwrap()
    }

    fn hear_message(&self) -> (usize, Flow) {
        match self.hear() {
            Heard::Message(worker, flow, _) => (worker, flow),
            other => panic!("{other:?}"),
        }
    }

    fn command(&self, method: &str, params: Value) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let command = Command { method: method.into(), params };
        runtime.block_on(self.server().handle().command(command)).unwrap().unwrap()
    }

    fn stat(&self, name: &str) -> u64 {
        self.command("stats", Value::Null)[name].as_u64().unwrap()
    }

    /// Makes the first machine ask for a connection, and gives the answer that it hears.
    fn connect(&self, params: Value) -> Result<Flow, ErrorKind> {
        self.command("backend.list", params);
        match self.hear() {
            Heard::Connected(_, result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Makes the first machine send.
    fn send(&self, flow: Flow, payload: &str, times: u64) {
        let params = json!({
            "transport": flow.transport.as_str(),
            "local": flow.local.to_string(),
            "remote": flow.remote.to_string(),
            "connection": flow.connection.map(|id| id.0),
            "payload": payload,
            "times": times,
        });
        self.command("ul.list", params);
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address(Transport::Tcp)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        let ended = server.stop();
        assert!(ended || std::thread::panicking());
    }
}

/// A request with this Call-ID and Request-URI user.
fn options(user: &str, call_id: &str) -> String {
    options_with(user, call_id, "")
}

fn options_with(user: &str, call_id: &str, extra: &str) -> String {
    format!(
        "OPTIONS sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{call_id}\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n{extra}\
         Content-Length: 0\r\n\r\n"
    )
}

/// Reads up to the end of a message head.
fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut octet) {
            Ok(1) => head.push(octet[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Sends a request and reads the answer.
fn exchange(stream: &mut (impl Read + Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    read_head(stream)
}

/// Whether the peer closes the stream, whatever comes before.
fn closes(stream: &mut impl Read) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof),
        }
    }
}
