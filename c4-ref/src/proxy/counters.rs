//! What the application counts, by name.

use serde_json::{Map, Value};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident: $group:literal $key:literal,)*) => {
        /// Counters of one shard.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The counters as objects, one a group.
            pub fn to_json(self) -> Map<String, Value> {
                let mut groups = Map::new();
                $(
                    let group = groups.entry($group).or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(group) = group {
                        group.insert($key.to_owned(), self.$name.into());
                    }
                )*
                groups
            }
        }
    };
}

counters! {
    /// Messages that were no SIP or lacked what SIP demands.
    malformed: "rejected" "malformed",
    /// Refused because a bound was reached.
    busy: "rejected" "busy",
    /// 403: foreign From (To of REGISTER) and no peer.
    foreign: "rejected" "foreign-identity",
    /// 403: authenticated as another user than From (To) says.
    not_owner: "rejected" "not-owner",
    /// 403: foreign domain without a peer.
    foreign_domain: "rejected" "foreign-domain",
    /// 404: requests with a To tag that no Route of ours brought.
    no_route: "rejected" "no-route",
    /// 403: requests inside a dialog to what is not the other side's remote target.
    foreign_target: "rejected" "foreign-target",
    /// 404: no such user, no peer for the number.
    unknown_user: "rejected" "unknown-user",
    /// 480: user without contact.
    no_contact: "rejected" "no-contact",
    /// 484: no user in the Request-URI.
    incomplete: "rejected" "incomplete",
    /// ACKs dropped: no Route of ours.
    stray_ack: "rejected" "stray-ack",
    /// Refused by the proxy rules (RFC 3261 §16.3).
    invalid: "rejected" "invalid",
    /// Next hops that cannot be reached: names, unknown transports.
    unresolved: "rejected" "unresolved",
    /// Credentials that were right.
    auth_ok: "auth" "ok",
    /// Requests without credentials of ours: challenged.
    auth_missing: "auth" "missing",
    /// Right password, old nonce or used count: challenged with stale.
    auth_stale: "auth" "stale",
    /// Wrong credentials.
    auth_bad: "auth" "bad",
    /// Credentials of no user of ours.
    auth_unknown: "auth" "unknown",
    /// Requests of peers.
    auth_peer: "auth" "peer",
    /// OPTIONS to the proxy itself.
    pings: "requests" "options-to-self",
    /// REGISTERs that the registrar took.
    registers: "registrar" "accepted",
    /// REGISTERs that it refused.
    registers_refused: "registrar" "refused",
    /// Keepalives sent.
    keepalives: "registrar" "keepalives",
    /// Contacts dropped because they are dead.
    dead_contacts: "registrar" "dead-contacts",
    /// INVITEs outside a dialog.
    calls: "calls" "attempts",
    /// Of these, answered.
    calls_answered: "calls" "answered",
    /// Of these, without answer.
    calls_failed: "calls" "failed",
    /// Answered calls that nobody ended.
    calls_expired: "calls" "expired",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_by_group_and_name() {
        let json = Counters { auth_stale: 3, ..Counters::default() }.to_json();
        assert_eq!(json["auth"]["stale"], 3);
        assert_eq!(json["rejected"]["malformed"], 0);
    }
}
