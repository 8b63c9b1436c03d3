//! The media of calls, with a scripted relay: what it is asked, when, and what becomes of its answers.

use std::net::SocketAddr;

use bytes::Bytes;
use c4_ref::config;
use c4_ref::machine::Machine;
use c4_ref::ng::{AddressSource, Command, Reply, Request};
use c4_ref::proxy::media::Policy;
use sip_core::header::Header;

use crate::harness::{Call, Req, Rig, Sent, address, invite, open, reply, s};

pub(crate) const ALICE: &str = "192.0.2.1:5060";
pub(crate) const BOB: &str = "192.0.2.2:5060";
pub(crate) const DESK: &str = "192.0.2.3:5060";
pub(crate) const BOB_URI: &str = "sip:bob@192.0.2.2:5060";
const DESK_URI: &str = "sip:bob@192.0.2.3:5060";

/// One question to a relay.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) relay: SocketAddr,
    cookie: String,
    pub(crate) request: Request,
}

impl Asked {
    /// Command, tags, and whether it names a branch.
    pub(crate) fn what(&self) -> String {
        let Request { command, from_tag, to_tag, via_branch, .. } = &self.request;
        let branch = if via_branch.is_some() { " branch" } else { "" };
        format!("{} {from_tag}>{}{branch}", command.as_str(), to_tag.as_deref().unwrap_or_default())
    }

    fn sdp(&self) -> &str {
        std::str::from_utf8(&self.request.sdp).unwrap()
    }
}

pub(crate) fn with_relays(relays: &[&str], policy: Policy) -> config::Proxy {
    let text: Vec<String> = relays.iter().map(|relay| format!("\"{relay}\"")).collect();
    let text = format!("[proxy]\nrelay = [{}]", text.join(", "));
    let relay = config::load::load("", &text, &[]).unwrap().proxy.relay;
    config::Proxy { relay, relay_policy: policy, ..open() }
}

pub(crate) const ONE: &str = "udp:10.9.0.1:2223";
pub(crate) const TWO: &str = "udp:10.9.0.2:2223";

pub(crate) fn rig_of(relays: &[&str], policy: Policy) -> Rig {
    let mut rig = Rig::new(&with_relays(relays, policy));
    rig.registered("bob", BOB, "");
    rig
}

pub(crate) fn rig() -> Rig {
    rig_of(&[ONE], Policy::Pass)
}

impl Rig {
    /// What the relays were asked since the last look, without repetitions.
    pub(crate) fn asked(&mut self) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        for datagram in std::mem::take(&mut self.relayed) {
            let at = datagram.payload.iter().position(|octet| *octet == b' ').unwrap();
            let cookie = String::from_utf8(datagram.payload[..at].to_vec()).unwrap();
            if asked.iter().any(|before| before.cookie == cookie && before.relay == datagram.to) {
                continue;
            }
            let request = Request::parse(&datagram.payload.slice(at + 1..)).unwrap();
            asked.push(Asked { relay: datagram.to, cookie, request });
        }
        asked
    }

    /// The one question.
    pub(crate) fn question(&mut self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }

    pub(crate) fn relay_says(&mut self, asked: &Asked, reply: &Reply) {
        let payload = [asked.cookie.as_bytes(), b" ", &reply.to_vec()].concat();
        self.app.handle_datagram(self.now, 0, asked.relay, payload.into());
        self.drain();
    }

    /// The relay serves it with this description.
    pub(crate) fn relay_serves(&mut self, asked: &Asked, sdp: &str) {
        self.relay_says(asked, &Reply::with_sdp(Bytes::from(sdp.to_owned())));
    }

    pub(crate) fn relay_serves_next(&mut self, what: &str, sdp: &str) -> Asked {
        let asked = self.question();
        assert_eq!(asked.what(), what);
        self.relay_serves(&asked, sdp);
        asked
    }

    pub(crate) fn media(&mut self, counter: &str) -> u64 {
        self.stats()["media"][counter].as_u64().unwrap()
    }

    /// Bob answers alice's call by the relay.
    pub(crate) fn relayed_call(&mut self) -> Call {
        self.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
        let offer = self.question();
        self.relay_serves(&offer, "to-bob");
        let ringing = self.find("INVITE", BOB);
        self.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
        let asked = self.question();
        self.relay_serves(&asked, "to-alice");
        let ok = self.find("200", ALICE);
        let mut caller_routes = ok.all(Header::RecordRoute);
        caller_routes.reverse();
        let call = Call { caller_routes, callee_routes: ringing.all(Header::RecordRoute), call_id: "c".into() };
        self.udp(ALICE, &call.of_caller("ACK", 1).text());
        self.find("ACK", BOB);
        self.take();
        call
    }
}

