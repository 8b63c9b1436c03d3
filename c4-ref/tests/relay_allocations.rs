//! A packet on its way through the relay costs no allocation: neither in the table nor in the loop over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_types, reason = "a test on real sockets")]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use c4_ref::io::{MediaOptions, Server};
use c4_ref::relay::media::{Event, Media, MediaMachine, Packet, Pair, PairId, Reason, Settings, Setup, Verdict};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

/// One test: the counters are the process's.
#[test]
fn a_packet_costs_no_allocation() {
    through_the_table();
    through_sockets();
}

fn through_the_table() {
    let mut now = Clock::new().now();
    let mut media = Media::new(Settings { ports: (30_000, 30_100), worker: 0, workers: 1, key: [1; 16] });
    let pairs = [(); 2].map(|()| {
        let id = media.open(now, "127.0.0.1".parse().unwrap(), 0).unwrap();
        assert!(matches!(media.poll_event(), Some(Event::Open { .. })));
        media.handle_open_done(now, id, Ok(())).unwrap().1.unwrap()
    });
    let (a, b) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap());
    for (own, other, party) in [(0, 1, a), (1, 0, b)] {
        let outs = Setup { out_rtp: Some(pairs[other].rtp), out_rtcp: Some(pairs[other].rtp), ..Setup::default() };
        media.configure(now, pairs[own].rtp, &Setup { signalled: Some(party), mux: true, ..outs });
    }
    let mut packet = Packet::new();
    let before = Heap::now();
    for n in 0..10_000u16 {
        now += Duration::from_millis(20);
        let [high, low] = n.to_be_bytes();
        packet.fill(&[0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, 9, 0xff, 0xff]);
        assert_eq!(media.forward(now, pairs[0].rtp, a, &mut packet), Verdict::Send { socket: pairs[1].rtp, to: b });
        let stranger = "203.0.113.9:1".parse().unwrap();
        assert_eq!(media.forward(now, pairs[0].rtp, stranger, &mut packet), Verdict::Drop(Reason::Source));
        packet.fill(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
        assert!(matches!(media.forward(now, pairs[1].rtp, b, &mut packet), Verdict::Send { .. }));
    }
    assert_eq!(Heap::now().allocations_since(before), 0);
}

/// Lets one party's packets through to the other.
struct OneWay {
    media: Media,
    parties: [SocketAddr; 2],
    open: Vec<Pair>,
    told: Sender<SocketAddr>,
}

impl MediaMachine for OneWay {
    fn media(&mut self) -> &mut Media {
        &mut self.media
    }

    fn handle_open_done(&mut self, now: Instant, id: PairId, result: Result<(), io::ErrorKind>) {
        let Some((_, pair)) = self.media.handle_open_done(now, id, result) else { return };
        self.open.push(pair.unwrap());
        if let [a, b] = self.open[..] {
            let setup = |party, out| Setup { signalled: Some(party), out_rtp: out, ..Setup::default() };
            self.media.configure(now, a.rtp, &setup(self.parties[0], Some(b.rtp)));
            self.media.configure(now, b.rtp, &setup(self.parties[1], None));
            self.told.send(a.local).unwrap();
        }
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn through_sockets() {
    let parties = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    parties[1].set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut media = Media::new(Settings { ports: (20_000, 31_999), worker: 0, workers: 1, key: [9; 16] });
    for _ in 0..2 {
        media.open(Clock::new().now(), "127.0.0.1".parse().unwrap(), 0).unwrap();
    }
    let (told, tells) = channel();
    let addresses = [0, 1].map(|n: usize| parties[n].local_addr().unwrap());
    let machine = OneWay { media, parties: addresses, open: Vec::new(), told };
    let server = Server::start_media(vec![machine], MediaOptions::new("media")).unwrap();
    let relay = tells.recv().unwrap();
    let mut buffer = [0; 64];
    let mut pass = |n: u16| {
        let [high, low] = n.to_be_bytes();
        parties[0].send_to(&[0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, 9, 0xff, 0xff], relay).unwrap();
        parties[0].send_to(b"garbage", relay).unwrap();
        assert_eq!(parties[1].recv_from(&mut buffer).unwrap().0, 14);
    };
    // The first packets find the address.
    (0..10).for_each(&mut pass);
    let before = Heap::now();
    (10..2000).for_each(&mut pass);
    // The worker is another thread, and so is the test harness, which allocates a little when it pleases.
    let allocations = Heap::now().of_all_threads - before.of_all_threads;
    assert!(allocations < 100, "{allocations} allocations for 2000 packets");
    assert!(server.stop());
}
