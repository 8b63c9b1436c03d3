//! `offer`: what it lacks is opened first, and then the call changes in one step.

use sdp::Session;

use super::call::{Call, Leg, Said, Stream, Term};
use super::description::{self, Carrier, Defect, Line};
use super::machine::{Number, Relay, RequestId};
use super::media::{Learning, NoPorts, Pair, PairId};
use super::rewrite::{Place, Rewrite, is_marked};
use crate::ng::{
    AddressFamily, AddressSource, Command, DropTraffic, EndpointLearning, Flags, Reply, Request, Tos, TransportProtocol,
};

/// Nobody can be meant by these tags.
pub(super) const NO_DIALOGUE: &str = "Invalid dialogue association";

/// Side of a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
}

/// A pair that an offer needs.
#[derive(Debug, Clone)]
struct Wanted {
    side: Side,
    index: usize,
    interface: usize,
    id: Option<PairId>,
    pair: Option<Result<Pair, NoPorts>>,
}

/// An offer that waits for its sockets.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) id: RequestId,
    proposal: Proposal,
    wanted: Vec<Wanted>,
    tos: u8,
}

impl Opening {
    pub(super) fn pair_done(&mut self, id: PairId, result: Result<Pair, NoPorts>) {
        if let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.id == Some(id)) {
            wanted.pair = Some(result);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.pair.is_some())
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = PairId> {
        self.wanted.iter().filter_map(|wanted| wanted.id)
    }
}

/// What an offer is about to change.
#[derive(Debug, Clone)]
struct Proposal {
    request: Request,
    session: Session,
    said: Said,
    from: Option<usize>,
    to: Option<usize>,
}

impl Relay {
    /// `None`: the reply comes when the sockets are there.
    pub(super) fn offer(&mut self, id: RequestId, request: Request) -> Option<Reply> {
        match self.plan(id, request) {
            Err(reply) => Some(reply),
            Ok((number, opening)) if opening.is_complete() => {
                let reply = self.commit(number, opening);
                self.rearm(number);
                Some(reply)
            }
            Ok((number, opening)) => {
                self.wait_for(number, opening);
                self.rearm(number);
                None
            }
        }
    }

    fn plan(&mut self, id: RequestId, request: Request) -> Result<(Number, Opening), Reply> {
        let (session, said) = read(&request)?;
        if request.flags.loop_protect && is_marked(&session, &self.settings.mark) {
            return Err(Reply::with_sdp(request.sdp));
        }
        let known = self.number(&request.call_id);
        let call = known.and_then(|number| self.calls.get(&number)).map(|entry| &entry.call);
        let (from, to) = call.map_or((None, None), |call| parties(call, &request));
        // Two that answered one offer share their sockets: they have none to talk to each other.
        let leg = |party: Option<usize>| Some(call?.party(party?)?.leg);
        if leg(from).is_some_and(|from| leg(to) == Some(from)) || request.to_tag.as_deref() == Some(&request.from_tag) {
            return Err(Reply::error(NO_DIALOGUE));
        }
        if call.is_some_and(|call| !call.has_room()) && (from.is_none() || to.is_none()) {
            return Err(Reply::error("Too many branches in call"));
        }
        if call.is_none() && !self.settings.sessions.take() {
            self.counters.refused_limit += 1;
            let text = "Parallel session limit reached";
            let limit = request.flags.supports_load_limit;
            return Err(if limit { Reply::LoadLimit(text.into()) } else { Reply::error(text) });
        }
        let tos = match (request.flags.tos, call) {
            (Tos::Set(tos), _) => tos,
            (Tos::Keep, Some(call)) => call.tos,
            _ => self.settings.tos,
        };
        let proposal = Proposal { request, session, said, from, to };
        let wanted = self.open(tos, self.wanted(call, &proposal)).inspect_err(|_| {
            if known.is_none() {
                self.settings.sessions.give();
            }
        })?;
        let number = known.unwrap_or_else(|| self.add_call(Call::new(&proposal.request.call_id, self.now, tos)));
        Ok((number, Opening { id, proposal, wanted, tos }))
    }

