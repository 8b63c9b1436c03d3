//! The calls under way: what their records need, found again by the dialog they belong to.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;

use super::targets::Refreshed;
use crate::cdr::{Cause, Id, Packed, Record, ReleasedBy, Start, cause_of_status};

/// The longest life of an answered call that nobody ends with a BYE.
pub const MAX_DIALOG_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Calls of one Call-ID and caller's tag: a request that comes back to us by another way is one more.
pub const MAX_PASSES: usize = 16;

/// A call's place in the table, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// The number, as the mark of a proxy context.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The call that a context bears the mark of; it may be gone.
    pub fn from_mark(mark: u64) -> CallId {
        CallId(mark)
    }
}

/// What a call begins with.
#[derive(Debug, Clone, Copy)]
pub struct NewCall<'a> {
    /// Identity of its record.
    pub id: Id,
    /// Wall clock, Unix milliseconds.
    pub unix_ms: u64,
    /// Call-ID.
    pub call_id: &'a str,
    /// The caller's tag.
    pub from_tag: &'a str,
    /// The From URI.
    pub from: &'a str,
    /// The Request-URI as received.
    pub to: &'a str,
    /// The calling number.
    pub caller: &'a str,
    /// The dialled number.
    pub called: &'a str,
    /// The authenticated user or nothing.
    pub user: &'a str,
    /// Where it came from.
    pub source: &'a str,
    /// The peer that it came from or nothing.
    pub peer_in: &'a str,
}

/// One way that was tried.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// The peer, or nothing for a contact.
    pub peer: String,
    /// The Request-URI sent.
    pub target: String,
    /// The number sent, where it differs from the dialled one.
    pub called: String,
}

/// Why and by whom a call ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The final status of the INVITE; for an answered call it is remembered already.
    pub status: u16,
    /// Who ended it.
    pub by: ReleasedBy,
    /// The Reason header of the message that ended it, or nothing.
    pub reason: &'a str,
}

/// The table. Its size is bounded at [`Calls::begin`].
#[derive(Debug, Clone)]
pub struct Calls {
    hasher: BuildSipHasher,
    max: usize,
    life: Duration,
    /// Boxed: a table that has just doubled is half empty, and a vacant place is a pointer then, not a call.
    calls: HashMap<u64, Box<Call>, Identity>,
    /// By keyed hash of Call-ID and the caller's tag; a call that passes here twice stands twice.
    by_dialog: HashMap<u64, u64, Identity>,
    /// Answered calls by the end of their longest life.
    deadlines: BTreeSet<(Instant, u64)>,
    /// Remote targets that came by target refresh, of all dialogs that pass here.
    pub targets: Refreshed,
    next: u64,
}

#[derive(Debug, Clone)]
struct Call {
    id: Id,
    started: Instant,
    unix_ms: u64,
    begin: Packed<9>,
    /// To tag, peer, target, number, Reason of the BYE.
    out: Packed<5>,
    pdd_ms: Option<u32>,
    phase: Phase,
    /// The next call with the same dialog hash; 0: none.
    next: u64,
}

#[derive(Debug, Clone)]
enum Phase {
    Trying(Vec<Tried>),
    Answered { at: Instant, status: u16, bye: Option<(Instant, ReleasedBy)> },
}

/// Keys that are serial numbers or keyed hashes need no second hash.
#[derive(Debug, Clone, Default)]
struct Plain(u64);

