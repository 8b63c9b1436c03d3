//! The server: challenges, and the check of what comes back (RFC 7616, RFC 8760, RFC 3261 §22).

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::algorithm::{Algorithm, Qop};
use super::credentials::DigestCredentials;
use super::digest::{Ha1, Inputs, constant_time_eq, response};
use super::digest_uri::UriRule;
use super::hex;
use super::keys::KeyRing;
use super::nonce::{DIGITS, Minter, NonceId};
use super::replay::Replay;

/// What a [`Challenger`] asks for and accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The protection domain; credentials for another one are none of ours.
    pub realm: String,
    /// Algorithms to offer, in any order; the challenges go out strongest first (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// Qualities to offer. Empty: none, so that clients answer in the form of RFC 2069.
    pub qop: Vec<Qop>,
    /// Whether an answer without qop is accepted though qop was offered (RFC 3261 §22.4 item 8). Its nonce then serves once.
    pub allow_no_qop: bool,
    /// How long a nonce is good.
    pub lifetime: Duration,
    /// Whether a nonce serves only the address that it was made for.
    pub bind_source: bool,
    /// How near the digest-uri must be to the Request-URI.
    pub uri_rule: UriRule,
    /// Most nonces in the nc window.
    pub max_nonces: usize,
}

impl ServerConfig {
    /// SHA-256 and MD5, qop auth, nonces of 300 s bound to their source, 65536 of them remembered.
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: vec![Qop::Auth],
            allow_no_qop: false,
            lifetime: Duration::from_secs(300),
            bind_source: true,
            uri_rule: UriRule::default(),
            max_nonces: 65_536,
        }
    }
}

/// What the credentials have to prove right.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The method as it stands in the request line.
    pub method: &'a str,
    /// The Request-URI as received.
    pub uri: &'a str,
    /// The body, for auth-int.
    pub body: &'a [u8],
    /// Where the request came from: the address that the challenge went to.
    pub source: IpAddr,
}

/// What the caller knows about a user.
#[derive(Clone, Debug)]
pub enum Secret {
    /// H(username:realm:password) as stored for the hash of the algorithm asked for.
    Ha1(Ha1),
    /// The password.
    Password(String),
    /// No such user.
    Unknown,
    /// The user is known, but nothing is stored for this algorithm.
    NotForThisAlgorithm,
}

/// The user that a request names.
#[derive(Clone, Copy, Debug)]
pub struct UserName<'a> {
    /// The name, or H(username ":" realm) where `hashed` is set: see [`userhash`](super::userhash).
    pub name: &'a str,
    /// Whether the name is hashed (RFC 7616 §3.4.4).
    pub hashed: bool,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome<'a> {
    /// The user is who he says. After [`Challenger::check`] the proof still has to be committed.
    Ok {
        /// As named in the credentials (hashed if that was so).
        user: Cow<'a, str>,
        /// What to commit.
        proof: Proof,
    },
    /// No credentials for our realm: challenge.
    Missing,
    /// The password is right, the nonce is not (any more): challenge with `stale=true`, and count no failure.
    Stale,
    /// Wrong: challenge again or refuse, and count a failure.
    Bad(BadReason),
    /// No such user. To the peer it should look like `Bad`.
    Unknown,
}

/// Why credentials are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadReason {
    /// The response does not fit: a wrong password.
    Digest,
    /// Malformed: nc, cnonce or qop missing, or not what they should be.
    Malformed,
    /// An algorithm or a quality of protection that was not offered, or none stored for that user.
    NotOffered,
    /// The digest-uri is for something else.
    Uri,
}

/// A nonce and its count, of a request whose digest was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The nonce used.
    pub nonce: NonceId,
    /// Its count.
    pub nc: u32,
}

