use super::*;

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const MS: Duration = Duration::from_millis(1);
const PHONE: &str = "198.51.100.7:4000";
const STRANGER: &str = "203.0.113.66:4000";

fn armed(config: LatchConfig, now: Instant, signalled: &str, received_from: Option<&str>) -> Latch {
    let mut latch = Latch::new(config);
    latch.arm(
        now,
        Expected { signalled: Some(at(signalled)), received_from: received_from.map(|ip| ip.parse().unwrap()) },
    );
    latch
}

/// A party that starts after `party_ms` and a sprayer that starts after `sprayer_ms`, for ten seconds; what of the
/// sprayer is heard, and what of the stream towards the party it receives, and the same of the party.
fn attack(mut latch: Latch, now: Instant, party: &str, party_ms: u32, sprayer_ms: u32) -> [u32; 4] {
    let [mut injected, mut bled, mut heard, mut received] = [0; 4];
    for ms in 0..10_000u32 {
        let now = now + MS * ms;
        if ms >= sprayer_ms && ms % 5 == 0 && latch.observe(now, at(STRANGER)) != Observed::Drop {
            injected += 1;
        }
        if ms >= party_ms && (ms - party_ms).is_multiple_of(20) && latch.observe(now, at(party)) != Observed::Drop {
            heard += 1;
        }
        if ms % 20 == 0 {
            bled += u32::from(latch.remote() == Some(at(STRANGER)));
            received += u32::from(latch.remote() == Some(at(party)));
        }
    }
    [injected, bled, heard, received]
}

#[test]
fn lesson_1_a_sprayer_before_during_and_after_the_party_gets_nothing() {
    let now = base();
    for (signalled, received_from, party) in [
        (PHONE, None, PHONE),
        (PHONE, None, "198.51.100.7:31004"),
        ("192.168.1.5:4000", Some("198.51.100.7"), "198.51.100.7:31004"),
    ] {
        for (party_ms, sprayer_ms) in [(0, 0), (2_500, 0), (0, 10), (0, 2_000), (1_000, 900), (0, 5_000)] {
            let latch = armed(LatchConfig::default(), now, signalled, received_from);
            let [injected, bled, heard, received] = attack(latch, now, party, party_ms, sprayer_ms);
            assert_eq!((injected, bled), (0, 0), "{signalled} {party} {party_ms} {sprayer_ms}");
            let sent = (10_000 - party_ms) / 20;
            assert!(heard == sent && received + 1 >= sent, "{signalled} {party}: {heard} {received} of {sent}");
        }
    }
}

#[test]
fn lesson_1_a_party_that_starts_late_finds_no_stranger_in_its_place() {
    let now = base();
    for (signalled, received_from, party) in
        [(PHONE, None, PHONE), ("192.168.1.5:4000", Some("198.51.100.7"), "198.51.100.7:31004")]
    {
        let latch = armed(LatchConfig::default(), now, signalled, received_from);
        let [injected, bled, heard, received] = attack(latch, now, party, 5_000, 0);
        assert_eq!((injected, bled, heard), (0, 0, 250));
        assert!(received >= 249, "{received}");
    }
}

#[test]
fn lesson_1_of_two_that_nothing_vouches_for_neither_is_heard() {
    let now = base();
    for (party_ms, sprayer_ms) in [(0, 0), (40, 0), (0, 40), (2_900, 0)] {
        let latch = armed(LatchConfig::default(), now, "192.168.1.5:4000", None);
        assert_eq!(attack(latch, now, "198.51.100.7:31004", party_ms, sprayer_ms), [0; 4], "{party_ms} {sprayer_ms}");
    }
}

#[test]
fn a_latch_that_is_not_armed_hears_nothing_and_knows_where_to_send() {
    let now = base();
    let mut latch = Latch::new(LatchConfig::default());
    let expected = Expected { signalled: Some(at(PHONE)), received_from: None };
    latch.expect(expected);
    assert_eq!((latch.observe(now, at(PHONE)), latch.remote()), (Observed::Drop, Some(at(PHONE))));
    latch.arm(now, expected);
    assert_eq!(latch.observe(now, at(PHONE)), Observed::Learned(at(PHONE)));
    latch.expect(Expected { signalled: Some(at(STRANGER)), received_from: None });
    assert_eq!(latch.remote(), Some(at(PHONE)));
}

