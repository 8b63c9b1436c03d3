//! Request validation (RFC 3261 §16.3).

use c4_sip_core::StatusCode;
use c4_sip_core::header::Header;
use c4_sip_core::proxy::{Config, Event};

use crate::harness::*;

/// The code that a request gets, and that it got no further.
fn refused(text: &str) -> u16 {
    let mut rig = Rig::new();
    rig.caller(text);
    let codes = rig.codes();
    assert_eq!(codes.len(), 1);
    assert_eq!(rig.refused.iter().map(|status| status.code()).collect::<Vec<_>>(), codes);
    assert!(rig.contexts.is_empty() && rig.events.is_empty());
    rig.assert_idle();
    codes[0]
}

#[test]
fn rfc3261_16_3_2_an_unknown_scheme_is_416() {
    assert_eq!(refused(&request_text("INVITE", "http://example.com/", "1", "")), 416);
    assert_eq!(refused(&request_text("OPTIONS", "nobodyKnowsThisScheme:x", "1", "")), 416);
}

#[test]
fn rfc3261_16_3_2_tel_is_understood_unless_switched_off() {
    let text = request_text("INVITE", "tel:+4930123", "1", "");
    let mut rig = Rig::new();
    rig.caller(&text);
    assert_eq!(rig.contexts.len(), 1);
    let mut rig = Rig::with(Config { tel: false, ..config() });
    rig.caller(&text);
    assert_eq!(rig.codes(), [416]);
}

#[test]
fn rfc3261_16_3_3_no_hop_left_is_483() {
    assert_eq!(refused(&request_text("INVITE", "sip:b@example.com", "1", "Max-Forwards: 0\n")), 483);
    assert_eq!(refused(&request_text("OPTIONS", "sip:b@example.com", "1", "Max-Forwards: 0\n")), 483);
}

#[test]
fn rfc3261_16_3_3_the_last_hop_is_taken() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", "Max-Forwards: 1\n"));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1)]);
    assert_eq!(rig.one("OPTIONS").max_forwards(), Some(0));
}

#[test]
fn rfc3261_16_3_4_a_request_that_comes_back_unchanged_is_482() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    // Sent to ourselves without another Request-URI.
    let same = c4_sip_core::proxy::Branch { uri: None, ..to(1) };
    rig.forward(id, vec![same]);
    let looped = rig.one("INVITE");
    rig.input(callee(1), parse(&String::from_utf8(looped.to_bytes().to_vec()).unwrap().replace("\r\n", "\n")));
    assert_eq!(rig.refused, [StatusCode::LOOP_DETECTED]);
}

#[test]
fn rfc5393_4_2_a_spiral_is_let_through() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let spiral = rig.one("INVITE");
    rig.input(callee(1), parse(&String::from_utf8(spiral.to_bytes().to_vec()).unwrap().replace("\r\n", "\n")));
    assert!(rig.refused.is_empty());
    assert_eq!(rig.contexts.len(), 2);
}

#[test]
fn rfc3261_8_2_2_2_a_merged_request_is_no_loop_and_gets_a_context_of_its_own() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", ""));
    rig.caller(&request_text("INVITE", "sip:b@example.com", "2", ""));
    assert_eq!(rig.contexts.len(), 2);
    assert!(rig.refused.is_empty());
}

#[test]
fn rfc3261_16_3_5_unknown_proxy_require_is_420_and_names_what_is_unknown() {
    let lines = "Proxy-Require: foo, known\nProxy-Require: bar\n";
    let text = request_text("INVITE", "sip:b@example.com", "1", lines);
    let mut rig = Rig::with(Config { supported: vec!["Known".into()], ..config() });
    rig.caller(&text);
    let response = rig.responses().remove(0);
    assert_eq!(response.status(), StatusCode::BAD_EXTENSION);
    assert_eq!(response.header(Header::Unsupported), Some(&b"foo, bar"[..]));
    assert!(response.to_tag().is_some(), "RFC 3261 §8.2.6.2: every answer of ours has a To tag");
}

#[test]
fn rfc5393_5_3_3_no_breadth_left_is_440() {
    assert_eq!(refused(&request_text("INVITE", "sip:b@example.com", "1", "Max-Breadth: 0\n")), 440);
}

#[test]
fn a_full_proxy_answers_503_and_changes_nothing() {
    let mut rig = Rig::with(Config { max_contexts: 1, ..config() });
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", ""));
    rig.caller(&request_text("INVITE", "sip:b@example.com", "2", ""));
    assert_eq!(rig.codes(), [503]);
    assert_eq!((rig.contexts.len(), rig.proxy.stats().contexts, rig.proxy.stats().refused), (1, 1, 1));
}

#[test]
fn rfc3261_16_2_a_retransmitted_request_makes_no_second_context() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    rig.caller(&invite());
    assert_eq!(rig.contexts.len(), 1);
    assert_eq!(rig.requests("INVITE").len(), 1);
    let routes = rig.events.iter().filter(|event| matches!(event, Event::Route { .. })).count();
    assert_eq!(routes, 1);
}
