//! Calls that their media has left: both sides get BYE, the record ends with the last packet.

use std::time::Instant;

use sip_core::header::{Header, NameAddr};
use sip_core::proxy::{next_hop, route};
use sip_core::resolve::NextHop;
use sip_core::transaction::ClientId;
use sip_core::{Destination, Message, Method, Request, Response};

use super::super::app::App;
use super::super::dialogs::{Recorded, Way};
use super::session::Parties;
use super::watch::{Begin, Cut, Side, Watched, Why};
use super::{Job, Media};
use crate::ng;
use crate::ng::bencode::{Dictionary, Value};
use crate::ng::{Command, Reply};

impl Media {
    /// Asks the relays about calls that are due, and finds out which relays are lost.
    pub(super) fn look_after(&mut self, now: Instant) {
        while let Some((node, at)) = self.lost.first().copied().filter(|(_, at)| *at <= now) {
            self.lost.retain(|lost| *lost != (node, at));
            if let Some(watch) = &mut self.watch {
                watch.cut_node(node, Why::RelayLost);
            }
        }
        while let Some((key, node, call_id)) = self.watch.as_mut().and_then(|watch| watch.poll(now)) {
            let request = ng::Request::new(Command::Query, call_id);
            if self.is_up(node) && self.ask(now, Some(node), request, Job::Query(key)) {
                self.counters.queries += 1;
            }
        }
    }

    /// The relay has told of a call that it was asked about.
    pub(super) fn told(&mut self, key: u64, reply: &Reply, when: impl Fn(u64) -> Option<Instant>) {
        let Some(watched) = self.watch.as_mut().and_then(|watch| watch.by_key(key)) else { return };
        match reply {
            Reply::Ok(tree) => watched.last_packet = last_packet(tree).max(watched.last_packet),
            Reply::Error(why) if why.starts_with("Unknown call") => {
                let ended = watched.last_packet.and_then(when);
                if let Some(watch) = &mut self.watch {
                    watch.cut(Cut { key, why: Why::Forgotten, ended });
                }
            }
            _ => {}
        }
    }
}

/// The latest `last packet` of a call's streams.
fn last_packet(tree: &Dictionary) -> Option<u64> {
    fn latest(value: &Value) -> Option<u64> {
        match value {
            Value::Dict(dict) => {
                let own = match dict.get("last packet") {
                    Some(Value::Integer(at)) => u64::try_from(*at).ok().filter(|at| *at > 0),
                    _ => None,
                };
                dict.values().filter_map(latest).chain(own).max()
            }
            Value::List(list) => list.iter().filter_map(latest).max(),
            _ => None,
        }
    }
    latest(tree.get("tags")?)
}

impl App {
    /// A request inside a dialog goes through: its number counts, for we may have to send one.
    pub(super) fn note_request(&mut self, request_parties: &Parties, way: &Way, cseq: u32) {
        let Some(watch) = self.media.as_mut().and_then(|media| media.watch.as_mut()) else { return };
        let (caller, callee) = request_parties.sides(way.from_caller);
        if let Some(watched) = watch.get_mut(&request_parties.call_id, caller, callee) {
            watched.saw(way.from_caller, cseq);
        }
    }

    /// A 2xx that makes or refreshes a dialog goes to the caller.
    pub(in super::super) fn watch(
        &mut self,
        now: Instant,
        id: ClientId,
        response: &Response,
        recorded: Option<&Recorded>,
    ) {
        let Some(media) = self.media.as_mut().filter(|media| media.watch.is_some()) else { return };
        let method = response.cseq().method;
        if !response.status().is_success() || !matches!(method, Method::Invite | Method::Update) {
            return;
        }
        let (Some((context, _)), Some(request)) = (self.proxy.branch_of(id), self.proxy.request_of_branch(id)) else {
            return;
        };
        let parties = Parties::of(request);
        let callee_tag = response.to_tag().unwrap_or_default();
        let (of_request, of_response) = (contact(request), contact(response));
        if !parties.to_tag.is_empty() {
            return media.refreshed(&parties, (&of_request, &of_response));
        }
        let node = media.legs.get(&id).map(|leg| leg.node);
        let node = node.or_else(|| media.sessions.get(&context)?.node);
        let (Some(node), Some(recorded), Some(watch)) = (node, recorded, &mut media.watch) else { return };
        let routes: Vec<String> = request.values(Header::RecordRoute).map(text).collect();
        let caller = Side {
            end: &header(request, Header::From),
            uri: &of_request,
            routes: &routes.join("\n"),
            direct: recorded.sides.caller.as_ref(),
            cseq: 0,
        };
        let callee = Side {
            end: &header(response, Header::To),
            uri: &of_response,
            routes: &recorded.behind.join("\n"),
            direct: recorded.sides.callee.as_ref(),
            cseq: request.cseq().seq,
        };
        let (call_id, caller_tag) = (&*parties.call_id, &*parties.from_tag);
        watch.add(now, &Begin { call_id, caller_tag, callee_tag, caller, callee, node });
    }

