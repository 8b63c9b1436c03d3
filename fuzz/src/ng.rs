//! Any octets as an NG message: request, reply, datagram and stream.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c4_ref::ng::client::{self, Client};
use c4_ref::ng::server::{Config, ConnectionId, Event, Server};
use c4_ref::ng::{Command, Flags, Reply, Request};

/// Reads and writes the octets, and gives them to a server and a client.
///
/// # Panics
/// When what is written does not read back as the same, a request comes out twice, or a timer comes back at once.
pub fn run(data: &[u8]) {
    let octets = Bytes::copy_from_slice(data);
    let payload = octets.iter().position(|octet| *octet == b' ').map(|at| octets.slice(at + 1..));
    for octets in [Some(octets.clone()), payload].into_iter().flatten() {
        request(&octets);
        reply(&octets);
    }
    let _ = Flags::from_text(&String::from_utf8_lossy(data));
    server(&octets);
    client(&octets);
}

fn request(octets: &Bytes) {
    let Ok(mut request) = Request::parse(octets) else { return };
    assert!(request.flags.unknown.iter().all(|name| name.chars().count() <= 64), "an unknown name is too long");
    // What is not written.
    request.flags.unknown.clear();
    request.flags.more_unknown = 0;
    request.flags.unsupported = None;
    if request.command != Command::Delete {
        (request.flags.honour_to_tag, request.flags.fatal) = (false, false);
    }
    let again = Request::parse(&request.to_vec().into()).expect("what was written reads back");
    assert_eq!(again, request, "what was written reads back as the same");
}

fn reply(octets: &[u8]) {
    let Ok(reply) = Reply::parse(octets) else { return };
    let wide = c4_ref::ng::bencode::Limits { octets: 1 << 20, ..Default::default() };
    assert_eq!(Reply::parse_within(&reply.to_vec(), &wide).as_ref(), Ok(&reply), "a reply reads back as the same");
}

#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn server(octets: &Bytes) {
    let mut now = Instant::now();
    let mut server = Server::new(Config::default(), [1; 32], now);
    let remote = SocketAddr::from(([127, 0, 0, 1], 5000));
    let first = server.handle_datagram(now, 0, remote, octets.clone());
    let again = server.handle_datagram(now, 0, remote, octets.clone());
    assert_eq!(first, again, "the same datagram, the same verdict");
    let mut requests = 0;
    while let Some(Event::Request { id, .. }) = server.poll_event() {
        requests += 1;
        server.handle_answer(now, id, Reply::ok()).expect("it waits");
    }
    assert!(requests <= 1, "one request twice");
    while server.poll_transmit().is_some() {}
    let _ = server.handle_connected(now, ConnectionId(1), remote);
    for piece in octets.chunks(7) {
        let _ = server.handle_stream(now, ConnectionId(1), piece);
    }
    while server.poll_event().is_some() {}
    while server.poll_transmit().is_some() {}
    for _ in 0..4 {
        now += Duration::from_secs(10);
        server.handle_timeout(now);
        assert!(server.poll_timeout().is_none_or(|next| next > now), "a timer comes back at once");
    }
    assert_eq!(server.poll_timeout(), None, "nothing is left");
}

#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn client(octets: &Bytes) {
    let now = Instant::now();
    let address = SocketAddr::from(([127, 0, 0, 1], 2223));
    let node = client::Node { udp: Some(address), tcp: None };
    let mut client = Client::new(client::Config::new(vec![node]), [1; 32], now);
    let _ = client.request(now, None, Request::new(Command::Query, "c"));
    let Some(sent) = client.poll_transmit() else { return };
    let cookie = sent.payload.split(|octet| *octet == b' ').next().unwrap_or_default();
    let answer = [cookie, b" ", octets].concat();
    let _ = client.handle_datagram(now, address, octets.clone());
    let _ = client.handle_datagram(now, address, answer.into());
    let mut done = 0;
    while let Some(event) = client.poll_event() {
        done += usize::from(matches!(event, client::Event::Done { .. }));
    }
    assert_eq!(done, 1, "a reply, or none that can be read");
}
