//! Calls to our users: location, forks, timers, records.

use c4_ref::cdr::spool::{self, Entry, Spool};
use sip_core::header::Header;

use crate::harness::{Req, Rig, invite, ms, open, reply, s};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
const DESK: &str = "192.0.2.3:5060";

fn rig() -> Rig {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig
}

#[test]
fn a_call_is_routed_by_location_and_recorded() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com:9999", "c").text());
    let offer = rig.find("INVITE", BOB);
    assert_eq!(offer.message.request_uri(), Some("sip:bob@192.0.2.2:5060"));
    assert_eq!(offer.header(Header::MaxForwards), "69");
    assert_eq!(offer.all(Header::Via).len(), 2);
    assert!(offer.header(Header::RecordRoute).contains("@10.0.0.1:5060;lr>"));
    rig.pass(ms(40));
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", "sip:bob@192.0.2.2:5060"));
    rig.pass(s(2));
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.find("180", ALICE);
    let answer = rig.find("200", ALICE);
    assert_eq!(answer.all(Header::Via).len(), 1);
    assert_eq!(rig.stats()["dialogs"], 1);
    let ack = Req::new("ACK", "sip:bob@192.0.2.2:5060")
        .ends("sip:alice@example.com", "a", "sip:bob@example.com", "b")
        .call("c", 1)
        .header("Route", &answer.header(Header::RecordRoute));
    rig.udp(ALICE, &ack.text());
    let ack = rig.find("ACK", BOB);
    assert!(ack.message.header(Header::Route).is_none(), "our Route is taken off");
    rig.pass(s(10));
    let bye = Req::new("BYE", "sip:alice@192.0.2.1:5060")
        .ends("sip:bob@example.com", "b", "sip:alice@example.com", "a")
        .call("c", 9)
        .via(BOB)
        .header("Reason", "Q.850;cause=16;text=\"bye\"")
        .header("Route", &offer.header(Header::RecordRoute));
    rig.udp(BOB, &bye.text());
    let bye = rig.find("BYE", ALICE);
    rig.udp(ALICE, &reply(&bye, "200 OK", "", ""));
    rig.find("200", BOB);
    let record = &rig.records[0];
    for (field, value) in [
        ("caller", "alice"),
        ("called", "bob"),
        ("call_id", "c"),
        ("from", "sip:alice@example.com"),
        ("to", "sip:bob@example.com:9999"),
        ("target", "sip:bob@192.0.2.2:5060"),
        ("source", "udp:192.0.2.1:5060"),
        ("released_by", "callee"),
        ("start", "2023-11-14T22:13:20.000Z"),
        ("answer", "2023-11-14T22:13:22.040Z"),
        ("end", "2023-11-14T22:13:32.040Z"),
        ("reason", "Q.850;cause=16;text=\"bye\""),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    for (field, value) in [("pdd_ms", 40), ("duration_ms", 10_000), ("status", 200), ("cause", 16)] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!((rig.records.len(), &rig.stats()["dialogs"]), (1, &0.into()));
    rig.pass(s(40));
    let stats = rig.stats();
    assert_eq!((&stats["transactions"], &stats["contexts"], &stats["calls-open"]), (&0.into(), &0.into(), &0.into()));
}

#[test]
fn unknown_user_404_no_contact_480_no_user_484_foreign_domain_403() {
    let mut rig = rig();
    for (n, (to, status, cause)) in [
        ("nobody@example.com", "404", 1),
        ("carol@example.com", "480", 18),
        ("example.com", "484", 28),
        ("bob@elsewhere.example", "403", 21),
    ]
    .into_iter()
    .enumerate()
    {
        rig.udp(ALICE, &invite(to, &format!("c{n}")).text());
        assert_eq!(rig.take().last().unwrap().what(), status, "{to}");
        assert_eq!(rig.records[n]["status"], status.parse::<u16>().unwrap());
        assert_eq!(rig.records[n]["cause"], cause);
        assert_eq!(rig.records[n]["released_by"], "proxy");
    }
    let stats = rig.stats();
    for counter in ["unknown-user", "no-contact", "incomplete", "foreign-domain"] {
        assert_eq!(stats["rejected"][counter], 1, "{counter}");
    }
    assert_eq!(rig.spooled.iter().filter(|entry| matches!(entry, Entry::End(_))).count(), 4);
}

