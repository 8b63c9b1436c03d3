//! Checks before anything is forwarded, answers of our own, limits.

use super::*;

fn status(rig: &mut Rig, text: &str) -> u16 {
    let answer = rig.one(outside(ALICE), text);
    assert_eq!(answer.to(), ALICE);
    answer.status().code()
}

#[test]
fn options_to_ourselves_are_answered_200_even_without_any_backend() {
    let mut config = config::Lb { backends: Vec::new(), aliases: vec!["lb.example.com".into()], ..config() };
    config.listen[0].advertise = Some("sbc.example.com:5060".into());
    let mut rig = Rig::new(&config);
    for uri in ["sip:192.0.2.1", "sip:192.0.2.1:5060", "sip:sbc.example.com", "sip:lb.example.com", "sip:10.0.0.1:5080"]
    {
        assert_eq!(status(&mut rig, &req("OPTIONS").uri(uri).text()), 200, "{uri}");
    }
    assert_eq!(status(&mut rig, &req("OPTIONS").uri("sip:192.0.2.1").more("Max-Forwards: 0").text()), 200);
    assert_eq!(status(&mut rig, &req("OPTIONS").uri("sip:bob@192.0.2.1").text()), 503, "that one is somebody's");
    assert_eq!(status(&mut rig, &req("OPTIONS").uri("sip:192.0.2.99").text()), 503);
    assert_eq!(rig.one(inside(PROXY), &req("OPTIONS").uri("sip:10.0.0.1:5080").text()).status(), StatusCode::OK);
}

#[test]
fn rfc3261_8_2_7_an_answer_without_state_is_the_same_each_time_and_its_ack_ends_here() {
    let mut rig = Rig::new(&config::Lb { backends: Vec::new(), ..config() });
    let text = req("INVITE").text();
    let (a, b) = (rig.one(outside(ALICE), &text), rig.one(outside(ALICE), &text));
    assert_eq!(text_of(&a.message), text_of(&b.message));
    let to = a.one("To").unwrap();
    assert!(to.contains(";tag=c4lb-"));
    let ack = req("ACK").text().replace("To: <sip:bob@example.com>", &format!("To: {to}"));
    rig.none(outside(ALICE), &ack);
    assert_eq!(rig.count(Counter::OwnAcks), 1);
}

#[test]
fn rfc3261_16_3_3_without_a_hop_left_483() {
    let mut rig = Rig::new(&config());
    assert_eq!(status(&mut rig, &req("INVITE").more("Max-Forwards: 0").text()), 483);
    rig.none(outside(ALICE), &req("ACK").more("Max-Forwards: 0").text());
    let sent = rig.one(outside(ALICE), &req("INVITE").more("Max-Forwards: 1").text());
    assert_eq!(sent.one("Max-Forwards").as_deref(), Some("0"));
    let bare = req("INVITE").text().replace("Max-Forwards: 70\n", "");
    assert_eq!(rig.one(outside(ALICE), &bare).one("Max-Forwards").as_deref(), Some("70"));
}

#[test]
fn rfc3261_16_3_2_and_5_unknown_schemes_and_extensions_are_refused() {
    let mut rig = Rig::new(&config());
    assert_eq!(status(&mut rig, &req("OPTIONS").uri("soap.beep://192.0.2.103:3002").text()), 416);
    let answer = rig.one(outside(ALICE), &req("INVITE").more("Proxy-Require: a, b").text());
    assert_eq!((answer.status().code(), answer.all("Unsupported")), (420, vec!["a".into(), "b".into()]));
    assert_eq!(
        rig.one(outside(ALICE), &req("INVITE").uri("tel:+4912").text()).to().split(':').next(),
        Some("10.0.0.2")
    );
}

#[test]
fn rfc5393_4_2_a_request_that_comes_back_unchanged_loops() {
    let mut rig = Rig::new(&one_proxy());
    let first = rig.one(outside(ALICE), &req("INVITE").text());
    let mut vias = vec!["SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKfar".to_owned()];
    vias.extend(first.all("Via"));
    let looped = rig.one(outside("203.0.113.5:5060"), &req("INVITE").vias(vias.clone()).text());
    assert_eq!((looped.status().code(), rig.count(Counter::Loops)), (482, 1));
    let spiral = rig.one(outside("203.0.113.5:5060"), &req("INVITE").uri("sip:carol@example.com").vias(vias).text());
    assert_eq!(spiral.to(), PROXY, "another Request-URI is a spiral");
}

