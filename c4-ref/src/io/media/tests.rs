//! Two parties, and whoever else finds their ports, on real sockets of the loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of the tests")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::SockRef;

use super::super::files::random;
use super::super::tests::eventually;
use super::*;
use crate::admin::{Answer, Command};
use crate::relay::media::{Kind, Media, NoPorts, Pair, PairId, Reason, Settings, Setup};

const SOON: Duration = Duration::from_secs(10);

/// What a side of the call has signalled.
#[derive(Clone, Copy)]
struct Side {
    local: IpAddr,
    rtp: SocketAddr,
    mux: bool,
}

/// Opens a pair for each side and lets media through.
struct Bridge {
    media: Media,
    sides: Vec<Side>,
    asked: Vec<PairId>,
    open: Vec<Pair>,
    told: Sender<Result<Vec<Pair>, NoPorts>>,
    /// When all is closed.
    end: Option<Instant>,
}

impl Bridge {
    fn new(ports: (u16, u16), sides: &[Side], told: Sender<Result<Vec<Pair>, NoPorts>>) -> Bridge {
        let mut media = Media::new(Settings { ports, worker: 0, workers: 1, key: random().unwrap() });
        let asked = sides.iter().map(|side| media.open(Instant::now(), side.local, 184).unwrap()).collect();
        Bridge { media, sides: sides.to_vec(), asked, open: Vec::new(), told, end: None }
    }

    fn connect(&mut self, now: Instant) {
        for (n, (own, side)) in self.open.iter().zip(&self.sides).enumerate() {
            let (Some(other), Some(to)) = (self.open.get(1 - n), self.sides.get(1 - n)) else { return };
            let out_rtcp = Some(if to.mux { other.rtp } else { other.rtcp });
            let setup = Setup { out_rtp: Some(other.rtp), out_rtcp, ..Setup::default() };
            self.media.configure(now, own.rtp, &Setup { mux: side.mux, signalled: Some(side.rtp), ..setup });
            let mut next = side.rtp;
            next.set_port(next.port() + 1);
            self.media.configure(now, own.rtcp, &Setup { kind: Kind::Rtcp, signalled: Some(next), ..setup });
        }
    }

    fn close(&mut self, now: Instant) {
        self.asked.drain(..).for_each(|id| self.media.close(now, id));
    }
}

impl MediaMachine for Bridge {
    fn media(&mut self) -> &mut Media {
        &mut self.media
    }

    fn handle_open_done(&mut self, now: Instant, id: PairId, result: Result<(), io::ErrorKind>) {
        match self.media.handle_open_done(now, id, result) {
            Some((_, Ok(pair))) => self.open.push(pair),
            Some((_, Err(error))) => return self.told.send(Err(error)).unwrap(),
            None => return,
        }
        if self.open.len() == self.sides.len() {
            self.open.sort_by_key(|pair| pair.id);
            self.connect(now);
            self.told.send(Ok(self.open.clone())).unwrap();
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.end.take_if(|end| *end <= now).is_some() {
            self.close(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.end
    }

    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "close" => self.close(now),
            "close-soon" => self.end = Some(now + Duration::from_millis(20)),
            "stats" => {
                let sockets = self.open.iter().flat_map(|pair| [pair.rtp, pair.rtcp]);
                let stats = sockets.filter_map(|id| self.media.stats(id));
                let sum = |reason| stats.clone().map(|stats| stats.dropped(reason)).sum::<u64>();
                return Some(Ok(json!({ "source": sum(Reason::Source), "not_rtp": sum(Reason::NotRtp) })));
            }
            _ => return None,
        }
        Some(Ok(Value::Null))
    }
}

struct Rig {
    server: Option<Server>,
    told: Receiver<Result<Vec<Pair>, NoPorts>>,
}

impl Rig {
    fn new(ports: (u16, u16), sides: &[Side]) -> Rig {
        let (sender, told) = channel();
        let server = Server::start_media(vec![Bridge::new(ports, sides, sender)], MediaOptions::new("media")).unwrap();
        Rig { server: Some(server), told }
    }

    fn hear(&self) -> Result<Vec<Pair>, NoPorts> {
        self.told.recv_timeout(SOON).unwrap()
    }

    fn command(&self, method: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let command = Command { method: method.into(), params: Value::Null };
        runtime.block_on(self.server.as_ref().unwrap().handle().command(command)).unwrap().unwrap()
    }