/// Makes challenges and checks credentials, for one realm.
///
/// It remembers nothing of a challenge (nothing is stored for a source that proved nothing yet). Of a **valid** answer it remembers nonce and
/// count. A caller with several shards gives each a clone made by [`Challenger::shard`] and shares the [`Replay`] tables
/// between them: [`check`](Challenger::check), then [`Replay::commit`] on table `nonce.spread() % tables`; a caller with one uses
/// [`verify`](Challenger::verify).
///
/// Time is the duration since the Unix epoch, given by the caller.
///
/// ```
/// use c4_sip_core::auth::*;
/// use std::{net::IpAddr, time::Duration};
/// let now = Duration::from_secs(1_700_000_000);
/// let source: IpAddr = "192.0.2.1".parse().unwrap();
/// let mut server = Challenger::new(ServerConfig::new("biloxi.com"), KeyRing::single([7; 32]), [1; 32], now);
/// let challenges = server.challenge(now, source, false);
/// assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
///
/// let mut client = Client::new([2; 32]);
/// client.add(Account::new("peer", "biloxi.com", "bob", "zanzibar"));
/// let asked = Asked { peer: "peer", method: "REGISTER", uri: "sip:biloxi.com", body: b"" };
/// let answer = client.answer(&mut Attempt::default(), &asked, challenges.iter().map(|c| c.as_bytes())).unwrap();
///
/// let subject = Subject { method: "REGISTER", uri: "sip:biloxi.com", body: b"", source };
/// let lookup = |_: UserName<'_>, _| Secret::Password("zanzibar".into());
/// let outcome = server.verify(now, &subject, [answer.as_bytes()], lookup);
/// assert!(matches!(outcome, Outcome::Ok { ref user, .. } if user == "bob"));
/// ```
#[derive(Clone)]
pub struct Challenger {
    config: ServerConfig,
    minter: Minter,
    replay: Replay,
    /// For each algorithm what stands before and after the nonce.
    texts: Vec<(Algorithm, String, String)>,
}

impl Challenger {
    /// A challenger with the keys that its nonces are made with. `seed` makes its nonces differ from those of others with
    /// the same keys; `unix` is the present time.
    pub fn new(mut config: ServerConfig, keys: KeyRing, seed: [u8; 32], unix: Duration) -> Self {
        config.algorithms.sort_unstable_by(|a, b| b.cmp(a));
        config.algorithms.dedup();
        let minter = Minter::new(keys, &config.realm, config.lifetime, config.bind_source, &seed);
        let replay = Replay::new(config.max_nonces, config.lifetime, unix);
        let texts = config.algorithms.iter().map(|algorithm| texts(&config, *algorithm)).collect();
        Self { config, minter, replay, texts }
    }

    /// Another one of the same realm and keys, for another shard: its nonces differ from ours.
    #[must_use]
    pub fn shard(&self, seed: [u8; 32], unix: Duration) -> Self {
        Self::new(self.config.clone(), self.minter.keys().clone(), seed, unix)
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.config.realm
    }

