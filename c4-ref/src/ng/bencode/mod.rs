//! Bencode: integers, octet strings, lists and dictionaries, with bounds.
//!
//! What is read is borrowed and walked in place: [`parse`] checks the whole once and allocates nothing. [`Value`] is the
//! owned form for writing. [`Scanner`] finds the end of an item that arrives in pieces, as on a TCP connection.
//!
//! ```
//! use c4_ref::ng::bencode::{self, Item, Limits};
//! let item = bencode::parse(b"d3:sdp4:v=0\n4:tagsl1:a1:bee", &Limits::default()).unwrap();
//! let dict = item.dict().unwrap();
//! assert_eq!(dict.get(b"sdp"), Some(Item::Octets(b"v=0\n")));
//! assert_eq!(dict.get(b"tags").unwrap().list().unwrap().iter().count(), 2);
//! ```
//!
//! Keys may come in any order, as rtpengine and its clients write them; [`Value`] writes them sorted, as the format
//! demands. Of a key that comes twice the first counts.

mod item;
mod scanner;
mod value;

pub use item::{Dict, Item, Items, List, Pairs};
pub use scanner::Scanner;
pub use value::{Dictionary, Value};
pub(in crate::ng) use value::{dictionary, write_pair};

/// How much an item may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lists and dictionaries within each other; 32 at most.
    pub depth: u8,
    /// Strings, integers, lists and dictionaries together; keys count too.
    pub items: u32,
    /// Octets of the whole item.
    pub octets: usize,
}

impl Default for Limits {
    /// 16 levels, 4096 items, 65,536 octets.
    fn default() -> Self {
        Limits { depth: 16, items: 4096, octets: 65_536 }
    }
}

/// Why octets are no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An octet that cannot stand where it stands.
    #[error("unexpected octet at {at}")]
    Syntax {
        /// Its place, counted from 0.
        at: usize,
    },
    /// The item does not end.
    #[error("cut off")]
    Truncated,
    /// Octets follow the item.
    #[error("octets after the end at {at}")]
    Trailing {
        /// The place of the first, counted from 0.
        at: usize,
    },
    /// Deeper than [`Limits::depth`].
    #[error("nested too deeply")]
    TooDeep,
    /// More than [`Limits::items`].
    #[error("too many items")]
    TooMany,
    /// Longer than [`Limits::octets`].
    #[error("too long")]
    TooLong,
}

/// Reads one item that is all of `octets`.
///
/// # Errors
/// What is wrong with it; see [`Error`].
pub fn parse<'a>(octets: &'a [u8], limits: &Limits) -> Result<Item<'a>, Error> {
    match Scanner::new(*limits).push(octets)? {
        None => Err(Error::Truncated),
        Some(at) if at < octets.len() => Err(Error::Trailing { at }),
        Some(_) => Item::take(&mut &*octets).ok_or(Error::Truncated),
    }
}

#[cfg(test)]
mod tests;
