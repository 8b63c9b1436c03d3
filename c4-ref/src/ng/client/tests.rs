//! Choice, repetition, failover, connections, and the calling contract.

use super::*;
use crate::ng::bencode::Value;
use crate::ng::server::{self, Peer, Server};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use testkit::{Contract, Dice, Driver, Outcome};

#[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

const ONE: &str = "192.0.2.1:2223";
const TWO: &str = "192.0.2.2:2223";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config(nodes: &[&str]) -> Config {
    Config::new(nodes.iter().map(|node| node.parse().unwrap()).collect())
}

struct Rig {
    client: Client,
    now: Instant,
    /// Whether relays answer pings.
    pongs: bool,
    outbox: Vec<(SocketAddr, String, String)>,
}

impl Rig {
    fn with(config: Config) -> Rig {
        let now = base();
        Rig { client: Client::new(config, [5; 32], now), now, pongs: true, outbox: Vec::new() }
    }

    fn new(nodes: &[&str]) -> Rig {
        Rig::with(config(nodes))
    }

    fn offer(&mut self, call_id: &str, pinned: Option<u16>) -> RequestId {
        let mut request = Request::new(Command::Offer, call_id);
        (request.from_tag, request.sdp) = ("a".into(), "v=0\r\n".into());
        self.client.request(self.now, pinned.map(NodeId), request).unwrap()
    }

    /// Datagrams but pings: where to, cookie, dictionary.
    fn sent(&mut self) -> Vec<(SocketAddr, String, String)> {
        self.drain();
        std::mem::take(&mut self.outbox)
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            let To::Udp(to) = transmit.to else { panic!("{transmit:?}") };
            let text = String::from_utf8_lossy(&transmit.payload).into_owned();
            let (cookie, dict) = text.split_once(' ').unwrap();
            if !dict.contains("4:ping") {
                self.outbox.push((to, cookie.to_owned(), dict.to_owned()));
            } else if self.pongs {
                self.reply(to, cookie, "d6:result4:ponge").unwrap();
            }
        }
    }

    fn reply(&mut self, from: SocketAddr, cookie: &str, dict: &str) -> Result<(), Rejected> {
        self.client.handle_datagram(self.now, from, format!("{cookie} {dict}").into())
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn later(&mut self, ms: u64) {
        let to = self.now + Duration::from_millis(ms);
        self.drain();
        while let Some(next) = self.client.timers.first().map(|(at, _)| *at).filter(|next| *next <= to) {
            self.now = next.max(self.now);
            self.client.handle_timeout(self.now);
            self.drain();
        }
        self.now = to;
    }
}

const OK: &str = "d6:result2:ok3:sdp5:v=0\r\ne";

#[test]
fn a_request_is_repeated_with_its_cookie_until_the_reply() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223"]);
    let id = rig.offer("c1", None);
    let first = rig.sent();
    assert!(first[0].2.contains("10:load limit") && first[0].0 == at(ONE));
    rig.later(499);
    assert!(rig.sent().is_empty());
    rig.later(1);
    assert_eq!(rig.sent(), first);
    rig.reply(at(ONE), &first[0].1, OK).unwrap();
    let done = Event::Done { id, node: Some(NodeId(0)), result: Ok(Reply::with_sdp("v=0\r\n".into())) };
    assert_eq!(rig.events(), [done]);
    assert_eq!(rig.reply(at(ONE), &first[0].1, OK), Err(Rejected::Stray), "the second reply");
    rig.later(5000);
    assert!(rig.sent().is_empty() && rig.events().is_empty());
}

