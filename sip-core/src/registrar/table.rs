//! The table of bindings: places for all of them, found by a keyed hash of their address of record, woken by a wheel.

use std::collections::HashMap;
use std::sync::Arc;

use super::binding::aor_of;
use crate::transaction::keyed::{Keys, Ready};
use crate::transaction::wheel::{Link, Links, NONE, Wheel};

/// A place, with or without a binding.
#[derive(Clone, Debug, Hash)]
pub(super) struct Place {
    /// `None`: vacant.
    pub(super) data: Option<Arc<[u8]>>,
    pub(super) order: u64,
    /// When it ends, in milliseconds since the start.
    pub(super) expires: u64,
    pub(super) cseq: u32,
    /// The next binding whose address has the same hash, or the next vacant place.
    next: u32,
    link: Link,
}

impl Place {
    /// Its data; empty if it is vacant.
    pub(super) fn data(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
struct Places(Vec<Place>);

impl Links for Places {
    fn link(&mut self, place: u32) -> Option<&mut Link> {
        self.0.get_mut(place as usize).map(|place| &mut place.link)
    }
}

/// The bindings of one registrar. A binding costs its place, its text and an eighth of a map entry more; there is no
/// record for an address besides.
#[derive(Clone, Debug)]
pub(super) struct Table {
    places: Places,
    vacant: u32,
    /// The first binding of each hash of an address.
    heads: HashMap<u64, u32, Ready>,
    wheel: Wheel,
    keys: Keys,
    len: usize,
}

impl Table {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self {
            places: Places(Vec::new()),
            vacant: NONE,
            heads: HashMap::with_hasher(Ready),
            wheel: Wheel::new(),
            keys: Keys::new(seed),
            len: 0,
        }
    }

    /// Bindings held.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Addresses of record with a binding (two with equal 64-bit hashes would count once).
    pub(super) fn aors(&self) -> usize {
        self.heads.len()
    }

    /// The place numbered so.
    pub(super) fn get(&self, place: u32) -> Option<&Place> {
        self.places.0.get(place as usize).filter(|place| place.data.is_some())
    }

    /// Every binding, in the order of the places: the same for the same history.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.0.iter().filter(|place| place.data.is_some())
    }

    /// The places of an address of record.
    pub(super) fn of_aor<'a>(&'a self, aor: &'a str) -> impl Iterator<Item = (u32, &'a Place)> {
        let mut at = self.heads.get(&self.hash(aor.as_bytes())).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            loop {
                let place = self.places.0.get(at as usize)?;
                let number = std::mem::replace(&mut at, place.next);
                if aor_of(place.data()) == aor.as_bytes() {
                    return Some((number, place));
                }
            }
        })
    }

    /// Adds a binding.
    pub(super) fn insert(&mut self, data: Arc<[u8]>, cseq: u32, order: u64, expires: u64) {
        let hash = self.hash(aor_of(&data));
        let number = match self.places.0.get(self.vacant as usize) {
            Some(vacant) => std::mem::replace(&mut self.vacant, vacant.next),
            None => self.places.0.len() as u32,
        };
        let next = self.heads.insert(hash, number).unwrap_or(NONE);
        let place = Place { data: Some(data), order, expires, cseq, next, link: Link::new() };
        match self.places.0.get_mut(number as usize) {
            Some(vacant) => *vacant = place,
            None => self.places.0.push(place),
        }
        self.len += 1;
        self.wheel.arm(&mut self.places, number, expires);
    }

    /// Changes a binding. `data`: `None` where its text stays.
    pub(super) fn update(&mut self, number: u32, data: Option<Arc<[u8]>>, cseq: u32, order: u64, expires: u64) {
        let Some(place) = self.places.0.get_mut(number as usize) else { return };
        if data.is_some() {
            place.data = data;
        }
        (place.cseq, place.order, place.expires) = (cseq, order, expires);
        self.wheel.arm(&mut self.places, number, expires);
    }

    /// Takes a binding out.
    pub(super) fn remove(&mut self, number: u32) -> Option<Place> {
        let hash = self.hash(aor_of(self.get(number)?.data()));
        self.wheel.disarm(&mut self.places, number);
        let next = self.places.0.get(number as usize)?.next;
        self.unchain(hash, number, next);
        let place = self.places.0.get_mut(number as usize)?;
        let vacant = Place { data: None, order: 0, expires: 0, cseq: 0, next: self.vacant, link: Link::new() };
        self.vacant = number;
        self.len -= 1;
        Some(std::mem::replace(place, vacant))
    }

    /// The next deadline, in milliseconds since the start, or a bound below it.
    pub(super) fn next(&self) -> Option<u64> {
        self.wheel.next()
    }

    /// A binding that has ended by `now`. It stays in the table, disarmed, until it is removed.
    pub(super) fn pop(&mut self, now: u64) -> Option<u32> {
        self.wheel.pop(&mut self.places, now)
    }

    /// A tag that depends on the seed and on `octets`.
    pub(super) fn tag(&self, octets: &[u8]) -> u64 {
        let [_, second] = self.keys.identity(octets);
        second
    }

    fn hash(&self, aor: &[u8]) -> u64 {
        let [first, _] = self.keys.identity(aor);
        first
    }

    fn unchain(&mut self, hash: u64, number: u32, next: u32) {
        let Some(head) = self.heads.get_mut(&hash) else { return };
        if *head == number {
            match next {
                NONE => _ = self.heads.remove(&hash),
                next => *head = next,
            }
            return;
        }
        let mut at = *head;
        while let Some(place) = self.places.0.get_mut(at as usize) {
            if place.next == number {
                place.next = next;
                return;
            }
            at = place.next;
        }
    }
}
