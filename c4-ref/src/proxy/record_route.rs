//! Our Record-Route: signed, so that nobody is relayed who has not been in the call from its first request on.
//!
//! Each side gets a token of its own: the called side in the INVITE, the caller in the responses that make the dialog
//! (RFC 3261 §16.7 step 8 lets a proxy rewrite what it recorded). Both are [`FlowToken`]s bound to the Call-ID, the tags
//! that are known, and the hops between us and the other side; they carry the other side's remote target, so that neither
//! a Request-URI nor a Route leads elsewhere. They also say where the two sides are when their Contact cannot be reached as
//! it stands (a phone behind a NAT, a stream that the phone opened): a request goes there then, and its Request-URI chooses
//! no other place; it must be the other side's target as always, so that what is refused there ends no call here. Requests inside the dialog need neither rewritten
//! Contacts nor a table that survives a restart.

use std::net::SocketAddr;

use nat::keys::KeyRing;
use nat::path::{Connection, FlowToken, NextHop, Role, TokenError};
use sha2::{Digest, Sha256};
use sip_core::auth;
use sip_core::{Target, Transport};

use super::targets;

/// How long a token is good: route sets are frozen for the life of a dialog.
pub const LIFETIME: u64 = 172_800;

/// The flags of the token, in the field that names a listener elsewhere.
const CALLER_DIRECT: u8 = 0b100_0000;
const TRANSPORT_MASK: u8 = 0b11;
const CALLER_SHIFT: u8 = 2;

/// Signs and checks.
#[derive(Debug, Clone)]
pub struct RecordRoute {
    ring: KeyRing,
}

/// What a token says about the two sides of its dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Where requests to the caller go, instead of where its Contact points.
    pub caller: Option<Target>,
    /// The same for the called side.
    pub callee: Option<Target>,
}

impl RecordRoute {
    /// The signer under a ring of nonce keys; its keys are derived from those. `None`: the ring is empty.
    pub fn new(ring: &auth::KeyRing) -> Option<RecordRoute> {
        let derive = |purpose: &[u8], secret: &[u8]| {
            let octets = Sha256::new().chain_update(purpose).chain_update(secret).finalize();
            octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>()
        };
        let mut text = format!("salt {}\n", "0".repeat(64));
        for key in ring.keys() {
            let secret = derive(b"c4 record-route\0", &key.secret);
            text.push_str(&format!("key {} {} {secret}\n", key.id & 0xff, key.from));
        }
        Some(RecordRoute { ring: KeyRing::parse(&text).ok()? })
    }

    /// The token for the holder of a route in this dialog, as the user part of a URI. `caller` is where the first request
    /// came from.
    pub fn seal(&self, unix: u64, dialog: &Dialog<'_>, caller: SocketAddr, content: &Content) -> String {
        let sides = &content.sides;
        let caller_bits = sides.caller.as_ref().map_or(0, |t| CALLER_DIRECT | code(t.transport) << CALLER_SHIFT);
        let callee_bits = sides.callee.as_ref().map_or(0, |t| code(t.transport));
        let token = FlowToken {
            role: Role::RecordRoute,
            listener: caller_bits | callee_bits,
            peer: sides.caller.as_ref().map_or(caller, |t| t.remote),
            // The fields that name a connection elsewhere.
            connection: Some(Connection { id: content.target.0, epoch: content.relay }),
            next_hop: sides.callee.as_ref().map(|t| NextHop { address: t.remote, stream: t.transport.is_reliable() }),
            double: false,
        };
        let mut out = Vec::with_capacity(80);
        self.ring.seal(&token, &dialog.bound(), unix, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Checks a token that the holder named by `dialog` shows.
    ///
    /// # Errors
    /// See [`TokenError`]: it is none of ours, too old, of another dialog or holder, or other hops follow.
    pub fn open(&self, unix: u64, token: &str, dialog: &Dialog<'_>) -> Result<Content, TokenError> {
        let token = self.ring.open(token.as_bytes(), &dialog.bound(), unix, LIFETIME)?;
        let (Role::RecordRoute, Some(connection)) = (token.role, token.connection) else {
            return Err(TokenError::Forged);
        };
        let caller = (token.listener & CALLER_DIRECT != 0)
            .then(|| Target::new(transport(token.listener >> CALLER_SHIFT), token.peer));
        let callee = token.next_hop.map(|hop| Target::new(transport(token.listener), hop.address));
        let sides = Sides { caller, callee };
        Ok(Content { sides, target: targets::Target(connection.id), relay: connection.epoch })
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Where the two sides are.
    pub sides: Sides,
    /// The remote target that the dialog began with: of the side that the holder talks to.
    pub target: targets::Target,
    /// The name of the relay that has the call's media; 0: none.
    pub relay: u32,
}

/// Whose token it is, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Dialog<'a> {
    /// Call-ID.
    pub call_id: &'a str,
    /// The caller's tag.
    pub caller_tag: &'a str,
    /// Who holds the route.
    pub holder: Holder<'a>,
    /// The hops between us and the other side, by [`targets::hops`].
    pub hops: &'a [u8],
}

/// Which side a token was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// The caller, once the called side has a tag.
    Caller {
        /// The called side's tag.
        callee_tag: &'a str,
    },
    /// The called side: any phone that the request is forked to.
    Callee,
}

impl Dialog<'_> {
    fn bound(&self) -> Vec<u8> {
        let (kind, tag) = match self.holder {
            Holder::Caller { callee_tag } => (&b"1"[..], callee_tag),
            Holder::Callee => (&b"2"[..], ""),
        };
        // Neither a Call-ID nor a tag holds an octet 0.
        [kind, self.call_id.as_bytes(), b"\0", self.caller_tag.as_bytes(), b"\0", tag.as_bytes(), b"\0", self.hops]
            .concat()
    }
}

