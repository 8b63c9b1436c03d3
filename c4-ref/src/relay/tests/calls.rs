//! Calls as they go.

use super::*;
use crate::ng::bencode::Value;
use crate::relay::TimeoutKind;

fn house() -> House {
    House::new(settings())
}

/// Where the socket on this port sends to, and the port of the socket by which its RTP goes on.
fn way(house: &mut House, port: u16) -> (Option<std::net::SocketAddr>, Option<u16>) {
    let pairs: Vec<Pair> = house.open.values().copied().collect();
    let pair = pairs.iter().find(|pair| pair.local.port() == port).copied().expect("an open pair");
    let media = house.relay.media();
    let out = media.setup(pair.rtp).unwrap().out_rtp;
    (media.remote(pair.rtp), pairs.iter().find(|one| Some(one.rtp) == out).map(|one| one.local.port()))
}

#[test]
fn media_go_between_the_parties_once_it_is_answered() {
    let mut house = house();
    let (a, b) = house.call();
    assert_eq!(way(&mut house, a), ((A, 4000).to_socket(), Some(b)));
    assert_eq!(way(&mut house, b), ((B, 5000).to_socket(), Some(a)));
    assert_eq!(house.open.len(), 2);
}

trait ToSocket {
    fn to_socket(self) -> Option<std::net::SocketAddr>;
}

impl ToSocket for (&str, u16) {
    fn to_socket(self) -> Option<std::net::SocketAddr> {
        format!("{}:{}", self.0, self.1).parse().ok()
    }
}

#[test]
fn a_repeated_offer_keeps_its_ports() {
    let mut house = house();
    let first = port(&house.ask(offer("a", None, sdp(A, 4000))));
    assert_eq!(port(&house.ask(offer("a", None, sdp(A, 4000)))), first);
    assert_eq!(house.open.len(), 2);
}

#[test]
fn a_reoffer_that_is_not_answered_leaves_the_old_destinations() {
    let mut house = house();
    let (a, b) = house.call();
    assert_eq!(port(&house.ask(offer("a", Some("b"), sdp("192.0.2.9", 4444)))), b);
    assert_eq!(way(&mut house, a).0, (A, 4000).to_socket(), "rtpengine#1046");
    assert_eq!(port(&house.ask(answer("a", "b", sdp(B, 5000)))), a);
    assert_eq!(way(&mut house, a).0, ("192.0.2.9", 4444).to_socket());
    // The other way round, with the branch of the first offer still named.
    let again = Request { via_branch: Some("x".into()), ..offer("b", Some("a"), sdp(B, 5002)) };
    assert_eq!(port(&house.ask(again)), a);
    assert_eq!(port(&house.ask(answer("b", "a", sdp("192.0.2.9", 4444)))), b);
    assert_eq!(way(&mut house, b).0, (B, 5002).to_socket());
    assert_eq!(house.open.len(), 2);
}

#[test]
fn rfc3261_14_2_of_offers_that_cross_each_answer_means_its_own() {
    let mut house = house();
    let (a, b) = house.call();
    house.ask(offer("a", Some("b"), sdp("192.0.2.9", 4444)));
    // Refused with 491, which no relay hears of.
    house.ask(offer("b", Some("a"), sdp(B, 5002)));
    for _ in 0..2 {
        house.ask(answer("a", "b", sdp(B, 5000)));
        assert_eq!(way(&mut house, a).0, ("192.0.2.9", 4444).to_socket(), "not where the other one is");
        assert_eq!(way(&mut house, b).0, (B, 5000).to_socket());
    }
    house.ask(answer("b", "a", sdp("192.0.2.9", 4444)));
    assert_eq!(way(&mut house, b).0, (B, 5002).to_socket(), "it was only late");
    assert_eq!(way(&mut house, a).0, ("192.0.2.9", 4444).to_socket());
}