    fn stat(&self, name: &str) -> u64 {
        self.command("stats")[name].as_u64().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let ended = self.server.take().is_some_and(Server::stop);
        assert!(ended || std::thread::panicking());
    }
}

/// A party's two sockets, the second on the port above the first.
struct Party {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Party {
    fn new(ip: &str) -> Party {
        let ip: IpAddr = ip.parse().unwrap();
        for _ in 0..100 {
            let rtp = socket((ip, 0).into()).unwrap();
            let port = rtp.local_addr().unwrap().port();
            if let Some(next) = port.checked_add(1)
                && let Ok(rtcp) = socket((ip, next).into())
            {
                return Party { rtp, rtcp };
            }
        }
        panic!("no two adjacent ports on {ip}");
    }

    fn side(&self, mux: bool) -> Side {
        let rtp = self.rtp.local_addr().unwrap();
        Side { local: rtp.ip(), rtp, mux }
    }
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(SOON))?;
    Ok(socket)
}

/// Ports of other tests' and programs' own choice are above.
const PORTS: (u16, u16) = (20_000, 31_999);

/// A call between two parties, and where each is to send.
fn call(a: (&Party, bool), b: (&Party, bool)) -> (Rig, Pair, Pair) {
    let rig = Rig::new(PORTS, &[a.0.side(a.1), b.0.side(b.1)]);
    let pairs = rig.hear().unwrap();
    (rig, pairs[0], pairs[1])
}

fn rtcp_of(pair: Pair) -> SocketAddr {
    SocketAddr::new(pair.local.ip(), pair.local.port() + 1)
}

fn rtp(n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    [&[0x80, 0, high, low, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0xff; 160]].concat()
}

const RR: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

/// `payload` goes from a socket to the relay, and comes out of `via` at another: nothing else comes before.
fn passes(payload: &[u8], from: (&UdpSocket, SocketAddr), to: (&UdpSocket, SocketAddr)) {
    from.0.send_to(payload, from.1).unwrap();
    let mut buffer = [0; 2048];
    let (length, source) = to.0.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], source), (payload, to.1));
}

#[test]
fn rtp_and_rtcp_pass_both_ways_over_both_families() {
    for (one, two) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "::1")] {
        let (a, b) = (Party::new(one), Party::new(two));
        let (rig, to_a, to_b) = call((&a, false), (&b, false));
        for n in 0..20 {
            passes(&rtp(n), (&a.rtp, to_a.local), (&b.rtp, to_b.local));
            passes(&rtp(n), (&b.rtp, to_b.local), (&a.rtp, to_a.local));
            passes(&RR, (&a.rtcp, rtcp_of(to_a)), (&b.rtcp, rtcp_of(to_b)));
            passes(&RR, (&b.rtcp, rtcp_of(to_b)), (&a.rtcp, rtcp_of(to_a)));
        }
        assert_eq!((rig.stat("io_media_sockets"), rig.stat("io_media_rx"), rig.stat("io_media_tx")), (4, 80, 80));
    }
}

#[test]
fn rfc5761_5_one_party_multiplexes_and_the_other_has_a_port_for_rtcp() {
    let (a, b) = (Party::new("127.0.0.1"), Party::new("127.0.0.1"));
    let (_rig, to_a, to_b) = call((&a, true), (&b, false));
    passes(&rtp(1), (&a.rtp, to_a.local), (&b.rtp, to_b.local));
    passes(&RR, (&a.rtp, to_a.local), (&b.rtcp, rtcp_of(to_b)));
    passes(&RR, (&b.rtcp, rtcp_of(to_b)), (&a.rtp, to_a.local));
    passes(&rtp(1), (&b.rtp, to_b.local), (&a.rtp, to_a.local));
}

#[test]
fn every_length_passes_whole() {
    let (a, b) = (Party::new("127.0.0.1"), Party::new("127.0.0.1"));
    let (_rig, to_a, to_b) = call((&a, false), (&b, false));
    for length in [12, 13, 1472, 1500, 2048] {
        let mut packet = rtp(0);
        packet.resize(length, 7);
        passes(&packet, (&a.rtp, to_a.local), (&b.rtp, to_b.local));
    }
}

