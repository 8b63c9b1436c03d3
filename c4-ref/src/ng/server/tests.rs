//! The cookie cache, who may ask, and the calling contract.

use super::*;
use crate::ng::Command;
use crate::ng::bencode::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use testkit::{Contract, Dice, Driver, Outcome};

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

fn from(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Rig {
    server: Server,
    now: Instant,
}

impl Rig {
    fn with(config: Config) -> Rig {
        let now = base();
        Rig { server: Server::new(config, [5; 32], now), now }
    }

    fn new() -> Rig {
        Rig::with(Config::default())
    }

    fn send(&mut self, remote: &str, text: &str) -> Result<(), Rejected> {
        self.server.handle_datagram(self.now, 0, from(remote), text.to_owned().into())
    }

    fn requests(&mut self) -> Vec<(CommandId, Request)> {
        let next = || self.server.poll_event();
        std::iter::from_fn(next).map(|Event::Request { id, request, .. }| (id, request)).collect()
    }

    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.server.poll_transmit())
            .map(|transmit| String::from_utf8_lossy(&transmit.payload).into_owned())
            .collect()
    }

    fn answer(&mut self, id: CommandId, reply: Reply) {
        self.server.handle_answer(self.now, id, reply).unwrap();
    }

    fn later(&mut self, by: Duration) {
        self.now += by;
        self.server.handle_timeout(self.now);
    }
}

const KAMAILIO: &str = "127.0.0.1:40000";
const OFFER: &str = "d7:command5:offer7:call-id2:c13:sdp4:v=0\n8:from-tag1:ae";

#[test]
fn a_request_reaches_the_relay_once_and_its_reply_is_kept() {
    let mut rig = Rig::new();
    let offer = format!("17_42_1 {OFFER}");
    rig.send(KAMAILIO, &offer).unwrap();
    let [(id, request)] = rig.requests().try_into().unwrap();
    assert_eq!(request.command, Command::Offer);
    rig.send(KAMAILIO, &offer).unwrap();
    assert_eq!((rig.requests().len(), rig.sent().len()), (0, 0), "the first one's answer is awaited");
    rig.answer(id, Reply::with_sdp("v=0\n".into()));
    assert_eq!(rig.sent(), ["17_42_1 d6:result2:ok3:sdp4:v=0\ne"]);
    rig.send(KAMAILIO, &offer).unwrap();
    assert_eq!(rig.sent(), ["17_42_1 d6:result2:ok3:sdp4:v=0\ne"]);
    assert_eq!(rig.requests().len(), 0);
    assert_eq!(rig.server.handle_answer(rig.now, id, Reply::Pong), Err(Gone));
    rig.later(Duration::from_secs(11));
    rig.later(Duration::from_secs(11));
    assert_eq!(rig.server.poll_timeout(), None, "nothing is left");
    rig.send(KAMAILIO, &offer).unwrap();
    assert_eq!(rig.requests().len(), 1, "after ten seconds it is another request");
}

#[test]
fn cookies_of_two_clients_may_be_the_same() {
    let mut rig = Rig::with(Config { allow: vec!["0.0.0.0/0".parse().unwrap()], ..Config::default() });
    for remote in ["192.0.2.1:5000", "192.0.2.2:5000", "192.0.2.2:5001"] {
        rig.send(remote, &format!("1_1_1 {OFFER}")).unwrap();
    }
    rig.server.handle_datagram(rig.now, 1, from("192.0.2.1:5000"), format!("1_1_1 {OFFER}").into()).unwrap();
    assert_eq!(rig.requests().len(), 4);
}

#[test]
fn a_cookie_that_counts_from_one_again_is_another_request() {
    let mut rig = Rig::new();
    rig.send(KAMAILIO, "1_1_1 d7:command4:pinge").unwrap();
    let [(ping, _)] = rig.requests().try_into().unwrap();
    rig.send(KAMAILIO, &format!("1_1_1 {OFFER}")).unwrap();
    let [(offer, _)] = rig.requests().try_into().unwrap();
    assert_eq!(rig.server.handle_answer(rig.now, ping, Reply::Pong), Err(Gone), "nobody waits for it");
    rig.answer(offer, Reply::ok());
    assert_eq!(rig.sent(), ["1_1_1 d6:result2:oke"]);
}

