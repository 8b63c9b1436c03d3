//! Reading a description: one pass that finds the lines and checks their order and the core lines' grammar.

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

use super::index::{Line, MALFORMED};
use super::{ParseError, Session, Warning, WarningKind};
use crate::Limits;
use crate::attribute::AttributeName;
use crate::line::{Bandwidth, Connection, MediaLine, Origin, Timing};

/// Octets a line has at the least on average, for the first size of the index.
const USUAL_LINE: usize = 28;

pub(super) fn parse(buf: Bytes, limits: &Limits) -> Result<Session, ParseError> {
    if buf.len() > limits.max_octets || u32::try_from(buf.len()).is_err() {
        return Err(ParseError::TooLarge);
    }
    let mut reader = Reader {
        lines: Vec::with_capacity((buf.len() / USUAL_LINE + 8).min(limits.max_lines)),
        state: State::default(),
        warnings: Vec::new(),
        limits,
    };
    reader.read(&buf)?;
    let Reader { lines, warnings, .. } = reader;
    Ok(Session { buf, own: Vec::new(), lines, warnings })
}

struct Reader<'a> {
    lines: Vec<Line>,
    warnings: Vec<Warning>,
    state: State,
    limits: &'a Limits,
}

/// What was seen so far.
#[derive(Default)]
struct State {
    /// One bit a letter of this section.
    seen: u32,
    session_connection: bool,
    /// The media description before has none, and is not rejected: its line.
    needs_connection: Option<u32>,
    /// Rank of the last line in this section.
    rank: u8,
    medias: usize,
    attributes: usize,
    /// A line of a known type was there.
    sdp: bool,
}

