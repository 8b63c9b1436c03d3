//! Server against vectors, client against server, and the rules between them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::digest::{Inputs, response};
use super::*;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const REALM: &str = "biloxi.example.com";
const URI: &str = "sip:biloxi.example.com";

fn records() -> Vec<HashMap<&'static str, &'static str>> {
    let text = include_str!("../../tests/vectors/digest.txt");
    let blocks = text.split("\n\n").map(|block| {
        let lines = block.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect()
    });
    blocks.filter(|record: &HashMap<_, _>| record.contains_key("name")).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn rfc7616_3_9_and_rfc2617_3_5_vectors() {
    let records = records();
    assert_eq!(records.len(), 12);
    for record in records {
        let algorithm = Algorithm::parse(record["algorithm"]).unwrap();
        let user = String::from_utf8(octets(record["username_utf8"])).unwrap();
        let ha1 = Ha1::new(algorithm.hash(), &user, record["realm"], record["password"]);
        let body = octets(record.get("entity_body").unwrap_or(&""));
        let inputs = Inputs {
            algorithm,
            method: record["method"],
            uri: record["uri"],
            nonce: record["nonce"],
            qop: record.get("qop").map(|qop| Qop::parse(qop).unwrap()),
            nc: record.get("nc").unwrap_or(&""),
            cnonce: record.get("cnonce").unwrap_or(&""),
            body: &body,
        };
        let made = response(&ha1, &inputs);
        assert_eq!(made.as_str(), record["response"], "{}", record["name"]);
        if let Some(right) = record.get("userhash") {
            // RFC 7616 §3.9.2 as printed used SHA-512 cut to 256 bits, which is not SHA-512/256.
            let hash = userhash(algorithm.hash(), &user, record["realm"]);
            assert_eq!(hash, *right);
            assert_ne!(hash, record["printed_userhash"]);
            assert_ne!(made.as_str(), record["printed_response"]);
        }
    }
}

fn server_with(change: impl FnOnce(&mut ServerConfig)) -> Challenger {
    let mut config = ServerConfig::new(REALM);
    change(&mut config);
    Challenger::new(config, KeyRing::single([7; 32]), [1; 32], NOW)
}

fn server() -> Challenger {
    server_with(|_| ())
}

fn client() -> Client {
    let mut client = Client::new([2; 32]);
    client.add(Account::new("proxy", REALM, "bob", "zanzibar"));
    client
}

fn asked() -> Asked<'static> {
    Asked { peer: "proxy", method: "REGISTER", uri: URI, body: b"" }
}

fn subject() -> Subject<'static> {
    Subject { method: "REGISTER", uri: URI, body: b"", source: HERE }
}

fn users(user: UserName<'_>, _: Algorithm) -> Secret {
    match user.name {
        "bob" if !user.hashed => Secret::Password("zanzibar".into()),
        _ => Secret::Unknown,
    }
}

fn bytes(values: &[String]) -> impl Iterator<Item = &[u8]> {
    values.iter().map(String::as_bytes)
}

/// Challenge and answer, the answer changed on its way by `change`.
fn exchange(server: &mut Challenger, change: impl FnOnce(String) -> String) -> Outcome<'static> {
    let challenges = server.challenge(NOW, HERE, false);
    let answer = client().answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    let answer: &'static str = Box::leak(change(answer).into_boxed_str());
    server.verify(NOW, &subject(), [answer.as_bytes()], users)
}

fn is_ok(outcome: &Outcome<'_>) -> bool {
    matches!(outcome, Outcome::Ok { user, .. } if user == "bob")
}

#[test]
fn rfc8760_2_3_one_challenge_for_each_algorithm_strongest_first() {
    let mut server = server_with(|c| c.algorithms = Algorithm::ALL.to_vec());
    let challenges = server.challenge(NOW, HERE, false);
    let parsed: Vec<_> = bytes(&challenges).map(|value| DigestChallenge::parse(value).unwrap()).collect();
    let names: Vec<_> = parsed.iter().map(|c| c.algorithm.unwrap()).collect();
    assert_eq!(names, ["SHA-256-sess", "SHA-256", "SHA-512-256-sess", "SHA-512-256", "MD5-sess", "MD5"]);
    assert!(parsed.iter().all(|c| c.offers("auth") && !c.stale && c.realm == REALM));
    assert!(DigestChallenge::parse(server.challenge(NOW, HERE, true)[0].as_bytes()).unwrap().stale);
    assert_eq!(server.challenge_for(NOW, HERE, false, |a| a == Algorithm::Md5).len(), 1);
}

