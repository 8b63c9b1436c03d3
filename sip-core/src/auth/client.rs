//! The client: which challenge is answered, with what (RFC 7616, RFC 8760 §2.4, RFC 3261 §22).

use sha2::{Digest, Sha256};

use super::algorithm::{Algorithm, Qop};
use super::challenge::DigestChallenge;
use super::credentials::DigestCredentials;
use super::digest::{Ha1, Inputs, response};
use super::hex;

/// Answers that one request may carry. A registrar that never says `stale=true` gets a second one for its new nonce, and no
/// more.
const MAX_ANSWERS: u8 = 2;
/// Octets of a cnonce: 64 bits.
const CNONCE_OCTETS: usize = 8;

/// A name and its secret, for one realm at one peer.
///
/// Both must be known beforehand: a challenge of any other realm, or of the same realm by another peer, is never answered. Else
/// whoever gets a request of ours could have a hash of the password (CVE-2021-41158). `Debug` shows no secret.
#[derive(Clone)]
pub struct Account {
    peer: String,
    realm: String,
    username: String,
    secret: AccountSecret,
    /// What the last challenge said, to answer the next request without being asked.
    session: Option<Session>,
}

#[derive(Clone)]
enum AccountSecret {
    Password(String),
    Ha1(Vec<Ha1>),
}

#[derive(Clone)]
struct Session {
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the challenge named the algorithm; if not, the answer does not either.
    algorithm_named: bool,
    qop: Option<Qop>,
    userhash: bool,
    nc: u32,
}

impl Account {
    /// With a password. `peer` is the caller's name for whom the requests go to.
    pub fn new(
        peer: impl Into<String>,
        realm: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self::with(peer.into(), realm.into(), username.into(), AccountSecret::Password(password.into()))
    }

    /// With stored hashes; challenges of other hash functions cannot be answered.
    pub fn with_ha1(
        peer: impl Into<String>,
        realm: impl Into<String>,
        username: impl Into<String>,
        ha1: impl Into<Vec<Ha1>>,
    ) -> Self {
        Self::with(peer.into(), realm.into(), username.into(), AccountSecret::Ha1(ha1.into()))
    }

    fn with(peer: String, realm: String, username: String, secret: AccountSecret) -> Self {
        Self { peer, realm, username, secret, session: None }
    }

    fn ha1(&self, algorithm: Algorithm) -> Option<Ha1> {
        match &self.secret {
            AccountSecret::Password(password) => {
                Some(Ha1::new(algorithm.hash(), &self.username, &self.realm, password))
            }
            AccountSecret::Ha1(stored) => stored.iter().find(|ha1| ha1.hash() == algorithm.hash()).copied(),
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({} at {} of {})", self.username, self.realm, self.peer)
    }
}

/// The request that is to carry the answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whom it goes to, by the name that the [`Account`] has.
    pub peer: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, exactly as it will be sent, port and parameters included.
    pub uri: &'a str,
    /// Its body, for auth-int.
    pub body: &'a [u8],
}

/// How far one request has come with its challenges. Kept by the caller from its first sending to its final answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    answers: u8,
    nonce: String,
}

/// Why a challenge is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// No digest challenge at all, or none that can be read.
    #[error("no digest challenge")]
    NoChallenge,
    /// No account for such a realm at that peer.
    #[error("no account for this realm at this peer")]
    NoAccount,
    /// No algorithm or quality of protection that is known here and has a secret.
    #[error("no algorithm or qop that can be answered")]
    Unsupported,
    /// The same nonce again, not called stale: the secret is wrong.
    #[error("the credentials were refused")]
    Refused,
    /// Answered twice, and still challenged.
    #[error("challenged too often")]
    TooOften,
}

/// Accounts, and the answers made from them.
#[derive(Clone)]
pub struct Client {
    accounts: Vec<Account>,
    seed: [u8; 32],
    made: u64,
}