#[test]
fn another_configuration_keeps_the_source_and_to_forget_starts_anew() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, PHONE, None);
    let moved = at("198.51.100.7:31004");
    let _ = latch.observe(now, moved);
    latch.configure(LatchConfig { handover: true, ..LatchConfig::default() });
    assert_eq!(latch.remote(), Some(moved));
    latch.configure(LatchConfig::default());
    assert_eq!((latch.remote(), latch.observe(now, at(STRANGER))), (Some(moved), Observed::Drop));
    latch.forget();
    assert_eq!((latch.remote(), latch.observe(now, at(PHONE))), (Some(at(PHONE)), Observed::Learned(at(PHONE))));
    latch.configure(LatchConfig { learning: Learning::Off, ..LatchConfig::default() });
    assert_eq!((latch.remote(), latch.learned()), (Some(at(PHONE)), None));
}

#[test]
fn an_unknown_source_is_heard_after_it_was_alone_for_a_window() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, "192.168.1.5:4000", None);
    for ms in (0..3_000).step_by(20) {
        assert_eq!(latch.observe(now + MS * ms, at(STRANGER)), Observed::Drop);
        assert_eq!(latch.remote(), Some(at("192.168.1.5:4000")));
    }
    assert_eq!(latch.observe(now + MS * 3_000, at(STRANGER)), Observed::Learned(at(STRANGER)));
    assert_eq!(latch.observe(now + MS * 3_020, at("203.0.113.67:4000")), Observed::Drop);
    assert!(latch.is_locked());
}

#[test]
fn a_stray_packet_of_long_ago_vouches_for_nothing() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, "192.168.1.5:4000", None);
    assert_eq!(latch.observe(now, at(STRANGER)), Observed::Drop);
    assert_eq!(latch.observe(now + MS * 60_000, at(STRANGER)), Observed::Drop);
    assert_eq!(latch.observe(now + MS * 60_020, at(STRANGER)), Observed::Drop);
}

#[test]
fn better_ranks_take_over_while_learning_and_not_afterwards() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, PHONE, Some("192.0.2.9"));
    for from in ["192.0.2.9:1", "198.51.100.7:5", PHONE] {
        assert_eq!(latch.observe(now, at(from)), Observed::Learned(at(from)));
    }
    assert_eq!(latch.observe(now, at("198.51.100.7:5")), Observed::Drop);
    let mut latch = armed(LatchConfig::default(), now, PHONE, Some("192.0.2.9"));
    let _ = latch.observe(now, at("192.0.2.9:1"));
    assert_eq!(latch.observe(now + MS * 3_000, at("192.0.2.9:1")), Observed::Accept);
    assert_eq!(latch.observe(now + MS * 3_001, at(PHONE)), Observed::Drop);
}

#[test]
fn a_session_refresh_keeps_the_source_and_a_changed_address_learns_anew() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, PHONE, None);
    let _ = latch.observe(now, at("198.51.100.7:31004"));
    latch.arm(now + MS * 9, Expected { signalled: Some(at(PHONE)), received_from: None });
    assert_eq!(latch.remote(), Some(at("198.51.100.7:31004")));
    latch.arm(now + MS * 9, Expected { signalled: Some(at("198.51.100.8:6000")), received_from: None });
    assert_eq!(latch.remote(), Some(at("198.51.100.8:6000")));
    assert_eq!(latch.observe(now + MS * 10, at("198.51.100.7:31004")), Observed::Drop);
    assert_eq!(latch.observe(now + MS * 11, at("198.51.100.8:6000")), Observed::Learned(at("198.51.100.8:6000")));
}

#[test]
fn the_last_packets_of_an_old_port_do_not_keep_the_new_one_out() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, PHONE, None);
    let _ = latch.observe(now, at("198.51.100.7:1"));
    assert_eq!(latch.observe(now + MS * 100, at("198.51.100.7:2")), Observed::Drop);
    assert_eq!(latch.observe(now + MS * 600, at("198.51.100.7:2")), Observed::Learned(at("198.51.100.7:2")));
}

#[test]
fn a_phone_that_moved_to_another_network_is_learned_again() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, "10.0.0.5:4000", Some("198.51.100.7"));
    let _ = latch.observe(now, at("198.51.100.7:1"));
    let moved = Expected { signalled: Some(at("10.0.0.5:4000")), received_from: Some("203.0.113.4".parse().unwrap()) };
    latch.arm(now + MS, moved);
    assert_eq!(latch.observe(now + MS * 2, at("203.0.113.4:9")), Observed::Learned(at("203.0.113.4:9")));
}

