//! Registrations (RFC 3261 §10.2).
use std::net::SocketAddr;
use std::time::Duration;

use c4_sip_core::auth::Account;
use c4_sip_core::flow::{Target, Transport};
use c4_sip_core::header::Header;
use c4_sip_core::ua::{Event, Registration, RegistrationId};
use c4_sip_core::{Response, StatusCode};

use crate::world::{Sent, World};

fn registrar() -> SocketAddr {
    "192.0.2.99:5060".parse().unwrap()
}

fn registering() -> (World, RegistrationId) {
    let mut world = World::new();
    world.add_agent(|config| config);
    world.agents[0].ua.add_account(Account::new("registrar", "example.com", "alice", "secret"));
    let registration = Registration {
        registrar: "sip:example.com".into(),
        aor: "<sip:alice@example.com>".into(),
        contact: "<sip:alice@192.0.2.1:5060>".into(),
        expires: Duration::from_secs(600),
        destination: Target::new(Transport::Udp, registrar()).into(),
        routes: Vec::new(),
        peer: Some("registrar".into()),
    };
    let id = world.with(0, |now, ua, layer| ua.register(now, layer, registration)).unwrap();
    world.run(Duration::from_millis(20));
    (world, id)
}

fn newest(world: &World) -> Sent {
    world.raw.last().expect("a REGISTER").clone()
}

fn answer(world: &mut World, status: StatusCode, change: impl FnOnce(&mut Response)) {
    let register = newest(world);
    world.reply(&register, status, "r", change);
    world.run(Duration::from_millis(20));
}

fn contact(value: &'static str) -> impl FnOnce(&mut Response) {
    move |response| response.set(Header::Contact, value).unwrap()
}

fn header(sent: &Sent, name: Header) -> String {
    sent.message.header_str(name).unwrap_or_default().to_owned()
}

#[test]
fn rfc3261_10_2_challenged_granted_refreshed_and_removed() {
    let (mut world, id) = registering();
    let first = newest(&world);
    assert_eq!(first.message.request_uri(), Some("sip:example.com"));
    assert_eq!(header(&first, Header::Contact), "<sip:alice@192.0.2.1:5060>;expires=600");
    answer(&mut world, StatusCode::UNAUTHORIZED, |response| {
        let value = "Digest realm=\"example.com\", nonce=\"n1\", qop=\"auth\", algorithm=MD5";
        response.set(Header::WwwAuthenticate, value).unwrap();
    });
    let second = newest(&world);
    assert_eq!(
        (header(&second, Header::CSeq), header(&second, Header::CallId)),
        ("2 REGISTER".into(), header(&first, Header::CallId))
    );
    assert!(header(&second, Header::Authorization).contains("username=\"alice\""));
    // Ours among others; what is granted is less than what was asked for.
    answer(
        &mut world,
        StatusCode::OK,
        contact("<sip:other@192.0.2.7>;expires=900, <sip:alice@192.0.2.1:5060>;expires=100"),
    );
    let granted = |event: &Event| matches!(event, Event::Registered { expires, .. } if expires.as_secs() == 100);
    assert!(world.saw(0, granted));
    assert_eq!(world.count("REGISTER"), 2);
    world.run(Duration::from_secs(79));
    assert_eq!(world.count("REGISTER"), 2);
    world.run(Duration::from_millis(1100));
    assert_eq!(world.count("REGISTER"), 3, "before it runs out");
    assert_eq!(
        (header(&newest(&world), Header::CSeq), header(&newest(&world), Header::CallId)),
        ("3 REGISTER".into(), header(&first, Header::CallId))
    );
    // The removal waits for the answer of the refresh (RFC 3261 §10.2).
    world.with(0, |now, ua, layer| ua.unregister(now, layer, id)).unwrap();
    world.run(Duration::from_millis(20));
    assert!(!header(&newest(&world), Header::Contact).ends_with("expires=0"));
    answer(&mut world, StatusCode::OK, contact("<sip:alice@192.0.2.1:5060>;expires=100"));
    assert!(header(&newest(&world), Header::Contact).ends_with("expires=0"));
    answer(&mut world, StatusCode::OK, |_| {});
    assert!(world.saw(0, |event| matches!(event, Event::Unregistered { .. })));
    world.run_out();
}

