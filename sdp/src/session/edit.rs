//! Lossless edits: each appends to `own` and replaces, inserts or removes an index line.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::index::Line;
use super::parse::rank;
use super::{BadEdit, Scope, Session};
use crate::attribute::{Attribute, AttributeName, Direction, Name, TypedAttribute};
use crate::line::{Connection, MediaLine, Origin};
use crate::protocol::Protocol;
use crate::{Limits, Media};

/// What the lines of a relayed description usually need, so that all edits are one allocation.
const USUAL_OWN: usize = 512;

impl Session {
    /// A description with `v=`, `o=`, `s=` and `t=0 0`, and no media.
    ///
    /// # Errors
    /// [`BadEdit`] if a field of the origin or the name cannot be written.
    pub fn new(origin: &Origin<'_>, name: &str) -> Result<Session, BadEdit> {
        let mut session = Session::default();
        session.insert_line(Scope::Session, b'v', format_args!("0"))?;
        origin.check()?;
        session.insert_line(Scope::Session, b'o', format_args!("{origin}"))?;
        session.insert_line(Scope::Session, b's', format_args!("{}", if name.is_empty() { "-" } else { name }))?;
        session.insert_line(Scope::Session, b't', format_args!("0 0"))?;
        Ok(session)
    }

    /// Adds a media description at the end, and says its number.
    ///
    /// # Errors
    /// [`BadEdit`] if a field cannot be written.
    pub fn add_media(&mut self, media: &MediaLine<'_>) -> Result<usize, BadEdit> {
        media.check()?;
        let line = self.append_line(b'm', format_args!("{media}"))?;
        self.lines.push(line);
        Ok(self.media_count() - 1)
    }

    /// Adds a copy of a media description of this or another description at the end, and says its number.
    ///
    /// # Errors
    /// [`BadEdit::TooLong`].
    pub fn add_media_copy(&mut self, media: &Media<'_>) -> Result<usize, BadEdit> {
        let mut lines = Vec::with_capacity(media.index_lines().len());
        for line in media.index_lines() {
            let octets = line.whole().of(media.session().octets(line.is_own()));
            let at = self.reserve(octets.len() + 2)?;
            self.own.extend_from_slice(octets);
            lines.push(line.moved_to(at));
            // An unended line stays so in the index; writing ends it.
        }
        self.lines.extend(lines);
        Ok(self.media_count() - 1)
    }

    /// Removes a media description with all its lines. In a session that was negotiated this breaks RFC 3264 §8:
    /// there a media description is rejected by port 0, never taken away.
    pub fn remove_media(&mut self, index: usize) -> bool {
        let Some(range) = self.section(Scope::Media(index)) else { return false };
        self.lines.drain(range);
        true
    }

    /// Replaces the user name of `o=`.
    ///
    /// # Errors
    /// [`BadEdit::NoLine`] without a well-formed `o=`, [`BadEdit::Token`] for blanks or nothing.
    pub fn set_origin_username(&mut self, username: &str) -> Result<(), BadEdit> {
        self.edit_origin(|origin| Origin { username, ..origin }.to_text())
    }

    /// Replaces the session id of `o=`.
    ///
    /// # Errors
    /// As [`set_origin_username`](Session::set_origin_username).
    pub fn set_origin_session_id(&mut self, id: u64) -> Result<(), BadEdit> {
        let id = id.to_string();
        self.edit_origin(|origin| Origin { session_id: &id, ..origin }.to_text())
    }

    /// Replaces the version of `o=`: the number that goes up by one with each change (RFC 3264 §8).
    ///
    /// # Errors
    /// As [`set_origin_username`](Session::set_origin_username).
    pub fn set_origin_version(&mut self, version: u64) -> Result<(), BadEdit> {
        let version = version.to_string();
        self.edit_origin(|origin| Origin { session_version: &version, ..origin }.to_text())
    }

    /// Replaces the address of `o=`.
    ///
    /// # Errors
    /// As [`set_origin_username`](Session::set_origin_username).
    pub fn set_origin_address(&mut self, address: IpAddr) -> Result<(), BadEdit> {
        let text = address.to_string();
        let address_type = if address.is_ipv4() { "IP4" } else { "IP6" };
        self.edit_origin(|origin| Origin { address_type, address: &text, ..origin }.to_text())
    }

