//! Response processing (RFC 3261 §16.7).

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{Branch, BranchRef, By, Event, Options, Outcome};
use c4_sip_core::transaction;
use c4_sip_core::{Response, StatusCode};

use crate::harness::*;

fn lines(response: &Response, name: Header) -> Vec<String> {
    response.headers(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// What the caller gets when parallel branches answer so, in this order.
fn best(codes: &[u16]) -> u16 {
    let mut rig = Rig::new();
    rig.call((1..=codes.len() as u8).map(to).collect());
    let requests = rig.requests("INVITE");
    for (request, code) in requests.iter().zip(codes) {
        rig.answer(request, *code);
    }
    let sent = rig.codes();
    assert_eq!((sent.len(), rig.finished().len()), (1, 1), "one final response");
    rig.assert_idle();
    sent[0]
}

fn outcome(rig: &mut Rig) -> Outcome {
    let mut finished = rig.finished();
    assert_eq!(finished.len(), 1);
    finished.remove(0)
}

#[test]
fn rfc3261_16_7_5_100_is_absorbed_other_provisional_responses_go_on() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    for code in [100, 180, 183, 199] {
        rig.answer(&request, code);
    }
    assert_eq!(rig.codes(), [180, 183, 199]);
    let told = rig.events.iter().filter(|event| matches!(event, Event::Provisional { .. })).count();
    assert_eq!(told, 3);
}

#[test]
fn rfc3261_16_7_3_our_via_is_off_what_goes_on() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    let ringing = rig.responses().remove(0);
    assert_eq!(ringing.headers(Header::Via).count(), 1);
    assert_eq!(ringing.branch(), Some("z9hG4bK1"));
}

#[test]
fn rfc3261_16_7_3_a_response_without_another_via_is_for_nobody() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    let mut response = reply(&request, 180);
    let top = String::from_utf8(response.values(Header::Via).next().unwrap().to_vec()).unwrap();
    while response.pop_via() {}
    response.push_via(&top).unwrap();
    rig.respond(&response, &request);
    assert!(rig.codes().is_empty());
}

#[test]
fn rfc3261_16_7_5_every_2xx_to_invite_goes_on_also_late_ones() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 200);
    rig.answer(&requests[1], 200);
    assert_eq!(rig.codes(), [200, 200]);
    assert_eq!(outcome(&mut rig).status, Some(StatusCode::OK));
    // Retransmitted and from one more phone behind the second target, after the context is gone.
    rig.answer(&requests[0], 200);
    let mut third = requests[1].response(StatusCode::OK);
    third.set_to_tag("another").unwrap();
    rig.respond(&third, &requests[1]);
    rig.respond(&third, &requests[1]);
    assert_eq!(rig.codes(), [200, 200, 200]);
    let told: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Answered { to_tag, first, branch, .. } => Some((branch.user, to_tag.as_deref()?.to_owned(), *first)),
            _ => None,
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(user, tag, first)| (*user, tag.as_str(), *first)).collect();
    let expected = [(1, "t198-51-100-1", true), (2, "t198-51-100-2", false), (2, "another", false)];
    assert_eq!(told, expected, "each answer is told once, retransmissions are not");
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_10_a_2xx_cancels_the_others_with_a_reason() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2), at(3, 1)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 180);
    rig.answer(&requests[1], 200);
    let cancel = rig.one("CANCEL");
    assert_eq!(request_target(&cancel), callee(1));
    assert_eq!(cancel.header(Header::Reason), Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..]));
    rig.answer(&requests[0], 487);
    assert_eq!(rig.codes(), [180, 200], "the 487 of the other goes nowhere");
    assert!(rig.requests("INVITE").is_empty(), "the target that waited is not tried");
    let outcome = outcome(&mut rig);
    assert_eq!((outcome.by, outcome.branch.map(|b| b.user)), (By::Callee, Some(2)));
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_5_a_6xx_cancels_the_others_and_waits_for_them() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2), at(3, 1)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 180);
    rig.answer(&requests[1], 603);
    assert_eq!(rig.codes(), [180], "it is not sent on before the others have ended");
    assert_eq!(request_target(&rig.one("CANCEL")), callee(1));
    rig.answer(&requests[0], 487);
    assert_eq!(rig.codes(), [603]);
    assert!(rig.requests("INVITE").is_empty(), "no new branch after a 6xx");
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_5_a_2xx_after_a_6xx_still_wins() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[1], 600);
    rig.answer(&requests[0], 200);
    assert_eq!(rig.codes(), [200]);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_5_after_a_6xx_no_target_may_be_added() {
    let mut rig = Rig::new();
    let id = rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 600);
    assert!(rig.proxy.forward(rig.now, &mut rig.layer, id, vec![to(3)]).is_err());
}

#[test]
fn rfc3261_16_7_6_the_best_response_goes_on() {
    assert_eq!(best(&[486, 302]), 302);
    assert_eq!(best(&[500, 486]), 486);
    assert_eq!(best(&[486, 603]), 603);
    assert_eq!(best(&[404, 484, 486]), 484);
    assert_eq!(best(&[486, 401]), 401);
}

