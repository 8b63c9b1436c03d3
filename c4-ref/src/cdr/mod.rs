//! Call detail records: what is written about a call, as JSON lines.
//!
//! One [`Record`] is written for every INVITE that the proxy took on, whatever came of it; a challenge (401, 407) is no attempt.
//! Until then a line in the [`spool`] says that the call began, so that a crash loses no call: [`spool::recover`] makes
//! records of what was open. A crash between the record and the end of its spool line writes the call twice, with the same
//! [`Id`]: readers drop the second.

mod cause;
mod pack;
pub mod spool;
mod time;

pub use cause::{Cause, cause_of_status};
pub use pack::Packed;
pub use time::rfc3339;

use serde::{Serialize, Serializer};

/// Identifies a call record; unique over restarts, and the key for dropping duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u64);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

/// Who ended the call or the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReleasedBy {
    /// The calling side: BYE or CANCEL from there.
    Caller,
    /// The called side: BYE from there, or its final answer.
    Callee,
    /// This proxy: a rejection, a timer, the limit on a dialog's life.
    Proxy,
}

/// What is known when a call begins, and goes to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Start<'a> {
    /// Which record this is.
    pub id: Id,
    /// When the INVITE came in, Unix milliseconds; written as RFC 3339 in UTC.
    #[serde(serialize_with = "millis")]
    pub start: u64,
    /// Call-ID.
    pub call_id: &'a str,
    /// The caller's tag.
    pub from_tag: &'a str,
    /// The From URI.
    pub from: &'a str,
    /// The Request-URI as it came in.
    pub to: &'a str,
    /// The calling number: user part of From.
    pub caller: &'a str,
    /// The called number as dialled: user part of the Request-URI.
    pub called: &'a str,
    /// The authenticated user, if any.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user: &'a str,
    /// Where the INVITE came from, as seen by the first of our own hops.
    pub source: &'a str,
    /// The peer that sent the call, if it came from one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub peer_in: &'a str,
}

/// A call detail record: how a call began, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Record<'a> {
    /// How it began.
    #[serde(flatten)]
    pub start: Start<'a>,
    /// The called side's tag, once it answered.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub to_tag: &'a str,
    /// The peer that took the call, or whose refusal it is.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub peer_out: &'a str,
    /// The Request-URI that was sent on: the contact or the trunk.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub target: &'a str,
    /// The called number as sent on, where a peer wants it in another form.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub called_out: &'a str,
    /// Post-dial delay: from the INVITE to the first 180, 183 or 2xx; milliseconds of the monotonic clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdd_ms: Option<u64>,
    /// When the first 2xx came, Unix milliseconds; written as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_millis")]
    pub answer: Option<u64>,
    /// When it ended, Unix milliseconds; written as RFC 3339.
    #[serde(serialize_with = "millis")]
    pub end: u64,
    /// From the answer to the end, milliseconds of the monotonic clock; 0 when never answered.
    pub duration_ms: u64,
    /// The final SIP status of the INVITE.
    pub status: u16,
    /// Who ended it.
    pub released_by: ReleasedBy,
    /// Q.850 cause: of the Reason header (RFC 3326), else as RFC 3398 §8.2.6.1 maps the status.
    pub cause: u8,
    /// The Reason header as received, if there was one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'a str,
}

impl Record<'_> {
    /// The record as a line of JSON, with its line feed.
    pub fn to_line(&self) -> String {
        line(self)
    }
}

impl Start<'_> {
    /// The start as a line of JSON, with its line feed, for the spool.
    pub fn to_line(&self) -> String {
        line(self)
    }
}

fn line<T: Serialize>(value: &T) -> String {
    // Strings, numbers and field names: nothing here can fail.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

fn millis<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*unix_ms))
}

fn maybe_millis<S: Serializer>(unix_ms: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match unix_ms {
        Some(unix_ms) => millis(unix_ms, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Start<'static> {
        Start {
            id: Id(0xabc),
            start: 1_700_000_000_123,
            call_id: "a\"b@host",
            from_tag: "f1",
            from: "sip:alice@example.com",
            to: "sip:bob@example.com",
            caller: "alice",
            called: "bob",
            user: "",
            source: "udp:192.0.2.1:5060",
            peer_in: "",
        }
    }

    #[test]
    fn a_record_is_one_json_line_and_what_is_not_known_is_left_out() {
        let record = Record {
            start: start(),
            to_tag: "t1",
            peer_out: "carrier",
            target: "sip:+49@192.0.2.9",
            called_out: "+49",
            pdd_ms: Some(40),
            answer: Some(1_700_000_001_000),
            end: 1_700_000_003_000,
            duration_ms: 2_000,
            status: 200,
            released_by: ReleasedBy::Caller,
            cause: 16,
            reason: "",
        };
        let line = record.to_line();
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["id"], "0000000000000abc");
        assert_eq!(json["call_id"], "a\"b@host");
        assert_eq!(json["start"], "2023-11-14T22:13:20.123Z");
        assert_eq!(json["answer"], "2023-11-14T22:13:21.000Z");
        assert_eq!(json["duration_ms"], 2000);
        assert_eq!(json["released_by"], "caller");
        assert_eq!(json.get("user"), None);
        assert_eq!(json.get("reason"), None);
    }
}
