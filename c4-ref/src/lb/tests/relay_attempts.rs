//! Open relay attempts: whatever a stranger writes, his request reaches a proxy or nobody.

use super::*;
use proptest::prelude::*;

fn refused(rig: &mut Rig, request: Req, status: StatusCode) {
    let answer = rig.one(outside(ALICE), &request.text());
    assert_eq!((answer.to(), answer.status()), (ALICE.to_owned(), status));
    let ack = Req { method: "ACK", ..request };
    rig.none(outside(ALICE), &ack.text());
}

fn routes(sent: &Sent) -> Vec<String> {
    let mut routes = sent.all("Record-Route");
    routes.reverse();
    routes
}

#[test]
fn a_tagged_request_without_our_route_is_404_and_its_ack_dropped() {
    let mut rig = Rig::new(&config());
    for method in ["BYE", "INVITE", "INFO", "UPDATE", "NOTIFY"] {
        let answer = rig.one(outside(ALICE), &req(method).tagged().text());
        assert_eq!((answer.to(), answer.status()), (ALICE.to_owned(), StatusCode::NOT_FOUND), "{method}");
    }
    refused(&mut rig, req("BYE").tagged().routes(["<sip:garbage@192.0.2.1:5060;lr>"]), StatusCode::NOT_FOUND);
}

#[test]
fn a_tagged_ack_without_route_follows_the_hash() {
    let mut rig = Rig::new(&config());
    for n in 0..10 {
        let invite = rig.one(outside(ALICE), &req("INVITE").call(format!("c{n}")).text());
        let ack = rig.one(outside(ALICE), &req("ACK").tagged().call(format!("c{n}")).text());
        assert_eq!((ack.to(), ack.branch()), (invite.to(), invite.branch()));
    }
}

#[test]
fn a_forged_token_is_404() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let good = routes(&invite);
    let mut altered = good.clone();
    let at = "<sip:".len() + 8;
    let swap = if altered[0].as_bytes()[at] == b'A' { "B" } else { "A" };
    altered[0].replace_range(at..=at, swap);
    refused(&mut rig, req("BYE").tagged().routes(altered), StatusCode::NOT_FOUND);
    refused(&mut rig, req("BYE").tagged().routes([good[0].replace("<sip:", "<sip:A")]), StatusCode::NOT_FOUND);
    let mut other = Rig::with(&config(), KeyRing::generate([1; 32], [77; 32], 0), 7);
    let foreign = routes(&other.one(outside(ALICE), &req("INVITE").text()));
    refused(&mut rig, req("BYE").tagged().routes(foreign), StatusCode::NOT_FOUND);
    assert_eq!(rig.count(Counter::BadTokens), 6);
}

#[test]
fn a_token_of_another_call_is_404() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    refused(&mut rig, req("BYE").tagged().call("another").routes(routes(&invite)), StatusCode::NOT_FOUND);
}

#[test]
fn a_path_token_counts_only_from_inside() {
    let mut rig = Rig::new(&config());
    let mut path = register(&mut rig, outside(BOB));
    refused(&mut rig, req("BYE").tagged().call("reg-1").routes(&path), StatusCode::NOT_FOUND);
    path.reverse();
    refused(&mut rig, req("BYE").tagged().call("reg-1").routes(&path), StatusCode::NOT_FOUND);
    let sent = rig.one(outside(ALICE), &req("INVITE").routes(&path).text());
    assert!([PROXY, PROXY_2].contains(&sent.to().as_str()), "an initial one goes to a proxy as if it had none");
    assert!(sent.all("Route").is_empty());
}

#[test]
fn a_record_route_token_opens_no_new_call() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let again = rig.one(outside(ALICE), &req("INVITE").routes(routes(&invite)).text());
    assert_eq!((again.to(), again.all("Route").len()), (invite.to(), 0));
}

