//! Answered calls whose relay may tell that their media has ended: what it takes to end them.
//!
//! Kept only where there is something to hear of: notices, polls, or the policy to end calls whose relay is lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;
use sip_core::Target;

use super::super::calls::MAX_DIALOG_LIFE;
use crate::cdr::Packed;
use crate::ng::client::NodeId;

/// Calls ended at once, and how long until the next are: a relay that dies takes thousands with it.
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Dialogs of one Call-ID: a called side could make them without end, by one 2xx with a tag of its own each. No relay
/// knows more.
const MOST_DIALOGS: usize = 32;

/// One side of a dialog, as the other one's requests would reach it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// Its From or To, with the tag.
    pub(super) end: &'a str,
    /// Its remote target.
    pub(super) uri: &'a str,
    /// Routes to it, a line each, the nearest first.
    pub(super) routes: &'a str,
    /// Where it is, if its remote target does not say it.
    pub(super) direct: Option<&'a Target>,
    /// The last number of a request that went to it.
    pub(super) cseq: u32,
}

/// A dialog.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// Call-ID; caller's and called side's tag; then of each side what [`Side`] has.
    texts: Packed<9>,
    direct: [Option<Target>; 2],
    /// The last numbers of requests to the caller and to the called side.
    cseq: [u32; 2],
    pub(super) node: NodeId,
    /// Unix seconds of the last packet, as far as the relay was asked.
    pub(super) last_packet: Option<u64>,
    /// The end of its longest life, and when the relay is asked about it next.
    until: Instant,
    due: Instant,
}

/// What a dialog begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin<'a> {
    pub(super) call_id: &'a str,
    pub(super) caller_tag: &'a str,
    pub(super) callee_tag: &'a str,
    pub(super) caller: Side<'a>,
    pub(super) callee: Side<'a>,
    pub(super) node: NodeId,
}

impl Watched {
    pub(super) fn call_id(&self) -> &str {
        self.texts.get(0)
    }

    /// The caller's and the called side's tag.
    pub(super) fn tags(&self) -> [&str; 2] {
        [self.texts.get(1), self.texts.get(2)]
    }

    pub(super) fn caller(&self) -> Side<'_> {
        self.side(3, 0)
    }

    pub(super) fn callee(&self) -> Side<'_> {
        self.side(6, 1)
    }

    fn side(&self, first: usize, n: usize) -> Side<'_> {
        Side {
            end: self.texts.get(first),
            uri: self.texts.get(first + 1),
            routes: self.texts.get(first + 2),
            direct: self.direct.get(n).and_then(Option::as_ref),
            cseq: self.cseq.get(n).copied().unwrap_or_default(),
        }
    }
}

/// Why a call is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The relay heard nothing for too long.
    MediaTimeout,
    /// The relay does not know it any more.
    Forgotten,
    /// The relay is gone.
    RelayLost,
}

impl Why {
    /// The Reason header of the BYEs, and of the record (RFC 3326).
    pub(super) fn reason(self) -> &'static str {
        match self {
            Why::MediaTimeout => "Q.850;cause=102;text=\"media timeout\"",
            Why::Forgotten => "Q.850;cause=102;text=\"media ended\"",
            Why::RelayLost => "Q.850;cause=41;text=\"media relay lost\"",
        }
    }
}

/// A call that is to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) key: u64,
    pub(super) why: Why,
    /// When its last packet came, if that is known.
    pub(super) ended: Option<Instant>,
}

/// The dialogs, by keyed hash of Call-ID and tags. As many as there are answered calls at most.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    hasher: BuildSipHasher,
    poll: Option<Duration>,
    dialogs: HashMap<u64, Box<Watched>, BuildSipHasher>,
    /// Those of each Call-ID.
    by_call: BTreeSet<(u64, u64)>,
    due: BTreeSet<(Instant, u64)>,
    cuts: VecDeque<Cut>,
    next_cuts: Option<Instant>,
}

