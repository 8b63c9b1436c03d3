//! Routing and forwarding (RFC 3261 §16.4 to §16.6).

use c4_sip_core::header::Header;
use c4_sip_core::proxy::{Branch, Cause, CommandError, Config, Edit, Event, Hunt, Options};
use c4_sip_core::transaction;
use c4_sip_core::{Destination, Request, StatusCode, Target, Transport};

use crate::harness::*;

fn values(request: &Request, name: Header) -> Vec<String> {
    request.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

fn breadths(requests: &[Request]) -> Vec<String> {
    requests.iter().flat_map(|request| values(request, Header::MaxBreadth)).collect()
}

fn udp(n: u8) -> Destination {
    Target::new(Transport::Udp, callee(n)).into()
}

#[test]
fn rfc3261_16_6_a_call_goes_through_and_leaves_nothing() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    let request = rig.one("INVITE");
    assert_eq!(request.uri(), "sip:b1@198.51.100.1");
    assert_eq!(request.max_forwards(), Some(69));
    assert_eq!(request.headers(Header::Via).count(), 2);
    rig.answer(&request, 180);
    rig.answer(&request, 200);
    assert_eq!(rig.codes(), [180, 200]);
    let outcome = rig.finished().remove(0);
    assert_eq!(outcome.status, Some(StatusCode::OK));
    rig.assert_idle();
}

#[test]
fn rfc3261_16_6_3_max_forwards_is_added_where_there_is_none() {
    let mut rig = Rig::new();
    rig.caller(&request_text("OPTIONS", "sip:b@example.com", "1", ""));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1)]);
    assert_eq!(rig.one("OPTIONS").max_forwards(), Some(70));
}

#[test]
fn rfc3261_16_6_steps_4_to_6_record_route_edits_and_routes_are_put_on() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Record-Route: <sip:192.0.2.77;lr>\nX-Own: 1\n"));
    let branch = Branch {
        record_route: vec!["<sip:192.0.2.9;lr;s=2>".into(), "<sip:192.0.2.9;lr;s=1>".into()],
        routes: vec!["<sip:192.0.2.20;lr>".into(), "<sip:192.0.2.21;lr>".into()],
        edits: vec![
            Edit::Remove { name: "X-Own".into() },
            Edit::Set { name: "P-Asserted-Identity".into(), value: b"<sip:a@example.com>".to_vec() },
            Edit::PushBack { name: "X-New".into(), value: b"2".to_vec() },
            Edit::PushFront { name: "X-New".into(), value: b"1".to_vec() },
            Edit::Body { content_type: Some("text/plain".into()), body: "hello".into() },
        ],
        ..to(1)
    };
    let id = rig.contexts[0];
    rig.forward(id, vec![branch]);
    let request = rig.one("INVITE");
    let recorded = ["<sip:192.0.2.9;lr;s=2>", "<sip:192.0.2.9;lr;s=1>", "<sip:192.0.2.77;lr>"];
    assert_eq!(values(&request, Header::RecordRoute), recorded);
    assert_eq!(values(&request, Header::Route), ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21;lr>"]);
    assert_eq!(request.header("X-Own"), None);
    assert_eq!(request.headers("X-New").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.header(Header::PAssertedIdentity), Some(&b"<sip:a@example.com>"[..]));
    assert_eq!((request.body(), request.header(Header::ContentLength)), (&b"hello"[..], Some(&b"5"[..])));
}

#[test]
fn rfc3261_16_6_6_a_strict_next_hop_gets_itself_as_request_uri() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.forward(id, vec![Branch { routes: vec!["<sip:198.51.100.20>".into()], ..to(1) }]);
    let request = rig.one("INVITE");
    assert_eq!(request.uri(), "sip:198.51.100.20");
    assert_eq!(values(&request, Header::Route), ["<sip:b1@198.51.100.1>"]);
}

#[test]
fn rfc3261_16_6_6_values_that_could_smuggle_a_header_fail_that_branch_only() {
    let mut rig = Rig::new();
    let evil = Edit::Set { name: "X-A".into(), value: b"1\r\nX-B: 2".to_vec() };
    rig.call(vec![Branch { edits: vec![evil], ..to(1) }, to(2)]);
    assert_eq!(rig.one("INVITE").uri(), "sip:b2@198.51.100.2");
    assert!(rig.events.iter().any(|e| matches!(e, Event::BranchFailed { cause: Cause::NotSent, .. })));
}

