//! The keys of a request and its flags: one reader for all the places they come from.
//!
//! A flag may stand in the list `flags` (`trust address`, `rtcp-mux-offer`), as a key of its own, or in the text
//! `rtpp-flags`; each ends in [`Keys::set`] with its name in one spelling.

use std::net::IpAddr;
use std::time::Duration;

use super::bencode::{Dict, Item, parse};
use super::flags::{
    AddressFamily, AddressSource, DropTraffic, EndpointLearning, Flags, Ice, MessageType, RtcpAttribute, Tos,
    TransportProtocol,
};
use super::refused::{Served, judge};
use super::words::{Name, each, is_no, is_on, shown};
use super::{Command, flag_text};

/// Unknown names that are kept.
const MOST_UNKNOWN: usize = 16;
/// Octets of a label or of the name of an interface.
const MOST_TEXT: usize = 256;
/// Octets of the metadata.
const MOST_METADATA: usize = 2048;
/// Keys whose words also come as flags with the key in front: `replace-origin`.
const PREFIXES: [&str; 15] = [
    "replace-",
    "rtcp-mux-",
    "endpoint-learning-",
    "sdes-",
    "osrtp-",
    "codec-",
    "transcode-",
    "t38-",
    "t.38-",
    "sdp-attr-",
    "from-tags-",
    "ice-",
    "dtls-",
    "bundle-",
    "extmap-",
];

/// The reader, with what it has read.
pub(super) struct Keys {
    pub(super) flags: Flags,
    pub(super) received_from: Option<IpAddr>,
    command: Command,
}

impl Keys {
    pub(super) fn new(command: Command) -> Keys {
        Keys { flags: Flags::default(), received_from: None, command }
    }

    /// A key of the request that is none of its names and tags.
    pub(super) fn key(&mut self, written: &[u8], value: Item<'_>) {
        match Name::of(written).as_str() {
            "flags" => each(value, |flag| self.flag(flag)),
            "rtpp-flags" => self.text(value.octets().unwrap_or_default()),
            _ => self.set(written, Some(value)),
        }
    }

    /// Flags in one text.
    pub(super) fn text(&mut self, text: &[u8]) {
        let octets = flag_text::to_bencode(text);
        let Some(dict) = parse(&octets, &flag_text::LIMITS).ok().and_then(Item::dict) else { return };
        for (name, value) in dict.iter() {
            match Name::of(name).as_str() {
                "" => each(value, |flag| self.flag(flag)),
                // For the client's own use, or said by a key of the request.
                "via-branch" | "call-id" | "from-tag" | "to-tag" | "sdp" | "command" => {}
                _ => self.set(name, Some(value)),
            }
        }
    }

    /// An entry of the list of flags: a bare name, or a name and a value.
    fn flag(&mut self, written: &[u8]) {
        match written.iter().position(|octet| *octet == b'=').and_then(|at| written.split_at_checked(at)) {
            Some((name, value)) => self.set(name, value.get(1..).map(Item::Octets)),
            None => self.set(written, None),
        }
    }

    fn set(&mut self, written: &[u8], value: Option<Item<'_>>) {
        let spelt = Name::of(written);
        let name = spelt.as_str();
        if self.switch(name, value) || value.is_some_and(|value| self.valued(name, value)) {
            return;
        }
        match judge(&self.command, name, value) {
            Served::Idle => {}
            Served::Refused(why) => self.refuse(why),
            Served::Unknown => {
                if !self.prefixed(name, written, value) {
                    self.unknown(written);
                }
            }
        }
    }

    /// A word of a key's list with the key in front, `replace-origin`, and perhaps a value, `codec-strip=EVS`.
    fn prefixed(&mut self, name: &str, written: &[u8], value: Option<Item<'_>>) -> bool {
        let mut known = PREFIXES.iter().filter(|prefix| name.len() > prefix.len());
        let Some(prefix) = known.find(|prefix| name.starts_with(**prefix)) else { return false };
        let key = prefix.trim_end_matches('-').as_bytes();
        let word = written.get(prefix.len()..).unwrap_or_default();
        match value {
            Some(value @ (Item::Octets(_) | Item::List(_))) if !is_yes(value) => {
                each(value, |value| self.set(key, Some(Item::Octets(&[word, b"-", value].concat()))));
            }
            value if is_on(value) => self.set(key, Some(Item::Octets(word))),
            _ => {}
        }
        true
    }

    fn refuse(&mut self, why: String) {
        if self.command.has_sdp() {
            self.flags.unsupported.get_or_insert(why);
        }
    }

