//! Several shards: who takes which message, and what they share.

use c4_ref::machine::Machine;
use c4_ref::proxy::shards;
use sip_core::{Flow, Limits, Message};

use crate::harness::{PROXY, Req, Sent, UNIX, config, invite, open, reply, settings};

fn parse(text: &str) -> Message {
    Message::parse(text.to_owned().into(), &Limits::default()).unwrap()
}

fn flow(from: &str) -> Flow {
    Flow::udp(PROXY.parse().unwrap(), from.parse().unwrap())
}

#[test]
fn everything_of_a_call_goes_to_one_shard_and_responses_to_that_of_their_branch() {
    let now = std::time::Instant::now();
    let (_, mut apps) = shards(settings(&open()), 4, [5; 32], now, UNIX).unwrap();
    let bob = flow("192.0.2.2:5060");
    let uri = "sip:bob@example.com";
    let register = Req::new("REGISTER", "sip:example.com")
        .ends(uri, "r", uri, "")
        .via("192.0.2.2:5060")
        .header("Contact", "<sip:bob@192.0.2.2:5060>");
    apps[3].handle_message(now, bob, parse(&register.text()));
    let mut used = std::collections::BTreeSet::new();
    for n in 0..40 {
        let call_id = format!("call-{n}");
        let alice = flow("192.0.2.1:5060");
        let message = parse(&invite("bob@example.com", &call_id).text());
        let shard = apps[0].shard(&alice, &message).unwrap();
        used.insert(shard);
        for method in ["CANCEL", "ACK", "BYE", "INFO"] {
            let other = parse(&Req::new(method, "sip:x@192.0.2.9").call(&call_id, 2).text());
            assert_eq!(apps[1].shard(&alice, &other), Some(shard), "{method}");
        }
        let app = &mut apps[shard];
        app.handle_message(now, alice, message);
        let offer = std::iter::from_fn(|| app.poll_transmit())
            .map(|sent| Sent {
                flow: sent.flow,
                text: String::from_utf8_lossy(&sent.payload).into_owned(),
                message: Message::parse(sent.payload, &Limits::default()).unwrap(),
                id: sent.id,
            })
            .find(|sent| sent.what() == "INVITE")
            .expect("the location table is shared");
        let answer = parse(&reply(&offer, "200 OK", "b", "sip:bob@192.0.2.2:5060"));
        assert_eq!(apps[2].shard(&bob, &answer), Some(shard));
    }
    assert_eq!(used.len(), 4, "calls are spread");
}

#[test]
fn a_nonce_count_used_at_one_shard_is_used_at_all() {
    let now = std::time::Instant::now();
    let (_, mut apps) = shards(settings(&config()), 2, [5; 32], now, UNIX).unwrap();
    let alice = flow("192.0.2.1:5060");
    let request = Req::new("MESSAGE", "sip:bob@example.com");
    let ask = |app: &mut c4_ref::proxy::App, text: &str| {
        app.handle_message(now, alice, parse(text));
        let sent = app.poll_transmit().unwrap();
        let text = String::from_utf8_lossy(&sent.payload).into_owned();
        Sent { flow: sent.flow, message: parse(&text), text, id: sent.id }
    };
    let challenge = ask(&mut apps[0], &request.text());
    let answer = request.answer(&challenge, "alice", "pw-alice").cseq(2);
    assert_eq!(ask(&mut apps[1], &answer.text()).what(), "480", "any shard takes the nonce");
    let again = ask(&mut apps[0], &answer.branch("again").text());
    assert!(again.what() == "407" && again.text.contains("stale=true"));
}

#[test]
fn what_is_shared_is_reported_once() {
    let now = std::time::Instant::now();
    let (_, mut apps) = shards(settings(&open()), 2, [5; 32], now, UNIX).unwrap();
    let uri = "sip:bob@example.com";
    let register =
        Req::new("REGISTER", "sip:example.com").ends(uri, "r", uri, "").header("Contact", "<sip:bob@192.0.2.1>");
    apps[1].handle_message(now, flow("192.0.2.1:5060"), parse(&register.text()));
    let command = c4_ref::admin::Command { method: "stats".into(), params: serde_json::Value::Null };
    let mut sum = apps[0].handle_command(now, &command).unwrap().unwrap();
    c4_ref::admin::merge(&mut sum, apps[1].handle_command(now, &command).unwrap().unwrap());
    assert_eq!((&sum["contacts"], &sum["registrar"]["accepted"]), (&1.into(), &1.into()));
}