/// A reply with a description.
pub(crate) fn answer(request: &Sent, status: &str, tag: &str, contact: &str, sdp: &str) -> String {
    let head = reply(request, status, tag, contact);
    let head = head.strip_suffix("Content-Length: 0\r\n\r\n").unwrap();
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

pub(crate) fn body(sent: &Sent) -> String {
    String::from_utf8(sent.message.body().to_vec()).unwrap()
}

pub(crate) fn reinvite(call: &Call, of_caller: bool, cseq: u32, sdp: &str) -> Req {
    let request = if of_caller { call.of_caller("INVITE", cseq) } else { call.of_callee("INVITE", cseq) };
    let contact = if of_caller { "<sip:alice@192.0.2.1:5060>" } else { "<sip:bob@192.0.2.2:5060>" };
    request.header("Contact", contact).body(sdp)
}

#[test]
fn an_offer_waits_for_the_relay_and_goes_on_with_its_description() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    let offer = rig.question();
    assert_eq!((offer.what().as_str(), offer.sdp()), ("offer a> branch", "of-alice"));
    let flags = &offer.request.flags;
    assert!(flags.replace.origin && flags.replace.session_connection && flags.supports_load_limit);
    assert_eq!(offer.request.received_from, Some(address(ALICE).ip()));
    assert!(rig.take().iter().all(|sent| sent.what() != "INVITE"), "the phone does not ring yet");
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    assert!(rig.asked().is_empty(), "a retransmission asks nothing");
    rig.relay_serves(&offer, "to-bob");
    let ringing = rig.find("INVITE", BOB);
    assert_eq!((body(&ringing).as_str(), ringing.header(Header::ContentLength).as_str()), ("to-bob", "6"));
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let asked = rig.question();
    assert_eq!((asked.what().as_str(), asked.sdp()), ("answer a>b branch", "of-bob"));
    assert_eq!(asked.request.via_branch, offer.request.via_branch);
    assert_eq!(asked.request.received_from, Some(address(BOB).ip()));
    assert!(rig.take().iter().all(|sent| sent.what() != "200"));
    rig.relay_serves(&asked, "to-alice");
    assert_eq!(body(&rig.find("200", ALICE)), "to-alice");
    assert_eq!((rig.media("offers"), rig.media("answers"), rig.media("waiting")), (1, 1, 0));
}

#[test]
fn bodies_that_are_no_sdp_pass() {
    let mut rig = rig();
    let request = invite("bob@example.com", "c").body("--x").text();
    rig.udp(ALICE, &request.replace("application/sdp", "multipart/mixed;boundary=x"));
    assert_eq!(body(&rig.find("INVITE", BOB)), "--x");
    assert!(rig.asked().is_empty());
}

