//! A call: its parties, the sockets that face them, and who talks to whom.

use std::net::IpAddr;
use std::time::Instant;

use super::description::{Carrier, Line};
use super::media::{Kind, Learning, Media, Pair, Setup};
use super::origin::Face;
use super::query::Totals;

/// Parties of a call: the caller and the branches that it forks into.
pub(super) const MOST_PARTIES: usize = 32;

/// A party: one tag, or a branch that has not answered yet. In rtpengine's words a monologue.
#[derive(Debug, Clone)]
pub(super) struct Party {
    /// Its tag; `None`: not known yet.
    pub(super) tag: Option<Box<str>>,
    /// The branch by which its offer went out.
    pub(super) via_branch: Option<Box<str>>,
    /// The name that the controller gave it.
    pub(super) label: Option<Box<str>>,
    /// Since when it is known.
    pub(super) created: Instant,
    /// The sockets that face it. Two that answered the same offer share one.
    pub(super) leg: usize,
}

/// What a party said last, as far as it counts by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Its lines.
    pub(super) lines: Vec<Line>,
    /// How it is learned where the party really is.
    pub(super) learning: Learning,
    /// Packets from elsewhere than it was learned to be are dropped.
    pub(super) strict: bool,
    /// It may move at any time.
    pub(super) handover: bool,
    /// Nothing is sent to it before it has sent.
    pub(super) nat_wait: bool,
    /// Empty datagrams are sent to it until it has sent.
    pub(super) pierce_nat: bool,
    /// Where its signalling came from.
    pub(super) received_from: Option<IpAddr>,
}

/// The sockets of one line that face a party.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    /// `None`: the line was refused from the start.
    pub(super) pair: Option<Pair>,
    /// The one before it, that the party uses until the offer of the new one is answered.
    pub(super) retired: Option<Box<Pair>>,
    /// Number of the interface where they are bound.
    pub(super) interface: usize,
    /// RTCP shares the port of RTP towards this party.
    pub(super) mux: bool,
}

/// The sockets that face a party, by line.
#[derive(Debug, Clone, Default)]
pub(super) struct Leg {
    /// One a line.
    pub(super) streams: Vec<Stream>,
    /// What the party said last.
    pub(super) said: Option<Said>,
    /// To which leg its media go.
    pub(super) peer: Option<usize>,
    /// An offer of it was answered, or it answered.
    pub(super) settled: bool,
    /// How the session's lines were last written to it.
    pub(super) face: Face,
}

impl Stream {
    /// All its pairs.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.pair.into_iter().chain(self.retired.as_deref().copied())
    }

    /// The pair that the party knows.
    fn known(&self) -> Option<Pair> {
        self.retired.as_deref().copied().or(self.pair)
    }
}

impl Leg {
    fn line(&self, index: usize) -> Option<&Line> {
        self.said.as_ref()?.lines.get(index)
    }
}

/// What was offered on a line, until and after it is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Term {
    /// The offerer offered `rtcp-mux`, and it may be accepted.
    pub(super) mux_wanted: bool,
    /// It is accepted whatever the answerer says.
    pub(super) mux_accepted: bool,
    /// `rtcp-mux` was offered to the answerer.
    pub(super) mux_offered: bool,
    /// The protocol that the offerer wrote, if another one was passed on.
    pub(super) protocol: Option<Box<str>>,
    /// The `ptime` that the offerer wrote.
    pub(super) ptime: Option<Box<str>>,
    /// Nothing was offered.
    pub(super) refused: bool,
}

/// Two parties between which offers and answers go.
#[derive(Debug, Clone)]
pub(super) struct Dialogue {
    /// Who made the last offer.
    pub(super) offerer: usize,
    /// Who got it.
    pub(super) answerer: usize,
    /// The last offer was answered.
    pub(super) answered: bool,
    /// By line, of the last offer.
    pub(super) terms: Vec<Term>,
    /// What the offerer said in an offer that is not answered yet, while older words of it still count.
    pub(super) aside: Option<Said>,
    /// The offer of the answerer that was not answered when the last one came (RFC 3261 §14.2): either may be refused.
    crossed: Option<Box<(Vec<Term>, Option<Said>)>>,
    /// When it goes.
    pub(super) delete_at: Option<Instant>,
    /// With its answer both parties are to be found anew.
    pub(super) reset: bool,
}

