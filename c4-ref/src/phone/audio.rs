//! A phone's sound: descriptions and the stream that follows from them, one call at a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sdp::Session;
use sha2::{Digest, Sha256};
use sip_core::ua::{Body, Extra, SessionId};

use super::codec::Codec;
use super::description::{self, Local, Remote};
use super::media::{Start, Stream};
use super::report::Report;
use crate::machine::Datagram;

/// What a phone with sound is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it receives RTP: the address of its first plain socket.
    pub rtp: SocketAddr,
    /// Where it receives RTCP: the address of its second.
    pub rtcp: SocketAddr,
    /// The tone that it sends instead of speech, in Hz, a multiple of 50; `None`: silence.
    pub plays: Option<u32>,
    /// The tone that the other phone should send.
    pub expects: u32,
    /// What it speaks, best first.
    pub codecs: Vec<Codec>,
    /// The wall clock at the phone's beginning, since 1970.
    pub unix: Duration,
}

/// The stream of a call.
struct Active {
    session: Option<SessionId>,
    stream: Stream,
    /// Our description as it stands.
    local: Session,
    /// Session id and version of its `o=`.
    id: u64,
    version: u64,
    /// The other side answers it.
    offered: bool,
    /// What is agreed, until the call is answered.
    agreed: Option<Remote>,
}

/// A phone's only line.
pub(super) struct Audio {
    settings: Settings,
    seed: [u8; 32],
    start: Instant,
    /// Streams so far.
    count: u64,
    active: Option<Active>,
}

/// Why a call gets no sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSound {
    /// Another call has the line.
    Busy,
    /// Nothing was offered that the phone knows.
    NotAcceptable,
}

impl Audio {
    pub(super) fn new(settings: Settings, seed: [u8; 32], start: Instant) -> Audio {
        Audio { settings, seed, start, count: 0, active: None }
    }

    /// Whether a call has the line.
    pub(super) fn is_busy(&self) -> bool {
        self.active.as_ref().is_some_and(|active| !active.stream.is_over())
    }

    /// A stream for a call that we make, or for one that came without an offer: it is in the body of `Extra`. Its
    /// session is named as soon as it has a name.
    pub(super) fn offer(&mut self, now: Instant, session: Option<SessionId>, user: &str) -> Result<(), NoSound> {
        let (id, stream) = self.open(now, user)?;
        let local = self.local(id, 1).offer().map_err(|_| NoSound::NotAcceptable)?;
        self.active = Some(Active { session, stream, local, id, version: 1, offered: true, agreed: None });
        Ok(())
    }

    /// A stream for an offer; what it sends begins with [`Audio::confirmed`].
    pub(super) fn answer(&mut self, now: Instant, session: SessionId, user: &str, offer: &[u8]) -> Result<(), NoSound> {
        let (id, stream) = self.open(now, user)?;
        let offer = description::read(offer).ok_or(NoSound::NotAcceptable)?;
        let answer = self.local(id, 1).answer(&offer).ok().flatten();
        let (local, remote) = answer.ok_or(NoSound::NotAcceptable)?;
        let (session, agreed) = (Some(session), Some(remote));
        self.active = Some(Active { session, stream, local, id, version: 1, offered: false, agreed });
        Ok(())
    }

    /// The call of the last [`Audio::offer`] has this name now.
    pub(super) fn name(&mut self, session: SessionId) {
        if let Some(active) = &mut self.active {
            active.session.get_or_insert(session);
        }
    }

    /// Frees the line of a call that did not come about.
    pub(super) fn forget_unnamed(&mut self) {
        self.active.take_if(|active| active.session.is_none());
    }

    /// Our description, for the message that carries it.
    pub(super) fn extra(&self) -> Extra {
        let body = self
            .active
            .as_ref()
            .map(|active| Body { content_type: "application/sdp".into(), content: active.local.to_bytes() });
        Extra { body, ..Extra::default() }
    }

    /// The ACK to our 2xx came: the stream sends, if it knows where to. Before, a relay on the way might not know of our
    /// answer yet, and would take our packets for a stranger's.
    pub(super) fn confirmed(&mut self, now: Instant, session: SessionId) {
        if let Some(active) = self.of(session)
            && let Some(remote) = active.agreed.take()
        {
            active.stream.connect(now, remote);
        }
    }

