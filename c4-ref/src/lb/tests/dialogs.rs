//! Requests inside a dialog, both ways, by their tokens.

use super::*;

/// Alice (outside, on `flow`) calls through a proxy: the Record-Route as the called side sees it.
fn caller(rig: &mut Rig, flow: Flow) -> Sent {
    let via = format!("SIP/2.0/{} {};rport;branch=z9hG4bKalice1", flow.transport, flow.remote);
    rig.one(flow, &req("INVITE").via(via).text())
}

/// The proxy sends the call on to Bob, who is registered with `path`.
fn callee(rig: &mut Rig, path: &[String], proxy: &str) -> Sent {
    let via = format!("SIP/2.0/UDP {proxy};branch=z9hG4bKproxy1");
    rig.one(inside(proxy), &req("INVITE").uri("sip:bob@10.9.9.9").via(via).routes(path).text())
}

fn reversed(sent: &Sent) -> Vec<String> {
    let mut routes = sent.all("Record-Route");
    routes.reverse();
    routes
}

#[test]
fn in_dialog_requests_from_outside_go_to_the_proxy_of_the_token() {
    let mut rig = Rig::new(&config());
    for n in 0..20 {
        let call = format!("call-{n}");
        let invite = rig.one(outside(ALICE), &req("INVITE").call(&*call).text());
        // Neither the state of the backend nor the soft table has a say.
        rig.health.set(crate::lb::BackendId(u16::from(invite.to() != PROXY)), false);
        let proxy_route = "<sip:10.0.0.77:5060;lr;x=y>".to_owned();
        let mut routes = reversed(&invite);
        routes.push(proxy_route.clone());
        for method in ["ACK", "BYE", "INVITE", "REFER"] {
            let request = req(method).call(&*call).tagged().routes(&routes).via("SIP/2.0/UDP h;branch=z9hG4bK2");
            let sent = rig.one(outside(ALICE), &request.text());
            assert_eq!(sent.to(), invite.to(), "{method}");
            assert_eq!(sent.all("Route"), std::slice::from_ref(&proxy_route), "ours are off, the proxy's stays");
            assert!(sent.all("Record-Route").is_empty());
        }
        for id in [0, 1] {
            rig.health.set(crate::lb::BackendId(id), true);
        }
    }
}

#[test]
fn the_called_side_answers_over_its_flow_and_reaches_its_proxy() {
    let mut rig = Rig::new(&config());
    let bob = tcp(BOB, 3);
    let path = register(&mut rig, bob);
    let invite = callee(&mut rig, &path, PROXY_2);
    assert_eq!(invite.flow, bob, "the flow that the registration came by");
    assert!(invite.all("Route").is_empty());
    let rr = invite.uris("Record-Route");
    assert!(rr[0].contains("@192.0.2.1:5060;transport=tcp") && rr[1].starts_with("sip:10.0.0.1:5080"), "{rr:?}");
    // Bob hangs up: his route set is the Record-Route in order.
    let bye = req("BYE").tagged().routes(invite.all("Record-Route")).via("SIP/2.0/TCP 10.9.9.9;branch=z9hG4bK8");
    let bye = rig.one(bob, &bye.text());
    assert_eq!((bye.to(), bye.all("Route").len()), (PROXY_2.to_owned(), 0));
    // The proxy sends him one: the route set turned round.
    let bye = req("BYE").tagged().routes(reversed(&invite)).via(proxy_via("b"));
    let bye = rig.one(inside(PROXY_2), &bye.text());
    assert_eq!((bye.flow, bye.all("Route").len()), (bob, 0));
}

#[test]
fn the_calling_side_is_reached_over_its_flow() {
    for flow in [outside(ALICE), tcp(ALICE, 4), stream(Transport::Tls, "192.0.2.1:5061", ALICE, 5)] {
        let mut rig = Rig::new(&config());
        let invite = caller(&mut rig, flow);
        // The called side's route set is the Record-Route in order; the proxy in front has taken its own off.
        let bye = req("BYE").tagged().routes(invite.all("Record-Route")).via(proxy_via("b"));
        let bye = rig.one(inside(&invite.to()), &bye.text());
        assert_eq!((bye.flow, bye.all("Route").len()), (flow, 0));
    }
}

#[test]
fn two_passes_without_a_route_of_the_proxy_between_them_are_told_apart() {
    let mut rig = Rig::new(&config());
    let path = register(&mut rig, outside(BOB));
    let first = caller(&mut rig, outside(ALICE));
    let second = req("INVITE").uri("sip:bob@10.9.9.9").via(proxy_via("p")).routes(&path);
    let recorded: String = first.all("Record-Route").iter().map(|r| format!("Record-Route: {r}\n")).collect();
    let second = rig.one(inside(&first.to()), &second.more(recorded.trim_end()).text());
    assert_eq!(second.all("Record-Route").len(), 4);
    // From Alice: her side's pair goes off here, the other pair takes the request from the proxy to Bob.
    let bye = rig.one(outside(ALICE), &req("BYE").tagged().routes(reversed(&second)).text());
    assert_eq!((bye.to(), bye.all("Route").len()), (first.to(), 2));
    let on = rig.one(inside(&first.to()), &req("BYE").tagged().routes(bye.all("Route")).via(proxy_via("q")).text());
    assert_eq!((on.to(), on.all("Route").len()), (BOB.to_owned(), 0));
    // And back from Bob.
    let bye = rig.one(outside(BOB), &req("BYE").tagged().routes(second.all("Record-Route")).text());
    assert_eq!((bye.to(), bye.all("Route").len()), (first.to(), 2));
    let on = rig.one(inside(&first.to()), &req("BYE").tagged().routes(bye.all("Route")).via(proxy_via("r")).text());
    assert_eq!((on.to(), on.all("Route").len()), (ALICE.to_owned(), 0));
}

