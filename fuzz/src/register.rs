//! Sequences of REGISTER, removals and pauses.
//!
//! The input is a list of steps with a blank line between them. `wait N` lets N seconds pass, `drop CONTACT` removes one of bob's
//! contacts, anything else is the header lines of a REGISTER.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sip_core::registrar::{Binding, Config, Context, Event, Registrar, RemovedBy, WhenFull};
use sip_core::{Checked, Flow, Limits, Message};

const AOR: &str = "sip:bob@biloxi.com";
const MANDATORY: [(&str, &str); 6] = [
    ("via", "Via: SIP/2.0/UDP h;branch=z9hG4bK7"),
    ("max-forwards", "Max-Forwards: 70"),
    ("from", "From: <sip:bob@biloxi.com>;tag=1"),
    ("to", "To: <sip:bob@biloxi.com>"),
    ("call-id", "Call-ID: a"),
    ("cseq", "CSeq: 1 REGISTER"),
];

/// Plays the steps, and compares the table with a store that follows its events.
///
/// # Panics
/// When they differ, or a timer comes back at once, or a binding does not survive being stored.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let mut now = Instant::now();
    let mut config = Config::new([3; 32]);
    (config.max_aors, config.max_contacts, config.when_full) = (4, 3, WhenFull::ReplaceOldest);
    let mut registrar = Registrar::new(config, now, Duration::from_secs(1_700_000_000));
    let mut store = BTreeMap::new();
    let text = String::from_utf8_lossy(data);
    for step in text.split("\n\n").take(64) {
        if let Some(seconds) = step.strip_prefix("wait ").and_then(|n| n.trim_ascii().parse::<u32>().ok()) {
            now += Duration::from_secs(u64::from(seconds % 100_000));
            registrar.handle_timeout(now);
        } else if let Some(contact) = step.strip_prefix("drop ") {
            registrar.remove(now, AOR, contact.trim_ascii(), RemovedBy::Operator);
        } else {
            register(&mut registrar, now, step);
        }
        follow(&mut registrar, &mut store);
        assert!(registrar.poll_timeout().is_none_or(|next| next > now), "a timer comes back at once");
        compare(&registrar, now, &store);
    }
}

fn register(registrar: &mut Registrar, now: Instant, lines: &str) {
    let mut text = String::from("REGISTER sip:biloxi.com SIP/2.0\r\n");
    let names: Vec<String> = lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim_ascii().to_ascii_lowercase())
        .collect();
    for (_, line) in MANDATORY.iter().filter(|(name, _)| !names.iter().any(|given| given == name)) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    for line in lines.lines() {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    let Ok(message) = Message::parse(text.into_bytes().into(), &Limits::default()) else { return };
    let Ok(Checked::Request(request)) = message.check() else { return };
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let context =
        Context { flow: Flow::udp(address(5060), address(5062)), nated: lines.len() % 2 == 1, received: None };
    let before = registrar.len();
    match registrar.register(now, &request, &context) {
        Ok(response) => _ = response.to_bytes(),
        // What had ended already may go; nothing may come.
        Err(rejected) => {
            assert!(registrar.len() <= before, "{:?} changed the table", rejected.refusal);
            assert!(rejected.response.status().is_final() && !rejected.response.status().is_success());
        }
    }
}

fn follow(registrar: &mut Registrar, store: &mut BTreeMap<Vec<u8>, Binding>) {
    while let Some(event) = registrar.poll_event() {
        let key = event.binding().key();
        match event {
            Event::Added(binding) | Event::Refreshed(binding) => _ = store.insert(key, binding),
            _ => assert!(store.remove(&key).is_some(), "gone, but was never there"),
        }
    }
}

fn compare(registrar: &Registrar, now: Instant, store: &BTreeMap<Vec<u8>, Binding>) {
    assert_eq!(registrar.len(), store.len());
    assert!(registrar.aors() <= 4);
    let wall = registrar.wall_clock();
    for binding in registrar.iter() {
        assert_eq!(store.get(&binding.key()), Some(&binding));
        let back = Binding::import(&binding.export(&wall), &wall).ok();
        assert_eq!(
            back.map(|back| (back.key(), back.flow(), back.order())),
            Some((binding.key(), binding.flow(), binding.order()))
        );
        assert!(binding.expires_at() > now);
    }
    let found = registrar.lookup(now, AOR);
    assert!(found.is_sorted_by_key(|binding| std::cmp::Reverse((binding.q().unwrap_or(1000), binding.order()))));
}