type Identity = BuildHasherDefault<Plain>;

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Calls {
    /// An empty table of at most `max` calls; `key` keeps strangers from crowding one place of it.
    pub fn new(key: [u8; 16], max: usize) -> Calls {
        Calls {
            hasher: BuildSipHasher::new(key),
            max,
            life: MAX_DIALOG_LIFE,
            calls: HashMap::default(),
            by_dialog: HashMap::default(),
            deadlines: BTreeSet::new(),
            targets: Refreshed::new(key),
            next: 1,
        }
    }

    /// A call begins. `None`: the table is full, or the call passed here [`MAX_PASSES`] times already.
    pub fn begin(&mut self, now: Instant, new: &NewCall<'_>) -> Option<CallId> {
        let hash = self.hash(new.call_id, new.from_tag);
        if self.calls.len() >= self.max || self.passes(hash) >= MAX_PASSES {
            return None;
        }
        let place = self.next;
        self.next += 1;
        let begin = Packed::new([
            new.call_id,
            new.from_tag,
            new.from,
            new.to,
            new.caller,
            new.called,
            new.user,
            new.source,
            new.peer_in,
        ]);
        let before = self.by_dialog.insert(hash, place).unwrap_or(0);
        let call = Call {
            id: new.id,
            started: now,
            unix_ms: new.unix_ms,
            begin,
            out: Packed::new([""; 5]),
            pdd_ms: None,
            phase: Phase::Trying(Vec::new()),
            next: before,
        };
        self.calls.insert(place, Box::new(call));
        Some(CallId(place))
    }

    /// Another way is tried; the answer is its number, the mark of the branch.
    pub fn tried(&mut self, call: CallId, way: Tried) -> u64 {
        match self.calls.get_mut(&call.0).map(|call| &mut call.phase) {
            Some(Phase::Trying(ways)) => {
                ways.push(way);
                ways.len() as u64 - 1
            }
            _ => 0,
        }
    }

    /// The called side rings (180, 183): the post-dial delay ends.
    pub fn ringing(&mut self, now: Instant, call: CallId) {
        if let Some(call) = self.calls.get_mut(&call.0) {
            call.dialled(now);
        }
    }

    /// The first 2xx, from the way numbered `branch`. Gives the record's identity and the wall clock of the answer.
    pub fn answered(
        &mut self,
        now: Instant,
        call: CallId,
        branch: u64,
        to_tag: &str,
        status: u16,
    ) -> Option<(Id, u64)> {
        let entry = self.calls.get_mut(&call.0)?;
        entry.dialled(now);
        let Phase::Trying(ways) = &entry.phase else { return None };
        entry.out = outcome(ways, Some(branch), to_tag);
        entry.phase = Phase::Answered { at: now, status, bye: None };
        self.deadlines.insert((now + self.life, call.0));
        Some((entry.id, entry.unix_ms + millis(now, entry.started)))
    }

    /// The answered call of this dialog, seen from a request with these tags, and who sent the request. All three parts
    /// of the dialog's identity must agree (RFC 3261 §12).
    pub fn find(&self, call_id: &str, from_tag: &str, to_tag: &str) -> Option<(CallId, ReleasedBy)> {
        let by_caller = self.find_one(call_id, from_tag, to_tag).map(|call| (call, ReleasedBy::Caller));
        by_caller.or_else(|| self.find_one(call_id, to_tag, from_tag).map(|call| (call, ReleasedBy::Callee)))
    }

    /// Whether a call of this Call-ID is here in which one of these tags is the caller's, answered or not.
    pub fn knows(&self, call_id: &str, tags: [&str; 2]) -> bool {
        tags.iter().any(|tag| self.by_dialog.contains_key(&self.hash(call_id, tag)))
    }

    /// Whether a call of this Call-ID and caller's tag is here more than once.
    pub fn is_passed(&self, call_id: &str, caller: &str) -> bool {
        self.passes(self.hash(call_id, caller)) > 1
    }

    fn passes(&self, hash: u64) -> usize {
        let first = self.by_dialog.get(&hash).and_then(|place| self.calls.get(place));
        std::iter::successors(first, |call| self.calls.get(&call.next)).take(MAX_PASSES).count()
    }

    fn find_one(&self, call_id: &str, caller: &str, callee: &str) -> Option<CallId> {
        let mut place = *self.by_dialog.get(&self.hash(call_id, caller))?;
        while let Some(call) = self.calls.get(&place) {
            let answered = matches!(call.phase, Phase::Answered { bye: None, .. });
            let same = call.begin.get(0) == call_id && call.begin.get(1) == caller && call.out.get(0) == callee;
            if answered && same {
                return Some(CallId(place));
            }
            place = call.next;
        }
        None
    }

    /// A BYE with this Reason header (or nothing) goes through: the call's time ends now, its record when the BYE is
    /// answered.
    pub fn bye(&mut self, now: Instant, call: CallId, by: ReleasedBy, reason: &str) {
        let Some(call) = self.calls.get_mut(&call.0) else { return };
        let Phase::Answered { bye, .. } = &mut call.phase else { return };
        *bye = Some((now, by));
        if !reason.is_empty() {
            call.out = call.out.with(4, reason);
        }
    }

    /// We end an answered call ourselves: its time ended at `ended`. Gives the record's identity and its line.
    pub fn cut(&mut self, now: Instant, call: CallId, ended: Instant, reason: &str) -> Option<(Id, String)> {
        let entry = self.calls.get_mut(&call.0)?;
        let Phase::Answered { at, bye, .. } = &mut entry.phase else { return None };
        *bye = Some((ended.clamp(*at, now.max(*at)), ReleasedBy::Proxy));
        self.end(now, call, None, End { status: 0, by: ReleasedBy::Proxy, reason })
    }

    /// The BYE was refused for want of credentials (401, 407): the call goes on.
    pub fn bye_refused(&mut self, call: CallId) {
        if let Some(Phase::Answered { bye, .. }) = self.calls.get_mut(&call.0).map(|call| &mut call.phase) {
            *bye = None;
        }
    }

    /// The call is over. Gives the record's identity and its line; `None` when the call is gone already.
    pub fn end(&mut self, now: Instant, call: CallId, branch: Option<u64>, end: End<'_>) -> Option<(Id, String)> {
        let entry = self.take(call)?;
        Some((entry.id, entry.record(now, branch, end)))
    }

    /// The call was no attempt after all (it ends with a challenge): forgotten without a record.
    pub fn forget(&mut self, call: CallId) -> Option<Id> {
        self.take(call).map(|call| call.id)
    }

    /// The record of the next call whose longest life is over.
    pub fn expire(&mut self, now: Instant) -> Option<(Id, String)> {
        let (due, place) = self.deadlines.first().copied()?;
        if due > now {
            return None;
        }
        self.end(now, CallId(place), None, End { status: 0, by: ReleasedBy::Proxy, reason: "" })
    }

    /// When [`Calls::expire`] has work next.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Answered calls.
    pub fn dialogs(&self) -> usize {
        self.deadlines.len()
    }

    /// All calls, ringing ones too.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Ends every call, as the process stops; their records.
    pub fn drain(&mut self, now: Instant) -> Vec<(Id, String)> {
        let mut places: Vec<u64> = self.calls.keys().copied().collect();
        places.sort_unstable();
        let end = End { status: 0, by: ReleasedBy::Proxy, reason: "" };
        places.into_iter().filter_map(|place| self.end(now, CallId(place), None, end)).collect()
    }

    fn take(&mut self, call: CallId) -> Option<Box<Call>> {
        let entry = self.calls.remove(&call.0)?;
        if let Phase::Answered { at, .. } = entry.phase {
            self.deadlines.remove(&(at + self.life, call.0));
        }
        self.unlink(self.hash(entry.begin.get(0), entry.begin.get(1)), call.0, entry.next);
        self.targets.forget(entry.begin.get(0), entry.begin.get(1), entry.out.get(0));
        if self.calls.len() * 4 < self.calls.capacity() && self.calls.capacity() > 512 {
            self.calls.shrink_to(self.calls.len() * 2);
            self.by_dialog.shrink_to(self.calls.len() * 2);
        }
        Some(entry)
    }

    /// Takes `place` out of the chain of its hash and puts `next` where it was.
    fn unlink(&mut self, hash: u64, place: u64, next: u64) {
        let Some(head) = self.by_dialog.get(&hash).copied() else { return };
        if head == place {
            match next {
                0 => self.by_dialog.remove(&hash),
                _ => self.by_dialog.insert(hash, next),
            };
            return;
        }
        let mut at = head;
        while let Some(call) = self.calls.get_mut(&at) {
            if call.next == place {
                call.next = next;
                return;
            }
            at = call.next;
        }
    }

    fn hash(&self, call_id: &str, tag: &str) -> u64 {
        self.hasher.hash_one((call_id, tag))
    }
}

