//! The load balancer: octets in, octets out, for each message of a call.

use std::time::Instant;

use bytes::Bytes;
use c4_ref::config;
use c4_ref::lb::{Health, Lb, Setup};
use c4_ref::machine::Machine;
use nat::keys::KeyRing;
use sip_core::header::Header;
use sip_core::{Flow, Limits, Message, StatusCode};

use crate::register::Operation;
use crate::sip::INVITE;

/// Names of the operations, without making their state.
pub const NAMES: [&str; 6] = ["lb/invite", "lb/180", "lb/200", "lb/ack", "lb/bye", "lb/register"];

/// The operation of that name.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut rig = Rig::new()?;
    let invite = Bytes::from(INVITE.to_vec());
    let (flow, octets) = match name {
        "lb/invite" => (rig.phone, invite),
        "lb/180" => (rig.proxy, rig.response(&invite, StatusCode::RINGING)?),
        "lb/200" => (rig.proxy, rig.response(&invite, StatusCode::OK)?),
        "lb/ack" => (rig.phone, rig.in_dialog(&invite, "ACK")?),
        "lb/bye" => (rig.phone, rig.in_dialog(&invite, "BYE")?),
        _ => (rig.phone, in_place(&invite, "REGISTER")?),
    };
    Some((name, Box::new(move || rig.run(flow, &octets).map_or(0, |out| out.len()))))
}

/// A balancer with two proxies, a phone before it, and room in the soft table as in service.
struct Rig {
    lb: Lb,
    now: Instant,
    phone: Flow,
    proxy: Flow,
}

impl Rig {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Option<Rig> {
        let config = config::Lb {
            listen: vec!["udp:192.0.2.1:5060".parse().ok()?, "tcp:192.0.2.1:5060".parse().ok()?],
            internal: vec!["udp:10.0.0.1:5080".parse().ok()?],
            backends: vec!["10.0.0.2:5060".parse().ok()?, "10.0.0.3:5060".parse().ok()?],
            probe: config::Probe { interval_ms: 0, ..config::Probe::default() },
            ..config::Lb::default()
        };
        let now = Instant::now();
        let keys = KeyRing::generate([1; 32], [2; 32], 0);
        let health = Health::new(2);
        let setup = Setup { config: &config, keys, health, worker: 0, epoch: 1, seed: [3; 32], unix: 1_800_000_000 };
        let mut rig = Rig {
            lb: Lb::new(setup, now),
            now,
            phone: Flow::udp("192.0.2.1:5060".parse().ok()?, "198.51.100.7:40000".parse().ok()?),
            proxy: Flow::udp("10.0.0.1:5080".parse().ok()?, "10.0.0.2:5060".parse().ok()?),
        };
        for call in 0..10_000 {
            let mut message = Message::parse(Bytes::from_static(INVITE), &Limits::default()).ok()?;
            message.set(Header::CallId, format!("{call}@example.com")).ok()?;
            rig.run(rig.phone, &message.to_bytes())?;
        }
        Some(rig)
    }

    fn run(&mut self, flow: Flow, octets: &Bytes) -> Option<Bytes> {
        let message = Message::parse(octets.clone(), &Limits::default()).ok()?;
        self.lb.handle_message(self.now, flow, message);
        self.lb.poll_transmit().map(|sent| sent.payload)
    }

    /// The INVITE as the proxy gets it.
    fn forwarded(&mut self, invite: &Bytes) -> Option<Message> {
        Message::parse(self.run(self.phone, invite)?, &Limits::default()).ok()
    }

    fn response(&mut self, invite: &Bytes, status: StatusCode) -> Option<Bytes> {
        let forwarded = self.forwarded(invite)?;
        let body = Bytes::copy_from_slice(forwarded.body());
        let sip_core::Checked::Request(request) = forwarded.check().ok()? else { return None };
        let mut response = request.dialog_response(status);
        response.set_to_tag("callee-tag").ok()?;
        response.push_back(Header::Contact, "<sip:bob@203.0.113.9:5062>").ok()?;
        if status == StatusCode::OK {
            response.set_body(Some("application/sdp"), body).ok()?;
        }
        Some(response.to_bytes())
    }

    fn in_dialog(&mut self, invite: &Bytes, method: &str) -> Option<Bytes> {
        let forwarded = self.forwarded(invite)?;
        let mut message = Message::parse(in_place(invite, method)?, &Limits::default()).ok()?;
        let to = [message.header(Header::To)?, b";tag=callee-tag"].concat();
        message.set(Header::To, to).ok()?;
        for route in forwarded.values(Header::RecordRoute) {
            message.push_front(Header::Route, route).ok()?;
        }
        Some(message.to_bytes())
    }
}

/// The INVITE as another method, without its body.
fn in_place(invite: &Bytes, method: &str) -> Option<Bytes> {
    let text = String::from_utf8(invite.to_vec()).ok()?.replace("INVITE", method);
    let mut message = Message::parse(text.into(), &Limits::default()).ok()?;
    message.set_body(None, Bytes::new()).ok()?;
    Some(message.to_bytes())
}
