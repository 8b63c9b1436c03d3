//! Signed flow tokens for Record-Route and Path (RFC 3261 §16.6 step 4, RFC 3327, RFC 5626 §5.2).
//!
//! A token says which listener and peer (and, on a stream, which connection of which boot) a request has to go out
//! on, and for a dialog also which proxy inside serves it. It is signed, so that an element without state can act
//! on it when it comes back in a Route. Layout before base64url (all numbers big endian):
//!
//! | octets | what |
//! | --- | --- |
//! | 1 | version 1 (2 bits), record-route, peer is IPv6, has connection, has next hop, next hop is IPv6, double |
//! | 1 | key id |
//! | 1 | next hop is a stream (1 bit), listener (7 bits) |
//! | 4 | record-route only: when it was made, seconds of Unix time |
//! | 6 or 18 | peer address and port |
//! | 12 | with connection: id (8) and boot epoch (4) |
//! | 6 or 18 | with next hop: address and port |
//! | 16 | HMAC-SHA256 of all before it (and the Call-ID of a record-route token), the leftmost 128 bits |

use crate::base64url;
use crate::keys::KeyRing;
use crate::wire::{Reader, Writer};
use hmac::Mac;
use std::net::SocketAddr;

/// Octets of the MAC (HMAC-SHA256 cut to 128 bits, RFC 2104 §5).
const MAC_LENGTH: usize = 16;
/// Octets of the longest token before base64url.
const MAX_LENGTH: usize = 3 + 4 + 18 + 12 + 18 + MAC_LENGTH;
/// How far ahead of ours the clock of the other half of a pair may be, in seconds.
const CLOCK_SKEW: u64 = 300;

const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const RECORD_ROUTE: u8 = 0b0010_0000;
const PEER_V6: u8 = 0b0001_0000;
const CONNECTION: u8 = 0b0000_1000;
const NEXT_HOP: u8 = 0b0000_0100;
const NEXT_HOP_V6: u8 = 0b0000_0010;
const DOUBLE: u8 = 0b0000_0001;
const NEXT_HOP_STREAM: u8 = 0b1000_0000;

/// Listeners a token can name.
pub const MAX_LISTENERS: usize = 128;

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In a Record-Route: bound to the Call-ID, good for the token lifetime.
    RecordRoute,
    /// In a Path: good as long as its key is, but only from inside.
    Path,
}

/// A connection by its id and the boot it belongs to: after a restart ids begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The id of the connection.
    pub id: u64,
    /// The boot in which the id was given.
    pub epoch: u32,
}

/// The element inside that serves a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is reached over a stream.
    pub stream: bool,
}

/// The content of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowToken {
    /// What it is for.
    pub role: Role,
    /// Index of the listener, below [`MAX_LISTENERS`].
    pub listener: u8,
    /// Address of the peer outside.
    pub peer: SocketAddr,
    /// The connection to the peer; `None` on datagrams.
    pub connection: Option<Connection>,
    /// Where requests of the peer go inside.
    pub next_hop: Option<NextHop>,
    /// Whether a second value without token stands beside this one (double Record-Route or Path).
    pub double: bool,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No token of this version.
    #[error("malformed")]
    Malformed,
    /// Its key is not in the ring, or was retired too long ago.
    #[error("unknown key")]
    UnknownKey,
    /// The MAC is wrong: altered, made by another, or of another Call-ID.
    #[error("forged")]
    Forged,
    /// Older than the token lifetime, or made in the future.
    #[error("expired")]
    Expired,
}

impl KeyRing {
    /// Appends the text of `token`, signed at `unix` (seconds), to `out`. `call_id` is bound in when the role is
    /// [`Role::RecordRoute`]. Only characters that need no escape in the user part of a SIP URI come out.
    ///
    /// ```
    /// use c4_nat::keys::KeyRing;
    /// use c4_nat::path::{FlowToken, Role, TokenError};
    /// let ring = KeyRing::generate([0; 32], [1; 32], 0);
    /// let peer = "192.0.2.1:5060".parse().unwrap();
    /// let token = FlowToken { role: Role::RecordRoute, listener: 0, peer, connection: None, next_hop: None, double: false };
    /// let mut text = Vec::new();
    /// ring.seal(&token, b"call-1", 100, &mut text);
    /// assert_eq!(ring.open(&text, b"call-1", 200, 3600), Ok(token));
    /// assert_eq!(ring.open(&text, b"call-2", 200, 3600), Err(TokenError::Forged));
    /// assert_eq!(ring.open(&text, b"call-1", 3701, 3600), Err(TokenError::Expired));
    /// ```
    pub fn seal(&self, token: &FlowToken, call_id: &[u8], unix: u64, out: &mut Vec<u8>) {
        let Some(key) = self.signer(unix) else { return };
        let mut body = Writer::<MAX_LENGTH>::new();
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let record_route = token.role == Role::RecordRoute;
        let peer = canonical(token.peer);
        let next_hop = token.next_hop.map(|n| (canonical(n.address), n.stream));
        body.u8(VERSION
            | flag(record_route, RECORD_ROUTE)
            | flag(peer.is_ipv6(), PEER_V6)
            | flag(token.connection.is_some(), CONNECTION)
            | flag(next_hop.is_some(), NEXT_HOP)
            | flag(next_hop.is_some_and(|n| n.0.is_ipv6()), NEXT_HOP_V6)
            | flag(token.double, DOUBLE));
        body.u8(key.id);
        body.u8(token.listener & !NEXT_HOP_STREAM | flag(next_hop.is_some_and(|n| n.1), NEXT_HOP_STREAM));
        if record_route {
            body.u32(unix as u32);
        }
        body.address(peer);
        if let Some(connection) = token.connection {
            body.u64(connection.id);
            body.u32(connection.epoch);
        }
        if let Some((address, _)) = next_hop {
            body.address(address);
        }
        let mac = key.mac().chain_update(body.as_slice()).chain_update(bound(token.role, call_id)).finalize();
        body.bytes(mac.into_bytes().first_chunk::<MAC_LENGTH>().map_or(&[][..], |m| m));
        base64url::encode(body.as_slice(), out);
    }

