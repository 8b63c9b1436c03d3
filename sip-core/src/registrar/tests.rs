//! The rules of RFC 3261 §10.3, one by one, on a virtual clock.

use std::time::{Duration, Instant};

use super::*;
use crate::header::Header;
use crate::message::Checked;
use crate::{ConnectionId, Flow, Limits, Message, Request, Response, StatusCode, Transport};

mod contract;
mod model;
mod torture;

const AOR: &str = "sip:bob@biloxi.com";
const UNIX: Duration = Duration::from_secs(784_111_777);

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    Instant::now()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn parse(text: &str) -> Request {
    let message = Message::parse(text.as_bytes().to_vec().into(), &Limits::default()).unwrap();
    match message.check().unwrap() {
        Checked::Request(request) => request,
        Checked::Response(_) => panic!("a response"),
    }
}

fn request_to(to: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    let mut text = format!(
        "REGISTER sip:biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK7\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@biloxi.com>;tag=4\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
    );
    for line in lines {
        text += line;
        text += "\r\n";
    }
    parse(&(text + "Content-Length: 0\r\n\r\n"))
}

fn context() -> Context {
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.4:5060".parse().unwrap());
    Context { flow, nated: false, received: None }
}

/// A registrar with its clock.
struct Bench {
    registrar: Registrar,
    now: Instant,
    cseq: u32,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Bench {
        let mut config = Config::new([3; 32]);
        change(&mut config);
        let now = start();
        Bench { registrar: Registrar::new(config, now, UNIX), now, cseq: 0 }
    }

    fn wait(&mut self, n: u64) {
        self.now += seconds(n);
        self.registrar.handle_timeout(self.now);
    }

    fn send(&mut self, request: &Request) -> Result<Response, Refusal> {
        self.registrar.register(self.now, request, &context()).map_err(|rejected| {
            assert_eq!(rejected.response.status(), rejected.refusal.status());
            assert!(rejected.response.to_tag().is_some());
            rejected.refusal
        })
    }

    /// The next request of one phone.
    fn register(&mut self, lines: &[&str]) -> Result<Response, Refusal> {
        self.cseq += 1;
        let request = request_to("<sip:bob@biloxi.com>", "a@phone", self.cseq, lines);
        self.send(&request)
    }

    fn contacts(&self) -> Vec<String> {
        let found = self.registrar.lookup(self.now, AOR);
        found.iter().map(|binding| binding.contact().to_owned()).collect()
    }

    /// Kinds and contacts of the events.
    fn events(&mut self) -> Vec<(char, String)> {
        let kind = |event: &Event| match event {
            Event::Added(_) => '+',
            Event::Refreshed(_) => '=',
            Event::Removed { .. } => '-',
            Event::Expired(_) => 'x',
        };
        let events = std::iter::from_fn(|| self.registrar.poll_event());
        events.map(|event| (kind(&event), event.binding().contact().to_owned())).collect()
    }
}