    /// Replaces `o=`, or adds it.
    ///
    /// # Errors
    /// As [`set_origin_username`](Session::set_origin_username).
    pub fn set_origin(&mut self, origin: &Origin<'_>) -> Result<(), BadEdit> {
        origin.check()?;
        self.set_line(Scope::Session, b'o', format_args!("{origin}"))
    }

    /// `edit` writes the new line, since an origin with another field borrows from two places.
    fn edit_origin(&mut self, edit: impl FnOnce(Origin<'_>) -> Result<String, BadEdit>) -> Result<(), BadEdit> {
        let text = edit(self.origin().ok_or(BadEdit::NoLine)?)?;
        self.set_line(Scope::Session, b'o', format_args!("{text}"))
    }

    /// Replaces the session's name, `s=`, or adds it.
    ///
    /// # Errors
    /// [`BadEdit::Octet`]; [`BadEdit::Token`] if it is empty.
    pub fn set_session_name(&mut self, name: &str) -> Result<(), BadEdit> {
        if name.is_empty() {
            return Err(BadEdit::Token);
        }
        self.set_line(Scope::Session, b's', format_args!("{name}"))
    }

    /// Replaces the connection data of a section by this address, or adds it. A TTL and a count go away.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`].
    pub fn set_connection(&mut self, scope: Scope, address: IpAddr) -> Result<(), BadEdit> {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        self.set_line(scope, b'c', format_args!("IN {family} {address}"))
    }

    /// As [`set_connection`](Session::set_connection), for whatever connection data: a host name, multicast.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`]; [`BadEdit::Token`] for a field that cannot be written.
    pub fn set_connection_data(&mut self, scope: Scope, connection: &Connection<'_>) -> Result<(), BadEdit> {
        connection.check()?;
        self.set_line(scope, b'c', format_args!("{connection}"))
    }

    /// Removes the connection data of a section, and says how many lines there were.
    pub fn remove_connection(&mut self, scope: Scope) -> usize {
        self.remove_lines(scope, 'c')
    }

    /// Replaces the port of a media description; a port count goes away.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`]; [`BadEdit::NoLine`] if its `m=` is malformed.
    pub fn set_port(&mut self, media: usize, port: u16) -> Result<(), BadEdit> {
        self.edit_media(media, |line| MediaLine { port, count: None, ..line }.to_string())
    }

    /// Replaces the protocol of a media description.
    ///
    /// # Errors
    /// As [`set_port`](Session::set_port); [`BadEdit::Token`] for a protocol that is none.
    pub fn set_protocol(&mut self, media: usize, protocol: &Protocol<'_>) -> Result<(), BadEdit> {
        self.edit_media(media, |line| MediaLine { protocol: *protocol, ..line }.to_string())
    }

    /// Replaces the formats of a media description. Attributes of formats that go away are not touched; see
    /// [`remove_attributes_if`](Session::remove_attributes_if).
    ///
    /// # Errors
    /// As [`set_port`](Session::set_port); [`BadEdit::Token`] if there is none.
    pub fn set_formats(&mut self, media: usize, formats: &str) -> Result<(), BadEdit> {
        self.edit_media(media, |line| MediaLine { formats, ..line }.to_string())
    }

    fn edit_media(&mut self, media: usize, edit: impl FnOnce(MediaLine<'_>) -> String) -> Result<(), BadEdit> {
        let scope = Scope::Media(media);
        self.section(scope).ok_or(BadEdit::NoMedia)?;
        let line = self.value_of(scope, 'm').and_then(MediaLine::parse).ok_or(BadEdit::NoLine)?;
        let text = edit(line);
        MediaLine::parse(&text).ok_or(BadEdit::Token)?.check()?;
        self.set_line(scope, b'm', format_args!("{text}"))
    }

    /// Replaces the direction of a section (RFC 8866 §6.7), or adds it. All direction attributes in it become this one.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`].
    pub fn set_direction(&mut self, scope: Scope, direction: Direction) -> Result<(), BadEdit> {
        let line = self.append_attribute(Name::Known(direction.name()), None)?;
        self.replace_all(scope, line, |_, line| {
            line.letter() == b'a' && line.known().is_some_and(AttributeName::is_direction)
        })
    }

    /// Removes the attributes of a name in a section, and says how many there were.
    pub fn remove_attribute<'n>(&mut self, scope: Scope, name: impl Into<Name<'n>>) -> usize {
        let name = name.into();
        self.remove_where(scope, |session, line| session.is_attribute(line, name))
    }

    /// Removes the attributes of a section for which `condition` holds, and says how many there were.
    pub fn remove_attributes_if(&mut self, scope: Scope, mut condition: impl FnMut(&Attribute<'_>) -> bool) -> usize {
        self.remove_where(scope, |session, line| line.letter() == b'a' && condition(&session.attribute_at(line)))
    }

    /// Adds an attribute at the end of a section. An empty value makes a flag: `a=name`.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`], [`BadEdit::Token`] for a name that is no token, [`BadEdit::Octet`] for CR, LF or NUL.
    pub fn add_attribute<'n>(&mut self, scope: Scope, name: impl Into<Name<'n>>, value: &str) -> Result<(), BadEdit> {
        let at = self.section(scope).ok_or(BadEdit::NoMedia)?.end;
        let line = self.append_attribute(name.into(), (!value.is_empty()).then_some(value))?;
        self.lines.insert(at, line);
        Ok(())
    }

    /// Replaces all attributes of a name in a section by one, which stands where the first stood, or at the end.
    ///
    /// # Errors
    /// As [`add_attribute`](Session::add_attribute).
    pub fn set_attribute<'n>(&mut self, scope: Scope, name: impl Into<Name<'n>>, value: &str) -> Result<(), BadEdit> {
        let name = name.into();
        self.section(scope).ok_or(BadEdit::NoMedia)?;
        let line = self.append_attribute(name, (!value.is_empty()).then_some(value))?;
        self.replace_all(scope, line, |session, line| session.is_attribute(line, name))
    }

