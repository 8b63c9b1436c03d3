//! Who may send what: the decision before any state is made.

use sip_core::{Method, StatusCode};

/// Which requests are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// REGISTER is.
    pub register: bool,
    /// Every other method outside a dialog is, but ACK and CANCEL, which have no answer to a challenge (RFC 3261 §22.1).
    pub invite: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches { register: true, invite: true }
    }
}

/// What becomes of a request outside a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on as it is: its method is not authenticated.
    Open,
    /// Goes on, trusted as this peer's, whatever its From says.
    Peer(usize),
    /// Goes on with credentials of the user that the identity names; without them, this is the challenge (401 or 407).
    Challenge(StatusCode),
    /// 403: neither a peer nor one of our users.
    Forbidden,
}

/// Decides on a request outside a dialog. `identity_is_local` is said of the To of a REGISTER, of the From of all others.
///
/// ```
/// use c4_ref::proxy::policy::{Switches, Verdict, decide};
/// use sip_core::{Method, StatusCode};
/// let all = Switches::default();
/// assert_eq!(decide(&Method::Register, all, None, true), Verdict::Challenge(StatusCode::UNAUTHORIZED));
/// assert_eq!(decide(&Method::Invite, all, None, false), Verdict::Forbidden);
/// assert_eq!(decide(&Method::Invite, all, Some(0), false), Verdict::Peer(0));
/// ```
pub fn decide(method: &Method, switches: Switches, peer: Option<usize>, identity_is_local: bool) -> Verdict {
    // A peer is trusted with its calls, not with where our users are.
    if let Some(peer) = peer.filter(|_| *method != Method::Register) {
        return Verdict::Peer(peer);
    }
    let authenticated = match method {
        Method::Register => switches.register,
        Method::Ack | Method::Cancel => false,
        _ => switches.invite,
    };
    match (authenticated, identity_is_local) {
        (false, _) => Verdict::Open,
        (true, false) => Verdict::Forbidden,
        (true, true) if *method == Method::Register => Verdict::Challenge(StatusCode::UNAUTHORIZED),
        (true, true) => Verdict::Challenge(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
    }
}

/// Whether the authenticated `username` is the `user` at `host` of an address of record: the bare name, or `user@host`.
pub fn owns(username: &str, user: &str, host: &str) -> bool {
    if username == user {
        return !user.is_empty();
    }
    match username.rsplit_once('@') {
        Some((name, domain)) => name == user && domain.eq_ignore_ascii_case(host),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Switches = Switches { register: true, invite: true };
    const OTHERS: [Method; 10] = [
        Method::Invite,
        Method::Message,
        Method::Subscribe,
        Method::Options,
        Method::Publish,
        Method::Refer,
        Method::Info,
        Method::Notify,
        Method::Update,
        Method::Bye,
    ];

    #[test]
    fn lesson_11_every_method_is_authenticated_by_default() {
        assert_eq!(Switches::default(), ALL);
        for method in OTHERS.into_iter().chain([Method::Prack, Method::Other("FUTURE".into())]) {
            assert_eq!(
                decide(&method, Switches::default(), None, true),
                Verdict::Challenge(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
                "{method:?}"
            );
            assert_eq!(decide(&method, Switches::default(), None, false), Verdict::Forbidden, "{method:?}");
        }
        let register = decide(&Method::Register, Switches::default(), None, true);
        assert_eq!(register, Verdict::Challenge(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn each_switch_opens_its_own_methods() {
        let no_register = Switches { register: false, ..ALL };
        let no_invite = Switches { invite: false, ..ALL };
        assert_eq!(decide(&Method::Register, no_register, None, false), Verdict::Open);
        assert_eq!(decide(&Method::Register, no_invite, None, false), Verdict::Forbidden);
        for method in OTHERS {
            assert_eq!(decide(&method, no_invite, None, false), Verdict::Open);
            assert_eq!(decide(&method, no_register, None, false), Verdict::Forbidden);
        }
    }

    #[test]
    fn a_peer_is_trusted_with_any_from() {
        for local in [true, false] {
            assert_eq!(decide(&Method::Invite, ALL, Some(3), local), Verdict::Peer(3));
        }
    }

    #[test]
    fn rfc3261_10_3_a_peer_registers_nobody_without_digest() {
        assert_eq!(decide(&Method::Register, ALL, Some(3), true), Verdict::Challenge(StatusCode::UNAUTHORIZED));
        assert_eq!(decide(&Method::Register, ALL, Some(3), false), Verdict::Forbidden);
    }

    #[test]
    fn rfc3261_22_1_ack_and_cancel_are_never_challenged() {
        assert_eq!(decide(&Method::Ack, ALL, None, true), Verdict::Open);
        assert_eq!(decide(&Method::Cancel, ALL, None, true), Verdict::Open);
    }

    #[test]
    fn a_user_owns_its_own_address_and_no_other() {
        assert!(owns("alice", "alice", "example.com"));
        assert!(owns("alice@Example.com", "alice", "example.COM"));
        assert!(!owns("alice@example.com", "alice", "example.net"));
        assert!(!owns("alice", "bob", "example.com"));
        assert!(!owns("Alice", "alice", "example.com"), "user parts are case-sensitive (RFC 3261 §19.1.4)");
        assert!(!owns("", "", "example.com"));
    }
}
