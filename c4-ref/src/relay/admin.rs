//! What the operator asks of the relay.

use serde_json::{Map, Value, json};

use super::media::Reason;
use super::{Relay, TimeoutKind};
use crate::admin::{Answer, Command};
use crate::ng::bencode;

/// What the machine counts beside the table of sockets; since the beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Calls that were made.
    pub(super) calls_total: u64,
    /// Offers refused because there are as many calls as may be.
    pub(super) refused_limit: u64,
    /// Offers refused for want of ports or files.
    pub(super) refused_ports: u64,
    timeouts: [u64; 3],
}

impl Counters {
    pub(super) fn timeout(&mut self, kind: TimeoutKind) {
        if let Some(count) = self.timeouts.get_mut(kind as usize) {
            *count += 1;
        }
    }
}

impl Relay {
    /// `stats`, `relay.list`, `relay.show` and `relay.drain`; `None`: not a method of the relay.
    pub fn handle_command(&mut self, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "stats" => Some(Ok(json!({ "relay": self.counters() }))),
            "relay.list" => Some(Ok(self.briefs())),
            "relay.show" => Some(self.show(&command.params)),
            "relay.drain" => Some(self.drain(&command.params)),
            _ => None,
        }
    }

    fn counters(&self) -> Value {
        let totals = self.media.totals();
        let drops: Map<_, _> =
            Reason::ALL.iter().map(|&why| (why.as_str().into(), totals.dropped(why).into())).collect();
        let kinds = [TimeoutKind::Media, TimeoutKind::Silent, TimeoutKind::Offer];
        let timeouts: Map<_, _> = kinds
            .iter()
            .zip(self.counters.timeouts)
            .map(|(kind, count)| (kind.as_str().into(), count.into()))
            .collect();
        json!({
            "calls": self.calls(),
            "draining": self.settings.sessions.is_draining(),
            "calls-total": self.counters.calls_total,
            "refused-limit": self.counters.refused_limit,
            "refused-ports": self.counters.refused_ports,
            "timeouts": timeouts,
            "port-pairs": self.media.pairs(),
            "packets": totals.received.packets,
            "octets": totals.received.octets,
            "errors": totals.errors,
            "drops": drops,
        })
    }

    /// One line a call.
    fn briefs(&self) -> Value {
        let brief = |entry: &super::machine::Entry| {
            let call = &entry.call;
            let packets = call.pairs().flat_map(|pair| [pair.rtp, pair.rtcp]).filter_map(|id| self.media.stats(id));
            json!({
                "call-id": call.id,
                "created": self.unix(call.created).as_secs(),
                "parties": call.parties().count(),
                "port-pairs": call.pairs().count(),
                "packets": packets.map(|stats| stats.received.packets).sum::<u64>(),
                "deleted": call.delete_at.is_some(),
            })
        };
        self.calls.values().map(brief).collect()
    }

    /// No new calls from now on, or again; the workers share the switch.
    fn drain(&self, params: &Value) -> Answer {
        let on = match params.get("on") {
            None => true,
            Some(Value::Bool(on)) => *on,
            Some(_) => return Err("accepted: {\"on\": true} or {\"on\": false}".into()),
        };
        self.settings.sessions.drain(on);
        Ok(json!({ "draining": on }))
    }

    /// The tree of `query`; null: another worker may have the call.
    fn show(&self, params: &Value) -> Answer {
        let Some(call_id) = params.get("call-id").and_then(Value::as_str) else {
            return Err("accepted: {\"call-id\": ...}".into());
        };
        Ok(self.number(call_id).map_or(Value::Null, |number| json_dict(&self.tree(number, None))))
    }
}

fn json_dict(dict: &bencode::Dictionary) -> Value {
    Value::Object(dict.iter().map(|(key, value)| (key.to_string(), json(value))).collect())
}

fn json(value: &bencode::Value) -> Value {
    match value {
        bencode::Value::Integer(number) => (*number).into(),
        bencode::Value::Octets(octets) => String::from_utf8_lossy(octets).into(),
        bencode::Value::List(items) => items.iter().map(json).collect(),
        bencode::Value::Dict(dict) => json_dict(dict),
    }
}
