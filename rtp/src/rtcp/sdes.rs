//! Source descriptions (RFC 3550 §6.5).

use super::Defect;

/// One item; 1 is CNAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type, never 0.
    pub kind: u8,
    /// Its text, at most 255 octets, UTF-8 by the book.
    pub text: &'a [u8],
}

/// The items of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Its items.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (item, after) = split(rest)?;
            rest = after;
            Some(item)
        })
    }

    /// Its canonical name.
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == 1).map(|item| item.text)
    }
}

fn split(octets: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&[kind, length], rest) = octets.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    (kind != 0).then_some((Item { kind, text }, rest))
}

pub(super) struct Chunks<'a> {
    pub(super) rest: &'a [u8],
    pub(super) left: u8,
    pub(super) count: u8,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, Defect>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let chunk = self.chunk().ok_or(Defect::Count(self.count));
        if chunk.is_err() {
            self.left = 0;
        }
        Some(chunk)
    }
}

impl<'a> Chunks<'a> {
    fn chunk(&mut self) -> Option<Chunk<'a>> {
        let (ssrc, all) = self.rest.split_first_chunk::<4>()?;
        let mut at = all;
        while let Some((_, after)) = split(at) {
            at = after;
        }
        // The list ends with an octet 0 and is filled up with more of them to the next word.
        if *at.first()? != 0 {
            return None;
        }
        let length = all.len() - at.len();
        self.rest = all.get((length + 1).next_multiple_of(4)..)?;
        Some(Chunk { ssrc: u32::from_be_bytes(*ssrc), items: all.get(..length)? })
    }
}