#[test]
fn rfc3261_10_2_8_too_brief_is_asked_again_for_longer() {
    let (mut world, _) = registering();
    answer(&mut world, StatusCode::INTERVAL_TOO_BRIEF, |response| response.set(Header::MinExpires, "1800").unwrap());
    assert!(header(&newest(&world), Header::Contact).ends_with("expires=1800"));
    // A registrar that is never content makes no loop.
    answer(&mut world, StatusCode::INTERVAL_TOO_BRIEF, |response| response.set(Header::MinExpires, "1800").unwrap());
    assert!(world.saw(0, |event| matches!(event, Event::RegistrationFailed { .. })));
}

#[test]
fn rfc3261_10_3_the_expires_header_counts_where_the_contact_says_nothing() {
    let (mut world, _) = registering();
    answer(&mut world, StatusCode::OK, |response| response.set(Header::Expires, "60").unwrap());
    assert!(world.saw(0, |event| matches!(event, Event::Registered { expires, .. } if expires.as_secs() == 60)));
}

#[test]
fn rfc5626_4_5_failures_are_tried_again_ever_later_and_retry_after_is_obeyed() {
    let (mut world, _) = registering();
    let mut waits = Vec::new();
    for _ in 0..10 {
        let before = world.count("REGISTER");
        answer(&mut world, StatusCode::SERVICE_UNAVAILABLE, |_| {});
        let start = world.now;
        while world.count("REGISTER") == before {
            world.run(Duration::from_secs(1));
        }
        waits.push((world.now - start).as_secs());
    }
    for (failure, wait) in waits.iter().enumerate() {
        let longest = (30u64 << failure).min(1800);
        assert!((longest / 2..=longest + 1).contains(wait), "{waits:?}");
    }
    answer(&mut world, StatusCode::SERVICE_UNAVAILABLE, |response| {
        response.set(Header::RetryAfter, "7 (maintenance)").unwrap();
    });
    let wait = Duration::from_secs(7);
    assert!(world.saw(0, |event| matches!(event, Event::RegistrationFailed { retry_in, .. } if *retry_in == wait)));
}

#[test]
fn rfc3261_10_2_silence_is_a_failure() {
    let (mut world, id) = registering();
    world.run(Duration::from_secs(33));
    assert!(world.saw(0, |event| matches!(event, Event::RegistrationFailed { response: None, .. })));
    // A removal that nobody answers is over all the same.
    world.with(0, |now, ua, layer| ua.unregister(now, layer, id)).unwrap();
    world.run(Duration::from_secs(33));
    assert!(world.saw(0, |event| matches!(event, Event::Unregistered { .. })));
    world.run_out();
}

#[test]
fn rfc5626_4_a_lost_connection_is_registered_anew_at_once() {
    let mut world = World::pair();
    let to = world.address(1);
    let registration = Registration {
        registrar: "sip:example.com".into(),
        aor: "<sip:alice@example.com>".into(),
        contact: "<sip:alice@192.0.2.1:5060;transport=tcp>".into(),
        expires: Duration::from_secs(600),
        destination: Target::new(Transport::Tcp, to).into(),
        routes: Vec::new(),
        peer: None,
    };
    world.with(0, |now, ua, layer| ua.register(now, layer, registration)).unwrap();
    // The other agent is no registrar: 405 over this connection.
    world.run(Duration::from_millis(50));
    assert_eq!(world.count("405 REGISTER"), 1);
    world.close_connections();
    world.run(Duration::from_millis(50));
    assert_eq!(world.count("REGISTER"), 2);
}
