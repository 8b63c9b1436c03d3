//! The library in a loop of your own: one UDP socket of std, its read timeout set to the next timer.
//!
//! One thread answers OPTIONS (RFC 3261 §11) until it is told to stop, the other asks it.
#![allow(clippy::print_stdout, clippy::disallowed_types, clippy::disallowed_methods, reason = "real sockets and time")]

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::header::Header;
use sip_core::transaction::{self, Config, Event, Input, Layer};
use sip_core::ua::{self, Ua};
use sip_core::{Limits, Message, Method, Response};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The socket and the transaction layer behind it.
struct Endpoint {
    socket: UdpSocket,
    local: SocketAddr,
    layer: Layer,
    buffer: Vec<u8>,
}

impl Endpoint {
    fn bind(seed: u8) -> Fallible<Endpoint> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let local = socket.local_addr()?;
        let mut layer = Layer::new(Config::new([seed; 32]), Instant::now());
        layer.set_sent_by(Transport::Udp, local, &local.to_string());
        Ok(Endpoint { socket, local, layer, buffer: vec![0; 65_536] })
    }

    /// One turn: send what waits, sleep until a datagram or the next timer, hand in what came.
    fn turn(&mut self, next: Option<Instant>) -> Fallible<()> {
        while let Some(transmit) = self.layer.poll_transmit() {
            self.socket.send_to(&transmit.payload, transmit.flow.remote)?;
        }
        let soon = Duration::from_millis(50);
        let due = [next, self.layer.poll_timeout()].into_iter().flatten().min();
        let wait = due.map_or(soon, |at| at.saturating_duration_since(Instant::now()).min(soon));
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match self.socket.recv_from(&mut self.buffer) {
            Ok((length, from)) => {
                let octets = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                // What is no SIP message is dropped; a real program counts it, and answers what can be answered.
                if let Ok(Ok(message)) = Message::parse(octets, &Limits::default()).map(Message::check) {
                    let flow = Flow::udp(self.local, from);
                    let _ = self.layer.handle_input(Instant::now(), Input { flow, message });
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        self.layer.handle_timeout(Instant::now());
        Ok(())
    }
}

/// Answers until `stop` is set.
fn serve(mut endpoint: Endpoint, stop: &AtomicBool) -> Fallible<()> {
    let mut agent = Ua::new(ua::Config::new([3; 32]), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        endpoint.turn(agent.poll_timeout())?;
        let now = Instant::now();
        agent.handle_timeout(now, &mut endpoint.layer);
        while let Some(event) = endpoint.layer.poll_event() {
            let back = agent.handle_event(now, &mut endpoint.layer, event);
            if let Some(transaction::Event::Request { id, request, flow }) = back {
                agent.incoming(now, &mut endpoint.layer, id, request, flow, "<sip:server@127.0.0.1>");
            }
        }
    }
    Ok(())
}

/// Asks once; retransmissions and the timeout are the layer's.
fn ask(endpoint: &mut Endpoint, server: SocketAddr) -> Fallible<Response> {
    let request = Message::request(Method::Options, &format!("sip:{server}"))
        .header(Header::MaxForwards, "70")
        .header(Header::From, "<sip:alice@example.com>;tag=1")
        .header(Header::To, format!("<sip:{server}>"))
        .header(Header::CallId, "ping-1")
        .header(Header::CSeq, "1 OPTIONS")
        .request()?;
    endpoint.layer.request(Instant::now(), request, Target::new(Transport::Udp, server))?;
    loop {
        endpoint.turn(None)?;
        match endpoint.layer.poll_event() {
            Some(Event::Response { response, .. }) if response.status().is_final() => return Ok(response),
            Some(Event::Timeout { .. } | Event::TransportFailed { .. }) => return Err("no answer".into()),
            _ => {}
        }
    }
}

fn main() -> Fallible<()> {
    let (server, mut client, stop) = (Endpoint::bind(1)?, Endpoint::bind(2)?, AtomicBool::new(false));
    let address = server.local;
    std::thread::scope(|scope| {
        let served = scope.spawn(|| serve(server, &stop));
        let answer = ask(&mut client, address);
        stop.store(true, Ordering::Relaxed);
        served.join().map_err(|_| "the server panicked")??;
        let answer = answer?;
        println!("{} {:?}", answer.status().code(), answer.header_str(Header::Allow));
        assert_eq!(answer.status().code(), 200);
        Ok(())
    })
}

#[test]
fn runs() -> Fallible<()> {
    main()
}
