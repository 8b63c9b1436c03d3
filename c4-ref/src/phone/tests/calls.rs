//! Phones with sound call each other, and are called by scripts; without a network between them.

use sip_core::Message;
use sip_core::flow::{Flow, Target, Transport};
use sip_core::limits::Limits;

use super::*;
use crate::machine::Machine;

fn address(phone: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, phone], 5060))
}

fn phone(now: Instant, number: u8, other: u8, sound: bool) -> Phone {
    let [rtp, rtcp] = [4000, 4001].map(|port| SocketAddr::new(address(number).ip(), port));
    let (plays, expects) = (u32::from(number) * 150 + 300, u32::from(other) * 150 + 300);
    let unix = Duration::from_secs(1_800_000_000);
    let audio = audio::Settings { rtp, rtcp, plays: Some(plays), expects, codecs: Codec::ALL.into(), unix };
    let settings = Settings {
        seed: [number; 32],
        user: format!("user{number}"),
        domain: "example.com".into(),
        account: None,
        proxy: Target { local: Some(address(number)), ..Target::new(Transport::Udp, address(other)) },
        local: address(number),
        ring: Duration::from_millis(500),
        manner: Manner::Answers,
        expires: Duration::from_secs(600),
        audio: sound.then_some(audio),
    };
    Phone::new(settings, now)
}

/// Two phones, each the other's outbound proxy.
struct Pair {
    phones: [Phone; 2],
    now: Instant,
}

impl Pair {
    fn new(sound: [bool; 2]) -> Pair {
        let now = base();
        Pair { phones: [phone(now, 1, 2, sound[0]), phone(now, 2, 1, sound[1])], now }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while self.pass() {}
            let next = self.phones.iter().filter_map(Machine::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now || self.phones.iter().any(|phone| phone.poll_timeout() <= Some(self.now)));
            self.now = self.now.max(next);
            let now = self.now;
            self.phones.iter_mut().for_each(|phone| phone.handle_timeout(now));
        }
        self.now = end;
    }

    /// Hands over what is ready.
    fn pass(&mut self) -> bool {
        let mut passed = false;
        for from in [0, 1] {
            let number = from as u8 + 1;
            while let Some(transmit) = self.phones[from].poll_transmit() {
                let message = Message::parse(transmit.payload, &Limits::default()).unwrap();
                let flow = Flow::udp(address(2 - from as u8), address(number));
                self.phones[1 - from].handle_message(self.now, flow, message);
                passed = true;
            }
            while let Some(Datagram { socket, to, payload }) = self.phones[from].poll_datagram() {
                assert_eq!(to, SocketAddr::new(address(2 - from as u8).ip(), 4000 + socket as u16));
                let from_address = SocketAddr::new(address(number).ip(), 4000 + socket as u16);
                self.phones[1 - from].handle_datagram(self.now, socket, from_address, payload);
                passed = true;
            }
        }
        passed
    }

    fn report(&self, phone: usize, call: usize) -> Option<Report> {
        self.phones[phone].sound(self.phones[phone].calls()[call].session)
    }

    /// The last message of this first line that a phone received.
    fn received(&self, phone: usize, start: &str) -> Message {
        let journal = self.phones[phone].journal().iter().rev();
        let entry = journal.filter(|entry| !entry.sent).find(|entry| entry.octets.starts_with(start.as_bytes()));
        Message::parse(entry.unwrap().octets.clone(), &Limits::default()).unwrap()
    }

    /// A message from the second phone's address.
    fn inject(&mut self, text: String) {
        let message = Message::parse(text.into(), &Limits::default()).unwrap();
        self.phones[0].handle_message(self.now, Flow::udp(address(1), address(2)), message);
        // What the phone answers is in its journal; the other phone did not ask.
        while self.phones[0].poll_transmit().is_some() {}
    }

    /// What the first phone sent last.
    fn sent(&self) -> String {
        let last = self.phones[0].journal().iter().rfind(|entry| entry.sent).unwrap();
        String::from_utf8(last.octets.to_vec()).unwrap()
    }
}

fn request(method: &str, call_id: &str, sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:user1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n\
         From: <sip:x@example.com>;tag=x\r\nTo: <sip:user1@example.com>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@192.0.2.2>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

fn offer(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n{media}\r\n")
}

#[test]
fn two_calls_with_sound_one_after_the_other() {
    let mut pair = Pair::new([true, true]);
    for call in 0..2 {
        let now = pair.now;
        pair.phones[call].call(now, "other").unwrap();
        pair.run(Duration::from_secs(4));
        pair.phones[0].hang_up(pair.now);
        pair.run(Duration::from_secs(1));
    }
    for call in 0..2 {
        let [one, other] = [0, 1].map(|phone| pair.report(phone, call).unwrap());
        assert_eq!((one.packets_sent, other.packets_sent), (other.packets_received, one.packets_received));
        assert!((174..=177).contains(&one.packets_sent), "{one:?}");
        assert!(one.tone.found && other.tone.found && one.lost + other.lost == 0);
        assert!(one.rtcp.bye && other.rtcp.bye, "{one:?} {other:?}");
        assert_eq!(pair.phones[1].calls()[call].progress, Progress::Ended(Outcome::PeerHungUp));
    }
    let ssrcs = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(phone, call)| pair.report(phone, call).unwrap().ssrc);
    assert!((0..4).all(|n| !ssrcs[n + 1..].contains(&ssrcs[n])), "{ssrcs:?}");
}

