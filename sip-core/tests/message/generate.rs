//! Messages made at random from valid pieces.

use proptest::prelude::*;

/// A line: name, what stands around the colon, value, whether it is folded after the colon.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    name: String,
    colon: &'static str,
    value: String,
}

impl Piece {
    pub(crate) fn text(&self) -> String {
        format!("{}{}{}\r\n", self.name, self.colon, self.value)
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        c4_sip_core::header::Name::from(self.name.as_str()) == c4_sip_core::header::Name::from(name)
            || self.name.eq_ignore_ascii_case(name)
    }
}

const NAMES: &[&str] = &[
    "Via",
    "v",
    "VIA",
    "Route",
    "route",
    "Record-Route",
    "X-Test",
    "x-test",
    "Subject",
    "s",
    "Max-Forwards",
    "Contact",
    "m",
    "Allow",
    "Supported",
    "k",
];

pub(crate) fn piece() -> impl Strategy<Value = Piece> {
    let value = prop_oneof![
        Just("<sip:a@b;lr>".to_owned()),
        Just("<sip:a@b;lr>, \"c, d\" <sip:e,f@g>;x=\"1,2\"".to_owned()),
        Just("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/TCP h:1".to_owned()),
        Just("".to_owned()),
        "[ -~]{0,40}".prop_map(|s| s.trim().to_owned()),
        "[a-z]{1,8}\r\n[ \t][a-z]{1,8}".prop_map(|s| s.to_owned()),
    ];
    let colon = prop_oneof![Just(": "), Just(":"), Just(" : "), Just("\t:\r\n  "), Just(" :  ")];
    (prop::sample::select(NAMES), colon, value).prop_map(|(name, colon, value)| Piece {
        name: name.to_owned(),
        colon: if value.is_empty() { ":" } else { colon },
        value,
    })
}

pub(crate) fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(piece(), 0..12)
}

/// A request of these lines with a body and its length.
pub(crate) fn request(pieces: &[Piece], body: &[u8]) -> Vec<u8> {
    let lines: String = pieces.iter().map(Piece::text).collect();
    let head = format!("INFO sip:u@h SIP/2.0\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