#[test]
fn only_the_relay_that_was_asked_may_answer() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223"]);
    rig.offer("c1", None);
    let (_, cookie, _) = rig.sent().remove(0);
    assert_eq!(rig.reply(at("192.0.2.66:2223"), &cookie, OK), Err(Rejected::Stray));
    assert_eq!(rig.reply(at(ONE), "0000000000000000_1", OK), Err(Rejected::Stray));
    assert_eq!(rig.client.handle_datagram(rig.now, at(ONE), "rubbish".into()), Err(Rejected::Malformed));
    assert_eq!(rig.client.stats().strays, 3);
    assert!(rig.reply(at("[::ffff:192.0.2.1]:2223"), &cookie, OK).is_ok());
}

#[test]
fn calls_are_spread_and_a_relay_that_goes_moves_only_its_own() {
    let nodes = ["udp:192.0.2.1:2223", "udp:192.0.2.2:2223", "udp:192.0.2.3:2223", "tcp:192.0.2.4:2223"];
    let (all, fewer) = (Rig::new(&nodes[..3]), Rig::new(&nodes[1..3]));
    let mut counts = [0; 3];
    for n in 0..3000 {
        let call = format!("call-{n}@example.com");
        let node = all.client.node_for(&call).unwrap();
        counts[usize::from(node.0)] += 1;
        if node != NodeId(0) {
            assert_eq!(fewer.client.node_for(&call).unwrap().0 + 1, node.0);
        }
    }
    assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    let other_seed = Client::new(config(&nodes[..3]), [99; 32], base());
    assert_eq!(other_seed.node_for("c1"), all.client.node_for("c1"), "proxies agree");
    let name = all.client.node_name(NodeId(2)).unwrap();
    assert_eq!(fewer.client.node_by_name(name), Some(NodeId(1)));
    assert_eq!(Rig::new(&nodes[..1]).client.node_by_name(name), None);
}

#[test]
fn a_silent_relay_is_left_for_the_next_and_counts_as_down_until_it_answers_a_ping() {
    let mut rig = Rig::with(Config { failures: 1, ..config(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]) });
    rig.later(4000);
    rig.pongs = false;
    let call = (0..).map(|n| format!("c{n}")).find(|call| rig.client.node_for(call) == Some(NodeId(0))).unwrap();
    let id = rig.offer(&call, None);
    let mut sent = rig.sent();
    for _ in 0..3 {
        rig.later(500);
        sent.extend(rig.sent());
    }
    assert_eq!(sent.iter().map(|(to, ..)| *to).collect::<Vec<_>>(), [at(ONE), at(ONE), at(ONE), at(TWO)]);
    assert!(sent.iter().all(|message| message.1 == sent[0].1), "the same request");
    assert_eq!(rig.reply(at(ONE), &sent[0].1, OK), Err(Rejected::Stray), "too late");
    rig.reply(at(TWO), &sent[0].1, OK).unwrap();
    let done = Event::Done { id, node: Some(NodeId(1)), result: Ok(Reply::with_sdp("v=0\r\n".into())) };
    assert_eq!(rig.events(), [Event::NodeDown(NodeId(0)), done]);
    assert_eq!(rig.client.node_for(&call), Some(NodeId(1)));
    rig.pongs = true;
    rig.later(10_000);
    assert!(rig.events().contains(&Event::NodeUp(NodeId(0))));
    assert_eq!(rig.client.node_for(&call), Some(NodeId(0)));
}

#[test]
fn pings_alone_find_a_dead_relay() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223"]);
    rig.pongs = false;
    rig.later(3000);
    assert!(rig.events().is_empty(), "one failure is not enough");
    rig.later(5000);
    assert_eq!(rig.events(), [Event::NodeDown(NodeId(0))]);
}