#[test]
fn equal_contacts_ring_together_and_the_first_2xx_ends_the_others() {
    let mut rig = rig();
    rig.registered("bob", DESK, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let (phone, desk) = (rig.find("INVITE", BOB), rig.find("INVITE", DESK));
    rig.udp(BOB, &reply(&phone, "180 Ringing", "b1", "sip:bob@192.0.2.2:5060"));
    rig.udp(DESK, &reply(&desk, "180 Ringing", "b2", "sip:bob@192.0.2.3:5060"));
    rig.udp(DESK, &reply(&desk, "200 OK", "b2", "sip:bob@192.0.2.3:5060"));
    rig.find("200", ALICE);
    rig.find("CANCEL", BOB);
    rig.udp(BOB, &reply(&phone, "487 Request Terminated", "b1", ""));
    rig.find("ACK", BOB);
    assert_eq!(rig.stats()["calls"]["answered"], 1);
    assert!(rig.take().iter().all(|sent| sent.what() != "487"));
}

#[test]
fn contacts_of_lower_q_are_tried_after_the_others_failed() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, ";q=0.8");
    rig.registered("bob", DESK, ";q=0.2");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let phone = rig.find("INVITE", BOB);
    assert!(rig.take().iter().all(|sent| sent.to() != DESK));
    rig.udp(BOB, &reply(&phone, "486 Busy Here", "b", ""));
    let desk = rig.find("INVITE", DESK);
    rig.udp(DESK, &reply(&desk, "603 Decline", "b", ""));
    rig.find("603", ALICE);
    let record = &rig.records[0];
    assert_eq!((&record["status"], &record["target"]), (&603.into(), &"sip:bob@192.0.2.3:5060".into()));
    assert_eq!((&record["cause"], &record["released_by"]), (&21.into(), &"callee".into()));
}

#[test]
fn a_430_or_a_dead_contact_drops_the_binding_and_tries_the_next() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, ";q=0.8");
    rig.registered("bob", DESK, ";q=0.2");
    assert_eq!(rig.store.len(), 2);
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let phone = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&phone, "430 Flow Failed", "b", ""));
    rig.find("INVITE", DESK);
    assert_eq!((&rig.stats()["contacts"], rig.store.len()), (&1.into(), 1), "RFC 5626 §5.3");
    rig.pass(s(33));
    assert_eq!((&rig.stats()["contacts"], rig.store.len()), (&0.into(), 0), "nothing in 64*T1");
    assert_eq!(rig.take().last().unwrap().what(), "480", "no contact is left");
}

#[test]
fn a_contact_that_registers_anew_meanwhile_is_not_dropped() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    rig.pass(s(20));
    let refresh = Req::new("REGISTER", "sip:example.com")
        .ends("sip:bob@example.com", "r", "sip:bob@example.com", "")
        .call("reg-bob-192.0.2.2:5060", 2)
        .via(BOB)
        .header("Contact", "<sip:bob@192.0.2.2:5060>");
    rig.udp(BOB, &refresh.text());
    rig.pass(s(20));
    assert_eq!(rig.records[0]["status"], 408);
    assert_eq!(rig.stats()["contacts"], 1);
}

#[test]
fn rfc3261_17_1_1_2_timer_b_gives_up_an_invite_after_32_s() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    rig.pass(ms(31_999));
    assert!(rig.records.is_empty());
    rig.pass(ms(2));
    assert_eq!(rig.records[0]["status"], 408);
    assert_eq!((&rig.records[0]["cause"], &rig.records[0]["released_by"]), (&102.into(), &"proxy".into()));
    rig.find("408", ALICE);
}

#[test]
fn rfc3261_17_1_2_2_timer_f_gives_up_other_requests_after_32_s() {
    let mut rig = rig();
    rig.udp(ALICE, &Req::new("MESSAGE", "sip:bob@example.com").text());
    rig.find("MESSAGE", BOB);
    rig.pass(s(33));
    assert_eq!(rig.stats()["contexts"], 0);
    assert!(rig.records.is_empty(), "records are of calls");
}

#[test]
fn ringing_ends_after_120_s_by_default() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", ""));
    rig.pass(s(119));
    rig.take();
    rig.pass(s(2));
    rig.find("CANCEL", BOB);
    rig.udp(BOB, &reply(&offer, "487 Request Terminated", "b", ""));
    rig.find("408", ALICE);
    assert_eq!((&rig.records[0]["status"], &rig.records[0]["released_by"]), (&408.into(), &"proxy".into()));
}

#[test]
fn rfc3261_16_8_timer_c_cancels_a_branch_that_is_silent_after_180_and_101_to_199_restart_it() {
    let mut config = open();
    config.ringing_limit_s = 0;
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", "sip:bob@192.0.2.2:5060"));
    for provisional in ["183 Session Progress", "199 Early Dialog Terminated"] {
        rig.pass(s(184));
        rig.udp(BOB, &reply(&offer, provisional, "b", "sip:bob@192.0.2.2:5060"));
    }
    rig.pass(s(180));
    rig.udp(BOB, &reply(&offer, "100 Trying", "", ""));
    assert!(rig.take().iter().all(|sent| sent.what() != "CANCEL"), "more than three minutes (§16.6 step 11)");
    rig.pass(s(6));
    rig.find("CANCEL", BOB);
    rig.udp(BOB, &reply(&offer, "487 Request Terminated", "b", ""));
    rig.find("408", ALICE);
    assert_eq!((&rig.records[0]["status"], &rig.records[0]["released_by"]), (&408.into(), &"proxy".into()));
    rig.pass(s(40));
    assert_eq!((&rig.stats()["transactions"], &rig.stats()["contexts"]), (&0.into(), &0.into()));
}

