use super::*;

/// Nanoseconds, link type, octets, length on the wire.
type Told = (u128, u16, Vec<u8>, u32);

fn frames(file: &[u8]) -> Result<Vec<Told>, Error> {
    let mut reader = Reader::new();
    reader.push(file);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next()? {
        frames.push((frame.at.as_nanos(), frame.link, frame.octets.to_vec(), frame.length));
    }
    Ok(frames)
}

fn words(order: Order, words: &[u32]) -> Vec<u8> {
    let octets = |word: &u32| if order == Order::Big { word.to_be_bytes() } else { word.to_le_bytes() };
    words.iter().flat_map(octets).collect()
}

fn halves(order: Order, first: u16, second: u16) -> u32 {
    let (first, second) = (u32::from(first), u32::from(second));
    if order == Order::Big { first << 16 | second } else { second << 16 | first }
}

#[test]
fn both_orders_and_both_units_of_time() {
    for order in [Order::Big, Order::Little] {
        for (magic, nanoseconds) in [(0xa1b2_c3d4, 9_000), (0xa1b2_3c4d, 9)] {
            let head = words(order, &[magic, 0, 0, 0, 65_535, 0x4000_0000 | 113]);
            let file = [head, words(order, &[5, 9, 3, 60]), vec![1, 2, 3]].concat();
            assert_eq!(frames(&file), Ok(vec![(5_000_000_000 + nanoseconds, 113, vec![1, 2, 3], 60)]));
        }
    }
}

fn block(order: Order, kind: u32, body: &[u32]) -> Vec<u8> {
    let length = 12 + 4 * body.len() as u32;
    words(order, &[&[kind, length][..], body, &[length]].concat())
}

fn section(order: Order) -> Vec<u8> {
    block(order, 0x0a0d_0d0a, &[0x1a2b_3c4d, halves(order, 1, 0), u32::MAX, u32::MAX])
}

#[test]
fn pcapng_interfaces_have_links_units_and_offsets_of_their_own() {
    for order in [Order::Big, Order::Little] {
        let micro = block(order, 1, &[halves(order, 101, 0), 0]);
        let power = if order == Order::Big { 9 << 24 } else { 9 };
        let offset = if order == Order::Big { [0, 100] } else { [100, 0] };
        let options = [halves(order, 9, 1), power, halves(order, 14, 8), offset[0], offset[1], 0];
        let nano = block(order, 1, &[&[halves(order, 276, 0), 0][..], &options].concat());
        let body = [0x0101_0101];
        let file = [
            section(order),
            micro,
            nano,
            block(order, 0x0bad_cafe, &[1, 2, 3]),
            block(order, 6, &[&[0, 0, 7, 4, 60][..], &body].concat()),
            block(order, 6, &[&[1, 1, 0, 4, 4][..], &body].concat()),
            block(order, 6, &[&[2, 0, 0, 4, 4][..], &body].concat()),
            block(order, 3, &[&[3][..], &body].concat()),
            // A new section has new interfaces.
            section(order),
            block(order, 3, &[&[4][..], &body].concat()),
        ];
        let expected = vec![
            (7_000, 101, vec![1; 4], 60),
            (100_000_000_000 + (1 << 32), 276, vec![1; 4], 4),
            (0, 101, vec![1; 3], 3),
        ];
        assert_eq!(frames(&file.concat()), Ok(expected), "{order:?}");
    }
}

#[test]
fn pcapng_blocks_that_contradict_themselves_end_it() {
    let order = Order::Little;
    let good = [section(order), block(order, 1, &[101, 0])].concat();
    let mut length = block(order, 6, &[0, 0, 7, 4, 60, 0]);
    let last = length.len() - 1;
    length[last] = 1;
    for (bad, error) in [
        (length, Error::Block),
        (block(order, 6, &[0, 0, 7, 5, 60, 0]), Error::Block),
        (block(order, 6, &[0, 0, 7]), Error::Block),
        (words(order, &[6, 13, 0, 0]), Error::Block),
        (words(order, &[6, 8, 0, 0]), Error::Block),
        (words(order, &[6, 1 << 30, 0, 0]), Error::Length(1 << 30)),
        (block(order, 0x0a0d_0d0a, &[1, 2, 3]), Error::Block),
        (block(order, 1, &[101, 0, 0x0001_0009, 0x7f]), Error::Block),
        (block(order, 3, &[]), Error::Block),
    ] {
        assert_eq!(frames(&[&good[..], &bad].concat()), Err(error), "{bad:?}");
    }
}

#[test]
fn an_empty_file_is_no_error_yet() {
    assert_eq!(frames(b""), Ok(vec![]));
    assert_eq!(frames(b"\xd4\xc3\xb2\xa1"), Ok(vec![]));
    assert_eq!(frames(b"PK\x03\x04"), Err(Error::Unknown));
}
