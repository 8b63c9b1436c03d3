//! How often reading and writing a description allocate.
#![allow(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use c4_sdp::{Limits, Session};
use testkit::{Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

const OFFER: &[u8] = include_bytes!("data/webrtc-offer.sdp");

// The only test of this file: the counters are those of the process.
#[test]
fn parse_allocates_its_index_and_write_its_octets() {
    let octets = Bytes::from_static(OFFER);
    let limits = Limits::default();

    let start = Heap::now();
    let session = Session::parse(octets, &limits).unwrap();
    let parsed = Heap::now();
    let written = session.to_bytes();
    let done = Heap::now();
    assert_eq!(written, OFFER);
    assert_eq!(parsed.allocations_since(start), 1, "the index");
    assert!((1..=2).contains(&done.allocations_since(parsed)), "the octets, and their count of owners");

    let mut out = Vec::with_capacity(2 * OFFER.len());
    let start = Heap::now();
    session.write(&mut out);
    assert_eq!(Heap::now().allocations_since(start), 0, "into octets that are there");

    let start = Heap::now();
    let audio = session.media(0).unwrap();
    assert!(audio.payload_types().filter_map(|number| audio.rtpmap(number)).count() > 5);
    assert_eq!(Heap::now().allocations_since(start), 0, "values are read in their place");
}
