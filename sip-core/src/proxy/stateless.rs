//! Stateless forwarding (RFC 3261 §16.11): what each step needs, for an element that keeps nothing.

use std::net::IpAddr;

use super::hash::{HashKey, Hex};
use super::local::Locals;
use super::loop_detection::LoopHash;
use super::max_forwards::{self, TooManyHops};
use super::next_hop;
use super::route;
use crate::flow::Target;
use crate::header::{Header, MAGIC_COOKIE, Via};
use crate::message::{BadValue, Request, Response};
use crate::uri::Host;

/// Marks our stateless branches among those of the transaction layer.
const MARK: &str = "sl";

/// The branch of a request that is forwarded without state: the same for each retransmission and, because they carry
/// the Via of their INVITE, for its CANCEL and its ACK to a failure (RFC 3261 §16.11). Ends with the loop hash.
///
/// The branch received decides if it has the cookie of RFC 3261; else what RFC 2543 tells transactions apart by.
/// `source`, where the request came from, is part of it: nobody elsewhere gets the branch by copying the Via.
pub fn branch(key: HashKey, source: IpAddr, request: &Request, loop_hash: LoopHash) -> String {
    let mut hash = key.hasher();
    match source {
        IpAddr::V4(address) => hash.part(&address.octets()),
        IpAddr::V6(address) => hash.part(&address.octets()),
    }
    let via = request.via();
    if let Some(via) = via.filter(Via::has_magic_cookie) {
        hash.part(via.host.as_bytes());
        hash.number(via.port.map_or(u64::MAX, u64::from));
        hash.optional(via.branch().map(str::as_bytes));
    } else {
        hash.part(request.values(Header::Via).next().unwrap_or_default());
        hash.part(request.call_id().as_bytes());
        hash.optional(request.from_tag().map(str::as_bytes));
        hash.number(u64::from(request.cseq().seq));
        hash.part(request.uri().as_bytes());
    }
    let mut branch = String::with_capacity(MAGIC_COOKIE.len() + MARK.len() + 33);
    branch.push_str(MAGIC_COOKIE);
    branch.push_str(MARK);
    Hex(hash.finish()).push_to(&mut branch);
    loop_hash.write_suffix(&mut branch);
    branch
}

/// Whether a branch is one that [`branch`] made; by its shape, not by its key.
pub fn is_stateless_branch(branch: &str) -> bool {
    branch.strip_prefix(MAGIC_COOKIE).and_then(|rest| rest.strip_prefix(MARK)).is_some_and(|rest| rest.len() == 33)
}

/// Why a request cannot be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotForwarded {
    /// 483.
    #[error(transparent)]
    TooManyHops(#[from] TooManyHops),
    /// A value could not be written into a header.
    #[error("a value cannot be written")]
    BadValue,
}

impl From<BadValue> for NotForwarded {
    fn from(_: BadValue) -> NotForwarded {
        NotForwarded::BadValue
    }
}

/// Readies a request to be forwarded without state (RFC 3261 §16.6 steps 3, 6 and 8): one hop less, strict next hops
/// fixed up, our Via on top. `via` is transport and sent-by, `SIP/2.0/UDP 192.0.2.1:5060`. Routes that name us are off
/// already ([`route::preprocess`]).
pub fn forward_request(request: &mut Request, via: &str, branch: &str) -> Result<(), NotForwarded> {
    max_forwards::decrement(request)?;
    route::postprocess(request)?;
    request.push_via(&format!("{via};branch={branch}"))?;
    Ok(())
}

/// Why a response is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// The Via on top is not ours (RFC 3261 §18.1.2).
    #[error("the Via on top is not ours")]
    NotOurs,
    /// There is no Via below ours: it was meant for us (RFC 3261 §16.7 step 3).
    #[error("no Via is left")]
    NoVia,
    /// The next Via names no address that we could send to.
    #[error("the next Via names no address")]
    NoAddress,
}