#[test]
fn each_branch_of_a_fork_has_its_own_description_from_one_relay() {
    let mut rig = rig_of(&[ONE, TWO], Policy::Pass);
    rig.registered("bob", DESK, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    let first = rig.question();
    rig.relay_serves(&first, "to-one");
    let second = rig.question();
    assert_eq!(second.relay, first.relay);
    assert_ne!(second.request.via_branch, first.request.via_branch);
    assert!(rig.take().iter().all(|sent| sent.what() != "INVITE"));
    rig.relay_serves(&second, "to-two");
    let (bob, desk) = (rig.find("INVITE", BOB), rig.find("INVITE", DESK));
    let mut bodies = [body(&bob), body(&desk)];
    bodies.sort();
    assert_eq!(bodies, ["to-one", "to-two"]);
    let of_bob = if body(&bob) == "to-one" { &first } else { &second };
    let of_desk = if body(&bob) == "to-one" { &second } else { &first };
    rig.udp(BOB, &answer(&bob, "183 Session Progress", "b", BOB_URI, "of-bob"));
    let early = rig.relay_serves_next("answer a>b branch", "early");
    assert_eq!(early.request.via_branch, of_bob.request.via_branch);
    assert_eq!(body(&rig.find("183", ALICE)), "early");
    rig.udp(DESK, &answer(&desk, "200 OK", "d", DESK_URI, "of-desk"));
    let asked = rig.relay_serves_next("answer a>d branch", "to-alice");
    assert_eq!(asked.request.via_branch, of_desk.request.via_branch);
    assert_eq!(body(&rig.find("200", ALICE)), "to-alice");
    rig.find("CANCEL", BOB);
    rig.udp(BOB, &reply(&bob, "487 Request Terminated", "b", ""));
    let gone = rig.question();
    assert_eq!(gone.what(), "delete a> branch", "the branch that lost, and only that");
    assert_eq!(gone.request.via_branch, of_bob.request.via_branch);
    rig.pass(s(40));
    assert!(rig.asked().iter().all(|asked| asked.cookie == gone.cookie));
}

#[test]
fn responses_wait_in_order_and_retransmissions_are_asked_once() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.take();
    rig.udp(BOB, &answer(&ringing, "183 Session Progress", "b", BOB_URI, "of-bob"));
    rig.udp(BOB, &reply(&ringing, "180 Ringing", "b", BOB_URI));
    let ok = answer(&ringing, "200 OK", "b", BOB_URI, "of-bob");
    rig.udp(BOB, &ok);
    rig.udp(BOB, &ok);
    assert!(rig.take().is_empty(), "all wait behind the 183");
    let early = rig.question();
    rig.relay_serves(&early, "to-alice");
    assert_eq!(rig.look(), [format!("183 {ALICE}"), format!("180 {ALICE}")]);
    // The relay must learn which branch has the call, though the description is the same.
    let last = rig.question();
    rig.udp(BOB, &ok);
    assert!(rig.asked().is_empty() && rig.take().is_empty());
    rig.relay_serves(&last, "to-alice-2");
    assert_eq!(rig.take().iter().map(body).collect::<Vec<_>>(), ["to-alice-2"]);
    rig.pass(s(1));
    rig.udp(BOB, &ok);
    assert_eq!(rig.take().iter().map(body).collect::<Vec<_>>(), ["to-alice-2"], "the retransmission says the same");
    assert!(rig.asked().is_empty());
    rig.pass(s(60));
    assert_eq!(rig.media("answers"), 2);
}

#[test]
fn a_cancel_does_not_wait_for_the_relay() {
    let mut rig = rig();
    let request = invite("bob@example.com", "c").body("of-alice");
    rig.udp(ALICE, &request.text());
    let offer = rig.question();
    let cancel = Req::new("CANCEL", "sip:bob@example.com").call("c", 1).branch("invite-c-1");
    rig.udp(ALICE, &cancel.text());
    rig.find("487", ALICE);
    rig.relay_serves(&offer, "to-bob");
    assert_eq!(rig.question().what(), "delete a>", "what was made in vain goes");
    assert!(rig.take().iter().all(|sent| sent.what() != "INVITE"));
    assert_eq!(rig.stats()["calls-open"], 0);
}

#[test]
fn a_call_that_nobody_answers_is_deleted_as_a_whole() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &reply(&ringing, "486 Busy Here", "b", ""));
    rig.find("486", ALICE);
    assert_eq!(rig.question().what(), "delete a>");
}

#[test]
fn a_call_that_was_forked_to_us_twice_keeps_the_relay_for_the_one_that_answers() {
    let mut rig = rig();
    rig.registered("carol", "192.0.2.4:5060", "");
    let fork = |user: &str| invite(&format!("{user}@example.com"), "c").branch(user).body("of-alice").text();
    rig.udp(ALICE, &fork("bob"));
    let of_bob = rig.relay_serves_next("offer a> branch", "to-bob");
    let at_bob = rig.find("INVITE", BOB);
    rig.udp(ALICE, &fork("carol"));
    let of_carol = rig.relay_serves_next("offer a> branch", "to-carol");
    let at_carol = rig.find("INVITE", "192.0.2.4:5060");
    assert_ne!(of_bob.request.via_branch, of_carol.request.via_branch);
    rig.udp(BOB, &answer(&at_bob, "200 OK", "b", BOB_URI, "of-bob"));
    rig.relay_serves_next("answer a>b branch", "to-alice");
    rig.udp("192.0.2.4:5060", &reply(&at_carol, "486 Busy Here", "x", ""));
    let gone = rig.question();
    assert_eq!(gone.what(), "delete a> branch", "not the call");
    assert_eq!(gone.request.via_branch, of_carol.request.via_branch);
}

