//! RFC 3261 §9: CANCEL on both sides.

use crate::rig::*;
use c4_sip_core::header::Header;
use c4_sip_core::transaction::{Event, Gone};
use c4_sip_core::{Method, Transport};
use std::io::ErrorKind;

const REASON: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

#[test]
fn rfc3261_9_1_a_cancel_waits_for_a_provisional_response() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.layer.cancel(rig.clock.now(), id, Some(REASON)).unwrap();
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    assert_eq!(times(&rig.run(ms(1000))), [500], "only the INVITE");
    rig.receive(udp(), answer(&invite.text, 100));
    let sent = rig.sent();
    let cancel = &sent[0];
    assert_eq!((sent.len(), cancel.start_line(), cancel.flow), (1, "CANCEL sip:a@192.0.2.1 SIP/2.0", udp()));
    assert_eq!(cancel.message().headers(Header::Via).count(), 1);
    for same in [Header::Via, Header::Route, Header::From, Header::To, Header::CallId] {
        assert_eq!(cancel.header(same), invite.header(same), "{same}");
    }
    assert_eq!((cancel.header(Header::CSeq), cancel.header(Header::Reason)), ("3 CANCEL".into(), REASON.into()));
    assert_ne!(cancel.id, invite.id);
}

#[test]
fn rfc3261_9_1_a_cancel_is_a_transaction_of_its_own() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 180));
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    let sent = rig.run(ms(1600));
    assert_eq!(times(&sent), [0, 500, 1500], "Timer E");
    assert!(sent.iter().all(|again| again.text == sent[0].text && again.text.starts_with("CANCEL")));
    rig.receive(udp(), answer(&sent[0].text, 200));
    assert_eq!(rig.statuses(), [180], "the answer to the CANCEL is not its user's");
    assert!(rig.run(ms(3000)).is_empty());
    rig.receive(udp(), answer(&invite.text, 487));
    assert_eq!(rig.statuses(), [487]);
    assert!(rig.sent()[0].text.starts_with("ACK"));
    rig.receive(udp(), answer(&sent[0].text, 200));
    assert!(rig.events().is_empty());
    rig.run(ms(35_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_9_1_no_cancel_after_the_final_response() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    rig.receive(udp(), answer(&invite.text, 200));
    rig.receive(udp(), answer(&invite.text, 180));
    assert_eq!(rig.statuses(), [200]);
    assert!(rig.run(ms(10_000)).is_empty());
    assert_eq!(rig.layer.cancel(rig.clock.now(), id, None), Err(Gone));
}

#[test]
fn rfc3261_9_1_a_200_that_crosses_the_cancel_is_passed_on() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 180));
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    let cancel = rig.sent().remove(0);
    rig.receive(udp(), answer(&invite.text, 200));
    assert_eq!(rig.statuses(), [180, 200]);
    rig.receive(udp(), answer(&cancel.text, 481));
    assert!(rig.events().is_empty());
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["ClientEnded"]);
}