impl Client {
    /// Without accounts. `seed` makes its cnonces.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { accounts: Vec::new(), seed, made: 0 }
    }

    /// Adds an account, in place of one for the same realm at the same peer.
    pub fn add(&mut self, account: Account) {
        self.accounts.retain(|other| (&other.peer, &other.realm) != (&account.peer, &account.realm));
        self.accounts.push(account);
    }

    /// Answers the WWW-Authenticate or Proxy-Authenticate values of a 401 or 407: the value for Authorization or
    /// Proxy-Authorization. Of several challenges that can be answered it takes the strongest (RFC 8760 §2.4), and of equals
    /// the first.
    pub fn answer<'a>(
        &mut self,
        attempt: &mut Attempt,
        asked: &Asked<'_>,
        challenges: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<String, NoAnswer> {
        let mut why_not = NoAnswer::NoChallenge;
        let mut best: Option<(usize, Session, bool)> = None;
        for challenge in challenges.into_iter().filter_map(DigestChallenge::parse) {
            match self.understand(asked, &challenge) {
                Ok((at, session)) => {
                    if best.as_ref().is_none_or(|(_, other, _)| session.algorithm > other.algorithm) {
                        best = Some((at, session, challenge.stale));
                    }
                }
                Err(reason) => why_not = reason,
            }
        }
        let (at, session, stale) = best.ok_or(why_not)?;
        if !stale && session.nonce == attempt.nonce && !attempt.nonce.is_empty() {
            return Err(NoAnswer::Refused);
        }
        if attempt.answers >= MAX_ANSWERS {
            return Err(NoAnswer::TooOften);
        }
        attempt.answers += 1;
        attempt.nonce.clone_from(&session.nonce);
        self.write(at, session, asked).ok_or(NoAnswer::Unsupported)
    }

    /// Credentials for a request before it is challenged, from the last challenge of that realm at that peer, with the
    /// next nonce count (RFC 7616 §3.6). `None`: never challenged there, or without nonce count.
    pub fn preempt(&mut self, attempt: &mut Attempt, asked: &Asked<'_>, realm: &str) -> Option<String> {
        let at = self.accounts.iter().position(|a| a.peer == asked.peer && a.realm == realm)?;
        let session = self.accounts.get(at)?.session.clone().filter(|session| session.qop.is_some())?;
        // It is no answer yet, but the same nonce without `stale` says that it was refused.
        attempt.nonce.clone_from(&session.nonce);
        self.write(at, session, asked)
    }

    /// Which account answers, and how.
    fn understand(&self, asked: &Asked<'_>, challenge: &DigestChallenge<'_>) -> Result<(usize, Session), NoAnswer> {
        let fits = |account: &Account| account.peer == asked.peer && account.realm == challenge.realm;
        let at = self.accounts.iter().position(fits).ok_or(NoAnswer::NoAccount)?;
        let account = self.accounts.get(at).ok_or(NoAnswer::NoAccount)?;
        let named = challenge.algorithm.filter(|name| !name.is_empty());
        let algorithm = Algorithm::parse(named.unwrap_or("MD5")).ok_or(NoAnswer::Unsupported)?;
        account.ha1(algorithm).ok_or(NoAnswer::Unsupported)?;
        // auth-int only where the server wants nothing less: a proxy on the path may have to touch the body.
        let qop = match challenge.qop {
            Some(list) if !list.trim_ascii().is_empty() => {
                let known = [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| challenge.offers(qop.as_str()));
                Some(known.ok_or(NoAnswer::Unsupported)?)
            }
            _ => None,
        };
        let same = account.session.as_ref().filter(|last| last.nonce == challenge.nonce);
        let session = Session {
            nonce: challenge.nonce.clone().into_owned(),
            opaque: challenge.opaque.clone().map(|opaque| opaque.into_owned()),
            algorithm,
            algorithm_named: named.is_some(),
            qop,
            userhash: challenge.userhash,
            nc: same.map_or(0, |last| last.nc),
        };
        Ok((at, session))
    }

    fn write(&mut self, at: usize, mut session: Session, asked: &Asked<'_>) -> Option<String> {
        let cnonce = self.cnonce();
        let account = self.accounts.get_mut(at)?;
        session.nc = session.nc.checked_add(1)?;
        let ha1 = account.ha1(session.algorithm)?;
        let mut nc = [0; 8];
        hex::encode(&session.nc.to_be_bytes(), &mut nc);
        let (nc, cnonce) = (std::str::from_utf8(&nc).ok()?, std::str::from_utf8(&cnonce).ok()?);
        let inputs = Inputs {
            algorithm: session.algorithm,
            method: asked.method,
            uri: asked.uri,
            nonce: &session.nonce,
            qop: session.qop,
            nc,
            cnonce,
            body: asked.body,
        };
        let proof = response(&ha1, &inputs);
        let counted = session.qop.is_some();
        let username = match session.userhash {
            true => super::userhash(session.algorithm.hash(), &account.username, &account.realm).into(),
            false => account.username.as_str().into(),
        };
        let credentials = DigestCredentials {
            username,
            userhash: session.userhash,
            realm: account.realm.as_str().into(),
            nonce: session.nonce.as_str().into(),
            uri: asked.uri.into(),
            response: proof.as_str(),
            algorithm: session.algorithm_named.then_some(session.algorithm.as_str()),
            cnonce: (counted || session.algorithm.is_session()).then_some(cnonce.into()),
            opaque: session.opaque.as_deref().map(Into::into),
            qop: session.qop.map(Qop::as_str),
            nc: counted.then_some(nc),
        };
        let mut out = Vec::with_capacity(320);
        credentials.write(&mut out);
        account.session = Some(session);
        String::from_utf8(out).ok()
    }

    fn cnonce(&mut self) -> [u8; 2 * CNONCE_OCTETS] {
        self.made += 1;
        let hash = Sha256::new_with_prefix(b"cnonce").chain_update(self.seed).chain_update(self.made.to_be_bytes());
        let mut digits = [0; 2 * CNONCE_OCTETS];
        hex::encode(&hash.finalize(), &mut digits);
        digits
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}
