//! Remote targets: where requests inside a dialog may go (RFC 3261 §12.2).
//!
//! Whoever has been in a call holds a Record-Route of ours. It serves to reach the other side and nobody else: the
//! Request-URI must be the other side's remote target, and the Routes behind ours those that stood in the messages that
//! made the dialog. The token carries the first target; those that came by target refresh (re-INVITE, UPDATE and others,
//! RFC 3261 §12.2, RFC 3311, RFC 6141) are kept here.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;
use sha2::{Digest, Sha256};
use sip_core::Message;
use sip_core::header::{Header, NameAddr};
use sip_core::proxy::Locals;
use sip_core::proxy::next_hop::port_of;
use sip_core::uri::{Host, Scheme, Uri};

/// A URI as far as it decides where a request goes and whom it means; 64 bits of SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target(pub u64);

impl Target {
    /// No Contact was given: no URI equals it.
    pub const UNKNOWN: Target = Target(0);

    /// The target that a URI is. Equal are those that RFC 3261 §19.1.4 calls equal in scheme, user, host, port, transport
    /// and maddr; a port or transport that is the default anyway makes no difference, nor do other parameters, which some
    /// phones lose.
    pub fn of(uri: &str) -> Target {
        let mut text = Vec::with_capacity(64);
        canonical(uri, &mut text);
        let digest = Sha256::digest(&text);
        Target(digest.first_chunk::<8>().map_or(0, |octets| u64::from_be_bytes(*octets)).max(1))
    }

    /// That of a message's Contact.
    pub fn of_contact(message: &Message) -> Target {
        let contact = message.values(Header::Contact).next().and_then(NameAddr::parse);
        contact.map_or(Target::UNKNOWN, |contact| Target::of(contact.uri))
    }
}

/// What has to be equal in two URIs of one place.
fn canonical(uri: &str, out: &mut Vec<u8>) {
    let Some(parsed) = Uri::parse(uri) else { return out.extend_from_slice(uri.as_bytes()) };
    let secure = parsed.scheme == Scheme::Sips;
    out.extend_from_slice(parsed.scheme.as_str().as_bytes());
    out.push(b':');
    match parsed.unescaped_user() {
        Some(user) => out.extend_from_slice(user.as_bytes()),
        None => out.extend_from_slice(parsed.user.unwrap_or_default().as_bytes()),
    }
    out.push(0);
    if !parsed.scheme.is_sip() {
        return out.extend_from_slice(uri.as_bytes());
    }
    match parsed.host {
        Host::Name(name) => out.extend(name.trim_end_matches('.').bytes().map(|octet| octet.to_ascii_lowercase())),
        address => out.extend_from_slice(address.to_string().as_bytes()),
    }
    out.extend_from_slice(&port_of(&parsed).to_be_bytes());
    let transport = match parsed.param("transport") {
        None | Some(None) if secure => "tls",
        None | Some(None) => "udp",
        Some(Some(transport)) => transport,
    };
    out.extend(transport.bytes().map(|octet| octet.to_ascii_lowercase()));
    out.push(0);
    if let Some(maddr) = parsed.param("maddr") {
        out.push(b'm');
        out.extend(maddr.unwrap_or_default().bytes().map(|octet| octet.to_ascii_lowercase()));
    }
}

/// The hops of a Route or Record-Route between us and one side, nearest first, in the form that a token binds.
pub fn hops<'a>(values: impl IntoIterator<Item = &'a [u8]>, ours: &Locals) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        let Some(hop) = NameAddr::parse(value) else {
            out.extend_from_slice(value);
            continue;
        };
        if out.is_empty() && Uri::parse(hop.uri).is_some_and(|uri| ours.is_local(&uri)) {
            continue;
        }
        canonical(hop.uri, &mut out);
        out.push(b'\n');
    }
    out
}

/// Parties remembered at a time.
const MAX_PARTIES: usize = 1 << 18;
/// How long one is remembered at least that no refresh confirms: longer than any dialog lives here.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// The targets that came by target refresh. Bounded: at its bound the oldest half is forgotten.
#[derive(Debug, Clone)]
pub struct Refreshed {
    hasher: BuildSipHasher,
    young: HashMap<u64, [Target; 2], BuildSipHasher>,
    old: HashMap<u64, [Target; 2], BuildSipHasher>,
    turned: Option<Instant>,
}

