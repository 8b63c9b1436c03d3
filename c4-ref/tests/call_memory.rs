//! What an answered call keeps in memory, and what is left when it has ended. Alone in its process, for its allocator counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use c4_ref::cdr::{Id, ReleasedBy};
use c4_ref::proxy::calls::{Calls, End, NewCall, Tried};
use testkit::{Clock, Counting, Heap};

#[global_allocator]
static HEAP: Counting = Counting;

/// Just past a doubling of the tables, where they are the emptiest.
const CALLS: u64 = 15_000;
/// What malloc adds to each of the call's three allocations: its header, and the rounding to 16 octets.
const OVERHEAD: u64 = 3 * 16;

#[test]
fn an_answered_call_keeps_at_most_600_octets_and_nothing_when_it_has_ended() {
    let now = Clock::new().now();
    let mut calls = Calls::new([1; 16], CALLS as usize);
    let before = Heap::now();
    let mut places = Vec::with_capacity(CALLS as usize);
    let list = Heap::now().live - before.live;
    for n in 0..CALLS {
        let call_id = format!("8a7c6b5d4e3f2a1b{n:05}@198.51.100.23");
        let new = NewCall {
            id: Id(n),
            unix_ms: 1_700_000_000_000,
            call_id: &call_id,
            from_tag: "9fxced76sl",
            from: "sip:alice@atlanta.example.com",
            to: "sip:bob@biloxi.example.com",
            caller: "alice",
            called: "bob",
            user: "alice",
            source: "udp:192.0.2.1:5060",
            peer_in: "",
        };
        let call = calls.begin(now, &new).unwrap();
        calls.tried(call, Tried { target: "sip:bob@198.51.100.77:5062;transport=udp".into(), ..Tried::default() });
        calls.answered(now, call, 0, "314159", 200).unwrap();
        places.push(call);
    }
    let each = (Heap::now().live - before.live - list) / CALLS + OVERHEAD;
    println!("{each} octets a call");
    assert!(each <= 600, "{each} octets a call");

    for call in places {
        assert!(calls.end(now, call, None, End { status: 0, by: ReleasedBy::Caller, reason: "" }).is_some());
    }
    assert!(calls.is_empty());
    let left = Heap::now().live.saturating_sub(before.live);
    assert!(left <= 64 << 10, "{left} octets are left of {CALLS} calls");
}
