//! The core lines, typed (RFC 8866 §5).

mod bandwidth;
mod connection;
mod media;
mod origin;
mod timing;

pub use bandwidth::{Bandwidth, BandwidthKind};
pub use connection::Connection;
pub use media::MediaLine;
pub use origin::Origin;
pub use timing::{RepeatTimes, Timing, ZoneAdjustment};

use crate::BadEdit;

/// The token characters of RFC 8866 §9.
pub(crate) fn is_token(octet: u8) -> bool {
    matches!(octet, 0x21 | 0x23..=0x27 | 0x2A | 0x2B | 0x2D | 0x2E | 0x30..=0x39 | 0x41..=0x5A | 0x5E..=0x7E)
}

/// A field between blanks: neither empty nor broken by blanks or controls.
fn check_field(field: &str) -> Result<(), BadEdit> {
    if field.bytes().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
        return Err(BadEdit::Octet);
    }
    if field.is_empty() || field.bytes().any(|octet| octet <= b' ' || octet == 0x7F) {
        return Err(BadEdit::Token);
    }
    Ok(())
}
