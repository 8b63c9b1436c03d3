//! Who may send what.

use sip_core::header::Header;

use crate::harness::{Req, Rig, Sent, USERS, config, invite, ms, open, reply, s, settings};

const ALICE: &str = "192.0.2.1:5060";

fn register(user: &str) -> Req {
    let uri = format!("sip:{user}@example.com");
    Req::new("REGISTER", "sip:example.com")
        .ends(&uri, "r", &uri, "")
        .call("reg", 1)
        .header("Contact", "<sip:alice@192.0.2.1:5060>")
}

fn only(rig: &mut Rig) -> Sent {
    let mut sent = rig.take();
    assert_eq!(sent.len(), 1, "{sent:#?}");
    sent.remove(0)
}

#[test]
fn an_options_to_the_proxy_itself_is_answered_200_unauthenticated() {
    let mut rig = Rig::new(&config());
    for uri in ["sip:example.com", "sip:example.com:7777", "sip:10.0.0.1:5060", "sip:10.0.0.1;transport=tcp"] {
        let ping = Req::new("OPTIONS", uri).ends("sip:x@stranger.example", "p", uri, "");
        rig.udp(ALICE, &ping.text());
        let answer = only(&mut rig);
        assert_eq!(answer.what(), "200", "{uri}");
        assert!(answer.header(Header::To).contains(";tag="));
    }
    assert_eq!(rig.stats()["transactions"], 0, "without state");
}

#[test]
fn an_options_to_a_user_or_another_host_is_authenticated_like_any_other() {
    let mut rig = Rig::new(&config());
    for (uri, status) in [("sip:bob@example.com", "407"), ("sip:elsewhere.example", "407")] {
        rig.udp(ALICE, &Req::new("OPTIONS", uri).text());
        assert_eq!(only(&mut rig).what(), status, "{uri}");
    }
}

#[test]
fn lesson_11_every_method_but_ack_and_cancel_is_challenged_by_default() {
    let mut rig = Rig::new(&config());
    for method in [
        "INVITE",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "OPTIONS",
        "INFO",
        "REFER",
        "UPDATE",
        "PRACK",
        "BYE",
        "FUTURE",
    ] {
        rig.udp(ALICE, &Req::new(method, "sip:bob@example.com").text());
        let answer = only(&mut rig);
        assert_eq!(answer.what(), "407", "{method}");
        assert_eq!(answer.all(Header::ProxyAuthenticate).len(), 2);
    }
    rig.udp(ALICE, &register("alice").text());
    let answer = only(&mut rig);
    assert_eq!((answer.what().as_str(), answer.all(Header::WwwAuthenticate).len()), ("401", 2));
    rig.udp(ALICE, &Req::new("ACK", "sip:bob@example.com").text());
    assert_eq!(rig.look(), [""; 0], "a stray ACK is dropped");
    rig.udp(ALICE, &Req::new("CANCEL", "sip:bob@example.com").text());
    assert_eq!(rig.look(), ["481 192.0.2.1:5060"]);
}

#[test]
fn rfc8760_2_3_one_challenge_per_algorithm_strongest_first() {
    let mut config = config();
    config.auth.algorithms.reverse();
    let mut rig = Rig::new(&config);
    rig.udp(ALICE, &register("alice").text());
    let challenges = only(&mut rig).all(Header::WwwAuthenticate);
    assert!(challenges[0].contains("SHA-256") && challenges[1].contains("MD5"), "{challenges:?}");
    assert!(challenges.iter().all(|c| c.contains("realm=\"example.com\"") && !c.contains("stale")));
}

#[test]
fn a_challenge_leaves_no_state_and_its_retransmission_the_same_tag() {
    let mut rig = Rig::new(&config());
    let text = invite("bob@example.com", "c").text();
    rig.udp(ALICE, &text);
    let first = only(&mut rig);
    rig.udp(ALICE, &text);
    let second = only(&mut rig);
    assert_eq!(first.header(Header::To), second.header(Header::To), "RFC 3261 §8.2.7");
    assert!(first.text.len() <= 1200, "{} octets", first.text.len());
    let ack = Req::new("ACK", "sip:bob@example.com").call("c", 1).branch("invite-c-1");
    rig.udp(ALICE, &ack.text());
    assert_eq!(rig.look(), [""; 0]);
    let stats = rig.stats();
    assert_eq!((&stats["transactions"], &stats["dialogs"], &stats["contexts"]), (&0.into(), &0.into(), &0.into()));
    assert!(rig.records.is_empty() && rig.spooled.is_empty(), "none for 401 and 407");
}

