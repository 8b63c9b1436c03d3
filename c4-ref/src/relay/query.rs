//! `query`, and what a `delete` says of the call: the same tree as rtpengine's.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::call::{Call, Party, Stream};
use super::description::{Carrier, Line};
use super::machine::{Number, Relay};
use super::media::{Count, Media, Pair, SocketId};
use crate::ng::bencode::{Dictionary, Value};
use crate::ng::{Reply, Request};

/// Packets, octets and errors of all sockets of a kind.
#[derive(Debug, Default, Clone, Copy)]
struct Total {
    received: Count,
    errors: u64,
}

/// The same of a whole call, by kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    rtp: Total,
    rtcp: Total,
}

impl Totals {
    /// Adds what a pair has counted.
    pub(super) fn add(&mut self, media: &Media, pair: Pair) {
        self.rtp.add(total(media, pair.rtp));
        self.rtcp.add(total(media, pair.rtcp));
    }
}

impl Total {
    fn tree(self) -> Value {
        let Total { received, errors } = self;
        Value::dict([
            ("packets", received.packets.into()),
            ("bytes", received.octets.into()),
            ("errors", errors.into()),
        ])
    }

    fn add(&mut self, other: Total) {
        self.received.packets += other.received.packets;
        self.received.octets += other.received.octets;
        self.errors += other.errors;
    }
}

impl Relay {
    pub(super) fn query(&self, request: &Request) -> Reply {
        match self.number(&request.call_id) {
            Some(number) => {
                let from = Some(request.from_tag.as_str()).filter(|tag| !tag.is_empty());
                Reply::Ok(self.tree(number, request.to_tag.as_deref().or(from)))
            }
            None => Reply::error("Unknown call-id"),
        }
    }

    /// All that is known of a call; of its parties that of this tag and its peers, if one is given.
    pub(super) fn tree(&self, number: Number, tag: Option<&str>) -> Dictionary {
        let mut tree = Dictionary::new();
        let Some(call) = self.calls.get(&number).map(|entry| &entry.call) else { return tree };
        let created = self.unix(call.created);
        let mut totals = call.gone;
        call.pairs().for_each(|pair| totals.add(&self.media, pair));
        let Totals { rtp, rtcp } = totals;
        let mut sources = Dictionary::new();
        for stats in call.pairs().flat_map(|pair| self.media.streams(pair.rtp)) {
            sources.entry(stats.ssrc.to_string().into()).or_insert_with(|| self.source_tree(&stats));
        }
        tree.insert("created".into(), created.as_secs().into());
        tree.insert("created_us".into(), created.subsec_micros().into());
        tree.insert("last signal".into(), self.seconds(call.signalled));
        tree.insert("SSRC".into(), Value::Dict(sources));
        let mut tags = Dictionary::new();
        let one = tag.map(|tag| call.tagged(tag));
        let is_meant = |party: usize| match one {
            None => true,
            Some(one) => one == Some(party) || one.is_some_and(|one| call.peers(one).any(|peer| peer == party)),
        };
        for (number, party) in call.parties().filter(|(number, _)| is_meant(*number)) {
            let key = party.tag.as_deref().map_or_else(|| format!("<untagged {number}>"), Into::into);
            tags.insert(key.into(), self.party(call, number, party));
        }
        tree.insert("tags".into(), Value::Dict(tags));
        tree.insert("totals".into(), Value::dict([("RTP", rtp.tree()), ("RTCP", rtcp.tree())]));
        tree
    }

    fn party(&self, call: &Call, number: usize, party: &Party) -> Value {
        let text = |text: Option<&str>| Value::from(text.unwrap_or_default().to_owned());
        let peers = call.peers(number).filter_map(|peer| call.party(peer));
        let peers =
            peers.map(|peer| Value::dict([("tag", text(peer.tag.as_deref())), ("type", "offer/answer".into())]));
        let peers = Value::List(peers.collect());
        let leg = call.leg(party.leg);
        let said = leg.and_then(|leg| leg.said.as_ref());
        let streams = leg.map(|leg| leg.streams.as_slice()).unwrap_or_default().iter().enumerate();
        let medias =
            streams.map(|(index, stream)| self.media_tree(index, stream, said.and_then(|said| said.lines.get(index))));
        let mut tree = Dictionary::new();
        tree.insert("tag".into(), text(party.tag.as_deref()));
        for (key, value) in [("label", &party.label), ("via-branch", &party.via_branch)] {
            if value.is_some() {
                tree.insert(key.into(), text(value.as_deref()));
            }
        }
        tree.insert("created".into(), self.seconds(party.created));
        tree.insert("subscriptions".into(), peers.clone());
        tree.insert("subscribers".into(), peers);
        tree.insert("medias".into(), Value::List(medias.collect()));
        Value::Dict(tree)
    }

