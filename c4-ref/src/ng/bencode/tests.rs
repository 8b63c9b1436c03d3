use super::*;
use proptest::prelude::*;

fn ok(octets: &[u8]) -> Item<'_> {
    parse(octets, &Limits::default()).unwrap()
}

fn fails(octets: &[u8]) -> Error {
    parse(octets, &Limits::default()).unwrap_err()
}

#[test]
fn each_kind_of_item_is_read() {
    assert_eq!(ok(b"i-42e"), Item::Integer(-42));
    assert_eq!(ok(b"i0e"), Item::Integer(0));
    assert_eq!(ok(b"i9223372036854775807e"), Item::Integer(i64::MAX));
    assert_eq!(ok(b"i-9223372036854775808e"), Item::Integer(i64::MIN));
    assert_eq!(ok(b"0:"), Item::Octets(b""));
    assert_eq!(ok(b"10:0123456789"), Item::Octets(b"0123456789"));
    assert_eq!(ok(b"le").list().unwrap().iter().count(), 0);
    let items: Vec<_> = ok(b"l1:aleli1eei7ee").list().unwrap().iter().collect();
    assert_eq!(items.len(), 4);
    assert_eq!(items[3], Item::Integer(7));
}

#[test]
fn keys_in_any_order_and_the_first_of_two_counts() {
    let dict = ok(b"d1:z1:11:a1:21:z1:3e").dict().unwrap();
    assert_eq!(dict.get(b"z"), Some(Item::Octets(b"1")));
    assert_eq!(dict.get(b"a"), Some(Item::Octets(b"2")));
    assert_eq!(dict.get(b"q"), None);
    assert_eq!(ok(b"d1:z1:11:a1:21:z1:3e").to_value().to_vec(), b"d1:a1:21:z1:1e");
}

#[test]
fn numbers_have_one_form_only() {
    for bad in ["i01e", "i-0e", "i00e", "ie", "i-e", "i+1e", "i1.5e", "i9223372036854775808e", "i-9223372036854775809e"]
    {
        assert!(matches!(fails(bad.as_bytes()), Error::Syntax { .. }), "{bad}");
    }
    for bad in ["-1:a", "01:a", "00:", "+1:a", "1;a", ":a"] {
        assert!(matches!(fails(bad.as_bytes()), Error::Syntax { .. }), "{bad}");
    }
}

#[test]
fn a_dictionary_is_pairs_with_string_keys() {
    for bad in ["di1e1:ae", "d1:ae", "d1:a1:b1:ce", "dle1:ae", "e", "d"] {
        assert!(parse(bad.as_bytes(), &Limits::default()).is_err(), "{bad}");
    }
}

#[test]
fn bounds_hold_before_anything_is_allocated() {
    assert_eq!(fails(b"99999999999999999999999999:a"), Error::TooLong);
    assert_eq!(fails(b"65536:a"), Error::TooLong);
    assert_eq!(fails(b"65530:a"), Error::Truncated);
    assert_eq!(fails(&b"l".repeat(1_000_000)), Error::TooDeep);
    assert_eq!(fails(&b"d1:a".repeat(20)), Error::TooDeep);
    let many = [b"l".as_slice(), &b"0:".repeat(5000), b"e"].concat();
    assert_eq!(fails(&many), Error::TooMany);
    let long = [b"l".as_slice(), &b"i1234567890123456e".repeat(4000), b"e"].concat();
    assert_eq!(fails(&long), Error::TooLong);
    let depth = |n: usize| [b"l".repeat(n), b"e".repeat(n)].concat();
    assert!(parse(&depth(16), &Limits::default()).is_ok());
    assert_eq!(fails(&depth(17)), Error::TooDeep);
    let most = Limits { depth: 255, ..Limits::default() };
    assert!(parse(&depth(32), &most).is_ok());
    assert_eq!(parse(&depth(33), &most), Err(Error::TooDeep));
}

#[test]
fn what_is_cut_or_too_long_says_so() {
    let whole = b"d7:command5:offer4:listli1eee";
    for cut in 0..whole.len() {
        assert_eq!(fails(&whole[..cut]), Error::Truncated, "{cut}");
    }
    assert_eq!(fails(b"i1e\n"), Error::Trailing { at: 3 });
}

#[test]
fn a_reply_of_rtpengine_is_read_and_written_again() {
    let whole = include_bytes!("../../../tests/data/ng/query.bencode");
    let dict = ok(whole).dict().unwrap();
    let tags = dict.get(b"tags").unwrap().dict().unwrap();
    assert_eq!(tags.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), [b"a", b"b"]);
    let again = ok(whole).to_value().to_vec();
    assert_eq!(ok(&again).to_value(), ok(whole).to_value());
    assert_eq!(again.len(), whole.len());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|octets| Value::Octets(octets.into())),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|dict| Value::Dict(dict.into_iter().map(|(key, value)| (key.into(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in value()) {
        let octets = value.to_vec();
        prop_assert_eq!(ok(&octets).to_value(), value);
    }

    #[test]
    fn the_end_is_found_in_pieces_of_any_size(value in value(), size in 1usize..9, more in ".{0,5}") {
        let mut octets = value.to_vec();
        let end = octets.len();
        octets.extend_from_slice(more.as_bytes());
        let mut scanner = Scanner::new(Limits::default());
        let mut at = 0;
        for piece in octets.chunks(size) {
            match scanner.push(piece).unwrap() {
                Some(taken) => { at += taken; break }
                None => at += piece.len(),
            }
        }
        prop_assert_eq!(at, end);
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(prop_oneof![
        Just(b'd'), Just(b'l'), Just(b'i'), Just(b'e'), Just(b':'), Just(b'1'), Just(b'0'), any::<u8>()], 0..64)) {
        if let Ok(item) = parse(&octets, &Limits::default()) {
            let again = item.to_value().to_vec();
            prop_assert_eq!(parse(&again, &Limits::default()).unwrap().to_value(), item.to_value());
        }
    }
}
