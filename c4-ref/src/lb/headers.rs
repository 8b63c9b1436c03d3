//! What crosses from outside to the proxies, and what does not.

use std::net::{IpAddr, SocketAddr};

use sip_core::header::Header;
use sip_core::message::{BadValue, Request, Response};

use crate::source::HEADER;

/// Headers by which only a trusted peer may assert an identity (RFC 3325 §5).
const ASSERTED: [Header; 2] = [Header::PAssertedIdentity, Header::RemotePartyId];

macro_rules! sanitize {
    ($name:ident, $message:ty) => {
        /// Takes off what only we or a peer may say, then says where the message came from.
        pub(super) fn $name(message: &mut $message, peer: bool, source: &[u8]) -> Result<(), BadValue> {
            for header in ASSERTED {
                if !peer && message.header(header).is_some() {
                    message.remove(header)?;
                }
            }
            message.set(HEADER, source)
        }
    };
}

sanitize!(sanitize_request, Request);
sanitize!(sanitize_response, Response);

/// Appends an address and port as the standard library shows them; IPv4, which nearly all are, without its formatter.
pub(super) fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    use std::io::Write as _;
    let IpAddr::V4(ip) = address.ip() else {
        _ = write!(out, "{address}");
        return;
    };
    for (n, octet) in ip.octets().into_iter().enumerate() {
        if n > 0 {
            out.push(b'.');
        }
        push_number(out, u16::from(octet));
    }
    out.push(b':');
    push_number(out, address.port());
}

fn push_number(out: &mut Vec<u8>, number: u16) {
    let mut started = false;
    for power in [10_000, 1_000, 100, 10, 1] {
        let digit = (number / power % 10) as u8;
        started |= digit > 0 || power == 1;
        if started {
            out.push(b'0' + digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_looks_as_the_standard_library_shows_it(ip: IpAddr, port: u16) {
            let address = SocketAddr::new(ip, port);
            let mut out = Vec::new();
            push_address(&mut out, address);
            prop_assert_eq!(out, address.to_string().into_bytes());
        }
    }
}