#[test]
fn every_algorithm_and_qop_between_client_and_server() {
    for algorithm in Algorithm::ALL {
        for qop in [vec![], vec![Qop::Auth], vec![Qop::AuthInt], vec![Qop::Auth, Qop::AuthInt]] {
            let mut server = server_with(|c| {
                c.algorithms = vec![algorithm];
                c.qop = qop.clone();
            });
            assert!(is_ok(&exchange(&mut server, |answer| answer)), "{algorithm} {qop:?}");
            assert_eq!(server.remembered(), 1);
        }
    }
}

#[test]
fn rfc8760_2_4_client_takes_the_strongest_that_it_has_a_secret_for() {
    let challenges = server_with(|c| c.algorithms = Algorithm::ALL.to_vec()).challenge(NOW, HERE, false);
    let algorithm = |client: &mut Client| {
        let answer = client.answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
        DigestCredentials::parse(answer.as_bytes()).unwrap().algorithm.unwrap().to_owned()
    };
    assert_eq!(algorithm(&mut client()), "SHA-256-sess");
    let mut old = Client::new([0; 32]);
    old.add(Account::with_ha1("proxy", REALM, "bob", [Ha1::new(Hash::Md5, "bob", REALM, "zanzibar")]));
    assert_eq!(algorithm(&mut old), "MD5-sess");
}

#[test]
fn outcomes_are_told_apart() {
    assert!(is_ok(&exchange(&mut server(), |a| a)));
    let outcome = exchange(&mut server(), |a| a.replace("username=\"bob\"", "username=\"eve\""));
    assert_eq!(outcome, Outcome::Unknown);
    let spoil = |a: String| a.replace("response=\"", "response=\"f");
    assert_eq!(exchange(&mut server(), spoil), Outcome::Bad(BadReason::Digest));
    let outcome = exchange(&mut server(), |a| a.replace("algorithm=SHA-256", "algorithm=SHA-512-256"));
    assert_eq!(outcome, Outcome::Bad(BadReason::NotOffered));
    let outcome = exchange(&mut server(), |a| a.replace("qop=auth", "qop=auth-int"));
    assert_eq!(outcome, Outcome::Bad(BadReason::NotOffered));
    let outcome = exchange(&mut server(), |a| a.replace(", qop=auth", ""));
    assert_eq!(outcome, Outcome::Bad(BadReason::NotOffered));
    for nc in ["00000000", "1", "0000000g", ""] {
        let outcome = exchange(&mut server(), |a| a.replace("nc=00000001", &format!("nc=\"{nc}\"")));
        assert_eq!(outcome, Outcome::Bad(BadReason::Malformed), "{nc}");
    }
    assert_eq!(exchange(&mut server(), |_| "Digest nonsense".into()), Outcome::Missing);
}

#[test]
fn rfc3261_22_3_credentials_for_other_realms_are_none_of_ours() {
    let mut server = server();
    let answer = "Digest username=\"bob\", realm=\"other\", nonce=\"1\", uri=\"sip:x\", response=\"0\"".to_owned();
    assert_eq!(server.verify(NOW, &subject(), [answer.as_bytes()], users), Outcome::Missing);
    let challenges = server.challenge(NOW, HERE, false);
    let ours = client().answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    assert!(is_ok(&server.verify(NOW, &subject(), [answer.as_bytes(), ours.as_bytes()], users)));
}

#[test]
fn lesson_9_a_wrong_digest_does_not_burn_the_count_of_an_honest_one() {
    let mut server = server();
    let challenges = server.challenge(NOW, HERE, false);
    let right = client().answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    let forged = right.replace("response=\"", "response=\"0").replace("nc=00000001", "nc=7fffffff");
    assert_eq!(server.verify(NOW, &subject(), [forged.as_bytes()], users), Outcome::Bad(BadReason::Digest));
    assert_eq!(server.remembered(), 0, "nothing is remembered of what proved nothing");
    assert!(is_ok(&server.verify(NOW, &subject(), [right.as_bytes()], users)));
    assert_eq!(server.verify(NOW, &subject(), [right.as_bytes()], users), Outcome::Stale, "a replay");
}

#[test]
fn lesson_9_an_honest_client_with_an_old_nonce_is_stale_and_a_guesser_is_bad() {
    let mut server = server();
    let challenges = server.challenge(NOW, HERE, false);
    let right = client().answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    let late = NOW + Duration::from_secs(300);
    assert_eq!(server.verify(late, &subject(), [right.as_bytes()], users), Outcome::Stale);
    let moved = Subject { source: "192.0.2.2".parse().unwrap(), ..subject() };
    assert_eq!(server.verify(NOW, &moved, [right.as_bytes()], users), Outcome::Stale);
    let wrong = |_: UserName<'_>, _| Secret::Password("other".into());
    assert_eq!(server.verify(late, &subject(), [right.as_bytes()], wrong), Outcome::Bad(BadReason::Digest));
}

