//! Why a registration was refused, and the answer to it.

use std::time::Duration;

use super::config::WallClock;
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

/// The Date of an answer (RFC 3261 §20.17): always GMT.
pub(super) fn date(wall: &WallClock, now: std::time::Instant) -> String {
    let unix: Duration = wall.unix_at(now);
    let (days, seconds) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    // Days since 1 March of the year 0, in cycles of 400 years; January and February belong to the year before.
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    let weekday = WEEKDAYS.get(days as usize % 7).unwrap_or(&"");
    let name = MONTHS.get(month as usize).unwrap_or(&"");
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {name} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn rfc3261_20_17_date() {
        let now = std::time::Instant::now();
        let text = |unix| date(&WallClock { at: now, unix: Duration::from_secs(unix) }, now);
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(text(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(text(1_289_692_799), "Sat, 13 Nov 2010 23:59:59 GMT");
        assert_eq!(text(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
