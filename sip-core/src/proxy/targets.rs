//! Targets of a request (RFC 3261 §16.5): what the caller answers to a Route event, and the order in which they are
//! tried.

use std::collections::VecDeque;

use crate::flow::Destination;

/// One target: what to send and where. Plain data; build it with [`Branch::to`] and change what differs.
///
/// ```
/// use c4_sip_core::flow::{Target, Transport};
/// use c4_sip_core::proxy::Branch;
/// let gateway = Target::new(Transport::Udp, "192.0.2.7:5060".parse().unwrap());
/// let branch = Branch { q: 500, ..Branch::to("sip:+4930123@192.0.2.7", gateway) };
/// assert!(branch.failover.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// The caller's mark: events about this branch carry it.
    pub user: u64,
    /// The Request-URI (RFC 3261 §16.6 step 2); None leaves it.
    pub uri: Option<String>,
    /// Route values put before those that are left, topmost first: a Path (RFC 3327 §5.4), an outbound proxy.
    pub routes: Vec<String>,
    /// Record-Route values, topmost first (RFC 3261 §16.6 step 4): none, one, or two where the sides differ.
    pub record_route: Vec<String>,
    /// Further changes (RFC 3261 §16.6 step 5).
    pub edits: Vec<Edit>,
    /// Where it goes.
    pub destination: Destination,
    /// Where it goes next after a 503, a transport failure or silence (RFC 3263 §4.3), in this order.
    pub failover: Vec<Destination>,
    /// Preference in thousandths, 0 to 1000 (RFC 3261 §16.6): equal ones are tried together, lower ones after.
    pub q: u16,
    /// Which failure of this branch lets targets of lower preference be tried.
    pub hunt: Hunt,
}

impl Branch {
    /// A branch of highest preference to this Request-URI by this way.
    pub fn to(uri: &str, destination: impl Into<Destination>) -> Branch {
        Branch { uri: Some(uri.to_owned()), ..Branch::along(destination) }
    }

    /// A branch that keeps the Request-URI: a request inside a dialog.
    pub fn along(destination: impl Into<Destination>) -> Branch {
        Branch {
            user: 0,
            uri: None,
            routes: Vec::new(),
            record_route: Vec::new(),
            edits: Vec::new(),
            destination: destination.into(),
            failover: Vec::new(),
            q: 1000,
            hunt: Hunt::Any,
        }
    }
}

/// Which failure of a branch lets targets of lower preference be tried. A 6xx never does (RFC 3261 §16.7 step 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hunt {
    /// Any: another phone of the same user (RFC 3261 §16.6).
    #[default]
    Any,
    /// Only where the target could not be reached or could not serve (408, 430, 5xx, silence, transport failure): a second
    /// trunk must not be tried because the number is busy or unknown.
    Unreachable,
}

/// A change to the forwarded copy of a request. Mandatory headers, Via and Content-Length are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// Replaces every line of that name by one.
    Set {
        /// Header name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Adds a line before the others of that name.
    PushFront {
        /// Header name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Adds a line after the others of that name.
    PushBack {
        /// Header name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Removes every line of that name.
    Remove {
        /// Header name.
        name: String,
    },
    /// Replaces the body.
    Body {
        /// Its Content-Type; None leaves the header.
        content_type: Option<String>,
        /// The octets.
        body: bytes::Bytes,
    },
}

/// Targets not yet tried, best first.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Queue {
    waiting: VecDeque<Branch>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes targets in, each behind those of its own preference.
    pub(super) fn add(&mut self, branches: Vec<Branch>) {
        for branch in branches {
            let at = self.waiting.partition_point(|waiting| waiting.q >= branch.q);
            self.waiting.insert(at, branch);
        }
    }

    /// The preference of the next group.
    pub(super) fn next_q(&self) -> Option<u16> {
        self.waiting.front().map(|branch| branch.q)
    }

    /// How many targets are of at least this preference.
    pub(super) fn count(&self, at_least: u16) -> usize {
        self.waiting.partition_point(|branch| branch.q >= at_least)
    }

    /// The next target, if its preference is at least this.
    pub(super) fn pop(&mut self, at_least: u16) -> Option<Branch> {
        if self.next_q()? < at_least {
            return None;
        }
        self.waiting.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Target, Transport};

    fn branch(user: u64, q: u16) -> Branch {
        let target = Target::new(Transport::Udp, ([192, 0, 2, 1], 5060).into());
        Branch { user, q, ..Branch::along(target) }
    }

    #[test]
    fn rfc3261_16_6_targets_are_taken_in_order_of_q_and_then_of_arrival() {
        let mut queue = Queue::default();
        queue.add(vec![branch(1, 500), branch(2, 1000), branch(3, 500)]);
        queue.add(vec![branch(4, 500), branch(5, 0), branch(6, 1000)]);
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop(0)).map(|branch| branch.user).collect();
        assert_eq!(order, [2, 6, 1, 3, 4, 5]);
    }

    #[test]
    fn a_group_ends_where_the_preference_falls() {
        let mut queue = Queue::default();
        queue.add(vec![branch(1, 500), branch(2, 1000)]);
        assert_eq!(queue.pop(1000).map(|branch| branch.user), Some(2));
        assert_eq!(queue.pop(1000), None);
        assert_eq!(queue.len(), 1);
    }
}
