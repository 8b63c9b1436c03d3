//! The texts an operator sees.
#![allow(clippy::unwrap_used, reason = "helpers of the tests")]

use super::load::{Override, load, print};
use super::{Algorithm, Config, Hash, Invalid, Role};
use sip_core::flow::Transport;

/// The file of the project's documentation, every default written out.
const DEFAULTS: &str = include_str!("defaults.toml");

fn set(list: &[&str]) -> Vec<Override> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn error(text: &str) -> String {
    load("c4.toml", text, &[]).unwrap_err().to_string()
}

fn override_error(text: &str) -> String {
    load("", "", &set(&[text])).unwrap_err().to_string()
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    assert_eq!(load("defaults.toml", DEFAULTS, &[]).unwrap(), Config::default());
}

#[test]
fn what_is_printed_can_be_read_back() {
    let config = load(
        "",
        "",
        &set(&[
            "lb.listen+={ bind = \"udp:127.0.0.1:5060\", advertise = \"sip.example.com\" }",
            "lb.backends+=tcp:127.0.0.1:5080",
            "proxy.trusted+=10.0.0.0/8",
            "relay.interfaces+=127.0.0.1",
            "relay.interfaces+={ name = \"public\", bind = \"192.0.2.1\", advertise = \"198.51.100.1\" }",
            "relay.ports=10000-64000",
            "proxy.peer+={ name = \"carrier\", sources = [\"192.0.2.1\"], target = \"udp:192.0.2.1:5060\" }",
        ]),
    )
    .unwrap();
    assert_eq!(load("printed", &print(&config), &[]).unwrap(), config);
}

#[test]
fn relays_of_the_proxy() {
    let text = "[proxy]\nlisten = [\"udp:192.0.2.9\"]\ndomains = [\"x\"]\nrelay = [\"udp:192.0.2.1:2223,tcp:192.0.2.1:2223\", \"tcp:[::1]:2223\"]\n";
    let config = load("c4.toml", text, &[]).unwrap();
    assert!(config.check(Role::Proxy).is_ok());
    assert_eq!(load("printed", &print(&config), &[]).unwrap(), config);
    for (line, said) in [
        ("relay = [\"192.0.2.1:2223\"]", "accepted: \"udp:ADDR:PORT\""),
        ("relay = [\"udp:192.0.2.1\"]", "accepted: \"udp:ADDR:PORT\""),
        ("relay-policy = \"drop\"", "`pass` or `refuse`"),
    ] {
        let error = error(&format!("[proxy]\n{line}"));
        assert!(error.contains(said), "{error}");
    }
    for (line, key) in [
        ("relay-events = \"tcp:192.0.2.1:9000\"", "proxy.relay-events"),
        ("relay-flags = \"replace-orign\"", "proxy.relay-flags"),
        ("relay-flags = \"transcode-PCMU\"", "proxy.relay-flags"),
    ] {
        let config =
            load("c4.toml", &format!("[proxy]\nlisten = [\"udp:192.0.2.9\"]\ndomains = [\"x\"]\n{line}"), &[]).unwrap();
        assert_eq!(config.check(Role::Proxy).unwrap_err().key, key);
    }
}