#[test]
fn rfc3261_9_1_without_a_final_response_it_counts_as_cancelled_after_64_t1() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, udp());
    rig.receive(udp(), answer(&invite.text, 180));
    rig.run(ms(10_000));
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    rig.receive(udp(), answer(&invite.text, 183));
    rig.run(ms(41_999));
    assert_eq!(rig.statuses(), [180, 183]);
    rig.run(ms(42_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
    assert!(rig.layer.is_idle());
}

#[test]
fn rfc3261_9_1_only_an_invite_is_cancelled() {
    let mut rig = Rig::new();
    let (id, _) = rig.request(Method::Options, udp());
    assert_eq!(rig.layer.cancel(rig.clock.now(), id, None), Err(Gone));
}

#[test]
fn a_cancel_that_cannot_be_sent_leaves_the_invite_to_its_timer() {
    let mut rig = Rig::new();
    let (id, invite) = rig.request(Method::Invite, tcp(1));
    rig.receive(tcp(1), answer(&invite.text, 180));
    rig.layer.cancel(rig.clock.now(), id, None).unwrap();
    let cancel = rig.sent().remove(0);
    rig.layer.handle_transmit_failed(rig.clock.now(), cancel.id, ErrorKind::BrokenPipe);
    assert_eq!(rig.statuses(), [180]);
    rig.run(ms(32_000));
    assert_eq!(rig.kinds(), ["Timeout", "ClientEnded"]);
}

fn invite() -> String {
    incoming("INVITE", Transport::Udp, VIA)
}

fn cancel() -> String {
    incoming("CANCEL", Transport::Udp, VIA)
}

fn to_tag(text: &str) -> String {
    parse(text).message().address(Header::To).unwrap().unwrap().tag().unwrap_or_default().to_owned()
}

#[test]
fn rfc3261_9_2_a_cancel_is_answered_200_and_told_once() {
    let mut rig = Rig::new();
    let (id, request) = rig.arrives(udp(), &invite());
    rig.respond(id, &request, 180);
    rig.sent();
    rig.receive(udp(), parse(&cancel().replace("Timestamp: 54", &format!("Reason: {REASON}"))));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].start_line()), (1, "SIP/2.0 200 OK"));
    assert_eq!((sent[0].header(Header::CSeq), to_tag(&sent[0].text)), ("7 CANCEL".into(), "ours".into()));
    let events = rig.events();
    let [Event::Cancel { id: cancelled, request: cancel_request }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*cancelled, id);
    assert_eq!(cancel_request.header(Header::Reason), Some(REASON.as_bytes()));
    // A retransmitted CANCEL is answered alike, never 481 (sip lesson: the INVITE may be gone by then).
    rig.respond(id, &request, 487);
    rig.run(ms(100));
    rig.receive(udp(), parse(&incoming("ACK", Transport::Udp, VIA)));
    rig.run(ms(20_000));
    rig.receive(udp(), parse(&cancel()));
    assert_eq!(rig.sent()[0].text, sent[0].text);
    assert_eq!(rig.kinds(), ["ServerEnded"]);
    rig.run(ms(40_000));
    assert!(rig.events().len() == 1 && rig.layer.is_idle());
}

#[test]
fn rfc3261_9_2_before_any_response_the_tag_is_the_layers() {
    let mut rig = Rig::new();
    rig.arrives(udp(), &invite());
    rig.receive(udp(), parse(&cancel()));
    let sent = rig.sent();
    assert_eq!((sent[0].start_line(), to_tag(&sent[0].text).len()), ("SIP/2.0 200 OK", 16));
    assert_eq!(rig.kinds(), ["Cancel"]);
}

#[test]
fn rfc3261_9_2_after_the_final_response_a_cancel_has_no_effect() {
    for status in [200, 486] {
        let mut rig = Rig::new();
        let (id, request) = rig.arrives(udp(), &invite());
        rig.respond(id, &request, status);
        rig.sent();
        rig.receive(udp(), parse(&cancel()));
        assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
        assert!(rig.events().is_empty());
    }
}

#[test]
fn rfc3261_9_2_a_cancel_of_another_method_is_answered_200_and_has_no_effect() {
    let mut rig = Rig::new();
    rig.arrives(udp(), &incoming("OPTIONS", Transport::Udp, VIA));
    rig.receive(udp(), parse(&cancel()));
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
    assert!(rig.events().is_empty());
}

#[test]
fn rfc3261_17_2_3_a_cancel_without_the_cookie_finds_its_invite() {
    let mut rig = Rig::new();
    let old = |method| incoming(method, Transport::Udp, "a.example:5060;x=y;rport");
    let (id, request) = rig.arrives(udp(), &old("INVITE"));
    rig.receive(udp(), parse(&old("CANCEL")));
    assert_eq!(rig.sent()[0].start_line(), "SIP/2.0 200 OK");
    assert_eq!(rig.kinds(), ["Cancel"]);
    rig.respond(id, &request, 487);
}

#[test]
fn rfc3261_9_2_a_cancel_that_matches_nothing_is_answered_481() {
    let mut rig = Rig::new();
    let mut nat = udp();
    nat.remote = addr("203.0.113.7:31000");
    rig.receive(nat, parse(&cancel()));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent[0].flow), (1, nat));
    assert_eq!(sent[0].start_line(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    assert_eq!(to_tag(&sent[0].text).len(), 16);
    assert_eq!(rig.kinds(), ["StrayCancel"]);
    assert!(rig.layer.is_idle(), "without state");
    // The INVITE that was overtaken is a new request all the same.
    rig.arrives(udp(), &invite());
}