#[test]
fn rfc3261_13_2_1_a_late_offer_comes_in_the_2xx_and_its_answer_in_the_ack() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("").text());
    let ringing = rig.find("INVITE", BOB);
    assert!(rig.asked().is_empty(), "there is nothing to offer");
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let offer = rig.relay_serves_next("offer b>a", "to-alice");
    assert_eq!(offer.sdp(), "of-bob");
    let ok = rig.find("200", ALICE);
    assert_eq!(body(&ok), "to-alice");
    let mut caller_routes = ok.all(Header::RecordRoute);
    caller_routes.reverse();
    let call = Call { caller_routes, callee_routes: ringing.all(Header::RecordRoute), call_id: "c".into() };
    rig.take();
    let ack = call.of_caller("ACK", 1).body("of-alice").text();
    rig.udp(ALICE, &ack);
    rig.udp(ALICE, &ack);
    assert!(rig.take().is_empty());
    let asked = rig.relay_serves_next("answer b>a", "to-bob");
    assert_eq!(asked.sdp(), "of-alice");
    assert_eq!(rig.take().iter().map(body).collect::<Vec<_>>(), ["to-bob"]);
    rig.udp(ALICE, &ack);
    assert_eq!(rig.take().iter().map(body).collect::<Vec<_>>(), ["to-bob"], "the retransmission says the same");
    rig.hang_up(&call);
    assert_eq!(rig.question().what(), "delete a>b");
}

#[test]
fn acks_are_forwarded_however_many_there_were_lately() {
    let mut rig = rig();
    let call = rig.relayed_call();
    for cseq in 1..=4100 {
        rig.udp(ALICE, &call.of_caller("ACK", cseq).body("of-alice").text());
        rig.relay_serves_next("answer b>a", "to-bob");
        assert_eq!(rig.take().iter().map(body).collect::<Vec<_>>(), ["to-bob"], "ACK {cseq}");
    }
}

#[test]
fn rfc3262_5_a_prack_answers_the_offer_of_a_reliable_1xx_or_makes_one() {
    for late in [true, false] {
        let mut rig = rig();
        rig.udp(ALICE, &invite("bob@example.com", "c").body(if late { "" } else { "of-alice" }).text());
        if !late {
            rig.relay_serves_next("offer a> branch", "to-bob");
        }
        let ringing = rig.find("INVITE", BOB);
        let progress = answer(&ringing, "183 Session Progress", "b", BOB_URI, "of-bob");
        rig.udp(BOB, &progress.replace("Contact", "Require: 100rel\r\nRSeq: 1\r\nContact"));
        rig.relay_serves_next(if late { "offer b>a" } else { "answer a>b branch" }, "to-alice");
        let progress = rig.find("183", ALICE);
        let mut caller_routes = progress.all(Header::RecordRoute);
        caller_routes.reverse();
        let call = Call { caller_routes, callee_routes: Vec::new(), call_id: "c".into() };
        rig.udp(ALICE, &call.of_caller("PRACK", 2).header("RAck", "1 1 INVITE").body("in-prack").text());
        rig.relay_serves_next(if late { "answer b>a" } else { "offer a>b" }, "prack-2");
        let prack = rig.find("PRACK", BOB);
        assert_eq!(body(&prack), "prack-2");
        if late {
            rig.udp(BOB, &reply(&prack, "200 OK", "b", ""));
        } else {
            rig.udp(BOB, &answer(&prack, "200 OK", "b", "", "yes"));
            rig.relay_serves_next("answer a>b", "yes-2");
            assert_eq!(body(&rig.find("200", ALICE)), "yes-2");
        }
        // RFC 3311 §5.1: an UPDATE before the answer.
        rig.udp(ALICE, &call.of_caller("UPDATE", 3).header("Contact", "<sip:alice@192.0.2.1:5060>").body("up").text());
        rig.relay_serves_next("offer a>b", "up-2");
        let update = rig.find("UPDATE", BOB);
        rig.udp(BOB, &answer(&update, "200 OK", "b", BOB_URI, "up-yes"));
        rig.relay_serves_next("answer a>b", "up-yes-2");
    }
}

