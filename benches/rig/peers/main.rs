//! c4-sip-core as one of the SIP peers of the side-by-side bench.
use bytes::Bytes;
use ours_sip::header::{Contact, Header, MaxForwards, NameAddr, Route, TypedHeader, Via};
use ours_sip::message::Message;
use ours_sip::uri::Uri;
use ours_sip::{Limits, header};
use rust_peers::harness::Job;
use rust_peers::sip::{Seen, SipPeer, VIA_VALUE, mark};

struct Ours {
    limits: Limits,
}

impl Ours {
    fn message(&self, octets: &Bytes) -> Option<Message> {
        Message::parse(octets.clone(), &self.limits).ok()
    }
}

fn tag(address: Option<Result<NameAddr<'_>, header::HeaderError>>) -> Option<u32> {
    Some(address?.ok()?.tag().map_or(0, mark))
}

impl SipPeer for Ours {
    fn name(&self) -> &'static str {
        "OURS c4-sip-core"
    }

    fn parse(&self, octets: &Bytes) -> bool {
        self.message(octets).is_some()
    }

    fn read(&self, octets: &Bytes) -> Option<Seen> {
        let message = self.message(octets)?;
        let via = message.typed::<Via<'_>>()?.ok()?;
        let cseq = message.typed::<header::CSeq>()?.ok()?;
        let mut routes = 0;
        for route in message.typed_all::<Route<'_>>() {
            route.ok()?;
            routes += 1;
        }
        let max_forwards = match message.typed::<MaxForwards>() {
            None => 0,
            Some(hops) => u32::from(hops.ok()?.0),
        };
        let contact_user = match message.typed::<Contact<'_>>() {
            None => 0,
            Some(contact) => match contact.ok()?.address() {
                None => 1,
                Some(address) => Uri::parse(address.uri)?.user.map_or(1, mark),
            },
        };
        Some(Seen {
            branch: via.branch().map_or(0, mark),
            from_tag: tag(message.address(Header::From))?,
            to_tag: tag(message.address(Header::To))?,
            call_id: mark(message.header(Header::CallId)?),
            cseq: cseq.seq,
            max_forwards,
            routes,
            contact_user,
        })
    }

    fn forward(&self, octets: &Bytes) -> Option<Vec<u8>> {
        let mut message = self.message(octets)?;
        if message.is_request() {
            let hops = MaxForwards::parse(message.header(Header::MaxForwards)?).ok()?.0.checked_sub(1)?;
            message.push_front(Header::Via, VIA_VALUE).ok()?;
            message.set_number(Header::MaxForwards, u64::from(hops)).ok()?;
        } else if !message.pop_front_value(Header::Via) {
            return None;
        }
        let mut out = Vec::new();
        message.write(&mut out);
        Some(out)
    }
}

fn main() {
    let jobs: Vec<Job> = Vec::new();
    rust_peers::main_with(vec![Box::new(Ours { limits: Limits::default() })], jobs);
}