fn code(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp | Transport::Ws => 1,
        Transport::Tls | Transport::Wss => 2,
    }
}

fn transport(code: u8) -> Transport {
    match code & TRANSPORT_MASK {
        0 => Transport::Udp,
        1 => Transport::Tcp,
        _ => Transport::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn signer(secret: u8) -> RecordRoute {
        RecordRoute::new(&auth::KeyRing::single([secret; 32])).unwrap()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn content() -> Content {
        let sides = Sides {
            caller: Some(Target::new(Transport::Tls, address("192.0.2.1:40000"))),
            callee: Some(Target::new(Transport::Udp, address("[2001:db8::7]:5060"))),
        };
        Content { sides, target: targets::Target(77), relay: 0xfeed_beef }
    }

    fn dialog(holder: Holder<'static>) -> Dialog<'static> {
        Dialog { call_id: "c", caller_tag: "a", holder, hops: b"hop" }
    }

    const CALLER: Holder<'static> = Holder::Caller { callee_tag: "b" };

    fn seal(signer: &RecordRoute, holder: Holder<'static>, content: &Content) -> String {
        signer.seal(NOW, &dialog(holder), address("192.0.2.1:5060"), content)
    }

    #[test]
    fn a_token_comes_back_to_its_holder() {
        let signer = signer(1);
        let none = Sides { caller: None, callee: None };
        let one = Sides { caller: None, ..content().sides };
        for sides in [content().sides, none, one] {
            for holder in [CALLER, Holder::Callee] {
                let content = Content { sides: sides.clone(), ..content() };
                let token = seal(&signer, holder, &content);
                assert_eq!(signer.open(NOW, &token, &dialog(holder)), Ok(content));
            }
        }
    }

    #[test]
    fn lesson_14_a_token_serves_its_own_dialog_only() {
        let signer = signer(1);
        for holder in [CALLER, Holder::Callee] {
            let token = seal(&signer, holder, &content());
            let mine = dialog(holder);
            let other = if holder == CALLER { Holder::Callee } else { CALLER };
            for wrong in [
                Dialog { call_id: "other", ..mine },
                Dialog { caller_tag: "x", ..mine },
                Dialog { hops: b"", ..mine },
                dialog(other),
                dialog(Holder::Caller { callee_tag: "x" }),
            ] {
                assert_eq!(signer.open(NOW, &token, &wrong), Err(TokenError::Forged), "{wrong:?}");
            }
            assert!(signer.open(NOW + LIFETIME + 1, &token, &mine).is_err());
            assert!(self::signer(2).open(NOW, &token, &mine).is_err());
            assert!(signer.open(NOW, "", &mine).is_err());
            assert!(signer.open(NOW, &token[1..], &mine).is_err());
        }
    }

    #[test]
    fn rotation_of_the_keys_leaves_calls_alone() {
        let mut ring = auth::KeyRing::single([1; 32]);
        let token = seal(&signer(1), CALLER, &content());
        ring.rotate(NOW + 10, [2; 32], LIFETIME);
        let later = RecordRoute::new(&ring).unwrap();
        assert!(later.open(NOW + 1000, &token, &dialog(CALLER)).is_ok());
    }
}