#[test]
fn rfc5393_every_call_crosses_us_twice_and_our_via_alone_is_no_loop() {
    let mut rig = Rig::new(&one_proxy());
    let first = rig.one(outside(ALICE), &req("INVITE").uri("sip:bob@203.0.113.80").text());
    let mut vias = vec![proxy_via("p")];
    vias.extend(first.all("Via"));
    // The proxy sends it to a trunk with nothing changed but its Via.
    let second = rig.one(inside(PROXY), &req("INVITE").uri("sip:bob@203.0.113.80").vias(vias).text());
    assert_eq!((second.to(), rig.count(Counter::Loops)), ("203.0.113.80:5060".into(), 0));
    // The trunk sends it back: now it loops.
    let vias = [vec!["SIP/2.0/UDP 203.0.113.80;branch=z9hG4bKt".to_owned()], second.all("Via")].concat();
    let third = rig.one(outside("203.0.113.80:5060"), &req("INVITE").uri("sip:bob@203.0.113.80").vias(vias).text());
    assert_eq!(third.status().code(), 482);
}

#[test]
fn bad_messages_are_answered_400_once_or_dropped() {
    let mut rig = Rig::new(&config());
    let good = req("INVITE").text();
    assert_eq!(status(&mut rig, &good.replace("1 INVITE", "1 OPTIONS")), 400);
    assert_eq!(status(&mut rig, &good.replace("Call-ID: call-1@alice\n", "")), 400);
    assert_eq!(status(&mut rig, &good.replace("SIP/2.0\nVia", "SIP/7.0\nVia")), 505);
    assert_eq!(status(&mut rig, &good.replace("Content-Length: 0", "Content-Length: 9999")), 400);
    rig.none(outside(ALICE), &good.replace("INVITE", "ACK").replace("Call-ID: call-1@alice\n", ""));
    let no_via: String = good.lines().filter(|l| !l.starts_with("Via")).map(|l| format!("{l}\n")).collect();
    rig.none(outside(ALICE), &no_via);
    rig.none(outside(ALICE), "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n\n");
    assert_eq!((rig.count(Counter::MalformedAnswered), rig.count(Counter::Malformed)), (4, 3));
}

#[test]
fn the_answer_to_a_bad_message_has_a_to_tag() {
    let mut rig = Rig::new(&config());
    let answer = rig.one(outside(ALICE), &req("INVITE").text().replace("1 INVITE", "1 OPTIONS"));
    assert!(answer.one("To").unwrap().contains(";tag=c4lb-"));
}

#[test]
fn the_source_limit_leaves_the_quiet_source_the_proxies_and_the_peers_alone() {
    let peers = vec!["203.0.113.0/24".parse().unwrap()];
    let mut rig = Rig::new(&config::Lb { source_rate: 100, peers, ..config() });
    let ping = req("OPTIONS").uri("sip:192.0.2.1").text();
    let (mut flood, mut quiet, mut peer, mut proxy) = (0, 0, 0, 0);
    for ms in 0..2000u64 {
        rig.pass(Duration::from_millis(1));
        for _ in 0..5 {
            flood += rig.put(outside("198.51.100.66:6666"), &ping).len();
        }
        if ms % 50 == 0 {
            quiet += rig.put(outside("198.51.100.67:7777"), &ping).len();
        }
        peer += rig.put(outside(BOB), &ping).len();
        proxy += rig.put(inside(PROXY), &req("OPTIONS").uri("sip:10.0.0.1:5080").text()).len();
    }
    assert!((200..=301).contains(&flood), "{flood}");
    assert_eq!((quiet, peer, proxy), (40, 2000, 2000));
    assert_eq!(rig.count(Counter::RateLimited) as usize, 10_000 - flood);
}