#[test]
fn who_has_a_call_with_sound_is_busy() {
    let mut pair = Pair::new([true, true]);
    let now = pair.now;
    pair.phones[0].call(now, "other").unwrap();
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.phones[0].call(pair.now, "another"), Err(ua::Refused::Busy));
    pair.inject(request("INVITE", "second", &offer("m=audio 6000 RTP/AVP 0")));
    assert!(pair.sent().starts_with("SIP/2.0 486"), "{}", pair.sent());
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.phones[0].calls()[0].progress, Progress::Up);
}

#[test]
fn rfc3264_6_an_offer_without_g711_is_not_acceptable() {
    let mut pair = Pair::new([true, true]);
    for (n, body) in
        [offer("m=audio 6000 RTP/AVP 18"), offer("m=audio 6000 RTP/SAVP 0"), "v=1".into()].iter().enumerate()
    {
        pair.inject(request("INVITE", &format!("c{n}"), body));
        assert!(pair.sent().starts_with("SIP/2.0 488"), "{}", pair.sent());
    }
    pair.inject(request("INVITE", "good", &offer("m=audio 6000 RTP/AVP 18 8")));
    assert!(pair.sent().starts_with("SIP/2.0 180"), "{}", pair.sent());
}

#[test]
fn rfc3261_13_2_1_a_call_without_an_offer_gets_one_in_the_2xx() {
    let mut pair = Pair::new([false, true]);
    let now = pair.now;
    pair.phones[0].call(now, "other").unwrap();
    pair.run(Duration::from_secs(1));
    let ok = pair.received(0, "SIP/2.0 200");
    assert!(String::from_utf8_lossy(ok.body()).contains("m=audio 4000 RTP/AVP 0 8 101"));
    // The ACK had no answer: nobody is sent anything.
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.report(1, 0).unwrap().packets_sent, 0);
}

#[test]
fn a_phone_without_sound_answers_without_a_description() {
    let mut pair = Pair::new([true, false]);
    let now = pair.now;
    pair.phones[0].call(now, "other").unwrap();
    pair.run(Duration::from_secs(2));
    // An answer must come with the 2xx: without one there is nothing to talk by.
    assert_eq!(pair.phones[0].calls()[0].progress, Progress::Ended(Outcome::HungUp));
    assert!(!pair.phones[0].audio.as_ref().unwrap().is_busy());
}

#[test]
fn rfc3264_8_4_hold_and_retrieval_by_reinvite() {
    let mut pair = Pair::new([true, true]);
    let now = pair.now;
    pair.phones[1].call(now, "other").unwrap();
    pair.run(Duration::from_secs(2));
    let invite = pair.received(0, "INVITE");
    let ok = pair.received(1, "SIP/2.0 200");
    let field = |message: &Message, name: &str| message.header_str(name).unwrap().to_owned();
    let mut sent = pair.report(0, 0).unwrap().packets_sent;
    for (n, direction, mirrored) in [(0, "sendonly", "recvonly"), (1, "sendrecv", "sendrecv")] {
        let sdp = offer(&format!("m=audio 4000 RTP/AVP 0\r\na={direction}"));
        pair.inject(format!(
            "INVITE sip:user1@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKhold{n}\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} INVITE\r\nContact: <sip:user2@192.0.2.2:5060>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            field(&invite, "From"),
            field(&ok, "To"),
            field(&invite, "Call-ID"),
            10 + n,
            sdp.len()
        ));
        let answer = pair.sent();
        assert!(answer.starts_with("SIP/2.0 200") && answer.contains(&format!("a={mirrored}\r\n")), "{answer}");
        let version = answer.lines().find(|line| line.starts_with("o=")).unwrap().split(' ').nth(2).unwrap();
        assert_eq!(version, ["2", "3"][n], "RFC 3264 §8: the version tells that something has changed");
        let line = format!("CSeq: {} ACK\r\n", 10 + n);
        pair.inject(format!(
            "ACK sip:user1@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKack{n}\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\n{line}Content-Length: 0\r\n\r\n",
            field(&invite, "From"),
            field(&ok, "To"),
            field(&invite, "Call-ID"),
        ));
        pair.run(Duration::from_secs(1));
        let now_sent = pair.report(0, 0).unwrap().packets_sent;
        assert!(if n == 0 { now_sent == sent } else { now_sent >= sent + 45 }, "{direction}: {sent} {now_sent}");
        sent = now_sent;
    }
}
