//! Several short strings in one allocation, for records that live as long as a call.

/// `N` strings in one block: their octets, and where each ends. A string past 65535 octets in all is cut short.
///
/// ```
/// use c4_ref::cdr::Packed;
/// let names = Packed::new(["alice", "", "bob"]);
/// assert_eq!(names.get(2), "bob");
/// assert_eq!(names.with(1, "carol").get(1), "carol");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packed<const N: usize> {
    text: Box<str>,
    ends: [u16; N],
}

impl<const N: usize> Packed<N> {
    /// These strings, copied.
    pub fn new(parts: [&str; N]) -> Packed<N> {
        let mut text = String::with_capacity(parts.iter().map(|p| p.len()).sum());
        let ends = parts.map(|part| {
            let room = usize::from(u16::MAX) - text.len();
            text.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or_default());
            text.len() as u16
        });
        Packed { text: text.into_boxed_str(), ends }
    }

    /// The string at `index`; empty past the last.
    pub fn get(&self, index: usize) -> &str {
        let end = self.ends.get(index).copied().unwrap_or_default();
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }

    /// The same strings with another one at `index`.
    pub fn with(&self, index: usize, part: &str) -> Packed<N> {
        Packed::new(std::array::from_fn(|i| if i == index { part } else { self.get(i) }))
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;

    #[test]
    fn strings_come_back_as_they_were() {
        let p = Packed::new(["", "ä", "", "xyz"]);
        assert_eq!([p.get(0), p.get(1), p.get(2), p.get(3), p.get(4)], ["", "ä", "", "xyz", ""]);
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        let long = "ä".repeat(40_000);
        let p = Packed::new([long.as_str(), "tail"]);
        assert_eq!(p.get(0).len(), 65_534);
        assert_eq!(p.get(1), "t");
    }
}
