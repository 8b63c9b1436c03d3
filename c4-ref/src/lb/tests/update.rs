//! A changed configuration while calls are under way.

use super::*;
use crate::lb::BackendId;

const PROXY_3: &str = "10.0.0.4:5060";

fn with_backends(list: &[&str]) -> config::Lb {
    config::Lb { backends: list.iter().map(|b| b.parse().unwrap()).collect(), ..config() }
}

/// Where new calls go.
fn spread(rig: &mut Rig, prefix: &str) -> std::collections::BTreeSet<String> {
    (0..60).map(|n| rig.one(outside(ALICE), &req("INVITE").call(format!("{prefix}-{n}")).text()).to()).collect()
}

fn set(list: &[&str]) -> std::collections::BTreeSet<String> {
    list.iter().map(|b| (*b).to_owned()).collect()
}

#[test]
fn a_backend_that_is_added_gets_calls_and_one_that_is_removed_gets_no_new_ones() {
    let mut rig = Rig::new(&with_backends(&[PROXY, PROXY_2]));
    assert_eq!(spread(&mut rig, "a"), set(&[PROXY, PROXY_2]));
    rig.reload(&with_backends(&[PROXY_3, PROXY_2]), keys());
    assert_eq!(spread(&mut rig, "b"), set(&[PROXY_2, PROXY_3]));
    // It moves the calls of the one that went, and no others.
    let mut fresh = Rig::new(&with_backends(&[PROXY_2, PROXY_3]));
    for n in 0..30 {
        let invite = req("INVITE").call(format!("c-{n}")).text();
        assert_eq!(rig.one(outside(ALICE), &invite).to(), fresh.one(outside(ALICE), &invite).to());
    }
}

#[test]
fn calls_under_way_stay_with_their_proxy_under_its_new_number() {
    let mut rig = Rig::new(&with_backends(&[PROXY, PROXY_2]));
    let calls: Vec<(String, String)> = (0..40)
        .map(|n| format!("call-{n}"))
        .map(|id| (id.clone(), rig.one(outside(ALICE), &req("INVITE").call(id).text()).to()))
        .collect();
    rig.reload(&with_backends(&[PROXY_2, PROXY_3, PROXY]), keys());
    for (call, to) in &calls {
        assert_eq!(rig.one(outside(ALICE), &req("CANCEL").call(call.clone()).text()).to(), *to);
    }
}

#[test]
fn a_backend_that_is_down_is_down_after_a_reload_too() {
    let mut rig = Rig::new(&with_backends(&[PROXY, PROXY_2]));
    rig.health.set(BackendId(0), false);
    rig.reload(&with_backends(&[PROXY_2, PROXY]), keys());
    // Without probes nobody would find out that it is back: then it counts as up.
    assert_eq!(spread(&mut rig, "a"), set(&[PROXY, PROXY_2]));
    let probing = config::Probe { interval_ms: 5000, ..config::Probe::default() };
    let mut rig = Rig::new(&config::Lb { probe: probing, ..with_backends(&[PROXY, PROXY_2]) });
    rig.health.set(BackendId(0), false);
    rig.reload(&config::Lb { probe: probing, ..with_backends(&[PROXY_2, PROXY]) }, keys());
    assert_eq!(spread(&mut rig, "b"), set(&[PROXY_2]));
}

#[test]
fn a_removed_proxy_can_still_end_its_calls() {
    let mut rig = Rig::new(&with_backends(&[PROXY]));
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let routes = invite.all("Record-Route");
    let mut back = routes.clone();
    back.reverse();
    rig.reload(&with_backends(&[PROXY_2]), keys());
    // In-dialog requests of both sides.
    let bye = req("BYE").tagged().routes(back).via("SIP/2.0/UDP h;branch=z9hG4bK2").text();
    assert_eq!(rig.one(outside(ALICE), &bye).to(), PROXY);
    let bye = req("BYE").tagged().routes(routes).via(format!("SIP/2.0/UDP {PROXY};branch=z9hG4bK3")).text();
    assert_eq!(rig.one(inside(PROXY), &bye).to(), ALICE);
}

#[test]
fn probes_follow_the_backends_and_old_answers_mean_no_other_backend() {
    let probe = config::Probe { interval_ms: 1000, timeout_ms: 500, up: 1, down: 1 };
    let mut rig = Rig::new(&config::Lb { probe, ..with_backends(&[PROXY]) });
    rig.pass(Duration::from_millis(10));
    let old = rig.drain();
    assert_eq!(old.iter().map(Sent::to).collect::<Vec<_>>(), [PROXY]);
    rig.reload(&config::Lb { probe, ..with_backends(&[PROXY_2]) }, keys());
    rig.health.set(BackendId(0), false);
    let answer = text_of(&old[0].message).replace("OPTIONS sip:10.0.0.2:5060 SIP/2.0", "SIP/2.0 200 OK");
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.drain().iter().map(Sent::to).collect::<Vec<_>>(), [PROXY_2], "the new one is probed");
    rig.put(inside(PROXY), &answer);
    assert!(!rig.health.is_up(BackendId(0)), "the answer was another's");
}

#[test]
fn peers_rates_and_foreign_routes_are_taken_at_once() {
    let mut rig = Rig::new(&config::Lb { source_rate: 1, ..config() });
    let _ = rig.put(outside(ALICE), &req("INVITE").text());
    rig.none(outside(ALICE), &req("INVITE").call("second").text());
    rig.reload(&config::Lb { foreign_routes: config::ForeignRoutes::Refuse, ..config() }, keys());
    let foreign = req("INVITE").call("third").routes(["<sip:192.0.2.200;lr>"]).text();
    assert_eq!(rig.one(outside(ALICE), &foreign).status(), StatusCode::FORBIDDEN);
}
