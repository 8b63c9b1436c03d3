//! The index of a description: 16 octets a line.

use crate::attribute::AttributeName;

/// A stretch of the received octets or of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) own: bool,
}

impl Span {
    pub(crate) fn of<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        octets.get(start..start + self.len as usize).unwrap_or_default()
    }
}

const OWN: u8 = 1;
/// The attribute has a colon.
const VALUED: u8 = 2;
/// Letter of a line that is no `x=`.
pub(crate) const MALFORMED: u8 = 0;

/// One line with its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    start: u32,
    len: u32,
    /// Octets of the attribute's name.
    name: u16,
    /// Where the value starts, counted from the start of the line: 2, more where blanks stand before it.
    value: u16,
    letter: u8,
    /// Octets of the line end: 2, 1, or none.
    tail: u8,
    code: u8,
    flags: u8,
}

const _: () = assert!(size_of::<Line>() == 16);

impl Line {
    /// The caller has checked that value and tail lie within `len` and `len` within 16 bits.
    pub(crate) fn new(start: usize, len: usize, letter: u8, value: usize, tail: usize) -> Line {
        Line {
            start: start as u32,
            len: len as u32,
            name: 0,
            value: value as u16,
            letter,
            tail: tail as u8,
            code: AttributeName::UNKNOWN,
            flags: 0,
        }
    }

    pub(crate) fn with_name(mut self, name: usize, known: Option<AttributeName>, valued: bool) -> Line {
        self.name = name as u16;
        self.code = known.map_or(AttributeName::UNKNOWN, AttributeName::code);
        self.flags |= if valued { VALUED } else { 0 };
        self
    }

    pub(crate) fn into_own(mut self) -> Line {
        self.flags |= OWN;
        self
    }

    /// The same line at another place of our own octets.
    pub(crate) fn moved_to(mut self, start: usize) -> Line {
        self.start = start as u32;
        self.into_own()
    }

    pub(crate) fn is_own(&self) -> bool {
        self.flags & OWN != 0
    }

    pub(crate) fn letter(&self) -> u8 {
        self.letter
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.tail > 0
    }

    pub(crate) fn is(&self, known: AttributeName) -> bool {
        self.code == known.code()
    }

    pub(crate) fn known(&self) -> Option<AttributeName> {
        AttributeName::from_code(self.code)
    }

    /// The whole line with its end.
    pub(crate) fn whole(&self) -> Span {
        Span { start: self.start, len: self.len, own: self.is_own() }
    }

    /// What stands behind `x=`, without the line end.
    pub(crate) fn value<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        let end = (start + self.len as usize).saturating_sub(usize::from(self.tail));
        octets.get(start + usize::from(self.value)..end).unwrap_or_default()
    }

    /// Name of an attribute.
    pub(crate) fn name<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize + usize::from(self.value);
        octets.get(start..start + usize::from(self.name)).unwrap_or_default()
    }

    /// What stands behind the colon of an attribute; None without a colon.
    pub(crate) fn attribute_value<'a>(&self, octets: &'a [u8]) -> Option<&'a [u8]> {
        if self.flags & VALUED == 0 {
            return None;
        }
        let value = self.value(octets);
        let mut rest = value.get(usize::from(self.name)..)?;
        // Blanks between name and colon.
        while let [b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        rest.get(1..)
    }
}