impl Watch {
    /// `poll`: how often the relay is asked about each call.
    pub(super) fn new(hasher: BuildSipHasher, poll: Option<Duration>) -> Watch {
        Watch {
            dialogs: HashMap::with_hasher(hasher.clone()),
            hasher,
            poll,
            by_call: BTreeSet::new(),
            due: BTreeSet::new(),
            cuts: VecDeque::new(),
            next_cuts: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.dialogs.len()
    }

    fn key(&self, call_id: &str, caller: &str, callee: &str) -> u64 {
        self.hasher.hash_one((call_id, caller, callee))
    }

    /// A call is answered. Told again, nothing changes.
    pub(super) fn add(&mut self, now: Instant, new: &Begin<'_>) {
        let key = self.key(new.call_id, new.caller_tag, new.callee_tag);
        let hash = self.hasher.hash_one(new.call_id);
        let known = self.by_call.range((hash, 0)..=(hash, u64::MAX)).take(MOST_DIALOGS).count();
        if self.dialogs.contains_key(&key) || known >= MOST_DIALOGS {
            return;
        }
        let Begin { caller, callee, .. } = new;
        let texts = Packed::new([
            new.call_id,
            new.caller_tag,
            new.callee_tag,
            caller.end,
            caller.uri,
            caller.routes,
            callee.end,
            callee.uri,
            callee.routes,
        ]);
        let until = now + MAX_DIALOG_LIFE;
        let due = self.poll.map_or(until, |poll| now + poll);
        let watched = Watched {
            texts,
            direct: [caller.direct.cloned(), callee.direct.cloned()],
            cseq: [caller.cseq, callee.cseq],
            node: new.node,
            last_packet: None,
            until,
            due,
        };
        self.by_call.insert((hash, key));
        self.due.insert((due, key));
        self.dialogs.insert(key, Box::new(watched));
    }

    pub(super) fn get_mut(&mut self, call_id: &str, caller: &str, callee: &str) -> Option<&mut Watched> {
        let key = self.key(call_id, caller, callee);
        self.dialogs.get_mut(&key).map(|watched| &mut **watched)
    }

    pub(super) fn by_key(&mut self, key: u64) -> Option<&mut Watched> {
        self.dialogs.get_mut(&key).map(|watched| &mut **watched)
    }

    pub(super) fn remove(&mut self, call_id: &str, caller: &str, callee: &str) {
        self.take(self.key(call_id, caller, callee));
    }

    /// Takes a dialog out.
    pub(super) fn take(&mut self, key: u64) -> Option<Box<Watched>> {
        let watched = self.dialogs.remove(&key)?;
        self.by_call.remove(&(self.hasher.hash_one(watched.call_id()), key));
        self.due.remove(&(watched.due, key));
        if self.dialogs.len() * 4 < self.dialogs.capacity() && self.dialogs.capacity() > 4096 {
            self.dialogs.shrink_to(self.dialogs.len() * 2);
        }
        Some(watched)
    }

    /// All dialogs of a Call-ID are to end; how many.
    pub(super) fn cut_call(&mut self, call_id: &str, tag: Option<&str>, why: Why, ended: Option<Instant>) -> usize {
        let hash = self.hasher.hash_one(call_id);
        let keys: Vec<u64> = self.by_call.range((hash, 0)..=(hash, u64::MAX)).map(|(_, key)| *key).collect();
        // A tag of one of them: else somebody guesses at Call-IDs.
        let known = |key: &u64| {
            let watched = self.dialogs.get(key);
            watched.is_some_and(|w| w.call_id() == call_id && tag.is_none_or(|tag| w.tags().contains(&tag)))
        };
        if !keys.iter().any(known) {
            return 0;
        }
        keys.iter().for_each(|key| self.cut(Cut { key: *key, why, ended }));
        keys.len()
    }

    /// One dialog is to end.
    pub(super) fn cut_dialog(&mut self, call_id: &str, caller: &str, callee: &str, why: Why) {
        let key = self.key(call_id, caller, callee);
        if self.dialogs.contains_key(&key) {
            self.cut(Cut { key, why, ended: None });
        }
    }

    /// The dialogs of a relay are to end.
    pub(super) fn cut_node(&mut self, node: NodeId, why: Why) {
        let mut keys: Vec<u64> = self.dialogs.iter().filter(|(_, w)| w.node == node).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.into_iter().for_each(|key| self.cut(Cut { key, why, ended: None }));
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        // What is twice here finds nothing the second time; more than twice does not come.
        if self.cuts.len() < 2 * self.dialogs.len() {
            self.cuts.push_back(cut);
        }
    }

    /// What is to end now.
    pub(super) fn cuts(&mut self, now: Instant) -> Vec<Cut> {
        if self.cuts.is_empty() || self.next_cuts.is_some_and(|at| at > now) {
            return Vec::new();
        }
        let cuts = self.cuts.drain(..self.cuts.len().min(BATCH)).collect();
        self.next_cuts = Some(now + PAUSE);
        cuts
    }

    /// A dialog that the relay is to be asked about.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(u64, NodeId, String)> {
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            let Some(watched) = self.dialogs.get_mut(&key) else { continue };
            let Some(poll) = self.poll.filter(|_| watched.until > now) else {
                self.take(key);
                continue;
            };
            watched.due = now + poll;
            self.due.insert((watched.due, key));
            return Some((key, watched.node, watched.call_id().to_owned()));
        }
        None
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let cuts = (!self.cuts.is_empty()).then(|| self.next_cuts.map_or(now, |at| at.max(now)));
        self.due.first().map(|(at, _)| *at).into_iter().chain(cuts).min()
    }
}

impl Watched {
    /// A request of this side (0: the caller) went through.
    pub(super) fn saw(&mut self, from_caller: bool, cseq: u32) {
        if let Some(last) = self.cseq.get_mut(usize::from(from_caller)) {
            *last = cseq.max(*last);
        }
    }

    /// A target refresh moved a side.
    pub(super) fn moved(&mut self, is_caller: bool, uri: &str) {
        let at = if is_caller { 4 } else { 7 };
        if self.texts.get(at) != uri && !uri.is_empty() {
            self.texts = self.texts.with(at, uri);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialogs_of_one_call_id_are_bounded() {
        #[allow(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        let mut watch = Watch::new(BuildSipHasher::new([7; 16]), None);
        let side = Side { end: "<sip:x@y>", uri: "sip:x@y", routes: "", direct: None, cseq: 1 };
        for n in 0..100 {
            let (callee_tag, node) = (&*format!("{n}"), NodeId(0));
            let begin = Begin { call_id: "c", caller_tag: "a", callee_tag, caller: side, callee: side, node };
            watch.add(now, &begin);
            watch.add(now, &begin);
        }
        assert_eq!(watch.len(), MOST_DIALOGS);
        watch.remove("c", "a", "3");
        assert_eq!(watch.len(), MOST_DIALOGS - 1);
    }
}