    fn unknown(&mut self, written: &[u8]) {
        if self.flags.unknown.len() < MOST_UNKNOWN {
            self.flags.unknown.push(shown(written));
        } else {
            self.flags.more_unknown = self.flags.more_unknown.saturating_add(1);
        }
    }

    /// What is on or off.
    fn switch(&mut self, name: &str, value: Option<Item<'_>>) -> bool {
        let flags = &mut self.flags;
        let flag = match name {
            "symmetric" => &mut flags.symmetric,
            "asymmetric" => &mut flags.asymmetric,
            "strict-source" => &mut flags.strict_source,
            "media-handover" => &mut flags.media_handover,
            "generate-mid" => &mut flags.generate_mid,
            "loop-protect" => &mut flags.loop_protect,
            "reset" => &mut flags.reset,
            "original-sendrecv" => &mut flags.original_sendrecv,
            "nat-wait" => &mut flags.nat_wait,
            "pierce-nat" => &mut flags.pierce_nat,
            "to-tag" => &mut flags.honour_to_tag,
            "fatal" => &mut flags.fatal,
            _ => return is_on(value) && self.choice(name),
        };
        // A flag that is given twice stays.
        *flag |= is_on(value);
        true
    }

    /// Bare names that choose one of several.
    fn choice(&mut self, name: &str) -> bool {
        let flags = &mut self.flags;
        match name {
            "trust-address" => flags.address = Some(AddressSource::Sdp),
            "sip-source-address" => flags.address = Some(AddressSource::Signalling),
            "port-latching" => flags.port_latching = Some(true),
            "no-port-latching" => flags.port_latching = Some(false),
            "no-rtcp-attribute" => flags.rtcp_attribute = RtcpAttribute::Omit,
            "full-rtcp-attribute" => flags.rtcp_attribute = RtcpAttribute::Full,
            "rtp/avp" | "rtp" | "avp" => flags.transport_protocol = Some(TransportProtocol::Avp),
            "rtp/avpf" | "avpf" => flags.transport_protocol = Some(TransportProtocol::Avpf),
            "internal" | "external" => self.direction(Item::Octets(name.as_bytes())),
            _ => return false,
        }
        true
    }

    /// What has a value. False: not known, or known with a value that is judged elsewhere.
    fn valued(&mut self, name: &str, value: Item<'_>) -> bool {
        match name {
            "replace" => self.words(name, value, Keys::replace),
            "rtcp-mux" => self.words(name, value, Keys::rtcp_mux),
            "supports" => self.words(name, value, |keys, word| {
                keys.flags.supports_load_limit |= word == "load-limit";
                true
            }),
            "direction" => self.direction(value),
            "from-interface" => keep(&mut self.flags.direction.from, value),
            "to-interface" => keep(&mut self.flags.direction.to, value),
            "label" | "from-label" => keep(&mut self.flags.label, value),
            "metadata" => {
                let text = value.octets().map(|text| String::from_utf8_lossy(text).into_owned());
                self.flags.metadata = text.filter(|text| !text.is_empty() && text.len() <= MOST_METADATA);
            }
            "received-from" => match address(value) {
                Some(from) => self.received_from = Some(from),
                None => self.unknown(b"received-from"),
            },
            "media-address" => match address(value) {
                Some(address) => self.flags.media_address = Some(address),
                None => self.unknown(b"media-address"),
            },
            "tos" => {
                self.flags.tos = match value.integer() {
                    Some(..0) => Tos::Keep,
                    Some(tos) => u8::try_from(tos).map_or(Tos::Default, Tos::Set),
                    None => Tos::Default,
                }
            }
            "delete-delay" => {
                let seconds = value.integer().and_then(|seconds| u32::try_from(seconds).ok());
                self.flags.delete_delay = seconds.map(|seconds| Duration::from_secs(seconds.into()));
            }
            "sip-code" | "sip-response-code" => {
                self.flags.sip_code = value.integer().and_then(|code| u16::try_from(code).ok());
            }
            "sdes" => return self.sdes(value),
            _ => return value.octets().is_some_and(|word| self.worded(name, word)),
        }
        true
    }