/// Takes our Via off a response and says where it goes on to (RFC 3261 §16.7 step 3, §16.11, §18.2.2).
pub fn forward_response(response: &mut Response, ours: &Locals) -> Result<Target, Dropped> {
    if !response.via().is_some_and(|via| is_ours(&via, ours)) {
        return Err(Dropped::NotOurs);
    }
    response.pop_via();
    next_hop::of_via(&response.via().ok_or(Dropped::NoVia)?).ok_or(Dropped::NoAddress)
}

/// Whether a Via's sent-by is ours.
pub fn is_ours(via: &Via<'_>, ours: &Locals) -> bool {
    Host::parse(via.host).is_some_and(|host| ours.contains(&host, via.port_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::request;
    use super::*;
    use crate::StatusCode;

    fn key() -> HashKey {
        HashKey::from_seed(&[1; 32], b"branch")
    }

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn of(method: &str, via: &str, to: &str) -> String {
        let r = request(&format!(
            "{method} sip:b@192.0.2.5 SIP/2.0\nVia: SIP/2.0/UDP {via}\nFrom: <sip:a@x>;tag=1\nTo: <sip:b@x>{to}\nCall-ID: 1\nCSeq: 7 {method}\nContent-Length: 0\n\n"
        ));
        let hash = LoopHash::of(key(), &r);
        branch(key(), source(1), &r, hash)
    }

    #[test]
    fn rfc3261_16_11_retransmission_cancel_and_ack_get_the_branch_of_their_invite() {
        for via in ["192.0.2.1;branch=z9hG4bK1", "192.0.2.1;branch=old", "192.0.2.1"] {
            let invite = of("INVITE", via, "");
            assert!(invite.starts_with(MAGIC_COOKIE));
            assert_eq!(invite, of("INVITE", via, ""));
            assert_eq!(invite, of("CANCEL", via, ""));
            assert_eq!(invite, of("ACK", via, ";tag=9"));
        }
    }

    #[test]
    fn rfc3261_16_11_another_transaction_gets_another_branch() {
        let one = of("INVITE", "192.0.2.1;branch=z9hG4bK1", "");
        assert_ne!(one, of("INVITE", "192.0.2.1;branch=z9hG4bK2", ""));
        assert_ne!(one, of("INVITE", "192.0.2.2;branch=z9hG4bK1", ""));
    }

    #[test]
    fn rfc3261_16_11_a_request_loses_a_hop_and_gains_a_via() {
        let mut r = request(
            "OPTIONS sip:b@192.0.2.5 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nMax-Forwards: 2\nFrom: <sip:a@x>;tag=1\nTo: <sip:b@x>\nCall-ID: 1\nCSeq: 7 OPTIONS\nContent-Length: 0\n\n",
        );
        let branch = branch(key(), source(1), &r, LoopHash::of(key(), &r));
        assert!(is_stateless_branch(&branch));
        forward_request(&mut r, "SIP/2.0/UDP 192.0.2.9:5060", &branch).unwrap();
        assert_eq!((r.max_forwards(), r.branch()), (Some(1), Some(branch.as_str())));
        r.set_max_forwards(0);
        assert!(matches!(forward_request(&mut r, "SIP/2.0/UDP h", "z9hG4bK1"), Err(NotForwarded::TooManyHops(_))));
    }

    #[test]
    fn rfc3261_16_11_a_response_goes_to_the_via_below_ours() {
        let r = request(
            "OPTIONS sip:b@192.0.2.5 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2, SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1\nFrom: <sip:a@x>;tag=1\nTo: <sip:b@x>\nCall-ID: 1\nCSeq: 7 OPTIONS\nContent-Length: 0\n\n",
        );
        let mut ours = Locals::default();
        let mut response = r.response(StatusCode::OK);
        assert_eq!(forward_response(&mut response, &ours), Err(Dropped::NotOurs));
        ours.add_address("192.0.2.9:5060".parse().unwrap());
        let target = forward_response(&mut response, &ours).unwrap();
        assert_eq!((target.transport.as_str(), target.remote.to_string().as_str()), ("TCP", "192.0.2.1:5070"));
        assert_eq!(response.headers(Header::Via).count(), 1);
        ours.add_address("192.0.2.1:5070".parse().unwrap());
        assert_eq!(forward_response(&mut response, &ours), Err(Dropped::NoVia));
    }
}
