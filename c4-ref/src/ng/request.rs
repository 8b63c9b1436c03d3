//! A request: what a client wants of which call.

use std::net::IpAddr;

use bytes::Bytes;

use super::bencode::{self, Dict, Dictionary, Item, Limits};
use super::words::Name;
use super::{Command, Flags, keys};

/// Octets of a Call-ID, a tag or a branch.
const MOST_ID: usize = 512;

/// A request, complete: an offer has what an offer needs.
///
/// ```
/// use c4_ref::ng::{Command, Request};
/// let octets = b"d7:call-id2:c18:from-tag1:a3:sdp5:v=0\r\n7:replacel6:origine7:command5:offere";
/// let request = Request::parse(&bytes::Bytes::from_static(octets)).unwrap();
/// assert_eq!(request.command, Command::Offer);
/// assert_eq!((request.call_id.as_str(), request.from_tag.as_str()), ("c1", "a"));
/// assert!(request.flags.replace.origin);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// The Call-ID. Never empty in an offer, answer, delete or query.
    pub call_id: String,
    /// The tag of the party that sent the SIP message; of an answer it is that of the offerer. Never empty in an offer
    /// or answer; elsewhere empty when there is none.
    pub from_tag: String,
    /// The tag of the other party; never `None` in an answer.
    pub to_tag: Option<String>,
    /// The branch of the call, by the Via branch of its INVITE.
    pub via_branch: Option<String>,
    /// The SDP of an offer or answer, as it came; empty elsewhere.
    pub sdp: Bytes,
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// `limit` of a list: how many calls at most.
    pub limit: Option<u32>,
    /// What is asked of the media.
    pub flags: Flags,
    /// To write only: keys beyond these, for a relay that knows more than this one. They replace keys that are written
    /// for the fields above. A request that was read has none.
    pub extra: Dictionary,
}

/// Why octets are no request. The texts are those of rtpengine, for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestDefect {
    /// Nothing follows the cookie.
    #[error("Invalid data (no payload)")]
    Empty,
    /// What follows is no dictionary.
    #[error("Invalid NG data format")]
    Format,
    /// It begins as a dictionary and is none.
    #[error("Could not decode bencode dictionary")]
    Bencode(bencode::Error),
    /// No `command`.
    #[error("Dictionary contains no key \"command\"")]
    NoCommand,
    /// No `call-id`.
    #[error("No call-id in message")]
    NoCallId,
    /// No `from-tag`.
    #[error("No from-tag in message")]
    NoFromTag,
    /// No `to-tag` in an answer.
    #[error("No to-tag in message")]
    NoToTag,
    /// No `sdp` in an offer or answer.
    #[error("No SDP body in message")]
    NoSdp,
    /// A Call-ID, tag or branch that is no text or longer than 512 octets.
    #[error("Invalid {0} in message")]
    Invalid(&'static str),
}

impl Request {
    /// A request with no more than a command and a Call-ID.
    pub fn new(command: Command, call_id: impl Into<String>) -> Request {
        Request {
            command,
            call_id: call_id.into(),
            from_tag: String::new(),
            to_tag: None,
            via_branch: None,
            sdp: Bytes::new(),
            received_from: None,
            limit: None,
            flags: Flags::default(),
            extra: Dictionary::new(),
        }
    }

    /// Reads a request within [`Limits::default`]. The SDP is a slice of `octets`.
    ///
    /// # Errors
    /// The first thing that is wrong; see [`RequestDefect`].
    pub fn parse(octets: &Bytes) -> Result<Request, RequestDefect> {
        Request::parse_within(octets, &Limits::default())
    }

    /// Reads a request within limits.
    ///
    /// # Errors
    /// As [`Request::parse`].
    pub fn parse_within(octets: &Bytes, limits: &Limits) -> Result<Request, RequestDefect> {
        match octets.first() {
            None => return Err(RequestDefect::Empty),
            Some(b'd') => {}
            Some(_) => return Err(RequestDefect::Format),
        }
        let item = bencode::parse(octets, limits).map_err(RequestDefect::Bencode)?;
        let dict = item.dict().ok_or(RequestDefect::Format)?;
        let own = Own::read(dict);
        let command = Command::read(own.command.and_then(Item::octets).ok_or(RequestDefect::NoCommand)?);
        let keys = keys::read(command.clone(), dict, Own::is_own);
        let sdp = own.sdp.and_then(Item::octets).unwrap_or_default();
        let request = Request {
            call_id: id(own.call_id, "call-id")?.unwrap_or_default(),
            from_tag: id(own.from_tag, "from-tag")?.unwrap_or_default(),
            to_tag: id(own.to_tag, "to-tag")?,
            via_branch: id(own.via_branch, "via-branch")?,
            sdp: if command.has_sdp() { octets.slice_ref(sdp) } else { Bytes::new() },
            received_from: keys.received_from,
            limit: own.limit.and_then(Item::integer).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            flags: keys.flags,
            extra: Dictionary::new(),
            command,
        };
        request.complete()
    }

    /// Whether what the command needs is there, in the order in which rtpengine asks.
    fn complete(self) -> Result<Request, RequestDefect> {
        let needs_call = !matches!(self.command, Command::Ping | Command::List | Command::Other(_));
        if self.command.has_sdp() && self.sdp.is_empty() {
            return Err(RequestDefect::NoSdp);
        }
        if needs_call && self.call_id.is_empty() {
            return Err(RequestDefect::NoCallId);
        }
        if self.command.has_sdp() && self.from_tag.is_empty() {
            return Err(RequestDefect::NoFromTag);
        }
        if self.command == Command::Answer && self.to_tag.is_none() {
            return Err(RequestDefect::NoToTag);
        }
        Ok(self)
    }
}

/// The keys that are fields of the request.
#[derive(Default)]
struct Own<'a> {
    command: Option<Item<'a>>,
    call_id: Option<Item<'a>>,
    from_tag: Option<Item<'a>>,
    to_tag: Option<Item<'a>>,
    via_branch: Option<Item<'a>>,
    sdp: Option<Item<'a>>,
    limit: Option<Item<'a>>,
}

impl<'a> Own<'a> {
    fn read(dict: Dict<'a>) -> Own<'a> {
        let mut own = Own::default();
        for (key, value) in dict.iter() {
            if let Some(place) = own.place(Name::of(key).as_str()) {
                place.get_or_insert(value);
            }
        }
        own
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<Item<'a>>> {
        Some(match name {
            "command" => &mut self.command,
            "call-id" => &mut self.call_id,
            "from-tag" => &mut self.from_tag,
            "to-tag" => &mut self.to_tag,
            "via-branch" => &mut self.via_branch,
            "sdp" => &mut self.sdp,
            "limit" => &mut self.limit,
            _ => return None,
        })
    }

    fn is_own(name: &str) -> bool {
        Own::default().place(name).is_some()
    }
}

/// A Call-ID, tag or branch; an empty one is none.
fn id(item: Option<Item<'_>>, name: &'static str) -> Result<Option<String>, RequestDefect> {
    let Some(item) = item else { return Ok(None) };
    let text = item.text().filter(|text| text.len() <= MOST_ID).ok_or(RequestDefect::Invalid(name))?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests;