#[test]
fn what_is_switched_off_is_neither_challenged_nor_refused_for_its_from() {
    let mut config = config();
    config.auth.invite = false;
    let mut rig = Rig::new(&config);
    let stranger = |method: &str| {
        Req::new(method, "sip:bob@example.com").ends("sip:x@stranger.example", "x", "sip:bob@example.com", "")
    };
    for method in ["INVITE", "MESSAGE", "OPTIONS", "PUBLISH"] {
        rig.udp(ALICE, &stranger(method).call(method, 1).text());
        assert_eq!(rig.take().last().unwrap().what(), "480", "{method}: bob has no contact");
    }
    rig.udp(ALICE, &register("alice").text());
    assert_eq!(only(&mut rig).what(), "401", "REGISTER has a switch of its own");
    config.auth = c4_ref::config::Auth { register: false, invite: true, ..config.auth };
    let mut rig = Rig::new(&config);
    rig.udp(ALICE, &register("alice").text());
    assert_eq!(only(&mut rig).what(), "200");
    rig.udp(ALICE, &stranger("MESSAGE").text());
    assert_eq!(only(&mut rig).what(), "403");
}

#[test]
fn a_peer_is_trusted_by_its_network_whatever_its_from() {
    let mut config = config();
    config.peer = vec![peer("carrier", "198.51.100.0/24")];
    let mut rig = Rig::new(&config);
    let foreign =
        Req::new("INVITE", "sip:bob@example.com").ends("sip:+49301@carrier.example", "c", "sip:bob@example.com", "");
    rig.udp("198.51.100.7:5060", &foreign.clone().via("198.51.100.7:5060").text());
    assert_eq!(rig.take().last().unwrap().what(), "480");
    assert_eq!(rig.records[0]["peer_in"], "carrier");
    rig.udp(ALICE, &foreign.text());
    assert_eq!(only(&mut rig).what(), "403", "from elsewhere it is nobody's");
}

#[test]
fn a_foreign_from_is_403_and_a_foreign_to_of_a_register_too() {
    let mut rig = Rig::new(&config());
    let invite =
        Req::new("INVITE", "sip:bob@example.com").ends("sip:alice@elsewhere.example", "a", "sip:bob@example.com", "");
    rig.udp(ALICE, &invite.text());
    assert_eq!(only(&mut rig).what(), "403");
    let register =
        Req::new("REGISTER", "sip:example.com").ends("sip:alice@example.com", "r", "sip:alice@elsewhere.example", "");
    rig.udp(ALICE, &register.text());
    assert_eq!(only(&mut rig).what(), "403");
    assert_eq!(rig.stats()["rejected"]["foreign-identity"], 2);
}

#[test]
fn the_authenticated_user_must_own_the_from_or_the_to_of_a_register() {
    let mut rig = Rig::new(&config());
    rig.authenticated(ALICE, "alice", "pw-alice", register("alice"));
    assert_eq!(only(&mut rig).what(), "200");
    rig.authenticated(ALICE, "alice", "pw-alice", register("bob").call("r2", 1));
    assert_eq!(only(&mut rig).what(), "403", "alice does not register bob");
    let as_bob =
        Req::new("MESSAGE", "sip:carol@example.com").ends("sip:bob@example.com", "x", "sip:carol@example.com", "");
    rig.authenticated(ALICE, "alice", "pw-alice", as_bob);
    assert_eq!(only(&mut rig).what(), "403", "nor speaks for him");
    rig.authenticated(ALICE, "alice", "wrong", register("alice").call("r3", 1));
    assert_eq!(only(&mut rig).what(), "401");
    rig.authenticated(ALICE, "mallory", "x", register("mallory").call("r4", 1));
    assert_eq!(only(&mut rig).what(), "401", "another realm's user is none of ours");
    let stats = rig.stats();
    assert_eq!((&stats["auth"]["bad"], &stats["auth"]["unknown"]), (&1.into(), &1.into()));
}

#[test]
fn credentials_for_our_realm_are_consumed_and_others_stay() {
    let mut config = config();
    config.auth.register = false;
    let mut rig = Rig::new(&config);
    rig.registered("bob", "192.0.2.2:5060", "");
    let other = "Digest username=\"a\", realm=\"other.example\", nonce=\"n\", uri=\"sip:x\", response=\"00000000000000000000000000000000\"";
    let request = invite("bob@example.com", "c").header("Proxy-Authorization", other);
    rig.authenticated(ALICE, "alice", "pw-alice", request);
    let offer = rig.find("INVITE", "192.0.2.2:5060");
    assert_eq!(offer.all(Header::ProxyAuthorization), [other]);
    assert_eq!(rig.spooled.len(), 1);
}

