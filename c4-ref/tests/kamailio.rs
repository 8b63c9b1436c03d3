//! A foreign proxy (Kamailio with its rtpengine module) drives a media relay.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test on real sockets"
)]

mod common;

use common::{Daemon, Scratch, free_port, have, sound};
use std::path::Path;

/// The relay that Kamailio drives.
#[derive(Clone, Copy)]
enum Relay {
    C4,
    /// The yardstick: what the phones expect, it fulfils too.
    Rtpengine,
}

impl Relay {
    fn start(self, ng: u16) -> Daemon {
        match self {
            Relay::C4 => {
                let listen = format!("relay.ng+=udp:127.0.0.1:{ng}");
                let args = ["admin.listen=", &listen, "relay.interfaces+=127.0.0.1", "relay.ports=22000-22999"];
                let args: Vec<&str> = args.into_iter().flat_map(|setting| ["-s", setting]).collect();
                Daemon::start_ng(env!("CARGO_BIN_EXE_c4-relay"), &args, ng)
            }
            Relay::Rtpengine => {
                let listen = format!("--listen-ng=127.0.0.1:{ng}");
                let args = ["--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1"];
                let more =
                    ["--interface=127.0.0.1", &listen, "--port-min=21000", "--port-max=21999", "--num-threads=1"];
                Daemon::start_ng("rtpengine", &[&args[..], &more].concat(), ng)
            }
        }
    }
}

/// Kamailio on 127.0.0.1:sip over a relay.
struct House {
    sip: u16,
    _kamailio: Daemon,
    _relay: Daemon,
    _scratch: Scratch,
}

impl House {
    fn start(relay: Relay) -> House {
        let scratch = Scratch::new("kamailio");
        let (sip, ng) = (free_port(), free_port());
        let relay = relay.start(ng);
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kamailio/relay.cfg");
        let dir = scratch.path().display();
        let kamailio = Daemon::start_sip(
            "kamailio",
            &[
                "-f",
                config.to_str().unwrap(),
                "-DD",
                "-E",
                "-m",
                "32",
                "-Y",
                &dir.to_string(),
                "-l",
                &format!("udp:127.0.0.1:{sip}"),
                &format!("--substdef=!NG!udp:127.0.0.1:{ng}!g"),
            ],
            sip,
        );
        House { sip, _kamailio: kamailio, _relay: relay, _scratch: scratch }
    }
}

fn each_relay(call: impl Fn(u16)) {
    if !have("kamailio") {
        return;
    }
    call(House::start(Relay::C4).sip);
    if have("rtpengine") {
        call(House::start(Relay::Rtpengine).sip);
    }
}

#[test]
fn calls_with_hold_and_a_refused_reinvite() {
    each_relay(sound::call_with_hold);
}

#[test]
fn cancelled_calls_with_early_media() {
    each_relay(sound::cancelled_call);
}

#[test]
fn forked_calls() {
    each_relay(sound::forked_call);
}
