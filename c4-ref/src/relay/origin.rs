//! The session's own lines, as they are written to one party.

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;

use sdp::{Direction, Session};

use crate::ng::Replace;

/// How the session's lines were last written to a party.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Face {
    /// Digest of the description without its version, and that version.
    written: Option<(u64, u64)>,
    username: Option<Box<str>>,
    session_id: Option<Box<str>>,
    name: Option<Box<str>>,
}

impl Face {
    /// Writes `o=` and `s=` as they are asked for. Last of all edits: the version counts all others.
    pub(super) fn write(&mut self, session: &mut Session, replace: &Replace, address: Option<IpAddr>) {
        if let (true, Some(address)) = (replace.origin || replace.origin_full, address) {
            let _ = session.set_origin_address(address);
        }
        if replace.username || replace.origin_full {
            let theirs = session.origin().map(|origin| Box::from(origin.username));
            if let Some(name) = kept(&mut self.username, theirs) {
                let _ = session.set_origin_username(name);
            }
        }
        if replace.origin_full {
            let theirs = session.origin().map(|origin| Box::from(origin.session_id));
            if let Some(Ok(id)) = kept(&mut self.session_id, theirs).map(str::parse) {
                let _ = session.set_origin_session_id(id);
            }
        }
        if replace.session_name {
            let theirs = session.name().map(Box::from);
            if let Some(name) = kept(&mut self.name, theirs) {
                let _ = session.set_session_name(name);
            }
        }
        if replace.sdp_version || replace.force_increment || replace.origin_full {
            self.count(session, replace.force_increment);
        }
    }

    /// RFC 3264 §8: the version goes up by one with every change, and stays without one.
    fn count(&mut self, session: &mut Session, force: bool) {
        let Some(theirs) = session.origin().and_then(|origin| origin.version()) else { return };
        let _ = session.set_origin_version(0);
        let mut hasher = DefaultHasher::new();
        hasher.write(&session.to_bytes());
        let digest = hasher.finish();
        let version = match self.written {
            None => theirs,
            Some((before, version)) if before == digest && !force => version,
            Some((_, version)) => version.wrapping_add(1),
        };
        self.written = Some((digest, version));
        let _ = session.set_origin_version(version);
    }
}

/// What was written first, if anything; else what stands there now, which is then the first.
fn kept(first: &mut Option<Box<str>>, theirs: Option<Box<str>>) -> Option<&str> {
    if first.is_none() {
        *first = theirs;
    }
    first.as_deref()
}

/// Hold by 0.0.0.0 says no more than that the party does not receive.
pub(super) fn held(direction: Direction) -> Direction {
    direction.and(Direction::SendOnly)
}
