//! Nonces that the server need not remember (RFC 7616 §3.3, §5.4).
//!
//! A nonce is 60 hex digits: key number, time, salt and an HMAC-SHA256 over these and the source, cut to 128 bits. The salt makes each
//! challenge's nonce its own, so that phones behind one address do not share an nc window.

use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::hex;
use super::keys::KeyRing;

/// Digits of a nonce.
pub(super) const DIGITS: usize = 60;
/// Octets: key number 2, milliseconds 6, salt 6, then the code.
const HEAD: usize = 14;
const CODE: usize = 16;
/// How far the clock of the pair's other half may be ahead.
const SKEW: Duration = Duration::from_secs(60);

/// Which nonce a request used; the key of the nc window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NonceId {
    /// When it was made, Unix time in milliseconds.
    pub(super) made: u64,
    pub(super) salt: u64,
}

impl NonceId {
    /// A number to spread nonces over shards by; even enough for a modulus.
    pub fn spread(self) -> u64 {
        (self.salt ^ self.made.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
    }
}

/// Why a nonce is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonceError {
    /// Not made with one of our keys for this source.
    Foreign,
    /// Ours, but too old.
    Expired,
}

/// Makes and checks nonces for one realm.
#[derive(Clone)]
pub(super) struct Minter {
    ring: KeyRing,
    /// Keyed once for each key of the ring, in its order.
    keyed: Vec<(u16, Hmac<Sha256>)>,
    realm: String,
    lifetime: Duration,
    bind_source: bool,
    salt: u64,
}

impl Minter {
    pub(super) fn new(ring: KeyRing, realm: &str, lifetime: Duration, bind_source: bool, seed: &[u8; 32]) -> Self {
        let start: [u8; 32] = Sha256::new_with_prefix(b"nonce salt").chain_update(seed).finalize().into();
        let salt = start.iter().take(6).fold(0, |sum, octet| sum << 8 | u64::from(*octet));
        let mut minter =
            Self { ring: KeyRing::default(), keyed: Vec::new(), realm: realm.to_owned(), lifetime, bind_source, salt };
        minter.set_keys(ring);
        minter
    }

    /// Takes another ring; nonces of keys that are in both stay good.
    pub(super) fn set_keys(&mut self, ring: KeyRing) {
        let keyed = ring.keys().iter().filter_map(|key| {
            // A key of its own for each realm, so that the realm need not be hashed for each nonce.
            let mut realm: Hmac<Sha256> = KeyInit::new_from_slice(&key.secret).ok()?;
            realm.update(b"c4 digest nonce\0");
            realm.update(self.realm.as_bytes());
            let derived = realm.finalize().into_bytes();
            Some((key.id, KeyInit::new_from_slice(&derived).ok()?))
        });
        self.keyed = keyed.collect();
        self.ring = ring;
    }

    /// The ring.
    pub(super) fn keys(&self) -> &KeyRing {
        &self.ring
    }

    /// A new nonce. `None`: the ring is empty.
    pub(super) fn mint(&mut self, unix: Duration, source: IpAddr) -> Option<[u8; DIGITS]> {
        let key = self.ring.current(unix.as_secs())?.id;
        self.salt = self.salt.wrapping_add(1) & 0xFFFF_FFFF_FFFF;
        let mut octets = [0; HEAD + CODE];
        let (head, code) = octets.split_at_mut(HEAD);
        let made = (unix.as_millis() as u64).to_be_bytes();
        let salt = self.salt.to_be_bytes();
        let fields = key.to_be_bytes().into_iter().chain(made.into_iter().skip(2)).chain(salt.into_iter().skip(2));
        for (to, from) in head.iter_mut().zip(fields) {
            *to = from;
        }
        code.copy_from_slice(self.code(key, head, source)?.get(..CODE)?);
        let mut text = [0; DIGITS];
        hex::encode(&octets, &mut text);
        Some(text)
    }

