//! Which proxy a request goes to, and what an unchanged request gets each time.

use super::*;
use crate::lb::BackendId;

fn up(rig: &Rig, proxy: &str, up: bool) {
    let id = if proxy == PROXY { 0 } else { 1 };
    rig.health.set(BackendId(id), up);
}

fn other(proxy: &str) -> &'static str {
    if proxy == PROXY { PROXY_2 } else { PROXY }
}

#[test]
fn initial_requests_are_spread_and_one_call_id_stays_together() {
    let mut rig = Rig::new(&config());
    let mut counts = [0, 0];
    for n in 0..200 {
        let invite = req("INVITE").call(format!("call-{n}")).text();
        let to = rig.one(outside(ALICE), &invite).to();
        counts[usize::from(to == PROXY)] += 1;
        assert_eq!(rig.one(outside(BOB), &req("MESSAGE").call(format!("call-{n}")).text()).to(), to);
    }
    assert!(counts.iter().all(|n| (70..=130).contains(n)), "{counts:?}");
}

#[test]
fn two_machines_with_the_same_keys_choose_alike() {
    let (mut a, mut b) = (Rig::new(&config()), Rig::with(&config(), keys(), 99));
    for n in 0..50 {
        let invite = req("INVITE").call(format!("call-{n}")).text();
        let (x, y) = (a.one(outside(ALICE), &invite), b.one(outside(ALICE), &invite));
        assert_eq!((x.to(), x.branch()), (y.to(), y.branch()));
    }
}

#[test]
fn rfc3261_16_11_retransmission_cancel_and_ack_get_the_branch_and_the_proxy_of_their_invite() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let first = invite.to();
    // The set changes: whoever asks the hash now is sent elsewhere.
    up(&rig, &first, false);
    let fresh = rig.one(outside(ALICE), &req("INVITE").call("fresh").text());
    assert_eq!(fresh.to(), other(&first));
    let cancel = rig.one(outside(ALICE), &req("CANCEL").text());
    let ack = rig.one(outside(ALICE), &req("ACK").tagged().text());
    for sent in [cancel, ack] {
        assert_eq!((sent.to(), sent.branch()), (first.clone(), invite.branch()));
    }
    up(&rig, &first, true);
    let again = rig.one(outside(ALICE), &req("INVITE").text());
    assert_eq!((again.to(), again.branch()), (first, invite.branch()));
}

#[test]
fn rfc3261_16_11_another_source_gets_another_branch_for_the_same_via() {
    let mut rig = Rig::new(&config());
    let alice = rig.one(outside(ALICE), &req("INVITE").text());
    let mallory = rig.one(outside(BOB), &req("CANCEL").text());
    assert_ne!(alice.branch(), mallory.branch(), "she cannot cancel his call");
}

#[test]
fn a_backend_that_comes_back_does_not_tear_a_call_apart() {
    let mut rig = Rig::new(&config());
    let first = rig.one(outside(ALICE), &req("INVITE").text()).to();
    up(&rig, &first, false);
    let moved = rig.one(outside(ALICE), &req("INVITE").text()).to();
    assert_eq!(moved, other(&first), "a new request goes to one that lives");
    up(&rig, &first, true);
    assert_eq!(rig.one(outside(ALICE), &req("CANCEL").text()).to(), moved, "and its CANCEL after it");
}

#[test]
fn the_soft_table_forgets_200_s_after_the_last_message_and_that_harms_nobody() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    rig.pass(Duration::from_secs(150));
    rig.put(inside(&invite.to()), &response(&invite, 180));
    rig.pass(Duration::from_secs(150));
    assert_eq!(rig.lb.calls.len(), 1, "the 180 was a message of the call");
    rig.pass(Duration::from_secs(60));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.lb.calls.len(), 0);
    let cancel = rig.one(outside(ALICE), &req("CANCEL").text());
    assert_eq!((cancel.to(), cancel.branch()), (invite.to(), invite.branch()));
}

