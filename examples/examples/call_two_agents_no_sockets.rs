//! Two user agents call each other over a queue: no sockets, no clock, no threads.
#![allow(clippy::print_stdout, reason = "it shows something")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::transaction::{self, Input, Layer};
use sip_core::ua::{self, Event, Extra, Invite, SessionId, Ua};
use sip_core::{Limits, Message, StatusCode};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

struct Agent {
    name: &'static str,
    address: SocketAddr,
    layer: Layer,
    ua: Ua,
    call: Option<SessionId>,
    over: bool,
}

impl Agent {
    fn new(name: &'static str, address: SocketAddr, seed: u8, now: Instant) -> Agent {
        let mut layer = Layer::new(transaction::Config::new([seed; 32]), now);
        layer.set_sent_by(Transport::Udp, address, &address.to_string());
        Agent { name, address, layer, ua: Ua::new(ua::Config::new([seed + 100; 32]), now), call: None, over: false }
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.name, self.address)
    }

    fn receive(&mut self, now: Instant, flow: Flow, octets: Bytes) -> Fallible<()> {
        let message = Message::parse(octets, &Limits::default())?.check().map_err(|defect| defect.to_string())?;
        self.layer.handle_input(now, Input { flow, message })?;
        Ok(())
    }

    /// Hands events up, and does what a person would.
    fn work(&mut self, now: Instant) -> Fallible<()> {
        while let Some(event) = self.layer.poll_event() {
            let back = self.ua.handle_event(now, &mut self.layer, event);
            if let Some(transaction::Event::Request { id, request, flow }) = back {
                let contact = self.contact();
                self.ua.incoming(now, &mut self.layer, id, request, flow, &contact);
            }
        }
        while let Some(event) = self.ua.poll_event() {
            match event {
                Event::Incoming { session, .. } => {
                    self.ua.ring(now, &mut self.layer, session, StatusCode::RINGING, &Extra::default())?;
                    self.ua.answer(now, &mut self.layer, session, &Extra::default())?;
                }
                Event::Progress { .. } => println!("{}: it rings", self.name),
                Event::Answered { session, .. } => self.call = Some(session),
                Event::Confirmed { .. } => println!("{}: the call is up", self.name),
                Event::Ended { cause, .. } => {
                    println!("{}: over, {}", self.name, format!("{cause:?}").split(['(', ' ']).next().unwrap_or("?"));
                    self.over = true;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn main() -> Fallible<()> {
    #[allow(clippy::disallowed_methods, reason = "the start of a clock that this program moves by hand")]
    let mut now = Instant::now();
    let mut alice = Agent::new("alice", "192.0.2.1:5060".parse()?, 1, now);
    let mut bob = Agent::new("bob", "192.0.2.2:5060".parse()?, 2, now);
    let invite = Invite {
        uri: format!("sip:bob@{}", bob.address),
        from: "<sip:alice@example.com>".into(),
        to: "<sip:bob@example.com>".into(),
        contact: alice.contact(),
        destination: Target::new(Transport::Udp, bob.address).into(),
        routes: Vec::new(),
        extra: Extra::default(),
        peer: None,
    };
    alice.ua.invite(now, &mut alice.layer, invite)?;
    let mut wire: VecDeque<(Flow, Bytes)> = VecDeque::new();
    while !(alice.over && bob.over) {
        for agent in [&mut alice, &mut bob] {
            agent.work(now)?;
            if let Some(session) = agent.call.take() {
                agent.ua.hangup(now, &mut agent.layer, session, None)?;
            }
            wire.extend(std::iter::from_fn(|| agent.layer.poll_transmit()).map(|sent| (sent.flow, sent.payload)));
        }
        now += Duration::from_millis(1);
        for (flow, octets) in wire.drain(..) {
            println!(
                "{} -> {}: {}",
                flow.local,
                flow.remote,
                String::from_utf8_lossy(&octets).lines().next().unwrap_or("")
            );
            let agent = if flow.remote == alice.address { &mut alice } else { &mut bob };
            agent.receive(now, Flow::udp(flow.remote, flow.local), octets)?;
        }
    }
    Ok(())
}

#[test]
fn runs() -> Fallible<()> {
    main()
}