#[test]
fn lesson_17_digest_in_upper_case_and_a_uri_without_port() {
    let upper = |a: String| a.replace("Digest", "DIGEST").replace("algorithm=SHA-256", "algorithm=sha-256");
    assert!(is_ok(&exchange(&mut server(), upper)));
    // The client hashes exactly the Request-URI that it sends (and a phone that drops the port passes the default rule).
    let mut server = server();
    let challenges = server.challenge(NOW, HERE, false);
    let uri = "sip:biloxi.example.com:5061;transport=tls";
    let asked = Asked { uri, ..asked() };
    let answer = client().answer(&mut Attempt::default(), &asked, bytes(&challenges)).unwrap();
    assert!(answer.contains("uri=\"sip:biloxi.example.com:5061;transport=tls\""));
    assert!(is_ok(&server.verify(NOW, &subject(), [answer.as_bytes()], users)));
    let other = Subject { uri: "sip:atlanta.example.com", ..subject() };
    assert_eq!(server.verify(NOW, &other, [answer.as_bytes()], users), Outcome::Bad(BadReason::Uri));
}

#[test]
fn rfc7616_3_4_response_in_upper_case_is_read() {
    let upper = |a: String| {
        let (before, after) = a.split_once("response=\"").unwrap();
        let (digits, rest) = after.split_once('"').unwrap();
        format!("{before}response=\"{}\"{rest}", digits.to_uppercase())
    };
    assert!(is_ok(&exchange(&mut server(), upper)));
}

#[test]
fn rfc3261_22_4_the_form_without_qop_is_a_switch_and_serves_once() {
    let mut server = server_with(|c| {
        c.allow_no_qop = true;
        c.algorithms = vec![Algorithm::Md5];
    });
    let challenge = server.challenge(NOW, HERE, false).remove(0).replace(", qop=\"auth\"", "");
    let answer = client().answer(&mut Attempt::default(), &asked(), [challenge.as_bytes()]).unwrap();
    assert!(!answer.contains("nc=") && !answer.contains("cnonce"));
    assert!(is_ok(&server.verify(NOW, &subject(), [answer.as_bytes()], users)));
    assert_eq!(server.verify(NOW, &subject(), [answer.as_bytes()], users), Outcome::Stale);
}

#[test]
fn rfc7616_3_4_1_auth_int_covers_the_body() {
    let mut server = server_with(|c| c.qop = vec![Qop::AuthInt]);
    let challenges = server.challenge(NOW, HERE, false);
    let asked = Asked { body: b"v=0\r\n", ..asked() };
    let answer = client().answer(&mut Attempt::default(), &asked, bytes(&challenges)).unwrap();
    let changed = Subject { body: b"v=1\r\n", ..subject() };
    let outcome = server.verify(NOW, &changed, [answer.as_bytes()], users);
    assert_eq!(outcome, Outcome::Bad(BadReason::Digest));
    let same = Subject { body: b"v=0\r\n", ..subject() };
    assert!(is_ok(&server.verify(NOW, &same, [answer.as_bytes()], users)));
}

#[test]
fn rfc7616_3_4_4_userhash_needs_a_stored_ha1() {
    let mut server = server_with(|c| c.algorithms = vec![Algorithm::Sha256]);
    let challenge = server.challenge(NOW, HERE, false).remove(0) + ", userhash=true";
    let answer = client().answer(&mut Attempt::default(), &asked(), [challenge.as_bytes()]).unwrap();
    let hashed = userhash(Hash::Sha256, "bob", REALM);
    let lookup = |user: UserName<'_>, algorithm: Algorithm| {
        assert!(user.hashed && user.name == hashed);
        Secret::Ha1(Ha1::new(algorithm.hash(), "bob", REALM, "zanzibar"))
    };
    assert!(matches!(server.verify(NOW, &subject(), [answer.as_bytes()], lookup), Outcome::Ok { .. }));
}

#[test]
fn ha1_of_another_hash_or_none_for_the_algorithm_is_not_offered() {
    let mut server = server();
    let challenges = server.challenge(NOW, HERE, false);
    let answer = client().answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    let md5 = |_: UserName<'_>, _| Secret::Ha1(Ha1::new(Hash::Md5, "bob", REALM, "zanzibar"));
    let bad = Outcome::Bad(BadReason::NotOffered);
    assert_eq!(server.verify(NOW, &subject(), [answer.as_bytes()], md5), bad);
    let none = |_: UserName<'_>, _| Secret::NotForThisAlgorithm;
    assert_eq!(server.verify(NOW, &subject(), [answer.as_bytes()], none), bad);
}

