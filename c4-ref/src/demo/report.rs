//! What was captured, per call: the ladder, the phones' messages, the record, and whether they agree.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sip_core::auth::DigestCredentials;
use sip_core::header::Header;
use sip_core::{Limits, Message, Method, StatusCode};

use super::house::{CALLEE, CALLER, LB, PROXY};
use super::script::{JournalEntry, Played, PlayedCall};
use super::{relay, sound};
use crate::io::Captured;
use crate::ladder::{self, Step};

/// The columns of the ladder.
pub const PARTIES: [&str; 4] = [CALLER, LB, PROXY, CALLEE];
/// What the clocks of workers may be behind the capture's.
const SLACK: Duration = Duration::from_millis(50);

/// A captured message, read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since the capture began.
    pub at: Duration,
    /// Index in [`PARTIES`]: whose socket.
    pub who: usize,
    /// Index of the other side.
    pub other: usize,
    /// Whether `who` sent it.
    pub sent: bool,
    /// Its text.
    pub text: String,
    /// The message.
    pub message: Message,
}

impl Seen {
    fn call_id(&self) -> &str {
        self.message.header_str(Header::CallId).unwrap_or_default()
    }

    fn method(&self) -> &str {
        ladder::method(&self.message)
    }

    fn is(&self, who: &str, sent: bool, method: &Method, class: Option<u8>) -> bool {
        PARTIES.get(self.who) == Some(&who)
            && self.sent == sent
            && self.method() == method.as_str()
            && self.message.status().map(StatusCode::class) == class
    }

    fn to_json(&self, start: Duration) -> Value {
        let other = PARTIES.get(self.other).copied().unwrap_or_default();
        let ms = self.at.saturating_sub(start).as_secs_f64() * 1000.0;
        let (key, first) = (if self.sent { "to" } else { "from" }, self.text.lines().next().unwrap_or_default());
        json!({ "at_ms": (ms * 1000.0).round() / 1000.0, key: other, "line": first, "message": self.text })
    }
}

/// The whole of it.
pub struct Report {
    seen: Vec<Seen>,
    played: Played,
    /// Messages from or to an address that is nobody's.
    strangers: usize,
}

impl Report {
    /// Reads what was captured.
    pub fn new(captured: Vec<Captured>, played: Played) -> Report {
        let owners = owners(&captured);
        let total = captured.len();
        let read = |captured: Captured| {
            let message = Message::parse(captured.octets.clone(), &Limits::default()).ok()?;
            Some(Seen {
                at: captured.at,
                who: party(captured.who)?,
                other: *owners.get(&captured.flow.remote)?,
                sent: captured.sent,
                text: String::from_utf8_lossy(&captured.octets).into_owned(),
                message,
            })
        };
        let seen: Vec<Seen> = captured.into_iter().filter_map(read).collect();
        Report { strangers: total - seen.len(), seen, played }
    }

    /// The calls, in order.
    pub fn calls(&self) -> &[PlayedCall] {
        &self.played.calls
    }

    /// Which digest algorithm a phone registered with.
    pub fn algorithm(&self, phone: &str) -> Option<String> {
        let registers = self.seen.iter().filter(|seen| seen.is(phone, true, &Method::Register, None));
        let value = registers.filter_map(|seen| seen.message.header(Header::Authorization)).next_back()?;
        Some(DigestCredentials::parse(value)?.algorithm.unwrap_or("MD5").to_owned())
    }

    /// The messages of a call as the parties sent them.
    pub fn steps(&self, call: &PlayedCall) -> Vec<Step> {
        let start = self.start(call);
        let sent = self.of(call).filter(|seen| seen.sent);
        sent.map(|seen| Step {
            at: seen.at - start,
            from: seen.who,
            to: seen.other,
            label: ladder::label(&seen.message),
        })
        .collect()
    }

