//! How a request is written for a relay.

use super::bencode::{Dictionary, Value};
use super::flags::{
    AddressFamily, AddressSource, DropTraffic, EndpointLearning, Flags, Ice, MessageType, RtcpAttribute, Tos,
    TransportProtocol,
};
use super::{Command, Request};

impl Request {
    /// Writes the dictionary, keys sorted, in the spelling that every version of rtpengine reads. What is unknown or
    /// unsupported in the flags is not written; [`Request::extra`] is.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut dict = Dictionary::new();
        dict.insert("command".into(), self.command.as_str().to_owned().into());
        let mut text = |key: &'static str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                dict.insert(key.into(), value.to_owned().into());
            }
        };
        text("call-id", Some(&self.call_id));
        text("from-tag", Some(&self.from_tag));
        text("to-tag", self.to_tag.as_deref());
        text("via-branch", self.via_branch.as_deref());
        if self.command.has_sdp() {
            dict.insert("sdp".into(), self.sdp.clone().into());
        }
        if let Some(from) = self.received_from {
            let family = if from.is_ipv4() { "IP4" } else { "IP6" };
            dict.insert("received-from".into(), vec![family.into(), from.to_string().into()].into());
        }
        if let Some(limit) = self.limit {
            dict.insert("limit".into(), limit.into());
        }
        keys(&self.flags, self.command == Command::Delete, &mut dict);
        dict.extend(self.extra.clone());
        Value::Dict(dict).write(out);
    }

    /// Its octets.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.sdp.len() + 512);
        self.write(&mut out);
        out
    }
}

fn keys(flags: &Flags, is_delete: bool, dict: &mut Dictionary) {
    let mut put = |key: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            dict.insert(key.into(), value);
        }
    };
    put("flags", list(&bare(flags, is_delete)));
    put("replace", list(&replace(flags)));
    put("rtcp-mux", list(&rtcp_mux(flags)));
    put("supports", flags.supports_load_limit.then(|| Value::texts(["load limit"])));
    put("SDES", flags.sdes_off.then(|| Value::texts(["off"])));
    put("DTLS", flags.dtls_off.then(|| "off".into()));
    put("from-interface", flags.direction.from.clone().map(Value::from));
    put("to-interface", flags.direction.to.clone().map(Value::from));
    put("label", flags.label.clone().map(Value::from));
    put("metadata", flags.metadata.clone().map(Value::from));
    put("media-address", flags.media_address.map(|address| address.to_string().into()));
    put("sip-code", flags.sip_code.map(|code| u32::from(code).into()));
    // Whole seconds are all that the key holds.
    put("delete-delay", flags.delete_delay.map(|delay| delay.as_secs().into()));
    put(
        "TOS",
        match flags.tos {
            Tos::Default => None,
            Tos::Keep => Some(Value::Integer(-1)),
            Tos::Set(tos) => Some(u32::from(tos).into()),
        },
    );
    words(flags, put);
}

fn words(flags: &Flags, mut put: impl FnMut(&'static str, Option<Value>)) {
    let mut word = |key, word: Option<&'static str>| put(key, word.map(Value::from));
    word(
        "address-family",
        flags.address_family.map(|family| match family {
            AddressFamily::Ip4 => "IP4",
            AddressFamily::Ip6 => "IP6",
        }),
    );
    word(
        "endpoint-learning",
        flags.endpoint_learning.map(|learning| match learning {
            EndpointLearning::Off => "off",
            EndpointLearning::Immediate => "immediate",
            EndpointLearning::Delayed => "delayed",
            EndpointLearning::Heuristic => "heuristic",
        }),
    );
    word(
        "ICE",
        flags.ice.map(|ice| match ice {
            Ice::Remove => "remove",
            Ice::Default => "default",
        }),
    );
    word(
        "transport-protocol",
        flags.transport_protocol.map(|protocol| match protocol {
            TransportProtocol::Avp => "RTP/AVP",
            TransportProtocol::Avpf => "RTP/AVPF",
            TransportProtocol::Accept => "accept",
        }),
    );
    word(
        "drop-traffic",
        flags.drop_traffic.map(|drop| match drop {
            DropTraffic::Start => "start",
            DropTraffic::Stop => "stop",
        }),
    );
    word(
        "sip-message-type",
        flags.message_type.map(|kind| match kind {
            MessageType::Request => "sip_request",
            MessageType::Response => "sip_reply",
        }),
    );
}

fn bare(flags: &Flags, is_delete: bool) -> [(bool, &'static str); 18] {
    [
        (flags.address == Some(AddressSource::Sdp), "trust-address"),
        (flags.address == Some(AddressSource::Signalling), "SIP-source-address"),
        (flags.symmetric, "symmetric"),
        (flags.asymmetric, "asymmetric"),
        (flags.strict_source, "strict-source"),
        (flags.media_handover, "media-handover"),
        (flags.port_latching == Some(true), "port-latching"),
        (flags.port_latching == Some(false), "no-port-latching"),
        (flags.rtcp_attribute == RtcpAttribute::Omit, "no-rtcp-attribute"),
        (flags.rtcp_attribute == RtcpAttribute::Full, "full-rtcp-attribute"),
        (flags.generate_mid, "generate-mid"),
        (flags.loop_protect, "loop-protect"),
        (flags.reset, "reset"),
        (flags.original_sendrecv, "original-sendrecv"),
        (flags.nat_wait, "NAT-wait"),
        (flags.pierce_nat, "pierce-NAT"),
        (is_delete && flags.honour_to_tag, "to-tag"),
        (is_delete && flags.fatal, "fatal"),
    ]
}

fn replace(flags: &Flags) -> [(bool, &'static str); 8] {
    let replace = &flags.replace;
    [
        (replace.origin, "origin"),
        (replace.origin_full, "origin-full"),
        (replace.session_connection, "session-connection"),
        (replace.sdp_version, "SDP-version"),
        (replace.force_increment, "force-increment-sdp-ver"),
        (replace.username, "username"),
        (replace.session_name, "session-name"),
        (replace.zero_address, "zero-address"),
    ]
}

fn rtcp_mux(flags: &Flags) -> [(bool, &'static str); 5] {
    let mux = &flags.rtcp_mux;
    [
        (mux.offer, "offer"),
        (mux.require, "require"),
        (mux.demux, "demux"),
        (mux.accept, "accept"),
        (mux.reject, "reject"),
    ]
}

/// Those that are set; `None` if none is.
fn list(flags: &[(bool, &'static str)]) -> Option<Value> {
    let mut set = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).peekable();
    set.peek().is_some().then(|| Value::texts(set))
}