#[test]
fn lesson_1_garbage_and_a_third_party_that_sprays_change_nothing() {
    let (a, b) = (Party::new("127.0.0.1"), Party::new("127.0.0.1"));
    let (rig, to_a, to_b) = call((&a, false), (&b, false));
    let sprayer = socket("127.0.0.2:0".parse().unwrap()).unwrap();
    // The first round comes before the parties have sent anything.
    for round in 0..40 {
        for n in 0..25 {
            sprayer.send_to(&rtp(n), to_a.local).unwrap();
            sprayer.send_to(&rtp(n), to_b.local).unwrap();
            sprayer.send_to(b"GET / HTTP/1.0\r\n\r\n", to_a.local).unwrap();
            sprayer.send_to(&RR, rtcp_of(to_a)).unwrap();
        }
        // All of it is in the sockets before what the parties send, and nothing of it comes out before that.
        passes(&rtp(round), (&a.rtp, to_a.local), (&b.rtp, to_b.local));
        passes(&rtp(round), (&b.rtp, to_b.local), (&a.rtp, to_a.local));
        passes(&RR, (&a.rtcp, rtcp_of(to_a)), (&b.rtcp, rtcp_of(to_b)));
    }
    assert_eq!((rig.stat("source"), rig.stat("not_rtp")), (3 * 25 * 40, 25 * 40));
    assert_eq!((rig.stat("io_media_rx"), rig.stat("io_media_tx")), ((4 * 25 + 3) * 40, 3 * 40));
    sprayer.set_nonblocking(true).unwrap();
    assert!(sprayer.recv_from(&mut [0; 64]).is_err(), "the third party hears nothing");
}

#[test]
fn a_pair_whose_second_port_is_in_use_is_passed_over() {
    // An address of this test's own.
    let local: IpAddr = "127.0.77.1".parse().unwrap();
    let side = Side { local, rtp: "127.0.0.1:9".parse().unwrap(), mux: false };
    for taken in [24_001, 24_003] {
        let _taken = UdpSocket::bind((local, taken)).unwrap();
        let rig = Rig::new((24_000, 24_003), &[side]);
        assert_eq!(rig.hear().unwrap()[0].local.port(), if taken == 24_001 { 24_002 } else { 24_000 });
        assert_eq!(rig.stat("io_media_sockets"), 2, "the other pair's first port is free again");
    }
    let _taken = [24_001, 24_003].map(|port| UdpSocket::bind((local, port)).unwrap());
    assert_eq!(Rig::new((24_000, 24_003), &[side]).hear(), Err(NoPorts));
}

#[test]
fn an_address_that_is_not_ours_is_answered() {
    let side = Side { local: "192.0.2.1".parse().unwrap(), rtp: "127.0.0.1:9".parse().unwrap(), mux: false };
    let rig = Rig::new(PORTS, &[side]);
    assert_eq!(rig.hear(), Err(NoPorts));
    assert_eq!(rig.stat("io_media_open_failed"), 1, "no other port of it is tried");
}

#[test]
fn closed_pairs_leave_no_socket_by_command_and_by_timer() {
    for method in ["close", "close-soon"] {
        let (a, b) = (Party::new("127.0.0.1"), Party::new("127.0.0.1"));
        let (rig, to_a, to_b) = call((&a, false), (&b, false));
        passes(&rtp(1), (&a.rtp, to_a.local), (&b.rtp, to_b.local));
        rig.command(method);
        assert!(eventually(|| rig.stat("io_media_sockets") == 0), "{method}");
        for address in [to_a.local, rtcp_of(to_a), to_b.local, rtcp_of(to_b)] {
            assert!(UdpSocket::bind(address).is_ok(), "{method}: {address}");
        }
    }
}

#[test]
fn sockets_are_marked_and_share_their_port_with_nobody() {
    let four = sockets::bind("127.0.0.1:0".parse().unwrap(), 184).unwrap();
    assert_eq!(SockRef::from(&four).tos_v4().unwrap(), 184);
    assert!(!SockRef::from(&four).reuse_port().unwrap());
    let again = sockets::bind(four.local_addr().unwrap(), 184).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    let six = sockets::bind("[::1]:0".parse().unwrap(), 96).unwrap();
    assert_eq!(SockRef::from(&six).tclass_v6().unwrap(), 96);
    assert!(SockRef::from(&six).only_v6().unwrap());
}
