//! What `query` and `delete` tell.

use super::*;
use crate::ng::bencode::{Dictionary, Value};

fn dict<'a>(dict: &'a Dictionary, path: &[&str]) -> &'a Dictionary {
    path.iter().fold(dict, |dict, key| match dict.get(*key) {
        Some(Value::Dict(dict)) => dict,
        other => panic!("{key}: {other:?} in {:?}", dict.keys()),
    })
}

fn number(dict: &Dictionary, key: &str) -> i64 {
    match dict.get(key) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{key}: {other:?}"),
    }
}

/// A minute of speech from A, whose every tenth packet is lost.
fn talk(house: &mut House) {
    let to_b = port(&house.ask(offer("a", None, sdp(A, 4000))));
    house.ask(answer("a", "b", sdp(B, 5000)));
    let faces_a = house.open.values().find(|pair| pair.local.port() != to_b).copied().unwrap();
    let mut packet = Packet::new();
    for n in (0..3000u16).filter(|n| n % 10 != 5) {
        let [high, low] = n.to_be_bytes();
        let [t1, t2, t3, t4] = (u32::from(n) * 160).to_be_bytes();
        packet.fill(&[&[0x80, 0, high, low, t1, t2, t3, t4, 0, 0, 0x11, 0x11][..], &[0xff; 160]].concat());
        let now = house.now + Duration::from_millis(20) * u32::from(n);
        let verdict = house.relay.media().forward(now, faces_a.rtp, "192.0.2.1:4000".parse().unwrap(), &mut packet);
        assert!(matches!(verdict, Verdict::Send { .. }));
    }
    house.now += Duration::from_secs(59);
}

#[test]
fn a_query_and_a_delete_tell_of_each_source_in_rtpengines_words() {
    let mut house = House::new(settings());
    talk(&mut house);
    for request in [query(), delete("a", None)] {
        let Reply::Ok(tree) = house.ask(request) else { panic!() };
        let source = dict(&tree, &["SSRC", "4369"]);
        assert_eq!((number(source, "packets"), number(source, "bytes")), (2700, 2700 * 172));
        assert_eq!((number(source, "cumulative loss"), number(source, "packet loss")), (300, 10));
        assert_eq!(number(source, "last packet"), 1_800_000_059);
        for key in ["average MOS", "lowest MOS", "highest MOS"] {
            let mos = dict(source, &[key]);
            assert!((33..=38).contains(&number(mos, "MOS")), "{key} {mos:?}");
            for key in ["jitter", "packet loss", "round-trip time", "round-trip time leg"] {
                number(mos, key);
            }
        }
        assert!(number(dict(source, &["average MOS"]), "samples") >= 11);
        let totals = dict(&tree, &["totals", "RTP"]);
        assert_eq!((number(totals, "packets"), number(totals, "errors")), (2700, 0));
        assert_eq!(number(dict(&tree, &["totals", "RTCP"]), "packets"), 0);
        let Some(Value::List(medias)) = dict(&tree, &["tags", "a"]).get("medias") else { panic!() };
        let Value::Dict(media) = &medias[0] else { panic!() };
        assert_eq!(media.get("codec"), Some(&Value::from("PCMU/8000")));
        let Some(Value::List(streams)) = media.get("streams") else { panic!() };
        let Value::Dict(stream) = &streams[0] else { panic!() };
        assert_eq!((number(stream, "SSRC"), number(dict(stream, &["stats"]), "packets")), (4369, 2700));
        assert!(matches!(stream.get("ingress SSRCs"), Some(Value::List(list)) if list.len() == 1));
    }
}

#[test]
fn totals_keep_what_closed_sockets_have_counted() {
    let mut house = House::new(settings());
    talk(&mut house);
    // The party turns to the other interface: its sockets are replaced.
    let mut request = offer("a", Some("b"), sdp(A, 4000));
    request.flags.direction.from = Some("ext".into());
    house.ask(request);
    let Reply::Ok(tree) = house.ask(query()) else { panic!() };
    assert_eq!(number(dict(&tree, &["totals", "RTP"]), "packets"), 2700);
}
