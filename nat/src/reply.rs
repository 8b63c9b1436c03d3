//! Tokens for our own Via: where the response to a forwarded request goes back to (RFC 3261 §16.11, §18.2.2).
//!
//! An element without state has to find the flow a request came in on when its response arrives. The token says it
//! in a Via parameter; a 64-bit keyed tag (SipHash-2-4) binds it to the branch, so that nobody can have responses
//! sent where no request came from, and its side says from where a response may come at all.
//! Layout before base64url: flags (version 1, side, IPv6, connection), key id, listener, peer, connection, tag.

use crate::base64url;
use crate::keys::KeyRing;
use crate::path::{Connection, TokenError, canonical};
use crate::wire::{Reader, Writer};
use std::net::SocketAddr;

const TAG_LENGTH: usize = 8;
const MAX_LENGTH: usize = 3 + 18 + 12 + TAG_LENGTH;
/// The longest text of a token.
pub const MAX_TEXT: usize = MAX_LENGTH.div_ceil(3) * 4;

const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const INSIDE: u8 = 0b0010_0000;
const PEER_V6: u8 = 0b0001_0000;
const CONNECTION: u8 = 0b0000_1000;

/// Which side the request came from, and so where its response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// A phone or a peer.
    Outside,
    /// A proxy.
    Inside,
}

/// Where a response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyToken {
    /// The side of the flow below.
    pub to: Side,
    /// Index of the listener the request came in on.
    pub listener: u8,
    /// Where the response goes.
    pub peer: SocketAddr,
    /// On a stream: the connection the request came in on.
    pub connection: Option<Connection>,
}

impl KeyRing {
    /// Appends the text of `token`, bound to `branch`, to `out`. Only characters of a token (RFC 3261 §25.1) come out.
    pub fn seal_reply(&self, token: &ReplyToken, branch: &[u8], unix: u64, out: &mut Vec<u8>) {
        let Some(key) = self.signer(unix) else { return };
        let mut body = Writer::<MAX_LENGTH>::new();
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let peer = canonical(token.peer);
        body.u8(VERSION
            | flag(token.to == Side::Inside, INSIDE)
            | flag(peer.is_ipv6(), PEER_V6)
            | flag(token.connection.is_some(), CONNECTION));
        body.u8(key.id);
        body.u8(token.listener);
        body.address(peer);
        if let Some(connection) = token.connection {
            body.u64(connection.id);
            body.u32(connection.epoch);
        }
        body.u64(key.reply_tag(body.as_slice(), branch));
        base64url::encode(body.as_slice(), out);
    }

    /// Checks and reads a token that stands beside `branch`. `lifetime` bounds retired keys, in seconds.
    ///
    /// # Errors
    /// [`TokenError::Malformed`], [`TokenError::UnknownKey`] or [`TokenError::Forged`].
    pub fn open_reply(&self, text: &[u8], branch: &[u8], unix: u64, lifetime: u64) -> Result<ReplyToken, TokenError> {
        let mut octets = [0; MAX_LENGTH];
        let length = base64url::decode(text, &mut octets).ok_or(TokenError::Malformed)?;
        let body_length = length.checked_sub(TAG_LENGTH).ok_or(TokenError::Malformed)?;
        let (body, rest) = octets.split_at_checked(body_length).ok_or(TokenError::Malformed)?;
        let (token, key) = read(body).ok_or(TokenError::Malformed)?;
        let key = self.verifier(key, unix, lifetime).ok_or(TokenError::UnknownKey)?;
        let said = rest.first_chunk::<TAG_LENGTH>().copied().map(u64::from_be_bytes);
        // One comparison of two words: its time tells nothing about single octets.
        if said == Some(key.reply_tag(body, branch)) { Ok(token) } else { Err(TokenError::Forged) }
    }
}

fn read(body: &[u8]) -> Option<(ReplyToken, u8)> {
    let mut reader = Reader(body);
    let flags = reader.u8()?;
    if flags & VERSION_MASK != VERSION {
        return None;
    }
    let key = reader.u8()?;
    let listener = reader.u8()?;
    let peer = reader.address(flags & PEER_V6 != 0)?;
    let connection =
        if flags & CONNECTION == 0 { None } else { Some(Connection { id: reader.u64()?, epoch: reader.u32()? }) };
    let to = if flags & INSIDE == 0 { Side::Outside } else { Side::Inside };
    reader.0.is_empty().then_some((ReplyToken { to, listener, peer, connection }, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    fn ring() -> KeyRing {
        KeyRing::generate([0; 32], [1; 32], NOW)
    }

    fn seal(token: &ReplyToken, branch: &str) -> Vec<u8> {
        let mut out = Vec::new();
        ring().seal_reply(token, branch.as_bytes(), NOW, &mut out);
        out
    }

    fn udp() -> ReplyToken {
        ReplyToken { to: Side::Outside, listener: 1, peer: "192.0.2.1:5062".parse().unwrap(), connection: None }
    }

    #[test]
    fn rfc3261_18_2_2_the_flow_comes_back() {
        let stream = ReplyToken {
            to: Side::Inside,
            peer: "[2001:db8::1]:40000".parse().unwrap(),
            connection: Some(Connection { id: 5, epoch: 6 }),
            ..udp()
        };
        for token in [udp(), stream] {
            assert_eq!(ring().open_reply(&seal(&token, "z9hG4bKa"), b"z9hG4bKa", NOW, 10), Ok(token));
        }
        assert_eq!(seal(&udp(), "z9hG4bKa").len(), 23);
    }

    #[test]
    fn a_token_beside_another_branch_is_forged() {
        let text = seal(&udp(), "z9hG4bKa");
        assert_eq!(ring().open_reply(&text, b"z9hG4bKb", NOW, 10), Err(TokenError::Forged));
        let other = KeyRing::generate([0; 32], [2; 32], NOW);
        assert_eq!(other.open_reply(&text, b"z9hG4bKa", NOW, 10), Err(TokenError::Forged));
    }

    proptest! {
        #[test]
        fn no_altered_token_is_accepted(at in 0..23usize, to in "[A-Za-z0-9_-]") {
            let text = seal(&udp(), "z9hG4bKa");
            let mut altered = text.clone();
            altered[at] = to.as_bytes()[0];
            prop_assume!(altered != text);
            prop_assert!(ring().open_reply(&altered, b"z9hG4bKa", NOW, 10).is_err());
        }

        #[test]
        fn garbage_is_refused(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(ring().open_reply(&text, b"z9hG4bKa", NOW, 10).is_err());
        }
    }
}