    /// As [`add_attribute`](Session::add_attribute), with a typed one.
    ///
    /// # Errors
    /// As [`add_attribute`](Session::add_attribute).
    pub fn add<'a, A: TypedAttribute<'a>>(&mut self, scope: Scope, attribute: &A) -> Result<(), BadEdit> {
        self.add_attribute(scope, A::NAME, &attribute.to_string())
    }

    /// As [`set_attribute`](Session::set_attribute), with a typed one.
    ///
    /// # Errors
    /// As [`add_attribute`](Session::add_attribute).
    pub fn set<'a, A: TypedAttribute<'a>>(&mut self, scope: Scope, attribute: &A) -> Result<(), BadEdit> {
        self.set_attribute(scope, A::NAME, &attribute.to_string())
    }

    /// Adds a line of any type but `a` and `m` where the grammar wants it, as the last of its type in the section.
    ///
    /// # Errors
    /// [`BadEdit::NoMedia`]; [`BadEdit::Token`] for another letter; [`BadEdit::Octet`] for CR, LF or NUL.
    pub fn add_line(&mut self, scope: Scope, letter: char, value: &str) -> Result<(), BadEdit> {
        if !letter.is_ascii_lowercase() || matches!(letter, 'a' | 'm') {
            return Err(BadEdit::Token);
        }
        self.insert_line(scope, letter as u8, format_args!("{value}"))
    }

    /// Removes the lines of a type in a section, but never `m=`, and says how many there were.
    pub fn remove_lines(&mut self, scope: Scope, letter: char) -> usize {
        self.remove_where(scope, |_, line| line.letter() != b'm' && char::from(line.letter()) == letter)
    }

    fn remove_where(&mut self, scope: Scope, mut condition: impl FnMut(&Session, &Line) -> bool) -> usize {
        let Some(range) = self.section(scope) else { return 0 };
        let before = self.lines.len();
        let mut lines = std::mem::take(&mut self.lines);
        let mut at = 0;
        lines.retain(|line| {
            at += 1;
            !range.contains(&(at - 1)) || !condition(self, line)
        });
        self.lines = lines;
        before - self.lines.len()
    }

