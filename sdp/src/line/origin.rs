//! `o=`.

use std::fmt;

use super::check_field;
use crate::BadEdit;

/// Who made the session, and its version (RFC 8866 §5.2). Numbers stay text, since some peers write more than 64 bits.
///
/// ```
/// use c4_sdp::Origin;
/// let origin = Origin::parse("jdoe 3724394400 3724394405 IN IP4 198.51.100.1").unwrap();
/// assert_eq!((origin.username, origin.version()), ("jdoe", Some(3724394405)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user's name, or `-`.
    pub username: &'a str,
    /// A number that is unique with the other fields but the version.
    pub session_id: &'a str,
    /// Goes up by one with each change (RFC 3264 §8).
    pub session_version: &'a str,
    /// `IN`.
    pub net_type: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// An address or host name.
    pub address: &'a str,
}

impl<'a> Origin<'a> {
    /// Reads the value of an `o=` line; None unless it has six fields.
    pub fn parse(value: &'a str) -> Option<Origin<'a>> {
        let mut fields = value.split_ascii_whitespace();
        let origin = Origin {
            username: fields.next()?,
            session_id: fields.next()?,
            session_version: fields.next()?,
            net_type: fields.next()?,
            address_type: fields.next()?,
            address: fields.next()?,
        };
        fields.next().is_none().then_some(origin)
    }

    /// The version as a number; None if it is none or over 64 bits.
    pub fn version(&self) -> Option<u64> {
        self.session_version.parse().ok()
    }

    pub(crate) fn check(&self) -> Result<(), BadEdit> {
        let Origin { username, session_id, session_version, net_type, address_type, address } = self;
        [username, session_id, session_version, net_type, address_type, address]
            .into_iter()
            .try_for_each(|f| check_field(f))
    }

    pub(crate) fn to_text(self) -> Result<String, BadEdit> {
        self.check()?;
        Ok(self.to_string())
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { username, session_id, session_version, net_type, address_type, address } = self;
        write!(f, "{username} {session_id} {session_version} {net_type} {address_type} {address}")
    }
}
