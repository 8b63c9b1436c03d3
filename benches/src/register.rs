//! A REGISTER with digest: each part alone and the whole, among 20,000 contacts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::auth::{
    Account, Algorithm, Asked, Attempt, Challenger, Client, Ha1, KeyRing, Outcome, Replay, Secret, ServerConfig,
    Subject, UserName,
};
use sip_core::header::Header;
use sip_core::registrar::{Config, Context, Registrar, Registration};
use sip_core::{Checked, Flow, Limits, Message, Request};

/// An operation with its state.
pub type Operation = (&'static str, Box<dyn FnMut() -> usize>);

const UNIX: Duration = Duration::from_secs(1_700_000_000);
const REALM: &str = "biloxi.example.com";
const URI: &str = "sip:biloxi.example.com";
const CONTACTS: usize = 20_000;

/// Their names, without making their state.
pub const NAMES: [&str; 6] = [
    "register/challenge",
    "register/verify-md5",
    "register/verify-sha256",
    "register/refresh",
    "register/refresh+answer",
    "register/whole",
];

/// The operation of that name.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let run: Box<dyn FnMut() -> usize> = match name {
        "register/challenge" => {
            let (mut server, context) = (challenger(), context());
            Box::new(move || server.challenge(UNIX, context.flow.remote.ip(), false).len())
        }
        "register/verify-md5" => verify(Algorithm::Md5)?,
        "register/verify-sha256" => verify(Algorithm::Sha256)?,
        "register/refresh" => {
            let mut table = Table::new();
            Box::new(move || table.refresh(false))
        }
        "register/refresh+answer" => {
            let mut table = Table::new();
            Box::new(move || table.refresh(true))
        }
        _ => whole()?,
    };
    Some((name, run))
}

fn challenger() -> Challenger {
    Challenger::new(ServerConfig::new(REALM), KeyRing::single([7; 32]), [1; 32], UNIX)
}

fn context() -> Context {
    let address = |port| std::net::SocketAddr::from(([10, 0, 0, 1], port));
    Context { flow: Flow::udp(address(5080), address(5060)), nated: false, received: None }
}

fn text(user: usize, cseq: u32, authorization: &str) -> String {
    format!(
        "REGISTER {URI} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{user}x{cseq}\r\nMax-Forwards: 69\r\n\
         From: <sip:user{user}@{REALM}>;tag=456248\r\nTo: <sip:user{user}@{REALM}>\r\n\
         Call-ID: 8438176376842309-{user}@998sdasdh09\r\nCSeq: {cseq} REGISTER\r\nUser-Agent: Phone 5.0.1\r\n\
         Path: <sip:AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@10.0.0.1:5060;lr;transport=udp>\r\n\
         {authorization}Contact: <sip:user{user}@192.0.2.4:5062;ob>;expires=3600\r\nContent-Length: 0\r\n\r\n"
    )
}

fn checked(octets: Bytes) -> Option<Request> {
    match Message::parse(octets, &Limits::default()).ok()?.check().ok()? {
        Checked::Request(request) => Some(request),
        Checked::Response(_) => None,
    }
}

fn request(user: usize, cseq: u32, authorization: &str) -> Option<Request> {
    checked(text(user, cseq, authorization).into())
}

/// Requests of one phone with rising CSeq; the machine takes each once.
const ROUND: u32 = 2048;

/// A registrar with its contacts, and the next requests of one of them.
struct Table {
    registrar: Registrar,
    now: Instant,
    context: Context,
    requests: Vec<Request>,
    next: usize,
}

impl Table {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Self {
        let now = Instant::now();
        let mut registrar = Registrar::new(Config::new([1; 32]), now, UNIX);
        for request in (0..CONTACTS).filter_map(|user| request(user, 1, "")) {
            _ = registrar.register(now, &request, &context());
            registrar.poll_event();
        }
        // Spread over the table, so that the memory of each is cold as it would be.
        let requests = (0..ROUND).filter_map(|n| request(n as usize * 9 % CONTACTS, 2, "")).collect();
        Self { registrar, now, context: context(), requests, next: 0 }
    }

    /// One refresh; the octets of the answer, or the number of bindings if none is made.
    fn refresh(&mut self, answer: bool) -> usize {
        let Some(request) = self.requests.get(self.next) else { return self.rewind() };
        self.next += 1;
        let Ok(registration) = Registration::parse(request) else { return 0 };
        let granted = self.registrar.apply(self.now, &registration, &self.context);
        self.registrar.poll_event();
        match granted {
            Ok(granted) if answer => granted.response(request).to_bytes().len(),
            Ok(granted) => granted.bindings().len(),
            Err(_) => 0,
        }
    }

    /// After each round the requests are made anew, with a higher CSeq; that is one operation in 2048.
    fn rewind(&mut self) -> usize {
        self.next = 0;
        for request in &mut self.requests {
            let cseq = request.cseq().seq + 1;
            let user = request.call_id().split(['-', '@']).nth(1).and_then(|user| user.parse().ok());
            if let Some(next) = user.and_then(|user| self::request(user, cseq, "")) {
                *request = next;
            }
        }
        0
    }
}

fn asked() -> Asked<'static> {
    Asked { peer: "proxy", method: "REGISTER", uri: URI, body: b"" }
}

/// A challenge of one algorithm, answered; and the check of it with a rising count.
fn verify(algorithm: Algorithm) -> Option<Box<dyn FnMut() -> usize>> {
    let mut server = challenger();
    let context = context();
    let source = context.flow.remote.ip();
    let challenges = server.challenge_for(UNIX, source, false, |offered| offered == algorithm);
    let mut client = Client::new([2; 32]);
    client.add(Account::new("proxy", REALM, "user77", "secret"));
    let values = challenges.iter().map(|value| value.as_bytes());
    let answer = client.answer(&mut Attempt::default(), &asked(), values).ok()?;
    let request = request(77, 2, &format!("Authorization: {answer}\r\n"))?;
    let ha1 = Ha1::new(algorithm.hash(), "user77", REALM, "secret");
    let mut replay = Replay::new(65_536, Duration::from_secs(300), UNIX);
    let mut nc = 0;
    Some(Box::new(move || {
        nc += 1;
        let subject = Subject { method: "REGISTER", uri: request.uri(), body: b"", source };
        let Some(credentials) = server.ours(request.headers(Header::Authorization)) else { return 0 };
        match server.check(UNIX, &subject, credentials, |_: UserName<'_>, _| Secret::Ha1(ha1)) {
            Outcome::Ok { proof, .. } => usize::from(replay.commit(UNIX, proof.nonce, nc).is_ok()),
            _ => 0,
        }
    }))
}

/// Octets in, octets out: parse, check, digest (MD5, as most phones), table, answer.
fn whole() -> Option<Box<dyn FnMut() -> usize>> {
    let mut verify = verify(Algorithm::Md5)?;
    let mut table = Table::new();
    let octets = Bytes::from(text(77, 2, ""));
    Some(Box::new(move || {
        let parsed = checked(octets.clone()).map_or(0, |request| request.uri().len());
        parsed + verify() + table.refresh(true)
    }))
}
