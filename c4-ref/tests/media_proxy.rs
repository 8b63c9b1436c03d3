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

use common::{Daemon, PATIENCE, Scratch, free_port, have, sound};
use std::time::{Duration, Instant};

/// Which relay the proxy drives, and the first of its ports.
#[derive(Clone, Copy)]
enum Relay {
    C4(u16),
    Rtpengine(u16),
}

impl Relay {
    /// Runs with its control port, and a media timeout if it is not to be the usual one.
    fn start(self, ng: u16, more: &[String]) -> Daemon {
        match self {
            Relay::C4(ports) => {
                let mut settings = vec![
                    "admin.listen=".to_owned(),
                    format!("relay.ng+=udp:127.0.0.1:{ng}"),
                    format!("relay.ng+=tcp:127.0.0.1:{ng}"),
                    "relay.interfaces+=127.0.0.1".to_owned(),
                    format!("relay.ports={ports}-{}", ports + 999),
                ];
                settings.extend_from_slice(more);
                let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
                Daemon::start_ng(env!("CARGO_BIN_EXE_c4-relay"), &args, ng)
            }
            Relay::Rtpengine(ports) => {
                let mut args: Vec<String> = [
                    "--config-file=none",
                    "--foreground",
                    "--log-stderr",
                    "--log-level=3",
                    "--table=-1",
                    "--num-threads=1",
                ]
                .map(str::to_owned)
                .to_vec();
                args.extend([
                    "--interface=127.0.0.1".to_owned(),
                    format!("--listen-ng=127.0.0.1:{ng}"),
                    format!("--listen-tcp-ng=127.0.0.1:{ng}"),
                    format!("--port-min={ports}"),
                    format!("--port-max={}", ports + 999),
                ]);
                args.extend_from_slice(more);
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                Daemon::start_ng("rtpengine", &args, ng)
            }
        }
    }

    fn is_here(self) -> bool {
        matches!(self, Relay::C4(_)) || have("rtpengine")
    }
}

/// c4-proxy on 127.0.0.1:sip over relays.
struct House {
    sip: u16,
    relays: Vec<Option<Daemon>>,
    proxy: Option<Daemon>,
    settings: Vec<String>,
    scratch: Scratch,
}

impl House {
    fn start(name: &str, transport: &str, relays: &[Relay]) -> House {
        House::with(name, transport, relays, &[], &[])
    }

    fn with(name: &str, transport: &str, relays: &[Relay], of_relay: &[String], of_proxy: &[String]) -> House {
        let (scratch, sip) = (Scratch::new(name), free_port());
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
        settings.extend_from_slice(of_proxy);
        let mut daemons = Vec::new();
        for relay in relays {
            let ng = free_port();
            daemons.push(Some(relay.start(ng, of_relay)));
            settings.push(format!("proxy.relay+={transport}:127.0.0.1:{ng}"));
        }
        let mut house = House { sip, relays: daemons, proxy: None, settings, scratch };
        house.start_proxy();
        house
    }

    fn start_proxy(&mut self) {
        let args: Vec<&str> = self.settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
        self.proxy = Some(Daemon::start_sip(env!("CARGO_BIN_EXE_c4-proxy"), &args, self.sip));
    }

