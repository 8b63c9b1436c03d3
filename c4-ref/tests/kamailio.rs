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

/// Kamailio on 127.0.0.1:sip over a relay.
struct House {
    sip: u16,
    _kamailio: Daemon,
    _relay: Daemon,
    _scratch: Scratch,
}

impl House {
    fn start(name: &str) -> House {
        let scratch = Scratch::new(name);
        let (sip, ng) = (free_port(), free_port());
        let relay = Daemon::start_ng(
            "rtpengine",
            &[
                "--config-file=none",
                "--foreground",
                "--log-stderr",
                "--log-level=3",
                "--table=-1",
                "--interface=127.0.0.1",
                &format!("--listen-ng=127.0.0.1:{ng}"),
                "--port-min=21000",
                "--port-max=21999",
                "--num-threads=1",
            ],
            ng,
        );
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

#[test]
fn calls_with_hold_and_reinvite() {
    if have("kamailio") && have("rtpengine") {
        sound::call_with_hold(House::start("kamailio-hold").sip);
    }
}

#[test]
fn cancelled_calls() {
    if have("kamailio") && have("rtpengine") {
        sound::cancelled_call(House::start("kamailio-cancel").sip);
    }
}

#[test]
fn forked_calls() {
    if have("kamailio") && have("rtpengine") {
        sound::forked_call(House::start("kamailio-fork").sip);
    }
}