#[test]
fn hash_aor_goes_by_the_to_user_of_register_and_else_by_the_request_uri_user() {
    let mut rig = Rig::new(&config::Lb { hash: config::Hash::Aor, ..config() });
    for n in 0..40 {
        let uri = format!("sip:user{n}@example.com");
        let register = req("REGISTER").uri("sip:example.com").call(format!("r{n}")).text();
        let register = register.replace("To: <sip:bob@example.com>", &format!("To: <{uri}>"));
        let home = rig.one(outside(BOB), &register).to();
        for call in ["a", "b", "c"] {
            let invite = req("INVITE").uri(uri.clone()).call(format!("{call}{n}"));
            assert_eq!(rig.one(outside(ALICE), &invite.text()).to(), home);
        }
        let escaped = req("INVITE").uri(format!("sip:%75ser{n}@192.0.2.1")).call(format!("d{n}"));
        assert_eq!(rig.one(outside(ALICE), &escaped.text()).to(), home, "escapes spell the same user");
    }
}

#[test]
fn hash_aor_several_users_registered_under_one_call_id_each_go_to_their_own_proxy() {
    let mut rig = Rig::new(&config::Lb { hash: config::Hash::Aor, ..config() });
    let homes = |rig: &mut Rig, call: &dyn Fn(usize) -> String| -> Vec<String> {
        (0..20)
            .map(|n| {
                let text = req("REGISTER").uri("sip:example.com").call(call(n)).text();
                let text = text.replace("To: <sip:bob@", &format!("To: <sip:user{n}@"));
                rig.one(outside(BOB), &text).to()
            })
            .collect()
    };
    let apart = homes(&mut rig, &|n| format!("r{n}"));
    assert_eq!(homes(&mut rig, &|_| "one".into()), apart);
    assert!(apart.iter().any(|p| p == PROXY) && apart.iter().any(|p| p == PROXY_2));
}

#[test]
fn without_a_backend_503_and_an_ack_is_dropped() {
    let mut rig = Rig::new(&config());
    up(&rig, PROXY, false);
    up(&rig, PROXY_2, false);
    let answer = rig.one(outside(ALICE), &req("INVITE").text());
    assert_eq!((answer.status(), answer.to()), (StatusCode::SERVICE_UNAVAILABLE, ALICE.into()));
    rig.none(outside(ALICE), &req("ACK").tagged().text());
    assert_eq!(rig.count(Counter::NoBackend), 1);
}

#[test]
fn probes_take_a_backend_out_and_bring_it_back() {
    let probe = config::Probe::default();
    let mut rig = Rig::new(&config::Lb { probe, ..one_proxy() });
    let mut states = Vec::new();
    for round in 0..8 {
        rig.pass(Duration::from_millis(1));
        let probe = rig.drain().remove(0);
        assert_eq!(probe.message.method().unwrap().as_str(), "OPTIONS");
        assert_eq!((probe.to(), probe.flow.local), (PROXY.into(), addr(INTERNAL)));
        let answer = response(&probe, if round == 5 { 503 } else { 200 });
        let message = Message::parse(answer.replace('\n', "\r\n").into(), &Limits::default()).unwrap();
        assert_eq!(rig.lb.shard(&inside(PROXY), &message), Some(0), "the worker that probes");
        if round >= 5 {
            rig.none(inside(PROXY), &answer);
        }
        rig.pass(Duration::from_secs(1));
        states.push(rig.health.is_up(BackendId(0)));
        rig.pass(Duration::from_millis(3_999));
    }
    // Three misses; a 503 does not count; then two answers.
    assert_eq!(states, [true, true, false, false, false, false, false, true]);
}

#[test]
fn a_forged_probe_answer_counts_for_nothing() {
    let mut rig = Rig::new(&config::Lb { probe: config::Probe::default(), ..one_proxy() });
    rig.pass(Duration::from_millis(1));
    let probe = rig.drain().remove(0);
    let forged = response(&probe, 200).replace("probe-0-1-", "probe-0-1-0");
    rig.none(inside(PROXY), &forged);
    rig.none(outside(ALICE), &response(&probe, 200));
    assert_eq!((rig.count(Counter::StrayResponses), rig.count(Counter::ProbesAnswered)), (2, 0));
}
