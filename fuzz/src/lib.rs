//! Fuzz harnesses: the targets in `fuzz_targets/` are a few lines over these, and a stable test replays their seeds.
//!
//! A harness takes any octets and panics when a rule is broken.
#![allow(clippy::panic, clippy::expect_used, reason = "a broken rule must stop the fuzzer")]

pub mod bencode;
pub mod digest;
pub mod endpoint;
pub mod forward;
pub mod header;
pub mod latch;
pub mod lb;
pub mod message;
pub mod ng;
pub mod pcap;
pub mod proxy;
pub mod register;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stream;
pub mod token;
pub mod uri;

/// A harness.
pub type Harness = fn(&[u8]);

/// All harnesses by the name of their target and their folder of seeds.
pub const HARNESSES: &[(&str, Harness)] = &[
    ("bencode", bencode::run),
    ("digest", digest::run),
    ("endpoint", endpoint::run),
    ("forward", forward::run),
    ("header", header::run),
    ("latch", latch::run),
    ("lb", lb::run),
    ("message", message::run),
    ("ng", ng::run),
    ("pcap", pcap::run),
    ("proxy", proxy::run),
    ("register", register::run),
    ("relay", relay::run),
    ("rtcp", rtcp::run),
    ("rtp", rtp::run),
    ("sdp", sdp::run),
    ("stream", stream::run),
    ("token", token::run),
    ("uri", uri::run),
];
