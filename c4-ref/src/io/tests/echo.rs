//! A machine that answers every request with 200 on its flow and tells the test what it hears.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use sip_core::flow::{ConnectionId, Flow, Target, Transport};
use sip_core::message::Message;

use crate::admin::{Answer, Command};
use crate::identity::Identities;
use crate::machine::{Datagram, Event, Machine, Transmit};

/// What the machine of a worker heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Message(usize, Flow, Bytes),
    Connected(u32, Result<Flow, io::ErrorKind>),
    Failed(u32, io::ErrorKind),
    Identified(usize, Flow, Vec<String>),
    Closed(usize, Flow),
    Stopped(usize),
}

pub(super) struct Echo {
    pub(super) worker: usize,
    workers: usize,
    heard: Sender<Heard>,
    transmits: VecDeque<Transmit<u32>>,
    events: VecDeque<Event<u32>>,
    datagrams: VecDeque<Datagram>,
    messages: u64,
    next: u32,
    /// Records that it writes when it stops.
    pub(super) last_words: usize,
}

impl Echo {
    pub(super) fn all(workers: usize, heard: &Sender<Heard>) -> Vec<Echo> {
        let echo = |worker| Echo {
            worker,
            workers,
            heard: heard.clone(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            datagrams: VecDeque::new(),
            messages: 0,
            next: 0,
            last_words: 0,
        };
        (0..workers).map(echo).collect()
    }

    fn tell(&self, heard: Heard) {
        let _ = self.heard.send(heard);
    }

    fn send(&mut self, flow: Flow, payload: Bytes, close: bool) {
        self.next += 1;
        self.transmits.push_back(Transmit { id: self.next, flow, payload, close });
    }
}

/// A flow from a command: `{"transport", "local", "remote", "connection"}`.
fn flow(params: &serde_json::Value) -> Flow {
    let text = |key: &str| params[key].as_str().unwrap();
    Flow {
        transport: Transport::from_name(text("transport")).unwrap(),
        local: text("local").parse().unwrap(),
        remote: text("remote").parse().unwrap(),
        connection: params["connection"].as_u64().map(ConnectionId),
    }
}

impl Machine for Echo {
    type ConnectId = u32;
    type TransmitId = u32;

    /// A request to `sip:workerN@...` is for worker N.
    fn shard(&self, _: &Flow, message: &Message) -> Option<usize> {
        let user = message.request_uri()?.strip_prefix("sip:worker")?;
        user.split('@').next()?.parse().ok().filter(|&n| n < self.workers)
    }

    fn handle_message(&mut self, _: Instant, flow: Flow, message: Message) {
        self.messages += 1;
        self.tell(Heard::Message(self.worker, flow, message.to_bytes()));
        if message.is_request() {
            let mut answer = b"SIP/2.0 200 OK\r\n".to_vec();
            for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
                let value = message.header(name).unwrap_or_default();
                answer.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
            answer.extend(b"Content-Length: 0\r\n\r\n");
            let close = message.header("Subject") == Some(b"close");
            self.send(flow, answer.into(), close);
        }
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_transmit(&mut self) -> Option<Transmit<u32>> {
        self.transmits.pop_front()
    }

    /// What comes to one plain socket goes back from the next.
    fn handle_datagram(&mut self, _: Instant, socket: usize, from: SocketAddr, payload: Bytes) {
        self.datagrams.push_back(Datagram { socket: socket + 1, to: from, payload });
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event<u32>> {
        self.events.pop_front()
    }

    fn handle_connect_done(&mut self, _: Instant, id: u32, result: Result<Flow, io::ErrorKind>) {
        self.tell(Heard::Connected(id, result));
    }

    fn handle_transmit_failed(&mut self, _: Instant, id: u32, kind: io::ErrorKind) {
        self.tell(Heard::Failed(id, kind));
    }

    fn handle_flow_identified(&mut self, _: Instant, flow: Flow, identities: &Identities) {
        self.tell(Heard::Identified(self.worker, flow, identities.iter().map(|name| name.to_string()).collect()));
    }

    fn handle_flow_closed(&mut self, _: Instant, flow: Flow) {
        self.tell(Heard::Closed(self.worker, flow));
    }

    /// `stats` counts; `backend.list` connects, `ul.list` sends: the tests' way into the machine.
    fn handle_command(&mut self, _: Instant, command: &Command) -> Option<Answer> {
        let params = &command.params;
        match command.method.as_str() {
            "stats" => return Some(Ok(json!({ "messages": self.messages }))),
            "backend.list" => self.events.push_back(Event::Connect {
                id: params["id"].as_u64().unwrap() as u32,
                target: Target {
                    transport: Transport::from_name(params["transport"].as_str().unwrap()).unwrap(),
                    remote: params["remote"].as_str().unwrap().parse().unwrap(),
                    local: params["local"].as_str().map(|local| local.parse().unwrap()),
                    tls_name: params["name"].as_str().map(Into::into),
                },
            }),
            "ul.list" => {
                let payload = Bytes::from(params["payload"].as_str().unwrap().to_owned());
                for _ in 0..params["times"].as_u64().unwrap_or(1) {
                    self.send(flow(params), payload.clone(), false);
                }
            }
            _ => return None,
        }
        Some(Ok(json!(true)))
    }

    fn handle_stop(&mut self, _: Instant) {
        self.events.extend((0..self.last_words).map(|n| Event::Cdr(format!("{n}\n"))));
        self.tell(Heard::Stopped(self.worker));
    }
}
