//! Bounds: everything is refused before it costs anything.

use c4_ref::proxy::users::Users;

use crate::harness::{Req, Rig, invite, open, reply, s, settings};

const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";

#[test]
fn a_full_call_table_is_503_and_hurts_no_other_call() {
    let mut settings = settings(&open());
    settings.max_calls = 2;
    let mut rig = Rig::with(settings);
    rig.registered("bob", BOB, "");
    let first = rig.established("one");
    rig.established("two");
    rig.udp(ALICE, &invite("bob@example.com", "three").text());
    rig.find("503", ALICE);
    assert_eq!(rig.stats()["rejected"]["busy"], 1);
    rig.hang_up(&first);
    rig.udp(ALICE, &invite("bob@example.com", "four").text());
    rig.find("INVITE", BOB);
}

#[test]
fn full_transactions_refuse_new_requests_and_keep_the_old() {
    let mut settings = settings(&open());
    settings.max_transactions = 4;
    let mut rig = Rig::with(settings);
    rig.registered("bob", BOB, "");
    rig.pass(s(40));
    for n in 0..8 {
        rig.udp(ALICE, &invite("bob@example.com", &format!("c{n}")).text());
    }
    assert!(rig.stats()["rejected"]["busy"].as_u64().unwrap() > 0);
    let offer = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
    rig.find("200", ALICE);
}

#[test]
fn a_hop_too_many_is_483_and_a_foreign_extension_420() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").text().replace("Max-Forwards: 70", "Max-Forwards: 0"));
    rig.find("483", ALICE);
    rig.udp(ALICE, &invite("bob@example.com", "d").header("Proxy-Require", "teleport").text());
    rig.find("420", ALICE);
    assert!(rig.records.is_empty(), "what is not valid is no attempt");
    assert_eq!(rig.stats()["rejected"]["invalid"], 2);
}

#[test]
fn ten_contacts_of_a_user_and_no_more() {
    let mut rig = Rig::new(&open());
    for n in 1..=10 {
        rig.registered("bob", &format!("192.0.2.2:{}", 6000 + n), "");
    }
    let uri = "sip:bob@example.com";
    let eleventh = Req::new("REGISTER", "sip:example.com").ends(uri, "r", uri, "").call("eleven", 1);
    rig.udp(ALICE, &eleventh.header("Contact", "<sip:bob@192.0.2.2:6011>").text());
    rig.find("403", ALICE);
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    assert_eq!(rig.look().len(), 10, "all ring");
}

#[test]
fn another_configuration_counts_from_the_next_request_on() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    let call = rig.established("c");
    let mut next = settings(&crate::harness::config());
    next.users = Users::default();
    rig.app.set_settings(std::sync::Arc::new(next));
    rig.udp(ALICE, &invite("bob@example.com", "d").text());
    rig.find("407", ALICE);
    rig.hang_up(&call);
    assert_eq!(rig.stats()["contacts"], 1);
}

#[test]
fn after_quiet_nothing_is_left() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", BOB, "");
    for n in 0..200 {
        let call = rig.established(&format!("c{n}"));
        rig.hang_up(&call);
    }
    assert_eq!(rig.records.len(), 200);
    rig.pass(s(40));
    let stats = rig.stats();
    for gauge in ["transactions", "contexts", "dialogs", "calls-open"] {
        assert_eq!(stats[gauge], 0, "{gauge}");
    }
}