    /// What is wrong, if anything: a line each.
    pub fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.strangers > 0 {
            wrong.push(format!("{} captured messages are of nobody in the house", self.strangers));
        }
        for (phone, journal) in &self.played.journals {
            if self.noted(phone) != *journal {
                wrong.push(format!("the journal of {phone} and what was captured at its socket do not agree"));
            }
        }
        for (call, number) in self.played.calls.iter().zip(1..) {
            let found = self
                .check_delivery(call)
                .or_else(|| self.check_record(call))
                .or_else(|| sound::check(call))
                .or_else(|| relay::check(call));
            wrong.extend(found.map(|why| format!("call {number}: {why}")));
        }
        wrong
    }

    /// All of it, for programs.
    pub fn to_json(&self) -> Map<String, Value> {
        let phones = [CALLER, CALLEE].map(|phone| (phone.to_owned(), json!({ "algorithm": self.algorithm(phone) })));
        let calls = self.played.calls.iter().map(|call| {
            let phones = [CALLER, CALLEE].into_iter().zip(&call.sounds);
            let phones = phones.map(|(phone, sound)| (phone.to_owned(), self.phone_json(call, phone, sound)));
            json!({
                "call_id": call.call_id,
                "hung_up_by": call.hung_up_by,
                "phones": Map::from_iter(phones),
                "relay": call.relay,
                "cdr": call.record,
            })
        });
        let mut all = Map::new();
        all.insert("calls".into(), calls.collect());
        all.insert("registrations".into(), Map::from_iter(phones).into());
        all
    }

    fn phone_json(&self, call: &PlayedCall, phone: &str, sound: &Value) -> Value {
        let start = self.start(call);
        let side = |sent: bool| {
            let own = self.of(call).filter(|seen| PARTIES.get(seen.who) == Some(&phone) && seen.sent == sent);
            own.map(|seen| seen.to_json(start)).collect::<Vec<Value>>()
        };
        json!({ "sent": side(true), "received": side(false), "sound": sound })
    }

    fn of<'a>(&'a self, call: &'a PlayedCall) -> impl Iterator<Item = &'a Seen> {
        self.seen.iter().filter(|seen| seen.call_id() == call.call_id)
    }

    fn start(&self, call: &PlayedCall) -> Duration {
        self.of(call).next().map_or(Duration::ZERO, |seen| seen.at)
    }

    /// What was captured at a phone's socket, in the form of its journal.
    fn noted(&self, phone: &str) -> Vec<JournalEntry> {
        let own = self.seen.iter().filter(|seen| PARTIES.get(seen.who) == Some(&phone));
        own.map(|seen| JournalEntry { sent: seen.sent, message: seen.text.clone() }).collect()
    }

    /// Everything that was sent was received by whom it was for, octet by octet.
    fn check_delivery(&self, call: &PlayedCall) -> Option<String> {
        let mut open: HashMap<(usize, usize, &str), i64> = HashMap::new();
        for seen in self.of(call) {
            let (way, step) = if seen.sent { ((seen.who, seen.other), 1) } else { ((seen.other, seen.who), -1) };
            *open.entry((way.0, way.1, &seen.text)).or_default() += step;
        }
        let lost = open.into_iter().find(|(_, balance)| *balance != 0)?;
        let ((from, to, text), _) = lost;
        let line = text.lines().next().unwrap_or_default();
        Some(format!("{line} was not captured at both ends ({from} to {to})"))
    }

    /// The record says what the messages say.
    fn check_record(&self, call: &PlayedCall) -> Option<String> {
        let record = &call.record;
        let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let finals = self.of(call).filter(|seen| seen.is(CALLER, false, &Method::Invite, Some(2)));
        let status = finals.filter_map(|seen| seen.message.status()).next();
        let released_by = if call.hung_up_by == CALLER { "caller" } else { "callee" };
        let expected = [
            ("call_id", call.call_id.clone()),
            ("caller", CALLER.to_owned()),
            ("called", CALLEE.to_owned()),
            ("released_by", released_by.to_owned()),
        ];
        for (name, expected) in expected {
            if field(name) != expected {
                return Some(format!("the record's {name} is {:?}, the messages say {expected:?}", field(name)));
            }
        }
        if record["status"].as_u64() != status.map(|status| u64::from(status.code())) {
            return Some(format!("the record's status is {}, the caller received {status:?}", record["status"]));
        }
        if !self.of(call).any(|seen| seen.is(call.hung_up_by, true, &Method::Bye, None)) {
            return Some(format!("{} hung up, but sent no BYE", call.hung_up_by));
        }
        self.check_duration(call)
    }

    /// The proxy saw the answer after the callee sent it and before the caller had it, and the BYE likewise.
    fn check_duration(&self, call: &PlayedCall) -> Option<String> {
        let first = |who: &str, sent: bool, method: &Method, class| {
            self.of(call).find(|seen| seen.is(who, sent, method, class)).map(|seen| seen.at)
        };
        let other = if call.hung_up_by == CALLER { CALLEE } else { CALLER };
        let answer = (first(CALLEE, true, &Method::Invite, Some(2))?, first(CALLER, false, &Method::Invite, Some(2))?);
        let bye = (first(call.hung_up_by, true, &Method::Bye, None)?, first(other, false, &Method::Bye, None)?);
        let duration =
            Duration::from_millis(call.record.get("duration_ms").and_then(Value::as_u64).unwrap_or_default());
        let (least, most) = (bye.0.saturating_sub(answer.1), bye.1.saturating_sub(answer.0));
        (duration + SLACK < least || duration > most + SLACK)
            .then(|| format!("the record says {duration:?}, the messages say {least:?} to {most:?}"))
    }
}

fn party(name: &str) -> Option<usize> {
    PARTIES.iter().position(|party| *party == name)
}

/// Whose which address is. What one end of a message calls remote the other calls local, save that a connection goes out
/// from a port that only the far end sees: there the message itself, captured at both ends, tells.
fn owners(captured: &[Captured]) -> HashMap<SocketAddr, usize> {
    let mut owners: HashMap<SocketAddr, usize> =
        captured.iter().filter_map(|message| Some((message.flow.local, party(message.who)?))).collect();
    let sent: HashMap<&[u8], usize> = captured
        .iter()
        .filter(|message| message.sent)
        .filter_map(|message| Some((&*message.octets, party(message.who)?)))
        .collect();
    for message in captured.iter().filter(|message| !message.sent) {
        if let Some(who) = sent.get(&*message.octets) {
            owners.entry(message.flow.remote).or_insert(*who);
        }
    }
    owners
}
