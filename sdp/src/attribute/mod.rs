//! Attributes, one type a file.

mod candidate;
mod direction;
mod fingerprint;
mod fmtp;
mod ice_pwd;
mod ice_ufrag;
mod mid;
mod name;
mod ptime;
mod rtcp;
mod rtpmap;
mod setup;

pub use candidate::Candidate;
pub use direction::Direction;
pub use fingerprint::Fingerprint;
pub use fmtp::Fmtp;
pub use ice_pwd::IcePwd;
pub use ice_ufrag::IceUfrag;
pub use mid::Mid;
pub use name::{AttributeName, Name};
pub use ptime::{MaxPtime, Ptime};
pub use rtcp::Rtcp;
pub use rtpmap::Rtpmap;
pub use setup::Setup;

use std::fmt;

/// An attribute that does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed a={0}")]
pub struct BadAttribute(pub AttributeName);

/// An attribute with a type of its own. `Display` writes its value.
pub trait TypedAttribute<'a>: Sized + fmt::Display {
    /// Its name.
    const NAME: AttributeName;

    /// Reads what stands behind the colon, trimmed; `""` for a flag.
    ///
    /// # Errors
    /// [`BadAttribute`] if it does not follow its grammar.
    fn parse(value: &'a str) -> Result<Self, BadAttribute>;
}

/// An attribute as it stands (RFC 8866 §5.13).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub(crate) known: Option<AttributeName>,
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// Without the value, which may be a secret.
impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<'a> Attribute<'a> {
    /// Its name as written; empty if it is no UTF-8.
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(self.name).unwrap_or_default()
    }

    /// Its name, if it is one that this crate knows.
    pub fn known(&self) -> Option<AttributeName> {
        self.known
    }

    /// The value, trimmed; `""` for a flag, None if it is no UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value.unwrap_or_default()).ok().map(str::trim)
    }

    /// What stands behind the colon, as it is; None for a flag.
    pub fn octets(&self) -> Option<&'a [u8]> {
        self.value
    }
}

/// Whether the value follows the grammar of a known attribute. Those without a type here pass.
pub(crate) fn lint(name: AttributeName, value: &str) -> bool {
    match name {
        AttributeName::Rtpmap => Rtpmap::parse(value).is_ok(),
        AttributeName::Fmtp => Fmtp::parse(value).is_ok(),
        AttributeName::Ptime => Ptime::parse(value).is_ok(),
        AttributeName::MaxPtime => MaxPtime::parse(value).is_ok(),
        AttributeName::Mid => Mid::parse(value).is_ok(),
        AttributeName::Rtcp => Rtcp::parse(value).is_ok(),
        AttributeName::Candidate => Candidate::parse(value).is_ok(),
        AttributeName::Fingerprint => Fingerprint::parse(value).is_ok(),
        AttributeName::Setup => Setup::parse(value).is_ok(),
        AttributeName::IceUfrag => IceUfrag::parse(value).is_ok(),
        AttributeName::IcePwd => IcePwd::parse(value).is_ok(),
        _ => true,
    }
}