fn values(response: &Response, name: Header) -> Vec<String> {
    response.values(name).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[test]
fn rfc3261_10_3_step_8_the_answer_lists_all_bindings_with_seconds_left_and_the_date() {
    let mut bench = Bench::new(|_| ());
    let first = bench.register(&["Contact: <sip:a@192.0.2.4>;q=0.25;expires=600, <sip:b@192.0.2.5>"]).unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(
        values(&first, Header::Contact),
        ["<sip:b@192.0.2.5>;expires=3600", "<sip:a@192.0.2.4>;q=0.25;expires=600"]
    );
    bench.wait(100);
    let list = bench.register(&[]).unwrap();
    assert_eq!(
        values(&list, Header::Contact),
        ["<sip:b@192.0.2.5>;expires=3500", "<sip:a@192.0.2.4>;q=0.25;expires=500"]
    );
    assert_eq!(list.header(Header::Date), Some(&b"Sun, 06 Nov 1994 08:51:17 GMT"[..]));
    assert!(list.to_tag().is_some());
    assert_eq!(list.call_id(), "a@phone");
}

#[test]
fn rfc3261_10_2_1_1_no_more_seconds_are_granted_than_were_asked_for() {
    let mut bench = Bench::new(|_| ());
    for nanos in [1, 999, 1_000, 1_001, 999_999, 1_000_001, 500_000_001, 999_999_999] {
        bench.now += Duration::from_nanos(nanos);
        let response = bench.register(&["Contact: <sip:a@h>;expires=600"]).unwrap();
        assert_eq!(values(&response, Header::Contact), ["<sip:a@h>;expires=600"], "{nanos}");
    }
}

#[test]
fn rfc3261_10_3_step_7_lifetime_of_the_contact_else_of_the_request_else_the_default() {
    let mut bench = Bench::new(|c| c.default_expires = 1234);
    let response = bench.register(&["Contact: <sip:a@h>;expires=100", "Contact: <sip:b@h>", "Expires: 200"]).unwrap();
    assert_eq!(values(&response, Header::Contact), ["<sip:b@h>;expires=200", "<sip:a@h>;expires=100"]);
    let response = bench.register(&["Contact: <sip:c@h>"]).unwrap();
    assert_eq!(values(&response, Header::Contact)[0], "<sip:c@h>;expires=1234");
}

#[test]
fn rfc3261_10_2_1_1_a_malformed_lifetime_is_an_hour_and_a_huge_one_the_most() {
    let mut bench = Bench::new(|c| c.max_expires = 100_000);
    for (lines, expires) in [
        (["Contact: <sip:a@h>;expires=soon", "Expires: 100"], 3600),
        (["Contact: <sip:a@h>;expires", "Expires: 100"], 3600),
        (["Contact: <sip:a@h>", "Expires: never"], 3600),
        (["Contact: <sip:a@h>;expires=99999999999999999999", "Expires: 1"], 100_000),
    ] {
        let response = bench.register(&lines).unwrap();
        assert_eq!(values(&response, Header::Contact), [format!("<sip:a@h>;expires={expires}")], "{lines:?}");
    }
}

#[test]
fn rfc3261_10_3_step_7_too_brief_is_423_with_min_expires_and_changes_nothing() {
    let mut bench = Bench::new(|_| ());
    let request = request_to("<sip:bob@biloxi.com>", "a@phone", 1, &["Contact: <sip:a@h>, <sip:b@h>;expires=59"]);
    let rejected = bench.registrar.register(bench.now, &request, &context()).unwrap_err();
    assert_eq!(rejected.refusal, Refusal::TooBrief(60));
    assert_eq!(rejected.response.status(), StatusCode::INTERVAL_TOO_BRIEF);
    assert_eq!(rejected.response.header(Header::MinExpires), Some(&b"60"[..]));
    assert!(bench.registrar.is_empty() && bench.events().is_empty());
    // An hour or more is never too brief.
    bench.registrar.set_config(Config { min_expires: 7200, ..Config::new([3; 32]) });
    assert!(bench.register(&["Contact: <sip:a@h>;expires=3600"]).is_ok());
    assert_eq!(bench.register(&["Contact: <sip:a@h>;expires=3599"]).err(), Some(Refusal::TooBrief(3600)));
}

#[test]
fn a_longer_lifetime_is_cut_and_shorter_still_behind_a_nat() {
    let mut bench = Bench::new(|_| ());
    let response = bench.register(&["Contact: <sip:a@h>;expires=100000"]).unwrap();
    assert_eq!(values(&response, Header::Contact), ["<sip:a@h>;expires=7200"]);
    let request = request_to("<sip:bob@biloxi.com>", "a@phone", 9, &["Contact: <sip:a@h>;expires=3600"]);
    let response = bench.registrar.register(bench.now, &request, &Context { nated: true, ..context() }).unwrap();
    assert_eq!(values(&response, Header::Contact), ["<sip:a@h>;expires=120"]);
    assert!(bench.registrar.lookup(bench.now, AOR)[0].is_nated());
}

#[test]
fn rfc3261_10_3_step_7_same_call_id_needs_a_higher_cseq_or_500_and_nothing_changes() {
    let mut bench = Bench::new(|_| ());
    let send = |bench: &mut Bench, call_id, cseq, lines: &[&str]| {
        let request = request_to("<sip:bob@biloxi.com>", call_id, cseq, lines);
        bench.send(&request)
    };
    send(&mut bench, "a@phone", 10, &["Contact: <sip:a@h>;expires=600"]).unwrap();
    bench.events();
    for cseq in [10, 9] {
        let lines = ["Contact: <sip:b@h>", "Contact: <sip:a@h>;expires=0"];
        assert_eq!(send(&mut bench, "a@phone", cseq, &lines).err(), Some(Refusal::OutOfOrder));
        assert_eq!(send(&mut bench, "a@phone", cseq, &["Contact: *", "Expires: 0"]).err(), Some(Refusal::OutOfOrder));
    }
    assert_eq!(Refusal::OutOfOrder.status(), StatusCode::SERVER_INTERNAL_ERROR);
    assert_eq!((bench.contacts(), bench.events()), (vec!["sip:a@h".to_owned()], vec![]));
    // Another Call-ID may do it with any CSeq (the phone was restarted), and then counts.
    send(&mut bench, "b@phone", 1, &["Contact: <sip:a@h>;expires=700"]).unwrap();
    let binding = &bench.registrar.lookup(bench.now, AOR)[0];
    assert_eq!((binding.call_id(), binding.cseq(), binding.expires_in(bench.now)), ("b@phone", 1, 700));
    assert_eq!(send(&mut bench, "b@phone", 1, &["Contact: <sip:a@h>"]).err(), Some(Refusal::OutOfOrder));
    send(&mut bench, "a@phone", 2, &["Contact: <sip:a@h>;expires=0"]).unwrap();
    assert!(bench.registrar.is_empty());
}

#[test]
fn rfc3261_10_3_step_6_star_stands_alone_and_with_expires_0() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>, <sip:b@h>"]).unwrap();
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 1"],
        &["Contact: *, <sip:a@h>", "Expires: 0"],
        &["Contact: <sip:a@h>", "Contact: *", "Expires: 0"],
    ] {
        assert_eq!(bench.register(lines).err(), Some(Refusal::BadStar), "{lines:?}");
        assert_eq!(bench.registrar.len(), 2);
    }
    bench.events();
    let response = bench.register(&["Contact: *", "Expires: 0"]).unwrap();
    assert!(values(&response, Header::Contact).is_empty() && bench.registrar.is_empty());
    assert_eq!(bench.events().len(), 2);
    assert_eq!(bench.registrar.aors(), 0);
}

