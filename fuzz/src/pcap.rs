//! Capture files: any octets, whole or in pieces, give the same calls, or the same error.

use c4_ref::ladder::{Choice, Trace, render};

/// Frames that one input may have, so that a run stays short.
const FRAMES: u64 = 1 << 12;

/// Any octets of a file.
///
/// # Panics
/// When pieces of a file are read otherwise than the whole of it.
pub fn run(octets: &[u8]) {
    let mut whole = Trace::new();
    let result = whole.push(octets);
    assert!(whole.counts().rest as usize <= octets.len());
    if whole.counts().frames > FRAMES {
        return;
    }
    let choice = Choice { all: true, ..Choice::default() };
    let mut pieces = Trace::new();
    let piecewise = octets.chunks(5).try_for_each(|piece| pieces.push(piece));
    assert_eq!(piecewise, result);
    assert_eq!(render(&pieces, &choice), render(&whole, &choice));
}
