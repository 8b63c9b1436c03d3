//! `answer`: what was offered counts from now on, for both sides.

use super::call::{Call, Term};
use super::description::{Carrier, Line};
use super::machine::{Number, Relay};
use super::offer::{NO_DIALOGUE, read, set_blocked};
use super::rewrite::{Place, Rewrite, is_marked};
use crate::ng::{Reply, Request, TransportProtocol};

impl Relay {
    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        self.try_answer(request).unwrap_or_else(|reply| reply)
    }

    fn try_answer(&mut self, request: &Request) -> Result<Reply, Reply> {
        let number = self.number(&request.call_id).ok_or_else(|| Reply::error("Unknown call-id"))?;
        let (mut session, said) = read(request)?;
        if request.flags.loop_protect && is_marked(&session, &self.settings.mark) {
            return Ok(Reply::with_sdp(request.sdp.clone()));
        }
        let (now, settings) = (self.now, &self.settings);
        let unknown = || Reply::error(NO_DIALOGUE);
        let call = self.calls.get_mut(&number).map(|entry| &mut entry.call).ok_or_else(unknown)?;
        let (offerer, answerer) = answering(call, request, now).ok_or_else(unknown)?;
        let leg_of = |call: &Call, party: usize| call.party(party).map(|party| party.leg).ok_or_else(unknown);
        let (from, to) = (leg_of(call, offerer)?, leg_of(call, answerer)?);
        if from == to {
            return Err(unknown());
        }
        call.signalled = now;
        set_blocked(call, &request.flags);
        let dialogue = call.dialogue_mut(offerer, answerer).ok_or_else(unknown)?;
        let (terms, aside) = dialogue.answered(offerer);
        let reset = std::mem::take(&mut dialogue.reset) || request.flags.reset;
        if let (Some(label), Some(party)) = (&request.flags.label, call.party_mut(answerer)) {
            party.label = Some(label.as_str().into());
        }
        let lines = said.lines.clone();
        call.pierce_at = said.pierce_nat.then_some(now).or(call.pierce_at);
        for pair in [from, to].into_iter().flat_map(|leg| call.take_retired(leg)).collect::<Vec<_>>() {
            call.gone.add(&self.media, pair);
            self.media.close(now, pair.id);
        }
        if let Some(leg) = call.leg_mut(to) {
            (leg.said, leg.peer, leg.settled) = (Some(said), Some(from), true);
            for ((stream, line), term) in leg.streams.iter_mut().zip(&lines).zip(&terms) {
                stream.mux = line.mux && term.mux_offered;
            }
        }
        let mut face = Default::default();
        if let Some(leg) = call.leg_mut(from) {
            (leg.peer, leg.settled) = (Some(to), true);
            leg.said = aside.or(leg.said.take());
            for ((stream, line), term) in leg.streams.iter_mut().zip(&lines).zip(&terms) {
                stream.mux = term.mux_accepted || term.mux_wanted && line.mux && term.mux_offered;
            }
            face = std::mem::take(&mut leg.face);
        }
        if reset {
            [from, to].into_iter().for_each(|leg| call.forget(leg, &mut self.media));
        }
        call.configure(now, &mut self.media);
        let places = places(call, from, &lines, &terms, request, settings);
        let fallback = settings.advertised(0).unwrap_or([0, 0, 0, 0].into());
        let (flags, mark) = (&request.flags, settings.mark.as_str());
        Rewrite { flags, lines: &lines, places: &places, fallback, is_offer: false, mark }
            .apply(&mut session, &mut face);
        if let Some(leg) = call.leg_mut(from) {
            leg.face = face;
        }
        self.close_refused(number, offerer, answerer);
        self.pierce(number);
        self.rearm(number);
        Ok(Reply::with_sdp(session.to_bytes()))
    }

    /// Sockets of lines that no party of the call uses any more are given back.
    fn close_refused(&mut self, number: Number, offerer: usize, answerer: usize) {
        let Some(call) = self.calls.get_mut(&number).map(|entry| &mut entry.call) else { return };
        // Another branch may still take what this one refused.
        if call.dialogues().len() != 1 {
            return;
        }
        let mut closed = Vec::new();
        for party in [offerer, answerer] {
            let Some(leg) = call.party(party).map(|party| party.leg).and_then(|leg| call.leg_mut(leg)) else {
                continue;
            };
            let said = leg.said.as_ref();
            for (index, stream) in leg.streams.iter_mut().enumerate() {
                let refused = said.and_then(|said| said.lines.get(index)).is_some_and(|line| !line.live);
                if refused {
                    closed.extend(stream.pairs());
                    (stream.pair, stream.retired) = (None, None);
                }
            }
        }
        for pair in closed {
            call.gone.add(&self.media, pair);
            self.media.close(self.now, pair.id);
        }
    }
}

/// Who made the offer, and who answers it. The first answer gives a branch its tag; one more answer to the same offer is
/// that of one more party behind the same sockets, which a proxy further on has reached.
fn answering(call: &mut Call, request: &Request, now: std::time::Instant) -> Option<(usize, usize)> {
    let offerer = call.tagged(&request.from_tag)?;
    let tag = request.to_tag.as_deref().filter(|tag| *tag != request.from_tag)?;
    let branch = request.via_branch.as_deref();
    if let Some(known) = call.tagged(tag).filter(|known| call.peers(offerer).any(|peer| peer == *known)) {
        return Some((offerer, known));
    }
    let waiting = call.untagged(offerer, branch).or_else(|| call.untagged(offerer, None));
    let waiting = waiting.or_else(|| {
        let mut peers = call.peers(offerer);
        peers.rfind(|&peer| branch.is_none() && call.party(peer).is_some_and(|peer| peer.tag.is_none()))
    });
    if let Some(waiting) = waiting {
        let party = call.party_mut(waiting)?;
        party.tag = Some(tag.into());
        return Some((offerer, waiting));
    }
    let known = branch.and_then(|branch| call.branch(offerer, branch)).or_else(|| call.peers(offerer).next_back())?;
    if !call.has_room() {
        return None;
    }
    let leg = call.party(known)?.leg;
    let terms = call.dialogue_mut(offerer, known)?.terms.clone();
    let party = call.add_party(now, Some(tag), branch, Some(leg));
    call.join(offerer, party)?.terms = terms;
    Some((offerer, party))
}

/// What the offerer is told.
fn places(
    call: &Call,
    leg: usize,
    lines: &[Line],
    terms: &[Term],
    request: &Request,
    settings: &super::Settings,
) -> Vec<Option<Place>> {
    let accept = request.flags.transport_protocol == Some(TransportProtocol::Accept);
    let place = |(index, line): (usize, &Line)| {
        // RFC 3264 §6: what was not offered cannot be answered.
        let term = terms.get(index).filter(|term| line.live && !term.refused)?;
        let stream = call.leg(leg)?.streams.get(index)?;
        let local = stream.pair?.local;
        Some(Place {
            address: request.flags.media_address.or(settings.advertised(stream.interface))?,
            port: local.port(),
            rtcp: if stream.mux { local.port() } else { local.port() + 1 },
            mux: stream.mux && line.carrier == Carrier::Rtp,
            protocol: term.protocol.clone().filter(|_| !accept),
            ptime: term.ptime.clone().filter(|_| line.ptime.is_none()),
        })
    };
    lines.iter().enumerate().map(place).collect()
}