    /// Checks a nonce that came back.
    pub(super) fn check(&self, unix: Duration, source: IpAddr, nonce: &str) -> Result<NonceId, NonceError> {
        let octets: [u8; HEAD + CODE] = hex::decode(nonce.as_bytes()).ok_or(NonceError::Foreign)?;
        let (head, code) = octets.split_at(HEAD);
        let number = |range: std::ops::Range<usize>| {
            head.get(range).unwrap_or_default().iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet))
        };
        let key = number(0..2) as u16;
        let right = self.code(key, head, source).ok_or(NonceError::Foreign)?;
        if !super::digest::constant_time_eq(right.get(..CODE).unwrap_or_default(), code) {
            return Err(NonceError::Foreign);
        }
        let id = NonceId { made: number(2..8), salt: number(8..14) };
        let made = Duration::from_millis(id.made);
        let alive = made.saturating_add(self.lifetime) > unix && made <= unix.saturating_add(SKEW);
        if !alive || self.ring.accepts(key, unix.as_secs(), self.lifetime.as_secs() + 1).is_none() {
            return Err(NonceError::Expired);
        }
        Ok(id)
    }

    fn code(&self, key: u16, head: &[u8], source: IpAddr) -> Option<[u8; 32]> {
        let (_, keyed) = self.keyed.iter().find(|(id, _)| *id == key)?;
        let mut mac = keyed.clone();
        mac.update(head);
        if self.bind_source {
            let source = match source {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            mac.update(&source.octets());
        }
        Some(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const LIFE: Duration = Duration::from_secs(300);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn minter(secret: u8, realm: &str, bind: bool, seed: u8) -> Minter {
        Minter::new(KeyRing::single([secret; 32]), realm, LIFE, bind, &[seed; 32])
    }

    fn mint(minter: &mut Minter) -> String {
        String::from_utf8(minter.mint(NOW, HERE).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn rfc7616_5_4_nonce_is_good_for_its_lifetime_at_its_source_only() {
        let mut server = minter(1, "a", true, 1);
        let nonce = mint(&mut server);
        let there: IpAddr = "192.0.2.2".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(server.check(NOW, HERE, &nonce).is_ok());
        assert!(server.check(NOW, mapped, &nonce).is_ok());
        assert!(server.check(NOW + LIFE - Duration::from_millis(1), HERE, &nonce).is_ok());
        assert_eq!(server.check(NOW + LIFE, HERE, &nonce), Err(NonceError::Expired));
        assert_eq!(server.check(NOW - Duration::from_secs(61), HERE, &nonce), Err(NonceError::Expired));
        assert_eq!(server.check(NOW, there, &nonce), Err(NonceError::Foreign));
        let mut roaming = minter(1, "a", false, 1);
        let nonce = mint(&mut roaming);
        assert!(roaming.check(NOW, there, &nonce).is_ok());
    }

    #[test]
    fn a_process_with_the_same_keys_accepts_it_and_others_do_not() {
        let nonce = mint(&mut minter(1, "a", true, 1));
        assert!(minter(1, "a", true, 2).check(NOW, HERE, &nonce).is_ok());
        assert_eq!(minter(2, "a", true, 1).check(NOW, HERE, &nonce), Err(NonceError::Foreign));
        assert_eq!(minter(1, "b", true, 1).check(NOW, HERE, &nonce), Err(NonceError::Foreign));
    }

    #[test]
    fn each_nonce_is_new_and_any_changed_digit_spoils_it() {
        let mut server = minter(1, "a", true, 1);
        let nonce = mint(&mut server);
        assert_ne!(nonce, mint(&mut server));
        for at in 0..nonce.len() {
            let mut other = nonce.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(server.check(NOW, HERE, &other), Err(NonceError::Foreign), "digit {at}");
        }
        assert_eq!(server.check(NOW, HERE, ""), Err(NonceError::Foreign));
    }

    #[test]
    fn a_retired_key_verifies_one_lifetime_longer() {
        let mut server = minter(1, "a", true, 1);
        let nonce = mint(&mut server);
        let mut ring = KeyRing::single([1; 32]);
        ring.rotate(NOW.as_secs() + 1, [2; 32], LIFE.as_secs());
        server.set_keys(ring);
        assert!(server.check(NOW + Duration::from_secs(299), HERE, &nonce).is_ok());
        server.set_keys(KeyRing::single([9; 32]));
        assert_eq!(server.check(NOW, HERE, &nonce), Err(NonceError::Foreign));
    }
}
