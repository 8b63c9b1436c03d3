//! Why a registration was refused, and the answer to it.

use crate::header::Header;
use crate::{Request, Response, StatusCode};

/// Why a registration was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 501: no REGISTER.
    #[error("not a REGISTER")]
    NotRegister,
    /// 420: these option tags of Require are not supported (RFC 3261 §10.3 step 2).
    #[error("unsupported extensions: {0}")]
    Extension(String),
    /// 400: the To is no SIP or SIPS URI (RFC 3261 §10.3 step 5).
    #[error("the To is no address of record")]
    NoAddressOfRecord,
    /// 400: a Contact that cannot be read.
    #[error("malformed Contact")]
    BadContact,
    /// 400: `*` beside another contact, or with an Expires other than 0 (RFC 3261 §10.3 step 6).
    #[error("Contact * needs Expires 0 and no other Contact")]
    BadStar,
    /// 400: a Path that cannot be read.
    #[error("malformed Path")]
    BadPath,
    /// 420: a Path, and a phone that does not say it supports it (RFC 3327 §5.3).
    #[error("Path without support for it")]
    PathUnsupported,
    /// 423: a lifetime below this many seconds (RFC 3261 §10.3 step 7).
    #[error("interval shorter than {0} s")]
    TooBrief(u32),
    /// 500: a CSeq that is not higher than the last one of the same Call-ID (RFC 3261 §10.3 step 7).
    #[error("CSeq out of order")]
    OutOfOrder,
    /// 403: more contacts than an address may have.
    #[error("too many contacts")]
    TooManyContacts,
    /// 403: one contact with more text than a binding may have.
    #[error("contact too long")]
    TooLong,
    /// 503: no room for another address of record.
    #[error("no room for another address")]
    Full,
    /// 503: events wait to be taken.
    #[error("busy")]
    Busy,
}

/// Seconds after which a phone may try again when there was no room.
const RETRY_AFTER: &str = "30";

impl Refusal {
    /// The status to answer with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotRegister => StatusCode::NOT_IMPLEMENTED,
            Self::Extension(_) | Self::PathUnsupported => StatusCode::BAD_EXTENSION,
            Self::NoAddressOfRecord | Self::BadContact | Self::BadStar | Self::BadPath => StatusCode::BAD_REQUEST,
            Self::TooBrief(_) => StatusCode::INTERVAL_TOO_BRIEF,
            Self::OutOfOrder => StatusCode::SERVER_INTERNAL_ERROR,
            Self::TooManyContacts | Self::TooLong => StatusCode::FORBIDDEN,
            Self::Full | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer, without a To tag.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.response(self.status());
        let added = match self {
            Self::Extension(tags) => response.push_back(Header::Unsupported, tags),
            Self::PathUnsupported => response.push_back(Header::Unsupported, "path"),
            Self::TooBrief(seconds) => response.push_back(Header::MinExpires, seconds.to_string()),
            Self::Full | Self::Busy => response.push_back(Header::RetryAfter, RETRY_AFTER),
            Self::NoAddressOfRecord => response.set_status(self.status(), Some("Bad To")),
            Self::BadContact | Self::BadStar => response.set_status(self.status(), Some("Bad Contact")),
            Self::BadPath => response.set_status(self.status(), Some("Bad Path")),
            _ => Ok(()),
        };
        // A tag that cannot be echoed (it came with control characters) is left out.
        _ = added;
        response
    }
}
