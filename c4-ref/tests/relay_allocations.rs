//! A packet on its way through the table of media sockets costs no allocation.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use c4_ref::relay::media::{Event, Media, Packet, Reason, Settings, Setup, Verdict};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn a_packet_costs_no_allocation() {
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