#[test]
fn off_immediate_and_delayed_do_what_they_say() {
    let now = base();
    let config = |learning, strict| LatchConfig { learning, strict, ..LatchConfig::default() };
    let mut off = armed(config(Learning::Off, true), now, PHONE, None);
    assert_eq!(off.observe(now, at(STRANGER)), Observed::Drop);
    assert_eq!((off.observe(now, at(PHONE)), off.remote()), (Observed::Accept, Some(at(PHONE))));
    let mut open = armed(config(Learning::Off, false), now, PHONE, None);
    assert_eq!((open.observe(now, at(STRANGER)), open.remote()), (Observed::Accept, Some(at(PHONE))));
    let mut immediate = armed(config(Learning::Immediate, true), now, PHONE, None);
    assert_eq!(immediate.observe(now, at(STRANGER)), Observed::Learned(at(STRANGER)));
    assert_eq!(immediate.observe(now, at(PHONE)), Observed::Drop);
    let mut delayed = armed(config(Learning::Delayed(3_000), true), now, PHONE, None);
    assert_eq!(delayed.observe(now, at(STRANGER)), Observed::Learned(at(STRANGER)));
    assert_eq!(delayed.observe(now + MS * 2_999, at(PHONE)), Observed::Drop);
    assert_eq!(delayed.observe(now + MS * 3_000, at(PHONE)), Observed::Learned(at(PHONE)));
    assert_eq!(delayed.observe(now + MS * 3_001, at(STRANGER)), Observed::Drop);
}

#[test]
fn media_handover_follows_the_source() {
    let now = base();
    let mut latch = armed(LatchConfig { handover: true, ..LatchConfig::default() }, now, PHONE, None);
    for from in [PHONE, "198.51.100.7:1", STRANGER] {
        assert_eq!(latch.observe(now, at(from)), Observed::Learned(at(from)));
        assert_eq!(latch.observe(now, at(from)), Observed::Accept);
    }
}

#[test]
fn rtcp_comes_from_the_address_of_rtp() {
    let now = base();
    let mut rtcp = armed(LatchConfig::default(), now, "192.168.1.5:4001", None);
    rtcp.follow(at("198.51.100.7:31004"));
    assert_eq!(rtcp.observe(now, at("203.0.113.66:4001")), Observed::Drop);
    assert_eq!(rtcp.observe(now, at("198.51.100.7:31009")), Observed::Learned(at("198.51.100.7:31009")));
    rtcp.follow(at("198.51.100.8:1"));
    assert_eq!(rtcp.remote(), Some(at("192.168.1.5:4001")));
}

#[test]
fn authenticated_media_is_taken_at_once_and_for_good() {
    let now = base();
    let mut latch = armed(LatchConfig::default(), now, "192.168.1.5:4000", None);
    assert!(latch.admits(at(STRANGER)));
    assert_eq!(latch.observe_authenticated(now, at(PHONE)), Observed::Learned(at(PHONE)));
    assert!(latch.admits(at(PHONE)) && !latch.admits(at(STRANGER)));
    assert_eq!(latch.observe_authenticated(now, at(STRANGER)), Observed::Drop);
}

#[test]
fn handover_tells_of_an_authenticated_source_once() {
    let now = base();
    let mut latch = armed(LatchConfig { handover: true, ..LatchConfig::default() }, now, PHONE, None);
    for from in [PHONE, STRANGER] {
        assert_eq!(latch.observe_authenticated(now, at(from)), Observed::Learned(at(from)));
        assert_eq!(latch.observe_authenticated(now, at(from)), Observed::Accept);
    }
}

#[test]
fn nothing_is_heard_before_signalling_and_nothing_is_sent_to_nowhere() {
    let now = base();
    assert_eq!(Latch::new(LatchConfig::default()).observe(now, at(PHONE)), Observed::Drop);
    for nowhere in ["0.0.0.0:4000", "[::]:4000", "198.51.100.7:0"] {
        assert_eq!(armed(LatchConfig::default(), now, nowhere, None).remote(), None);
    }
    let mut latch = armed(LatchConfig::default(), now, PHONE, None);
    assert_eq!(latch.observe(now, at("198.51.100.7:0")), Observed::Drop);
    latch.lock(now, at("198.51.100.7:0"));
    assert_eq!(latch.remote(), Some(at(PHONE)));
    assert_eq!(armed(LatchConfig::default(), now, "[2001:db8::1]:4000", None).remote(), Some(at("[2001:db8::1]:4000")));
}

#[test]
fn a_latch_is_small() {
    assert!(size_of::<Latch>() <= 104, "{}", size_of::<Latch>());
}
