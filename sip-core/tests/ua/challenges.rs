//! Digest challenges to the user agent's own requests (RFC 3261 §22, RFC 7616).
use std::net::SocketAddr;
use std::time::Duration;

use c4_sip_core::auth::Account;
use c4_sip_core::header::Header;
use c4_sip_core::ua::{EndCause, SessionId};
use c4_sip_core::{Response, StatusCode};

use crate::world::{Sent, World};

fn proxy() -> SocketAddr {
    "192.0.2.99:5060".parse().unwrap()
}

fn challenge(nonce: &str) -> impl FnOnce(&mut Response) {
    let value = format!("Digest realm=\"example.com\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256");
    move |response| response.set(Header::ProxyAuthenticate, value).unwrap()
}

/// A call of an agent with an account at the proxy, to an address that the test plays.
fn calling() -> (World, SessionId) {
    let mut world = World::new();
    world.add_agent(|config| config);
    world.agents[0].ua.add_account(Account::new("the proxy", "example.com", "alice", "secret"));
    let caller = world.call_to(0, proxy(), |mut invite| {
        invite.uri = "sip:bob@example.com;transport=udp".into();
        invite.peer = Some("the proxy".into());
        invite
    });
    world.run(Duration::from_millis(20));
    (world, caller)
}

fn newest(world: &World, label: &str) -> Sent {
    world.raw.iter().rev().find(|sent| sent.label() == label).unwrap_or_else(|| panic!("no {label}")).clone()
}

fn credentials(sent: &Sent) -> &str {
    sent.message.header_str(Header::ProxyAuthorization).unwrap_or_default()
}

#[test]
fn rfc3261_22_3_a_challenged_invite_is_sent_again_with_credentials() {
    let (mut world, caller) = calling();
    let first = newest(&world, "INVITE");
    world.reply(&first, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "p", challenge("n1"));
    world.run(Duration::from_millis(50));
    let second = newest(&world, "INVITE");
    let text = |sent: &Sent, name| sent.message.header_str(name).unwrap().to_owned();
    assert_eq!(text(&second, Header::CSeq), "2 INVITE");
    assert_eq!(text(&second, Header::CallId), text(&first, Header::CallId));
    assert_eq!(text(&second, Header::From), text(&first, Header::From));
    assert_eq!(text(&second, Header::To), text(&first, Header::To), "no tag of the challenge");
    // Field: a digest-uri without the parameters of the Request-URI is refused (livekit/sip#817).
    assert!(credentials(&second).contains("uri=\"sip:bob@example.com;transport=udp\""), "{}", credentials(&second));
    assert!(!credentials(&second).contains("secret"));
    assert!(world.ended(0, caller).is_none());
}

#[test]
fn rfc3261_13_2_2_4_the_ack_to_a_2xx_repeats_the_credentials() {
    let (mut world, _) = calling();
    let first = newest(&world, "INVITE");
    world.reply(&first, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "p", challenge("n1"));
    world.run(Duration::from_millis(50));
    let second = newest(&world, "INVITE");
    world.reply(&second, StatusCode::OK, "bob", |_| {});
    world.run(Duration::from_millis(50));
    let ack = newest(&world, "ACK");
    assert_eq!(ack.message.header_str(Header::CSeq), Some("2 ACK"));
    assert_eq!(credentials(&ack), credentials(&second));
}

/// The second try went to another member of the proxy's cluster, which knew nothing of it (field: freeswitch#2639).
#[test]
fn lesson_23_the_second_try_goes_where_the_first_went() {
    let (mut world, _) = calling();
    let first = newest(&world, "INVITE");
    // The answer comes from another address, as of a cluster.
    let Ok(c4_sip_core::Checked::Request(request)) = first.message.clone().check() else { panic!("a request") };
    let mut response = request.response(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    challenge("n1")(&mut response);
    world.inject("192.0.2.98:5060".parse().unwrap(), first.from, &response);
    world.run(Duration::from_millis(50));
    let second = newest(&world, "INVITE");
    assert_eq!((second.to, first.to), (proxy(), proxy()));
    assert!(!credentials(&second).is_empty());
}

#[test]
fn a_bye_is_authenticated_too() {
    let (mut world, caller) = calling();
    let invite = newest(&world, "INVITE");
    world.reply(&invite, StatusCode::OK, "bob", |response| {
        response.set(Header::Contact, "<sip:bob@192.0.2.99>").unwrap();
    });
    world.run(Duration::from_millis(50));
    world.hangup(0, caller);
    world.run(Duration::from_millis(50));
    let first = newest(&world, "BYE");
    world.reply(&first, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "bob", challenge("n1"));
    world.run(Duration::from_millis(50));
    let second = newest(&world, "BYE");
    assert_eq!(second.message.header_str(Header::CSeq), Some("3 BYE"));
    assert!(credentials(&second).contains("uri=\"sip:bob@192.0.2.99\""));
    assert!(world.ended(0, caller).is_none(), "not before its answer");
    world.reply(&second, StatusCode::OK, "bob", |_| {});
    world.run(Duration::from_millis(50));
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
    world.run_out();
}

/// CVE-2021-41158: the far end of a call challenged the BYE and got a hash of the password.
#[test]
fn cve_2021_41158_only_the_configured_peer_gets_an_answer() {
    let (mut world, caller) = calling();
    let stranger: SocketAddr = "192.0.2.66:5060".parse().unwrap();
    let invite = newest(&world, "INVITE");
    world.reply(&invite, StatusCode::OK, "mallory", |response| {
        response.set(Header::Contact, format!("<sip:mallory@{stranger}>")).unwrap();
    });
    world.run(Duration::from_millis(50));
    world.hangup(0, caller);
    world.run(Duration::from_millis(50));
    let bye = newest(&world, "BYE");
    assert_eq!(bye.to, stranger);
    world.reply(&bye, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "mallory", challenge("n1"));
    world.run(Duration::from_millis(50));
    let to_stranger = world.raw.iter().filter(|sent| sent.to == stranger && !credentials(sent).is_empty());
    assert_eq!(to_stranger.count(), 0);
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
    world.run_out();
}

#[test]
fn a_wrong_password_ends_after_one_try_and_new_nonces_after_two() {
    for (nonces, tries) in [(["n1", "n1", "n1", "n1"], 1), (["n1", "n2", "n3", "n4"], 2)] {
        let (mut world, caller) = calling();
        for nonce in nonces {
            if world.ended(0, caller).is_some() {
                break;
            }
            let invite = newest(&world, "INVITE");
            world.reply(&invite, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "p", challenge(nonce));
            world.run(Duration::from_millis(50));
        }
        assert_eq!(
            world.raw.iter().filter(|sent| !credentials(sent).is_empty() && sent.label() == "INVITE").count(),
            tries
        );
        let Some(EndCause::Refused(response)) = world.ended(0, caller) else { panic!("refused") };
        assert_eq!(response.status(), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        world.run_out();
    }
}

#[test]
fn a_challenge_after_hanging_up_is_not_answered() {
    let (mut world, caller) = calling();
    world.hangup(0, caller);
    let invite = newest(&world, "INVITE");
    world.reply(&invite, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "p", challenge("n1"));
    world.run(Duration::from_millis(50));
    assert_eq!(world.raw.iter().filter(|sent| sent.label() == "INVITE").count(), 1);
    assert!(world.ended(0, caller).is_some());
    world.run_out();
}