#[test]
fn a_relay_at_its_limit_sends_the_call_to_the_next() {
    for refusal in [
        "d7:message4:full6:result10:load limite",
        "d12:error-reason30:Parallel session limit reached6:result5:errore",
        "d12:error-reason16:Ran out of ports6:result5:errore",
    ] {
        let mut rig = Rig::new(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]);
        let id = rig.offer("c1", None);
        let (first, cookie, _) = rig.sent().remove(0);
        rig.reply(first, &cookie, refusal).unwrap();
        assert!(rig.events().is_empty());
        let (second, cookie, _) = rig.sent().remove(0);
        assert_ne!(first, second);
        rig.reply(second, &cookie, refusal).unwrap();
        let refused = Reply::parse(refusal.as_bytes()).unwrap();
        let done = matches!(&rig.events()[..], [Event::Done { id: known, result: Ok(reply), .. }] if *known == id && *reply == refused);
        assert!(done, "with no relay left the last reply counts");
        assert!(rig.client.nodes().all(|(.., is_up)| is_up), "they answer");
    }
}

#[test]
fn another_error_is_the_reply() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]);
    rig.offer("c1", None);
    let (to, cookie, _) = rig.sent().remove(0);
    rig.reply(to, &cookie, "d12:error-reason15:Unknown call-id6:result5:errore").unwrap();
    assert!(
        matches!(&rig.events()[..], [Event::Done { result: Ok(Reply::Error(text)), .. }] if text == "Unknown call-id")
    );
}

#[test]
fn a_pinned_request_goes_nowhere_else() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]);
    let id = rig.offer("c1", Some(1));
    for _ in 0..3 {
        assert!(rig.sent().iter().all(|(to, ..)| *to == at(TWO)));
        rig.later(500);
    }
    assert_eq!(rig.events(), [Event::Done { id, node: Some(NodeId(1)), result: Err(Failure::TimedOut) }]);
    rig.offer("c1", Some(1));
    let (to, cookie, _) = rig.sent().remove(0);
    rig.reply(to, &cookie, "d6:result10:load limite").unwrap();
    assert!(matches!(rig.events()[..], [Event::Done { result: Ok(Reply::LoadLimit(_)), .. }]));
    let id = rig.offer("c1", Some(7));
    assert_eq!(rig.events(), [Event::Done { id, node: None, result: Err(Failure::NoNode) }]);
}

#[test]
fn without_a_relay_that_is_up_a_new_call_hears_so_at_once() {
    let mut rig = Rig::with(Config { failures: 1, tries: 1, ..config(&["udp:192.0.2.1:2223"]) });
    rig.pongs = false;
    rig.offer("c1", None);
    rig.later(500);
    rig.events();
    let id = rig.offer("c2", None);
    assert_eq!(rig.events(), [Event::Done { id, node: None, result: Err(Failure::NoNode) }]);
    rig.offer("c1", Some(0));
    assert!(!rig.sent().is_empty(), "a call that lives there is tried");
}

#[test]
fn what_waits_for_a_relay_that_goes_down_moves_at_once() {
    let mut rig = Rig::with(Config { failures: 1, ..config(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]) });
    rig.later(3000);
    let mut calls = (0..).map(|n| format!("c{n}"));
    let mut next = |rig: &Rig| calls.find(|call| rig.client.node_for(call) == Some(NodeId(0))).unwrap();
    let (first, second) = (next(&rig), next(&rig));
    rig.offer(&first, None);
    rig.later(1400);
    rig.offer(&second, None);
    rig.sent();
    rig.later(100);
    let moved: Vec<_> = rig.sent().into_iter().map(|(to, ..)| to).collect();
    assert_eq!(moved, [at(TWO), at(TWO)]);
}

#[test]
fn a_request_goes_to_no_further_relay_when_its_time_is_over() {
    let nodes = ["udp:192.0.2.1:2223", "udp:192.0.2.2:2223", "udp:192.0.2.3:2223"];
    let mut rig = Rig::with(Config { patience: Duration::from_millis(2000), ..config(&nodes) });
    rig.offer("c1", None);
    rig.later(1500);
    rig.later(1499);
    assert!(rig.events().is_empty(), "the second relay is asked");
    rig.later(1);
    let done = rig.events();
    assert!(matches!(done[..], [Event::Done { result: Err(Failure::TimedOut), .. }]), "{done:?}");
}

