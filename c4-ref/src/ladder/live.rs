//! The messages that running roles remember, as a trace: each once, with the roles' names.
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sip_core::{Limits, Message};

use super::Trace;

/// A message as one role saw it: an item of the answer to `trace`.
struct Seen<'a> {
    at: Duration,
    who: &'a str,
    sent: bool,
    local: &'a str,
    remote: &'a str,
    text: &'a str,
}

fn read(item: &Value) -> Option<Seen<'_>> {
    let text = |name: &str| item.get(name)?.as_str();
    Some(Seen {
        at: Duration::from_micros(item.get("at_us")?.as_u64()?),
        who: text("who")?,
        sent: item.get("sent")?.as_bool()?,
        local: text("local")?,
        remote: text("remote")?,
        text: text("message")?,
    })
}

/// The answers of roles to `trace` as one: what one of them sent to another was seen twice and is told once.
pub fn live(answers: &[Value]) -> Trace {
    let mut seen: Vec<Seen<'_>> = answers.iter().filter_map(Value::as_array).flatten().filter_map(read).collect();
    seen.sort_by_key(|seen| seen.at);
    let sent: HashMap<&str, &str> = seen.iter().filter(|seen| seen.sent).map(|seen| (seen.text, seen.who)).collect();
    let mut names: HashMap<&str, &str> = seen.iter().map(|seen| (seen.local, seen.who)).collect();
    // A connection goes out from a port that only its far end sees: the message tells whose it is.
    for (seen, who) in seen.iter().filter(|seen| !seen.sent).filter_map(|seen| Some((seen, *sent.get(seen.text)?))) {
        names.entry(seen.remote).or_insert(who);
    }
    let roles: HashSet<&str> = names.values().copied().collect();
    let mut trace = Trace::new();
    for seen in &seen {
        let other = names.get(seen.remote).copied().unwrap_or(seen.remote);
        if !seen.sent && roles.contains(other) {
            continue;
        }
        let (from, to) = if seen.sent { (seen.who, other) } else { (other, seen.who) };
        if let Ok(message) = Message::parse(Bytes::copy_from_slice(seen.text.as_bytes()), &Limits::default()) {
            trace.message(seen.at, from, to, &message);
        }
    }
    trace
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ladder::{Choice, render};

    #[test]
    fn what_two_roles_saw_of_one_message_is_one_arrow() {
        let invite =
            |hop: u8| format!("INVITE sip:b@c4.test SIP/2.0\r\nVia: {hop}\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n");
        let item = |ms: u64, who: &str, sent: bool, local: &str, remote: &str, message: &str| {
            let at = 1_700_000_000_000_000 + ms * 1000;
            json!({ "at_us": at, "who": who, "sent": sent, "local": local, "remote": remote, "message": message })
        };
        let lb = json!([
            item(0, "c4-lb", false, "192.0.2.1:5060", "198.51.100.7:5060", &invite(1)),
            item(1, "c4-lb", true, "192.0.2.1:5070", "192.0.2.2:5062", &invite(2)),
        ]);
        // The proxy sees the port that the balancer's connection goes out from, and answers through it.
        let ringing = "SIP/2.0 180 Ringing\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n";
        let proxy = json!([
            item(2, "c4-proxy", false, "192.0.2.2:5062", "192.0.2.1:40001", &invite(2)),
            item(3, "c4-proxy", true, "192.0.2.2:5062", "192.0.2.1:40001", ringing),
        ]);
        let trace = live(&[lb, proxy, json!("no list"), json!([{ "at_us": "?" }])]);
        let expected = "INVITE sip:b@c4.test  2023-11-14T22:13:20.000Z\na\n\n         \
            198.51.100.7:5060  c4-lb              c4-proxy\n  \
            0.000  |-----INVITE------>|                  |\n  \
            0.001  |                  |-----INVITE------>|\n  \
            0.003  |                  |<---180 Ringing---|\n\n1 of 1 dialogs. 3 messages.\n";
        let drawn = render(&trace, &Choice::default());
        assert_eq!(drawn, expected, "{drawn}");
    }
}
