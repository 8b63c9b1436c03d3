//! Answers a call: an INVITE comes in as octets; 180, then 200 go out; the ACK confirms the call and the BYE ends it.
#![allow(clippy::print_stdout, reason = "it shows something")]

use std::net::SocketAddr;
use std::time::Instant;

use sip_core::flow::Flow;
use sip_core::transaction::{self, Input, Layer};
use sip_core::ua::{self, Body, Event, Extra, Ua};
use sip_core::{Limits, Message, StatusCode};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A request of the caller's.
fn request(method: &str, seq: u32, to_tag: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>{to_tag}\r\n\
         Call-ID: 1\r\nCSeq: {seq} {method}\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

struct Callee {
    now: Instant,
    layer: Layer,
    agent: Ua,
    flow: Flow,
}

impl Callee {
    /// A datagram comes in; what the agent has to say about it.
    fn receive(&mut self, datagram: String) -> Fallible<Option<Event>> {
        let message = Message::parse(datagram.into(), &Limits::default())?.check().map_err(|d| d.to_string())?;
        self.layer.handle_input(self.now, Input { flow: self.flow, message })?;
        while let Some(event) = self.layer.poll_event() {
            // A request of no dialog of ours comes back: this program gives it to the agent, another may have a proxy.
            match self.agent.handle_event(self.now, &mut self.layer, event) {
                Some(transaction::Event::Request { id, request, flow }) => {
                    self.agent.incoming(self.now, &mut self.layer, id, request, flow, "<sip:bob@192.0.2.2>");
                }
                Some(other) => println!("not ours: {other:?}"),
                None => {}
            }
        }
        Ok(self.agent.poll_event())
    }

    /// The next message to send.
    fn send(&mut self) -> Fallible<Message> {
        let transmit = self.layer.poll_transmit().ok_or("nothing to send")?;
        let message = Message::parse(transmit.payload, &Limits::default())?;
        println!("-> {} {:?}", transmit.flow.remote, message.status().map(|status| status.code()));
        Ok(message)
    }
}

fn main() -> Fallible<()> {
    #[allow(clippy::disallowed_methods, reason = "time is the caller's to tell")]
    let now = Instant::now();
    let (here, caller): (SocketAddr, SocketAddr) = ("192.0.2.2:5060".parse()?, "192.0.2.1:5060".parse()?);
    let layer = Layer::new(transaction::Config::new([1; 32]), now);
    let agent = Ua::new(ua::Config::new([2; 32]), now);
    let mut callee = Callee { now, layer, agent, flow: Flow::udp(here, caller) };

    let Some(Event::Incoming { session, .. }) = callee.receive(request("INVITE", 1, ""))? else {
        return Err("no call".into());
    };
    callee.agent.ring(now, &mut callee.layer, session, StatusCode::RINGING, &Extra::default())?;
    assert_eq!(callee.send()?.status(), Some(StatusCode::RINGING));

    let sdp = Body { content_type: "application/sdp".into(), content: "v=0\r\n".into() };
    callee.agent.answer(now, &mut callee.layer, session, &Extra { headers: Vec::new(), body: Some(sdp) })?;
    let answer = callee.send()?;
    assert_eq!((answer.status(), answer.body()), (Some(StatusCode::OK), &b"v=0\r\n"[..]));
    println!("unless the ACK comes, the 200 goes out again in {:?}", callee.agent.poll_timeout().map(|at| at - now));

    let tag = callee.agent.dialog(session).map(|dialog| format!(";tag={}", dialog.id().local_tag)).unwrap_or_default();
    assert!(matches!(callee.receive(request("ACK", 1, &tag))?, Some(Event::Confirmed { .. })));
    let ended = callee.receive(request("BYE", 2, &tag))?;
    println!("{ended:?}");
    assert!(matches!(ended, Some(Event::Ended { .. })));
    assert_eq!(callee.send()?.status(), Some(StatusCode::OK));
    Ok(())
}

#[test]
fn runs() -> Fallible<()> {
    main()
}
