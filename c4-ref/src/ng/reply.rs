//! What a relay answers.

use std::borrow::Cow;

use bytes::Bytes;

use super::bencode::{self, Dictionary, Item, Limits, Value};

/// A reply.
///
/// ```
/// use c4_ref::ng::Reply;
/// let reply = Reply::with_sdp("v=0\r\n".to_owned().into());
/// assert_eq!(reply.to_vec(), b"d6:result2:ok3:sdp5:v=0\r\ne");
/// assert_eq!(Reply::parse(&reply.to_vec()).unwrap(), reply);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply {
    /// `pong`.
    Pong,
    /// `ok`, and more keys: the SDP, statistics, a warning.
    Ok(Dictionary),
    /// `error`, and why.
    Error(Cow<'static, str>),
    /// `load limit`: try another relay; and why. Only for clients that say they support it.
    LoadLimit(Cow<'static, str>),
}

/// Why octets are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyDefect {
    /// No bencode.
    #[error("no bencode: {0}")]
    Bencode(bencode::Error),
    /// No dictionary with a `result` that is known.
    #[error("no result")]
    NoResult,
}

impl Reply {
    /// `ok` without more.
    pub fn ok() -> Reply {
        Reply::Ok(Dictionary::new())
    }

    /// `ok` with SDP.
    pub fn with_sdp(sdp: Bytes) -> Reply {
        Reply::Ok(bencode::dictionary([("sdp", sdp.into())]))
    }

    /// `ok` with a warning.
    pub fn with_warning(warning: &'static str) -> Reply {
        Reply::Ok(bencode::dictionary([("warning", warning.into())]))
    }

    /// `error` for this reason.
    pub fn error(reason: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Error(reason.into())
    }

    /// The SDP of an `ok`.
    pub fn sdp(&self) -> Option<&Bytes> {
        match self {
            Reply::Ok(dict) => match dict.get("sdp") {
                Some(Value::Octets(sdp)) => Some(sdp),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the client shall ask another relay instead: a load limit, or one of the two errors that say the same.
    pub fn asks_for_another(&self) -> bool {
        match self {
            Reply::LoadLimit(_) => true,
            Reply::Error(reason) => matches!(&**reason, "Parallel session limit reached" | "Ran out of ports"),
            _ => false,
        }
    }

    /// Writes the dictionary, keys sorted; `result` is written whatever an `ok` holds under that key.
    pub fn write(&self, out: &mut Vec<u8>) {
        let text = |text: &Cow<'static, str>| match text {
            Cow::Borrowed(text) => Value::from(*text),
            Cow::Owned(text) => Value::from(text.clone()),
        };
        match self {
            Reply::Pong => out.extend_from_slice(b"d6:result4:ponge"),
            Reply::Ok(dict) => {
                let before = dict.iter().filter(|(key, _)| ***key < *"result");
                let after = dict.iter().filter(|(key, _)| ***key > *"result");
                out.push(b'd');
                before.for_each(|(key, value)| bencode::write_pair(key, value, out));
                out.extend_from_slice(b"6:result2:ok");
                after.for_each(|(key, value)| bencode::write_pair(key, value, out));
                out.push(b'e');
            }
            Reply::Error(reason) => {
                out.extend_from_slice(b"d12:error-reason");
                text(reason).write(out);
                out.extend_from_slice(b"6:result5:errore");
            }
            Reply::LoadLimit(message) => {
                out.extend_from_slice(b"d7:message");
                text(message).write(out);
                out.extend_from_slice(b"6:result10:load limite");
            }
        }
    }

    /// Its octets.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads a reply within [`Limits::default`].
    ///
    /// # Errors
    /// It is no bencode, or has no `result` that is known.
    pub fn parse(octets: &[u8]) -> Result<Reply, ReplyDefect> {
        Reply::parse_within(octets, &Limits::default())
    }

    /// Reads a reply within limits.
    ///
    /// # Errors
    /// As [`Reply::parse`].
    pub fn parse_within(octets: &[u8], limits: &Limits) -> Result<Reply, ReplyDefect> {
        let dict = bencode::parse(octets, limits).map_err(ReplyDefect::Bencode)?.dict().ok_or(ReplyDefect::NoResult)?;
        let text = |key: &[u8]| dict.get(key).and_then(Item::octets).map(String::from_utf8_lossy).unwrap_or_default();
        Ok(match dict.get(b"result").and_then(Item::octets).ok_or(ReplyDefect::NoResult)? {
            b"pong" => Reply::Pong,
            b"ok" => {
                let mut owned = dict.to_dictionary();
                owned.remove("result");
                Reply::Ok(owned)
            }
            b"error" => Reply::Error(text(b"error-reason").into_owned().into()),
            b"load limit" => Reply::LoadLimit(text(b"message").into_owned().into()),
            _ => return Err(ReplyDefect::NoResult),
        })
    }
}
