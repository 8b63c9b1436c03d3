//! The index of a message: 16 octets a header line.

use crate::header::Header;

/// A stretch of the received octets or of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) own: bool,
}

impl Span {
    pub(super) fn of<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        octets.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// Code of a name that is not in [`Header`].
const UNKNOWN: u8 = u8::MAX;
const OWN: u8 = 1;
const MALFORMED: u8 = 2;

/// One header line with its folds and its last CRLF.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    start: u32,
    len: u32,
    /// Octets of the name.
    name: u16,
    /// Where the value starts, counted from the start of the line.
    value: u16,
    /// Octets after the value: white space and CRLF.
    tail: u16,
    code: u8,
    flags: u8,
}

const _: () = assert!(size_of::<Line>() == 16);

impl Line {
    /// The caller has checked that `name`, `value` and `tail` lie within `len` and `len` within 16 bits.
    pub(super) fn new(
        start: usize,
        len: usize,
        name: usize,
        value: usize,
        tail: usize,
        header: Option<Header>,
    ) -> Line {
        Line {
            start: start as u32,
            len: len as u32,
            name: name as u16,
            value: value as u16,
            tail: tail as u16,
            code: header.map_or(UNKNOWN, Header::code),
            flags: 0,
        }
    }

    /// A line without a name and colon. It is kept for byte-exact writing, and found under no name.
    pub(super) fn malformed(start: usize, len: usize) -> Line {
        Line { flags: MALFORMED, ..Line::new(start, len, 0, 0, 2, None) }
    }

    pub(super) fn into_own(mut self) -> Line {
        self.flags |= OWN;
        self
    }

    /// The same line at another place of our own octets.
    pub(super) fn moved_to(mut self, start: usize) -> Line {
        self.start = start as u32;
        self
    }

    pub(super) fn is_own(&self) -> bool {
        self.flags & OWN != 0
    }

    pub(super) fn is_malformed(&self) -> bool {
        self.flags & MALFORMED != 0
    }

    pub(super) fn is(&self, header: Header) -> bool {
        self.code == header.code()
    }

    pub(super) fn header(&self) -> Option<Header> {
        Header::from_code(self.code)
    }

    /// The whole line.
    pub(super) fn whole(&self) -> Span {
        Span { start: self.start, len: self.len, own: self.is_own() }
    }

    pub(super) fn name<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        octets.get(start..start + usize::from(self.name)).unwrap_or_default()
    }

    pub(super) fn value<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        let end = (start + self.len as usize).saturating_sub(usize::from(self.tail));
        octets.get(start + usize::from(self.value)..end).unwrap_or_default()
    }
}
