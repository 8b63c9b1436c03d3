//! Digest algorithms (RFC 7616 §3.2, RFC 8760 §2).

/// The hash function beneath an [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// MD5, kept for old phones only (RFC 8760 §2.1).
    Md5,
    /// SHA-512/256 of FIPS 180-4: its own initial values, not SHA-512 cut short.
    Sha512_256,
    /// SHA-256.
    Sha256,
}

/// A digest algorithm, in order of strength: `a > b` means that `a` is preferred.
///
/// SHA-256 is put above SHA-512-256 because every RFC 8760 phone has it, and both give 256 bits.
///
/// ```
/// use c4_sip_core::auth::Algorithm;
/// assert_eq!(Algorithm::parse("sha-256"), Some(Algorithm::Sha256));
/// assert!(Algorithm::Sha256 > Algorithm::Md5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, the default where a challenge names none (RFC 7616 §3.3).
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-512-256`.
    Sha512_256,
    /// `SHA-512-256-sess`.
    Sha512_256Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
}

impl Algorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Algorithm; 6] =
        [Self::Md5, Self::Md5Sess, Self::Sha512_256, Self::Sha512_256Sess, Self::Sha256, Self::Sha256Sess];

    /// The token as it stands in a header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha512_256 => "SHA-512-256",
            Self::Sha512_256Sess => "SHA-512-256-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Reads a token, in any case. `None`: not known here, and the challenge is to be passed over (RFC 7616 §3.3).
    pub fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(token))
    }

    /// The hash function beneath.
    pub const fn hash(self) -> Hash {
        match self {
            Self::Md5 | Self::Md5Sess => Hash::Md5,
            Self::Sha512_256 | Self::Sha512_256Sess => Hash::Sha512_256,
            Self::Sha256 | Self::Sha256Sess => Hash::Sha256,
        }
    }

    /// Whether this is a `-sess` variant, whose A1 takes nonce and cnonce in (RFC 7616 §3.4.2).
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha512_256Sess | Self::Sha256Sess)
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qop {
    /// `auth`: method and digest-uri are protected.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

impl Qop {
    /// The token as it stands in a header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    /// Reads a token, in any case.
    pub fn parse(token: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|q| q.as_str().eq_ignore_ascii_case(token))
    }
}
