//! Flags that change how sockets work.

use super::*;
use crate::ng::{EndpointLearning, Flags, Tos, TransportProtocol};

fn with(request: Request, set: impl Fn(&mut Flags)) -> Request {
    let mut request = request;
    set(&mut request.flags);
    request
}

const A4: &str = "192.0.2.1:4000";
const B5: &str = "198.51.100.2:5000";

#[test]
fn tos_counts_for_the_whole_call_and_for_sockets_that_are_open() {
    let mut house = House::new(settings());
    let (a, b) = house.call();
    let tos = |house: &House| [a, b].map(|port| house.tos[&house.on(port).id]);
    assert_eq!(tos(&house), [184, 184]);
    house.ask(with(offer("a", Some("b"), sdp(A, 4000)), |flags| flags.tos = Tos::Set(32)));
    assert_eq!(tos(&house), [32, 32]);
    house.ask(with(answer("a", "b", sdp(B, 5000)), |flags| flags.tos = Tos::Set(8)));
    house.ask(with(offer("a", Some("b"), sdp(A, 4000)), |flags| flags.tos = Tos::Keep));
    assert_eq!(tos(&house), [32, 32], "only an offer changes it, and -1 does not");
    house.ask(offer("b", Some("a"), sdp(B, 5000)));
    assert_eq!(tos(&house), [184, 184], "without the key it is the configured one again");
}

#[test]
fn an_asymmetric_party_is_heard_from_anywhere_and_sent_to_where_it_said() {
    let mut house = House::new(settings());
    let to_b = port(&house.ask(with(offer("a", None, sdp(A, 4000)), |flags| flags.asymmetric = true)));
    let to_a = port(&house.ask(answer("a", "b", sdp(B, 5000))));
    assert_eq!(house.rtp(to_a, "203.0.113.50:9"), at(B5));
    assert_eq!(house.rtp(to_b, B5), at(A4), "nothing was learned");
    assert_eq!(house.rtp(to_b, "203.0.113.50:9"), None, "the other party is symmetric");
    let strict = |flags: &mut Flags| (flags.asymmetric, flags.strict_source) = (true, true);
    house.ask(with(offer("a", Some("b"), sdp(A, 4000)), strict));
    house.ask(answer("a", "b", sdp(B, 5000)));
    assert_eq!((house.rtp(to_a, "203.0.113.50:9"), house.rtp(to_a, A4)), (None, at(B5)));
}

#[test]
fn modes_of_learning_are_those_of_the_flag() {
    for (mode, stranger_first, party_then) in [
        (EndpointLearning::Off, None, at(B5)),
        (EndpointLearning::Immediate, at(B5), None),
        (EndpointLearning::Delayed, at(B5), None),
        (EndpointLearning::Heuristic, None, at(B5)),
    ] {
        let mut house = House::new(settings());
        house.ask(with(offer("a", None, sdp(A, 4000)), |flags| flags.endpoint_learning = Some(mode)));
        let to_a = port(&house.ask(answer("a", "b", sdp(B, 5000))));
        let got = (house.rtp(to_a, "203.0.113.50:9"), house.rtp(to_a, A4));
        assert_eq!(got, (stranger_first, party_then), "{mode:?}");
    }
}

#[test]
fn media_handover_follows_a_party_and_its_end_keeps_it_there() {
    let mut house = House::new(settings());
    let to_b = port(&house.ask(with(offer("a", None, sdp(A, 4000)), |flags| flags.media_handover = true)));
    let to_a = port(&house.ask(answer("a", "b", sdp(B, 5000))));
    for from in [A4, "203.0.113.50:9", "203.0.113.51:9"] {
        assert_eq!(house.rtp(to_a, from), at(B5));
        assert_eq!(house.rtp(to_b, B5), at(from));
    }
    house.ask(offer("a", Some("b"), sdp(A, 4000)));
    house.ask(answer("a", "b", sdp(B, 5000)));
    assert_eq!(house.rtp(to_b, B5), at("203.0.113.51:9"), "a refresh without the flag forgets nothing");
    assert_eq!(house.rtp(to_a, "203.0.113.52:9"), None);
}

#[test]
fn reset_forgets_where_the_parties_are_once_it_is_answered() {
    let mut house = House::new(settings());
    let (a, b) = house.call();
    house.rtp(a, "192.0.2.1:31000");
    house.ask(with(offer("a", Some("b"), sdp(A, 4000)), |flags| flags.reset = true));
    assert_eq!(house.rtp(b, B5), at("192.0.2.1:31000"));
    house.ask(answer("a", "b", sdp(B, 5000)));
    assert_eq!(house.rtp(b, B5), at(A4));
    assert_eq!(house.rtp(a, "192.0.2.1:32000"), at(B5), "it is found anew");
    assert_eq!(house.rtp(b, B5), at("192.0.2.1:32000"));
}

#[test]
fn nat_wait_keeps_media_back_until_the_party_has_sent() {
    let mut house = House::new(settings());
    let to_b = port(&house.ask(with(offer("a", None, sdp(A, 4000)), |flags| flags.nat_wait = true)));
    let to_a = port(&house.ask(answer("a", "b", sdp(B, 5000))));
    assert_eq!(house.rtp(to_b, B5), None);
    let socket = house.on(to_b).rtp;
    assert_eq!(house.relay.media().stats(socket).unwrap().dropped(media::Reason::Waiting), 1);
    assert_eq!(house.rtp(to_a, A4), at(B5), "the other party does not wait");
    assert_eq!(house.rtp(to_b, B5), at(A4));
}

