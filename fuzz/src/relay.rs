//! Sessions of the media relay: requests, sockets that open or not, packets and time, in any order.
//!
//! The input is a list of steps of four octets: what happens, who does it, its flags, and a choice.

#![allow(clippy::indexing_slicing, reason = "tables, by indices that are masked")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c4_ref::config::Interface;
use c4_ref::ng::{Command, Flags, Request};
use c4_ref::relay::media::{self, Packet, Pair, PairId, Verdict};
use c4_ref::relay::{Event, Relay, RequestId, Sessions, Settings, Timeouts};

const STEPS: usize = 200;
const HOUR: Duration = Duration::from_secs(3600);

const FLAGS: [&str; 16] = [
    "",
    "ICE=remove trust-address replace-origin",
    "rtcp-mux-demux SIP-source-address",
    "rtcp-mux-offer generate-mid",
    "rtcp-mux-require full-rtcp-attribute",
    "direction=ext direction=int",
    "direction=int direction=ext no-port-latching",
    "address-family=IP6 replace-SDP-version",
    "reset media-handover TOS=8",
    "asymmetric TOS=-1",
    "pierce-NAT NAT-wait",
    "loop-protect strict-source",
    "transport-protocol=RTP/AVPF original-sendrecv",
    "endpoint-learning=immediate no-rtcp-attribute",
    "drop-traffic=start delete-delay=0",
    "drop-traffic=stop endpoint-learning=delayed delete-delay=5",
];

const LINES: [&str; 10] = [
    "c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    "c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "c=IN IP4 192.168.1.5\r\nm=audio 4004 RTP/AVPF 8\r\na=rtcp:4009\r\na=sendonly\r\n",
    "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n",
    "c=IN IP4 192.0.2.1\r\nm=image 4006 udptl t38\r\n",
    "c=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n",
    "c=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 0\r\nm=video 4002 RTP/AVP 96\r\n",
    "c=IN IP4 192.0.2.1\r\nm=message 4000 TCP/MSRP *\r\nm=audio 4000 RTP/SAVP 0\r\n",
    "m=audio 4000 RTP/AVP 0\r\n",
    "c=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n",
];

struct Bed {
    relay: Relay,
    now: Instant,
    asked: Vec<Pair>,
    open: BTreeMap<PairId, Pair>,
    closed: BTreeSet<PairId>,
    requests: BTreeSet<u64>,
    packet: Packet,
    sent: u16,
}

/// Plays the steps, then lets all calls end.
///
/// # Panics
/// When a request gets no reply or two, sockets or calls are left when all has ended, a packet goes out of a socket that is
/// not open, or a timer comes back at once.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let now = Instant::now();
    let mut bed = Bed {
        relay: Relay::new(now, settings()),
        now,
        asked: Vec::new(),
        open: BTreeMap::new(),
        closed: BTreeSet::new(),
        requests: BTreeSet::new(),
        packet: Packet::new(),
        sent: 0,
    };
    let (steps, _) = data.as_chunks::<4>();
    for (number, step) in steps.iter().take(STEPS).enumerate() {
        bed.step(number as u64, *step);
        bed.drain();
    }
    bed.end();
}

fn settings() -> Settings {
    let interface = |name: &str, bind: [u16; 8]| Interface { name: name.into(), bind: bind.into(), advertise: None };
    let v4 = |name: &str, last| Interface { name: name.into(), bind: [127, 0, 0, last].into(), advertise: None };
    Settings {
        media: media::Settings { ports: (20_000, 20_031), worker: 0, workers: 1, key: [7; 16] },
        interfaces: vec![v4("int", 1), v4("ext", 2), interface("int", [0, 0, 0, 0, 0, 0, 0, 1])],
        tos: 184,
        timeouts: Timeouts {
            media: Duration::from_secs(60),
            silent: HOUR,
            offer: Duration::from_secs(300),
            delete_delay: Duration::from_secs(30),
        },
        sessions: Sessions::new(3),
        mark: "relay1".into(),
        unix: Duration::from_secs(1_800_000_000),
    }
}