    /// Checks and reads a token. `unix` is now, `lifetime` how long a record-route token is good, both in seconds.
    ///
    /// # Errors
    /// See [`TokenError`]; nothing of a token that is not good is given out.
    pub fn open(&self, text: &[u8], call_id: &[u8], unix: u64, lifetime: u64) -> Result<FlowToken, TokenError> {
        let mut octets = [0; MAX_LENGTH];
        let length = base64url::decode(text, &mut octets).ok_or(TokenError::Malformed)?;
        let body_length = length.checked_sub(MAC_LENGTH).ok_or(TokenError::Malformed)?;
        let (body, rest) = octets.split_at_checked(body_length).ok_or(TokenError::Malformed)?;
        let mac = rest.get(..MAC_LENGTH).ok_or(TokenError::Malformed)?;
        let mut reader = Reader(body);
        let (token, key, made) = read(&mut reader).ok_or(TokenError::Malformed)?;
        if !reader.0.is_empty() {
            return Err(TokenError::Malformed);
        }
        let key = self.verifier(key, unix, lifetime).ok_or(TokenError::UnknownKey)?;
        key.mac()
            .chain_update(body)
            .chain_update(bound(token.role, call_id))
            .verify_truncated_left(mac)
            .map_err(|_| TokenError::Forged)?;
        let fresh = |made: u64| made <= unix.saturating_add(CLOCK_SKEW) && unix.saturating_sub(made) <= lifetime;
        if made.is_some_and(|made| !fresh(u64::from(made))) {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }
}

fn bound(role: Role, call_id: &[u8]) -> &[u8] {
    if role == Role::RecordRoute { call_id } else { &[] }
}

/// An IPv4 address inside IPv6 as IPv4, so that both spellings of one peer give one token.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn read(reader: &mut Reader<'_>) -> Option<(FlowToken, u8, Option<u32>)> {
    let flags = reader.u8()?;
    if flags & VERSION_MASK != VERSION {
        return None;
    }
    let has = |bit: u8| flags & bit != 0;
    let key = reader.u8()?;
    let listener = reader.u8()?;
    let role = if has(RECORD_ROUTE) { Role::RecordRoute } else { Role::Path };
    let made = if has(RECORD_ROUTE) { Some(reader.u32()?) } else { None };
    let peer = reader.address(has(PEER_V6))?;
    let connection = if has(CONNECTION) { Some(Connection { id: reader.u64()?, epoch: reader.u32()? }) } else { None };
    let next_hop = if has(NEXT_HOP) {
        let address = reader.address(has(NEXT_HOP_V6))?;
        Some(NextHop { address, stream: listener & NEXT_HOP_STREAM != 0 })
    } else {
        None
    };
    let listener = listener & !NEXT_HOP_STREAM;
    Some((FlowToken { role, listener, peer, connection, next_hop, double: has(DOUBLE) }, key, made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIFETIME: u64 = 172_800;
    const NOW: u64 = 1_800_000_000;

    fn ring() -> KeyRing {
        KeyRing::generate([0; 32], [1; 32], NOW - 10)
    }

    fn token() -> FlowToken {
        FlowToken {
            role: Role::RecordRoute,
            listener: 3,
            peer: "192.0.2.7:40000".parse().unwrap(),
            connection: Some(Connection { id: 0x0002_0000_0000_0011, epoch: 77 }),
            next_hop: Some(NextHop { address: "10.0.0.5:5060".parse().unwrap(), stream: true }),
            double: true,
        }
    }

    fn seal(ring: &KeyRing, token: &FlowToken, call_id: &str, unix: u64) -> Vec<u8> {
        let mut out = Vec::new();
        ring.seal(token, call_id.as_bytes(), unix, &mut out);
        out
    }

    #[test]
    fn rfc5626_5_3_a_token_comes_back_as_it_was() {
        let text = seal(&ring(), &token(), "c", NOW);
        assert_eq!(ring().open(&text, b"c", NOW, LIFETIME), Ok(token()));
    }

    #[test]
    fn record_route_tokens_bind_the_call_id_path_tokens_do_not() {
        let text = seal(&ring(), &token(), "c", NOW);
        assert_eq!(ring().open(&text, b"d", NOW, LIFETIME), Err(TokenError::Forged));
        let path = FlowToken { role: Role::Path, ..token() };
        let text = seal(&ring(), &path, "c", NOW);
        assert_eq!(ring().open(&text, b"d", NOW, LIFETIME), Ok(path));
    }

    #[test]
    fn record_route_tokens_live_for_the_lifetime_path_tokens_as_long_as_their_key() {
        let text = seal(&ring(), &token(), "c", NOW);
        assert!(ring().open(&text, b"c", NOW + LIFETIME, LIFETIME).is_ok());
        assert_eq!(ring().open(&text, b"c", NOW + LIFETIME + 1, LIFETIME), Err(TokenError::Expired));
        assert_eq!(ring().open(&text, b"c", NOW - CLOCK_SKEW - 1, LIFETIME), Err(TokenError::Expired));
        assert!(ring().open(&text, b"c", NOW - CLOCK_SKEW, LIFETIME).is_ok(), "the other half's clock may be ahead");
        let path = FlowToken { role: Role::Path, ..token() };
        let text = seal(&ring(), &path, "c", NOW);
        assert!(ring().open(&text, b"", NOW + 10 * LIFETIME, LIFETIME).is_ok());
    }

    #[test]
    fn a_retired_key_verifies_one_lifetime_longer_and_then_no_more() {
        let old = seal(&ring(), &FlowToken { role: Role::Path, ..token() }, "c", NOW);
        let rotated = ring().rotated([2; 32], NOW + 100, LIFETIME);
        assert!(rotated.open(&old, b"c", NOW + 100 + LIFETIME, LIFETIME).is_ok());
        assert_eq!(rotated.open(&old, b"c", NOW + 101 + LIFETIME, LIFETIME), Err(TokenError::UnknownKey));
        let new = seal(&rotated, &token(), "c", NOW + 100);
        assert_eq!(ring().open(&new, b"c", NOW + 100, LIFETIME), Err(TokenError::UnknownKey));
    }

    #[test]
    fn a_foreign_ring_with_the_same_id_is_refused() {
        let text = seal(&KeyRing::generate([0; 32], [9; 32], NOW), &token(), "c", NOW);
        assert_eq!(ring().open(&text, b"c", NOW, LIFETIME), Err(TokenError::Forged));
    }

    #[test]
    fn a_datagram_token_is_short() {
        let token = FlowToken { connection: None, ..token() };
        assert_eq!(seal(&ring(), &token, "c", NOW).len(), 47);
        let path = FlowToken { role: Role::Path, next_hop: None, ..token };
        assert_eq!(seal(&ring(), &path, "c", NOW).len(), 34);
    }

    fn any_address() -> impl Strategy<Value = SocketAddr> {
        prop_oneof![
            (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
            (any::<[u16; 8]>(), any::<u16>()).prop_map(|(ip, port)| canonical(SocketAddr::from((ip, port)))),
        ]
    }

    fn any_token() -> impl Strategy<Value = FlowToken> {
        let connection = proptest::option::of((any::<u64>(), any::<u32>()));
        let next_hop = proptest::option::of((any_address(), any::<bool>()));
        (any::<bool>(), 0..128u8, any_address(), connection, next_hop, any::<bool>()).prop_map(
            |(record_route, listener, peer, connection, next_hop, double)| FlowToken {
                role: if record_route { Role::RecordRoute } else { Role::Path },
                listener,
                peer,
                connection: connection.map(|(id, epoch)| Connection { id, epoch }),
                next_hop: next_hop.map(|(address, stream)| NextHop { address, stream }),
                double,
            },
        )
    }

    proptest! {
        #[test]
        fn every_token_comes_back(token in any_token(), call_id in "[a-z0-9@.]{0,40}") {
            let text = seal(&ring(), &token, &call_id, NOW);
            prop_assert!(text.iter().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(c)));
            prop_assert_eq!(ring().open(&text, call_id.as_bytes(), NOW, LIFETIME), Ok(token));
        }

        #[test]
        fn no_altered_token_is_accepted(token in any_token(), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let text = seal(&ring(), &token, "c", NOW);
            let mut altered = text.clone();
            altered[at.index(text.len())] = to.as_bytes()[0];
            prop_assume!(altered != text);
            prop_assert!(ring().open(&altered, b"c", NOW, LIFETIME).is_err());
            prop_assert!(ring().open(&text[..at.index(text.len())], b"c", NOW, LIFETIME).is_err());
        }

        #[test]
        fn garbage_is_refused(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(ring().open(&text, b"c", NOW, LIFETIME).is_err());
        }
    }
}
