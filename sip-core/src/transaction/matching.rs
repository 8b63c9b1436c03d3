//! By what a request finds its server transaction (RFC 3261 §17.2.3).

use super::keyed::Keys;
use crate::header::{Header, TypedHeader, Via};
use crate::message::Request;
use crate::method::Method;

/// The keyed hash of what identifies a server transaction: half to find it, half to verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) find: u64,
    pub(super) verify: u64,
}

/// Makes keys; the buffer is used again and again.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    keys: Keys,
    scratch: Vec<u8>,
}

impl Matcher {
    pub(super) fn new(keys: Keys) -> Matcher {
        Matcher { keys, scratch: Vec::with_capacity(256) }
    }

    /// The key of the transaction that a request with this method and otherwise these headers belongs to.
    ///
    /// With the magic cookie that is the branch, sent-by and the method. Without it (RFC 2543) it is Request-URI, From
    /// tag, Call-ID, CSeq number and topmost Via; the To tag of an ACK is compared by the caller.
    pub(super) fn key(&mut self, request: &Request, via: &Via<'_>, method: &Method) -> Key {
        self.scratch.clear();
        if let Some(branch) = via.unique_branch() {
            self.part(branch.as_bytes());
            // Host names are compared without regard to case.
            self.part(via.host.as_bytes());
            let end = self.scratch.len();
            if let Some(host) = self.scratch.get_mut(end.saturating_sub(via.host.len() + 1)..) {
                host.make_ascii_lowercase();
            }
            self.scratch.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        } else {
            self.part(b"2543");
            self.part(request.uri().as_bytes());
            self.part(request.from_tag().unwrap_or_default().as_bytes());
            self.part(request.call_id().as_bytes());
            self.scratch.extend_from_slice(&request.cseq().seq.to_be_bytes());
            via.without_params().write(&mut self.scratch);
            // What a receiver notes in it is no part of what the sender wrote.
            let own = |name: &str| !["received", "rport"].iter().any(|note| name.eq_ignore_ascii_case(note));
            for (name, value) in via.params.iter().filter(|(name, _)| own(name)) {
                self.part(name.as_bytes());
                self.part(value.unwrap_or_default().as_bytes());
            }
        }
        self.scratch.extend_from_slice(method.as_str().as_bytes());
        self.hash()
    }

    /// What a request without a To tag has in common with those that reach us by other paths (RFC 3261 §8.2.2.2).
    pub(super) fn merge_key(&mut self, request: &Request) -> Option<u64> {
        if may_have_tag(request.header(Header::To)?) && request.to_tag().is_some() {
            return None;
        }
        self.scratch.clear();
        self.part(request.header(Header::CSeq).unwrap_or_default());
        // What follows the URI of From, the tag among it, comes by every path the same.
        let from = request.header(Header::From).unwrap_or_default();
        let params = from.rsplit(|octet| *octet == b'>').next().unwrap_or_default();
        self.part(params);
        self.part(request.call_id().as_bytes());
        Some(self.hash().find)
    }

    fn part(&mut self, octets: &[u8]) {
        self.scratch.extend_from_slice(octets);
        self.scratch.push(0);
    }

    fn hash(&self) -> Key {
        let [find, verify] = self.keys.identity(&self.scratch);
        Key { find, verify }
    }
}

/// A cheap look before To is parsed.
fn may_have_tag(to: &[u8]) -> bool {
    to.windows(3).any(|window| window.eq_ignore_ascii_case(b"tag"))
}