#[test]
fn preloaded_routes_are_stripped() {
    let mut rig = Rig::new(&config());
    let foreign = "<sip:203.0.113.66;lr>";
    for list in [vec![foreign], vec!["<sip:192.0.2.1;lr>", foreign], vec![foreign, "<sip:192.0.2.1;lr>"]] {
        let sent = rig.one(outside(ALICE), &req("INVITE").routes(list).text());
        assert!([PROXY, PROXY_2].contains(&sent.to().as_str()));
        assert!(sent.all("Route").is_empty());
    }
    assert_eq!(rig.count(Counter::ForeignRoutesStripped), 3);
    // Ours alone is an outbound proxy setting and no attempt.
    rig.one(outside(ALICE), &req("INVITE").routes(["<sip:192.0.2.1;lr>", "<sip:10.0.0.1:5080;lr>"]).text());
    assert_eq!(rig.count(Counter::ForeignRoutesStripped), 3);
}

#[test]
fn preloaded_routes_are_refused_when_so_configured() {
    let mut rig = Rig::new(&config::Lb { foreign_routes: config::ForeignRoutes::Refuse, ..config() });
    refused(&mut rig, req("INVITE").routes(["<sip:203.0.113.66;lr>"]), StatusCode::FORBIDDEN);
    let fine = rig.one(outside(ALICE), &req("INVITE").routes(["<sip:192.0.2.1;lr>"]).text());
    assert!([PROXY, PROXY_2].contains(&fine.to().as_str()));
    assert_eq!(rig.count(Counter::ForeignRoutesRefused), 2);
}

#[test]
fn a_good_token_with_a_foreign_route_behind_it_still_goes_to_the_proxy() {
    let mut rig = Rig::new(&config());
    let invite = rig.one(outside(ALICE), &req("INVITE").text());
    let mut list = routes(&invite);
    list.push("<sip:203.0.113.66;lr>".into());
    let sent = rig.one(outside(ALICE), &req("BYE").tagged().uri("sip:203.0.113.66").routes(list).text());
    assert_eq!(sent.to(), invite.to(), "nothing passes the proxy by");
}

