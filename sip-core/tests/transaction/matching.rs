//! RFC 3261 §17.2.3: which request belongs to which transaction.

use crate::rig::*;
use c4_sip_core::Transport;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Event, shard_of_branch};

fn request(method: &str, via: &str) -> String {
    incoming(method, Transport::Udp, via)
}

#[test]
fn rfc3261_17_2_3_branch_sent_by_and_method_make_the_transaction() {
    let mut rig = Rig::new();
    rig.arrives(udp(), &request("INVITE", "a.example:5060;branch=z9hG4bK1"));
    for (method, via) in [
        ("INVITE", "a.example:5060;branch=z9hG4bK2"),
        ("INVITE", "a.example:5061;branch=z9hG4bK1"),
        ("INVITE", "a.example;branch=z9hG4bK1"),
        ("INVITE", "b.example:5060;branch=z9hG4bK1"),
        ("OPTIONS", "a.example:5060;branch=z9hG4bK1"),
        ("invite", "a.example:5060;branch=z9hG4bK1"),
    ] {
        rig.arrives(udp(), &request(method, via));
    }
    for via in ["a.example:5060;branch=z9hG4bK1", "A.EXAMPLE:5060 ; x=y ; Branch=z9hG4bK1;rport"] {
        rig.receive(udp(), parse(&request("INVITE", via)));
        assert!(rig.events().is_empty(), "{via}");
    }
    assert_eq!(rig.layer.stats().current, 7);
}

#[test]
fn rfc3261_17_2_3_without_the_cookie_the_rules_of_rfc_2543_apply() {
    let mut rig = Rig::new();
    for via in ["a.example:5060", "a.example:5060;branch=1"] {
        let (id, invite) = rig.arrives(udp(), &request("INVITE", via));
        rig.receive(udp(), parse(&request("INVITE", via)));
        assert!(rig.events().is_empty());
        for other in [
            request("INVITE", via).replace("CSeq: 7", "CSeq: 8"),
            request("INVITE", via).replace("tag=theirs", "tag=others"),
            request("INVITE", via).replace("call@", "other@"),
            request("INVITE", via).replace("INVITE sip:b@", "INVITE sip:c@"),
        ] {
            rig.arrives(udp(), &other);
        }
        rig.respond(id, &invite, 486);
        rig.sent();
        let ack = request("ACK", via);
        rig.receive(udp(), parse(&ack.replace("tag=ours", "tag=others")));
        assert_eq!(rig.kinds(), ["Ack"], "another response's ACK");
        rig.receive(udp(), parse(&ack));
        assert!(rig.events().is_empty());
        assert!(rig.run(rig.clock.elapsed() + ms(4000)).iter().all(|sent| !sent.text.starts_with("SIP/2.0 486")));
    }
}

#[test]
fn rfc3261_8_2_2_2_a_merged_request_is_marked() {
    let mut rig = Rig::new();
    let (first, _) = rig.arrives(udp(), &request("INVITE", "a.example;branch=z9hG4bK1"));
    let (second, _) = rig.arrives(udp(), &request("INVITE", "b.example;branch=z9hG4bK2"));
    assert_eq!((rig.layer.is_merged(first), rig.layer.is_merged(second)), (false, true));
    let other = request("INVITE", "b.example;branch=z9hG4bK3").replace("CSeq: 7", "CSeq: 8");
    let (third, _) = rig.arrives(udp(), &other);
    let tagged = request("INVITE", "b.example;branch=z9hG4bK4").replace("To: <sip:b@example.com>", "$&;tag=x");
    let tagged = tagged.replace("$&", "To: <sip:b@example.com>");
    let (fourth, _) = rig.arrives(udp(), &tagged);
    assert_eq!((rig.layer.is_merged(third), rig.layer.is_merged(fourth)), (false, false));
}

#[test]
fn a_branch_of_ours_names_its_shard() {
    let mut rig = Rig::with(|config| config.shard = 0xabc);
    let (_, sent) = rig.request(c4_sip_core::Method::Options, udp());
    let via = sent.header(Header::Via);
    let (_, branch) = via.split_once("branch=").unwrap();
    assert_eq!(shard_of_branch(branch), Some(0xabc));
}

#[test]
fn sent_by_is_that_of_the_listener() {
    let mut rig = Rig::new();
    rig.layer.set_sent_by(Transport::Udp, addr("[2001:db8::9]:5062"), "six.example");
    rig.layer.set_sent_by(Transport::Udp, addr("198.51.100.9:5062"), "other.example:5062");
    let target = |remote: &str| c4_sip_core::Target::new(Transport::Udp, addr(remote));
    let mut via = |to: c4_sip_core::Target| {
        let (_, sent) = rig.request(c4_sip_core::Method::Options, to);
        (sent.flow.local.to_string(), sent.header(Header::Via).split(';').next().unwrap().to_owned())
    };
    assert_eq!(via(target("192.0.2.1:5060")), ("192.0.2.9:5060".into(), "SIP/2.0/UDP b.example:5060".into()));
    assert_eq!(via(target("[2001:db8::1]:5060")), ("[2001:db8::9]:5062".into(), "SIP/2.0/UDP six.example".into()));
    let mut chosen = target("192.0.2.1:5060");
    chosen.local = Some(addr("198.51.100.9:5062"));
    assert_eq!(via(chosen), ("198.51.100.9:5062".into(), "SIP/2.0/UDP other.example:5062".into()));
    let mut unknown = target("192.0.2.1:5060");
    unknown.local = Some(addr("198.51.100.77:5063"));
    assert_eq!(via(unknown), ("198.51.100.77:5063".into(), "SIP/2.0/UDP 198.51.100.77:5063".into()));
}

#[test]
fn the_same_seed_makes_the_same_octets_and_another_seed_others() {
    let octets = |seed: u8| {
        let mut rig = Rig::with(|config| config.seed = [seed; 32]);
        rig.request(c4_sip_core::Method::Invite, udp()).1.text
    };
    assert_eq!(octets(1), octets(1));
    assert_ne!(octets(1), octets(2));
}

#[test]
fn a_request_that_comes_by_another_flow_is_still_a_retransmission() {
    let mut rig = Rig::new();
    let text = request("OPTIONS", VIA);
    let (id, first) = rig.arrives(udp(), &text);
    rig.respond(id, &first, 200);
    rig.sent();
    let mut other = udp();
    other.remote = addr("192.0.2.1:7777");
    rig.receive(other, parse(&text));
    assert_eq!(rig.sent()[0].flow, udp(), "answered where the first came from");
    assert!(!rig.events().iter().any(|event| matches!(event, Event::Request { .. })));
}