#[test]
fn only_those_who_may_ask_get_anything() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("192.0.2.1:5000", "1 d7:command4:pinge"), Err(Rejected::Denied));
    assert_eq!(rig.send("192.0.2.1:5000", "1 rubbish"), Err(Rejected::Denied));
    let refused = rig.server.handle_connected(rig.now, ConnectionId(1), from("192.0.2.1:5000"));
    assert_eq!(refused, Err(Rejected::Denied));
    assert!(rig.sent().is_empty());
    assert_eq!(rig.send("[::1]:5000", "1 d7:command4:pinge"), Ok(()));
    assert_eq!(rig.send("[::ffff:127.0.0.1]:5000", "1 d7:command4:pinge"), Ok(()));
    rig.server.set_allow(vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(rig.send("192.0.2.1:5000", "1 d7:command4:pinge"), Ok(()));
    assert_eq!(rig.server.stats().denied, 3);
}

#[test]
fn what_is_malformed_gets_an_error_where_a_cookie_can_be_read() {
    let mut rig = Rig::new();
    let deep = format!("5 {}", "d1:a".repeat(10_000));
    let huge = "6 d3:sdp99999999999999999999:v=0e".to_owned();
    let negative = "7 d3:sdp-5:v=0e".to_owned();
    for text in ["1 ".to_owned(), "2 hello".into(), "3 d7:comm".into(), "4 de".into(), deep, huge, negative] {
        assert_eq!(rig.send(KAMAILIO, &text), Err(Rejected::Malformed), "{text:.20}");
    }
    let reasons = [
        "1 d12:error-reason25:Invalid data (no payload)6:result5:errore",
        "2 d12:error-reason22:Invalid NG data format6:result5:errore",
        "3 d12:error-reason35:Could not decode bencode dictionary6:result5:errore",
        "4 d12:error-reason36:Dictionary contains no key \"command\"6:result5:errore",
    ];
    let sent = rig.sent();
    assert_eq!(sent.len(), 7);
    assert_eq!(sent[..4], reasons);
    assert!(sent[4..].iter().all(|text| text.contains("Could not decode")));
    for text in ["", "hello", " d7:command4:pinge", &"x".repeat(60_000)] {
        assert_eq!(rig.send(KAMAILIO, text), Err(Rejected::NoCookie));
    }
    assert!(rig.sent().is_empty() && rig.requests().is_empty());
}

#[test]
fn unknown_commands_reach_the_relay_with_their_name() {
    let mut rig = Rig::new();
    rig.send(KAMAILIO, "1 d7:command10:play mediae").unwrap();
    let [(id, request)] = rig.requests().try_into().unwrap();
    assert_eq!(request.command, Command::Other("play media".into()));
    rig.answer(id, Reply::error("Unrecognized command"));
    assert_eq!(rig.sent(), ["1 d12:error-reason20:Unrecognized command6:result5:errore"]);
}

#[test]
fn a_load_limit_is_said_to_those_who_know_it_and_is_an_error_to_others() {
    let mut rig = Rig::new();
    rig.send(KAMAILIO, &format!("1 d8:supportsl10:load limite{}", &OFFER[1..])).unwrap();
    rig.send(KAMAILIO, &format!("2 {OFFER}")).unwrap();
    for (id, _) in rig.requests() {
        rig.answer(id, Reply::LoadLimit("full".into()));
    }
    let texts = [
        "1 d7:message4:full6:result10:load limite",
        "2 d12:error-reason30:Parallel session limit reached6:result5:errore",
    ];
    assert_eq!(rig.sent(), texts);
}

#[test]
fn a_hundred_thousand_offers_from_one_source_stay_in_bounds() {
    let mut rig = Rig::with(Config { max_output: 1 << 20, ..Config::default() });
    let mut busy = 0;
    for n in 0..100_000 {
        busy += usize::from(rig.send(KAMAILIO, &format!("{n} {OFFER}")) == Err(Rejected::Busy));
    }
    assert_eq!(busy, 100_000 - 1024);
    assert_eq!(rig.server.cache.sizes().1, 1024);
    rig.send("[::1]:5000", &format!("1 {OFFER}")).unwrap();
    let sdp = Bytes::from(vec![b'x'; 1500]);
    let mut n = 0;
    while n < 40_000 {
        for (id, _) in rig.requests() {
            rig.answer(id, Reply::with_sdp(sdp.clone()));
        }
        rig.sent();
        for _ in 0..1024 {
            rig.send(KAMAILIO, &format!("again{n} {OFFER}")).unwrap();
            n += 1;
        }
    }
    let (sources, entries, octets) = rig.server.cache.sizes();
    assert_eq!(sources, 2);
    assert!(entries <= 16_384 + 1024 + 1 && octets <= (16 << 20) + 2000, "{entries} {octets}");
    rig.send("[::1]:5000", &format!("1 {OFFER}")).unwrap();
    assert!(rig.sent().last().is_some_and(|text| text.starts_with("1 d6:result2:ok")), "the quiet one's is kept");
}

