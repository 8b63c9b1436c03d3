//! Request validation (RFC 3261 §16.3). The message parser has checked the syntax (step 1); the application
//! authenticates (step 6).

use super::config::Config;
use super::loop_detection::LoopHash;
use crate::header::{Header, MaxBreadth};
use crate::message::{Request, Response};
use crate::method::Method;
use crate::status::StatusCode;
use crate::uri::{Scheme, Uri};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The scheme of the Request-URI is not understood (RFC 3261 §16.3 step 2): 416.
    #[error("unsupported URI scheme")]
    UriScheme,
    /// The Request-URI cannot be read: 400.
    #[error("malformed Request-URI")]
    BadUri,
    /// Max-Forwards is 0 (RFC 3261 §16.3 step 3): 483.
    #[error("too many hops")]
    TooManyHops,
    /// The request was here before (RFC 3261 §16.3 step 4, RFC 5393 §4.2): 482.
    #[error("loop detected")]
    Loop,
    /// Proxy-Require asks for extensions that we do not know (RFC 3261 §16.3 step 5): 420.
    #[error("unsupported Proxy-Require: {0}")]
    Extension(Box<str>),
    /// Max-Breadth is 0 (RFC 5393 §5.3.3): 440.
    #[error("Max-Breadth is exceeded")]
    Breadth,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::UriScheme => StatusCode::UNSUPPORTED_URI_SCHEME,
            Refusal::BadUri => StatusCode::BAD_REQUEST,
            Refusal::TooManyHops => StatusCode::TOO_MANY_HOPS,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
            Refusal::Extension(_) => StatusCode::BAD_EXTENSION,
            Refusal::Breadth => StatusCode::MAX_BREADTH_EXCEEDED,
        }
    }

    /// The answer to a request.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.response(self.status());
        if let Refusal::Extension(tags) = self {
            // The tags stood in a header of the request, so that they can stand in another.
            let _ = response.push_back(Header::Unsupported, tags.as_bytes());
        }
        response
    }
}

/// Checks a request, before anything in it was changed. ACK is never answered: the caller drops what is refused.
pub fn check(config: &Config, request: &Request, hash: LoopHash) -> Result<(), Refusal> {
    check_alone(config, request)?;
    if hash.is_loop(request) { Err(Refusal::Loop) } else { Ok(()) }
}

/// What can be checked without knowing where we stand: all but the loop (RFC 3261 §16.3 steps 2, 3 and 5). An
/// application that refuses requests before it asks the proxy core calls this first, for the order of §16.3.
pub fn check_alone(config: &Config, request: &Request) -> Result<(), Refusal> {
    let uri = Uri::parse(request.uri()).ok_or(Refusal::BadUri)?;
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => {}
        Scheme::Tel if config.tel => {}
        _ => return Err(Refusal::UriScheme),
    }
    if request.max_forwards() == Some(0) {
        return Err(Refusal::TooManyHops);
    }
    if breadth(request).is_some_and(|breadth| breadth == 0) {
        return Err(Refusal::Breadth);
    }
    proxy_require(config, request)
}

/// The Max-Breadth of a request (RFC 5393 §5.3); None if it has none or one that is no number.
pub(super) fn breadth(request: &Request) -> Option<u16> {
    let MaxBreadth(breadth) = request.typed::<MaxBreadth>()?.ok()?;
    Some(breadth.min(u32::from(u16::MAX)) as u16)
}

fn proxy_require(config: &Config, request: &Request) -> Result<(), Refusal> {
    if matches!(request.method(), Method::Ack | Method::Cancel) {
        return Ok(()); // RFC 3261 §8.2.2.3: ignored there
    }
    let mut unknown = String::new();
    for tag in request.values(Header::ProxyRequire).filter_map(|tag| std::str::from_utf8(tag).ok()) {
        if !config.supported.iter().any(|ours| ours.eq_ignore_ascii_case(tag)) {
            if !unknown.is_empty() {
                unknown.push_str(", ");
            }
            unknown.push_str(tag);
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Extension(unknown.into())) }
}