    fn media_tree(&self, index: usize, stream: &Stream, line: Option<&Line>) -> Value {
        let text = |text: Option<&str>| Value::from(text.unwrap_or_default().to_owned());
        let mut streams = Vec::new();
        if let Some(pair) = stream.pair {
            let rtp = line.is_none_or(|line| line.carrier == Carrier::Rtp);
            let next = SocketAddr::new(pair.local.ip(), pair.local.port().saturating_add(1));
            streams.push(self.socket(pair.rtp, pair.local, rtp.then_some("RTP"), line.and_then(|line| line.rtp)));
            if rtp {
                streams.push(self.socket(pair.rtcp, next, Some("RTCP"), line.and_then(|line| line.rtcp)));
            }
        }
        let mut flags = Vec::new();
        if let Some(line) = line {
            flags.push("initialized");
            flags.extend(line.direction.sends().then_some("send"));
            flags.extend(line.direction.receives().then_some("recv"));
        }
        flags.extend(stream.mux.then_some("rtcp-mux"));
        let mut tree = Dictionary::new();
        tree.insert("index".into(), (index as u64 + 1).into());
        tree.insert("type".into(), text(line.map(|line| &*line.kind)));
        tree.insert("protocol".into(), text(line.map(|line| &*line.protocol)));
        if let Some(codec) = line.and_then(|line| line.codec.as_deref()) {
            tree.insert("codec".into(), text(Some(codec)));
        }
        tree.insert("streams".into(), Value::List(streams));
        tree.insert("flags".into(), Value::texts(flags));
        Value::Dict(tree)
    }

    fn socket(&self, id: SocketId, local: SocketAddr, kind: Option<&'static str>, said: Option<SocketAddr>) -> Value {
        let total = total(&self.media, id);
        let mut flags: Vec<&'static str> = kind.into_iter().collect();
        flags.extend(said.map(|_| "filled"));
        flags.extend((total.received.packets > 0).then_some("confirmed"));
        let mut tree = Dictionary::new();
        for (key, value) in [
            ("local port", u64::from(local.port()).into()),
            ("local address", local.ip().to_string().into()),
            ("family", family(local.ip())),
            ("endpoint", endpoint(self.media.remote(id).filter(|_| said.is_some()))),
            ("advertised endpoint", endpoint(said)),
            ("last packet", self.media.last_packet(id).map_or(0u64.into(), |last| self.seconds(last))),
            ("flags", Value::texts(flags)),
            ("stats", total.tree()),
        ] {
            tree.insert(key.into(), value);
        }
        // RTCP tells of the sources of the RTP beside it.
        if let Some(present) = self.media.streams(SocketId(id.0 & !1)).next() {
            tree.insert("SSRC".into(), present.ssrc.into());
            if kind == Some("RTP") {
                tree.insert("ingress SSRCs".into(), self.ingress_tree(id));
            }
        }
        Value::Dict(tree)
    }

    fn seconds(&self, at: Instant) -> Value {
        self.unix(at).as_secs().into()
    }
}

fn total(media: &Media, socket: SocketId) -> Total {
    media.stats(socket).map_or(Total::default(), |stats| Total { received: stats.received, errors: stats.errors })
}

fn family(address: IpAddr) -> Value {
    if address.is_ipv6() { "IPv6".into() } else { "IPv4".into() }
}

fn endpoint(address: Option<SocketAddr>) -> Value {
    let Some(address) = address else { return Value::Dict(Dictionary::new()) };
    Value::dict([
        ("family", family(address.ip())),
        ("address", address.ip().to_string().into()),
        ("port", u64::from(address.port()).into()),
    ])
}