impl Bed {
    fn step(&mut self, number: u64, [what, who, flags, choice]: [u8; 4]) {
        let command = match what % 9 {
            0 | 1 => Command::Offer,
            2 => Command::Answer,
            3 => Command::Delete,
            4 => Command::Query,
            5 => return self.send(who, choice),
            6 => return self.opened(who, choice),
            7 => {
                return self
                    .pass(Duration::from_millis(u64::from(choice) * [1, 20, 300, 20_000][usize::from(who & 3)]));
            }
            _ => Command::List,
        };
        let tags = ["a", "b", "c", ""];
        let tag = |at: u8| tags.get(usize::from(at & 3)).copied().unwrap_or_default();
        let mut request = Request::new(command.clone(), ["c1", "c2", "c3", "c4"][usize::from(what >> 4 & 3)]);
        request.from_tag = tag(who).into();
        request.to_tag = Some(tag(who >> 2)).filter(|tag| !tag.is_empty()).map(Into::into);
        request.via_branch = [None, Some("1"), Some("2"), Some("3")][usize::from(who >> 4 & 3)].map(Into::into);
        request.received_from = (who & 0x40 != 0).then_some([198, 51, 100, 7].into());
        let text = [FLAGS[usize::from(flags & 15)], FLAGS[usize::from(flags >> 4)]].join(" ");
        request.flags = Flags::from_text(&text);
        if command.has_sdp() {
            let lines = LINES[usize::from(choice) % LINES.len()].replace("400", &format!("4{}0", choice >> 5));
            request.sdp = format!("v=0\r\no=- 1 {choice} IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{lines}").into();
            // As the server has it: neither is without tags.
            if request.from_tag.is_empty() || command == Command::Answer && request.to_tag.is_none() {
                return;
            }
        }
        self.requests.insert(number);
        self.relay.handle_request(self.now, RequestId(number), request);
    }

    fn send(&mut self, who: u8, choice: u8) {
        let pairs = self.open.len().max(1);
        let Some(pair) = self.open.values().nth(usize::from(who & 0x3f) % pairs).copied() else { return };
        let socket = if choice & 1 == 0 { pair.rtp } else { pair.rtcp };
        let hosts: [([u8; 4], u16); 4] =
            [([192, 0, 2, 1], 4000), ([198, 51, 100, 7], 31_000), ([192, 168, 1, 5], 4004), ([203, 0, 113, 9], 9)];
        let from = SocketAddr::from(hosts[usize::from(choice >> 1 & 3)]);
        self.sent = self.sent.wrapping_add(u16::from(choice >> 5));
        let [high, low] = self.sent.to_be_bytes();
        let second = if choice & 8 == 0 { 0 } else { 200 };
        let head = [0x80 | choice >> 7, second, high, low, 0, 0, high, low, 0, 0, 0, choice >> 6];
        self.packet.fill(&[&head[..], &[0; 40]].concat());
        if let Verdict::Send { socket: out, to } = self.relay.media().forward(self.now, socket, from, &mut self.packet)
        {
            let is_open = self.open.values().any(|pair| [pair.rtp, pair.rtcp].contains(&out));
            assert!(is_open, "{out:?} is not open");
            assert_ne!(out, socket, "back to where it came from");
            assert!(!to.ip().is_unspecified() && to.port() != 0, "to nowhere");
        }
    }

    fn opened(&mut self, who: u8, choice: u8) {
        if self.asked.is_empty() {
            return;
        }
        let pair = self.asked.swap_remove(usize::from(who) % self.asked.len());
        let result = match choice % 8 {
            0 => Err(io::ErrorKind::AddrInUse),
            1 => Err(io::ErrorKind::PermissionDenied),
            _ => Ok(()),
        };
        if result.is_ok() && !self.closed.contains(&pair.id) {
            self.open.insert(pair.id, pair);
        }
        self.relay.handle_open_done(self.now, pair.id, result);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.relay.handle_timeout(self.now);
            self.drain();
            assert!(self.relay.poll_timeout().is_none_or(|next| next > self.now), "a timer comes back at once");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(event) = self.relay.media().poll_event() {
            match event {
                media::Event::Open { pair, .. } => self.asked.push(pair),
                media::Event::Close { pair } => {
                    self.closed.insert(pair.id);
                    self.open.remove(&pair.id);
                }
                _ => {}
            }
        }
        while let Some(event) = self.relay.poll_event() {
            if let Event::Reply { id, .. } = event {
                assert!(self.requests.remove(&id.0), "two replies to one request");
            }
        }
        assert!(self.relay.calls() <= 3, "more calls than there may be");
    }

    fn end(&mut self) {
        // A retry asks again; sixteen are the most.
        for _ in 0..1000 {
            self.opened(0, 7);
            self.drain();
        }
        assert!(self.asked.is_empty() && self.requests.is_empty(), "a request without a reply");
        self.pass(HOUR * 3);
        let pairs = self.relay.media().pairs();
        assert_eq!((self.relay.calls(), pairs, self.open.len()), (0, 0, 0), "calls, pairs and sockets are left");
        assert_eq!(self.relay.poll_timeout(), None, "a timer without a call");
    }
}