    /// Ends what is to end. Whether there was anything.
    pub(in super::super) fn cut_calls(&mut self, now: Instant) -> bool {
        let cuts = self.media.as_mut().and_then(|media| media.watch.as_mut()).map(|watch| watch.cuts(now));
        let cuts = cuts.unwrap_or_default();
        let some = !cuts.is_empty();
        for cut in cuts {
            let watched = self.media.as_mut().and_then(|media| media.watch.as_mut()?.take(cut.key));
            if let Some(watched) = watched {
                self.cut(now, &watched, cut);
            }
        }
        some
    }

    fn cut(&mut self, now: Instant, watched: &Watched, cut: Cut) {
        let [caller_tag, callee_tag] = watched.tags();
        let (call_id, reason) = (watched.call_id(), cut.why.reason());
        tracing::info!(call_id, reason, "the call's media has ended: BYE to both sides");
        if let Some(media) = &mut self.media {
            media.counters.cut += 1;
            media.moved.remove(&media.key(call_id, caller_tag, callee_tag));
        }
        let (caller, callee) = (watched.caller(), watched.callee());
        self.send_bye(now, call_id, callee.end, &caller, reason);
        self.send_bye(now, call_id, caller.end, &callee, reason);
        let Some((call, _)) = self.calls.find(call_id, caller_tag, callee_tag) else { return };
        if let Some(record) = self.calls.cut(now, call, cut.ended.unwrap_or(now), reason) {
            self.write_record(record);
        }
    }

    /// A BYE in the name of the other side. Nobody waits for its answer.
    fn send_bye(&mut self, now: Instant, call_id: &str, from: &str, to: &Side<'_>, reason: &str) {
        let Some((request, next)) = bye(call_id, from, to, reason) else { return };
        let next = self.with_our_socket(next);
        if self.layer.request(now, request, next).is_err() {
            self.counters.busy += 1;
        }
    }
}

impl Media {
    fn refreshed(&mut self, parties: &Parties, (sender, answerer): (&str, &str)) {
        let Some(watch) = &mut self.watch else { return };
        for from_caller in [true, false] {
            let (caller, callee) = parties.sides(from_caller);
            if let Some(watched) = watch.get_mut(&parties.call_id, caller, callee) {
                watched.moved(from_caller, sender);
                watched.moved(!from_caller, answerer);
            }
        }
    }
}

fn bye(call_id: &str, from: &str, to: &Side<'_>, reason: &str) -> Option<(Request, Destination)> {
    let mut request = Message::request(Method::Bye, to.uri)
        .header(Header::MaxForwards, "70")
        .header(Header::From, from)
        .header(Header::To, to.end)
        .header(Header::CallId, call_id)
        .header(Header::CSeq, format!("{} BYE", to.cseq.saturating_add(1)))
        .header(Header::Reason, reason);
    for value in to.routes.lines() {
        request = request.header(Header::Route, value);
    }
    let mut request = request.request().ok()?;
    route::postprocess(&mut request).ok()?;
    let next = match to.direct {
        Some(target) if to.routes.is_empty() => target.clone(),
        _ => match next_hop::of_request(&request).ok()? {
            NextHop::Target(target) => target,
            _ => return None,
        },
    };
    Some((request, Destination::Target(next)))
}

fn contact(message: &Message) -> String {
    let contact = message.values(Header::Contact).next().and_then(NameAddr::parse);
    contact.map(|contact| contact.uri.to_owned()).unwrap_or_default()
}

fn header(message: &Message, name: Header) -> String {
    message.header(name).map(text).unwrap_or_default()
}

/// A value as text, without its folds.
pub(in super::super) fn text(value: &[u8]) -> String {
    let octets: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    String::from_utf8_lossy(&octets).into_owned()
}
