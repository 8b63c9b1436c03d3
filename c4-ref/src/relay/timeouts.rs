//! What ends a call without a word of its controller, and what a `delete` has put off.

use std::time::{Duration, Instant};

use super::call::Call;
use super::machine::{Event, Number, Relay};

/// How often empty datagrams go to a party that is to be reached through its NAT.
const PIERCE: Duration = Duration::from_secs(1);

/// Why a call has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeoutKind {
    /// No packet came for so long.
    Media,
    /// The same on hold, for longer.
    Silent,
    /// No answer came.
    Offer,
}

impl TimeoutKind {
    /// Its name in notices.
    pub fn as_str(self) -> &'static str {
        match self {
            TimeoutKind::Media => "media-timeout",
            TimeoutKind::Silent => "silent-timeout",
            TimeoutKind::Offer => "offer-timeout",
        }
    }
}

impl Relay {
    /// When something is due for the call, as things stand; packets put it off.
    pub(super) fn due(&self, call: &Call) -> Option<Instant> {
        let deletes = call.dialogues().iter().filter_map(|dialogue| dialogue.delete_at).chain(call.delete_at).min();
        let deletes = deletes.into_iter().chain(call.pierce_at).min();
        let timeout = self.timeout(call).map(|(_, at)| at);
        deletes.into_iter().chain(timeout).min()
    }

    /// What would end it, and when.
    fn timeout(&self, call: &Call) -> Option<(TimeoutKind, Instant)> {
        let settled = call.legs().any(|leg| leg.settled);
        let mut lines = call.legs().filter_map(|leg| leg.said.as_ref()).flat_map(|said| &said.lines);
        let active = lines.any(|line| line.live && !line.on_hold());
        let held = !active
            || call.legs().filter_map(|leg| leg.said.as_ref()).any(|said| {
                let mut live = said.lines.iter().filter(|line| line.live).peekable();
                live.peek().is_some() && live.all(|line| line.on_hold())
            });
        let (kind, limit) = match (settled, held) {
            (false, _) => (TimeoutKind::Offer, self.settings.timeouts.offer),
            (true, true) => (TimeoutKind::Silent, self.settings.timeouts.silent),
            (true, false) => (TimeoutKind::Media, self.settings.timeouts.media),
        };
        let last = self.last_packet(call).filter(|_| settled).map_or(call.signalled, |last| last.max(call.signalled));
        (limit != Duration::ZERO).then(|| (kind, last + limit))
    }

    fn last_packet(&self, call: &Call) -> Option<Instant> {
        call.pairs().flat_map(|pair| [pair.rtp, pair.rtcp]).filter_map(|socket| self.media.last_packet(socket)).max()
    }

    /// Ends what is due, and sets the timer anew.
    pub(super) fn expire(&mut self, number: Number) {
        let now = self.now;
        let Some(entry) = self.calls.get_mut(&number).filter(|entry| entry.opening.is_none()) else { return };
        let freed = entry.call.expire(now);
        let left = entry.call.parties().next().is_some();
        let is_over = !left || entry.call.delete_at.is_some_and(|at| at <= now);
        for pair in &freed {
            entry.call.gone.add(&self.media, *pair);
            self.media.close(now, pair.id);
        }
        if is_over {
            return self.remove(number);
        }
        let Some(entry) = self.calls.get(&number) else { return };
        if !freed.is_empty() {
            entry.call.configure(now, &mut self.media);
        }
        let over = self.timeout(&entry.call).filter(|&(_, at)| at <= now);
        if let Some((kind, _)) = over {
            self.counters.timeout(kind);
            let caller = entry.call.parties().next().and_then(|(_, party)| party.tag.as_deref());
            let event = Event::Timeout {
                kind,
                call_id: entry.call.id.to_string(),
                from_tag: caller.map(Into::into),
                since_packet: self.last_packet(&entry.call).map(|last| now.saturating_duration_since(last)),
            };
            self.event(event);
            return self.remove(number);
        }
        self.pierce(number);
        self.rearm(number);
    }

    /// Empty datagrams to those that wait for a way through their NAT, as long as they do.
    pub(super) fn pierce(&mut self, number: Number) {
        let now = self.now;
        let Some(entry) = self.calls.get_mut(&number) else { return };
        if entry.call.pierce_at.is_some_and(|at| at <= now) {
            let any = entry.call.pairs().filter(|pair| self.media.pierce(pair.id)).count() > 0;
            entry.call.pierce_at = any.then(|| now + PIERCE);
        }
    }
}