#[test]
fn branches_have_their_own_sockets_and_share_those_of_the_caller() {
    let mut house = house();
    let branch = |name: &str, request: Request| Request { via_branch: Some(name.into()), ..request };
    let one = port(&house.ask(branch("1", offer("a", None, sdp(A, 4000)))));
    let two = port(&house.ask(branch("2", offer("a", None, sdp(A, 4000)))));
    assert_ne!(one, two);
    assert_eq!(house.open.len(), 3);
    let a = port(&house.ask(branch("1", answer("a", "b1", sdp(B, 5000)))));
    assert_eq!(way(&mut house, a).1, Some(one));
    assert_eq!(port(&house.ask(branch("2", answer("a", "b2", sdp(B, 6000))))), a);
    assert_eq!(way(&mut house, a).1, Some(two), "the last answer decides");
    assert_eq!(way(&mut house, one), ((B, 5000).to_socket(), Some(a)), "early media of the other still flow");
}

#[test]
fn a_second_answer_to_one_offer_is_heard_on_the_same_sockets() {
    let mut house = house();
    let (a, b) = house.call();
    assert_eq!(port(&house.ask(answer("a", "c", sdp(B, 7000)))), a);
    assert_eq!(way(&mut house, b), ((B, 7000).to_socket(), Some(a)));
    assert_eq!(port(&house.ask(offer("c", Some("a"), sdp(B, 7000)))), a);
    assert_eq!(house.open.len(), 2);
}

#[test]
fn a_late_offer_knows_both_tags() {
    let mut house = house();
    let to_a = port(&house.ask(offer("b", Some("a"), sdp(B, 5000))));
    let to_b = port(&house.ask(answer("b", "a", sdp(A, 4000))));
    assert_eq!(way(&mut house, to_a), ((A, 4000).to_socket(), Some(to_b)));
}

#[test]
fn what_nobody_knows_is_an_error_in_the_words_of_rtpengine() {
    let mut house = house();
    assert_eq!(house.ask(answer("a", "b", sdp(B, 5000))), Reply::error("Unknown call-id"));
    assert_eq!(house.ask(query()), Reply::error("Unknown call-id"));
    assert_eq!(house.ask(delete("a", None)), Reply::with_warning("Call-ID not found or tags didn't match"));
    house.call();
    assert_eq!(house.ask(delete("x", None)), Reply::with_warning("Call-ID not found or tags didn't match"));
    assert_eq!(house.ask(answer("x", "b", sdp(B, 5000))), Reply::error("Invalid dialogue association"));
    assert_eq!(house.ask(Request::new(Command::Other("x".into()), "")), Reply::error("Unrecognized command"));
}

#[test]
fn a_deleted_call_lingers_and_a_new_offer_revives_it() {
    let mut house = house();
    house.call();
    assert!(matches!(house.ask(delete("a", None)), Reply::Ok(dict) if dict.contains_key("totals")));
    house.pass(29);
    assert_eq!(house.relay.calls(), 1);
    house.ask(offer("a", Some("b"), sdp(A, 4000)));
    house.pass(10);
    assert_eq!(house.relay.calls(), 1, "a refused re-INVITE sends a delete, too");
    house.ask(delete("a", Some("b")));
    house.pass(30);
    assert_eq!((house.relay.calls(), house.open.len()), (0, 0));
    assert!(house.events.is_empty());
}

#[test]
fn a_delay_of_zero_acts_at_once() {
    let mut house = house();
    house.call();
    let mut request = delete("b", Some("a"));
    request.flags.delete_delay = Some(Duration::ZERO);
    house.ask(request);
    assert_eq!((house.relay.calls(), house.open.len()), (0, 0));
}

#[test]
fn the_delete_of_a_branch_leaves_the_others() {
    let mut house = house();
    for name in ["1", "2"] {
        house.ask(Request { via_branch: Some(name.into()), ..offer("a", None, sdp(A, 4000)) });
        house.ask(Request { via_branch: Some(name.into()), ..answer("a", name, sdp(B, 5000)) });
    }
    assert_eq!(house.open.len(), 3);
    house.ask(delete("a", Some("2")));
    house.pass(31);
    assert_eq!(house.open.len(), 2);
    let media_of_a = house.open.values().next().copied().unwrap();
    assert!(house.relay.media().setup(media_of_a.rtp).unwrap().out_rtp.is_some());
    let Reply::Ok(tree) = house.ask(query()) else { panic!() };
    let Some(Value::Dict(tags)) = tree.get("tags") else { panic!() };
    assert_eq!(tags.keys().map(|tag| &**tag).collect::<Vec<_>>(), ["1", "a"]);
    house.ask(Request { via_branch: Some("1".into()), ..delete("a", None) });
    house.pass(31);
    assert_eq!(house.relay.calls(), 0);
}