    /// The one call detail record, when it is there.
    fn record(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(self.scratch.path().join("cdr.jsonl")).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            assert!(Instant::now() < deadline, "no record");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The call over rtpengine, then over c4-relay.
fn each_relay(name: &str, transport: &str, call: impl Fn(u16)) {
    for relay in [Relay::C4(22_000), Relay::Rtpengine(23_000)] {
        if relay.is_here() {
            call(House::start(name, transport, &[relay]).sip);
        }
    }
}

#[test]
fn calls_with_hold_and_a_refused_reinvite() {
    each_relay("media-hold", "udp", sound::call_with_hold);
}

#[test]
fn calls_with_hold_and_a_refused_reinvite_by_ng_over_tcp() {
    each_relay("media-tcp", "tcp", sound::call_with_hold);
}

#[test]
fn cancelled_calls_with_early_media() {
    each_relay("media-cancel", "udp", sound::cancelled_call);
}

#[test]
fn forked_calls() {
    each_relay("media-fork", "udp", sound::forked_call);
}

#[test]
fn kill_9_of_the_relay_in_mid_call_the_next_offer_and_new_calls_go_to_another() {
    let mut house = House::start("media-kill", "udp", &[Relay::C4(24_000), Relay::C4(25_000)]);
    let (mut alice, mut bob, _, ok) = sound::call(house.sip);
    let of = |message: &str| usize::from(sound::audio_of(message).port() >= 25_000);
    let first = of(&ok);
    house.relays[first].take().unwrap().kill();
    let (offer, answer) = sound::reoffer(&mut alice, &ok, 2, &mut bob, ("sendrecv", "sendrecv"));
    assert_eq!([of(&offer), of(&answer)], [1 - first; 2], "the other relay has the call");
    sound::both_hear(&mut alice, sound::audio_of(&answer), &mut bob, sound::audio_of(&offer));
    let bye = alice.sip.in_dialog("BYE", &ok, 3);
    alice.sip.send(&bye);
    let bye = bob.sip.expect("BYE ");
    bob.sip.answer(&bye, "200 OK");
    alice.sip.expect("SIP/2.0 200");
    drop((alice, bob));
    for _ in 0..4 {
        let (_, _, _, ok) = sound::call(house.sip);
        assert_eq!(of(&ok), 1 - first);
    }
}

#[test]
fn kill_9_of_the_proxy_in_mid_call_the_next_offer_goes_to_the_same_relay() {
    let mut house = House::start("media-restart", "udp", &[Relay::C4(29_000), Relay::C4(20_000)]);
    let (mut alice, mut bob, _, ok) = sound::call(house.sip);
    let of = |message: &str| sound::audio_of(message).port() >= 25_000;
    let first = of(&ok);
    house.proxy.take().unwrap().kill();
    house.start_proxy();
    for cseq in 2..5 {
        let (offer, answer) = sound::reoffer(&mut alice, &ok, cseq, &mut bob, ("sendrecv", "sendrecv"));
        assert_eq!([of(&offer), of(&answer)], [first; 2]);
        sound::both_hear(&mut alice, sound::audio_of(&answer), &mut bob, sound::audio_of(&offer));
    }
    let bye = alice.sip.in_dialog("BYE", &ok, 5);
    alice.sip.send(&bye);
    let bye = bob.sip.expect("BYE ");
    bob.sip.answer(&bye, "200 OK");
    alice.sip.expect("SIP/2.0 200");
}

/// The phones fall silent: both get BYE, and the record ends with the last packet.
fn ends_by_silence(house: &House) {
    let (mut alice, mut bob, ..) = sound::call(house.sip);
    let bye = alice.sip.expect("BYE ");
    alice.sip.answer(&bye, "200 OK");
    let bye = bob.sip.expect("BYE ");
    bob.sip.answer(&bye, "200 OK");
    let record = house.record();
    assert!(record.contains("\"cause\":102") && record.contains("\"released_by\":\"proxy\""), "{record}");
}

#[test]
fn a_media_timeout_that_the_relay_tells_of_ends_the_call() {
    let events = free_port();
    let of_relay = ["relay.media-timeout-ms=1500".to_owned(), format!("relay.notify=udp:127.0.0.1:{events}")];
    let of_proxy = [format!("proxy.relay-events=udp:127.0.0.1:{events}")];
    let house = House::with("media-events", "udp", &[Relay::C4(26_000)], &of_relay, &of_proxy);
    ends_by_silence(&house);
}

#[test]
fn a_media_timeout_ends_the_call_through_the_load_balancer_too() {
    let events = free_port();
    let of_relay = ["relay.media-timeout-ms=1500".to_owned(), format!("relay.notify=udp:127.0.0.1:{events}")];
    let of_proxy = [format!("proxy.relay-events=udp:127.0.0.1:{events}"), "proxy.trusted+=127.0.0.1".to_owned()];
    let mut house = House::with("media-lb", "udp", &[Relay::C4(28_000)], &of_relay, &of_proxy);
    let (lb, internal) = (free_port(), free_port());
    let settings = [
        "admin.listen=".to_owned(),
        format!("lb.listen+=udp:127.0.0.1:{lb}"),
        format!("lb.internal+=udp:127.0.0.1:{internal}"),
        format!("lb.backends+=127.0.0.1:{}", house.sip),
        "lb.probe.interval-ms=0".into(),
        "lb.workers=1".into(),
        format!("lb.token-keys={}", house.scratch.path().join("lb.keys").display()),
    ];
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-s", setting.as_str()]).collect();
    let _lb = Daemon::start_sip(env!("CARGO_BIN_EXE_c4-lb"), &args, lb);
    house.sip = lb;
    ends_by_silence(&house);
}

#[test]
fn a_media_timeout_that_rtpengine_is_asked_about_ends_the_call() {
    let relay = Relay::Rtpengine(27_000);
    if relay.is_here() {
        let of_relay = ["--timeout=2".to_owned(), "--silent-timeout=2".to_owned()];
        let house = House::with("media-poll", "udp", &[relay], &of_relay, &["proxy.relay-poll-s=1".to_owned()]);
        ends_by_silence(&house);
    }
}
