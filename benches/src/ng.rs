//! An offer of 1.5 kB as Kamailio sends it: read, answered, and both by way of the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_ref::ng::server::{Config, Event, Server};
use c4_ref::ng::{Command, Reply, Request};

use crate::register::Operation;

/// Their names, without making their state.
pub const NAMES: [&str; 4] = ["ng/parse", "ng/reply", "ng/write", "ng/serve"];

/// The operation of that name.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let octets = Bytes::from(offer());
    let reply = Reply::with_sdp(sdp().into());
    Some((
        name,
        match name {
            "ng/parse" => Box::new(move || Request::parse(&octets).map_or(0, |request| request.sdp.len())),
            "ng/reply" => {
                let Ok(request) = Request::parse(&octets) else { return None };
                Box::new(move || Reply::with_sdp(request.sdp.clone()).to_vec().len())
            }
            "ng/write" => {
                let Ok(request) = Request::parse(&octets) else { return None };
                Box::new(move || request.to_vec().len())
            }
            _ => serve(octets, reply),
        },
    ))
}

/// Datagram in, datagram out. Every cookie is new; time passes, so that old ones are forgotten.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn serve(octets: Bytes, reply: Reply) -> Box<dyn FnMut() -> usize> {
    let mut now = Instant::now();
    let mut server = Server::new(Config::default(), [1; 32], now);
    let remote = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let mut count = 0u64;
    Box::new(move || {
        count += 1;
        now += Duration::from_millis(1);
        let datagram = [format!("4711_{count} ").as_bytes(), &octets].concat();
        server.handle_timeout(now);
        let _ = server.handle_datagram(now, 0, remote, datagram.into());
        while let Some(Event::Request { id, .. }) = server.poll_event() {
            let _ = server.handle_answer(now, id, reply.clone());
        }
        server.poll_transmit().map_or(0, |transmit| transmit.payload.len())
    })
}

fn sdp() -> String {
    let mut sdp = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 30000 RTP/AVP 96 97 9 8 0 18 101\r\n"
        .to_owned();
    for (n, codec) in
        ["opus/48000/2", "speex/16000", "G722/8000", "PCMA/8000", "PCMU/8000", "G729/8000"].iter().enumerate()
    {
        sdp += &format!("a=rtpmap:{n} {codec}\r\na=fmtp:{n} minptime=10;useinbandfec=1;stereo=0;cbr=1\r\n");
        sdp += &format!("a=rtcp-fb:{n} nack\r\na=extmap:{n} urn:ietf:params:rtp-hdrext:example-{n}\r\n");
    }
    sdp += "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\na=ptime:20\r\na=rtcp:30001\r\n";
    sdp
}

fn offer() -> Vec<u8> {
    let mut request = Request::new(Command::Offer, "3848276298220188511@atlanta.example.com");
    request.from_tag = "9fxced76sl".to_owned();
    request.via_branch = Some("z9hG4bKnashds8".to_owned());
    request.received_from = Some([198, 51, 100, 7].into());
    request.sdp = sdp().into();
    let text = "replace-origin replace-session-connection SIP-source-address ICE=remove rtcp-mux-demux strict-source \
                transport-protocol=RTP/AVP from-interface=pub to-interface=priv";
    request.flags = c4_ref::ng::Flags::from_text(text);
    request.flags.supports_load_limit = true;
    request.to_vec()
}