#[test]
fn rfc3261_16_4_a_strict_router_before_us_is_understood() {
    let mut rig = Rig::new(&config());
    let invite = caller(&mut rig, outside(ALICE));
    let mut routes = reversed(&invite);
    let first = routes.remove(0);
    let uri = NameAddr::parse(first.as_bytes()).unwrap().uri;
    routes.push("<sip:bob@10.9.9.9>".into());
    let bye = rig.one(outside(ALICE), &req("BYE").tagged().uri(uri).routes(routes).text());
    assert_eq!((bye.to(), bye.all("Route").len()), (invite.to(), 0));
    assert_eq!(bye.message.request_uri(), Some("sip:bob@10.9.9.9"));
}

#[test]
fn tokens_live_for_their_lifetime_and_no_longer() {
    let mut rig = Rig::new(&config::Lb { token_lifetime_s: 3600, ..config() });
    let invite = caller(&mut rig, outside(ALICE));
    let bye = req("BYE").tagged().routes(reversed(&invite)).text();
    rig.pass(Duration::from_secs(3600));
    assert_eq!(rig.one(outside(ALICE), &bye).to(), invite.to());
    rig.pass(Duration::from_secs(2));
    let late = rig.one(outside(ALICE), &bye);
    assert_eq!((late.to(), late.status()), (ALICE.to_owned(), StatusCode::NOT_FOUND));
}

#[test]
fn a_rotated_key_verifies_one_lifetime_longer() {
    let lifetime = 3600;
    let mut rig = Rig::new(&config::Lb { token_lifetime_s: lifetime, ..config() });
    let path = register(&mut rig, outside(BOB));
    let invite = caller(&mut rig, outside(ALICE));
    rig.lb.set_keys(keys().rotated([5; 32], UNIX + 10, lifetime));
    rig.pass(Duration::from_secs(20));
    let bye = req("BYE").tagged().routes(reversed(&invite));
    assert_eq!(rig.one(outside(ALICE), &bye.text()).to(), invite.to(), "the dialog goes on");
    assert_eq!(rig.one(inside(PROXY), &response(&invite, 200)).to(), ALICE, "its responses too");
    assert_eq!(callee(&mut rig, &path, PROXY).to(), BOB);
    let again = rig.one(outside(ALICE), &req("INVITE").text());
    assert_eq!((again.to(), again.branch()), (invite.to(), invite.branch()), "a retransmission stays one");
    rig.pass(Duration::from_secs(lifetime));
    let gone = req("OPTIONS").routes(&path).via(proxy_via("x"));
    assert_eq!(rig.one(inside(PROXY), &gone.text()).status(), StatusCode::FLOW_FAILED, "retired too long ago");
}

#[test]
fn the_other_half_of_a_pair_serves_udp_tokens_and_answers_430_for_the_streams_of_the_first() {
    let (mut first, mut second) = (Rig::new(&config()), Rig::with(&config(), keys(), 8));
    let path = register(&mut first, outside(BOB));
    assert_eq!(callee(&mut second, &path, PROXY).to(), BOB);
    let invite = caller(&mut first, outside(ALICE));
    let bye = req("BYE").tagged().routes(reversed(&invite));
    assert_eq!(second.one(outside(ALICE), &bye.text()).to(), invite.to());
    assert_eq!(second.one(inside(PROXY), &response(&invite, 200)).to(), ALICE);
    let path = register(&mut first, tcp(BOB, 3));
    // The same id lives here too, but it is another's connection.
    register(&mut second, tcp("203.0.113.200:1", 3));
    let refused = callee(&mut second, &path, PROXY);
    assert_eq!((refused.status(), refused.to()), (StatusCode::FLOW_FAILED, PROXY.to_owned()));
}

#[test]
fn a_corrected_wall_clock_counts_for_tokens() {
    let mut rig = Rig::new(&config());
    let invite = caller(&mut rig, outside(ALICE));
    let bye = req("BYE").tagged().routes(reversed(&invite)).via("SIP/2.0/UDP h;branch=z9hG4bK2");
    assert_eq!(rig.one(outside(ALICE), &bye.text()).to(), invite.to());
    let later = Duration::from_secs(UNIX + config().token_lifetime_s + 1);
    crate::machine::Machine::set_wall_clock(&mut rig.lb, rig.now, later);
    assert_eq!(rig.one(outside(ALICE), &bye.text()).status(), StatusCode::NOT_FOUND, "too old by the right clock");
}

#[test]
fn keys_that_were_read_again_sign_and_verify() {
    let mut rig = Rig::new(&config());
    let invite = caller(&mut rig, outside(ALICE));
    let bye = req("BYE").tagged().routes(reversed(&invite)).via("SIP/2.0/UDP h;branch=z9hG4bK2").text();
    let rotated = keys().rotated([8; 32], UNIX, config().token_lifetime_s);
    let reload = |rig: &mut Rig, ring: KeyRing| {
        rig.reload(&config(), ring);
    };
    reload(&mut rig, rotated.clone());
    assert_eq!(rig.one(outside(ALICE), &bye).to(), invite.to(), "a retired key verifies");
    let mut other = Rig::with(&config(), rotated, 7);
    let new = caller(&mut rig, outside(ALICE));
    let bye_of_new = req("BYE").tagged().routes(reversed(&new)).via("SIP/2.0/UDP h;branch=z9hG4bK3").text();
    assert_eq!(other.one(outside(ALICE), &bye_of_new).to(), new.to());
    reload(&mut rig, KeyRing::generate([1; 32], [6; 32], 0));
    assert_eq!(rig.one(outside(ALICE), &bye).status(), StatusCode::NOT_FOUND, "the old keys are gone");
}