#[test]
fn the_delete_of_a_branch_means_all_that_answered_behind_it() {
    let mut house = house();
    let branch = |request: Request| Request { via_branch: Some("1".into()), ..request };
    house.ask(branch(offer("a", None, sdp(A, 4000))));
    for tag in ["b", "c"] {
        house.ask(branch(answer("a", tag, sdp(B, 5000))));
    }
    house.ask(branch(delete("a", None)));
    house.pass(31);
    assert_eq!((house.relay.calls(), house.open.len()), (0, 0));
}

#[test]
fn calls_without_media_time_out_and_say_so() {
    let run = |answered: bool, line: &str| {
        let mut house = house();
        house.ask(offer("a", None, sdp(A, 4000).replace("sendrecv", line)));
        if answered {
            house.ask(answer("a", "b", sdp(B, 5000)));
        }
        let mut seconds = 0;
        while house.events.is_empty() {
            house.pass(1);
            seconds += 1;
        }
        assert_eq!((house.relay.calls(), house.open.len(), house.relay.poll_timeout()), (0, 0, None));
        match house.events.remove(0) {
            Event::Timeout { kind, from_tag, .. } => (kind, seconds, from_tag),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(run(true, "sendrecv"), (TimeoutKind::Media, 60, Some("a".into())));
    assert_eq!(run(true, "sendonly"), (TimeoutKind::Silent, 3600, Some("a".into())));
    assert_eq!(run(false, "sendrecv"), (TimeoutKind::Offer, 300, Some("a".into())));
}

#[test]
fn no_ports_means_nothing_has_changed() {
    let mut small = settings();
    small.media.ports = (20_000, 20_003);
    let mut house = House::new(small);
    let (a, _) = house.call();
    let video = format!("{}m=video 4002 RTP/AVP 96\r\n", sdp("192.0.2.9", 4444));
    assert_eq!(house.ask(offer("a", Some("b"), video)), Reply::error("Ran out of ports"));
    assert_eq!(way(&mut house, a).0, (A, 4000).to_socket());
    let mut other = offer("a", None, sdp(A, 4000));
    other.call_id = "c2".into();
    assert_eq!(house.ask(other), Reply::error("Ran out of ports"));
    assert_eq!((house.relay.calls(), house.open.len()), (1, 2));
}

#[test]
fn sockets_that_cannot_be_made_fail_the_offer_and_the_others_close() {
    let mut house = house();
    house.refusals = vec![io::ErrorKind::PermissionDenied];
    assert_eq!(house.ask(offer("a", None, sdp(A, 4000))), Reply::error("Ran out of ports"));
    assert_eq!((house.relay.calls(), house.open.len(), house.relay.media().pairs()), (0, 0, 0));
    house.refusals = vec![io::ErrorKind::AddrInUse];
    port(&house.ask(offer("a", None, sdp(A, 4000))));
}

#[test]
fn requests_wait_behind_an_offer_of_their_call() {
    let mut house = house();
    house.held = Some(Vec::new());
    let ids = [
        house.send(offer("a", None, sdp(A, 4000))),
        house.send(answer("a", "b", sdp(B, 5000))),
        house.send(delete("a", None)),
    ];
    assert!(house.events.is_empty());
    let late: Vec<_> = (0..20).map(|_| house.send(query())).collect();
    assert_eq!(late.into_iter().filter_map(|id| house.reply_to(id)).count(), 6, "of 20, 14 wait with the other two");
    assert_eq!(house.ask(Request::new(Command::Ping, "")), Reply::Pong);
    house.release();
    for id in ids {
        assert!(matches!(house.reply_to(id), Some(Reply::Ok(_))));
    }
    assert_eq!(house.events.len(), 14);
}

#[test]
fn there_are_so_many_calls_and_no_more() {
    let mut house = House::new(Settings { sessions: Sessions::new(1), ..settings() });
    house.call();
    let mut other = offer("a", None, sdp(A, 4000));
    other.call_id = "c2".into();
    assert_eq!(house.ask(other.clone()), Reply::error("Parallel session limit reached"));
    other.flags.supports_load_limit = true;
    assert_eq!(house.ask(other), Reply::LoadLimit("Parallel session limit reached".into()));
    port(&house.ask(offer("a", Some("b"), sdp(A, 4000))));
}

#[test]
fn rfc3264_8_the_version_counts_changes_only() {
    let mut house = house();
    let version = |house: &mut House, sdp: String| {
        let mut request = offer("a", None, sdp);
        request.flags.replace.sdp_version = true;
        let reply = house.ask(request);
        let text = String::from_utf8(reply.sdp().unwrap().to_vec()).unwrap();
        let line = text.lines().find(|line| line.starts_with("o=")).unwrap().to_owned();
        line.split(' ').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let bumped = sdp(A, 4000).replace("o=- 1 1", "o=- 1 9");
    assert_eq!(version(&mut house, sdp(A, 4000)), 1);
    assert_eq!(version(&mut house, bumped), 1, "nothing but their version has changed");
    assert_eq!(version(&mut house, sdp(A, 4000).replace("sendrecv", "sendonly")), 2);
}

#[test]
fn parties_of_a_call_are_bounded() {
    let mut house = house();
    let mut refused = None;
    for n in 0..40 {
        let reply = house.ask(Request { via_branch: Some(n.to_string()), ..offer("a", None, sdp(A, 4000)) });
        if reply.sdp().is_none() {
            refused.get_or_insert((n, reply));
        }
    }
    assert_eq!(refused, Some((31, Reply::error("Too many branches in call"))));
}

#[test]
fn a_call_that_is_deleted_and_begun_anew_behind_an_offer_answers_every_request() {
    let mut house = House::new(settings());
    house.held = Some(Vec::new());
    let mut end = delete("a", None);
    end.flags.delete_delay = Some(Duration::ZERO);
    let again = |branch: &str| Request { via_branch: Some(branch.into()), ..offer("a", None, sdp(A, 4000)) };
    let ids = [again("1"), end, again("2"), again("3")].map(|request| house.send(request));
    for _ in 0..3 {
        let held = house.held.replace(Vec::new()).unwrap_or_default();
        held.into_iter().for_each(|pair| house.opened(pair));
        house.drain();
    }
    let replies = ids.map(|id| house.reply_to(id));
    assert!(replies.iter().all(|reply| matches!(reply, Some(Reply::Ok(_)))), "{replies:?}");
    assert_eq!((house.relay.calls(), house.open.len()), (1, 3));
}

#[test]
fn nobody_talks_to_himself() {
    let mut house = House::new(settings());
    house.call();
    house.ask(answer("a", "c", sdp(B, 7000)));
    let refused = Reply::error("Invalid dialogue association");
    assert_eq!(house.ask(offer("b", Some("c"), sdp(B, 5000))), refused, "they share their sockets");
    assert_eq!(house.ask(offer("a", Some("a"), sdp(A, 4000))), refused);
    assert_eq!(house.ask(answer("a", "a", sdp(A, 4000))), refused);
}

#[test]
fn media_never_go_to_where_the_relay_takes_its_orders() {
    for control in ["192.0.2.1:12222", "0.0.0.0:12222"] {
        let mut house = House::new(settings());
        house.relay.media().add_control(control.parse().unwrap());
        let own = ["127.0.0.1", "203.0.113.7"].into_iter();
        for address in own.chain((!control.starts_with('0')).then_some(A)) {
            for port_of_rtp in [12_222, 12_221] {
                let call_id = format!("{address} {port_of_rtp}");
                let named = |request: Request| Request { call_id: call_id.clone(), ..request };
                house.ask(named(offer("a", None, sdp(address, port_of_rtp))));
                let to_a = port(&house.ask(named(answer("a", "b", sdp(B, 5000)))));
                let pair = house.on(to_a);
                let media = house.relay.media();
                let remotes = [media.remote(pair.rtp), media.remote(pair.rtcp)];
                assert!(remotes.iter().flatten().all(|at| at.port() != 12_222), "{control} {call_id}: {remotes:?}");
                assert_eq!(remotes.iter().flatten().count(), 1, "the other port is the party's");
            }
        }
    }
}
