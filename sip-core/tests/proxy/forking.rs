//! Forking under all orders of what can happen: one final response upstream or 2xx alone, nothing left behind.

use c4_sip_core::proxy::{Branch, By, Event, Hunt, Options};
use c4_sip_core::{Checked, Request, Target, Transport};
use proptest::prelude::*;
use std::time::Duration;

use crate::harness::*;

#[derive(Clone, Debug)]
enum Act {
    /// A request sent to a callee is answered, whichever it is, perhaps again.
    Answer {
        request: usize,
        code: u16,
    },
    Cancel,
    Retransmit,
    /// More targets: q by hundreds.
    Add {
        q: u16,
        failover: bool,
        hunt: bool,
    },
    Pass {
        seconds: u64,
    },
    GiveUp,
    Reject,
    Conclude,
}

fn act() -> impl Strategy<Value = Act> {
    let codes = prop::sample::select(vec![
        100u16, 180, 180, 183, 200, 200, 302, 401, 407, 404, 408, 430, 486, 486, 487, 487, 487, 500, 503, 503, 600, 603,
    ]);
    prop_oneof![
        12 => (0usize..12, codes).prop_map(|(request, code)| Act::Answer { request, code }),
        1 => Just(Act::Cancel),
        1 => Just(Act::Retransmit),
        3 => (0u16..3, any::<bool>(), any::<bool>()).prop_map(|(q, failover, hunt)| Act::Add { q: q * 500, failover, hunt }),
        2 => (0u64..70).prop_map(|seconds| Act::Pass { seconds }),
        1 => Just(Act::GiveUp),
        1 => Just(Act::Reject),
        1 => Just(Act::Conclude),
    ]
}

/// What the caller saw: final status codes with their tags, each once.
#[derive(Default)]
struct Seen {
    finals: Vec<(u16, String)>,
    requests: Vec<Request>,
}

impl Seen {
    fn look(&mut self, rig: &mut Rig, method: &str) {
        let mut acks = Vec::new();
        for response in rig.responses() {
            let code = response.status().code();
            if code < 200 || response.cseq().method.as_str() != method {
                continue;
            }
            let seen = (code, response.to_tag().unwrap_or_default().to_owned());
            if code >= 300 && method == "INVITE" {
                acks.push(invite().replace("INVITE", "ACK"));
            }
            if !self.finals.contains(&seen) {
                self.finals.push(seen);
            }
        }
        for ack in acks {
            rig.caller(&ack);
        }
        for sent in std::mem::take(&mut rig.sent) {
            if let Checked::Request(request) = sent.message
                && matches!(request.method().as_str(), "INVITE" | "CANCEL" | "OPTIONS")
                && !self
                    .requests
                    .iter()
                    .any(|known| known.branch() == request.branch() && known.method() == request.method())
            {
                self.requests.push(request);
            }
        }
    }
}

fn target(n: u8, q: u16, failover: bool, hunt: bool) -> Branch {
    let other = Target::new(Transport::Udp, callee(100 + n));
    let failover = if failover { vec![other.into()] } else { Vec::new() };
    Branch { failover, hunt: if hunt { Hunt::Unreachable } else { Hunt::Any }, ..at(n, q) }
}