#[test]
fn a_stranger_on_the_internal_socket_is_a_stranger() {
    let mut rig = Rig::new(&config());
    let path = register(&mut rig, outside(BOB));
    let flow = inside("10.0.0.99:5060");
    let sent = rig.one(flow, &req("INVITE").uri("sip:203.0.113.66").routes(&path).text());
    assert!([PROXY, PROXY_2].contains(&sent.to().as_str()));
    let answer = rig.one(flow, &req("BYE").tagged().uri("sip:203.0.113.66").text());
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[test]
fn without_internal_sockets_a_proxy_is_known_by_its_whole_address() {
    let mut rig = Rig::new(&config::Lb { internal: Vec::new(), ..one_proxy() });
    let call = req("INVITE").uri("sip:x@203.0.113.66").text();
    assert_eq!(rig.one(outside(PROXY), &call).to(), "203.0.113.66:5060", "a proxy may call a trunk");
    let neighbour = outside("10.0.0.2:5070");
    assert_eq!(rig.one(neighbour, &call.replace("call-1", "call-2")).to(), PROXY, "its neighbour reaches the proxy");
}

#[test]
fn responses_from_outside_lead_inside_only() {
    let mut rig = Rig::new(&config());
    let bob = register(&mut rig, outside(BOB));
    let first = rig.one(outside(ALICE), &req("INVITE").text());
    // What Bob sees: his own transaction's Via on top of those of the whole way.
    let mut vias = vec![proxy_via("p")];
    vias.extend(first.all("Via"));
    let second = rig.one(inside(&first.to()), &req("INVITE").vias(vias).routes(&bob).text());
    let to_proxy = rig.one(outside(BOB), &response(&second, 200));
    assert_eq!(to_proxy.to(), first.to(), "sent-by of the proxy");
    // He tries the Via that leads to Alice: not past the proxy.
    let shortcut = response(&first, 200);
    rig.none(outside(BOB), &shortcut);
    assert_eq!(rig.count(Counter::StrayResponses), 1);
    assert_eq!(rig.one(inside(&first.to()), &shortcut).to(), ALICE, "the proxy may");
}

#[test]
fn responses_that_no_request_of_ours_asked_for_are_dropped() {
    let mut rig = Rig::new(&config());
    let first = rig.one(outside(ALICE), &req("INVITE").text());
    let good = response(&first, 200);
    let branch = first.branch();
    let forged = [
        good.replace(&branch, &format!("{branch}x")),
        good.replace(";c4=", ";c4=A"),
        good.replace(";c4=", ";c5="),
        good.replacen("Via: ", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0\nVia: ", 1),
    ];
    for text in &forged {
        rig.none(inside(PROXY), text);
    }
    assert_eq!(rig.count(Counter::StrayResponses), forged.len() as u64);
    // Ours alone: it was meant for nobody (RFC 3261 §16.7 step 3).
    let alone: String = good.lines().filter(|l| !l.contains("198.51.100.7")).map(|l| format!("{l}\n")).collect();
    rig.none(inside(PROXY), &alone);
}

fn any_route() -> impl Strategy<Value = String> {
    let hosts = ["192.0.2.1", "10.0.0.1:5080", "203.0.113.66", "10.0.0.2", "evil.example", "127.0.0.1"];
    let host = prop::sample::select(hosts.to_vec());
    let user = prop_oneof!["", "[A-Za-z0-9_-]{1,60}@", "bob@"];
    let params = ["", ";lr", ";transport=tcp;lr", ";maddr=203.0.113.66;lr", ";lr;r2=on"];
    let params = prop::sample::select(params.to_vec());
    (user, host, params).prop_map(|(u, h, p)| format!("<sip:{u}{h}{p}>"))
}

fn any_request() -> impl Strategy<Value = Req> {
    let method = prop_oneof![
        Just("INVITE"),
        Just("ACK"),
        Just("BYE"),
        Just("CANCEL"),
        Just("REGISTER"),
        Just("OPTIONS"),
        Just("MESSAGE"),
        Just("NOTIFY"),
        Just("FOO")
    ];
    let uri = prop_oneof![
        Just("sip:bob@example.com".to_owned()),
        Just("sip:203.0.113.66".to_owned()),
        Just("sip:x@192.0.2.1;lr".to_owned()),
        Just("tel:+4912345".to_owned()),
        "sip:[a-z0-9]{1,8}@203\\.0\\.113\\.66;maddr=203\\.0\\.113\\.67",
    ];
    let via = prop_oneof![
        Just("SIP/2.0/UDP 198.51.100.7:40000;rport;branch=z9hG4bKa"),
        Just("SIP/2.0/UDP 203.0.113.66;branch=z9hG4bKa;received=203.0.113.66"),
        Just("SIP/2.0/TCP 203.0.113.66:5060;maddr=203.0.113.66;branch=z9hG4bKa"),
        Just("SIP/2.0/UDP 198.51.100.7;rport=66;branch=old"),
    ];
    (method, uri, via, any::<bool>(), proptest::collection::vec(any_route(), 0..5)).prop_map(
        |(method, uri, via, tagged, routes)| Req {
            method,
            uri,
            vias: vec![via.into()],
            to_tag: tagged.then_some("t"),
            routes,
            ..req("X")
        },
    )
}

proptest! {
    #[test]
    fn nothing_from_outside_without_a_token_reaches_a_foreign_address(requests in proptest::collection::vec(any_request(), 1..20)) {
        let mut rig = Rig::new(&config());
        for request in requests {
            for sent in rig.put(outside(ALICE), &request.text()) {
                let to = sent.to();
                let proxy = [PROXY, PROXY_2].contains(&to.as_str()) && sent.message.is_request();
                let answer = sent.flow.remote.ip() == addr(ALICE).ip() && !sent.message.is_request();
                prop_assert!(proxy || answer, "{}", text_of(&sent.message));
            }
            prop_assert!(rig.connects.is_empty());
        }
    }
}