#[test]
fn lesson_9_the_count_is_taken_only_after_a_valid_digest_and_only_once() {
    let mut rig = Rig::new(&config());
    let request = Req::new("MESSAGE", "sip:bob@example.com");
    rig.udp(ALICE, &request.text());
    let challenge = rig.sent.pop().unwrap();
    let forged = request.answer(&challenge, "alice", "guess").cseq(2);
    rig.udp(ALICE, &forged.text());
    assert_eq!(only(&mut rig).what(), "407");
    let right = request.answer(&challenge, "alice", "pw-alice").cseq(3);
    rig.udp(ALICE, &right.text());
    assert_eq!(only(&mut rig).what(), "480", "the forged one has not burnt the count");
    rig.udp(ALICE, &right.clone().cseq(4).text());
    let again = only(&mut rig);
    assert_eq!(again.what(), "407");
    assert!(again.header(Header::ProxyAuthenticate).contains("stale=true"), "a replay is stale");
    rig.udp(ALICE, &right.text());
    assert_eq!(only(&mut rig).what(), "480", "a retransmission is absorbed, not taken for a replay");
}

#[test]
fn an_old_nonce_is_stale_and_one_of_another_source_too() {
    let mut rig = Rig::new(&config());
    rig.udp(ALICE, &register("alice").text());
    let challenge = rig.sent.pop().unwrap();
    let answer = register("alice").answer(&challenge, "alice", "pw-alice").cseq(2);
    rig.udp("192.0.2.9:5060", &answer.clone().branch("there").text());
    assert!(only(&mut rig).header(Header::WwwAuthenticate).contains("stale=true"));
    rig.pass(s(300));
    rig.udp(ALICE, &answer.text());
    assert!(only(&mut rig).header(Header::WwwAuthenticate).contains("stale=true"));
    assert_eq!(rig.stats()["auth"]["stale"], 2);
}

#[test]
fn the_nonce_is_stateless_a_process_with_the_same_keys_knows_it() {
    let mut one = Rig::new(&config());
    one.udp(ALICE, &register("alice").text());
    let challenge = one.sent.pop().unwrap();
    let mut other = Rig::started(settings(&config()), one.now, crate::harness::UNIX, [9; 32]);
    other.udp(ALICE, &register("alice").answer(&challenge, "alice", "pw-alice").cseq(2).text());
    assert_eq!(only(&mut other).what(), "200");
}

#[test]
fn the_balancers_word_about_the_source_counts_from_trusted_networks_only() {
    let mut config = config();
    config.peer = vec![peer("carrier", "198.51.100.0/24")];
    config.trusted = vec!["10.0.0.9".parse().unwrap()];
    let mut rig = Rig::new(&config);
    let source = "udp:198.51.100.7:5060;listener=udp:203.0.113.1:5060";
    let request = Req::new("INVITE", "sip:bob@example.com")
        .ends("sip:+49301@carrier.example", "c", "sip:bob@example.com", "")
        .header("X-C4-Source", source);
    rig.udp("10.0.0.8:5060", &request.text());
    assert_eq!(only(&mut rig).what(), "403", "not from there");
    rig.udp("10.0.0.9:5060", &request.clone().branch("lb").text());
    assert_eq!(rig.take().last().unwrap().what(), "480");
    assert_eq!(rig.records[0]["source"], "udp:198.51.100.7:5060");
    rig.udp("10.0.0.9:5060", &request.header("X-C4-Source", "nonsense").branch("two").text());
    assert_eq!(rig.take().last().unwrap().what(), "480", "the first line counts");
}

#[test]
fn our_header_and_unproven_identities_do_not_go_on() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", "192.0.2.2:5060", "");
    let request = invite("bob@example.com", "c")
        .header("X-C4-Source", "udp:198.51.100.7:5060;listener=udp:203.0.113.1:5060")
        .header("P-Asserted-Identity", "<sip:boss@example.com>")
        .header("Route", "<sip:192.0.2.66;lr>");
    rig.udp(ALICE, &request.text());
    let offer = rig.find("INVITE", "192.0.2.2:5060");
    for gone in ["X-C4-Source", "P-Asserted-Identity", "Route"] {
        assert!(offer.message.header(gone).is_none(), "{gone}");
    }
}

