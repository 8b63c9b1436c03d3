//! One INVITE, several answers: early dialogs and 2xx of several branches.
use std::net::SocketAddr;
use std::time::Duration;

use c4_sip_core::StatusCode;
use c4_sip_core::header::Header;
use c4_sip_core::ua::{DialogState, EndCause, Event};

use crate::world::World;

const PROXY: &str = "192.0.2.99:5060";

fn proxy() -> SocketAddr {
    PROXY.parse().unwrap()
}

/// A call to an address that the test plays; with its INVITE.
fn forked() -> (World, c4_sip_core::ua::SessionId, crate::world::Sent) {
    let mut world = World::new();
    world.add_agent(|config| config);
    let caller = world.call_to(0, proxy(), |invite| invite);
    world.run(Duration::from_millis(20));
    let invite = world.raw[0].clone();
    (world, caller, invite)
}

#[test]
fn rfc3261_12_1_2_each_to_tag_is_an_early_dialog_of_its_own() {
    let (mut world, caller, invite) = forked();
    for tag in ["a", "b"] {
        world.reply(&invite, StatusCode::SESSION_PROGRESS, tag, |response| {
            response.set(Header::Contact, format!("<sip:{tag}@192.0.2.50>")).unwrap();
        });
    }
    world.run(Duration::from_millis(20));
    let early: Vec<(String, String)> = world.agents[0]
        .ua
        .early_dialogs(caller)
        .map(|dialog| (dialog.id().remote_tag.to_string(), dialog.remote_target().to_owned()))
        .collect();
    assert_eq!(early, [("a".into(), "sip:a@192.0.2.50".into()), ("b".into(), "sip:b@192.0.2.50".into())]);
    assert!(world.agents[0].ua.dialog(caller).is_none());
    let told = |event: &Event| matches!(event, Event::Progress { dialog: Some(id), .. } if &*id.remote_tag == "b");
    assert!(world.saw(0, told));
}

#[test]
fn rfc3261_13_2_2_4_a_second_2xx_gets_its_ack_and_a_bye() {
    let (mut world, caller, invite) = forked();
    for tag in ["a", "b", "a", "b"] {
        world.reply(&invite, StatusCode::OK, tag, |response| {
            response.set(Header::Contact, format!("<sip:{tag}@192.0.2.99>")).unwrap();
        });
        world.run(Duration::from_millis(20));
    }
    let to = |label: &str, tag: &str| {
        world
            .raw
            .iter()
            .filter(|s| s.label() == label && s.message.header_str(Header::To).unwrap().ends_with(tag))
            .count()
    };
    assert_eq!((to("ACK", "tag=a"), to("ACK", "tag=b")), (2, 2), "each 2xx its own ACK, each time");
    assert_eq!((to("BYE", "tag=a"), to("BYE", "tag=b")), (0, 1), "the first dialog stays");
    assert_eq!(world.last_request("BYE").uri(), "sip:b@192.0.2.99");
    assert_eq!(&*world.agents[0].ua.dialog(caller).unwrap().id().remote_tag, "a");
    assert_eq!(world.agents[0].events.iter().filter(|event| matches!(event, Event::Surplus { .. })).count(), 1);
    // The surplus BYE is never answered; the call goes on and ends as any other.
    world.run(Duration::from_secs(40));
    assert!(world.ended(0, caller).is_none());
    assert_eq!(world.agents[0].ua.dialog_count(), 1);
    world.hangup(0, caller);
    world.run_out();
}

#[test]
fn rfc3261_13_2_2_4_early_dialogs_without_2xx_end_64_t1_after_the_first() {
    let (mut world, caller, invite) = forked();
    world.reply(&invite, StatusCode::RINGING, "b", |_| {});
    world.reply(&invite, StatusCode::OK, "a", |_| {});
    world.run(Duration::from_secs(31));
    assert_eq!(world.agents[0].ua.early_dialogs(caller).count(), 1);
    world.run(Duration::from_secs(2));
    assert_eq!(world.agents[0].ua.early_dialogs(caller).count(), 0);
    assert_eq!(world.agents[0].ua.dialog_count(), 1);
}

#[test]
fn rfc3261_13_2_2_4_the_2xx_makes_the_route_set_of_an_early_dialog_anew() {
    let (mut world, caller, invite) = forked();
    let route = |response: &mut c4_sip_core::Response, routes: &[&str]| {
        for route in routes {
            response.push_back(Header::RecordRoute, route).unwrap();
        }
    };
    world.reply(&invite, StatusCode::RINGING, "a", |r| route(r, &["<sip:early.example.com;lr>"]));
    world.run(Duration::from_millis(20));
    world.reply(&invite, StatusCode::OK, "a", |r| route(r, &["<sip:192.0.2.99;lr;n=2>", "<sip:192.0.2.99;lr;n=1>"]));
    world.run(Duration::from_millis(20));
    let dialog = world.agents[0].ua.dialog(caller).unwrap();
    assert_eq!(dialog.state(), DialogState::Confirmed);
    let routes: Vec<&str> = dialog.route_set().iter().collect();
    assert_eq!(routes, ["<sip:192.0.2.99;lr;n=1>", "<sip:192.0.2.99;lr;n=2>"]);
    let ack: Vec<_> = world.last_request("ACK").values(Header::Route).map(<[u8]>::to_vec).collect();
    assert_eq!(ack, [b"<sip:192.0.2.99;lr;n=1>".to_vec(), b"<sip:192.0.2.99;lr;n=2>".to_vec()]);
}

#[test]
fn forks_beyond_the_bound_make_no_dialog() {
    let (mut world, caller, invite) = forked();
    for tag in 0..100 {
        world.reply(&invite, StatusCode::RINGING, &format!("t{tag}"), |_| {});
    }
    world.run(Duration::from_millis(20));
    assert_eq!(world.agents[0].ua.early_dialogs(caller).count(), 16);
    world.reply(&invite, StatusCode::BUSY_HERE, "t1", |_| {});
    world.run(Duration::from_millis(20));
    assert!(matches!(world.ended(0, caller), Some(EndCause::Refused(_))));
    world.run_out();
}

#[test]
fn a_2xx_of_another_branch_after_the_bye_is_hung_up_too() {
    let (mut world, caller, invite) = forked();
    world.reply(&invite, StatusCode::OK, "a", |_| {});
    world.run(Duration::from_millis(20));
    world.hangup(0, caller);
    world.run(Duration::from_millis(20));
    let bye = world.raw.iter().find(|sent| sent.label() == "BYE").unwrap().clone();
    world.reply(&bye, StatusCode::OK, "a", |_| {});
    world.run(Duration::from_millis(20));
    assert!(matches!(world.ended(0, caller), Some(EndCause::LocalBye)));
    world.reply(&invite, StatusCode::OK, "late", |_| {});
    world.run(Duration::from_millis(20));
    assert!(world.last_request("BYE").to_tag() == Some("late") && world.last_request("ACK").to_tag() == Some("late"));
    world.run_out();
}

#[test]
fn rfc3261_12_1_1_a_2xx_without_tag_or_contact_is_acknowledged_all_the_same() {
    let (mut world, caller, invite) = forked();
    let Ok(c4_sip_core::Checked::Request(request)) = invite.message.clone().check() else { panic!("a request") };
    world.inject(proxy(), invite.from, &request.response(StatusCode::OK));
    world.run(Duration::from_millis(20));
    let ack = world.last_request("ACK");
    assert_eq!((ack.to_tag(), ack.uri()), (None, request.uri()));
    assert!(world.is_confirmed(0, caller));
}
