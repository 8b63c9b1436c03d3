//! How often the hot paths allocate: a fact of the code, not of the machine.
#![allow(unsafe_code, reason = "a counting allocator must implement the unsafe trait GlobalAlloc")]
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests stop the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use c4_sip_core::header::{CSeq, Contact, From, Header, MaxForwards, Route, To, Via};
use c4_sip_core::uri::Uri;
use c4_sip_core::{Checked, Limits, Message};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and reallocations of this thread while `work` runs.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNT.with(Cell::get);
    let result = work();
    (COUNT.with(Cell::get) - before, result)
}

const INVITE: &[u8] = include_bytes!("data/usual/invite.sip");
const OK: &[u8] = include_bytes!("data/usual/200.sip");

/// A received datagram: octets on the heap, shared once already, as a receive loop hands them out.
fn datagram(octets: &[u8]) -> Bytes {
    let datagram = Bytes::from(octets.to_vec());
    drop(datagram.clone());
    datagram
}

fn parse(datagram: &Bytes) -> Message {
    Message::parse(datagram.clone(), &Limits::default()).expect("valid")
}

#[test]
fn parsing_is_one_allocation() {
    for octets in [INVITE, OK] {
        let datagram = datagram(octets);
        assert_eq!(allocations(|| parse(&datagram)).0, 1);
    }
}

#[test]
fn reading_eight_headers_allocates_nothing() {
    let datagram = datagram(INVITE);
    let message = parse(&datagram);
    let (count, seen) = allocations(|| {
        let via = message.typed::<Via<'_>>()?.ok()?.branch()?.len();
        let from = message.typed::<From<'_>>()?.ok()?.tag()?.len();
        let to = message.typed::<To<'_>>()?.ok()?.uri.len();
        let call_id = message.header(Header::CallId)?.len();
        let cseq = message.typed::<CSeq>()?.ok()?.seq as usize;
        let hops = message.typed::<MaxForwards>()?.ok()?.0 as usize;
        let routes = message.typed_all::<Route<'_>>().count();
        let contact = message.typed::<Contact<'_>>()?.ok()?;
        let user = Uri::parse(contact.address()?.uri)?.user?.len();
        Some([via, from, to, call_id, cseq, hops, routes, user])
    });
    assert_eq!(seen, Some([31, 16, 45, 44, 10342, 70, 2, 5]));
    assert_eq!(count, 0);
}

#[test]
fn checking_allocates_nothing() {
    let datagram = datagram(INVITE);
    let message = parse(&datagram);
    let (count, checked) = allocations(|| message.check());
    assert!(matches!(checked, Ok(Checked::Request(_))));
    assert_eq!(count, 0);
}

#[test]
fn forwarding_a_request_is_three_allocations() {
    let datagram = datagram(INVITE);
    let (count, octets) = allocations(|| {
        let mut message = parse(&datagram);
        message.push_front(Header::Via, "SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKabcdefghijk;rport").expect("clean");
        message.set_number(Header::MaxForwards, 69).expect("clean");
        let mut out = Vec::new();
        message.write(&mut out);
        out
    });
    assert!(octets.len() > INVITE.len());
    assert_eq!(count, 3, "the index, our own lines, the octets out");
}

#[test]
fn forwarding_a_response_is_two_allocations() {
    let datagram = datagram(OK);
    let (count, octets) = allocations(|| {
        let mut message = parse(&datagram);
        assert!(message.pop_front_value(Header::Via));
        let mut out = Vec::new();
        message.write(&mut out);
        out
    });
    assert!(octets.len() < OK.len());
    assert_eq!(count, 2, "the index and the octets out");
}