#[test]
fn rfc3261_16_5_no_targets_is_480() {
    let mut rig = Rig::new();
    rig.call(Vec::new());
    assert_eq!(rig.codes(), [480]);
    assert_eq!(rig.finished().len(), 1);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_6_equal_preference_is_tried_together_lower_after_failure() {
    let mut rig = Rig::new();
    rig.call(vec![at(3, 500), at(1, 1000), at(2, 1000), at(4, 0)]);
    let first = rig.requests("INVITE");
    assert_eq!(first.iter().map(request_target).collect::<Vec<_>>(), [callee(1), callee(2)]);
    rig.answer(&first[0], 486);
    assert!(rig.requests("INVITE").is_empty(), "the second phone of the group still rings");
    rig.answer(&first[1], 404);
    let second = rig.one("INVITE");
    assert_eq!(request_target(&second), callee(3));
    rig.answer(&second, 480);
    let third = rig.one("INVITE");
    rig.answer(&third, 410);
    assert_eq!(rig.codes(), [486]);
    assert_eq!(rig.failed(), [(1, 486), (2, 404), (3, 480), (4, 410)]);
    rig.assert_idle();
}

#[test]
fn hunting_for_a_trunk_stops_at_an_answer_about_the_callee() {
    for (code, next) in [(486, false), (404, false), (503, true), (500, true), (408, true), (430, true)] {
        let mut rig = Rig::new();
        let first = Branch { hunt: Hunt::Unreachable, ..at(1, 1000) };
        rig.call(vec![first, at(2, 500)]);
        let request = rig.one("INVITE");
        rig.answer(&request, code);
        assert_eq!(rig.requests("INVITE").len(), usize::from(next), "{code}");
        assert_eq!(rig.codes().is_empty(), next);
    }
}

#[test]
fn targets_may_be_added_while_others_ring() {
    let mut rig = Rig::new();
    rig.caller(&invite());
    let id = rig.contexts[0];
    rig.proxy.set_options(id, Options { late: true, ..Options::default() });
    rig.forward(id, vec![to(1)]);
    let first = rig.one("INVITE");
    rig.answer(&first, 180);
    rig.forward(id, vec![to(2), at(3, 100)]);
    let second = rig.one("INVITE");
    assert_eq!(request_target(&second), callee(2), "of the same preference: at once; of a lower one: it waits");
    rig.answer(&second, 200);
    assert_eq!(rig.codes(), [180, 200]);
    let cancelled = rig.one("CANCEL");
    assert_eq!(request_target(&cancelled), callee(1));
}

#[test]
fn more_branches_than_allowed_change_nothing() {
    let mut rig = Rig::with(Config { max_branches: 2, ..config() });
    rig.caller(&invite());
    let id = rig.contexts[0];
    let too_many = rig.proxy.forward(rig.now, &mut rig.layer, id, vec![to(1), to(2), to(3)]);
    assert_eq!(too_many, Err(CommandError::TooManyBranches));
    rig.run();
    assert!(rig.requests("INVITE").is_empty());
    rig.forward(id, vec![to(1), to(2)]);
    assert_eq!(rig.requests("INVITE").len(), 2);
}

#[test]
fn a_stale_context_is_gone_for_every_command() {
    let mut rig = Rig::new();
    let id = rig.call(Vec::new());
    let (now, layer) = (rig.now, &mut rig.layer);
    assert_eq!(rig.proxy.forward(now, layer, id, vec![to(1)]), Err(CommandError::Gone));
    assert_eq!(rig.proxy.reject_with(now, layer, id, StatusCode::FORBIDDEN), Err(CommandError::Gone));
    assert_eq!(rig.proxy.cancel(now, layer, id, None), Err(CommandError::Gone));
    assert_eq!(rig.proxy.relay(now, layer, id), Err(CommandError::Gone));
    assert_eq!(rig.proxy.conclude(now, layer, id), Err(CommandError::Gone));
    assert!(rig.proxy.request_of(id).is_none());
    rig.caller(&request_text("INVITE", "sip:c@example.com", "2", ""));
    assert_ne!(rig.contexts[1], id, "an id is never used again");
}

#[test]
fn rfc5393_5_3_3_breadth_is_divided_among_parallel_branches() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Max-Breadth: 7\n"));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1), to(2), to(3)]);
    let requests = rig.requests("INVITE");
    let sum: u16 = breadths(&requests).iter().map(|breadth| breadth.parse::<u16>().unwrap()).sum();
    assert_eq!((requests.len(), sum), (3, 7));
}

#[test]
fn rfc5393_5_3_3_a_request_without_breadth_gets_60() {
    let mut rig = Rig::new();
    rig.call(vec![to(1)]);
    assert_eq!(breadths(&[rig.one("INVITE")]), ["60"]);
}