#[test]
fn responses_are_no_requests_to_the_source_limit() {
    let mut rig = Rig::new(&config::Lb { source_rate: 1, ..config() });
    let path = register(&mut rig, outside(BOB));
    let to_bob = rig.one(inside(PROXY), &req("INVITE").via(proxy_via("p")).routes(&path).text());
    for _ in 0..10 {
        assert_eq!(rig.one(outside(BOB), &response(&to_bob, 180)).to(), PROXY);
    }
}

#[test]
fn output_that_nobody_drains_is_bounded() {
    let mut rig = Rig::new(&config());
    let text = req("OPTIONS").uri("sip:192.0.2.1").text().replace('\n', "\r\n");
    let message = Message::parse(text.into(), &Limits::default()).unwrap();
    for _ in 0..crate::lb::MAX_OUTPUT + 10 {
        rig.lb.handle_message(rig.now, outside(ALICE), message.clone());
    }
    assert_eq!(rig.count(Counter::Overflow), 10);
    assert_eq!(rig.drain().len(), crate::lb::MAX_OUTPUT);
}

#[test]
fn the_operator_sees_counters_calls_and_backends() {
    let mut rig = Rig::new(&config());
    rig.one(outside(ALICE), &req("INVITE").text());
    rig.health.set(crate::lb::BackendId(1), false);
    let mut ask = |method: &str| {
        let command = crate::admin::Command { method: method.into(), params: serde_json::Value::Null };
        rig.lb.handle_command(rig.now, &command)
    };
    let stats = ask("stats").unwrap().unwrap();
    assert_eq!((&stats["lb"]["forwarded_inside"], &stats["lb"]["calls"]), (&1.into(), &1.into()));
    let list = ask("backend.list").unwrap().unwrap();
    assert_eq!((&list[0]["state"], &list[1]["state"]), (&"up".into(), &"down".into()));
    assert_eq!(list[0]["address"], "udp:10.0.0.2:5060");
    assert!(ask("ul.list").is_none());
}

/// What a stranger gets for one datagram: one answer of at most three times its octets, or 200.
#[test]
fn no_answer_to_a_stranger_amplifies() {
    let mut rig = Rig::new(&config());
    let head = "v:SIP/2.0/UDP h\nf:<a:b>;tag=1\nt:<a:b>\ni:1\n";
    let mut answered = 0;
    for (n, text) in [
        format!("OPTIONS sip:192.0.2.1 SIP/2.0\n{head}CSeq:1 OPTIONS\n\n"),
        "BYE sip:b@h SIP/2.0\nv:SIP/2.0/UDP h\nf:<a:b>;tag=1\nt:<a:b>;tag=2\ni:1\nCSeq:1 BYE\n\n".to_owned(),
        format!("INFO sip:b@h SIP/2.0\n{head}CSeq:1 INFO\nMax-Forwards:0\n\n"),
        format!("INFO sip:b@h SIP/2.0\n{head}CSeq:1 INFO\nProxy-Require:x\n\n"),
        format!("INFO sip:b@h SIP/7.0\n{head}CSeq:1 INFO\n\n"),
        format!("INFO x SIP/2.0\n{head}CSeq:1 BYE\n\n"),
        format!("INFO sip:b@h SIP/2.0\n{head}CSeq:1 INFO\nl:99\n\n"),
        "INFO sip:b@h SIP/2.0\nv:SIP/2.0/UDP h\n\n".to_owned(),
        "INFO sip:b@h SIP/2.0\n\n".to_owned(),
        "v:".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let octets = text.replace('\n', "\r\n");
        let Ok(message) = Message::parse(octets.clone().into(), &Limits::default()) else { continue };
        rig.lb.handle_message(rig.now, outside(ALICE), message);
        let sent: Vec<_> = std::iter::from_fn(|| rig.lb.poll_transmit()).collect();
        let sent: Vec<_> = sent.iter().filter(|t| t.flow.remote.ip() == addr(ALICE).ip()).collect();
        assert!(sent.len() <= 1, "{n}");
        for answer in sent {
            answered += 1;
            let (size, most) = (answer.payload.len(), (3 * octets.len()).max(200));
            assert!(size <= most, "{n}: {size} of {most}\n{}", String::from_utf8_lossy(&answer.payload));
        }
    }
    assert!(answered >= 5, "{answered}");
}