impl Dialogue {
    /// One more offer.
    pub(super) fn offered(&mut self, offerer: usize, answerer: usize, terms: Vec<Term>, aside: Option<Said>) {
        let (before, said) = (std::mem::replace(&mut self.terms, terms), std::mem::replace(&mut self.aside, aside));
        if self.offerer != offerer {
            self.crossed = (!self.answered).then(|| Box::new((before, said)));
        }
        (self.offerer, self.answerer, self.answered, self.delete_at) = (offerer, answerer, false, None);
    }

    /// The offer of this party is answered: its terms, and what the party said in it.
    pub(super) fn answered(&mut self, offerer: usize) -> (Vec<Term>, Option<Said>) {
        if let Some(crossed) = self.crossed.as_deref_mut().filter(|_| self.offerer != offerer) {
            std::mem::swap(&mut self.offerer, &mut self.answerer);
            std::mem::swap(&mut self.terms, &mut crossed.0);
            std::mem::swap(&mut self.aside, &mut crossed.1);
        }
        self.answered = true;
        (self.terms.clone(), self.aside.take_if(|_| self.offerer == offerer))
    }

    fn joins(&self, a: usize, b: usize) -> bool {
        (self.offerer, self.answerer) == (a, b) || (self.offerer, self.answerer) == (b, a)
    }

    /// The other party.
    pub(super) fn other(&self, party: usize) -> Option<usize> {
        match party {
            party if party == self.offerer => Some(self.answerer),
            party if party == self.answerer => Some(self.offerer),
            _ => None,
        }
    }
}

/// A call. Parties and legs keep their numbers as long as they live.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its Call-ID.
    pub(super) id: Box<str>,
    /// Since when it is known.
    pub(super) created: Instant,
    /// When the last offer or answer came.
    pub(super) signalled: Instant,
    /// When it goes as a whole.
    pub(super) delete_at: Option<Instant>,
    /// Nothing passes.
    pub(super) blocked: bool,
    /// TOS octet of its sockets.
    pub(super) tos: u8,
    /// What its pairs counted that are closed by now.
    pub(super) gone: Totals,
    /// When empty datagrams are due.
    pub(super) pierce_at: Option<Instant>,
    parties: Vec<Option<Party>>,
    legs: Vec<Option<Leg>>,
    dialogues: Vec<Dialogue>,
}

impl Call {
    /// A call without parties.
    pub(super) fn new(id: &str, now: Instant, tos: u8) -> Call {
        Call {
            id: id.into(),
            created: now,
            signalled: now,
            delete_at: None,
            blocked: false,
            tos,
            gone: Totals::default(),
            pierce_at: None,
            // As many as nearly every call has: a vector that grows takes room for four.
            parties: Vec::with_capacity(2),
            legs: Vec::with_capacity(2),
            dialogues: Vec::with_capacity(1),
        }
    }

    /// Its parties, in the order in which they came.
    pub(super) fn parties(&self) -> impl Iterator<Item = (usize, &Party)> {
        self.parties.iter().enumerate().filter_map(|(number, party)| Some((number, party.as_ref()?)))
    }

    /// A party.
    pub(super) fn party(&self, number: usize) -> Option<&Party> {
        self.parties.get(number)?.as_ref()
    }

    /// A party, to change it.
    pub(super) fn party_mut(&mut self, number: usize) -> Option<&mut Party> {
        self.parties.get_mut(number)?.as_mut()
    }

