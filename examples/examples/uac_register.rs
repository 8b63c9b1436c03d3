//! Registers with digest. The registrar is played by hand: octets go out, octets come in, no socket is opened.
#![allow(clippy::print_stdout, reason = "it shows something")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip_core::auth::Account;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::header::Header;
use sip_core::transaction::{Config, Input, Layer};
use sip_core::ua::{self, Event, Registration, Ua};
use sip_core::{Checked, Limits, Message, Request, Response, StatusCode};

/// The REGISTER that waits to be sent.
fn sent(layer: &mut Layer) -> Result<Request, Box<dyn std::error::Error>> {
    let transmit = layer.poll_transmit().ok_or("nothing to send")?;
    match Message::parse(transmit.payload, &Limits::default())?.check() {
        Ok(Checked::Request(request)) => Ok(request),
        _ => Err("no request".into()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[allow(clippy::disallowed_methods, reason = "time is the caller's to tell")]
    let now = Instant::now();
    let (here, registrar): (SocketAddr, SocketAddr) = ("192.0.2.1:5060".parse()?, "192.0.2.9:5060".parse()?);

    let mut layer = Layer::new(Config::new([1; 32]), now); // seeds: 32 random octets of yours
    layer.set_sent_by(Transport::Udp, here, "192.0.2.1:5060");
    let mut agent = Ua::new(ua::Config::new([2; 32]), now);
    agent.add_account(Account::new("home", "example.com", "alice", "secret"));
    let registration = Registration {
        registrar: "sip:example.com".into(),
        aor: "<sip:alice@example.com>".into(),
        contact: "<sip:alice@192.0.2.1:5060>".into(),
        expires: Duration::from_secs(3600),
        destination: Target::new(Transport::Udp, registrar).into(),
        routes: Vec::new(),
        peer: Some("home".into()), // whose challenges are answered: nobody else's
    };
    agent.register(now, &mut layer, registration)?;

    // What your event loop does with each message: into the layer, the layer's events into the agent.
    let mut receive = |layer: &mut Layer, response: Response| -> Result<Option<Event>, Box<dyn std::error::Error>> {
        let flow = Flow::udp(here, registrar);
        let message = Message::parse(response.to_bytes(), &Limits::default())?.check().map_err(|d| d.to_string())?;
        layer.handle_input(now, Input { flow, message })?;
        while let Some(event) = layer.poll_event() {
            agent.handle_event(now, layer, event);
        }
        Ok(agent.poll_event())
    };

    let first = sent(&mut layer)?;
    println!("{}", String::from_utf8_lossy(&first.to_bytes()));
    let mut challenge = first.response(StatusCode::UNAUTHORIZED);
    let value = "Digest realm=\"example.com\", nonce=\"8a7b\", qop=\"auth\", algorithm=SHA-256";
    challenge.push_back(Header::WwwAuthenticate, value)?;
    challenge.set_to_tag("r")?;
    assert!(receive(&mut layer, challenge)?.is_none(), "a challenge is answered without asking");

    let second = sent(&mut layer)?;
    println!("{}", String::from_utf8_lossy(&second.to_bytes()));
    assert!(second.header(Header::Authorization).is_some_and(|value| value.starts_with(b"Digest username=\"alice\"")));
    let mut granted = second.response(StatusCode::OK);
    granted.push_back(Header::Contact, "<sip:alice@192.0.2.1:5060>;expires=600")?;
    granted.set_to_tag("r")?;
    let Some(Event::Registered { expires, .. }) = receive(&mut layer, granted)? else {
        return Err("not registered".into());
    };
    println!("registered for {expires:?}; the refresh is due in {:?}", agent.poll_timeout().map(|at| at - now));
    assert_eq!(expires, Duration::from_secs(600));
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