    /// The configuration, algorithms strongest first.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Takes new keys; nonces of keys that stay in the ring stay good.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.minter.set_keys(keys);
    }

    /// Header values of WWW-Authenticate or Proxy-Authenticate, one for each algorithm, strongest first (RFC 8760 §2.3).
    pub fn challenge(&mut self, unix: Duration, source: IpAddr, stale: bool) -> Vec<String> {
        self.challenge_for(unix, source, stale, |_| true)
    }

    /// The same for those algorithms only that `wanted` says: for a user who has no secret for the others.
    pub fn challenge_for(
        &mut self,
        unix: Duration,
        source: IpAddr,
        stale: bool,
        wanted: impl Fn(Algorithm) -> bool,
    ) -> Vec<String> {
        let nonce = self.minter.mint(unix, source).unwrap_or([b'0'; DIGITS]);
        let nonce = std::str::from_utf8(&nonce).unwrap_or_default();
        let stale = if stale { ", stale=true" } else { "" };
        let wanted = self.texts.iter().filter(|(algorithm, ..)| wanted(*algorithm));
        wanted.map(|(_, before, after)| [before, nonce, after, stale].concat()).collect()
    }

    /// The credentials for our realm among Authorization or Proxy-Authorization values (one a line). Those for other
    /// realms are for other servers on the path (RFC 3261 §22.3).
    pub fn ours<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Option<DigestCredentials<'a>> {
        values.into_iter().filter_map(DigestCredentials::parse).find(|found| found.realm == self.config.realm)
    }

    /// Checks and commits: for a caller with one challenger. `lookup` is asked at most once.
    pub fn verify<'a>(
        &mut self,
        unix: Duration,
        subject: &Subject<'_>,
        values: impl IntoIterator<Item = &'a [u8]>,
        lookup: impl FnOnce(UserName<'_>, Algorithm) -> Secret,
    ) -> Outcome<'a> {
        let outcome = match self.ours(values) {
            Some(credentials) => self.check(unix, subject, credentials, lookup),
            None => Outcome::Missing,
        };
        match &outcome {
            Outcome::Ok { proof, .. } if self.replay.commit(unix, proof.nonce, proof.nc).is_err() => Outcome::Stale,
            _ => outcome,
        }
    }

    /// Checks credentials of our realm. Nothing is committed: the caller gives the [`Proof`] to its [`Replay`], and takes
    /// [`Replayed`](super::Replayed) as [`Outcome::Stale`].
    ///
    /// The digest is checked even where the nonce is no good, since only that tells an honest client with an old nonce
    /// from one who guesses passwords.
    pub fn check<'a>(
        &self,
        unix: Duration,
        subject: &Subject<'_>,
        credentials: DigestCredentials<'a>,
        lookup: impl FnOnce(UserName<'_>, Algorithm) -> Secret,
    ) -> Outcome<'a> {
        let form = match self.form(&credentials) {
            Ok(form) => form,
            Err(reason) => return Outcome::Bad(reason),
        };
        if !self.config.uri_rule.admits(&credentials.uri, subject.uri) {
            return Outcome::Bad(BadReason::Uri);
        }
        let name = UserName { name: &credentials.username, hashed: credentials.userhash };
        let function = form.algorithm.hash();
        let ha1 = match lookup(name, form.algorithm) {
            Secret::Ha1(ha1) if ha1.hash() == function => ha1,
            // A hashed name is not what A1 is made of, so the caller has to give the HA1 (RFC 7616 §3.4.4).
            Secret::Password(password) if !name.hashed => Ha1::new(function, name.name, &self.config.realm, &password),
            Secret::Unknown => return Outcome::Unknown,
            _ => return Outcome::Bad(BadReason::NotOffered),
        };
        let inputs = Inputs {
            algorithm: form.algorithm,
            method: subject.method,
            uri: &credentials.uri,
            nonce: &credentials.nonce,
            qop: form.qop,
            nc: credentials.nc.unwrap_or_default(),
            cnonce: credentials.cnonce.as_deref().unwrap_or_default(),
            body: subject.body,
        };
        if !same_digits(response(&ha1, &inputs).as_bytes(), credentials.response.as_bytes()) {
            return Outcome::Bad(BadReason::Digest);
        }
        match self.minter.check(unix, subject.source, &credentials.nonce) {
            Ok(nonce) => Outcome::Ok { user: credentials.username, proof: Proof { nonce, nc: form.nc } },
            Err(_) => Outcome::Stale,
        }
    }

    /// Nonces in the nc window.
    pub fn remembered(&self) -> usize {
        self.replay.len()
    }

    fn form(&self, credentials: &DigestCredentials<'_>) -> Result<Form, BadReason> {
        let algorithm = Algorithm::parse(credentials.algorithm.unwrap_or("MD5")).ok_or(BadReason::NotOffered)?;
        if !self.config.algorithms.contains(&algorithm) {
            return Err(BadReason::NotOffered);
        }
        let Some(qop) = credentials.qop.filter(|qop| !qop.is_empty()) else {
            if !self.config.allow_no_qop && !self.config.qop.is_empty() {
                return Err(BadReason::NotOffered);
            }
            if algorithm.is_session() && credentials.cnonce.is_none() {
                return Err(BadReason::Malformed);
            }
            // Without a count a nonce serves once: the count that no client of ours comes to.
            return Ok(Form { algorithm, qop: None, nc: u32::MAX });
        };
        let qop = Qop::parse(qop).filter(|qop| self.config.qop.contains(qop)).ok_or(BadReason::NotOffered)?;
        let nc = credentials.nc.and_then(|nc| hex::decode::<4>(nc.as_bytes())).map(u32::from_be_bytes);
        let nc = nc.filter(|nc| *nc != 0).ok_or(BadReason::Malformed)?;
        if credentials.cnonce.as_ref().is_none_or(|cnonce| cnonce.is_empty()) {
            return Err(BadReason::Malformed);
        }
        Ok(Form { algorithm, qop: Some(qop), nc })
    }
}

impl std::fmt::Debug for Challenger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenger").field("config", &self.config).field("remembered", &self.replay.len()).finish()
    }
}

/// The form of the proof.
struct Form {
    algorithm: Algorithm,
    qop: Option<Qop>,
    nc: u32,
}

/// Lower-case digits against digits as sent; some phones write them in upper case.
fn same_digits(ours: &[u8], sent: &[u8]) -> bool {
    let mut lower = [0; 64];
    match lower.get_mut(..sent.len()) {
        Some(lower) => {
            lower.copy_from_slice(sent);
            lower.make_ascii_lowercase();
            constant_time_eq(ours, lower)
        }
        None => false,
    }
}

fn texts(config: &ServerConfig, algorithm: Algorithm) -> (Algorithm, String, String) {
    let realm = config.realm.replace('\\', "\\\\").replace('"', "\\\"").replace(['\r', '\n', '\0'], "");
    let before = format!("Digest realm=\"{realm}\", nonce=\"");
    let mut after = format!("\", algorithm={algorithm}");
    if !config.qop.is_empty() {
        let offered: Vec<&str> = config.qop.iter().map(|qop| qop.as_str()).collect();
        after.push_str(", qop=\"");
        after.push_str(&offered.join(","));
        after.push('"');
    }
    (algorithm, before, after)
}