#[test]
fn rfc3261_16_7_6_a_503_becomes_500() {
    assert_eq!(best(&[503]), 500);
    assert_eq!(best(&[503, 503]), 500);
    assert_eq!(best(&[503, 504]), 504);
}

#[test]
fn rfc3261_16_7_7_challenges_of_all_branches_are_collected() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2), to(3)]);
    let requests = rig.requests("INVITE");
    let challenge = |n: usize, code: u16, header: Header, value: &str| {
        let mut response = reply(&requests[n], code);
        response.push_back(header, value).unwrap();
        response
    };
    let first = challenge(0, 407, Header::ProxyAuthenticate, "Digest realm=\"one\", nonce=\"1\"");
    let mut second = challenge(1, 401, Header::WwwAuthenticate, "Digest realm=\"two\", nonce=\"2\"");
    second.push_back(Header::WwwAuthenticate, "Digest realm=\"two\", nonce=\"3\"").unwrap();
    rig.respond(&first, &requests[0]);
    rig.respond(&second, &requests[1]);
    rig.answer(&requests[2], 486);
    let response = rig.responses().remove(0);
    assert_eq!(response.status().code(), 407);
    assert_eq!(lines(&response, Header::ProxyAuthenticate), ["Digest realm=\"one\", nonce=\"1\""]);
    let www = ["Digest realm=\"two\", nonce=\"2\"", "Digest realm=\"two\", nonce=\"3\""];
    assert_eq!(lines(&response, Header::WwwAuthenticate), www);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_7_a_folded_challenge_is_kept() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    rig.answer(&requests[0], 407);
    let text = String::from_utf8(reply(&requests[1], 407).to_bytes().to_vec()).unwrap().replace("\r\n", "\n");
    let text = text.replace("Call-ID", "Proxy-Authenticate: Digest realm=\"two\",\n  nonce=\"2\"\nCall-ID");
    rig.input(callee(2), parse(&text));
    let response = rig.responses().remove(0);
    assert_eq!(lines(&response, Header::ProxyAuthenticate), ["Digest realm=\"two\", nonce=\"2\""]);
}

#[test]
fn rfc3261_16_7_7_challenges_stay_out_of_other_responses() {
    let mut rig = Rig::new();
    rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    let mut challenge = reply(&requests[0], 407);
    challenge.push_back(Header::ProxyAuthenticate, "Digest realm=\"one\", nonce=\"1\"").unwrap();
    rig.respond(&challenge, &requests[0]);
    rig.answer(&requests[1], 302);
    let response = rig.responses().remove(0);
    assert_eq!((response.status().code(), response.header(Header::ProxyAuthenticate)), (302, None));
}

#[test]
fn rfc3261_16_7_4_a_3xx_is_followed_where_told_and_no_uri_twice() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.proxy.set_options(id, Options { recurse: true, ..Options::default() });
    rig.forward(id, vec![Branch { record_route: vec!["<sip:192.0.2.9;lr>".into()], ..to(1) }]);
    let request = rig.one("INVITE");
    let mut moved = reply(&request, 302);
    let contacts =
        "<sip:b3@198.51.100.3>;q=0.2, <sip:b2@198.51.100.2>, <sip:b1@198.51.100.1>, <sip:x@name.example.com>";
    moved.push_back(Header::Contact, contacts).unwrap();
    rig.respond(&moved, &request);
    let second = rig.one("INVITE");
    assert_eq!(request_target(&second), callee(2), "q 1.0 first; the one that was tried is not tried again");
    assert_eq!(second.header(Header::RecordRoute), Some(&b"<sip:192.0.2.9;lr>"[..]));
    rig.answer(&second, 486);
    let third = rig.one("INVITE");
    assert_eq!(request_target(&third), callee(3));
    rig.answer(&third, 404);
    assert_eq!(rig.codes(), [486], "the 3xx that was followed is no candidate");
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_4_a_3xx_is_sent_on_where_not_told_otherwise() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    let mut moved = reply(&request, 302);
    moved.push_back(Header::Contact, "<sip:b2@198.51.100.2>").unwrap();
    rig.respond(&moved, &request);
    let response = rig.responses().remove(0);
    assert_eq!(lines(&response, Header::Contact), ["<sip:b2@198.51.100.2>"]);
    assert!(rig.requests("INVITE").is_empty());
}

#[test]
fn when_told_to_ask_the_caller_of_the_core_may_add_targets_or_conclude() {
    let ask = Options { ask: true, ..Options::default() };
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.proxy.set_options(id, ask);
    rig.forward(id, vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 486);
    assert!(matches!(rig.events.last(), Some(Event::Exhausted { status: Some(StatusCode::BUSY_HERE), .. })));
    assert!(rig.codes().is_empty());
    assert_eq!(rig.proxy.best_response(id).map(|best| best.status().code()), Some(486));
    rig.forward(id, vec![to(2)]);
    let second = rig.one("INVITE");
    rig.answer(&second, 404);
    assert!(rig.codes().is_empty(), "it asks again");
    rig.proxy.conclude(rig.now, &mut rig.layer, id).unwrap();
    rig.run();
    assert_eq!(rig.codes(), [486]);
    rig.assert_idle();
}