    /// The pairs that are not there yet.
    fn wanted(&self, call: Option<&Call>, proposal: &Proposal) -> Vec<Wanted> {
        let Proposal { request, said, from, to, .. } = proposal;
        let leg = |party: &Option<usize>| call.zip(*party).and_then(|(call, party)| call.leg_of(party));
        let flags = &request.flags;
        let mut all = Vec::new();
        for (index, line) in said.lines.iter().enumerate().filter(|(_, line)| line.live) {
            let mut want = |side: Side, leg: Option<&Leg>, name: Option<&str>, family: Option<bool>| {
                let stream = leg.and_then(|leg| leg.streams.get(index)).filter(|stream| stream.pair.is_some());
                let sibling = leg.and_then(|leg| leg.streams.iter().find(|stream| stream.pair.is_some()));
                let kept = stream.or(sibling).map(|stream| stream.interface);
                let family = family.or(kept.and_then(|kept| self.settings.advertised(kept)).map(|ip| ip.is_ipv6()));
                let interface = self.settings.interface(name, kept, family.unwrap_or(line.is_ipv6));
                let moves =
                    side == Side::To && flags.port_latching == Some(false) && self.has_moved(call, *from, index, line);
                if moves || stream.is_none_or(|stream| stream.interface != interface) {
                    all.push(Wanted { side, index, interface, id: None, pair: None });
                }
            };
            let said_family = (!line.is_unspecified).then_some(line.is_ipv6);
            want(Side::From, leg(from), flags.direction.from.as_deref(), said_family);
            let family = flags.address_family.map(|family| family == AddressFamily::Ip6);
            want(Side::To, leg(to), flags.direction.to.as_deref(), family);
        }
        all
    }

    /// Whether a party names another address than before.
    fn has_moved(&self, call: Option<&Call>, party: Option<usize>, index: usize, line: &Line) -> bool {
        let leg = call.zip(party).and_then(|(call, party)| call.leg_of(party));
        let before = leg.and_then(|leg| leg.said.as_ref()).and_then(|said| said.lines.get(index));
        before.is_some_and(|before| before.rtp != line.rtp)
    }