#[test]
fn rfc3261_10_3_step_7_contacts_are_compared_as_uris() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:bob@H.example.com;transport=tcp;x=1>;expires=600"]).unwrap();
    bench.events();
    // Equal, written otherwise: the store is told that one name goes and another comes.
    bench.register(&["Contact: <sip:b%6fb@h.example.com;x=1;transport=TCP>"]).unwrap();
    let (old, new) = ("sip:bob@H.example.com;transport=tcp;x=1", "sip:b%6fb@h.example.com;x=1;transport=TCP");
    assert_eq!(bench.events(), [('-', old.to_owned()), ('+', new.to_owned())]);
    assert_eq!(bench.contacts(), [new]);
    // Not equal: the transport is missing (§19.1.4), the user in other case.
    bench.register(&["Contact: <sip:bob@h.example.com>, <sip:BOB@h.example.com;transport=tcp>"]).unwrap();
    assert_eq!(bench.registrar.len(), 3);
}

#[test]
fn contacts_of_unknown_schemes_are_kept_as_they_are() {
    let mut bench = Bench::new(|_| ());
    let response = bench.register(&["Contact: <mailto:Bob@biloxi.com>, <tel:+1-201-555-0123>;q=0.5"]).unwrap();
    assert_eq!(
        values(&response, Header::Contact),
        ["<mailto:Bob@biloxi.com>;expires=3600", "<tel:+1-201-555-0123>;q=0.5;expires=3600"]
    );
    bench.register(&["Contact: <mailto:Bob@biloxi.com>;expires=0"]).unwrap();
    assert_eq!(bench.contacts(), ["tel:+1-201-555-0123"]);
}

