//! Keys and flags that are known but cannot be served, and those that are without effect on plain RTP.

use super::Command;
use super::bencode::Item;
use super::words::{Name, each, is_no, is_on, shown};

/// What a key or flag asks for that this relay does not do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Not known here.
    Unknown,
    /// Known, and without effect on plain RTP that is relayed as it is.
    Idle,
    /// It would change the media or the codecs. The words name it.
    Refused(String),
}

/// Judges a key or flag by its name in one spelling and its value.
pub(super) fn judge(command: &Command, name: &str, value: Option<Item<'_>>) -> Served {
    let verdict = flag(name, value).or_else(|| key(command, name, value)).unwrap_or(Served::Unknown);
    if verdict == Served::Unknown && is_idle(name) { Served::Idle } else { verdict }
}

/// Flags that are on or off.
fn flag(name: &str, value: Option<Item<'_>>) -> Option<Served> {
    let known = matches!(
        name,
        "webrtc"
            | "srtp"
            | "rtp/savp"
            | "rtp/savpf"
            | "udp/tls/rtp/savp"
            | "udp/tls/rtp/savpf"
            | "always-transcode"
            | "record-call"
            | "recording-announcement"
            | "generate-rtcp"
            | "inject-dtmf"
            | "detect-dtmf"
            | "block-dtmf"
            | "single-codec"
            | "reuse-codecs"
            | "no-codec-renegotiation"
            | "static-codec"
            | "static-codecs"
            | "strip-extmap"
            | "fragment"
    );
    known.then(|| if is_on(value) { refused(name, value) } else { Served::Idle })
}

/// Keys whose value decides.
fn key(command: &Command, name: &str, value: Option<Item<'_>>) -> Option<Served> {
    let item = value?;
    let offer = *command == Command::Offer;
    Some(match name {
        // What takes them off is read with the other keys.
        "ice" | "dtls" | "dtls-reverse" | "transport-protocol" => refused(name, value),
        "ice-lite" | "audio-player" | "player" | "dtmf-security" | "media-echo" => word(name, item, is_no),
        "dtmf-delay" | "delay-buffer" => word(name, item, |word| word == "0"),
        "ptime" | "ptime-reverse" | "reverse-ptime" if offer => word(name, item, |word| word == "0"),
        "ptime" | "ptime-reverse" | "reverse-ptime" => Served::Idle,
        "sdes" => word(name, item, |word| !word.starts_with("only-")),
        "osrtp" => word(name, item, |word| !word.starts_with("offer")),
        "bundle" => word(name, item, |word| !matches!(word, "offer" | "require")),
        "t38" | "t.38" if offer => word(name, item, |word| !matches!(word, "decode" | "force")),
        "t38" | "t.38" => Served::Idle,
        "codec" => codec(command, item),
        "transcode" if offer => word(name, item, str::is_empty),
        "transcode" => Served::Idle,
        "sdp-attr" | "sdp-media-remove" | "extmap" | "moh" => refused(name, value),
        _ => return None,
    })
}

/// Manipulation of codecs: a dictionary of lists, or one entry as a flag writes it, `strip-EVS`.
fn codec(command: &Command, item: Item<'_>) -> Served {
    let mut found = Served::Idle;
    let mut one = |operation: &str, value: Option<Item<'_>>| {
        let idle = match operation {
            "set" | "except" | "ignore" => true,
            "strip" | "offer" => false,
            "transcode" | "mask" | "accept" | "consume" => *command != Command::Offer,
            _ => true,
        };
        if !idle && found == Served::Idle {
            found = refused(&format!("codec-{operation}"), value);
        }
    };
    match item {
        Item::Dict(dict) => dict.iter().for_each(|(name, list)| {
            let mut any = false;
            each(list, |_| any = true);
            if any {
                one(Name::of(name).as_str(), Some(list));
            }
        }),
        item => each(item, |entry| {
            let name = Name::of(entry);
            let (operation, what) = name.as_str().split_once('-').unwrap_or((name.as_str(), ""));
            one(operation, Some(Item::Octets(what.as_bytes())));
        }),
    }
    found
}

/// Refused unless every word is idle.
fn word(name: &str, item: Item<'_>, idle: impl Fn(&str) -> bool) -> Served {
    if let Item::Integer(number) = item {
        return if idle(&number.to_string()) { Served::Idle } else { refused(name, Some(item)) };
    }
    let mut found = Served::Idle;
    each(item, |word| {
        if found == Served::Idle && !idle(Name::of(word).as_str()) {
            found = refused(name, Some(Item::Octets(word)));
        }
    });
    found
}

fn refused(name: &str, value: Option<Item<'_>>) -> Served {
    let word = match value {
        Some(Item::Octets(word)) => format!("={}", shown(word)),
        Some(Item::Integer(number)) => format!("={number}"),
        _ => String::new(),
    };
    Served::Refused(format!("{name}{word} is not supported"))
}

/// Without effect here: about recording that is not under way, SRTP and ICE that are not spoken, other commands, or
/// the client's own bookkeeping.
fn is_idle(name: &str) -> bool {
    matches!(
        name,
        "xmlrpc-callback"
            | "trickle-ice"
            | "reject-ice"
            | "ice-reject"
            | "pad-crypto"
            | "dtls-fingerprint"
            | "recrypt"
            | "unidirectional"
            | "all"
            | "directional"
            | "egress"
            | "inactive"
            | "siprec"
            | "debug"
            | "debugging"
            | "early-media"
            | "block-egress"
            | "block-short"
            | "block-shorts"
            | "block-short-packets"
            | "discard-recording"
            | "exclude-recording"
            | "skip-recording-db"
            | "skip-recording-database"
            | "recording-vsc"
            | "recording-file"
            | "recording-path"
            | "recording-pattern"
            | "output-destination"
            | "allow-asymmetric-codec"
            | "allow-asymmetric-codecs"
            | "asymmetric-codecs"
            | "symmetric-codecs"
            | "reorder-codecs"
            | "allow-no-codec-media"
            | "allow-transcoding"
            | "mirror-rtcp"
            | "rtcp-mirror"
            | "new-branch"
            | "provisional"
            | "no-player"
            | "no-audio-player"
            | "no-jitter-buffer"
            | "no-redis-update"
            | "no-passthrough"
            | "passthrough"
            | "passthru"
            | "from-tags"
            | "interface"
            | "set-label"
            | "to-label"
            | "node"
            | "repacketize"
    )
}