    /// Asks for the pairs: all or none.
    fn open(&mut self, tos: u8, mut wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Reply> {
        for at in 0..wanted.len() {
            let Some(one) = wanted.get_mut(at) else { break };
            let bind = self.settings.bind(one.interface).ok_or(NoPorts);
            one.id = bind.and_then(|bind| self.media.open(self.now, bind, tos)).ok();
            if one.id.is_none() {
                wanted.iter().filter_map(|one| one.id).for_each(|id| self.media.close(self.now, id));
                self.counters.refused_ports += 1;
                return Err(Reply::error("Ran out of ports"));
            }
        }
        Ok(wanted)
    }

    /// The one step in which an offer changes the call; or, without its sockets, nothing.
    pub(super) fn commit(&mut self, number: Number, opening: Opening) -> Reply {
        let Opening { proposal, wanted, tos, .. } = opening;
        if wanted.iter().any(|wanted| !matches!(wanted.pair, Some(Ok(_)))) {
            wanted.iter().filter_map(|wanted| wanted.id).for_each(|id| self.media.close(self.now, id));
            self.counters.refused_ports += 1;
            return Reply::error("Ran out of ports");
        }
        let (now, settings) = (self.now, &self.settings);
        let Some(entry) = self.calls.get_mut(&number) else { return Reply::error("Unknown call-id") };
        let call = &mut entry.call;
        let Proposal { request, mut session, said, from, to } = proposal;
        let flags = &request.flags;
        let from = from.unwrap_or_else(|| call.add_party(now, Some(&request.from_tag), None, None));
        let to =
            to.unwrap_or_else(|| call.add_party(now, request.to_tag.as_deref(), request.via_branch.as_deref(), None));
        if let (Some(label), Some(party)) = (&flags.label, call.party_mut(from)) {
            party.label = Some(label.as_str().into());
        }
        let numbers = (call.party(from).map_or(0, |party| party.leg), call.party(to).map_or(0, |party| party.leg));
        for one in wanted {
            let leg = if one.side == Side::From { numbers.0 } else { numbers.1 };
            let Some(leg) = call.leg_mut(leg) else { continue };
            if leg.streams.len() <= one.index {
                leg.streams.reserve_exact(one.index + 1 - leg.streams.len());
                leg.streams.resize_with(one.index + 1, Stream::default);
            }
            let (Some(stream), Some(Ok(pair))) = (leg.streams.get_mut(one.index), one.pair) else { continue };
            let old = stream.pair.replace(pair);
            stream.interface = one.interface;
            // The party uses the old one until it answers, or hears the answer.
            let spare = if stream.retired.is_none() {
                stream.retired = old.map(Box::new);
                None
            } else {
                old
            };
            if let Some(spare) = spare {
                self.media.close(now, spare.id);
            }
        }
        call.tos = tos;
        call.pairs().for_each(|pair| self.media.set_tos(pair.id, tos));
        call.pierce_at = said.pierce_nat.then_some(now).or(call.pierce_at);
        call.signalled = now;
        call.delete_at = None;
        set_blocked(call, flags);
        let terms: Vec<Term> = said.lines.iter().map(|line| term(line, flags)).collect();
        let places = places(&said.lines, &terms, call.leg(numbers.1), settings, flags);
        let lines = said.lines.clone();
        let settled = call.leg(numbers.0).is_some_and(|leg| leg.settled);
        if let Some(dialogue) = call.join(from, to) {
            dialogue.offered(from, to, terms, settled.then(|| said.clone()));
            dialogue.reset = flags.reset;
        }
        if let Some(leg) = call.leg_mut(numbers.0) {
            leg.peer.get_or_insert(numbers.1);
            if !settled {
                leg.said = Some(said);
            }
        }
        let mut face = Default::default();
        if let Some(leg) = call.leg_mut(numbers.1) {
            leg.peer.get_or_insert(numbers.0);
            face = std::mem::take(&mut leg.face);
        }
        call.configure(now, &mut self.media);
        let fallback = settings.advertised(0).unwrap_or([0, 0, 0, 0].into());
        let (places, mark) = (&places, settings.mark.as_str());
        Rewrite { flags, lines: &lines, places, fallback, is_offer: true, mark }.apply(&mut session, &mut face);
        if let Some(leg) = call.leg_mut(numbers.1) {
            leg.face = face;
        }
        self.pierce(number);
        Reply::with_sdp(session.to_bytes())
    }
}

/// The description of a request, and what it says.
pub(super) fn read(request: &Request) -> Result<(Session, Said), Reply> {
    if let Some(why) = &request.flags.unsupported {
        return Err(Reply::error(why.clone()));
    }
    let malformed = || Reply::error(Defect::Malformed.to_string());
    let session = Session::parse(request.sdp.clone(), &sdp::Limits::default()).map_err(|_| malformed())?;
    let flags = &request.flags;
    let replaced = request.received_from.filter(|_| flags.address == Some(AddressSource::Signalling));
    let lines = description::lines(&session, replaced);
    let lines = lines.map_err(|defect| Reply::error(defect.to_string()))?;
    if let Some(line) = lines.iter().find(|line| request.command == Command::Offer && needs_keys(line, flags)) {
        return Err(Reply::error(format!("to take the encryption off {} is not supported", line.protocol)));
    }
    let learning = match flags.endpoint_learning {
        _ if flags.asymmetric => Learning::Off,
        None | Some(EndpointLearning::Heuristic) => Learning::Heuristic,
        Some(EndpointLearning::Off) => Learning::Off,
        Some(EndpointLearning::Immediate) => Learning::Immediate,
        Some(EndpointLearning::Delayed) => Learning::Delayed,
    };
    let said = Said {
        lines,
        learning,
        // Strict anyway, but for a party of which is known that it sends from elsewhere.
        strict: flags.strict_source || !flags.asymmetric,
        handover: flags.media_handover,
        nat_wait: flags.nat_wait,
        pierce_nat: flags.pierce_nat,
        received_from: request.received_from,
    };
    Ok((session, said))
}

/// Whether a flag asks for another encryption than that of the line, which goes through as it is.
fn needs_keys(line: &Line, flags: &Flags) -> bool {
    let by_dtls = line.protocol.contains("TLS");
    let off = if by_dtls { flags.dtls_off } else { flags.sdes_off };
    line.live && line.secured && (off || passed_protocol(flags).is_some())
}

/// Who makes the offer, and to whom, as far as they are known.
fn parties(call: &Call, request: &Request) -> (Option<usize>, Option<usize>) {
    let Some(from) = call.tagged(&request.from_tag) else {
        let to = request.to_tag.as_deref().and_then(|tag| call.tagged(tag));
        return (None, to);
    };
    let branch = request.via_branch.as_deref();
    let to = match request.to_tag.as_deref() {
        Some(tag) => call.tagged(tag),
        None => match branch {
            Some(branch) => call.branch(from, branch),
            None => call.untagged(from, None),
        },
    };
    (Some(from), to.filter(|to| *to != from))
}

pub(super) fn set_blocked(call: &mut Call, flags: &Flags) {
    match flags.drop_traffic {
        Some(DropTraffic::Start) => call.blocked = true,
        Some(DropTraffic::Stop) => call.blocked = false,
        None => {}
    }
}

/// What the offer and its flags agree on for a line.
fn term(line: &Line, flags: &Flags) -> Term {
    let mux = &flags.rtcp_mux;
    let plain = matches!(&*line.protocol, "RTP/AVP" | "RTP/AVPF");
    let wanted = passed_protocol(flags).filter(|wanted| plain && **wanted != *line.protocol);
    Term {
        mux_wanted: line.mux && !mux.reject,
        mux_accepted: line.mux && !mux.reject && (mux.demux || mux.accept),
        mux_offered: line.carrier == Carrier::Rtp && (mux.offer || mux.require || line.mux && !mux.demux),
        protocol: wanted.map(|_| line.protocol.clone()),
        ptime: line.ptime.clone(),
        refused: !line.live,
    }
}

fn passed_protocol(flags: &Flags) -> Option<&'static str> {
    match flags.transport_protocol {
        Some(TransportProtocol::Avp) => Some("RTP/AVP"),
        Some(TransportProtocol::Avpf) => Some("RTP/AVPF"),
        Some(TransportProtocol::Accept) | None => None,
    }
}

/// What the answerer is told.
fn places(
    lines: &[Line],
    terms: &[Term],
    leg: Option<&Leg>,
    settings: &super::Settings,
    flags: &Flags,
) -> Vec<Option<Place>> {
    let place = |(index, (line, term)): (usize, (&Line, &Term))| {
        let stream = leg?.streams.get(index).filter(|_| line.live)?;
        let local = stream.pair?.local;
        // Required: the port of RTCP is not even mentioned. Agreed before: it stays so.
        let one_port = flags.rtcp_mux.require || term.mux_offered && stream.mux;
        Some(Place {
            address: flags.media_address.or(settings.advertised(stream.interface))?,
            port: local.port(),
            rtcp: if one_port { local.port() } else { local.port() + 1 },
            mux: term.mux_offered,
            protocol: term.protocol.as_ref().and(passed_protocol(flags)).map(Into::into),
            ptime: None,
        })
    };
    lines.iter().zip(terms).enumerate().map(place).collect()
}