#[test]
fn rfc3261_14_1_a_refused_reinvite_deletes_nothing() {
    let mut rig = rig();
    let call = rig.relayed_call();
    for status in ["488 Not Acceptable Here", "491 Request Pending", "500 Oops"] {
        let cseq = status.as_bytes()[2].into();
        rig.udp(ALICE, &reinvite(&call, true, cseq, "new").text());
        rig.relay_serves_next("offer a>b", "new-2");
        let again = rig.find("INVITE", BOB);
        rig.udp(BOB, &reply(&again, status, "b", ""));
        rig.pass(s(40));
        rig.take();
        assert!(rig.asked().is_empty(), "{status}");
    }
}

#[test]
fn rfc3261_14_1_glare_deletes_nothing() {
    let mut rig = rig();
    let call = rig.relayed_call();
    rig.udp(ALICE, &reinvite(&call, true, 2, "of-alice").text());
    rig.udp(BOB, &reinvite(&call, false, 2, "of-bob").text());
    let asked = rig.asked();
    assert_eq!(asked.iter().map(Asked::what).collect::<Vec<_>>(), ["offer a>b", "offer b>a"]);
    asked.iter().for_each(|asked| rig.relay_serves(asked, "x"));
    let (at_bob, at_alice) = (rig.find("INVITE", BOB), rig.find("INVITE", ALICE));
    rig.udp(BOB, &reply(&at_bob, "491 Request Pending", "b", ""));
    rig.udp(ALICE, &reply(&at_alice, "491 Request Pending", "a", ""));
    rig.find("491", ALICE);
    rig.find("491", BOB);
    rig.pass(s(40));
    assert!(rig.asked().is_empty());
}

#[test]
fn a_bye_deletes_the_called_sides_tag_whoever_sends_it() {
    let mut rig = rig();
    let call = rig.relayed_call();
    rig.udp(BOB, &call.of_callee("BYE", 2).text());
    let bye = rig.find("BYE", ALICE);
    assert!(rig.asked().is_empty(), "not before it is answered");
    rig.udp(ALICE, &reply(&bye, "200 OK", "", ""));
    let gone = rig.question();
    assert_eq!(gone.what(), "delete a>b");
    assert!(gone.request.flags.honour_to_tag);
    assert_eq!(gone.request.command, Command::Delete);
    rig.relay_says(&gone, &Reply::ok());
    rig.pass(s(60));
    assert!(rig.asked().is_empty());
    assert_eq!((rig.media("failed"), rig.media("deletes")), (0, 1));
}

#[test]
fn a_bye_that_was_refused_for_its_form_ends_no_media() {
    let mut rig = rig();
    let call = rig.relayed_call();
    rig.udp(ALICE, &call.of_caller("BYE", 2).text());
    let bye = rig.find("BYE", BOB);
    rig.udp(BOB, &reply(&bye, "401 Unauthorized", "b", ""));
    rig.find("401", ALICE);
    assert!(rig.asked().is_empty());
}

#[test]
fn behind_a_balancer_the_phones_own_addresses_are_told() {
    let lb = "10.0.0.9:5060";
    let mut config = with_relays(&[ONE], Policy::Pass);
    config.trusted = vec!["10.0.0.9".parse().unwrap()];
    let mut rig = Rig::new(&config);
    rig.registered("bob", BOB, "");
    let sdp = "v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 10.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    let told = "udp:198.51.100.7:40000;listener=udp:203.0.113.1:5060";
    rig.udp(lb, &invite("bob@example.com", "c").via(lb).header("X-C4-Source", told).body(sdp).text());
    let offer = rig.question();
    assert_eq!(offer.request.received_from, Some("198.51.100.7".parse().unwrap()));
    assert_eq!(offer.request.flags.address, Some(AddressSource::Signalling), "it is behind a NAT");
    rig.relay_serves(&offer, "to-bob");
    let ringing = rig.find("INVITE", BOB);
    let told = "X-C4-Source: udp:198.51.100.8:5060;listener=udp:203.0.113.1:5060\r\nContent-Type";
    let ok = answer(&ringing, "200 OK", "b", BOB_URI, "of-bob").replace("Content-Type", told);
    rig.udp(lb, &ok);
    let asked = rig.question();
    assert_eq!(asked.request.received_from, Some("198.51.100.8".parse().unwrap()));
    rig.relay_serves(&asked, "to-alice");
    assert!(rig.find("200", lb).message.header("X-C4-Source").is_none());
}