#[test]
fn shards_make_different_nonces_and_accept_each_others() {
    let mut one = server();
    let mut two = one.shard([9; 32], NOW);
    let (a, b) = (one.challenge(NOW, HERE, false), two.challenge(NOW, HERE, false));
    assert_ne!(a, b);
    let answer = client().answer(&mut Attempt::default(), &asked(), bytes(&a)).unwrap();
    let mut shared = Replay::new(10, Duration::from_secs(300), NOW);
    for expected in [Ok(()), Err(Replayed)] {
        let credentials = two.ours([answer.as_bytes()]).unwrap();
        let Outcome::Ok { proof, .. } = two.check(NOW, &subject(), credentials, users) else { panic!("not ok") };
        assert_eq!(shared.commit(NOW, proof.nonce, proof.nc), expected);
    }
}

#[test]
fn lesson_8_cve_2021_41158_no_hash_for_a_stranger() {
    let challenges = server().challenge(NOW, HERE, false);
    let mut client = client();
    let mut answer = |asked: &Asked<'_>, value: &[u8]| client.answer(&mut Attempt::default(), asked, [value]);
    let stranger = Asked { peer: "sip:evil.example.com", ..asked() };
    assert_eq!(answer(&stranger, challenges[0].as_bytes()), Err(NoAnswer::NoAccount));
    let other_realm = b"Digest realm=\"evil.example.com\", nonce=\"1\", algorithm=MD5";
    assert_eq!(answer(&asked(), other_realm), Err(NoAnswer::NoAccount));
    assert_eq!(
        answer(&asked(), b"Digest realm=\"biloxi.example.com\", nonce=\"1\", algorithm=X"),
        Err(NoAnswer::Unsupported)
    );
    assert_eq!(answer(&asked(), b"Basic realm=\"biloxi.example.com\""), Err(NoAnswer::NoChallenge));
}

#[test]
fn lesson_32_registrars_that_never_say_stale_get_two_answers() {
    let mut server = server();
    let mut client = client();
    let mut attempt = Attempt::default();
    for expected in [None, None, Some(NoAnswer::TooOften)] {
        let challenges = server.challenge(NOW, HERE, false);
        assert_eq!(client.answer(&mut attempt, &asked(), bytes(&challenges)).err(), expected);
    }
    let same = server.challenge(NOW, HERE, false);
    let mut attempt = Attempt::default();
    client.answer(&mut attempt, &asked(), bytes(&same)).unwrap();
    assert_eq!(client.answer(&mut attempt, &asked(), bytes(&same)), Err(NoAnswer::Refused));
}

#[test]
fn rfc7616_3_4_5_the_count_rises_with_each_use_of_a_nonce() {
    let mut server = server();
    let challenges = server.challenge(NOW, HERE, false);
    let mut client = client();
    assert_eq!(client.preempt(&mut Attempt::default(), &asked(), REALM), None);
    let first = client.answer(&mut Attempt::default(), &asked(), bytes(&challenges)).unwrap();
    let mut attempt = Attempt::default();
    let second = client.preempt(&mut attempt, &asked(), REALM).unwrap();
    assert!(first.contains("nc=00000001") && second.contains("nc=00000002"));
    assert!(is_ok(&server.verify(NOW, &subject(), [second.as_bytes()], users)));
    assert!(is_ok(&server.verify(NOW, &subject(), [first.as_bytes()], users)), "out of order");
    let cnonce = |answer: &str| DigestCredentials::parse(answer.as_bytes()).unwrap().cnonce.unwrap().into_owned();
    assert_ne!(cnonce(&first), cnonce(&second));
    // A proxy that asks again with the same nonce has refused it; with stale=true it has not.
    assert_eq!(client.answer(&mut attempt, &asked(), bytes(&challenges)), Err(NoAnswer::Refused));
    let stale = challenges[0].clone() + ", stale=true";
    assert!(client.answer(&mut attempt, &asked(), [stale.as_bytes()]).unwrap().contains("nc=00000003"));
}

#[test]
fn secrets_do_not_show_in_debug() {
    let text = format!("{:?} {:?}", client(), server());
    assert!(text.contains("bob") && !text.contains("zanzibar") && !text.contains("7, 7"));
}

#[test]
fn the_realm_cannot_break_out_of_its_quotes() {
    let mut config = ServerConfig::new("a\"b\\c\r\nX: y");
    config.algorithms = vec![Algorithm::Md5];
    let value = Challenger::new(config, KeyRing::single([7; 32]), [1; 32], NOW).challenge(NOW, HERE, false).remove(0);
    assert_eq!(DigestChallenge::parse(value.as_bytes()).unwrap().realm, "a\"b\\cX: y");
}