#[test]
fn a_rejection_while_phones_ring_is_final_and_cancels_them() {
    let mut rig = Rig::new();
    let id = rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    rig.proxy.reject_with(rig.now, &mut rig.layer, id, StatusCode::FORBIDDEN).unwrap();
    rig.run();
    assert_eq!(rig.codes(), [180, 403]);
    assert!(rig.finished().is_empty(), "a branch has yet to end");
    rig.one("CANCEL");
    rig.answer(&request, 487);
    let outcome = outcome(&mut rig);
    assert_eq!((outcome.by, outcome.status), (By::Application, Some(StatusCode::FORBIDDEN)));
    rig.assert_idle();
}

#[test]
fn rfc3261_8_2_6_2_answers_of_ours_have_unlike_to_tags() {
    let mut rig = Rig::new();
    let mut tags = Vec::new();
    for n in 0..3 {
        rig.caller(&request_text("OPTIONS", "sip:b@example.com", &format!("x{n}"), ""));
        let id = *rig.contexts.last().unwrap();
        rig.proxy.reject_with(rig.now, &mut rig.layer, id, StatusCode::NOT_FOUND).unwrap();
        rig.run();
        tags.push(rig.responses()[0].to_tag().unwrap().to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 3);
}

#[test]
fn rfc3261_16_7_5_a_non_invite_gets_one_final_response() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", ""));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1), to(2)]);
    let requests = rig.requests("OPTIONS");
    rig.answer(&requests[0], 200);
    rig.answer(&requests[1], 200);
    assert_eq!(rig.codes(), [200]);
    assert!(rig.requests("CANCEL").is_empty(), "RFC 3261 §9.1: only INVITE is cancelled");
    assert_eq!(rig.finished().len(), 1);
    rig.assert_idle();
}

#[test]
fn rfc4320_4_1_no_provisional_response_to_a_non_invite_goes_on() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", ""));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1)]);
    let request = rig.one("OPTIONS");
    rig.answer(&request, 100);
    rig.answer(&request, 182);
    assert!(rig.codes().is_empty());
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Provisional { .. })));
    rig.answer(&request, 200);
    assert_eq!(rig.codes(), [200]);
}

#[test]
fn rfc6026_7_2_a_stray_2xx_is_dropped_unless_told_otherwise() {
    let stray = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKgone\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\nFrom: <sip:a@example.com>;tag=a1\nTo: <sip:b@example.com>;tag=b\nCall-ID: call@example.com\nCSeq: 1 INVITE\nContent-Length: 0\n\n";
    let mut rig = Rig::new();
    rig.input(callee(1), parse(stray));
    assert!(rig.codes().is_empty());
    assert_eq!((rig.back.len(), rig.proxy.stats().stray_responses), (1, 1));

    let mut rig = Rig::with(c4_sip_core::proxy::Config { forward_stray_2xx: true, ..config() });
    rig.input(callee(1), parse(stray));
    let forwarded = rig.responses().remove(0);
    assert_eq!((forwarded.branch(), forwarded.headers(Header::Via).count()), (Some("z9hG4bK1"), 1));
    for other in [
        stray.replace("200 OK", "486 Busy"),
        stray.replace("1 INVITE", "1 BYE"),
        stray.replace("192.0.2.9:", "192.0.2.8:"),
    ] {
        rig.input(callee(1), parse(&other));
        assert!(rig.codes().is_empty(), "{other}");
    }
}

#[test]
fn a_response_may_be_held_back_and_changed_before_the_proxy_gets_it() {
    let mut rig = Rig::new();
    let id = rig.call(vec![to(1), to(2)]);
    let requests = rig.requests("INVITE");
    let first = rig.held(&reply(&requests[0], 183), &requests[0]);
    let second = rig.held(&reply(&requests[0], 200), &requests[0]);
    // Another branch is not held up by it.
    rig.answer(&requests[1], 180);
    assert_eq!(rig.codes(), [180]);
    for event in [first, second] {
        let transaction::Event::Response { id: client, mut response, flow } = event else { panic!("{event:?}") };
        assert_eq!(rig.proxy.branch_of(client), Some((id, BranchRef { index: 0, user: 1 })));
        response.set_body(Some("application/sdp"), "v=0\r\n").unwrap();
        rig.give(transaction::Event::Response { id: client, response, flow });
    }
    let sent = rig.responses();
    assert_eq!(sent.iter().map(|response| response.status().code()).collect::<Vec<_>>(), [183, 200]);
    assert!(sent.iter().all(|response| response.body() == b"v=0\r\n"));
    // After the context has finished the branch is still known, for retransmissions.
    rig.answer(&requests[1], 487);
    rig.finished();
    let again = rig.held(&reply(&requests[0], 200), &requests[0]);
    let transaction::Event::Response { id: client, .. } = again else { panic!("{again:?}") };
    assert_eq!(rig.proxy.branch_of(client), Some((id, BranchRef { index: 0, user: 1 })));
}
