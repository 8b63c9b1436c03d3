//! Our Record-Route: signed, so that nobody is relayed who has not been in the call from its first request on.
//!
//! The value carries a [`FlowToken`] bound to the Call-ID and the caller's tag. It also says where the two sides were when
//! the dialog began, and whether requests go there instead of where the Contact points (a phone behind a NAT, a stream
//! that the phone opened), so that requests inside the dialog need neither rewritten Contacts nor a table that survives a
//! restart.

use nat::keys::KeyRing;
use nat::path::{FlowToken, NextHop, Role, TokenError};
use sha2::{Digest, Sha256};
use sip_core::auth;
use sip_core::{Target, Transport};

/// How long a token is good: route sets are frozen for the life of a dialog.
pub const LIFETIME: u64 = 172_800;

/// The flags of the token, in the field that names a listener elsewhere.
const CALLER_DIRECT: u8 = 0b100_0000;
const CALLEE_DIRECT: u8 = 0b010_0000;
const TRANSPORT_MASK: u8 = 0b11;
const CALLER_SHIFT: u8 = 2;

/// Signs and checks.
#[derive(Debug, Clone)]
pub struct RecordRoute {
    ring: KeyRing,
}

/// What a token says about one side of its dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The next hop towards it when the dialog began.
    pub hop: Target,
    /// Whether requests without a further Route go there, instead of where its Contact points.
    pub direct: bool,
}

/// What a token says about the two sides of its dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Who sent the request that the dialog began with.
    pub caller: Side,
    /// Who got it.
    pub callee: Side,
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

    /// The token for a call, as the user part of a URI.
    pub fn seal(&self, unix: u64, call_id: &str, caller_tag: &str, sides: &Sides) -> String {
        let Sides { caller, callee } = sides;
        let flag = |side: &Side, flag: u8| if side.direct { flag } else { 0 };
        let token = FlowToken {
            role: Role::RecordRoute,
            listener: flag(caller, CALLER_DIRECT)
                | flag(callee, CALLEE_DIRECT)
                | code(caller.hop.transport) << CALLER_SHIFT
                | code(callee.hop.transport),
            peer: caller.hop.remote,
            connection: None,
            next_hop: Some(NextHop { address: callee.hop.remote, stream: callee.hop.transport.is_reliable() }),
            double: false,
        };
        let mut out = Vec::with_capacity(64);
        self.ring.seal(&token, &bound(call_id, caller_tag), unix, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Checks a token for a request with these tags: the caller's tag is one of the two. The answer says whether the
    /// request comes from the caller, and where both sides are.
    pub fn open(
        &self,
        unix: u64,
        token: &str,
        call_id: &str,
        from_tag: &str,
        to_tag: &str,
    ) -> Result<(bool, Sides), TokenError> {
        let open = |tag: &str| self.ring.open(token.as_bytes(), &bound(call_id, tag), unix, LIFETIME);
        let (from_caller, token) = match open(from_tag) {
            Err(TokenError::Forged) => (false, open(to_tag)?),
            token => (true, token?),
        };
        let (Role::RecordRoute, Some(next_hop)) = (token.role, token.next_hop) else {
            return Err(TokenError::Forged);
        };
        let side = |code, address, flag| Side {
            hop: Target::new(transport(code), address),
            direct: token.listener & flag != 0,
        };
        let caller = side(token.listener >> CALLER_SHIFT, token.peer, CALLER_DIRECT);
        let callee = side(token.listener, next_hop.address, CALLEE_DIRECT);
        Ok((from_caller, Sides { caller, callee }))
    }
}

fn bound(call_id: &str, tag: &str) -> Vec<u8> {
    [call_id.as_bytes(), b"\0", tag.as_bytes()].concat()
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
    use std::net::SocketAddr;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn signer(secret: u8) -> RecordRoute {
        RecordRoute::new(&auth::KeyRing::single([secret; 32])).unwrap()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn sides() -> Sides {
        let side = |transport, at: &str, direct| Side { hop: Target::new(transport, address(at)), direct };
        Sides {
            caller: side(Transport::Tls, "192.0.2.1:40000", true),
            callee: side(Transport::Udp, "[2001:db8::7]:5060", true),
        }
    }

    #[test]
    fn a_token_comes_back_from_both_sides() {
        let signer = signer(1);
        for (caller, callee) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut sides = sides();
            (sides.caller.direct, sides.callee.direct) = (caller, callee);
            let token = signer.seal(NOW, "c", "a", &sides);
            assert_eq!(signer.open(NOW, &token, "c", "a", "b"), Ok((true, sides.clone())));
            assert_eq!(signer.open(NOW, &token, "c", "b", "a"), Ok((false, sides)));
        }
    }

    #[test]
    fn lesson_14_a_token_serves_its_own_dialog_only() {
        let signer = signer(1);
        let token = signer.seal(NOW, "c", "a", &sides());
        assert_eq!(signer.open(NOW, &token, "other", "a", "b"), Err(TokenError::Forged));
        assert_eq!(signer.open(NOW, &token, "c", "x", "b"), Err(TokenError::Forged));
        assert!(signer.open(NOW + LIFETIME + 1, &token, "c", "a", "b").is_err());
        assert!(self::signer(2).open(NOW, &token, "c", "a", "b").is_err());
        assert!(signer.open(NOW, "", "c", "a", "b").is_err());
        assert!(signer.open(NOW, &token[1..], "c", "a", "b").is_err());
    }

    #[test]
    fn rotation_of_the_keys_leaves_calls_alone() {
        let mut ring = auth::KeyRing::single([1; 32]);
        let token = signer(1).seal(NOW, "c", "a", &sides());
        ring.rotate(NOW + 10, [2; 32], LIFETIME);
        let later = RecordRoute::new(&ring).unwrap();
        assert!(later.open(NOW + 1000, &token, "c", "a", "b").is_ok());
    }
}