fn play(method: &str, options: Options, acts: &[Act]) {
    let mut rig = Rig::new();
    let mut seen = Seen::default();
    let text = request_text(method, "sip:b@example.com", "1", "Max-Forwards: 70\n");
    rig.caller(&text);
    let id = rig.contexts[0];
    rig.proxy.set_user(id, 77);
    rig.proxy.set_options(id, options);
    let mut targets = 0u8;
    let mut passed = 0;
    for act in acts {
        match act {
            Act::Answer { request, code } => {
                let Some(request) = seen.requests.get(request % seen.requests.len().max(1)).cloned() else { continue };
                let mut response = reply(&request, *code);
                if request.method().as_str() == "CANCEL" {
                    response = reply(&request, 200);
                }
                rig.respond(&response, &request);
            }
            Act::Cancel => rig.caller(&text.replace(method, "CANCEL")),
            // A caller repeats its request until Timer F (RFC 3261 §17.1.2.2), not after it.
            Act::Retransmit if seen.finals.is_empty() && passed < 32 && rig.proxy.request_of(id).is_some() => {
                rig.caller(&text);
            }
            Act::Retransmit => {}
            Act::Add { q, failover, hunt } => {
                targets += 1;
                let added = vec![target(targets, *q, *failover, *hunt)];
                let _ = rig.proxy.forward(rig.now, &mut rig.layer, id, added);
            }
            Act::Pass { seconds } => {
                passed += seconds;
                rig.pass(Duration::from_secs(*seconds));
            }
            Act::GiveUp => _ = rig.proxy.cancel(rig.now, &mut rig.layer, id, None),
            Act::Reject => {
                _ = rig.proxy.reject_with(rig.now, &mut rig.layer, id, c4_sip_core::StatusCode::FORBIDDEN);
            }
            Act::Conclude => _ = rig.proxy.conclude(rig.now, &mut rig.layer, id),
        }
        rig.run();
        seen.look(&mut rig, method);
    }
    // Nobody says anything any more: B, C, ringing limit and questions run out.
    for _ in 0..targets.max(1) * 4 {
        rig.seconds(200);
        seen.look(&mut rig, method);
    }
    check(&mut rig, &seen, method);
}

fn check(rig: &mut Rig, seen: &Seen, method: &str) {
    // The caller's transaction had ended before the answer came.
    let late = rig.proxy.stats().undeliverable > 0;
    let successes = seen.finals.iter().filter(|(code, _)| *code < 300).count();
    let failures = seen.finals.len() - successes;
    let outcomes = rig.finished();
    assert_eq!(outcomes.len(), 1, "exactly one Finished");
    let outcome = &outcomes[0];
    assert_eq!(outcome.status.is_none(), seen.finals.is_empty());
    if method == "INVITE" {
        assert!(failures + successes.min(1) == 1, "one final response or 2xx alone: {:?}", seen.finals);
    } else {
        assert!(seen.finals.len() <= 1, "{:?}", seen.finals);
        let timed_out = outcome.by == By::Timer || (outcome.by == By::Callee && outcome.branch.is_some());
        assert!(outcome.status.is_some() || timed_out || late, "silence is for time-outs, ours or a callee's 408");
        assert!(!seen.finals.iter().any(|(code, _)| *code == 408), "RFC 4320 §4.2");
    }
    if let Some(status) = outcome.status {
        assert_eq!(seen.finals[0].0, status.code(), "the outcome is what was sent first");
    }
    assert!(!seen.finals.iter().any(|(code, _)| *code == 503), "RFC 3261 §16.7 step 6");
    let told = rig.events.iter().filter(|event| matches!(event, Event::Answered { .. })).count();
    assert!(told == successes || late, "each answer is told: {told} of {successes}");
    assert!(rig.events.iter().all(|event| match event {
        Event::Route { .. } => true,
        Event::Provisional { user, .. } | Event::BranchFailed { user, .. } => *user == 77,
        Event::Exhausted { user, .. } | Event::Answered { user, .. } => *user == 77,
        _ => true,
    }));
    rig.assert_idle();
}

fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(ask, recurse, late)| Options {
        ask,
        recurse,
        late,
        ringing_limit: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn rfc3261_16_7_an_invite_gets_one_final_response_or_2xx_alone(
        options in options(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        play("INVITE", options, &acts);
    }

    #[test]
    fn rfc3261_16_7_a_non_invite_gets_at_most_one_final_response(
        options in options(),
        acts in prop::collection::vec(act(), 1..25),
    ) {
        play("OPTIONS", options, &acts);
    }
}

/// All orders of the answers of three parallel phones: what goes up depends on the answers, not on their order, but for
/// the choice among equals.
#[test]
fn rfc3261_16_7_6_the_order_of_answers_does_not_matter() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let sets = [
        ([486, 603, 302], 603),
        ([503, 486, 408], 486),
        ([404, 407, 500], 407),
        ([503, 500, 503], 500),
        ([302, 404, 484], 302),
    ];
    for (codes, expected) in sets {
        for order in orders {
            let mut rig = Rig::new();
            rig.call(vec![to(1), to(2), to(3)]);
            let requests = rig.requests("INVITE");
            for n in order {
                rig.answer(&requests[n], codes[n]);
            }
            assert_eq!(rig.codes(), [expected], "{codes:?} in the order {order:?}");
            rig.assert_idle();
        }
    }
}