#[test]
fn rfc5393_5_3_3_what_breadth_does_not_allow_at_once_is_tried_in_turn() {
    let mut rig = Rig::new();
    rig.caller(&request_text("INVITE", "sip:b@example.com", "1", "Max-Breadth: 2\n"));
    let id = rig.contexts[0];
    rig.forward(id, vec![to(1), to(2), to(3)]);
    let first = rig.requests("INVITE");
    assert_eq!(breadths(&first), ["1", "1"]);
    rig.answer(&first[0], 486);
    let third = rig.one("INVITE");
    assert_eq!((request_target(&third), breadths(std::slice::from_ref(&third))), (callee(3), vec!["1".to_owned()]));
    rig.answer(&first[1], 486);
    rig.answer(&third, 486);
    assert_eq!(rig.codes(), [486]);
    rig.assert_idle();
}

#[test]
fn rfc3263_4_3_a_503_goes_on_to_the_next_destination() {
    let mut rig = Rig::new();
    rig.call(vec![Branch { failover: vec![udp(11), udp(12)], ..to(1) }]);
    let first = rig.one("INVITE");
    rig.answer(&first, 100);
    rig.answer(&first, 503);
    let sent = rig.sent.iter().find(|sent| sent.to == callee(11)).expect("the second destination");
    assert!(matches!(&sent.message, c4_sip_core::Checked::Request(r) if r.uri() == first.uri()));
    assert!(rig.codes().iter().all(|code| *code == 100));
    let second = rig.requests("INVITE").remove(0);
    assert_ne!(second.branch(), first.branch(), "a transaction of its own");
    rig.answer(&second, 200);
    assert!(rig.codes().contains(&200));
    assert!(matches!(
        rig.events.iter().find(|e| matches!(e, Event::BranchFailed { .. })),
        Some(Event::BranchFailed { retried: true, cause: Cause::Response, .. })
    ));
    assert_eq!(rig.proxy.stats().failovers, 1);
    rig.assert_idle();
}

#[test]
fn rfc3263_4_3_silence_goes_on_to_the_next_destination_a_ringing_phone_does_not() {
    let mut rig = Rig::new();
    rig.call(vec![Branch { failover: vec![udp(11)], ..to(1) }]);
    rig.seconds(33);
    assert!(rig.sent.iter().any(|sent| sent.to == callee(11)));

    let mut rig = Rig::new();
    rig.call(vec![Branch { failover: vec![udp(11)], ..to(1) }]);
    let request = rig.one("INVITE");
    rig.answer(&request, 180);
    rig.answer(&request, 486);
    assert!(!rig.sent.iter().any(|sent| sent.to == callee(11)));
}

#[test]
fn rfc3261_16_9_a_transport_failure_is_a_503_and_goes_on() {
    let mut rig = Rig::new();
    let tcp = Target::new(Transport::Tcp, callee(1));
    rig.call(vec![Branch { destination: tcp.into(), failover: vec![udp(11)], ..to(1) }, at(2, 1)]);
    let connect = rig.back.iter().find_map(|event| match event {
        transaction::Event::Connect { id, .. } => Some(*id),
        _ => None,
    });
    rig.layer.handle_connect_done(rig.now, connect.unwrap(), Err(std::io::ErrorKind::ConnectionRefused));
    rig.run();
    let request = rig.one("INVITE");
    let failed = rig.events.iter().any(|e| {
        matches!(e, Event::BranchFailed { status, cause: Cause::Transport, retried: true, .. } if status.code() == 503)
    });
    assert!(failed);
    rig.answer(&request, 486);
    let last = rig.one("INVITE");
    assert_eq!(request_target(&last), callee(2));
    rig.answer(&last, 200);
    rig.assert_idle();
}

#[test]
fn rfc3261_16_7_6_only_failed_transports_are_500() {
    let mut rig = Rig::with(config());
    let tcp = Target::new(Transport::Tcp, callee(1));
    rig.call(vec![Branch { destination: tcp.into(), ..to(1) }]);
    let connect = rig.back.iter().find_map(|event| match event {
        transaction::Event::Connect { id, .. } => Some(*id),
        _ => None,
    });
    rig.layer.handle_connect_done(rig.now, connect.unwrap(), Err(std::io::ErrorKind::TimedOut));
    rig.run();
    assert_eq!(rig.codes(), [500]);
    assert_eq!(rig.finished()[0].by, c4_sip_core::proxy::By::Transport);
    rig.assert_idle();
}