impl Call {
    fn dialled(&mut self, now: Instant) {
        if self.pdd_ms.is_none() {
            self.pdd_ms = Some(u32::try_from(millis(now, self.started)).unwrap_or(u32::MAX));
        }
    }

    fn record(&self, now: Instant, branch: Option<u64>, end: End<'_>) -> String {
        let (out, answer, ended, status, by) = match &self.phase {
            Phase::Trying(ways) => (outcome(ways, branch, ""), None, now, end.status, end.by),
            Phase::Answered { at, status, bye } => {
                let (ended, by) = bye.unwrap_or((now, end.by));
                (self.out.clone(), Some(*at), ended, *status, by)
            }
        };
        let reason = if end.reason.is_empty() { out.get(4) } else { end.reason };
        let cause = Cause::from_reason(reason).unwrap_or_else(|| match (answer, by) {
            (Some(_), ReleasedBy::Proxy) => Cause::TIMER,
            _ => cause_of_status(status),
        });
        let record = Record {
            start: self.start(),
            to_tag: out.get(0),
            peer_out: out.get(1),
            target: out.get(2),
            called_out: out.get(3),
            pdd_ms: self.pdd_ms.map(u64::from),
            answer: answer.map(|at| self.unix_ms + millis(at, self.started)),
            end: self.unix_ms + millis(ended, self.started),
            duration_ms: answer.map_or(0, |at| millis(ended, at)),
            status,
            released_by: by,
            cause: cause.0,
            reason,
        };
        record.to_line()
    }

    fn start(&self) -> Start<'_> {
        Start {
            id: self.id,
            start: self.unix_ms,
            call_id: self.begin.get(0),
            from_tag: self.begin.get(1),
            from: self.begin.get(2),
            to: self.begin.get(3),
            caller: self.begin.get(4),
            called: self.begin.get(5),
            user: self.begin.get(6),
            source: self.begin.get(7),
            peer_in: self.begin.get(8),
        }
    }
}

impl<'a> NewCall<'a> {
    /// The line of the spool for this call.
    pub fn start(&self) -> Start<'a> {
        Start {
            id: self.id,
            start: self.unix_ms,
            call_id: self.call_id,
            from_tag: self.from_tag,
            from: self.from,
            to: self.to,
            caller: self.caller,
            called: self.called,
            user: self.user,
            source: self.source,
            peer_in: self.peer_in,
        }
    }
}

/// The way that decided, else the last one tried.
fn outcome(ways: &[Tried], branch: Option<u64>, to_tag: &str) -> Packed<5> {
    let way = branch.and_then(|index| ways.get(index as usize)).or(ways.last());
    match way {
        Some(way) => Packed::new([to_tag, &way.peer, &way.target, &way.called, ""]),
        None => Packed::new([to_tag, "", "", "", ""]),
    }
}

fn millis(later: Instant, earlier: Instant) -> u64 {
    u64::try_from(later.saturating_duration_since(earlier).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