impl Reader<'_> {
    fn warn(&mut self, kind: WarningKind) {
        self.warn_at(self.lines.len() as u32 + 1, kind);
    }

    fn warn_at(&mut self, line: u32, kind: WarningKind) {
        self.warnings.push(Warning { line, kind });
    }

    fn read(&mut self, buf: &[u8]) -> Result<(), ParseError> {
        let max_line = self.limits.max_line.min(Limits::LINE_CEILING);
        let mut at = 0;
        let (mut carriage_returns, mut bare) = (0, false);
        while at < buf.len() {
            let rest = buf.get(at..).unwrap_or_default();
            let (len, tail) = match memchr(b'\n', rest) {
                Some(lf) if lf > 0 && rest.get(lf - 1) == Some(&b'\r') => (lf + 1, 2),
                Some(lf) => (lf + 1, 1),
                None => (rest.len(), 0),
            };
            if len > max_line {
                return Err(ParseError::LineTooLong { line: self.lines.len() as u32 + 1 });
            }
            if self.lines.len() >= self.limits.max_lines {
                return Err(ParseError::TooManyLines);
            }
            match tail {
                2 => carriage_returns += 1,
                // One warning for all: who does so does so throughout.
                1 if !bare => {
                    bare = true;
                    self.warn(WarningKind::BareLineFeed);
                }
                1 => {}
                _ => self.warn(WarningKind::NoLineEnd),
            }
            let line = self.line(rest.get(..len).unwrap_or_default(), tail, at)?;
            self.lines.push(line);
            at += len;
        }
        self.finish(buf, carriage_returns)
    }

    fn finish(&mut self, buf: &[u8], carriage_returns: usize) -> Result<(), ParseError> {
        if !self.state.sdp {
            return Err(ParseError::NotSdp);
        }
        self.end_section();
        for (octet, expected, kind) in
            [(b'\r', carriage_returns, WarningKind::BareCarriageReturn), (0, 0, WarningKind::Nul)]
        {
            if memchr_iter(octet, buf).count() != expected {
                let line = self.first_line_with(buf, octet);
                self.warn_at(line, kind);
            }
        }
        if let Err(error) = std::str::from_utf8(buf) {
            let line = 1 + memchr_iter(b'\n', buf.get(..error.valid_up_to()).unwrap_or_default()).count() as u32;
            self.warn_at(line, WarningKind::NotUtf8);
        }
        Ok(())
    }

    /// The first line that holds the octet before its end.
    fn first_line_with(&self, buf: &[u8], octet: u8) -> u32 {
        let holds = |line: &Line| {
            let text = line.whole().of(buf);
            let text = text.strip_suffix(b"\r\n").unwrap_or(text);
            memchr(octet, text).is_some()
        };
        self.lines.iter().position(holds).unwrap_or_default() as u32 + 1
    }

    fn line(&mut self, octets: &[u8], tail: usize, at: usize) -> Result<Line, ParseError> {
        let text = octets.get(..octets.len() - tail).unwrap_or_default();
        let mut lead = 0;
        let (letter, mut value) = match text {
            [letter, b'=', value @ ..] if letter.is_ascii_alphabetic() => (*letter, value),
            _ => {
                let trimmed = text.trim_ascii_start();
                lead = text.len() - trimmed.len();
                match trimmed {
                    [letter, b'=', value @ ..] if letter.is_ascii_alphabetic() => {
                        self.warn(WarningKind::Blanks);
                        (*letter, value)
                    }
                    other => {
                        self.warn(if other.is_empty() { WarningKind::EmptyLine } else { WarningKind::NotALine });
                        return Ok(Line::new(at, octets.len(), MALFORMED, 0, tail));
                    }
                }
            }
        };
        let mut value_at = lead + 2;
        if let [b' ' | b'\t', ..] = value
            && letter != b's'
        {
            self.warn(WarningKind::Blanks);
            let trimmed = value.trim_ascii_start();
            value_at += value.len() - trimmed.len();
            value = trimmed;
        }
        let line = Line::new(at, octets.len(), letter, value_at, tail);
        if letter == b'a' {
            return self.attribute(line, value);
        }
        self.order(letter)?;
        self.core(letter, value);
        Ok(line)
    }

    #[inline]
    fn attribute(&mut self, line: Line, value: &[u8]) -> Result<Line, ParseError> {
        self.state.sdp = true;
        self.state.rank = rank(b'a');
        self.state.attributes += 1;
        if self.state.attributes > self.limits.max_attributes {
            return Err(ParseError::TooManyAttributes);
        }
        let colon = memchr(b':', value);
        let mut name = value.get(..colon.unwrap_or(value.len())).unwrap_or_default();
        if let [.., b' ' | b'\t'] = name {
            self.warn(WarningKind::Blanks);
            name = name.trim_ascii_end();
        }
        if name.is_empty() {
            self.warn(WarningKind::AttributeName);
        }
        let mut known = AttributeName::lookup(name);
        if known.is_none() && name.iter().any(u8::is_ascii_uppercase) {
            known = AttributeName::lookup_any_case(name);
            if known.is_some() {
                self.warn(WarningKind::AttributeCase);
            }
        }
        if known == Some(AttributeName::Rtpmap) {
            let mapped = colon.and_then(|colon| value.get(colon + 1..)).unwrap_or_default().trim_ascii_start();
            let encoding = memchr(b' ', mapped).and_then(|blank| mapped.get(blank..)).unwrap_or_default();
            if memchr(b'/', encoding).is_none() {
                self.warn(WarningKind::Attribute);
            }
        }
        Ok(line.with_name(name.len(), known, colon.is_some()))
    }

    /// Checks order and repetition (RFC 8866 §5, §9), and opens a media description.
    fn order(&mut self, letter: u8) -> Result<(), ParseError> {
        let bit = 1 << (letter.to_ascii_lowercase() - b'a');
        if letter == b'm' {
            self.end_section();
            self.state.medias += 1;
            if self.state.medias > self.limits.max_medias {
                return Err(ParseError::TooManyMedias);
            }
            self.state = State {
                seen: bit,
                rank: rank(letter),
                attributes: 0,
                needs_connection: None,
                session_connection: self.state.session_connection,
                medias: self.state.medias,
                sdp: true,
            };
            return Ok(());
        }
        let rank = rank(letter);
        if rank == UNKNOWN_RANK {
            self.warn(WarningKind::UnknownType);
            return Ok(());
        }
        self.state.sdp = true;
        let in_media = self.state.medias > 0;
        let group = matches!(letter, b't' | b'r' | b'z');
        if (in_media && !matches!(letter, b'i' | b'c' | b'b' | b'k')) || (rank < self.state.rank && !group) {
            self.warn(WarningKind::Order);
        } else if self.state.seen & bit != 0
            && (matches!(letter, b'v' | b'o' | b's' | b'i' | b'u' | b'z' | b'k') || (letter == b'c' && !in_media))
        {
            self.warn(WarningKind::Repeated);
        }
        self.state.rank = self.state.rank.max(rank);
        self.state.seen |= bit;
        Ok(())
    }

    /// What must have been there when a section ends.
    fn end_section(&mut self) {
        let seen = |state: &State, letter: u8| state.seen & (1 << (letter - b'a')) != 0;
        let line = self.lines.len().max(1) as u32;
        if self.state.medias == 0 {
            self.state.session_connection = seen(&self.state, b'c');
            for (letter, kind) in [
                (b'v', WarningKind::MissingVersion),
                (b'o', WarningKind::MissingOrigin),
                (b's', WarningKind::MissingName),
                (b't', WarningKind::MissingTime),
            ] {
                if !seen(&self.state, letter) {
                    self.warn_at(line, kind);
                }
            }
        } else if let Some(media) = self.state.needs_connection
            && !self.state.session_connection
            && !seen(&self.state, b'c')
        {
            self.warn_at(media, WarningKind::MissingConnection);
        }
    }

    fn core(&mut self, letter: u8, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let kind = match letter {
            b'v' => (text != "0").then_some(WarningKind::Version),
            b'o' => Origin::parse(text).is_none().then_some(WarningKind::Origin),
            b's' => text.is_empty().then_some(WarningKind::EmptyName),
            b'c' => Connection::parse(text).is_none().then_some(WarningKind::Connection),
            b'b' => Bandwidth::parse(text).is_none().then_some(WarningKind::Bandwidth),
            b't' => Timing::parse(text).is_none().then_some(WarningKind::Time),
            b'm' => match MediaLine::parse(text) {
                Some(media) => {
                    self.state.needs_connection = (media.port != 0).then_some(self.lines.len() as u32 + 1);
                    (!media.is_well_formed()).then_some(WarningKind::Media)
                }
                None => Some(WarningKind::Media),
            },
            _ => None,
        };
        if let Some(kind) = kind {
            self.warn(kind);
        }
    }
}

const UNKNOWN_RANK: u8 = u8::MAX;

/// The place of a line in its section (RFC 8866 §5): smaller comes first. Unknown letters: 255.
pub(super) fn rank(letter: u8) -> u8 {
    let place = b"vosiuepcbtrzka".iter().position(|known| *known == letter);
    match letter {
        b'm' => 0,
        _ => place.map_or(UNKNOWN_RANK, |place| place as u8 + 1),
    }
}