#[test]
fn a_call_that_comes_back_to_us_is_anchored_once() {
    let mut config = with_relays(&[ONE], Policy::Pass);
    config.auth.invite = false;
    let mut rig = Rig::new(&config);
    rig.registered("carol", "192.0.2.4:5060", "");
    rig.registered("bob", BOB, "");
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let at_bob = rig.find("INVITE", BOB);
    // Bob's proxy sends it back, for somebody else.
    let via = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-again;rport";
    let again = at_bob.text.replacen("sip:bob@192.0.2.2:5060", "sip:carol@example.com", 1);
    let again = again.replacen("Via: ", &format!("Via: {via}\r\nVia: "), 1);
    rig.udp(BOB, &again);
    assert!(rig.asked().is_empty());
    let at_carol = rig.find("INVITE", "192.0.2.4:5060");
    assert_eq!(body(&at_carol), "to-bob");
    rig.udp("192.0.2.4:5060", &reply(&at_carol, "486 Busy Here", "x", ""));
    rig.find("486", BOB);
    assert!(rig.asked().is_empty(), "the first passage goes on");
    rig.udp(BOB, &reply(&at_bob, "486 Busy Here", "x", ""));
    assert_eq!(rig.question().what(), "delete a>");
}

#[test]
fn rfc3261_9_1_an_answer_that_waits_when_the_cancel_comes_still_counts() {
    let mut rig = rig();
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    rig.relay_serves_next("offer a> branch", "to-bob");
    let ringing = rig.find("INVITE", BOB);
    rig.udp(BOB, &answer(&ringing, "200 OK", "b", BOB_URI, "of-bob"));
    let asked = rig.question();
    rig.take();
    rig.udp(ALICE, &Req::new("CANCEL", "sip:bob@example.com").call("c", 1).branch("invite-c-1").text());
    assert_eq!(rig.look(), [format!("200 {ALICE}")], "of the CANCEL");
    rig.relay_serves(&asked, "to-alice");
    assert_eq!(body(&rig.find("200", ALICE)), "to-alice");
    rig.pass(s(60));
    assert!(rig.asked().is_empty(), "the call stands");
    assert_eq!(rig.media("anchoring"), 0);
}

#[test]
fn relays_of_both_address_families_have_a_socket_each() {
    let bound = |relays: &[&str]| {
        let settings = crate::harness::settings(&with_relays(relays, Policy::Pass));
        let text = |address: &SocketAddr| address.to_string();
        c4_ref::proxy::media::sockets(&settings).iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(bound(&["udp:[2001:db8::1]:2223", ONE]), ["0.0.0.0:0", "[::]:0"]);
    assert_eq!(bound(&["udp:[2001:db8::1]:2223"]), ["[::]:0"]);
    assert_eq!(bound(&["tcp:[2001:db8::1]:2223"]), [""; 0]);
    let mut rig = rig_of(&["udp:[2001:db8::1]:2223"], Policy::Pass);
    rig.udp(ALICE, &invite("bob@example.com", "c").body("of-alice").text());
    assert!(rig.relayed.iter().all(|datagram| datagram.socket == 0 && datagram.to.is_ipv6()));
}

#[test]
fn rfc3261_14_1_a_reinvite_without_an_offer_gets_one_in_its_2xx() {
    let mut rig = rig();
    let call = rig.relayed_call();
    // The called side asks the caller for an offer.
    rig.udp(BOB, &reinvite(&call, false, 7, "").text());
    let at_alice = rig.find("INVITE", ALICE);
    assert!(rig.asked().is_empty());
    rig.udp(ALICE, &answer(&at_alice, "200 OK", "a", "sip:alice@192.0.2.1:5060", "of-alice"));
    let offer = rig.relay_serves_next("offer a>b", "to-bob");
    assert_eq!(offer.sdp(), "of-alice");
    assert_eq!(body(&rig.find("200", BOB)), "to-bob");
    rig.take();
    rig.udp(BOB, &call.of_callee("ACK", 7).body("of-bob").text());
    let asked = rig.relay_serves_next("answer a>b", "to-alice");
    assert_eq!(asked.sdp(), "of-bob");
    assert_eq!(body(&rig.find("ACK", ALICE)), "to-alice");
}
