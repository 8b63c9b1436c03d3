//! Names and words of the protocol, which come in more than one spelling.

use super::bencode::Item;

/// Longer names are cut: no name of the protocol is that long.
const MOST: usize = 48;

/// A name in one spelling: small letters, hyphens for blanks and underscores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    octets: [u8; MOST],
    len: usize,
}

impl Name {
    /// Brings a name into the one spelling.
    pub(super) fn of(written: &[u8]) -> Name {
        let mut octets = [0; MOST];
        let mut len = 0;
        for (to, from) in octets.iter_mut().zip(written) {
            *to = match from {
                b' ' | b'_' => b'-',
                other => other.to_ascii_lowercase(),
            };
            len += 1;
        }
        Name { octets, len }
    }

    /// The name; empty if it is no text.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.octets.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }
}

/// What of a stranger's word may stand in a log or in an answer: 64 characters, none of them a control character.
pub(super) fn shown(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word.get(..256).unwrap_or(word));
    word.chars().take(64).map(|c| if c.is_control() { '.' } else { c }).collect()
}

/// Whether a value says yes. No value does, and so does any but 0 and the words for no.
pub(super) fn is_on(value: Option<Item<'_>>) -> bool {
    match value {
        Some(Item::Integer(number)) => number != 0,
        Some(Item::Octets(word)) => !is_no(Name::of(word).as_str()),
        _ => true,
    }
}

/// The words for no.
pub(super) fn is_no(word: &str) -> bool {
    matches!(word, "no" | "off" | "0" | "false" | "disable" | "disabled" | "none")
}

/// Calls `each` with every word of a list, or with the one word that stands in its place. Only strings are words.
pub(super) fn each<'a>(value: Item<'a>, mut each: impl FnMut(&'a [u8])) {
    match value {
        Item::List(list) => list.iter().filter_map(Item::octets).for_each(each),
        Item::Octets(word) => each(word),
        _ => {}
    }
}