#[test]
fn requests_that_are_never_answered_are_forgotten() {
    let mut rig = Rig::new();
    rig.send(KAMAILIO, &format!("1 {OFFER}")).unwrap();
    let [(id, _)] = rig.requests().try_into().unwrap();
    rig.later(Duration::from_secs(10));
    rig.later(Duration::from_secs(10));
    assert_eq!(rig.server.handle_answer(rig.now, id, Reply::ok()), Err(Gone));
    assert_eq!((rig.server.poll_timeout(), rig.server.waiting.len()), (None, 0));
}

#[test]
fn sources_are_bounded() {
    let mut rig = Rig::with(Config { allow: vec!["0.0.0.0/0".parse().unwrap()], max_sources: 3, ..Config::default() });
    let results: Vec<_> = (1..=5).map(|n| rig.send(&format!("192.0.2.{n}:1"), "1 d7:command4:pinge").is_ok()).collect();
    assert_eq!(results, [true, true, true, false, false]);
}

fn stream(rig: &mut Rig, text: &[u8]) -> Result<(), Rejected> {
    rig.server.handle_stream(rig.now, ConnectionId(1), text)
}

#[test]
fn requests_over_tcp_in_pieces_and_in_a_row() {
    let mut rig = Rig::new();
    rig.server.handle_connected(rig.now, ConnectionId(1), from(KAMAILIO)).unwrap();
    let octets = format!("1 d7:command4:pinge2 {OFFER}3 d7:command4:pinge");
    for piece in octets.as_bytes().chunks(11) {
        stream(&mut rig, piece).unwrap();
    }
    let requests = rig.requests();
    assert_eq!(requests.len(), 3);
    rig.answer(requests[1].0, Reply::ok());
    let transmit = rig.server.poll_transmit().unwrap();
    assert_eq!(transmit, Transmit { to: Peer::Tcp(ConnectionId(1)), payload: "2 d6:result2:oke".into(), close: false });
    stream(&mut rig, b"2 ").unwrap();
    stream(&mut rig, OFFER.as_bytes()).unwrap();
    assert_eq!(rig.sent(), ["2 d6:result2:oke"], "a repetition is answered here too");
    assert_eq!(stream(&mut rig, b"4 nonsense"), Err(Rejected::Malformed));
    let last = rig.server.poll_transmit().unwrap();
    assert!(last.close && last.payload.starts_with(b"4 d12:error-reason"));
    assert_eq!(stream(&mut rig, b"5 de"), Err(Rejected::Gone));
    assert_eq!(rig.server.handle_answer(rig.now, requests[0].0, Reply::Pong), Ok(()), "the driver drops it");
}

#[test]
fn lesson_24_sdp_larger_than_a_datagram_goes_over_tcp() {
    let mut rig = Rig::with(Config { limits: Limits { octets: 1 << 20, ..Limits::default() }, ..Config::default() });
    rig.server.handle_connected(rig.now, ConnectionId(1), from(KAMAILIO)).unwrap();
    let sdp = "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n".repeat(2000);
    let mut request = Request::new(Command::Offer, "c1");
    (request.from_tag, request.sdp) = ("a".into(), sdp.clone().into());
    let octets = Frame::join(b"1", |out| request.write(out));
    assert!(octets.len() > MOST_DATAGRAM);
    for piece in octets.chunks(1448) {
        stream(&mut rig, piece).unwrap();
    }
    let [(id, request)] = rig.requests().try_into().unwrap();
    assert_eq!(request.sdp, sdp);
    rig.answer(id, Reply::with_sdp(sdp.clone().into()));
    assert!(rig.server.poll_transmit().unwrap().payload.len() > MOST_DATAGRAM);
    // A reply that no datagram holds is an error there, not silence.
    rig.send(KAMAILIO, "2 d7:command4:liste").unwrap();
    let [(id, _)] = rig.requests().try_into().unwrap();
    let calls = Value::texts((0..5000).map(|n| format!("call-{n}@192.0.2.1")));
    rig.answer(id, Reply::Ok([("calls".into(), calls)].into()));
    assert!(rig.sent()[0].contains("larger than a datagram"));
}