#[test]
fn a_defect_is_answered_400_and_counted() {
    let mut rig = Rig::new(&config());
    let text = invite("bob@example.com", "c").text().replace("Call-ID: c\r\n", "");
    rig.udp(ALICE, &text);
    assert_eq!(only(&mut rig).what(), "400");
    assert_eq!(rig.stats()["rejected"]["malformed"], 1);
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let mut rig = Rig::new(&config());
    let text = invite("bob@example.com", "c").text().replace(";rport", "");
    rig.udp("192.0.2.1:40000", &text);
    assert_eq!(rig.look(), ["407 192.0.2.1:5060"], "RFC 3261 §18.2.2");
    rig.udp("192.0.2.1:40000", &invite("bob@example.com", "c2").text());
    assert_eq!(rig.look(), ["407 192.0.2.1:40000"], "RFC 3581 §4");
}

#[test]
fn an_authenticated_call_goes_through() {
    let mut config = config();
    config.auth.register = false;
    let mut rig = Rig::new(&config);
    rig.registered("bob", "192.0.2.2:5060", "");
    rig.authenticated(ALICE, "alice", "pw-alice", invite("bob@example.com", "c"));
    let offer = rig.find("INVITE", "192.0.2.2:5060");
    rig.pass(ms(50));
    rig.udp("192.0.2.2:5060", &reply(&offer, "486 Busy Here", "b", ""));
    rig.find("486", ALICE);
    assert_eq!(rig.records[0]["user"], "alice");
    assert!(USERS.contains("alice"));
}

fn peer(name: &str, source: &str) -> c4_ref::config::Peer {
    c4_ref::config::Peer {
        name: name.into(),
        sources: vec![source.parse().unwrap()],
        tls_names: Vec::new(),
        target: None,
        prefixes: Vec::new(),
        strip: 0,
        prepend: String::new(),
        priority: 0,
    }
}

#[test]
fn our_header_does_not_go_on_in_responses_either() {
    let mut rig = Rig::new(&open());
    rig.registered("bob", "192.0.2.2:5060", "");
    rig.udp(ALICE, &invite("bob@example.com", "c").text());
    let offer = rig.find("INVITE", "192.0.2.2:5060");
    let told = "X-C4-Source: udp:203.0.113.9:5060;listener=udp:203.0.113.1:5060\r\nContent-Length";
    let answer = crate::harness::reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2").replace("Content-Length", told);
    rig.udp("192.0.2.2:5060", &answer);
    assert!(rig.find("200", ALICE).message.header("X-C4-Source").is_none(), "where the called side is");
}

#[test]
fn rfc3325_5_unproven_identities_do_not_go_on_inside_a_dialog() {
    let mut rig = Rig::new(&open());
    let call = rig.established("c");
    rig.udp(ALICE, &call.of_caller("INVITE", 2).header("P-Asserted-Identity", "<sip:boss@example.com>").text());
    let offer = rig.find("INVITE", "192.0.2.2:5060");
    assert!(offer.message.header("P-Asserted-Identity").is_none());
}

/// One answer of at most three times its octets, or 200; a challenge of at most 1200.
#[test]
fn no_answer_to_a_stranger_amplifies() {
    let mut rig = Rig::new(&config());
    let head = "v:SIP/2.0/UDP h\r\nf:<sip:a@example.com>;tag=1\r\nt:<sip:a@example.com>\r\ni:1\r\n";
    for (line, rest) in [
        ("OPTIONS sip:example.com SIP/2.0", "CSeq:1 OPTIONS\r\n"),
        ("REGISTER sip:example.com SIP/2.0", "CSeq:1 REGISTER\r\n"),
        ("INVITE sip:b@example.com SIP/2.0", "CSeq:2 INVITE\r\n"),
        ("INVITE sip:b@example.com SIP/2.0", "CSeq:3 INVITE\r\nProxy-Require:x\r\n"),
        ("CANCEL sip:b@example.com SIP/2.0", "CSeq:4 CANCEL\r\n"),
        ("BYE sip:b@example.com SIP/7.0", "CSeq:5 BYE\r\n"),
        ("BYE sip:b@example.com SIP/2.0", "CSeq:6 INFO\r\n"),
    ] {
        let text = format!("{line}\r\n{head}{rest}\r\n");
        rig.udp(ALICE, &text);
        let sent = rig.take();
        assert_eq!(sent.len(), 1, "{line}");
        let challenge = matches!(sent[0].what().as_str(), "401" | "407");
        let most = if challenge { 1200 } else { (3 * text.len()).max(200) };
        assert!(sent[0].text.len() <= most, "{line}: {} of {most}\n{}", sent[0].text.len(), sent[0].text);
        rig.pass(s(64));
        assert_eq!(rig.look(), [""; 0], "{line}: once");
    }
    assert_eq!(rig.stats()["transactions"]["server"].as_u64().unwrap_or(0), 0);
}