    /// What has one of a few words as its value.
    fn worded(&mut self, name: &str, word: &[u8]) -> bool {
        let spelt = Name::of(word);
        let flags = &mut self.flags;
        match (name, spelt.as_str()) {
            ("address-family", "ip4") => flags.address_family = Some(AddressFamily::Ip4),
            ("address-family", "ip6") => flags.address_family = Some(AddressFamily::Ip6),
            ("endpoint-learning", "off") => flags.endpoint_learning = Some(EndpointLearning::Off),
            ("endpoint-learning", "immediate") => flags.endpoint_learning = Some(EndpointLearning::Immediate),
            ("endpoint-learning", "delayed") => flags.endpoint_learning = Some(EndpointLearning::Delayed),
            ("endpoint-learning", "heuristic") => flags.endpoint_learning = Some(EndpointLearning::Heuristic),
            ("ice", "remove") => flags.ice = Some(Ice::Remove),
            ("ice", "default") => flags.ice = Some(Ice::Default),
            ("dtls", word) if is_no(word) => flags.dtls_off = true,
            ("transport-protocol", "rtp/avp") => flags.transport_protocol = Some(TransportProtocol::Avp),
            ("transport-protocol", "rtp/avpf") => flags.transport_protocol = Some(TransportProtocol::Avpf),
            ("transport-protocol", "accept") => flags.transport_protocol = Some(TransportProtocol::Accept),
            ("drop-traffic", "start") if flags.drop_traffic.is_none() => flags.drop_traffic = Some(DropTraffic::Start),
            ("drop-traffic", "start") => {}
            ("drop-traffic", "stop") => flags.drop_traffic = Some(DropTraffic::Stop),
            ("sip-message-type", word) => match word.trim_start_matches("sip-") {
                "request" => flags.message_type = Some(MessageType::Request),
                "reply" | "response" => flags.message_type = Some(MessageType::Response),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// Every word of a list; those that are not known are noted with the key in front.
    fn words(&mut self, key: &str, value: Item<'_>, mut take: impl FnMut(&mut Keys, &str) -> bool) {
        each(value, |word| {
            if !take(self, Name::of(word).as_str()) {
                self.unknown(&[key.as_bytes(), b"-", word].concat());
            }
        });
    }

    fn replace(&mut self, word: &str) -> bool {
        let replace = &mut self.flags.replace;
        *match word {
            "origin" => &mut replace.origin,
            "origin-full" => &mut replace.origin_full,
            "session-connection" => &mut replace.session_connection,
            "sdp-version" => &mut replace.sdp_version,
            "force-increment-sdp-ver" | "force-increment-sdp-version" => &mut replace.force_increment,
            "username" => &mut replace.username,
            "session-name" => &mut replace.session_name,
            "zero-address" => &mut replace.zero_address,
            _ => return false,
        } = true;
        true
    }

    fn rtcp_mux(&mut self, word: &str) -> bool {
        let mux = &mut self.flags.rtcp_mux;
        *match word {
            "offer" => &mut mux.offer,
            "require" => &mut mux.require,
            "demux" => &mut mux.demux,
            "accept" => &mut mux.accept,
            "reject" => &mut mux.reject,
            _ => return false,
        } = true;
        true
    }

    /// Notes what takes SDES off; false: there is more to judge.
    fn sdes(&mut self, value: Item<'_>) -> bool {
        let mut more = false;
        each(value, |word| match Name::of(word).as_str() {
            word if is_no(word) => self.flags.sdes_off = true,
            _ => more = true,
        });
        !more
    }

    /// Both interfaces in a list, or one more of them.
    fn direction(&mut self, value: Item<'_>) {
        let direction = &mut self.flags.direction;
        if let Item::List(list) = value {
            let mut both = list.iter();
            both.next().into_iter().for_each(|from| keep(&mut direction.from, from));
            both.next().into_iter().for_each(|to| keep(&mut direction.to, to));
        } else if direction.from.is_none() {
            keep(&mut direction.from, value);
        } else {
            keep(&mut direction.to, value);
        }
    }
}

/// Whether a value says no more than that its key is there.
fn is_yes(value: Item<'_>) -> bool {
    value.octets().is_some_and(|word| matches!(Name::of(word).as_str(), "" | "yes" | "on" | "true" | "1"))
}

/// Keeps a text; the first one counts.
fn keep(place: &mut Option<String>, value: Item<'_>) {
    if let (None, Some(text)) = (&place, value.text().filter(|text| !text.is_empty() && text.len() <= MOST_TEXT)) {
        *place = Some(text.to_owned());
    }
}

/// An address: alone, or after its family in a list.
fn address(value: Item<'_>) -> Option<IpAddr> {
    let text = match value {
        Item::List(list) => list.iter().last()?.text()?,
        other => other.text()?,
    };
    text.trim_matches(['[', ']']).parse().ok()
}

/// Reads all keys of a dictionary but those in `but`.
pub(super) fn read(command: Command, dict: Dict<'_>, but: impl Fn(&str) -> bool) -> Keys {
    let mut keys = Keys::new(command);
    for (written, value) in dict.iter().filter(|(written, _)| !but(Name::of(written).as_str())) {
        keys.key(written, value);
    }
    keys
}