#[test]
fn the_same_contact_twice_in_one_request_is_one_and_the_last_counts() {
    let mut bench = Bench::new(|_| ());
    let response = bench.register(&["Contact: <sip:a@h>;q=0.1, <sip:a@H>;q=0.2"]).unwrap();
    assert_eq!(values(&response, Header::Contact), ["<sip:a@H>;q=0.2;expires=3600"]);
}

#[test]
fn rfc3261_10_2_4_a_refresh_keeps_the_binding_and_its_key() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>;expires=100"]).unwrap();
    let key = bench.registrar.lookup(bench.now, AOR)[0].key();
    bench.wait(90);
    bench.register(&["Contact: <sip:a@h>;expires=100"]).unwrap();
    bench.wait(90);
    assert_eq!(bench.events(), [('+', "sip:a@h".to_owned()), ('=', "sip:a@h".to_owned())]);
    assert_eq!(bench.registrar.lookup(bench.now, AOR)[0].key(), key);
    bench.wait(10);
    assert_eq!(bench.events(), [('x', "sip:a@h".to_owned())]);
    assert_eq!((bench.registrar.len(), bench.registrar.poll_timeout()), (0, None));
}

#[test]
fn rfc3261_10_3_step_7_what_has_ended_counts_no_more_though_no_timer_ran() {
    let mut bench = Bench::new(|c| c.max_contacts = 1);
    bench.register(&["Contact: <sip:a@h>;expires=60"]).unwrap();
    bench.now += seconds(60);
    assert!(bench.contacts().is_empty());
    bench.register(&["Contact: <sip:b@h>"]).unwrap();
    let expected = [('+', "sip:a@h"), ('x', "sip:a@h"), ('+', "sip:b@h")];
    assert_eq!(bench.events(), expected.map(|(kind, contact)| (kind, contact.to_owned())));
    // An ended binding does not hold its CSeq either.
    bench.now += seconds(7200);
    let request = request_to("<sip:bob@biloxi.com>", "a@phone", 1, &["Contact: <sip:b@h>"]);
    assert!(bench.send(&request).is_ok());
}

#[test]
fn one_contact_too_many_is_403_or_replaces_the_oldest() {
    let mut bench = Bench::new(|c| c.max_contacts = 2);
    bench.register(&["Contact: <sip:a@h>, <sip:b@h>"]).unwrap();
    assert_eq!(bench.register(&["Contact: <sip:c@h>"]).err(), Some(Refusal::TooManyContacts));
    assert_eq!(Refusal::TooManyContacts.status(), StatusCode::FORBIDDEN);
    // One goes and one comes in the same request.
    bench.register(&["Contact: <sip:a@h>;expires=0, <sip:c@h>"]).unwrap();
    assert_eq!(bench.contacts(), ["sip:c@h", "sip:b@h"]);

    let mut bench = Bench::new(|c| {
        c.max_contacts = 2;
        c.when_full = WhenFull::ReplaceOldest;
    });
    bench.register(&["Contact: <sip:a@h>"]).unwrap();
    bench.register(&["Contact: <sip:b@h>"]).unwrap();
    bench.register(&["Contact: <sip:a@h>"]).unwrap();
    bench.events();
    bench.register(&["Contact: <sip:c@h>"]).unwrap();
    assert_eq!(bench.events(), [('-', "sip:b@h".to_owned()), ('+', "sip:c@h".to_owned())]);
    assert_eq!(bench.contacts(), ["sip:c@h", "sip:a@h"]);
    let three = bench.register(&["Contact: <sip:d@h>, <sip:e@h>, <sip:f@h>"]);
    assert_eq!(three.err(), Some(Refusal::TooManyContacts));
}

