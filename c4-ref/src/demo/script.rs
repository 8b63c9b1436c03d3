//! What the phones do: register, call each other twice, take turns in hanging up.
use std::time::Duration;

use serde_json::{Value, json};

use super::house::{CALLEE, CALLER, DOMAIN, House};
use super::{Args, Broken, sound};
use crate::admin::Command;
use crate::io::Handle;
use crate::io::program::Failure;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a phone is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a call lasts.
const TALK: Duration = Duration::from_millis(1500);
/// How long the last packets of a call may be under way.
const WAKE: Duration = Duration::from_millis(500);

/// What was played, as the phones and the record file tell it.
#[derive(Clone, Debug)]
pub struct Played {
    /// The calls, in order.
    pub calls: Vec<PlayedCall>,
    /// Each phone's journal.
    pub journals: Vec<(&'static str, Vec<JournalEntry>)>,
}

/// A call of the script.
#[derive(Clone, Debug)]
pub struct PlayedCall {
    /// Its Call-ID.
    pub call_id: String,
    /// Whose phone hung up.
    pub hung_up_by: &'static str,
    /// Its record, as the file has it.
    pub line: String,
    /// The same, read.
    pub record: Value,
    /// What the caller's and the callee's phone sent and heard: a [`Report`](crate::phone::Report) each.
    pub sounds: [Value; 2],
    /// What the relay knows of the call: the tree of its `query`.
    pub relay: Value,
}

/// A message as a phone noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Whether the phone sent it.
    pub sent: bool,
    /// The message.
    pub message: String,
}

/// Plays the whole script.
pub(super) async fn play(house: &House, args: &Args) -> Result<Played, Failure> {
    let [caller, callee] = house.phones();
    for phone in [&caller, &callee] {
        ask(phone, "phone.register", Value::Null).await?;
        until(phone, "register", |state| outcome(&state["registered"], "yes")).await?;
    }
    match args.broken {
        Some(Broken::Route) => house.lose_route_keys()?,
        Some(Broken::Relay) => house.lose_relay(),
        Some(Broken::Auth | Broken::Audio) | None => {}
    }
    let mut calls = Vec::new();
    for (hung_up_by, hangs_up) in [(CALLER, &caller), (CALLEE, &callee)] {
        calls.push(play_call(house, [&caller, &callee], hung_up_by, hangs_up, calls.len()).await?);
    }
    let journals = vec![(CALLER, journal(&caller).await?), (CALLEE, journal(&callee).await?)];
    Ok(Played { calls, journals })
}

async fn play_call(
    house: &House,
    phones: [&Handle; 2],
    hung_up_by: &'static str,
    hangs_up: &Handle,
    before: usize,
) -> Result<PlayedCall, Failure> {
    let [caller, callee] = phones;
    ask(caller, "phone.call", json!({ "user": CALLEE })).await?;
    for phone in phones {
        until(phone, &format!("call {CALLEE}@{DOMAIN}"), |state| outcome(&last_call(state)["progress"], "up")).await?;
    }
    let state = ask(caller, "phone.state", Value::Null).await?;
    let call_id = last_call(&state)["call_id"].as_str().unwrap_or_default().to_owned();
    tokio::time::sleep(TALK).await;
    ask(hangs_up, "phone.hangup", Value::Null).await?;
    for phone in [caller, callee] {
        let expected = if phone.name() == hung_up_by { "hung up" } else { "peer hung up" };
        until(phone, "end the call", |state| outcome(&last_call(state)["progress"], expected)).await?;
    }
    let line = record(house, before).await?;
    let record = serde_json::from_str(&line).map_err(|error| failed(format!("the record is no JSON: {error}")))?;
    let sounds = sounds(phones).await?;
    // It lingers at the relay for half a minute after its end.
    let relay = match house.relay() {
        Some(relay) => ask(&relay, "relay.show", json!({ "call-id": call_id })).await?,
        None => Value::Null,
    };
    Ok(PlayedCall { call_id, hung_up_by, line, record, sounds, relay })
}

/// What the phones sent and heard in the last call, when all has arrived that will.
async fn sounds(phones: [&Handle; 2]) -> Result<[Value; 2], Failure> {
    let end = tokio::time::Instant::now() + WAKE;
    loop {
        let mut sounds = [Value::Null, Value::Null];
        for (phone, sound) in phones.into_iter().zip(&mut sounds) {
            *sound = last_call(&ask(phone, "phone.state", Value::Null).await?)["sound"].clone();
        }
        if sound::settled(sounds.each_ref()) || tokio::time::Instant::now() > end {
            return Ok(sounds);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// The next record, once it is written.
async fn record(house: &House, before: usize) -> Result<String, Failure> {
    let waiting = async {
        loop {
            if let Some(line) = house.records().into_iter().nth(before) {
                return line;
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| failed("the call has no call detail record".into()))
}

async fn journal(phone: &Handle) -> Result<Vec<JournalEntry>, Failure> {
    let answer = ask(phone, "phone.journal", Value::Null).await?;
    let entry = |entry: &Value| JournalEntry {
        sent: entry["sent"].as_bool().unwrap_or_default(),
        message: entry["message"].as_str().unwrap_or_default().to_owned(),
    };
    Ok(answer.as_array().map(|entries| entries.iter().map(entry).collect()).unwrap_or_default())
}

/// Whether what was hoped for is there; an error when it cannot come any more.
fn outcome(state: &Value, hoped_for: &str) -> Result<bool, String> {
    match state.as_str() {
        Some(state) if state == hoped_for => Ok(true),
        Some(state) => state.strip_prefix("failed: ").map_or(Ok(false), |why| Err(why.to_owned())),
        None => Ok(false),
    }
}

fn last_call(state: &Value) -> &Value {
    state["calls"].as_array().and_then(|calls| calls.last()).unwrap_or(&Value::Null)
}

/// Looks at a phone until it has done something.
async fn until(phone: &Handle, what: &str, done: impl Fn(&Value) -> Result<bool, String>) -> Result<(), Failure> {
    let looking = async {
        loop {
            let state = ask(phone, "phone.state", Value::Null).await?;
            match done(&state) {
                Ok(true) => return Ok(()),
                Ok(false) => tokio::time::sleep(GLANCE).await,
                Err(why) => return Err(failed(format!("{} could not {what}: {why}", phone.name()))),
            }
        }
    };
    let expired = || failed(format!("{} could not {what}: no answer in {} s", phone.name(), PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, looking).await.map_err(|_| expired())?
}

async fn ask(phone: &Handle, method: &str, params: Value) -> Result<Value, Failure> {
    let answer = phone.command(Command { method: method.into(), params }).await;
    let refused = |why: String| failed(format!("{}: {method}: {why}", phone.name()));
    answer.ok_or_else(|| refused("unknown".into()))?.map_err(refused)
}

fn failed(why: String) -> Failure {
    Failure::software(format!("demo: {why}"))
}