#[test]
fn garbage_from_a_relay_is_a_failure_of_it() {
    let mut rig = Rig::new(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223"]);
    rig.offer("c1", None);
    let (first, cookie, _) = rig.sent().remove(0);
    assert_eq!(rig.reply(first, &cookie, "d6:resulti1ee"), Err(Rejected::Malformed));
    let (second, cookie, _) = rig.sent().remove(0);
    assert_ne!(first, second);
    let deep = "l".repeat(60_000);
    assert_eq!(rig.reply(second, &cookie, &deep), Err(Rejected::Malformed));
    assert!(matches!(rig.events()[..], [Event::Done { result: Err(Failure::BadReply), .. }]));
}

#[test]
fn lesson_24_a_large_offer_goes_over_tcp_where_there_is_tcp() {
    let large = || {
        let mut request = Request::new(Command::Offer, "c1");
        (request.from_tag, request.sdp) = ("a".into(), vec![b'x'; 70_000].into());
        request
    };
    let mut rig = Rig::new(&["udp:192.0.2.1:2223"]);
    let id = rig.client.request(rig.now, None, large()).unwrap();
    assert_eq!(rig.events(), [Event::Done { id, node: Some(NodeId(0)), result: Err(Failure::TooLarge) }]);
    let mut rig = Rig::new(&["udp:192.0.2.1:2223", "udp:192.0.2.2:2223,tcp:192.0.2.2:2224"]);
    let id = rig.client.request(rig.now, None, large()).unwrap();
    let events = rig.events();
    let [Event::Connect { connection, address }] = events[..] else { panic!("{events:?}") };
    assert_eq!(address, at("192.0.2.2:2224"));
    rig.client.handle_connect_done(rig.now, connection, Ok(()));
    let transmit = rig.client.poll_transmit().unwrap();
    assert_eq!(transmit.to, To::Tcp(connection));
    let cookie = transmit.payload.split(|octet| *octet == b' ').next().unwrap().to_vec();
    let sdp = Bytes::from(vec![b'y'; 80_000]);
    let reply = Frame::join(&cookie, |out| Reply::with_sdp(sdp.clone()).write(out));
    for piece in reply.chunks(4096) {
        rig.client.handle_stream(rig.now, connection, piece).unwrap();
    }
    assert_eq!(rig.events(), [Event::Done { id, node: Some(NodeId(1)), result: Ok(Reply::with_sdp(sdp)) }]);
    rig.offer("c2", Some(1));
    assert_eq!(rig.sent().len(), 1, "small ones go over UDP");
}

#[test]
fn a_connection_that_ends_is_made_again_and_what_waited_is_sent_again() {
    let mut rig = Rig::with(config(&["tcp:192.0.2.1:2223"]));
    let id = rig.offer("c1", None);
    let connect = |rig: &mut Rig| {
        let events = rig.events();
        let [Event::Connect { connection, .. }] = events[..] else { panic!("{events:?}") };
        connection
    };
    let first = connect(&mut rig);
    rig.client.handle_connect_done(rig.now, first, Ok(()));
    let sent = rig.client.poll_transmit().unwrap();
    rig.client.handle_closed(rig.now, first);
    let second = connect(&mut rig);
    rig.client.handle_connect_done(rig.now, second, Ok(()));
    let again = rig.client.poll_transmit().unwrap();
    assert_eq!((again.to, &again.payload), (To::Tcp(second), &sent.payload));
    assert_eq!(rig.client.handle_stream(rig.now, first, b"x de"), Err(Rejected::Stray), "the old one");
    rig.client.handle_closed(rig.now, second);
    let third = connect(&mut rig);
    rig.client.handle_connect_done(rig.now, third, Err(io::ErrorKind::ConnectionRefused));
    assert_eq!(rig.events(), [Event::Done { id, node: Some(NodeId(0)), result: Err(Failure::NoConnection) }]);
    rig.offer("c2", None);
    let fourth = connect(&mut rig);
    rig.client.handle_connect_done(rig.now, fourth, Ok(()));
    rig.client.poll_transmit().unwrap();
    assert_eq!(rig.client.handle_stream(rig.now, fourth, b"1 de"), Err(Rejected::Stray));
    assert_eq!(rig.client.handle_stream(rig.now, fourth, b"1 xyz"), Err(Rejected::Malformed));
    assert!(rig.client.poll_transmit().unwrap().close);
}

#[test]
fn requests_are_bounded() {
    let mut rig = Rig::with(Config { max_requests: 2, ..config(&["udp:192.0.2.1:2223"]) });
    rig.offer("c1", None);
    rig.offer("c2", None);
    let third = rig.client.request(rig.now, None, Request::new(Command::Query, "c3"));
    assert_eq!(third, Err(Rejected::Busy));
}

#[test]
fn relays_in_the_configuration() {
    for bad in
        ["", "192.0.2.1:2223", "tls:192.0.2.1:2223", "udp:192.0.2.1", "udp:a:1", "udp:192.0.2.1:1,udp:192.0.2.1:2"]
    {
        assert!(bad.parse::<Node>().unwrap_err().contains("accepted"), "{bad}");
    }
    assert_eq!("tcp:[2001:db8::1]:2223".parse::<Node>().unwrap().to_string(), "tcp:[2001:db8::1]:2223");
}

/// A client and a server, with every third datagram lost: each request reaches the relay once, and is answered once.
#[test]
fn client_and_server_over_a_lossy_network() {
    let (mut rig, mut dice) = (Rig::with(Config { tries: 20, ..config(&["udp:127.0.0.1:2223"]) }), Dice::new(7));
    let ours = at("127.0.0.1:40000");
    let mut server = Server::new(server::Config::default(), [1; 32], rig.now);
    let mut served: HashMap<String, u32> = HashMap::new();
    let mut done = 0;
    for n in 0..200 {
        rig.offer(&format!("call-{n}"), None);
    }
    for _ in 0..200 {
        for (_, cookie, dict) in rig.sent() {
            if dice.below(3) > 0 {
                server.handle_datagram(rig.now, 0, ours, format!("{cookie} {dict}").into()).unwrap();
            }
        }
        while let Some(server::Event::Request { id, request, .. }) = server.poll_event() {
            *served.entry(request.call_id.clone()).or_default() += 1;
            let calls = Value::texts([request.call_id]);
            server.handle_answer(rig.now, id, Reply::Ok([("calls".into(), calls)].into())).unwrap();
        }
        while let Some(transmit) = server.poll_transmit() {
            assert!(matches!(transmit.to, Peer::Udp { remote, .. } if remote == ours));
            if dice.below(3) > 0 {
                let _ = rig.client.handle_datagram(rig.now, at("127.0.0.1:2223"), transmit.payload);
            }
        }
        done += rig.events().iter().filter(|event| matches!(event, Event::Done { .. })).count();
        rig.later(100);
    }
    assert_eq!(done, 200);
    assert!(served.values().all(|times| *times == 1), "none was served twice");
}

#[derive(Clone, Debug)]
enum Step {
    Request(Option<NodeId>, String),
    Datagram(SocketAddr, Bytes),
    ConnectDone(ConnectionId, bool),
    Stream(ConnectionId, Bytes),
    Closed(ConnectionId),
}

#[derive(Clone)]
struct Played(Client);

impl Contract for Played {
    type Step = Step;
    type Transmit = Transmit;
    type Event = Event;

    fn apply(&mut self, now: Instant, step: &Step) -> Outcome {
        match step {
            Step::Request(pinned, call_id) => {
                let request = Request::new(Command::Query, call_id);
                if self.0.request(now, *pinned, request) == Err(Rejected::Busy) {
                    return Outcome::Busy;
                }
            }
            Step::Datagram(from, octets) => _ = self.0.handle_datagram(now, *from, octets.clone()),
            Step::ConnectDone(id, is_ok) => {
                let result = if *is_ok { Ok(()) } else { Err(io::ErrorKind::TimedOut) };
                self.0.handle_connect_done(now, *id, result);
            }
            Step::Stream(id, octets) => _ = self.0.handle_stream(now, *id, octets),
            Step::Closed(id) => self.0.handle_closed(now, *id),
        }
        Outcome::Done
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn digest(&self) -> u64 {
        let client = &self.0;
        let mut hasher = DefaultHasher::new();
        let shown = format!("{:?}", (&client.nodes, &client.exchanges, &client.timers));
        (client.now, client.next, shown).hash(&mut hasher);
        hasher.finish()
    }
}

#[derive(Default)]
struct Traffic {
    sent: Vec<Transmit>,
    connects: Vec<ConnectionId>,
    open: Vec<ConnectionId>,
}

impl Driver<Played> for Traffic {
    fn step(&mut self, dice: &mut Dice) -> (Duration, Step) {
        let delay = Duration::from_millis([0, 0, 1, 90, 400, 3000][dice.below(6) as usize]);
        let pick = |dice: &mut Dice, n: usize| dice.below(n as u64) as usize;
        let step = match dice.below(12) {
            0..=1 if !self.connects.is_empty() => {
                let id = self.connects.swap_remove(pick(dice, self.connects.len()));
                self.open.push(id);
                Step::ConnectDone(id, dice.below(4) > 0)
            }
            2 if !self.open.is_empty() => Step::Closed(self.open.swap_remove(pick(dice, self.open.len()))),
            3..=8 if !self.sent.is_empty() => self.answer(dice),
            _ => {
                let pinned = (dice.below(4) == 0).then(|| NodeId(dice.below(4) as u16));
                Step::Request(pinned, format!("c{}", dice.below(30)))
            }
        };
        (delay, step)
    }

    fn saw_transmit(&mut self, transmit: &Transmit) {
        self.sent.push(transmit.clone());
    }

    fn saw_event(&mut self, event: &Event) {
        if let Event::Connect { connection, .. } = event {
            self.connects.push(*connection);
        }
    }
}

impl Traffic {
    fn answer(&mut self, dice: &mut Dice) -> Step {
        let transmit = self.sent.swap_remove(dice.below(self.sent.len() as u64) as usize);
        let replies = [Reply::Pong, Reply::ok(), Reply::LoadLimit("x".into()), Reply::error("Ran out of ports")];
        let cookie = transmit.payload.split(|octet| *octet == b' ').next().unwrap_or_default();
        let mut octets = Frame::join(cookie, |out| replies[dice.below(4) as usize].write(out));
        if dice.below(6) == 0 {
            octets.truncate(dice.below(octets.len() as u64) as usize);
        }
        match transmit.to {
            To::Udp(from) => Step::Datagram(from, octets),
            To::Tcp(id) => Step::Stream(id, octets),
        }
    }
}

#[test]
fn the_contract_is_kept() {
    for seed in 0..8 {
        let start = base();
        let nodes = ["udp:192.0.2.1:2223", "tcp:192.0.2.2:2223", "udp:192.0.2.3:2223,tcp:192.0.2.3:2223"];
        let make = || {
            let config = Config { max_requests: 12, max_output: 30, datagram_limit: 60, ..config(&nodes) };
            Played(Client::new(config, [9; 32], start))
        };
        let run = testkit::check(make, Traffic::default(), start, seed, 600, Duration::from_secs(60));
        let done = run.events.iter().filter(|event| event.starts_with("Done")).count() as u64;
        assert_eq!(done, run.machine.0.stats().requests, "each request is done, once");
        assert!(done > 100 && run.events.iter().any(|event| event.starts_with("NodeUp")), "{done}");
        assert!(run.machine.0.exchanges.values().all(|exchange| exchange.is_ping()), "but for pings nothing is left");
    }
}
