//! The sound of a call as its phones report it: whether they agree, and as a table.
use std::fmt::Write;

use serde_json::Value;

use super::house::{CALLEE, CALLER};
use super::relay;
use super::script::PlayedCall;

/// Packets that each phone must have sent: half of what the time of a call has room for.
const LEAST: u64 = 35;

/// Whether nothing is under way any more: what each phone sent, the other received.
pub(super) fn settled(sounds: [&Value; 2]) -> bool {
    let [caller, callee] = sounds;
    [(caller, callee), (callee, caller)].into_iter().all(|(from, to)| {
        let sent = from["packets_sent"].as_u64();
        sent.is_some() && sent == to["packets_received"].as_u64()
    })
}

/// What is wrong with the sound of a call, if anything.
pub(super) fn check(call: &PlayedCall) -> Option<String> {
    let [caller, callee] = &call.sounds;
    [(CALLER, caller, CALLEE, callee), (CALLEE, callee, CALLER, caller)]
        .into_iter()
        .find_map(|(phone, own, other, its)| check_phone(phone, own, other, its))
}

fn check_phone(phone: &str, own: &Value, other: &str, its: &Value) -> Option<String> {
    if own.is_null() {
        return Some(format!("{phone} has no sound"));
    }
    let (sent, received) = (&its["packets_sent"], &own["packets_received"]);
    if sent != received || its["octets_sent"] != own["octets_received"] {
        return Some(format!("{other} sent {sent} packets of sound, {phone} received {received}"));
    }
    if sent.as_u64().is_none_or(|sent| sent < LEAST) {
        return Some(format!("{other} sent only {sent} packets of sound"));
    }
    if own["lost"] != 0 {
        return Some(format!("{phone} missed {} packets of sound", own["lost"]));
    }
    let tone = &own["tone"];
    (tone["found"] != true).then(|| {
        let (hz, heard, blocks) = (&tone["hz"], &tone["heard"], &tone["blocks"]);
        format!("{phone} does not hear {other}'s tone of {hz} Hz: {heard} of {blocks} blocks of 20 ms are it")
    })
}

/// A line a phone.
pub(super) fn table(call: &PlayedCall) -> String {
    let mut out = String::from("Sound   codec  sent  relayed  received  lost  jitter ms   MOS  hears\n");
    for ((phone, sound), relayed) in [CALLER, CALLEE].into_iter().zip(&call.sounds).zip(relay::packets(call)) {
        let number = |name: &str| sound[name].as_u64().unwrap_or_default();
        let decimal = |name: &str| sound[name].as_f64().unwrap_or_default();
        let _ = writeln!(
            out,
            "{phone:<7} {:<5} {:>5} {:>8} {:>9} {:>5} {:>10.2} {:>5.2}  {} Hz",
            sound["codec"].as_str().unwrap_or_default(),
            number("packets_sent"),
            relayed.unwrap_or_default(),
            number("packets_received"),
            number("lost"),
            decimal("jitter_ms"),
            decimal("mos"),
            sound.pointer("/tone/hz").unwrap_or(&Value::Null),
        );
    }
    out
}
