//! Loop detection (RFC 5393 §4): a hash of all that decides where a request goes stands at the end of our branch. A
//! request that comes back with a Via of ours and the same hash loops; with another hash it spirals, which is allowed.

use super::hash::{HashKey, Hex};
use crate::header::{Header, TypedHeader, Via};
use crate::message::Request;

/// The hash of what decides the way of a request (RFC 5393 §4.2.1), keyed: only those who share the key know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoopHash(u64);

impl LoopHash {
    /// Of a request as received, before any change: Request-URI, Call-ID, From tag, CSeq number, Route and
    /// Proxy-Require. Not of Via, which differs each time round, nor of Proxy-Authorization, which a proxy takes off on
    /// the way, nor of the To tag: the ACK to a failure has one where its INVITE had none, and takes the same branch.
    pub fn of(key: HashKey, request: &Request) -> LoopHash {
        let mut hash = key.hasher();
        hash.part(request.uri().as_bytes());
        hash.part(request.call_id().as_bytes());
        hash.optional(request.from_tag().map(str::as_bytes));
        hash.number(u64::from(request.cseq().seq));
        for name in [Header::Route, Header::ProxyRequire] {
            for value in request.headers(name) {
                hash.part(value);
            }
            hash.number(u64::MAX);
        }
        LoopHash(hash.finish())
    }

    /// What is put at the end of a branch: a dot and 16 hexadecimal digits.
    pub fn suffix(self) -> String {
        let mut out = String::with_capacity(17);
        self.write_suffix(&mut out);
        out
    }

    pub(super) fn write_suffix(self, out: &mut String) {
        out.push('.');
        Hex(self.0).push_to(out);
    }

    /// Whether a branch ends with this hash.
    pub fn ends(self, branch: &str) -> bool {
        branch.ends_with(self.suffix().as_str())
    }

    /// Whether the request went by here before with the same hash (RFC 5393 §4.2.2).
    pub fn is_loop(self, request: &Request) -> bool {
        self.count(request) > 0
    }

    /// How many Vias of the request bear this hash.
    pub fn count(self, request: &Request) -> usize {
        // Most Vias are not ours: one that does not hold the digits at all is not parsed.
        let suffix = self.suffix();
        let ours = |value: &&[u8]| memchr::memmem::find(value, suffix.as_bytes()).is_some();
        let vias = request.values(Header::Via).filter(ours).filter_map(|value| Via::parse(value).ok());
        vias.filter(|via| via.branch().is_some_and(|branch| self.ends(branch))).count()
    }

    /// The number.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::request;
    use super::*;

    fn key() -> HashKey {
        HashKey::from_seed(&[1; 32], b"loop")
    }

    fn invite(uri: &str, vias: &str, more: &str) -> Request {
        request(&format!(
            "INVITE {uri} SIP/2.0\n{vias}Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n{more}From: <sip:a@x>;tag=1\nTo: <sip:b@x>\nCall-ID: 1\nCSeq: 1 INVITE\nContent-Length: 0\n\n"
        ))
    }

    #[test]
    fn rfc5393_4_2_2_the_same_request_with_our_via_loops() {
        let first = invite("sip:b@x", "", "");
        let hash = LoopHash::of(key(), &first);
        assert!(!hash.is_loop(&first));
        let via = format!("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKabc{}\n", hash.suffix());
        let second = invite("sip:b@x", &format!("Via: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK7\n{via}"), "");
        assert!(LoopHash::of(key(), &second).is_loop(&second));
        assert_eq!(hash.count(&second), 1);
    }

    #[test]
    fn rfc5393_4_2_1_another_request_uri_or_route_is_a_spiral() {
        let hash = LoopHash::of(key(), &invite("sip:b@x", "", ""));
        let via = format!("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKabc{}\n", hash.suffix());
        for spiral in [invite("sip:c@x", &via, ""), invite("sip:b@x", &via, "Route: <sip:192.0.2.7;lr>\n")] {
            assert!(!LoopHash::of(key(), &spiral).is_loop(&spiral));
        }
    }

    #[test]
    fn a_hash_of_another_key_says_nothing() {
        let other = LoopHash::of(HashKey::from_seed(&[2; 32], b"loop"), &invite("sip:b@x", "", ""));
        let looped = invite("sip:b@x", &format!("Via: SIP/2.0/UDP h;branch=z9hG4bKabc{}\n", other.suffix()), "");
        assert!(!LoopHash::of(key(), &looped).is_loop(&looped));
    }
}