#[test]
fn pierce_nat_sends_empty_datagrams_until_the_party_has_sent() {
    let mut house = House::new(settings());
    house.ask(offer("a", None, sdp(A, 4000)));
    house.ask(with(answer("a", "b", sdp(B, 5000)), |flags| flags.pierce_nat = true));
    house.pass(3);
    let pair = *house.open.values().find(|pair| house.pierced[0].0 == pair.rtp).unwrap();
    assert_eq!(house.pierced[..2], [(pair.rtp, at(B5).unwrap()), (pair.rtcp, at("198.51.100.2:5001").unwrap())]);
    assert_eq!(house.pierced.len(), 8, "at once, and each second");
    house.rtp(pair.local.port(), B5);
    house.pierced.clear();
    house.pass(2);
    assert!(house.pierced.iter().all(|(socket, _)| *socket == pair.rtcp), "RTCP still waits");
}

#[test]
fn ports_change_with_those_of_the_party_only_where_latching_is_off() {
    let mut house = House::new(settings());
    let (a, b) = house.call();
    for latching in [None, Some(true)] {
        let again = with(offer("a", Some("b"), sdp(A, 4100)), |flags| flags.port_latching = latching);
        assert_eq!(port(&house.ask(again)), b);
    }
    let off = |flags: &mut Flags| flags.port_latching = Some(false);
    assert_eq!(port(&house.ask(with(offer("a", Some("b"), sdp(A, 4000)), off))), b, "the party's are the same");
    let new = port(&house.ask(with(offer("a", Some("b"), sdp(A, 4200)), off)));
    assert_ne!(new, b);
    // Until it is answered B is where it was, and neither side notices.
    assert_eq!((house.open.len(), house.rtp(b, B5), house.rtp(a, A4)), (3, at(A4), at(B5)));
    assert_eq!(house.rtp(new, B5), at(A4), "the answer may come after the first packet");
    assert_eq!(port(&house.ask(answer("a", "b", sdp(B, 5000)))), a);
    assert_eq!(house.open.len(), 2);
    assert_eq!((house.rtp(new, B5), house.rtp(a, "192.0.2.1:4200")), (at("192.0.2.1:4200"), at(B5)));
}

#[test]
fn a_reoffer_that_moves_sockets_and_is_refused_harms_nothing() {
    let mut house = House::new(settings());
    let (a, b) = house.call();
    for _ in 0..3 {
        house.ask(with(offer("a", Some("b"), sdp(A, 4000)), |flags| flags.direction.to = Some("ext".into())));
        house.ask(with(offer("a", Some("b"), sdp(A, 4000)), |flags| flags.direction.to = Some("int".into())));
        // A failure route's delete of a refused re-INVITE, and the call goes on.
        house.ask(delete("a", Some("b")));
        house.ask(offer("b", Some("a"), sdp(B, 5000)));
    }
    assert_eq!((house.rtp(a, A4), house.rtp(b, B5)), (at(B5), at(A4)));
    assert_eq!(house.open.len(), 3, "at most one pair waits");
}

#[test]
fn encryption_that_cannot_be_taken_off_is_an_error_and_passes_where_nobody_asks() {
    let sdes = sdp(A, 4000).replace("RTP/AVP", "RTP/SAVP");
    let dtls = sdp(A, 4000).replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
    let ask =
        |sdp: &str, set: &dyn Fn(&mut Flags)| House::new(settings()).ask(with(offer("a", None, sdp.to_owned()), set));
    let error = |protocol: &str| Reply::error(format!("to take the encryption off {protocol} is not supported"));
    let plain = |flags: &mut Flags| flags.transport_protocol = Some(TransportProtocol::Avp);
    assert_eq!(ask(&sdes, &plain), error("RTP/SAVP"));
    assert_eq!(ask(&dtls, &plain), error("UDP/TLS/RTP/SAVPF"));
    assert_eq!(ask(&sdes, &|flags| flags.sdes_off = true), error("RTP/SAVP"));
    assert_eq!(ask(&dtls, &|flags| flags.dtls_off = true), error("UDP/TLS/RTP/SAVPF"));
    for (sdp, set) in [(&sdes, &(|flags: &mut Flags| flags.dtls_off = true) as &dyn Fn(&mut Flags)), (&dtls, &|_| {})] {
        assert!(ask(sdp, set).sdp().is_some());
    }
    let all = |flags: &mut Flags| (flags.sdes_off, flags.dtls_off) = (true, true);
    assert!(ask(&sdp(A, 4000), &all).sdp().is_some(), "plain RTP is what they ask for");
}

#[test]
fn an_unsupported_flag_is_an_error_with_its_reason_and_changes_nothing() {
    let mut house = House::new(settings());
    let mut request = offer("a", None, sdp(A, 4000));
    request.flags.unsupported = Some("codec-strip=PCMU is not supported".into());
    assert_eq!(house.ask(request), Reply::error("codec-strip=PCMU is not supported"));
    assert_eq!((house.relay.calls(), house.open.len()), (0, 0));
}
