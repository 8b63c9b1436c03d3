//! Who has an account: hashed passwords by name.

use std::collections::HashMap;

use sip_core::auth::{Algorithm, Ha1, Hash};

/// The accounts of one realm.
///
/// ```
/// use c4_ref::proxy::users::Users;
/// let mut users = Users::default();
/// assert_eq!(users.add_csv("alice;example.com;secret\nbob;elsewhere.org;x\n", "example.com"), Ok(1));
/// assert!(users.contains("alice"));
/// assert!(!users.contains("bob"), "another realm's");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Users {
    users: HashMap<Box<str>, User>,
}

#[derive(Debug, Clone, Copy, Default)]
struct User {
    md5: Option<Ha1>,
    sha256: Option<Ha1>,
}

/// A line of the file of users that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected user;realm;password")]
pub struct CsvError {
    /// Counted from 1.
    pub line: usize,
}

/// A configured hash that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// Not 32 hex digits.
    #[error("user {0:?}: ha1-md5 must be 32 hexadecimal digits")]
    Md5(String),
    /// Not 64 hex digits.
    #[error("user {0:?}: ha1-sha256 must be 64 hexadecimal digits")]
    Sha256(String),
}

impl Users {
    /// Adds the users of `realm` in a text of lines `user;realm;password`; other realms' lines, empty lines and `#`
    /// comments are passed over. The password is the rest of the line, semicolons too. Gives the number added.
    pub fn add_csv(&mut self, text: &str, realm: &str) -> Result<usize, CsvError> {
        let mut added = 0;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = CsvError { line: index + 1 };
            let (name, rest) = line.split_once(';').ok_or(wrong.clone())?;
            let (line_realm, password) = rest.split_once(';').ok_or(wrong.clone())?;
            if name.is_empty() {
                return Err(wrong);
            }
            if line_realm != realm {
                continue;
            }
            let user = User {
                md5: Some(Ha1::new(Hash::Md5, name, realm, password)),
                sha256: Some(Ha1::new(Hash::Sha256, name, realm, password)),
            };
            self.users.insert(name.into(), user);
            added += 1;
        }
        Ok(added)
    }

    /// Adds a user by hashes in hex; an empty one is not offered.
    pub fn add_hashes(&mut self, name: &str, md5: &str, sha256: &str) -> Result<(), HashError> {
        let parse = |hash, text: &str| (!text.is_empty()).then(|| Ha1::parse(hash, text));
        let md5 = parse(Hash::Md5, md5);
        let sha256 = parse(Hash::Sha256, sha256);
        if md5 == Some(None) {
            return Err(HashError::Md5(name.to_owned()));
        }
        if sha256 == Some(None) {
            return Err(HashError::Sha256(name.to_owned()));
        }
        self.users.insert(name.into(), User { md5: md5.flatten(), sha256: sha256.flatten() });
        Ok(())
    }

    /// The hashed password of a user for an algorithm.
    pub fn ha1(&self, name: &str, algorithm: Algorithm) -> Option<Ha1> {
        let user = self.users.get(name)?;
        match algorithm.hash() {
            Hash::Md5 => user.md5,
            Hash::Sha256 => user.sha256,
            Hash::Sha512_256 => None,
        }
    }

    /// Whether there is such an account.
    pub fn contains(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }

    /// Whether the address of record `user@host` is one of ours: the bare name or the full one has an account.
    pub fn has_address(&self, user: &str, host: &str) -> bool {
        self.contains(user) || self.users.contains_key(format!("{user}@{host}").as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_user_realm_password() {
        let mut users = Users::default();
        let text = "# users\n\nalice;r;p;w;d\nbob;other;x\ncarol;r;\n";
        assert_eq!(users.add_csv(text, "r"), Ok(2));
        assert!(users.ha1("alice", Algorithm::Md5) == Some(Ha1::new(Hash::Md5, "alice", "r", "p;w;d")));
        assert!(users.ha1("carol", Algorithm::Sha256) == Some(Ha1::new(Hash::Sha256, "carol", "r", "")));
        assert!(users.ha1("bob", Algorithm::Md5).is_none());
        assert_eq!(users.add_csv("alice;r;p\nalice,r,p\n", "r"), Err(CsvError { line: 2 }));
        assert_eq!(users.add_csv(";r;p\n", "r"), Err(CsvError { line: 1 }));
    }

    #[test]
    fn hashes_serve_their_own_algorithm_only() {
        let mut users = Users::default();
        users.add_hashes("alice", &"0f".repeat(16), "").unwrap();
        assert!(users.ha1("alice", Algorithm::Md5).is_some());
        assert!(users.ha1("alice", Algorithm::Sha256).is_none());
        assert_eq!(users.add_hashes("x", "12", ""), Err(HashError::Md5("x".into())));
        assert_eq!(users.add_hashes("x", "", "12"), Err(HashError::Sha256("x".into())));
    }

    #[test]
    fn secrets_never_reach_a_log() {
        let mut users = Users::default();
        users.add_csv("alice;r;hunter2\n", "r").unwrap();
        let shown = format!("{users:?}");
        assert!(!shown.contains("hunter2"));
        let hash = "0f".repeat(16);
        users.add_hashes("bob", &hash, "").unwrap();
        assert!(!format!("{users:?}").contains(&hash));
    }
}
