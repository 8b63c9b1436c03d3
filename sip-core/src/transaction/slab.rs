//! The table of transactions: places in chunks, so that it grows without copying and shrinks again.

use super::id::{self, Kind, MAX_PLACES};
use super::wheel::{Link, Links};

/// Places a chunk.
const CHUNK: usize = 64;

/// One place: the raw name of its tenant (0: vacant), its link into the timer wheel, and the tenant.
#[derive(Clone, Debug, Hash)]
pub(super) struct Place<T> {
    pub(super) raw: u64,
    pub(super) link: Link,
    pub(super) tenant: Option<T>,
}

#[derive(Clone, Debug, Hash)]
struct Chunk<T> {
    places: Vec<Place<T>>,
    /// Vacant places, the next on top.
    vacant: Vec<u8>,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Slab<T> {
    chunks: Vec<Option<Box<Chunk<T>>>>,
    /// Chunks with a vacant place, the next on top.
    open: Vec<u32>,
    /// Chunks that were dropped.
    dropped: Vec<u32>,
    serial: u64,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Slab<T> {
        Slab { chunks: Vec::new(), open: Vec::new(), dropped: Vec::new(), serial: 0, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// A serial number without a place.
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The raw name that the next tenant will get, and its place; None when the table is full.
    pub(super) fn reserve(&mut self, kind: Kind) -> Option<u64> {
        let chunk = match self.open.last() {
            Some(chunk) => *chunk,
            None => {
                let chunk = match self.dropped.pop() {
                    Some(chunk) => chunk,
                    None if self.chunks.len() * CHUNK >= MAX_PLACES => return None,
                    None => {
                        self.chunks.push(None);
                        self.chunks.len() as u32 - 1
                    }
                };
                *self.chunks.get_mut(chunk as usize)? = Some(Box::new(Chunk {
                    places: (0..CHUNK).map(|_| Place { raw: 0, link: Link::new(), tenant: None }).collect(),
                    vacant: (0..CHUNK as u8).rev().collect(),
                }));
                self.open.push(chunk);
                chunk
            }
        };
        let vacant = *self.chunks.get(chunk as usize)?.as_ref()?.vacant.last()?;
        let serial = self.serial();
        Some(id::pack(serial, chunk * CHUNK as u32 + u32::from(vacant), kind))
    }

    /// Puts the tenant in the place that [`Slab::reserve`] just named.
    pub(super) fn insert(&mut self, raw: u64, tenant: T) {
        let (number, offset) = split(id::place(raw));
        let Some(Some(chunk)) = self.chunks.get_mut(number) else { return };
        let Some(place) = chunk.places.get_mut(offset) else { return };
        place.raw = raw;
        place.tenant = Some(tenant);
        chunk.vacant.pop();
        if chunk.vacant.is_empty() {
            self.open.pop();
        }
        self.len += 1;
    }

    /// The place of this tenant; None when the name is stale.
    pub(super) fn get_mut(&mut self, raw: u64) -> Option<&mut Place<T>> {
        self.at_mut(id::place(raw)).filter(|place| place.raw == raw)
    }

    pub(super) fn get(&self, raw: u64) -> Option<&Place<T>> {
        let (number, offset) = split(id::place(raw));
        self.chunks.get(number)?.as_ref()?.places.get(offset).filter(|place| place.raw == raw)
    }

    /// Whoever lives at a place.
    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut Place<T>> {
        let (number, offset) = split(place);
        self.chunks.get_mut(number)?.as_mut()?.places.get_mut(offset)
    }

    /// Takes a tenant out. Its link must be disarmed.
    pub(super) fn remove(&mut self, raw: u64) -> Option<T> {
        let place = self.get_mut(raw)?;
        place.raw = 0;
        let tenant = place.tenant.take();
        self.len -= 1;
        let (number, offset) = split(id::place(raw));
        let chunk = self.chunks.get_mut(number)?;
        let vacant = &mut chunk.as_mut()?.vacant;
        vacant.push(offset as u8);
        match vacant.len() {
            1 => self.open.push(number as u32),
            // One chunk stays, or a lone transaction would make and drop it each time.
            CHUNK if self.open.len() > 1 => {
                *chunk = None;
                self.open.retain(|open| *open as usize != number);
                self.dropped.push(number as u32);
            }
            _ => {}
        }
        tenant
    }
}

impl<T> Links for Slab<T> {
    fn link(&mut self, place: u32) -> Option<&mut Link> {
        self.at_mut(place).map(|place| &mut place.link)
    }
}

const fn split(place: u32) -> (usize, usize) {
    (place as usize / CHUNK, place as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_name_finds_nothing_and_the_table_shrinks() {
        let mut slab = Slab::new();
        let names: Vec<u64> = (0..1000)
            .map(|n| {
                let raw = slab.reserve(Kind::Client).unwrap();
                slab.insert(raw, n);
                raw
            })
            .collect();
        assert_eq!(slab.len(), 1000);
        for (n, raw) in names.iter().enumerate().filter(|(n, _)| n % 2 == 1) {
            assert_eq!(slab.remove(*raw), Some(n));
        }
        let again = slab.reserve(Kind::Client).unwrap();
        slab.insert(again, 7);
        assert!(names.iter().all(|raw| *raw != again));
        assert!(names.iter().enumerate().all(|(n, raw)| slab.get(*raw).is_some() == (n % 2 == 0)));
        assert_eq!(slab.remove(names[1]), None);
        for raw in names.iter().step_by(2).chain([&again]) {
            assert!(slab.remove(*raw).is_some());
        }
        assert_eq!((slab.len(), slab.chunks.iter().flatten().count(), slab.open.len()), (0, 1, 1));
        let next = slab.reserve(Kind::Client).unwrap();
        assert!(next > again);
    }
}