#[test]
fn a_cancel_reaches_the_phone_and_the_record_says_who() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", ""));
    let cancel =
        Req::new("CANCEL", "sip:bob@example.com").call("c", 1).branch("invite-c-1").header("Reason", "Q.850;cause=18");
    rig.udp(ALICE, &cancel.text());
    rig.find("200", ALICE);
    let sent = rig.find("CANCEL", BOB);
    assert_eq!(sent.all(Header::Via).len(), 1, "in a transaction of its own");
    rig.udp(BOB, &reply(&sent, "200 OK", "b", ""));
    rig.udp(BOB, &reply(&offer, "487 Request Terminated", "b", ""));
    rig.find("ACK", BOB);
    rig.find("487", ALICE);
    let record = &rig.records[0];
    assert_eq!((&record["status"], &record["released_by"]), (&487.into(), &"caller".into()));
    rig.pass(s(40));
    assert_eq!(rig.stats()["contexts"], 0);
}

#[test]
fn a_dead_contact_beside_a_ringing_one_does_not_hold_back_the_487() {
    let mut rig = rig();
    rig.registered("bob", DESK, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", ""));
    rig.pass(ms(300));
    rig.take();
    rig.udp(ALICE, &Req::new("CANCEL", "sip:bob@example.com").call("c", 1).branch("invite-c-1").text());
    rig.udp(BOB, &reply(&offer, "487 Request Terminated", "b", ""));
    rig.find("487", ALICE);
    rig.take();
    rig.pass(s(70));
    assert_eq!(rig.records[0]["status"], 487);
    assert!(rig.take().iter().all(|sent| sent.to() != ALICE || sent.what() == "487"));
    assert_eq!((&rig.stats()["contexts"], &rig.stats()["transactions"]), (&0.into(), &0.into()));
}

#[test]
fn rfc3261_9_1_a_cancel_that_crosses_the_200_changes_nothing() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "180 Ringing", "b", ""));
    rig.udp(ALICE, &Req::new("CANCEL", "sip:bob@example.com").call("c", 1).branch("invite-c-1").text());
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    let answers: Vec<String> = rig.take().iter().map(|sent| sent.header(Header::CSeq)).collect();
    assert!(answers.contains(&"1 CANCEL".to_owned()) && answers.contains(&"1 INVITE".to_owned()));
    assert_eq!((&rig.stats()["dialogs"], rig.records.len()), (&1.into(), 0), "the call stands");
}

#[test]
fn a_challenge_of_the_called_side_leaves_no_record() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", BOB);
    let answer = reply(&offer, "407 Proxy Authentication Required", "b", "")
        .replace("Content-Length", "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\nContent-Length");
    rig.udp(BOB, &answer);
    rig.find("407", ALICE);
    assert!(rig.records.is_empty());
    assert_eq!(rig.spooled.len(), 2, "begun and ended");
}

#[test]
fn a_crash_in_a_call_leaves_it_in_the_spool() {
    let mut rig = rig();
    let ended = rig.established("over");
    rig.hang_up(&ended);
    rig.established("open");
    rig.udp(ALICE, &invite("bob@example.com", "ringing").text());
    let mut spool = Spool::default();
    let mut file = Vec::new();
    for entry in rig.spooled.drain(..) {
        spool.push(entry);
        file.extend(spool.take());
    }
    let recovered: Vec<serde_json::Value> =
        spool::recover(&file).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut calls: Vec<(&str, bool)> =
        recovered.iter().map(|r| (r["call_id"].as_str().unwrap(), r.get("answer").is_some())).collect();
    calls.sort_unstable();
    assert_eq!(calls, [("open", true), ("ringing", false)]);
    assert!(recovered.iter().all(|record| record["recovered"] == true));
}

#[test]
fn a_stop_writes_the_records_of_the_calls_under_way() {
    use c4_ref::machine::Machine;
    let mut rig = rig();
    rig.established("open");
    rig.app.handle_stop(rig.now);
    rig.drain();
    assert_eq!((&rig.records[0]["released_by"], &rig.records[0]["status"]), (&"proxy".into(), &200.into()));
}

#[test]
fn a_request_that_is_no_call_is_routed_the_same_way() {
    let mut rig = rig();
    for method in ["MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH", "FUTURE"] {
        rig.udp(ALICE, &Req::new(method, "sip:bob@example.com").call(method, 1).text());
        let sent = rig.find(method, BOB);
        assert_eq!(sent.message.header(Header::RecordRoute).is_some(), method == "SUBSCRIBE", "{method}");
        rig.udp(BOB, &reply(&sent, "200 OK", "b", ""));
        rig.find("200", ALICE);
    }
    assert!(rig.records.is_empty());
}