#[test]
fn a_limit_that_was_lowered_does_not_stop_a_refresh() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>"]).unwrap();
    bench.registrar.set_config(Config { max_contacts: 1, ..Config::new([3; 32]) });
    assert!(bench.register(&["Contact: <sip:a@h>"]).is_ok());
    assert!(bench.register(&["Contact: <sip:d@h>"]).is_err());
}

#[test]
fn bounds_are_kept_at_admission() {
    let mut bench = Bench::new(|c| c.max_aors = 1);
    bench.register(&["Contact: <sip:a@h>"]).unwrap();
    let other = request_to("<sip:carol@biloxi.com>", "c@phone", 1, &["Contact: <sip:c@h>"]);
    assert_eq!(bench.send(&other).err(), Some(Refusal::Full));
    assert_eq!(Refusal::Full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(bench.register(&["Contact: <sip:b@h>"]).is_ok(), "a known address may have more");
    let query = request_to("<sip:carol@biloxi.com>", "c@phone", 2, &[]);
    assert!(bench.send(&query).is_ok());

    let mut bench = Bench::new(|c| c.max_events = 1);
    bench.register(&["Contact: <sip:a@h>"]).unwrap();
    assert_eq!(bench.register(&["Contact: <sip:b@h>"]).err(), Some(Refusal::Busy));
    assert_eq!(bench.events().len(), 1);
    assert!(bench.register(&["Contact: <sip:b@h>"]).is_ok());

    let mut bench = Bench::new(|c| c.max_binding = 200);
    let long = format!("Contact: <sip:short@h>, <sip:{}@h>", "x".repeat(200));
    assert_eq!(bench.register(&[&long]).err(), Some(Refusal::TooLong));
    assert!(bench.registrar.is_empty(), "the short one is not added either");
    let many: Vec<String> = (0..65).map(|n| format!("<sip:{n}@h>")).collect();
    assert_eq!(bench.register(&[&format!("Contact: {}", many.join(","))]).err(), Some(Refusal::TooManyContacts));
}

#[test]
fn rfc3327_5_3_path_is_kept_in_order_and_echoed_to_a_phone_that_supports_it() {
    let mut bench = Bench::new(|_| ());
    let path = ["Path: <sip:edge.biloxi.com;lr>,\r\n <sip:a@core.biloxi.com;lr>", "Path: <sip:third;lr>"];
    let lines = [path[0], path[1], "Contact: <sip:a@h>"];
    let response = bench.register(&lines).unwrap();
    assert!(values(&response, Header::Path).is_empty());
    let supports = [path[0], path[1], "Contact: <sip:a@h>", "Supported: outbound, path"];
    let response = bench.register(&supports).unwrap();
    let expected = ["<sip:edge.biloxi.com;lr>", "<sip:a@core.biloxi.com;lr>", "<sip:third;lr>"];
    assert_eq!(values(&response, Header::Path), expected);
    assert_eq!(values(&response, Header::Supported), ["path"]);
    let binding = &bench.registrar.lookup(bench.now, AOR)[0];
    assert_eq!(binding.path().collect::<Vec<_>>(), expected);
    // A refresh by another way has another Path.
    bench.register(&["Contact: <sip:a@h>"]).unwrap();
    assert_eq!(bench.registrar.lookup(bench.now, AOR)[0].path().count(), 0);

    let mut strict = Bench::new(|c| c.path = PathPolicy::Refuse);
    assert_eq!(strict.register(&lines).err(), Some(Refusal::PathUnsupported));
    assert!(strict.register(&supports).is_ok() && strict.register(&["Contact: <sip:a@h>"]).is_ok());
}

#[test]
fn rfc3261_10_3_step_2_unknown_extensions_are_420_with_unsupported() {
    let mut bench = Bench::new(|_| ());
    let request = request_to("<sip:bob@biloxi.com>", "a", 1, &["Require: path, outbound, x", "Contact: <sip:a@h>"]);
    let rejected = bench.registrar.register(bench.now, &request, &context()).unwrap_err();
    assert_eq!(rejected.response.status(), StatusCode::BAD_EXTENSION);
    assert_eq!(values(&rejected.response, Header::Unsupported), ["outbound", "x"]);
    assert!(bench.register(&["Require: path", "Contact: <sip:a@h>"]).is_ok());
}

#[test]
fn rfc5626_4_1_instance_and_reg_id_are_kept() {
    let mut bench = Bench::new(|_| ());
    let line = "Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1;q=1.0;expires=600;ob";
    let response = bench.register(&[line]).unwrap();
    let binding = &bench.registrar.lookup(bench.now, AOR)[0];
    assert_eq!(binding.instance().as_deref(), Some("<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"));
    assert_eq!((binding.reg_id(), binding.q()), (Some(1), Some(1000)));
    assert_eq!(
        values(&response, Header::Contact),
        ["<sip:a@h>;q=1;expires=600;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1;ob"]
    );
}

#[test]
fn lookup_is_ordered_by_q_then_the_last_changed() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>;q=0.5, <sip:b@h>;q=0.9, <sip:c@h>;q=0.5, <sip:d@h>"]).unwrap();
    assert_eq!(bench.contacts(), ["sip:d@h", "sip:b@h", "sip:c@h", "sip:a@h"]);
    bench.register(&["Contact: <sip:a@h>;q=0.5"]).unwrap();
    assert_eq!(bench.contacts(), ["sip:d@h", "sip:b@h", "sip:a@h", "sip:c@h"]);
}

