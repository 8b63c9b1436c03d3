//! The digest arithmetic of RFC 7616 §3.4, without a single allocation.

use super::algorithm::{Algorithm, Hash, Qop};
use super::hex;

/// Longest hash in octets (SHA-256, SHA-512/256).
const MAX_OCTETS: usize = 32;

/// A hash in lower-case hex, as digest authentication passes it around.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    text: [u8; 2 * MAX_OCTETS],
    len: u8,
}

impl Hex {
    fn new(octets: &[u8]) -> Self {
        let mut text = [0; 2 * MAX_OCTETS];
        hex::encode(octets, &mut text);
        Self { text, len: (2 * octets.len().min(MAX_OCTETS)) as u8 }
    }

    /// The hex digits.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The hex digits as text.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Hashes `parts` as one string.
pub(super) fn hash(function: Hash, parts: &[&[u8]]) -> Hex {
    fn run<D: md5::Digest>(parts: &[&[u8]]) -> Hex {
        let mut state = D::new();
        for part in parts {
            state.update(part);
        }
        Hex::new(&state.finalize())
    }
    match function {
        Hash::Md5 => run::<md5::Md5>(parts),
        Hash::Sha256 => run::<sha2::Sha256>(parts),
        Hash::Sha512_256 => run::<sha2::Sha512_256>(parts),
    }
}

/// Whether two strings are equal, in a time that depends on their lengths alone.
pub(super) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.iter().zip(b).fold(0u8, |sum, (x, y)| sum | (x ^ y));
    std::hint::black_box(difference) == 0
}

/// H(username ":" realm ":" password): what a server stores instead of the password (RFC 7616 §3.4.2).
///
/// The same value serves the `-sess` variant of its hash. `Debug` does not show it.
///
/// ```
/// use c4_sip_core::auth::{Ha1, Hash};
/// let stored = Ha1::parse(Hash::Md5, "12af60467a33e8518da5c68bbff12b11").unwrap();
/// assert!(stored == Ha1::new(Hash::Md5, "bob", "biloxi.com", "zanzibar"));
/// ```
#[derive(Clone, Copy)]
pub struct Ha1 {
    hash: Hash,
    hex: Hex,
}

impl Ha1 {
    /// Computes it from a password.
    pub fn new(function: Hash, username: &str, realm: &str, password: &str) -> Self {
        let parts = [username.as_bytes(), b":", realm.as_bytes(), b":", password.as_bytes()];
        Self { hash: function, hex: hash(function, &parts) }
    }

    /// Reads the stored hex form. `None`: not that many hex digits for that hash.
    pub fn parse(function: Hash, hex: &str) -> Option<Self> {
        let hex = match function {
            Hash::Md5 => Hex::new(&hex::decode::<16>(hex.as_bytes())?),
            Hash::Sha256 | Hash::Sha512_256 => Hex::new(&hex::decode::<32>(hex.as_bytes())?),
        };
        Some(Self { hash: function, hex })
    }

    /// The hash it was made with.
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

impl PartialEq for Ha1 {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && constant_time_eq(self.hex.as_bytes(), other.hex.as_bytes())
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ha1({:?}, ..)", self.hash)
    }
}

/// What goes into a response beside the secret (RFC 7616 §3.4.1). All text is unquoted.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// `None`: the form of RFC 2069, which has no nc and cnonce.
    pub(super) qop: Option<Qop>,
    /// Eight hex digits as sent.
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) body: &'a [u8],
}

/// The `response` value (RFC 7616 §3.4.1).
pub(super) fn response(ha1: &Ha1, inputs: &Inputs<'_>) -> Hex {
    let function = inputs.algorithm.hash();
    let session;
    let a1 = if inputs.algorithm.is_session() {
        let parts = [ha1.hex.as_bytes(), b":", inputs.nonce.as_bytes(), b":", inputs.cnonce.as_bytes()];
        session = hash(function, &parts);
        &session
    } else {
        &ha1.hex
    };
    let (method, uri) = (inputs.method.as_bytes(), inputs.uri.as_bytes());
    let a2 = if inputs.qop == Some(Qop::AuthInt) {
        let body = hash(function, &[inputs.body]);
        hash(function, &[method, b":", uri, b":", body.as_bytes()])
    } else {
        hash(function, &[method, b":", uri])
    };
    let (a1, a2, nonce) = (a1.as_bytes(), a2.as_bytes(), inputs.nonce.as_bytes());
    match inputs.qop {
        None => hash(function, &[a1, b":", nonce, b":", a2]),
        Some(qop) => {
            let (nc, cnonce) = (inputs.nc.as_bytes(), inputs.cnonce.as_bytes());
            let qop = qop.as_str().as_bytes();
            hash(function, &[a1, b":", nonce, b":", nc, b":", cnonce, b":", qop, b":", a2])
        }
    }
}

/// H(username ":" realm), sent in place of the name where `userhash` is true (RFC 7616 §3.4.4).
pub fn userhash(function: Hash, username: &str, realm: &str) -> String {
    hash(function, &[username.as_bytes(), b":", realm.as_bytes()]).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7616_3_4_2_ha1_from_password_equals_stored_hex_in_any_case() {
        let made = Ha1::new(Hash::Md5, "bob", "biloxi.com", "zanzibar");
        assert_eq!(Ha1::parse(Hash::Md5, "12AF60467A33E8518DA5C68BBFF12B11").unwrap(), made);
        assert_eq!(Ha1::parse(Hash::Md5, "12af"), None);
        assert_eq!(Ha1::parse(Hash::Sha256, "12af60467a33e8518da5c68bbff12b11"), None);
        assert_eq!(Ha1::parse(Hash::Md5, "zzaf60467a33e8518da5c68bbff12b11"), None);
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let made = Ha1::new(Hash::Md5, "bob", "biloxi.com", "zanzibar");
        assert_eq!(format!("{made:?}"), "Ha1(Md5, ..)");
    }
}
