//! Credentials and challenges: whatever comes in, the server and the client say something sensible.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sip_core::auth::{
    Account, Algorithm, Asked, Attempt, Challenger, Client, DigestChallenge, DigestCredentials, KeyRing, Outcome, Qop,
    Secret, ServerConfig, Subject,
};

const UNIX: Duration = Duration::from_secs(1_700_000_000);
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REALM: &str = "biloxi.com";

/// One value of Authorization or WWW-Authenticate, or the text of a key file.
///
/// # Panics
/// When a value that was read does not come out of its own writing, or one is accepted that was not made with the password.
pub fn run(data: &[u8]) {
    if let Some(credentials) = DigestCredentials::parse(data) {
        let mut out = Vec::new();
        credentials.write(&mut out);
        assert!(!out.contains(&b'\r') && !out.contains(&b'\n'));
        if data.iter().all(|c| matches!(c, b' '..=b'~')) {
            // What is no token where one belongs is left out; the rest comes back.
            let again = DigestCredentials::parse(&out);
            assert_eq!(again.map(|again| again.username.into_owned()), Some(credentials.username.to_string()));
        }
    }
    if let Some(challenge) = DigestChallenge::parse(data) {
        let mut out = Vec::new();
        challenge.write(&mut out);
        assert!(!out.contains(&b'\r') && !out.contains(&b'\n'));
    }
    check(data);
    answer(data);
    if let Some(ring) = std::str::from_utf8(data).ok().and_then(|text| KeyRing::parse(text).ok()) {
        assert_eq!(KeyRing::parse(&ring.format()), Ok(ring));
    }
}

fn check(data: &[u8]) {
    let mut config = ServerConfig::new(REALM);
    config.algorithms = Algorithm::ALL.to_vec();
    config.qop = vec![Qop::Auth, Qop::AuthInt];
    config.allow_no_qop = true;
    let mut server = Challenger::new(config, KeyRing::single([7; 32]), [1; 32], UNIX);
    let subject = Subject { method: "REGISTER", uri: "sip:biloxi.com", body: b"", source: SOURCE };
    let outcome = server.verify(UNIX, &subject, [data], |_, _| Secret::Password("zanzibar".into()));
    // No input can hold a nonce of this server.
    assert!(!matches!(outcome, Outcome::Ok { .. }));
    assert_eq!(server.remembered(), 0);
}

fn answer(data: &[u8]) {
    let mut client = Client::new([2; 32]);
    client.add(Account::new("proxy", REALM, "bob", "zanzibar"));
    let mut attempt = Attempt::default();
    let asked = Asked { peer: "proxy", method: "REGISTER", uri: "sip:biloxi.com", body: b"" };
    if let Ok(answer) = client.answer(&mut attempt, &asked, [data]) {
        let parsed = DigestCredentials::parse(answer.as_bytes());
        assert_eq!(parsed.map(|parsed| parsed.realm.into_owned()), Some(REALM.to_owned()));
    }
    let stranger = Asked { peer: "stranger", ..asked };
    assert!(client.answer(&mut Attempt::default(), &stranger, [data]).is_err());
}
