//! Reading a description.

use std::fmt;

use super::index::Line;
use super::{Scope, Session, Warning, WarningKind};
use crate::attribute::{Attribute, BadAttribute, Name, TypedAttribute, lint};
use crate::line::{Bandwidth, Connection, Origin, RepeatTimes, Timing, ZoneAdjustment};
use crate::media::Media;
use crate::{AttributeName, Direction};

/// A line of any kind as it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Its type, such as `a`; None for octets that are no `x=`.
    pub letter: Option<char>,
    /// What stands behind `x=`, without the line end; all of the line where there is no `x=`.
    pub value: &'a [u8],
}

/// Without the value, which may be a secret.
impl fmt::Debug for RawLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLine").field("letter", &self.letter).field("octets", &self.value.len()).finish()
    }
}

impl Session {
    /// All lines in their order.
    pub fn lines(&self) -> impl Iterator<Item = RawLine<'_>> {
        self.lines.iter().map(|line| self.raw(line))
    }

    /// The lines of one section in their order; none if there is no such section.
    pub fn section_lines(&self, scope: Scope) -> impl Iterator<Item = RawLine<'_>> {
        self.section_index(scope).iter().map(|line| self.raw(line))
    }

    fn raw(&self, line: &Line) -> RawLine<'_> {
        let letter = (line.letter() != super::index::MALFORMED).then_some(char::from(line.letter()));
        RawLine { letter, value: self.line_value(line) }
    }

    pub(crate) fn section_index(&self, scope: Scope) -> &[Line] {
        self.section(scope).and_then(|range| self.lines.get(range)).unwrap_or_default()
    }

    /// The value of the first line of a type in a section, trimmed; None if absent or no UTF-8.
    pub fn value_of(&self, scope: Scope, letter: char) -> Option<&str> {
        self.first_value(self.section_index(scope), letter as u8)
    }

    pub(crate) fn first_value(&self, section: &[Line], letter: u8) -> Option<&str> {
        let line = section.iter().find(|line| line.letter() == letter)?;
        text(self.line_value(line))
    }

    /// The version, `v=`: 0 in all that exists.
    pub fn version(&self) -> Option<u32> {
        self.value_of(Scope::Session, 'v')?.parse().ok()
    }

    /// The originator, `o=` (RFC 8866 §5.2); None if absent or malformed.
    pub fn origin(&self) -> Option<Origin<'_>> {
        Origin::parse(self.value_of(Scope::Session, 'o')?)
    }

    /// The session's name, `s=` (RFC 8866 §5.3).
    pub fn name(&self) -> Option<&str> {
        self.value_of(Scope::Session, 's')
    }

    /// The session's information, `i=` (RFC 8866 §5.4).
    pub fn information(&self) -> Option<&str> {
        self.value_of(Scope::Session, 'i')
    }

    /// Where more is to be found, `u=` (RFC 8866 §5.5).
    pub fn uri(&self) -> Option<&str> {
        self.value_of(Scope::Session, 'u')
    }

    /// Addresses of mail, `e=` (RFC 8866 §5.6).
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        self.values(Scope::Session, 'e')
    }

    /// Telephone numbers, `p=` (RFC 8866 §5.6).
    pub fn phones(&self) -> impl Iterator<Item = &str> {
        self.values(Scope::Session, 'p')
    }

    /// The session's connection data, `c=` before the first media description (RFC 8866 §5.7).
    pub fn connection(&self) -> Option<Connection<'_>> {
        Connection::parse(self.value_of(Scope::Session, 'c')?)
    }

    /// Bandwidths of the session, `b=` (RFC 8866 §5.8).
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'_>> {
        self.values(Scope::Session, 'b').filter_map(Bandwidth::parse)
    }

    /// Times at which the session is active, `t=` (RFC 8866 §5.9).
    pub fn timings(&self) -> impl Iterator<Item = Timing> {
        self.values(Scope::Session, 't').filter_map(Timing::parse)
    }

    /// Repeat times, `r=` (RFC 8866 §5.10).
    pub fn repeats(&self) -> impl Iterator<Item = RepeatTimes<'_>> {
        self.values(Scope::Session, 'r').filter_map(RepeatTimes::parse)
    }

    /// Time zone adjustments, `z=` (RFC 8866 §5.11).
    pub fn zone_adjustments(&self) -> impl Iterator<Item = ZoneAdjustment<'_>> {
        self.value_of(Scope::Session, 'z').into_iter().flat_map(ZoneAdjustment::parse_all)
    }

    /// The session's encryption key, `k=`: obsolete (RFC 8866 §5.12), kept as it is. A secret: not for logs.
    pub fn key(&self) -> Option<&str> {
        self.value_of(Scope::Session, 'k')
    }

    /// The values of all lines of a type in a section, trimmed; those that are no UTF-8 are left out.
    pub fn values(&self, scope: Scope, letter: char) -> impl Iterator<Item = &str> {
        let lines = self.section_index(scope).iter().filter(move |line| line.letter() == letter as u8);
        lines.filter_map(|line| text(self.line_value(line)))
    }

    /// The media description of this number, from 0.
    pub fn media(&self, index: usize) -> Option<Media<'_>> {
        let lines = self.lines.get(self.section(Scope::Media(index))?)?;
        Some(Media::new(self, lines, index))
    }

    /// All media descriptions in their order.
    pub fn medias(&self) -> impl Iterator<Item = Media<'_>> {
        let mut at = self.section(Scope::Session).map_or(self.lines.len(), |range| range.end);
        let mut index = 0;
        std::iter::from_fn(move || {
            let rest = self.lines.get(at..)?;
            rest.first()?;
            let more = rest.iter().skip(1).position(|line| line.letter() == b'm');
            let len = more.map_or(rest.len(), |more| more + 1);
            let media = Media::new(self, rest.get(..len)?, index);
            at += len;
            index += 1;
            Some(media)
        })
    }

    /// How many media descriptions there are.
    pub fn media_count(&self) -> usize {
        self.lines.iter().filter(|line| line.letter() == b'm').count()
    }

    /// The attributes of a section in their order.
    pub fn attributes_of(&self, scope: Scope) -> impl Iterator<Item = Attribute<'_>> {
        self.attributes_in(self.section_index(scope))
    }

    pub(crate) fn attributes_in<'a>(&'a self, section: &'a [Line]) -> impl Iterator<Item = Attribute<'a>> {
        section.iter().filter(|line| line.letter() == b'a').map(|line| self.attribute_at(line))
    }

    pub(crate) fn attribute_at(&self, line: &Line) -> Attribute<'_> {
        let octets = self.octets(line.is_own());
        Attribute { known: line.known(), name: line.name(octets), value: line.attribute_value(octets) }
    }

    /// The attributes of the session part.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.attributes_of(Scope::Session)
    }

    /// The first session attribute of this name: its value, trimmed, `""` for a flag; None if absent or no UTF-8.
    pub fn attribute<'n>(&self, name: impl Into<Name<'n>>) -> Option<&str> {
        self.find_attribute(self.section_index(Scope::Session), name.into())?.text()
    }

    pub(crate) fn find_attribute<'a>(&'a self, section: &'a [Line], name: Name<'_>) -> Option<Attribute<'a>> {
        let line = section.iter().find(|line| self.is_attribute(line, name))?;
        Some(self.attribute_at(line))
    }

    pub(crate) fn is_attribute(&self, line: &Line, name: Name<'_>) -> bool {
        line.letter() == b'a'
            && match name {
                Name::Known(known) => line.is(known),
                Name::Other(name) => line.name(self.octets(line.is_own())) == name.as_bytes(),
            }
    }

    /// The first session attribute of a type; None if absent.
    pub fn typed<'a, A: TypedAttribute<'a>>(&'a self) -> Option<Result<A, BadAttribute>> {
        self.typed_in(self.section_index(Scope::Session)).next()
    }

    /// All session attributes of a type.
    pub fn typed_all<'a, A: TypedAttribute<'a>>(&'a self) -> impl Iterator<Item = Result<A, BadAttribute>> {
        self.typed_in(self.section_index(Scope::Session))
    }

    pub(crate) fn typed_in<'a, A: TypedAttribute<'a>>(
        &'a self,
        section: &'a [Line],
    ) -> impl Iterator<Item = Result<A, BadAttribute>> + use<'a, A> {
        section.iter().filter(|line| line.letter() == b'a' && line.is(A::NAME)).map(|line| {
            let value = self.attribute_at(line).text().ok_or(BadAttribute(A::NAME))?;
            A::parse(value)
        })
    }

    /// The session's direction, which holds for media descriptions that have none (RFC 8866 §6.7).
    pub fn direction(&self) -> Option<Direction> {
        self.direction_in(self.section_index(Scope::Session))
    }

    pub(crate) fn direction_in(&self, section: &[Line]) -> Option<Direction> {
        section.iter().filter(|line| line.letter() == b'a').find_map(|line| line.known()?.direction())
    }

    /// Goes through the known attributes and tells which do not follow their grammar. Dearer than
    /// [`warnings`](Session::warnings): each one is parsed.
    pub fn lint(&self) -> Vec<Warning> {
        let bad = |(at, line): (usize, &Line)| {
            let known = line.known().filter(|_| line.letter() == b'a')?;
            let octets = self.octets(line.is_own());
            let value = line.attribute_value(octets).map(std::str::from_utf8);
            let good = match value {
                Some(Ok(value)) => lint(known, value.trim()),
                None => lint(known, ""),
                Some(Err(_)) => false,
            };
            (!good).then_some(Warning { line: at as u32 + 1, kind: WarningKind::Attribute })
        };
        self.lines.iter().enumerate().filter_map(bad).collect()
    }

    /// Whether any session or media attribute has this name.
    pub fn has_anywhere(&self, name: AttributeName) -> bool {
        self.lines.iter().any(|line| line.letter() == b'a' && line.is(name))
    }
}

/// UTF-8 without blanks at its ends.
pub(crate) fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets.trim_ascii()).ok()
}
