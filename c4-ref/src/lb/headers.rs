//! What crosses from outside to the proxies, and what does not.

use sip_core::header::Header;
use sip_core::message::{BadValue, Request, Response};

use crate::source::{HEADER, Source};

/// Headers by which only a trusted peer may assert an identity (RFC 3325 §5).
const ASSERTED: [Header; 2] = [Header::PAssertedIdentity, Header::RemotePartyId];

macro_rules! sanitize {
    ($name:ident, $message:ty) => {
        /// Takes off what only we or a peer may say, then says where the message came from.
        pub(super) fn $name(
            message: &mut $message,
            peer: bool,
            source: &Source,
            out: &mut Vec<u8>,
        ) -> Result<(), BadValue> {
            if !peer {
                for header in ASSERTED {
                    message.remove(header)?;
                }
            }
            out.clear();
            source.write(out);
            message.set(HEADER, &out)
        }
    };
}

sanitize!(sanitize_request, Request);
sanitize!(sanitize_response, Response);
