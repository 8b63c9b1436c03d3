//! c4-proxy drives media relays: calls with sound, on real sockets.
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

/// c4-proxy on 127.0.0.1:sip over rtpengine.
struct House {
    sip: u16,
    _proxy: Daemon,
    _relay: Daemon,
    _scratch: Scratch,
}

/// rtpengine with its control port.
fn rtpengine(ng: u16, ports: u16) -> Daemon {
    let fixed =
        ["--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1"];
    let ours = [
        "--interface=127.0.0.1".to_owned(),
        format!("--listen-ng=127.0.0.1:{ng}"),
        format!("--listen-tcp-ng=127.0.0.1:{ng}"),
        format!("--port-min={ports}"),
        format!("--port-max={}", ports + 999),
    ];
    let args: Vec<&str> = fixed.into_iter().chain(ours.iter().map(String::as_str)).collect();
    Daemon::start_ng("rtpengine", &args, ng)
}

fn proxy(scratch: &Scratch, sip: u16, relays: &[String]) -> Daemon {
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let mut settings = vec![
        format!("admin.listen=unix:{}", path("proxy.ctl")),
        format!("proxy.listen+=udp:127.0.0.1:{sip}"),
        "proxy.domains+=c4.test".into(),
        "proxy.domains+=127.0.0.1".into(),
        "proxy.realm=c4.test".into(),
        "proxy.auth.register=false".into(),
        "proxy.auth.invite=false".into(),
        "proxy.workers=2".into(),
        format!("proxy.store.file={}", path("c4.redb")),
        format!("proxy.nonce-keys={}", path("proxy.keys")),
        format!("proxy.cdr={}", path("cdr.jsonl")),
    ];
    settings.extend(relays.iter().map(|relay| format!("proxy.relay+={relay}")));
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
    Daemon::start_sip(env!("CARGO_BIN_EXE_c4-proxy"), &args, sip)
}

impl House {
    fn start(name: &str, transport: &str, ports: u16) -> House {
        let (scratch, sip, ng) = (Scratch::new(name), free_port(), free_port());
        let relay = rtpengine(ng, ports);
        let proxy = proxy(&scratch, sip, &[format!("{transport}:127.0.0.1:{ng}")]);
        House { sip, _proxy: proxy, _relay: relay, _scratch: scratch }
    }
}

#[test]
fn rtpengine_carries_calls_with_hold_and_reinvite() {
    if have("rtpengine") {
        sound::call_with_hold(House::start("media-hold", "udp", 22_000).sip);
    }
}

#[test]
fn rtpengine_over_tcp_carries_calls_with_hold_and_reinvite() {
    if have("rtpengine") {
        sound::call_with_hold(House::start("media-tcp", "tcp", 23_000).sip);
    }
}

#[test]
fn rtpengine_carries_cancelled_calls() {
    if have("rtpengine") {
        sound::cancelled_call(House::start("media-cancel", "udp", 24_000).sip);
    }
}

#[test]
fn rtpengine_carries_forked_calls() {
    if have("rtpengine") {
        sound::forked_call(House::start("media-fork", "udp", 25_000).sip);
    }
}