    /// Replaces the lines of a type in a section by one, or inserts it.
    fn set_line(&mut self, scope: Scope, letter: u8, value: fmt::Arguments<'_>) -> Result<(), BadEdit> {
        let section = self.section(scope).ok_or(BadEdit::NoMedia)?;
        if !self.lines.get(section).unwrap_or_default().iter().any(|line| line.letter() == letter) {
            return self.insert_line(scope, letter, value);
        }
        let line = self.append_line(letter, value)?;
        self.replace_all(scope, line, |_, line| line.letter() == letter)
    }

    /// The first line for which `condition` holds becomes `line`, the others go away; without one it goes to the end.
    fn replace_all(
        &mut self,
        scope: Scope,
        line: Line,
        mut condition: impl FnMut(&Session, &Line) -> bool,
    ) -> Result<(), BadEdit> {
        let section = self.section(scope).ok_or(BadEdit::NoMedia)?;
        let end = section.end;
        let mut found = None;
        let mut lines = std::mem::take(&mut self.lines);
        let mut at = 0;
        lines.retain(|line| {
            at += 1;
            let matches = section.contains(&(at - 1)) && condition(self, line);
            if matches && found.is_none() {
                found = Some(at - 1);
                return true;
            }
            !matches
        });
        match found.and_then(|at| lines.get_mut(at)) {
            Some(slot) => *slot = line,
            None => lines.insert(end.min(lines.len()), line),
        }
        self.lines = lines;
        Ok(())
    }

    /// Inserts a line behind the last one that the grammar puts before it.
    fn insert_line(&mut self, scope: Scope, letter: u8, value: fmt::Arguments<'_>) -> Result<(), BadEdit> {
        let section = self.section(scope).ok_or(BadEdit::NoMedia)?;
        let line = self.append_line(letter, value)?;
        let place = rank(letter);
        let before = self.lines.get(section.clone()).unwrap_or_default();
        let last = before.iter().rposition(|line| rank(line.letter()) <= place);
        let at = last.map_or(section.start, |last| section.start + last + 1);
        self.lines.insert(at, line);
        Ok(())
    }

    /// Room in `own`, and where the new octets start.
    fn reserve(&mut self, octets: usize) -> Result<usize, BadEdit> {
        let at = self.own.len();
        if u32::try_from(at + octets).is_err() {
            return Err(BadEdit::TooLong);
        }
        if self.own.capacity() == 0 {
            self.own.reserve(octets.max(USUAL_OWN));
        }
        Ok(at)
    }

    /// Appends `x=value CRLF`.
    fn append_line(&mut self, letter: u8, value: fmt::Arguments<'_>) -> Result<Line, BadEdit> {
        let at = self.reserve(0)?;
        let mut out = Own(&mut self.own);
        _ = write!(out, "{}=", char::from(letter));
        _ = out.write_fmt(value);
        self.end_line(at, letter)
    }

    /// Ends the line that starts at `at`, or takes it back.
    fn end_line(&mut self, at: usize, letter: u8) -> Result<Line, BadEdit> {
        let written = self.own.get(at..).unwrap_or_default();
        let len = written.len() + 2;
        let flaw = if written.iter().any(|c| matches!(c, b'\r' | b'\n' | 0)) {
            Some(BadEdit::Octet)
        } else if len > Limits::LINE_CEILING || u32::try_from(at + len).is_err() {
            Some(BadEdit::TooLong)
        } else {
            None
        };
        if let Some(flaw) = flaw {
            self.own.truncate(at);
            return Err(flaw);
        }
        self.own.extend_from_slice(b"\r\n");
        Ok(Line::new(at, len, letter, 2, 2).into_own())
    }

    fn append_attribute(&mut self, name: Name<'_>, value: Option<&str>) -> Result<Line, BadEdit> {
        let name_text = name.as_str();
        if name_text.is_empty() || !name_text.bytes().all(crate::line::is_token) {
            return Err(BadEdit::Token);
        }
        let at = self.reserve(name_text.len() + value.map_or(0, str::len) + 5)?;
        self.own.extend_from_slice(b"a=");
        self.own.extend_from_slice(name_text.as_bytes());
        if let Some(value) = value {
            self.own.push(b':');
            self.own.extend_from_slice(value.as_bytes());
        }
        let line = self.end_line(at, b'a')?;
        Ok(line.with_name(name_text.len(), name.known(), value.is_some()))
    }
}

struct Own<'a>(&'a mut Vec<u8>);

impl fmt::Write for Own<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
