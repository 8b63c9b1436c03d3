//! The media relay's side of a call: whether its counts are those of the phones, and its parties those of the record.
use std::net::SocketAddr;

use serde_json::Value;

use super::house::{CALLEE, CALLER};
use super::script::PlayedCall;

/// Octets of an RTP header as the phones write it.
const HEADER: u64 = 12;

/// The socket for RTP that faces a party: rtpengine's tree, its first stream of its first media.
fn socket<'a>(call: &'a PlayedCall, tag: &str) -> Option<&'a Value> {
    let tag = call.record.get(tag)?.as_str()?;
    call.relay.get("tags")?.get(tag)?.pointer("/medias/0/streams/0")
}

/// Packets that the relay got from the caller and the callee.
pub(super) fn packets(call: &PlayedCall) -> [Option<u64>; 2] {
    ["from_tag", "to_tag"].map(|tag| socket(call, tag)?.pointer("/stats/packets")?.as_u64())
}

/// What is wrong with what the relay says, if anything.
pub(super) fn check(call: &PlayedCall) -> Option<String> {
    if call.relay.is_null() {
        return Some("the relay knows nothing of the call".into());
    }
    let (mut packets, mut octets) = (0, 0);
    for ((phone, tag), sound) in [(CALLER, "from_tag"), (CALLEE, "to_tag")].into_iter().zip(&call.sounds) {
        let Some(socket) = socket(call, tag) else {
            return Some(format!("the relay does not know {phone} by the record's {tag}"));
        };
        if let Some(wrong) = check_socket(phone, sound, socket) {
            return Some(wrong);
        }
        let sent = |name: &str| sound.get(name).and_then(Value::as_u64).unwrap_or_default();
        packets += sent("packets_sent");
        octets += sent("octets_sent") + HEADER * sent("packets_sent");
    }
    let total = |name: &str| call.relay.pointer("/totals/RTP").and_then(|rtp| rtp.get(name)?.as_u64());
    for (name, expected) in [("packets", packets), ("bytes", octets), ("errors", 0)] {
        if total(name) != Some(expected) {
            return Some(format!("the relay counts {:?} {name} of RTP, the phones {expected}", total(name)));
        }
    }
    None
}

fn check_socket(phone: &str, sound: &Value, socket: &Value) -> Option<String> {
    let field = |name: &str| socket.get(name).unwrap_or(&Value::Null);
    let ip = field("local address").as_str().and_then(|ip| ip.parse().ok());
    let port = field("local port").as_u64().and_then(|port| u16::try_from(port).ok());
    let here = ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port).to_string());
    let there = sound.get("remote").and_then(Value::as_str);
    if here.as_deref() != there {
        return Some(format!("{phone} sends to {there:?}, the relay waits for it at {here:?}"));
    }
    let (got, sent) = (socket.pointer("/stats/packets"), sound.get("packets_sent"));
    (got != sent).then(|| format!("{phone} sent {sent:?} packets of sound, the relay got {got:?}"))
}