#[test]
fn q_is_written_as_it_was_meant() {
    let mut bench = Bench::new(|_| ());
    for (given, written) in
        [("0", "0"), ("0.5", "0.5"), ("0.050", "0.05"), ("0.123", "0.123"), ("1.000", "1"), ("0.70", "0.7")]
    {
        let response = bench.register(&[&format!("Contact: <sip:a@h>;q={given}")]).unwrap();
        assert_eq!(values(&response, Header::Contact), [format!("<sip:a@h>;q={written};expires=3600")]);
    }
}

#[test]
fn rfc5626_5_3_one_binding_is_removed_when_its_flow_is_dead() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>, <sip:b@h>"]).unwrap();
    bench.events();
    assert!(bench.registrar.remove(bench.now, AOR, "sip:a@h", RemovedBy::DeadFlow));
    assert!(!bench.registrar.remove(bench.now, AOR, "sip:a@h", RemovedBy::DeadFlow));
    assert_eq!((bench.contacts(), bench.events()), (vec!["sip:b@h".to_owned()], vec![('-', "sip:a@h".to_owned())]));
}

#[test]
fn a_binding_knows_its_flow_and_its_own_address() {
    let mut bench = Bench::new(|_| ());
    let flow = Flow {
        transport: Transport::Tls,
        local: "[2001:db8::1]:5061".parse().unwrap(),
        remote: "192.0.2.9:4711".parse().unwrap(),
        connection: Some(ConnectionId(77)),
    };
    let context = Context { flow, nated: false, received: Some("[2001:db8::9]:9".parse().unwrap()) };
    let request = request_to("<sip:bob@biloxi.com>", "a", 1, &["Contact: <sip:a@h>", "User-Agent: Phone/1"]);
    bench.registrar.register(bench.now, &request, &context).unwrap();
    let binding = &bench.registrar.lookup(bench.now, AOR)[0];
    assert_eq!((binding.flow(), binding.received()), (Some(flow), context.received));
    assert_eq!((binding.user_agent(), binding.aor(), binding.call_id()), ("Phone/1", AOR, "a"));
}

