//! The table of calls.

use super::*;

fn new(call_id: &str) -> NewCall<'_> {
    NewCall {
        id: Id(1),
        unix_ms: 1_700_000_000_000,
        call_id,
        from_tag: "a",
        from: "sip:alice@example.com",
        to: "sip:bob@example.com",
        caller: "alice",
        called: "bob",
        user: "alice",
        source: "udp:192.0.2.1:5060",
        peer_in: "",
    }
}

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn clock() -> Instant {
    Instant::now()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

const BY_BYE: End<'static> = End { status: 0, by: ReleasedBy::Proxy, reason: "" };

#[test]
fn a_call_is_found_from_both_sides_by_its_full_dialog_id_only() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let call = calls.begin(t, &new("c1")).unwrap();
    assert_eq!(calls.find("c1", "a", "b"), None, "not answered yet");
    calls.answered(t, call, 0, "b", 200);
    assert_eq!(calls.find("c1", "a", "b"), Some((call, ReleasedBy::Caller)));
    assert_eq!(calls.find("c1", "b", "a"), Some((call, ReleasedBy::Callee)));
    for (call_id, from, to) in [("c2", "a", "b"), ("c1", "a", "x"), ("c1", "x", "b"), ("c1", "b", "b"), ("c1", "a", "")]
    {
        assert_eq!(calls.find(call_id, from, to), None, "lesson 14: {call_id} {from} {to}");
    }
}

#[test]
fn the_duration_is_monotonic_from_the_first_2xx_to_the_bye() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let ms = Duration::from_millis;
    let call = calls.begin(t, &new("c1")).unwrap();
    calls.tried(call, Tried { target: "sip:bob@192.0.2.7".into(), ..Tried::default() });
    calls.ringing(t + ms(70), call);
    calls.answered(t + ms(3_000), call, 0, "b", 200);
    calls.answered(t + ms(4_000), call, 0, "other", 200);
    calls.bye(t + ms(13_000), call, ReleasedBy::Callee, "Q.850;cause=31");
    let (_, line) = calls.end(t + ms(13_500), call, None, BY_BYE).unwrap();
    let record = json(&line);
    assert_eq!(record["duration_ms"], 10_000);
    assert_eq!(record["pdd_ms"], 70);
    assert_eq!(record["answer"], "2023-11-14T22:13:23.000Z");
    assert_eq!(record["end"], "2023-11-14T22:13:33.000Z");
    assert_eq!(record["released_by"], "callee");
    assert_eq!(record["cause"], 31);
    assert_eq!(record["reason"], "Q.850;cause=31");
    assert_eq!(record["target"], "sip:bob@192.0.2.7");
    assert_eq!(record["to_tag"], "b");
    assert!(calls.is_empty() && calls.find("c1", "a", "b").is_none() && calls.next_expiry().is_none());
    assert!(calls.end(t, call, None, BY_BYE).is_none(), "once only");
}

#[test]
fn a_failed_attempt_names_the_last_way_and_its_cause() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let call = calls.begin(t, &new("c1")).unwrap();
    calls.tried(call, Tried { peer: "first".into(), ..Tried::default() });
    let second = calls.tried(call, Tried { peer: "second".into(), called: "+49".into(), ..Tried::default() });
    let end = End { status: 486, by: ReleasedBy::Callee, reason: "" };
    let (_, line) = calls.end(t, call, Some(second), end).unwrap();
    let record = json(&line);
    assert_eq!((&record["peer_out"], &record["called_out"]), (&"second".into(), &"+49".into()));
    assert_eq!((&record["status"], &record["cause"]), (&486.into(), &17.into()));
    assert_eq!(record["duration_ms"], 0);
}

#[test]
fn a_dialog_without_a_bye_ends_at_its_longest_life() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let call = calls.begin(t, &new("c1")).unwrap();
    calls.answered(t, call, 0, "b", 200);
    assert!(calls.expire(t + MAX_DIALOG_LIFE - Duration::from_millis(1)).is_none());
    let (_, line) = calls.expire(t + MAX_DIALOG_LIFE).unwrap();
    assert_eq!(json(&line)["released_by"], "proxy");
    assert_eq!(json(&line)["cause"], 102);
    assert_eq!(calls.len(), 0);
}

#[test]
fn the_table_is_bounded_at_admission() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 2));
    assert!(calls.begin(t, &new("c1")).is_some());
    let second = calls.begin(t, &new("c2")).unwrap();
    assert!(calls.begin(t, &new("c3")).is_none());
    calls.forget(second);
    assert!(calls.begin(t, &new("c3")).is_some());
}

#[test]
fn a_call_that_passes_twice_has_two_records_and_each_bye_ends_one() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let places: Vec<CallId> = (0..3).map(|_| calls.begin(t, &new("c1")).unwrap()).collect();
    for place in &places {
        calls.answered(t, *place, 0, "b", 200);
    }
    let mut ended = Vec::new();
    while let Some((call, by)) = calls.find("c1", "a", "b") {
        calls.bye(t, call, by, "");
        ended.push(call);
    }
    ended.sort();
    assert_eq!(ended, places);
    calls.bye_refused(places[1]);
    assert_eq!(calls.find("c1", "b", "a").map(|(call, _)| call), Some(places[1]), "the call goes on");
    for place in [places[1], places[0], places[2]] {
        assert!(calls.end(t, place, None, BY_BYE).is_some());
    }
    assert!(calls.by_dialog.is_empty() && calls.deadlines.is_empty());
}

#[test]
fn calls_of_one_call_id_and_tag_are_few_and_others_are_not_touched() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 1000));
    let places: Vec<CallId> = (0..MAX_PASSES).map(|_| calls.begin(t, &new("c1")).unwrap()).collect();
    assert!(calls.begin(t, &new("c1")).is_none());
    assert!(calls.begin(t, &new("c2")).is_some());
    calls.forget(places[7]);
    assert!(calls.begin(t, &new("c1")).is_some());
    assert!(calls.begin(t, &new("c1")).is_none());
}

#[test]
fn an_answered_call_stays_within_700_octets() {
    let (t, mut calls) = (clock(), Calls::new([1; 16], 10));
    let call = calls.begin(t, &new("8a7c6b5d4e3f2a1b@198.51.100.23")).unwrap();
    calls.tried(call, Tried { target: "sip:bob@198.51.100.77:5062;transport=udp".into(), ..Tried::default() });
    calls.answered(t, call, 0, "9fxced76sl", 200);
    let entry = calls.calls.get(&call.0).unwrap();
    let strings: usize =
        (0..9).map(|i| entry.begin.get(i).len()).sum::<usize>() + (0..5).map(|i| entry.out.get(i).len()).sum::<usize>();
    // Tables at half load: key, value and control octet; the ordered set at two thirds; malloc's rounding.
    let tables = 2 * 17 + 2 * 17 + 36;
    let resident = strings + size_of::<Call>() + 3 * 16 + tables;
    assert!(resident <= 500, "{resident}");
}
