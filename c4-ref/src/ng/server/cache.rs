//! Which requests came lately, and their replies: a table for each source, so that one cannot push out another's.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nat::siphash::BuildSipHasher;

use super::{CommandId, Config, Peer};

/// A request: cookies of different clients may be the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) peer: Peer,
    pub(super) cookie: Bytes,
}

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Waiting,
    Reply(Bytes),
}

/// A bound is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug, Clone)]
pub(super) struct Cache {
    lifetime: Duration,
    max_sources: usize,
    max_waiting: usize,
    max_replies: usize,
    max_octets: usize,
    hasher: BuildSipHasher,
    sources: HashMap<IpAddr, Source, BuildSipHasher>,
}

#[derive(Debug, Clone)]
struct Source {
    entries: HashMap<Key, Entry, BuildSipHasher>,
    waiting: usize,
    /// Replies, the oldest first; with the number of the request, for the key may have come again.
    replies: VecDeque<(Key, CommandId)>,
    octets: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    id: CommandId,
    /// Hash of the request.
    contents: u64,
    expires: Instant,
    reply: Option<Bytes>,
}

impl Cache {
    pub(super) fn new(config: &Config, hasher: BuildSipHasher) -> Cache {
        Cache {
            lifetime: config.cookie_lifetime,
            max_sources: config.max_sources,
            max_waiting: config.max_waiting,
            max_replies: config.max_replies,
            max_octets: config.max_reply_octets,
            sources: HashMap::with_hasher(hasher.clone()),
            hasher,
        }
    }

    /// What is known of a request with these contents.
    pub(super) fn find(&self, now: Instant, source: IpAddr, key: &Key, payload: &[u8]) -> Found {
        let entry = self.sources.get(&source.to_canonical()).and_then(|source| source.entries.get(key));
        let same = |entry: &&Entry| entry.expires > now && entry.contents == self.hasher.hash_one(payload);
        match entry.filter(same) {
            None => Found::Nothing,
            Some(Entry { reply: None, .. }) => Found::Waiting,
            Some(Entry { reply: Some(reply), .. }) => Found::Reply(reply.clone()),
        }
    }

    /// Notes a request that waits for its reply; the one under the same key, if that waited.
    pub(super) fn wait(
        &mut self,
        now: Instant,
        source: IpAddr,
        key: Key,
        payload: &[u8],
        id: CommandId,
    ) -> Result<Option<CommandId>, Full> {
        let source = source.to_canonical();
        let room = self.max_sources.saturating_sub(self.sources.len());
        let known = match self.sources.get_mut(&source) {
            Some(known) => known,
            None if room == 0 => return Err(Full),
            None => self.sources.entry(source).or_insert(Source {
                entries: HashMap::with_hasher(self.hasher.clone()),
                waiting: 0,
                replies: VecDeque::new(),
                octets: 0,
            }),
        };
        if known.waiting >= self.max_waiting {
            return Err(Full);
        }
        let replaced = known.remove(&key);
        known.waiting += 1;
        let contents = self.hasher.hash_one(payload);
        known.entries.insert(key, Entry { id, contents, expires: now + self.lifetime, reply: None });
        Ok(replaced)
    }

    /// Keeps the reply of a request that waited.
    pub(super) fn answered(&mut self, now: Instant, source: IpAddr, key: &Key, id: CommandId, reply: Bytes) {
        let Some(source) = self.sources.get_mut(&source) else { return };
        let Some(entry) = source.entries.get_mut(key).filter(|entry| entry.id == id) else { return };
        source.waiting -= 1;
        source.octets += reply.len();
        entry.reply = Some(reply);
        entry.expires = now + self.lifetime;
        source.replies.push_back((key.clone(), id));
        while (source.replies.len() > self.max_replies || source.octets > self.max_octets) && source.drop_oldest() {}
    }

    /// Whether a request is known.
    pub(super) fn has(&self, source: IpAddr, key: &Key) -> bool {
        self.sources.get(&source).is_some_and(|source| source.entries.contains_key(key))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Drops what has expired.
    pub(super) fn forget(&mut self, now: Instant) {
        for source in self.sources.values_mut() {
            let (mut waiting, mut octets) = (0, 0);
            source.entries.retain(|_, entry| {
                let keep = entry.expires > now;
                if keep {
                    waiting += usize::from(entry.reply.is_none());
                    octets += entry.reply.as_ref().map_or(0, Bytes::len);
                }
                keep
            });
            (source.waiting, source.octets) = (waiting, octets);
            let entries = &source.entries;
            source.replies.retain(|(key, id)| entries.get(key).is_some_and(|entry| entry.id == *id));
        }
        self.sources.retain(|_, source| !source.entries.is_empty());
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let sum = |of: fn(&Source) -> usize| self.sources.values().map(of).sum();
        (self.sources.len(), sum(|source| source.entries.len()), sum(|source| source.octets))
    }
}

impl Source {
    /// Takes a request out; its number if it waited.
    fn remove(&mut self, key: &Key) -> Option<CommandId> {
        let entry = self.entries.remove(key)?;
        match entry.reply {
            // Its place in the queue of replies is left, and passed over later.
            Some(reply) => {
                self.octets -= reply.len();
                None
            }
            None => {
                self.waiting -= 1;
                Some(entry.id)
            }
        }
    }

    /// False: there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some((key, id)) = self.replies.pop_front() else { return false };
        if self.entries.get(&key).is_some_and(|entry| entry.id == id) {
            self.remove(&key);
        }
        true
    }
}
