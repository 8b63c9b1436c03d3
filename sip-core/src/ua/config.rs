//! What a user agent is told at construction and with each command.
use crate::flow::Destination;
use crate::method::Method;
use bytes::Bytes;
use std::time::Duration;
use thiserror::Error;

/// Settings of one [`Ua`](super::Ua).
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// Makes tags, Call-IDs and nonces of this agent unguessable; the same seed and inputs give the same bytes.
    pub seed: [u8; 32],
    /// Methods named in Allow (RFC 3261 §20.5). What the agent does not answer by itself comes as
    /// [`Event::Request`](super::Event::Request); any other method gets a 405.
    pub allow: Vec<Method>,
    /// Option tags named in Supported; a Require with another tag gets a 420 (RFC 3261 §8.2.2.3).
    pub supported: Vec<String>,
    /// User-Agent of requests and Server of responses (RFC 3261 §20.35, §20.41).
    pub user_agent: Option<String>,
    /// T1: estimate of the round-trip time (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// T2: longest retransmission interval (RFC 3261 §17.1.2.2).
    pub t2: Duration,
    /// Sessions at a time; more are refused with [`Refused::Busy`], or by 486 when they come from outside.
    pub max_sessions: usize,
    /// Early dialogs, and dialogs by further 2xx, that one INVITE may make.
    pub max_forks: usize,
}

impl Config {
    /// The defaults of RFC 3261 with room for 10 000 sessions and 16 forks each.
    pub fn new(seed: [u8; 32]) -> Config {
        Config {
            seed,
            allow: vec![Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options],
            supported: Vec::new(),
            user_agent: None,
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            max_sessions: 10_000,
            max_forks: 16,
        }
    }
}

/// A message body and its Content-Type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    /// Value of Content-Type.
    pub content_type: String,
    /// The octets.
    pub content: Bytes,
}

/// Header fields and a body that the application adds to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extra {
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Body>,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Request-URI.
    pub uri: String,
    /// From as name-addr, without tag.
    pub from: String,
    /// To as name-addr.
    pub to: String,
    /// Contact as name-addr: where the peer reaches this agent inside the dialog.
    pub contact: String,
    /// The next hop: an outbound proxy, or the resolved address of the Request-URI. A second try with credentials goes
    /// to the same place.
    pub destination: Destination,
    /// Pre-loaded Route values (RFC 3261 §8.1.1.1).
    pub routes: Vec<String>,
    /// Further headers and the offer.
    pub extra: Extra,
    /// Whom the destination is: the peer name of an [`Account`](crate::auth::Account) that answers its challenges, on the
    /// INVITE and on the requests of its dialogs that go the same way. `None`: no challenge is answered.
    pub peer: Option<String>,
}

/// A registration to be kept up (RFC 3261 §10.2).
#[derive(Clone, Debug)]
pub struct Registration {
    /// Request-URI: the domain of the registrar, such as `sip:example.com`.
    pub registrar: String,
    /// Address of record as name-addr, for To and From.
    pub aor: String,
    /// Contact as name-addr, without `expires`.
    pub contact: String,
    /// Lifetime asked for.
    pub expires: Duration,
    /// The next hop.
    pub destination: Destination,
    /// Pre-loaded Route values.
    pub routes: Vec<String>,
    /// Whom the destination is, as in [`Invite::peer`].
    pub peer: Option<String>,
}

/// Why a command was not carried out; nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// No such session, request or registration (any more).
    #[error("gone")]
    Gone,
    /// The session or this agent has no room for it now; try again later.
    #[error("busy")]
    Busy,
    /// Not in this state: a ring after the answer, a re-INVITE before it.
    #[error("not in this state")]
    State,
    /// A header, URI or body cannot be sent.
    #[error("bad value")]
    BadValue,
}
