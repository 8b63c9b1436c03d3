//! Any octets as bencode.

use c4_ref::ng::bencode::{Error, Limits, Scanner, parse};

/// Reads the octets whole and in pieces, and writes them again.
///
/// # Panics
/// When both ways of reading differ, or what is written does not read back as the same.
pub fn run(data: &[u8]) {
    let limits = Limits::default();
    let whole = parse(data, &limits);
    let mut scanner = Scanner::new(limits);
    let mut pieces = data.chunks(3).map(|piece| scanner.push(piece));
    let end = pieces.find(|end| !matches!(end, Ok(None)));
    match (&whole, end) {
        (Ok(_), Some(Ok(Some(_)))) | (Err(Error::Truncated), None) => {}
        (Err(Error::Trailing { .. }), Some(Ok(Some(_)))) => {}
        (Err(one), Some(Err(other))) => assert_eq!(*one, other, "two ways of reading"),
        (one, other) => panic!("{one:?} and {other:?}"),
    }
    let Ok(item) = whole else { return };
    let value = item.to_value();
    let written = value.to_vec();
    // Keys that are no UTF-8 grow when they are made so.
    let wide = Limits { octets: limits.octets * 4, ..limits };
    let again = parse(&written, &wide).expect("what was written reads back");
    assert_eq!(again.to_value(), value, "what was written reads back as the same");
}