#[test]
fn hashed_passwords_are_not_printed() {
    let text = "[[proxy.user]]\nname = \"alice\"\nha1-md5 = \"0123456789abcdef0123456789abcdef\"\n";
    let config = load("c4.toml", text, &[]).unwrap();
    assert!(!print(&config).contains("0123456789abcdef"));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn listeners_have_both_forms() {
    let text = "[lb]\nlisten = [\"tls:[::1]:5061\", { bind = \"tcp:0.0.0.0:5060\", advertise = \"sip.example.com\" }]";
    let listen = load("c4.toml", text, &[]).unwrap().lb.listen;
    assert_eq!((listen[0].transport, listen[0].advertised().as_str()), (Transport::Tls, "[::1]:5061"));
    assert_eq!((listen[1].transport, listen[1].advertised().as_str()), (Transport::Tcp, "sip.example.com:5060"));
}

#[test]
fn overrides_take_bare_strings_lists_and_numbers() {
    let config = load(
        "",
        "",
        &set(&[
            "admin.listen=unix:/run/lb.ctl",
            "lb.listen+=udp:127.0.0.1:5060",
            "lb.listen+=tcp:127.0.0.1:5060",
            "lb.probe.interval-ms=0",
            "lb.hash=aor",
            "proxy.realm=1234",
            "proxy.auth.invite=false",
            "proxy.auth.algorithms=[\"md5\"]",
        ]),
    )
    .unwrap();
    assert_eq!(config.admin.path("c4-lb").as_deref(), Some("/run/lb.ctl"));
    assert_eq!(config.lb.listen.len(), 2);
    assert_eq!((config.lb.probe.interval_ms, config.lb.probe.down), (0, 3));
    assert_eq!(config.lb.hash, Hash::Aor);
    assert_eq!(config.proxy.realm, "1234", "a number where a text is wanted is a text");
    assert!(!config.proxy.auth.invite && config.proxy.auth.register);
    assert_eq!(config.proxy.auth.algorithms, [Algorithm::Md5]);
}

#[test]
fn the_first_append_replaces_a_default_list_and_extends_the_files() {
    let config = load("", "", &set(&["proxy.auth.algorithms+=md5"])).unwrap();
    assert_eq!(config.proxy.auth.algorithms, [Algorithm::Md5]);
    let config = load("", "proxy.auth.algorithms = [\"sha-256\"]", &set(&["proxy.auth.algorithms+=md5"])).unwrap();
    assert_eq!(config.proxy.auth.algorithms, [Algorithm::Sha256, Algorithm::Md5]);
}

#[test]
fn the_admin_path_has_the_name_of_the_binary() {
    assert_eq!(Config::default().admin.path("c4-proxy").as_deref(), Some("c4-proxy.ctl"));
    assert_eq!(load("", "", &set(&["admin.listen="])).unwrap().admin.path("c4-lb"), None);
}

#[test]
fn errors_name_file_line_key_and_accepted_values() {
    assert_eq!(
        error("[lb]\nworkers = 1\nhash = \"rr\"\n"),
        "c4.toml:3: lb.hash: unknown value `rr`; accepted: `call-id` or `aor`"
    );
    assert_eq!(
        error("[lb]\nprobe = { up = 2, dwn = 3 }\n"),
        "c4.toml:2: lb.probe.dwn: unknown key `dwn`; accepted: `interval-ms`, `timeout-ms`, `up`, `down`"
    );
    assert_eq!(
        error("[lb]\nworkers = \"two\"\n"),
        "c4.toml:2: lb.workers: invalid type: string \"two\"; accepted: a whole number from 0"
    );
    assert_eq!(
        error("[proxy]\nlisten = [\"udp:127.0.0.1:5060\", \"sctp:127.0.0.1:5060\"]\n"),
        "c4.toml:2: proxy.listen: `sctp:127.0.0.1:5060` is no listener; accepted: \"udp:ADDR:PORT\", \"tcp:ADDR:PORT\", \
         \"tls:ADDR:PORT\" or { bind, advertise }"
    );
    assert_eq!(
        error("[lb]\nbackends = [\"proxy-1\"]\n"),
        "c4.toml:2: lb.backends: `proxy-1` is no backend; accepted: \"ADDR:PORT\" (UDP) or \"tcp:ADDR:PORT\""
    );
    assert!(error("[sbc]\nx = 1\n").starts_with("c4.toml:1: sbc: unknown key `sbc`; accepted: `admin`"));
    assert!(error("[lb\n").starts_with("c4.toml:1: "), "{}", error("[lb\n"));
}

#[test]
fn override_errors_name_the_override() {
    assert_eq!(
        override_error("lb.hash=rr"),
        "-s lb.hash=rr: lb.hash: unknown value `rr`; accepted: `call-id` or `aor`"
    );
    assert_eq!(
        override_error("proxy.auth.register=yes"),
        "-s proxy.auth.register=yes: proxy.auth.register: invalid type: string \"yes\"; accepted: true or false"
    );
    assert!("lb.hash".parse::<Override>().unwrap_err().contains("KEY=VALUE"));
}

#[test]
fn a_role_refuses_what_it_cannot_start_with() {
    let invalid =
        |settings: &[&str], role| -> Invalid { load("", "", &set(settings)).unwrap().check(role).unwrap_err() };
    assert_eq!(invalid(&[], Role::Lb).key, "lb.listen");
    assert_eq!(invalid(&["lb.listen+=tls:127.0.0.1:5061"], Role::Lb).key, "tls.cert");
    assert_eq!(invalid(&["proxy.listen+=udp:127.0.0.1:5060"], Role::Proxy).key, "proxy.domains");
}

#[test]
fn client_authentication_needs_its_authorities() {
    let tls = ["lb.listen+=tls:127.0.0.1:5061", "lb.backends+=127.0.0.1:1", "tls.cert=c.pem", "tls.key=k.pem"];
    let with = |more: &[&str]| load("", "", &set(&[&tls, more].concat())).unwrap().check(Role::Lb);
    let invalid = with(&["tls.client-auth=require"]).unwrap_err();
    assert_eq!(invalid.to_string(), "tls.client-ca is empty, but tls.client-auth is on; accepted: a PEM file");
    assert!(with(&["tls.client-auth=request", "tls.client-ca=ca.pem"]).unwrap().is_empty());
    assert!(with(&["tls.client-ca=ca.pem"]).unwrap()[0].starts_with("tls.client-ca is not used"));
    assert!(with(&["lb.peer-tls-names+=a.example"]).unwrap()[0].contains("client-auth"));
    assert_eq!(
        error("[tls]\nclient-auth = \"yes\"\n"),
        "c4.toml:2: tls.client-auth: unknown value `yes`; accepted: `off`, `request`, `require`"
    );
    assert_eq!(
        error("[[proxy.peer]]\nname = \"a\"\ntls-names = [\"*.a.example\"]\n"),
        "c4.toml:3: proxy.peer.tls-names: `*.a.example` is no host name; accepted: \"sip.example.com\", without wildcards"
    );
}

/// What is added to a clock must stay within its range: a listener that took such a time panicked at its first connection.
#[test]
fn times_beyond_all_use_are_refused() {
    let year = "accepted: 1 to 31622400";
    for (setting, role, accepted) in [
        ("lb.idle-timeout-s=9223372036854775807", Role::Lb, year),
        ("lb.token-lifetime-s=9223372036854775807", Role::Lb, year),
        ("lb.message-timeout-ms=0", Role::Lb, "accepted: 1 to 31622400000"),
        ("lb.probe.interval-ms=9223372036854775807", Role::Lb, "accepted: 0 to 31622400000"),
        ("lb.probe.timeout-ms=0", Role::Lb, "accepted: 1 to"),
        ("proxy.message-timeout-ms=9223372036854775807", Role::Proxy, "accepted: 1 to"),
        ("proxy.idle-timeout-s=0", Role::Proxy, year),
        ("proxy.ringing-limit-s=9223372036854775807", Role::Proxy, "accepted: 0 to"),
        ("proxy.auth.nonce-lifetime-s=0", Role::Proxy, year),
        ("proxy.keepalive.interval-s=9223372036854775807", Role::Proxy, "accepted: 0 to"),
        ("proxy.store.flush-ms=9223372036854775807", Role::Proxy, "accepted: 0 to"),
        ("relay.media-timeout-ms=9223372036854775807", Role::Relay, "accepted: 0 to"),
    ] {
        let base = [
            "lb.listen+=udp:127.0.0.1:5060",
            "proxy.listen+=udp:127.0.0.1:5060",
            "proxy.domains+=example.com",
            "relay.interfaces+=127.0.0.1",
        ];
        let config = load("", "", &set(&[&base[..], &[setting]].concat())).unwrap();
        let invalid = config.check(role).unwrap_err();
        assert_eq!(Some(invalid.key.as_str()), setting.split('=').next());
        assert!(invalid.why.contains(accepted), "{invalid}");
    }
}

#[test]
fn what_goes_into_messages_stays_within_its_line() {
    let base = "[lb]\nlisten = [\"udp:127.0.0.1:5060\"]\n[proxy]\nlisten = [\"udp:127.0.0.1:5060\"]\n";
    let checked = |more: &str, role| load("", &format!("{base}{more}"), &[]).unwrap().check(role);
    let domains = "domains = [\"example.com\"]\n";
    for (more, key) in [
        (format!("{domains}realm = \"a\\r\\nX: y\""), "proxy.realm"),
        (format!("{domains}[[proxy.user]]\nname = \"a\\nb\""), "proxy.user.name"),
        (format!("{domains}[[proxy.peer]]\nname = \"a\\u0000\""), "proxy.peer.name"),
        (format!("{domains}[[proxy.peer]]\nname = \"a\"\nprepend = \"\\r\\nX: y\""), "proxy.peer.prepend"),
        ("domains = [\"example.com:5060\"]".into(), "proxy.domains"),
        ("domains = [\"*.example.com\"]".into(), "proxy.domains"),
        ("domains = [\"a b\"]".into(), "proxy.domains"),
        ("domains = [\"\"]".into(), "proxy.domains"),
    ] {
        let invalid = checked(&more, Role::Proxy).unwrap_err();
        assert_eq!(invalid.key, key, "{more}");
        assert!(!invalid.to_string().contains(['\r', '\n']) && invalid.why.contains("accepted"), "{invalid}");
    }
    let good = "domains = [\"Example.com.\", \"192.0.2.1\", \"[2001:db8::1]\", \"2001:db8::1\"]";
    assert!(checked(good, Role::Proxy).is_ok());
    let aliases = |list: &str| {
        load("", &format!("{}\naliases = [{list}]", &base[..base.find("[proxy]").unwrap()]), &[])
            .unwrap()
            .check(Role::Lb)
    };
    assert!(
        aliases("\"sip.example.com\", \"sip.example.com:5070\", \"[::1]:5060\", \"192.0.2.1:5060\", \"::1\"").is_ok()
    );
    for wrong in ["\"a b\"", "\"\"", "\"a\\r\\nb\"", "\"a:x\"", "\"*.a\""] {
        assert_eq!(aliases(wrong).unwrap_err().key, "lb.aliases", "{wrong}");
    }
    let all = format!("trusted = [\"0.0.0.0/0\"]\n{domains}");
    assert!(checked(&all, Role::Proxy).unwrap()[0].contains("proxy.trusted holds every address"));
}

#[test]
fn call_id_hash_with_several_backends_warns() {
    let several = ["lb.listen+=udp:127.0.0.1:5060", "lb.backends+=127.0.0.1:1", "lb.backends+=127.0.0.1:2"];
    let config = load("", "", &set(&several)).unwrap();
    assert!(config.check(Role::Lb).unwrap()[0].contains("location store"));
    let config = load("", "", &set(&[several.as_slice(), &["lb.hash=aor"]].concat())).unwrap();
    assert!(config.check(Role::Lb).unwrap().is_empty());
}

#[test]
fn proxies_over_tcp_need_sockets_of_their_own() {
    let text = "[lb]\nlisten = [\"tcp:127.0.0.1:5060\"]\nbackends = [\"tcp:127.0.0.1:5070\"]\n";
    let warnings = |text: &str| load("", text, &[]).unwrap().check(Role::Lb).unwrap();
    assert!(warnings(text).iter().any(|w| w.contains("lb.internal")), "{:?}", warnings(text));
    assert!(warnings(&format!("{text}internal = [\"tcp:127.0.0.1:5080\"]\n")).is_empty());
}

#[test]
fn trunks_that_are_open_to_everybody_are_warned_of() {
    let text = "[proxy]\nlisten = [\"udp:127.0.0.1:5060\"]\ndomains = [\"a.example\"]\n\
        auth = { register = false, invite = false }\n[[proxy.peer]]\nname = \"carrier\"\nprefixes = [\"\"]\n";
    let warnings = |text: &str| load("", text, &[]).unwrap().check(Role::Proxy).unwrap();
    let open = format!("{text}target = \"udp:192.0.2.1:5060\"\n");
    assert!(warnings(&open).iter().any(|w| w.contains("proxy.auth.invite")), "{:?}", warnings(&open));
    assert!(warnings(text).is_empty(), "a peer without target is called by nobody: {:?}", warnings(text));
}

#[test]
fn the_relay_says_what_it_cannot_start_with() {
    let invalid = |list: &[&str], role| load("", "", &set(list)).unwrap().check(role).unwrap_err();
    let local = "relay.interfaces+=127.0.0.1";
    assert!(load("", "", &set(&[local])).unwrap().check(Role::Relay).unwrap().is_empty());
    assert_eq!(invalid(&["relay.tos=0"], Role::Relay).key, "relay.interfaces");
    assert_eq!(invalid(&["relay.interfaces+=0.0.0.0"], Role::Relay).key, "relay.interfaces");
    assert_eq!(invalid(&[local, "relay.ng+=tls:127.0.0.1:2223"], Role::Relay).key, "relay.ng");
    assert_eq!(invalid(&[local, "relay.ng+=udp:0.0.0.0:2223"], Role::Relay).key, "relay.allow");
    assert_eq!(invalid(&[local, "relay.notify=tcp:127.0.0.1:9"], Role::Relay).key, "relay.notify");
    let open = [local, "relay.ng+=udp:0.0.0.0:2223", "relay.allow+=192.0.2.0/24"];
    assert!(load("", "", &set(&open)).unwrap().check(Role::Relay).is_ok());
    for ports in ["9", "40000-30000", "30001-30002", "0-9", "1-65536"] {
        let error = override_error(&format!("relay.ports={ports}"));
        assert!(error.contains("FIRST-LAST") || error.contains("accepted"), "{error}");
    }
    assert!(error("[relay]\ninterfaces = [\"lan\"]\n").contains("relay.interfaces: `lan` is no interface"));
}

#[test]
fn a_hash_that_is_none_is_named_by_line_and_not_repeated() {
    let text = "[proxy]\n[[proxy.user]]\nname = \"alice\"\nha1-md5 = \"secret\"\n";
    assert_eq!(error(text), "c4.toml:4: proxy.user.ha1-md5: is no hash; accepted: 32 hexadecimal digits");
}

#[test]
fn a_key_is_found_in_the_text() {
    let text = "[proxy]\nlisten = []\nauth = { invite = true }\n\n[[proxy.user]]\nname = \"alice\"\n";
    for (key, line) in [("proxy.listen", Some(2)), ("proxy.auth.invite", Some(3)), ("proxy.domains", None)] {
        assert_eq!(super::load::line_of(text, key), line, "{key}");
    }
}

#[test]
fn a_running_program_takes_over_what_it_can_and_names_the_rest() {
    let old = load("", "[proxy]\ndomains = [\"a.example\"]\ncdr = \"a\"\n", &[]).unwrap();
    let new = "[lb]\nworkers = 3\n[proxy]\ndomains = [\"b.example\", \"a.example\"]\ncdr = \"b\"\n\
        auth = { invite = false, algorithms = [\"md5\"] }\nregistrar.max-contacts = 3\n\
        [[proxy.user]]\nname = \"alice\"\n[[proxy.peer]]\nname = \"carrier\"\n";
    let new = load("", new, &[]).unwrap();
    let changes = super::change::changes(&old, &new, &[Role::Proxy]).unwrap();
    let live = ["auth.invite", "domains", "peer", "registrar.max-contacts", "user"].map(|key| format!("proxy.{key}"));
    let (mut taken, mut restart) = (changes.live.clone(), changes.restart.clone());
    taken.sort();
    restart.sort();
    assert_eq!(taken, live);
    let keys = ["proxy.auth.algorithms", "proxy.cdr", "proxy.realm"];
    assert_eq!(restart, keys, "the realm was the first domain, and the challenges keep it");
    let now = &changes.config.proxy;
    assert_eq!((now.cdr.as_str(), now.effective_realm(), now.user.len()), ("a", "a.example", 1));
    assert_eq!((now.domains.len(), now.auth.invite, now.auth.algorithms.len()), (2, false, 2));
    assert_eq!(changes.config.lb, old.lb, "the balancer's table is not the proxy's");
    // Once more: what was taken over is no change any more, what waits for the restart is named again.
    let again = super::change::changes(&changes.config, &new, &[Role::Proxy]).unwrap();
    assert_eq!((again.live, again.restart), (vec![], changes.restart));
}

#[test]
fn every_live_key_is_a_key() {
    let table = toml::Table::try_from(Config::default()).unwrap();
    for live in super::change::LIVE {
        let mut path = live.split('.');
        let first = table.get(path.next().unwrap());
        assert!(path.try_fold(first.unwrap(), |value, key| value.get(key)).is_some(), "{live}");
    }
}
