//! Calls whose media has ended: what relays tell, what they answer when they are asked, and relays that are lost.

use c4_ref::config;
use c4_ref::machine::Machine;
use c4_ref::ng::{Command, Reply};
use c4_ref::proxy::media::{MOST_WAIT, Policy};
use c4_ref::proxy::shards;
use sip_core::header::Header;

use crate::harness::{Rig, UNIX, address, ms, reply, s, settings};
use crate::media::{ALICE, BOB, ONE, TWO, body, reinvite, with_relays};

/// The plain socket for notices: after the one for IPv4 relays.
const NOTICES: usize = 1;
const RELAY: &str = "10.9.0.1:40000";

fn heard(relays: &[&str]) -> config::Proxy {
    config::Proxy { relay_events: "udp:10.0.0.1:9000".into(), ..with_relays(relays, Policy::Pass) }
}

fn rig(config: &config::Proxy) -> Rig {
    let mut rig = Rig::new(config);
    rig.registered("bob", BOB, "");
    rig
}

impl Rig {
    fn notice(&mut self, from: &str, text: &str) {
        self.app.handle_datagram(self.now, NOTICES, address(from), text.to_owned().into());
        self.drain();
    }
}

#[test]
fn a_media_timeout_ends_both_sides_and_the_record_ends_with_the_last_packet() {
    let mut rig = rig(&heard(&[ONE]));
    let call = rig.relayed_call();
    rig.pass(s(5));
    rig.udp(BOB, &call.of_callee("INFO", 41).text());
    let info = rig.find("INFO", ALICE);
    rig.udp(ALICE, &reply(&info, "200 OK", "", ""));
    rig.pass(s(95));
    rig.take();
    rig.notice(RELAY, r#"{"event":"media-timeout","call-id":"c","from-tag":"a","last-packet-ms":60000}"#);
    let (to_alice, to_bob) = (rig.find("BYE", ALICE), rig.find("BYE", BOB));
    assert_eq!(to_alice.message.request_uri(), Some("sip:alice@192.0.2.1:5060"));
    assert_eq!(to_bob.message.request_uri(), Some("sip:bob@192.0.2.2:5060"));
    assert_eq!(to_alice.header(Header::From), "<sip:bob@example.com>;tag=b");
    assert_eq!(to_alice.header(Header::To), "<sip:alice@example.com>;tag=a");
    assert_eq!(to_bob.header(Header::From), "<sip:alice@example.com>;tag=a");
    assert_eq!(to_bob.header(Header::To), "<sip:bob@example.com>;tag=b");
    assert_eq!((to_alice.header(Header::CSeq).as_str(), to_bob.header(Header::CSeq).as_str()), ("42 BYE", "2 BYE"));
    assert_eq!(to_bob.header(Header::Reason), "Q.850;cause=102;text=\"media timeout\"");
    let record = &rig.records[0];
    assert_eq!(
        (&record["duration_ms"], &record["cause"], &record["released_by"]),
        (&40_000.into(), &102.into(), &"proxy".into())
    );
    rig.udp(ALICE, &reply(&to_alice, "200 OK", "", ""));
    rig.udp(BOB, &reply(&to_bob, "200 OK", "", ""));
    rig.pass(s(60));
    assert_eq!((rig.records.len(), rig.stats()["dialogs"].as_u64(), rig.media("watched")), (1, Some(0), 0));
    assert!(rig.asked().is_empty(), "the relay has forgotten it already");
}

#[test]
fn a_call_without_any_packet_lasted_no_time() {
    let mut rig = rig(&heard(&[ONE]));
    rig.relayed_call();
    rig.pass(s(60));
    rig.notice(RELAY, r#"{"event":"media-timeout","call-id":"c","from-tag":"a","last-packet-ms":null}"#);
    assert_eq!(rig.records[0]["duration_ms"], 0);
}

#[test]
fn notices_of_strangers_and_of_unknown_calls_end_nothing() {
    let mut rig = rig(&heard(&[ONE]));
    rig.relayed_call();
    for (from, text) in [
        ("10.9.0.66:40000", r#"{"event":"media-timeout","call-id":"c","from-tag":"a"}"#),
        (RELAY, r#"{"event":"media-timeout","call-id":"other","from-tag":"a"}"#),
        (RELAY, r#"{"event":"media-timeout","call-id":"c","from-tag":"guess"}"#),
        (RELAY, r#"{"event":"hello","call-id":"c","from-tag":"a"}"#),
        (RELAY, "{"),
        (RELAY, "\u{0}"),
    ] {
        rig.notice(from, text);
        assert!(rig.take().is_empty() && rig.records.is_empty(), "{from} {text}");
    }
    assert_eq!((rig.media("stray-notices"), rig.media("watched")), (6, 1));
}

#[test]
fn a_call_that_ends_by_bye_is_watched_no_more() {
    let mut rig = rig(&heard(&[ONE]));
    let call = rig.relayed_call();
    rig.hang_up(&call);
    assert_eq!(rig.media("watched"), 0);
}

#[test]
fn byes_follow_a_target_refresh() {
    let mut rig = rig(&heard(&[ONE]));
    let call = rig.relayed_call();
    let moved =
        reinvite(&call, true, 2, "new").text().replace("<sip:alice@192.0.2.1:5060>", "<sip:alice@192.0.2.9:5060>");
    rig.udp(ALICE, &moved);
    let offer = rig.question();
    rig.relay_says(&offer, &Reply::with_sdp("new-2".into()));
    let again = rig.find("INVITE", BOB);
    assert_eq!(body(&again), "new-2");
    rig.udp(BOB, &reply(&again, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.take();
    rig.notice(RELAY, r#"{"event":"media-timeout","call-id":"c","from-tag":"b","last-packet-ms":1}"#);
    rig.find("BYE", "192.0.2.9:5060");
    assert_eq!(rig.find("BYE", BOB).header(Header::CSeq), "3 BYE");
}

#[test]
fn a_relay_that_is_asked_and_knows_the_call_no_more_ends_it() {
    let mut rig = rig(&config::Proxy { relay_poll_s: 10, ..with_relays(&[ONE], Policy::Pass) });
    rig.relayed_call();
    rig.pass(s(10));
    let query = rig.question();
    assert_eq!((query.what().as_str(), &query.request.command), ("query >", &Command::Query));
    let last = (UNIX + s(7)).as_secs() as u32;
    let tree = format!("d6:result2:ok4:tagsd1:ad6:mediasld7:streamsld11:last packeti{last}eed11:last packeti0eeeeeeee");
    rig.relay_says(&query, &Reply::parse(tree.as_bytes()).unwrap());
    assert!(rig.take().is_empty());
    rig.pass(s(10));
    let query = rig.question();
    rig.relay_says(&query, &Reply::error("Unknown call-id"));
    rig.find("BYE", ALICE);
    rig.find("BYE", BOB);
    assert_eq!(rig.records[0]["duration_ms"], 7000);
    assert_eq!(rig.media("queries"), 2);
}

#[test]
fn calls_of_a_relay_that_stays_down_end_where_the_policy_refuses() {
    let mut rig = rig(&with_relays(&[ONE], Policy::Refuse));
    rig.relayed_call();
    let relay = address("10.9.0.1:2223");
    rig.dead = vec![relay];
    rig.pass(s(5));
    assert_eq!(rig.media("relays-down"), 1);
    rig.dead.clear();
    rig.pass(s(20));
    assert!(rig.take().iter().all(|sent| sent.what() != "BYE"), "a short absence ends nothing");
    rig.dead = vec![relay];
    rig.pass(s(2) + MOST_WAIT + s(10) + ms(100));
    rig.find("BYE", ALICE);
    rig.find("BYE", BOB);
    assert_eq!(rig.records[0]["cause"], 41);
}

#[test]
fn a_call_that_moved_is_not_lost_with_its_first_relay() {
    let mut rig = rig(&with_relays(&[ONE, TWO], Policy::Refuse));
    let call = rig.relayed_call();
    rig.udp(ALICE, &reinvite(&call, true, 2, "one").text());
    let first = rig.question();
    rig.dead = vec![first.relay];
    rig.pass(ms(700));
    let second = rig.asked().pop().unwrap();
    assert_ne!(second.relay, first.relay);
    rig.relay_says(&second, &Reply::with_sdp("two".into()));
    let again = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&again, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.take();
    rig.pass(s(30));
    assert!(rig.take().iter().all(|sent| sent.what() != "BYE"));
    assert_eq!(rig.media("watched"), 1);
}

#[test]
fn a_notice_goes_to_the_shard_of_its_call() {
    let (shared, apps) = shards(settings(&heard(&[ONE])), 4, [3; 32], std::time::Instant::now(), UNIX).unwrap();
    for n in 0..20 {
        let call_id = format!("call-{n}");
        let notice = format!(r#"{{"event":"media-timeout","call-id":"{call_id}","from-tag":"a"}}"#);
        let shard = apps[0].datagram_shard(NOTICES, notice.as_bytes());
        assert_eq!(shard, shared.shard_of_call(call_id.as_bytes()));
        assert_eq!(apps[0].datagram_shard(0, notice.as_bytes()), None, "replies belong to whom they are sent");
    }
}