    /// The answer to our offer came, in a response or an ACK. `false`: there is none that we know.
    pub(super) fn handle_answer(&mut self, now: Instant, session: SessionId, body: &[u8]) -> bool {
        let Some(local) = self.active.as_ref().map(|active| self.local(active.id, active.version)) else { return true };
        let remote = description::read(body).and_then(|answer| local.agreed(&answer));
        let Some(active) = self.of(session).filter(|active| active.offered) else { return true };
        match remote {
            Some(remote) => active.stream.connect(now, remote),
            None => return active.stream.report().remote.is_some(),
        }
        true
    }

    /// A new offer in the call (RFC 3264 §8): our description answers it. A request without one gets the description
    /// as it stands, for an offer.
    pub(super) fn renew(&mut self, now: Instant, session: SessionId, offer: &[u8]) -> Result<Extra, NoSound> {
        let Some((id, version)) = self.of(session).map(|active| (active.id, active.version)) else {
            return Err(NoSound::Busy);
        };
        if offer.is_empty() {
            if let Some(active) = self.of(session) {
                active.offered = true;
            }
            return Ok(self.extra());
        }
        let offer = description::read(offer).ok_or(NoSound::NotAcceptable)?;
        let answer = self.local(id, version + 1).answer(&offer).ok().flatten();
        let (local, remote) = answer.ok_or(NoSound::NotAcceptable)?;
        if let Some(active) = self.of(session) {
            active.offered = false;
            if !active.local.same_but_for_version(&local) {
                (active.local, active.version) = (local, version + 1);
            }
            active.stream.connect(now, remote);
        }
        Ok(self.extra())
    }

    /// The call is over.
    pub(super) fn end(&mut self, now: Instant, session: SessionId) {
        if let Some(active) = self.of(session) {
            active.stream.end(now);
        }
    }

    /// What the stream of a call has sent and heard, while no other call has followed.
    pub(super) fn report(&self, session: SessionId) -> Option<Report> {
        let active = self.active.as_ref().filter(|active| active.session == Some(session))?;
        Some(active.stream.report())
    }

    /// The call whose stream makes place for the next one, and what became of it.
    pub(super) fn last(&self) -> Option<(SessionId, Report)> {
        let active = self.active.as_ref()?;
        Some((active.session?, active.stream.report()))
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, socket: usize, from: SocketAddr, payload: &[u8]) {
        if let Some(active) = &mut self.active {
            active.stream.handle_datagram(now, socket, from, payload);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(active) = &mut self.active {
            active.stream.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.active.as_ref().and_then(|active| active.stream.poll_timeout())
    }

    pub(super) fn poll_datagram(&mut self) -> Option<Datagram> {
        self.active.as_mut().and_then(|active| active.stream.poll_datagram())
    }

    fn of(&mut self, session: SessionId) -> Option<&mut Active> {
        self.active.as_mut().filter(|active| active.session == Some(session))
    }

    fn local(&self, id: u64, version: u64) -> Local<'_> {
        let Settings { rtp, rtcp, ref codecs, .. } = self.settings;
        Local { rtp, rtcp, codecs, id, version }
    }

    /// A new stream with numbers that nobody can guess (RFC 3550 §5.1), and the id of its description.
    fn open(&mut self, now: Instant, user: &str) -> Result<(u64, Stream), NoSound> {
        if self.is_busy() {
            return Err(NoSound::Busy);
        }
        self.count += 1;
        let random = Sha256::new().chain_update(self.seed).chain_update(self.count.to_be_bytes()).finalize();
        let mut words = random.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let start = Start {
            ssrc: word(),
            sequence: word() as u16,
            timestamp: word(),
            plays: self.settings.plays,
            expects: self.settings.expects,
            cname: format!("{user}@{}", self.settings.rtp.ip()),
            unix: self.settings.unix + now.saturating_duration_since(self.start),
            dice: u64::from(word()) << 32 | u64::from(word()),
        };
        // Some peers read the session id as a signed number of 32 bits.
        Ok((u64::from(word() >> 1), Stream::new(start, now)))
    }
}

/// The body of a message that carries a description.
pub(super) fn sdp_of(message: &sip_core::Message) -> Option<Bytes> {
    let kind = message.header_str(sip_core::header::Header::ContentType)?;
    let is_sdp = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/sdp"));
    (is_sdp && !message.body().is_empty()).then(|| Bytes::copy_from_slice(message.body()))
}