    /// The legs that are in use.
    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().flatten()
    }

    /// A leg.
    pub(super) fn leg(&self, number: usize) -> Option<&Leg> {
        self.legs.get(number)?.as_ref()
    }

    /// A leg, to change it.
    pub(super) fn leg_mut(&mut self, number: usize) -> Option<&mut Leg> {
        self.legs.get_mut(number)?.as_mut()
    }

    /// The leg of a party.
    pub(super) fn leg_of(&self, party: usize) -> Option<&Leg> {
        self.leg(self.party(party)?.leg)
    }

    /// Who talks to whom.
    pub(super) fn dialogues(&self) -> &[Dialogue] {
        &self.dialogues
    }

    /// The same, to change it.
    pub(super) fn dialogues_mut(&mut self) -> &mut [Dialogue] {
        &mut self.dialogues
    }

    /// The dialogue of two parties.
    pub(super) fn dialogue_mut(&mut self, a: usize, b: usize) -> Option<&mut Dialogue> {
        self.dialogues.iter_mut().find(|dialogue| dialogue.joins(a, b))
    }

    /// The parties that share a dialogue with this one, the latest last.
    pub(super) fn peers(&self, party: usize) -> impl DoubleEndedIterator<Item = usize> {
        self.dialogues.iter().filter_map(move |dialogue| dialogue.other(party))
    }

    /// A party by its tag.
    pub(super) fn tagged(&self, tag: &str) -> Option<usize> {
        self.parties().find(|(_, party)| party.tag.as_deref() == Some(tag)).map(|(number, _)| number)
    }

    /// A peer of `party` that has no tag yet: that of this branch; without one that of no branch.
    pub(super) fn untagged(&self, party: usize, via_branch: Option<&str>) -> Option<usize> {
        self.peers(party).rfind(|&peer| {
            self.party(peer).is_some_and(|peer| peer.tag.is_none() && peer.via_branch.as_deref() == via_branch)
        })
    }

    /// A peer of `party` by the branch.
    pub(super) fn branch(&self, party: usize, via_branch: &str) -> Option<usize> {
        self.peers(party)
            .rfind(|&peer| self.party(peer).is_some_and(|peer| peer.via_branch.as_deref() == Some(via_branch)))
    }

    /// Whether one more party is allowed.
    pub(super) fn has_room(&self) -> bool {
        self.parties().count() < MOST_PARTIES
    }

    /// A new party; without `leg` it gets one of its own.
    pub(super) fn add_party(
        &mut self,
        now: Instant,
        tag: Option<&str>,
        via_branch: Option<&str>,
        leg: Option<usize>,
    ) -> usize {
        let leg = leg.unwrap_or_else(|| place(&mut self.legs, Leg::default()));
        let (tag, via_branch) = (tag.map(Into::into), via_branch.map(Into::into));
        place(&mut self.parties, Party { tag, via_branch, label: None, created: now, leg })
    }

    /// The dialogue of two parties, made if there is none.
    pub(super) fn join(&mut self, offerer: usize, answerer: usize) -> Option<&mut Dialogue> {
        let at = self.dialogues.iter().position(|dialogue| dialogue.joins(offerer, answerer));
        let at = at.unwrap_or_else(|| {
            let (answered, reset) = (false, false);
            let (terms, aside, crossed, delete_at) = (Vec::new(), None, None, None);
            self.dialogues.push(Dialogue { offerer, answerer, answered, terms, aside, crossed, delete_at, reset });
            self.dialogues.len() - 1
        });
        self.dialogues.get_mut(at)
    }

    /// All its open pairs.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.legs().flat_map(|leg| leg.streams.iter().flat_map(Stream::pairs))
    }

    /// Takes away the dialogues that are due, the parties that are left alone, and their legs. The pairs that nobody
    /// uses any more are returned.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Pair> {
        let before = self.dialogues.len();
        self.dialogues.retain(|dialogue| dialogue.delete_at.is_none_or(|at| now < at));
        if self.dialogues.len() == before {
            return Vec::new();
        }
        for number in 0..self.parties.len() {
            if self.peers(number).next().is_none()
                && let Some(party) = self.parties.get_mut(number)
            {
                *party = None;
            }
        }
        let mut freed = Vec::new();
        for number in 0..self.legs.len() {
            let is_used = self.parties().any(|(_, party)| party.leg == number);
            if !is_used && let Some(leg) = self.legs.get_mut(number).and_then(Option::take) {
                freed.extend(leg.streams.iter().flat_map(Stream::pairs));
            }
        }
        for number in 0..self.legs.len() {
            let lost = self.leg(number).and_then(|leg| leg.peer).is_some_and(|peer| self.leg(peer).is_none());
            let left = lost.then(|| self.another_leg(number)).flatten();
            if lost && let Some(leg) = self.leg_mut(number) {
                leg.peer = left;
            }
        }
        freed
    }

    /// The leg of a remaining peer: one that answered before one that did not.
    fn another_leg(&self, leg: usize) -> Option<usize> {
        let of = |party: usize| self.party(party).map(|party| party.leg);
        let peers = self.dialogues.iter().filter_map(|dialogue| {
            let (offerer, answerer) = (of(dialogue.offerer)?, of(dialogue.answerer)?);
            let other = if offerer == leg { answerer } else { offerer };
            (offerer == leg || answerer == leg).then_some((dialogue.answered, other))
        });
        peers.max_by_key(|(answered, _)| *answered).map(|(_, other)| other)
    }

    /// Tells the sockets what is agreed by now.
    pub(super) fn configure(&self, now: Instant, media: &mut Media) {
        for leg in self.legs() {
            let peer = leg.peer.and_then(|peer| self.leg(peer));
            for (index, stream) in leg.streams.iter().enumerate() {
                self.configure_stream(now, media, (leg, stream), peer, index);
            }
        }
    }

    fn configure_stream(
        &self,
        now: Instant,
        media: &mut Media,
        (leg, stream): (&Leg, &Stream),
        peer: Option<&Leg>,
        index: usize,
    ) {
        let line = leg.line(index);
        let out = peer.and_then(|peer| peer.streams.get(index)).and_then(|out| Some((out.known()?, out.mux)));
        let refused = |line: Option<&Line>| line.is_some_and(|line| !line.live);
        let carrier = line.or(peer.and_then(|peer| peer.line(index))).map(|line| line.carrier).unwrap_or_default();
        let said = leg.said.as_ref();
        let rtp = Setup {
            kind: if carrier == Carrier::Rtp { Kind::Rtp } else { Kind::Opaque },
            mux: stream.mux,
            signalled: line.and_then(|line| line.rtp),
            received_from: said.and_then(|said| said.received_from),
            learning: said.map(|said| said.learning).unwrap_or_default(),
            strict: said.is_none_or(|said| said.strict),
            handover: said.is_some_and(|said| said.handover),
            // Before its answer a caller has nowhere to send to, and of a callee nobody knows where it is.
            armed: leg.settled,
            nat_wait: said.is_some_and(|said| said.nat_wait),
            pierce_nat: said.is_some_and(|said| said.pierce_nat),
            out_rtp: out.map(|(pair, _)| pair.rtp),
            out_rtcp: out.map(|(pair, mux)| if mux { pair.rtp } else { pair.rtcp }),
            blocked: self.blocked || refused(line) || refused(peer.and_then(|peer| peer.line(index))),
            secured: line.is_some_and(|line| line.secured),
            // A party sends what the other one has numbered.
            codecs: peer.and_then(|peer| peer.line(index)).or(line).map(|line| line.codecs).unwrap_or_default(),
        };
        let is_used = carrier == Carrier::Rtp;
        let signalled = line.and_then(|line| line.rtcp).filter(|_| is_used);
        let rtcp = Setup { kind: Kind::Rtcp, mux: false, signalled, out_rtp: None, ..rtp };
        let rtcp = Setup { blocked: rtcp.blocked || !is_used, ..rtcp };
        for pair in stream.pairs() {
            media.configure(now, pair.rtp, &rtp);
            media.configure(now, pair.rtcp, &rtcp);
        }
    }

    /// The parties of a leg are to be found anew.
    pub(super) fn forget(&self, leg: usize, media: &mut Media) {
        for pair in self.leg(leg).into_iter().flat_map(|leg| leg.streams.iter().flat_map(Stream::pairs)) {
            media.forget(pair.rtp);
            media.forget(pair.rtcp);
        }
    }

    /// The pairs of a leg that an offer has replaced and that nobody needs once it is answered.
    pub(super) fn take_retired(&mut self, leg: usize) -> Vec<Pair> {
        let Some(leg) = self.leg_mut(leg) else { return Vec::new() };
        leg.streams.iter_mut().filter_map(|stream| stream.retired.take().map(|pair| *pair)).collect()
    }
}

/// Puts it into a vacant place.
fn place<T>(places: &mut Vec<Option<T>>, one: T) -> usize {
    let number = places.iter().position(Option::is_none).unwrap_or(places.len());
    match places.get_mut(number) {
        Some(place) => *place = Some(one),
        None => places.push(Some(one)),
    }
    number
}
