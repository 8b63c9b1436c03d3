//! A third party that sprays media ports (RTP bleed and injection, CVE-2025-53399), against whole calls.

use super::*;

const STRANGER: &str = "203.0.113.66:4000";

/// A call in which the sprayer hits both ports every 5 ms from `from_ms` on, and the parties talk from where they really
/// are `late_ms` after the answer, which comes 2 s after the offer. What the sprayer got through, what it received, and
/// what the parties heard of each other.
fn attacked(received_from: bool, parties: [(&str, &str); 2], from_ms: u64, late_ms: u64) -> (u32, u32, u32) {
    let mut house = House::new(settings());
    let [(said_a, a), (said_b, b)] = parties;
    let request = |request: Request, real: &str| {
        let real: SocketAddr = real.parse().unwrap();
        Request { received_from: received_from.then_some(real.ip()), ..request }
    };
    let to_b = port(&house.ask(request(offer("a", None, sdp(said_a, 4000)), a)));
    let (mut to_a, stranger) = (None, at(STRANGER));
    let (mut injected, mut bled, mut heard) = (0, 0, 0);
    for ms in (0..15_000u64).step_by(5) {
        house.now += Duration::from_millis(5);
        if ms == 2000 {
            to_a = Some(port(&house.ask(request(answer("a", "b", sdp(said_b, 5000)), b))));
        }
        let ports = to_a.into_iter().chain([to_b]);
        for port in ports.clone().filter(|_| ms >= from_ms) {
            injected += u32::from(house.rtp(port, STRANGER).is_some());
        }
        if ms >= 2000 + late_ms && ms % 20 == 0 {
            for (port, from, other) in [(to_a.unwrap(), a, b), (to_b, b, a)] {
                let to = house.rtp(port, from);
                bled += u32::from(to == stranger);
                heard += u32::from(to == at(other));
            }
        }
    }
    (injected, bled, heard)
}

#[test]
fn lesson_1_a_sprayer_gets_fewer_than_five_packets_through_and_receives_fewer_than_five() {
    let public = [("192.0.2.1", "192.0.2.1:4000"), ("198.51.100.2", "198.51.100.2:5000")];
    let other_port = [("192.0.2.1", "192.0.2.1:31000"), ("198.51.100.2", "198.51.100.2:5000")];
    let nat = [("192.168.1.5", "198.51.100.7:31004"), ("10.0.0.9", "198.51.100.2:6000")];
    for (received_from, parties) in [(false, public), (false, other_port), (true, nat), (true, public)] {
        // Before the offer is answered, with the answer, seconds later; parties that start at once, and late.
        for from_ms in [0, 1_900, 2_000, 2_010, 5_000, 9_000] {
            for late_ms in [0, 100, 2_500, 6_000] {
                let (injected, bled, heard) = attacked(received_from, parties, from_ms, late_ms);
                let of = 2 * (15_000 - 2_000 - late_ms) as u32 / 20;
                assert!(injected < 5 && bled < 5, "{parties:?} {from_ms} {late_ms}: {injected} {bled}");
                assert!(heard + 5 > of, "{parties:?} {from_ms} {late_ms}: {heard} of {of}");
            }
        }
    }
}

#[test]
fn lesson_1_a_phone_behind_nat_that_nothing_vouches_for_is_never_traded_for_a_sprayer() {
    let nat = [("192.168.1.5", "198.51.100.7:31004"), ("198.51.100.2", "198.51.100.2:5000")];
    for from_ms in [0, 2_000, 9_000] {
        let (injected, bled, _) = attacked(false, nat, from_ms, 0);
        assert!(injected < 5 && bled < 5, "{from_ms}: {injected} {bled}");
    }
    let (_, _, heard) = attacked(false, nat, u64::MAX, 0);
    assert!(heard > 2 * (13_000 - 3_100) / 20, "alone it is heard after three seconds: {heard}");
}

#[test]
fn rtcp_is_learned_apart_and_from_the_host_of_rtp_alone() {
    let mut house = House::new(settings());
    let mut request = offer("a", None, sdp("192.168.1.5", 4000));
    request.received_from = "198.51.100.7".parse().ok();
    house.ask(request);
    let to_a = port(&house.ask(answer("a", "b", sdp(B, 5000))));
    let pair = house.on(to_a);
    house.rtp(to_a, "198.51.100.7:31004");
    let mut rtcp = |from: &str| {
        let mut packet = Packet::new();
        packet.fill(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
        house.relay.media().forward(house.now, pair.rtcp, from.parse().unwrap(), &mut packet)
    };
    assert!(matches!(rtcp(STRANGER), Verdict::Drop(_)));
    assert!(matches!(rtcp("198.51.100.7:31999"), Verdict::Send { .. }));
    assert!(matches!(rtcp("198.51.100.7:32000"), Verdict::Drop(_)), "another port of that host");
    assert_eq!(house.relay.media().remote(pair.rtcp), at("198.51.100.7:31999"));
    assert_eq!(house.relay.media().remote(pair.rtp), at("198.51.100.7:31004"));
}
