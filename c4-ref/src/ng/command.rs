//! What a request asks for.

use super::words::Name;

/// The command of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Are you there?
    Ping,
    /// An offer passes: SDP in, SDP out.
    Offer,
    /// An answer passes: SDP in, SDP out.
    Answer,
    /// A call or a branch of it ends.
    Delete,
    /// What is known of a call?
    Query,
    /// Which calls are there?
    List,
    /// Anything else, as it was written, at most 64 octets of it; answered `Unrecognized command`.
    Other(String),
}

impl Command {
    /// Reads the word. Blanks, hyphens and underscores in it are the same, as are capitals.
    pub(super) fn read(word: &[u8]) -> Command {
        match Name::of(word).as_str() {
            "ping" => Command::Ping,
            "offer" => Command::Offer,
            "answer" => Command::Answer,
            "delete" => Command::Delete,
            "query" => Command::Query,
            "list" => Command::List,
            _ => Command::Other(super::words::shown(word)),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Command::Ping => "ping",
            Command::Offer => "offer",
            Command::Answer => "answer",
            Command::Delete => "delete",
            Command::Query => "query",
            Command::List => "list",
            Command::Other(word) => word,
        }
    }

    /// Whether it brings SDP: an offer or an answer.
    pub fn has_sdp(&self) -> bool {
        matches!(self, Command::Offer | Command::Answer)
    }
}