#[derive(Clone, Debug)]
enum Step {
    Datagram(SocketAddr, String),
    Connected(ConnectionId),
    Stream(ConnectionId, String),
    Closed(ConnectionId),
    Answer(CommandId, Reply),
}

impl Contract for Rig {
    type Step = Step;
    type Transmit = Transmit;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        let result = match step {
            Step::Datagram(remote, text) => self.server.handle_datagram(now, 0, *remote, text.clone().into()),
            Step::Connected(id) => self.server.handle_connected(now, *id, from(KAMAILIO)),
            Step::Stream(id, text) => self.server.handle_stream(now, *id, text.as_bytes()),
            Step::Closed(id) => {
                self.server.handle_closed(now, *id);
                Ok(())
            }
            Step::Answer(id, reply) => {
                let _ = self.server.handle_answer(now, *id, reply.clone());
                Ok(())
            }
        };
        if result == Err(Rejected::Busy) { Outcome::Busy } else { Outcome::Done }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.server.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.server.poll_event()
    }

    fn digest(&self) -> u64 {
        let server = &self.server;
        let mut hasher = DefaultHasher::new();
        // Hash tables with one key and one history have one order.
        let tables = format!("{:?}", (&server.cache, &server.waiting, &server.connections, server.sweep));
        (server.now, server.next_id, tables).hash(&mut hasher);
        hasher.finish()
    }
}

impl Clone for Rig {
    fn clone(&self) -> Rig {
        Rig { server: self.server.clone(), now: self.now }
    }
}

#[derive(Default)]
struct Traffic {
    connection: u64,
    ids: Vec<CommandId>,
}

impl Driver<Rig> for Traffic {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let delay = [0, 0, 0, 5, 800, 12_000][dice.below(6) as usize];
        let text = match dice.below(4) {
            0 => format!("{} d7:command4:pinge", dice.below(20)),
            1 => format!("{} {OFFER}", dice.below(20)),
            2 => format!("{} {}", dice.below(20), &OFFER[..dice.below(OFFER.len() as u64) as usize]),
            _ => format!("{}", dice.below(20)),
        };
        let id = ConnectionId(self.connection.saturating_sub(dice.below(3)));
        let step = match dice.below(10) {
            0..=3 => {
                let remote = [KAMAILIO, "127.0.0.1:40001", "127.0.0.9:1", "192.0.2.1:1"][dice.below(4) as usize];
                Step::Datagram(from(remote), text)
            }
            4 => {
                self.connection += 1;
                Step::Connected(ConnectionId(self.connection))
            }
            5 => Step::Stream(id, text),
            6 if dice.below(3) == 0 => Step::Closed(id),
            _ if !self.ids.is_empty() => {
                let id = self.ids.swap_remove(dice.below(self.ids.len() as u64) as usize);
                let replies = [Reply::Pong, Reply::ok(), Reply::LoadLimit("x".into()), Reply::error("y")];
                Step::Answer(id, replies[dice.below(4) as usize].clone())
            }
            _ => Step::Answer(CommandId(dice.below(50)), Reply::Pong),
        };
        (Duration::from_millis(delay), step)
    }

    fn saw_event(&mut self, event: &Event) {
        let Event::Request { id, .. } = event;
        self.ids.push(*id);
    }
}

#[test]
fn the_contract_is_kept() {
    for seed in 0..8 {
        let start = base();
        let config = || Config {
            max_waiting: 6,
            max_replies: 8,
            max_sources: 2,
            max_output: 4,
            max_connections: 4,
            ..Config::default()
        };
        let make = || Rig { server: Server::new(config(), [9; 32], start), now: start };
        let run = testkit::check(make, Traffic::default(), start, seed, 500, Duration::from_secs(60));
        assert!(run.events.len() > 50 && run.transmits.len() > 50 && run.busy > 0, "{}", run.busy);
        assert!(run.machine.server.cache.is_empty() && run.machine.server.waiting.is_empty());
    }
}