impl Refreshed {
    /// An empty table; `key` keeps strangers from crowding one place of it.
    pub fn new(key: [u8; 16]) -> Refreshed {
        let hasher = BuildSipHasher::new(key);
        let table = || HashMap::with_hasher(hasher.clone());
        Refreshed { young: table(), old: table(), hasher, turned: None }
    }

    /// The party with the tag `of`, in a dialog with `with`, is reached at `target` from now on; requests on their way to
    /// where it was before still pass (RFC 6141 §4.3).
    pub fn learn(&mut self, now: Instant, call_id: &str, of: &str, with: &str, target: Target) {
        if target == Target::UNKNOWN || with.is_empty() {
            return;
        }
        let turned = *self.turned.get_or_insert(now);
        if self.young.len() >= MAX_PARTIES / 2 || now.saturating_duration_since(turned) >= LIFE {
            self.old = std::mem::replace(&mut self.young, HashMap::with_hasher(self.hasher.clone()));
            self.turned = Some(now);
        }
        let key = self.key(call_id, of, with);
        let known = self.young.get(&key).copied().or_else(|| self.old.remove(&key));
        let next = match known {
            Some([last, before]) if last == target => [last, before],
            Some([last, _]) => [target, last],
            None => [target, Target::UNKNOWN],
        };
        self.young.insert(key, next);
    }

    /// Where the party with the tag `of` is, and was before, if a refresh ever said it.
    pub fn of(&self, call_id: &str, of: &str, with: &str) -> Option<[Target; 2]> {
        if self.young.is_empty() && self.old.is_empty() {
            return None;
        }
        let key = self.key(call_id, of, with);
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    /// The dialog is over.
    pub fn forget(&mut self, call_id: &str, one: &str, other: &str) {
        if self.young.is_empty() && self.old.is_empty() {
            return;
        }
        for (of, with) in [(one, other), (other, one)] {
            let key = self.key(call_id, of, with);
            self.young.remove(&key);
            self.old.remove(&key);
        }
    }

    fn key(&self, call_id: &str, of: &str, with: &str) -> u64 {
        self.hasher.hash_one((call_id, of, with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_19_1_4_targets_are_equal_where_the_same_place_and_user_are_meant() {
        for (a, b) in [
            ("sip:bob@192.0.2.2", "SIP:bob@192.0.2.2:5060;transport=UDP;ob"),
            ("sip:b%6fb@Host.example.com", "sip:bob@host.example.com.;x=1"),
            ("sips:bob@h:5061", "sips:bob@H"),
        ] {
            assert_eq!(Target::of(a), Target::of(b), "{a} {b}");
        }
        for (a, b) in [
            ("sip:bob@192.0.2.2", "sip:bob@192.0.2.3"),
            ("sip:bob@192.0.2.2", "sip:bob@192.0.2.2:5062"),
            ("sip:bob@192.0.2.2", "sip:Bob@192.0.2.2"),
            ("sip:bob@192.0.2.2", "sip:bob@192.0.2.2;maddr=203.0.113.66"),
            ("sip:bob@192.0.2.2", "sip:bob@192.0.2.2;transport=tcp"),
            ("sip:bob@192.0.2.2", "sips:bob@192.0.2.2"),
            ("tel:+49", "tel:+50"),
        ] {
            assert_ne!(Target::of(a), Target::of(b), "{a} {b}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the base of a virtual clock")]
    fn the_table_is_bounded_and_a_dialog_that_is_over_leaves_nothing() {
        let (now, mut table) = (Instant::now(), Refreshed::new([1; 16]));
        for n in 0..MAX_PARTIES as u64 * 2 {
            table.learn(now, "c", &n.to_string(), "b", Target(n + 1));
        }
        assert!(table.young.len() + table.old.len() <= MAX_PARTIES);
        let last = (MAX_PARTIES as u64 * 2 - 1).to_string();
        assert!(table.of("c", &last, "b").is_some());
        table.forget("c", "b", &last);
        assert_eq!(table.of("c", &last, "b"), None);
    }
}