#[test]
fn a_store_that_follows_the_events_can_put_everything_back() {
    let mut bench = Bench::new(|_| ());
    let mut store = std::collections::BTreeMap::new();
    bench.register(&["Contact: <sip:a@h>;q=0.5;x=1, <sip:b@h>;expires=100", "Path: <sip:p;lr>"]).unwrap();
    bench.register(&["Contact: <sip:c@h>, <sip:a@H>;q=0.5"]).unwrap();
    bench.wait(100);
    let wall = bench.registrar.wall_clock();
    while let Some(event) = bench.registrar.poll_event() {
        match event.stands() {
            true => store.insert(event.binding().key(), event.binding().export(&wall)),
            false => store.remove(&event.binding().key()),
        };
    }
    assert_eq!(store.len(), 2);
    // Another process, 50 s later.
    let mut after = Bench::new(|_| ());
    let wall = WallClock { at: after.now, unix: UNIX + seconds(150) };
    after.registrar.set_wall_clock(after.now, wall.unix);
    for octets in store.values() {
        let binding = Binding::import(octets, &wall).unwrap();
        assert!(after.registrar.restore(after.now, binding.clone()));
        assert!(!after.registrar.restore(after.now, binding), "once is enough");
    }
    assert_eq!(after.contacts(), ["sip:c@h", "sip:a@H"]);
    let bindings = after.registrar.lookup(after.now, AOR);
    assert!((3448..=3450).contains(&bindings[0].expires_in(after.now)));
    assert_eq!((bindings[0].cseq(), bindings[1].q()), (2, Some(500)));
    assert!(after.events().is_empty());
    // The CSeq rule holds on.
    after.cseq = 1;
    assert_eq!(after.register(&["Contact: <sip:c@h>"]).err(), Some(Refusal::OutOfOrder));
    assert!(after.register(&["Contact: <sip:c@h>"]).is_ok());
}

#[test]
fn a_stored_binding_that_is_over_or_corrupt_is_not_restored() {
    let mut bench = Bench::new(|_| ());
    bench.register(&["Contact: <sip:a@h>;expires=100"]).unwrap();
    let octets = bench.registrar.lookup(bench.now, AOR)[0].export(&bench.registrar.wall_clock());
    let mut after = Bench::new(|_| ());
    let wall = WallClock { at: after.now, unix: UNIX + seconds(101) };
    assert!(!after.registrar.restore(after.now, Binding::import(&octets, &wall).unwrap()));
    for cut in 0..octets.len() {
        assert!(Binding::import(&octets[..cut], &wall).is_err(), "{cut}");
    }
    let mut other = octets.clone();
    other[0] = 2;
    assert_eq!(Binding::import(&other, &wall), Err(ImportError::Format(2)));
    for at in 21..octets.len() {
        let mut other = octets.clone();
        other[at] = 0xff;
        // Whatever comes of it is safe to use.
        if let Ok(binding) = Binding::import(&other, &wall) {
            _ = (binding.flow(), binding.path().count(), binding.instance(), binding.key());
        }
    }
}

#[test]
fn only_register_is_taken() {
    let mut bench = Bench::new(|_| ());
    let request = parse(
        "OPTIONS sip:biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK7\r\nMax-Forwards: 70\r\n\
         From: <sip:b@h>;tag=4\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(bench.send(&request).err(), Some(Refusal::NotRegister));
}

#[test]
fn rfc3261_10_3_step_5_the_address_is_canonical() {
    let mut bench = Bench::new(|_| ());
    let request = request_to("\"B\" <sips:b%6Fb@BILOXI.com:5061;user=phone>;x=y", "a", 1, &["Contact: <sip:a@h>"]);
    assert!(bench.send(&request).is_ok());
    assert_eq!(bench.contacts(), ["sip:a@h"]);
    for to in ["<tel:+1>", "<mailto:bob@biloxi.com>"] {
        let request = request_to(to, "a", 1, &["Contact: <sip:a@h>"]);
        assert_eq!(bench.send(&request).err(), Some(Refusal::NoAddressOfRecord));
    }
}
