//! `X-C4-Source`: what the load balancer tells the proxies about where a request came from.
//!
//! ```text
//! X-C4-Source: tls:192.0.2.1:40000;listener=tls:198.51.100.1:5061;identity="sip.example.com"
//! ```
//! The balancer takes the header off whatever comes from outside and sets its own; the proxy believes it only from the
//! networks of `proxy.trusted`, and never sends it on.

use std::fmt;
use std::net::SocketAddr;

use sip_core::Transport;
use sip_core::header::write_address;
use sip_core::uri::Uri;

use crate::identity::MAX_IDENTITIES;

/// Before each identity, up to its opening quote.
const IDENTITY: &str = ";identity=\"";

/// Name of the header.
pub const HEADER: &str = "X-C4-Source";

/// The peer outside and the listener that it reached.
///
/// ```
/// use c4_ref::source::Source;
/// let text = "udp:192.0.2.1:40000;listener=udp:198.51.100.1:5060";
/// let source = Source::parse(text.as_bytes()).unwrap();
/// assert_eq!(source.remote, "192.0.2.1:40000".parse().unwrap());
/// assert_eq!(source.to_string(), text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How it reached the balancer.
    pub transport: Transport,
    /// Its address and port as seen there.
    pub remote: SocketAddr,
    /// Our address that it reached; the transport is the same.
    pub listener: SocketAddr,
    /// The domains that its TLS certificate proves (RFC 5922 §7.1); none: it showed no certificate that was verified.
    pub identities: Vec<Box<str>>,
}

impl Source {
    /// Reads a header value. `None`: not one that [`write`](Source::write) wrote.
    pub fn parse(value: &[u8]) -> Option<Source> {
        let text = std::str::from_utf8(value).ok()?;
        let (peer, rest) = text.split_once(";listener=")?;
        let (transport, remote) = endpoint(peer)?;
        let (listener, mut rest) = rest.split_at(rest.find(IDENTITY).unwrap_or(rest.len()));
        let (_, listener) = endpoint(listener)?;
        let mut identities = Vec::new();
        while !rest.is_empty() && identities.len() < MAX_IDENTITIES {
            let identity;
            (identity, rest) = unquote(rest.strip_prefix(IDENTITY)?)?;
            identities.push(identity.into());
        }
        Some(Source { transport, remote, listener, identities })
    }

    /// Appends the header value, without the formatting machinery: it is written for every message that goes inside.
    pub fn write(&self, out: &mut Vec<u8>) {
        let transport = self.transport.uri_param().as_bytes();
        let endpoint = |out: &mut Vec<u8>, before: &[u8], address: SocketAddr| {
            out.extend_from_slice(before);
            out.extend_from_slice(transport);
            out.push(b':');
            match address {
                SocketAddr::V4(_) => write_address(out, address),
                // With the scope of a link-local address.
                SocketAddr::V6(_) => out.extend_from_slice(address.to_string().as_bytes()),
            }
        };
        endpoint(out, b"", self.remote);
        endpoint(out, b";listener=", self.listener);
        for identity in self.identities.iter().take(MAX_IDENTITIES) {
            out.extend_from_slice(IDENTITY.as_bytes());
            for c in identity.chars().filter(|c| !c.is_control()) {
                if matches!(c, '"' | '\\') {
                    out.push(b'\\');
                }
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            out.push(b'"');
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// A URI in the logs: without its password, parameters and headers (RFC 3261 §19.1.1 has all of them in it).
#[derive(Debug, Clone, Copy)]
pub struct Named<'a>(pub &'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Uri::parse(self.0) {
            Some(uri) => f.write_str(&uri.aor()),
            None => f.write_str("(no URI)"),
        }
    }
}

fn endpoint(text: &str) -> Option<(Transport, SocketAddr)> {
    let (transport, address) = text.split_once(':')?;
    Some((Transport::from_name(transport)?, address.parse().ok()?))
}

/// What stands before the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((out, chars.as_str())),
            '\\' => out.push(chars.next()?),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(identities: &[&str]) -> Source {
        Source {
            transport: Transport::Tls,
            remote: "[2001:db8::1]:40000".parse().unwrap(),
            listener: "198.51.100.1:5061".parse().unwrap(),
            identities: identities.iter().map(|&identity| identity.into()).collect(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for identities in
            [&[][..], &["phone.example.com"], &[r#"a "b\";identity="#, "b"], &[""], &["x"; MAX_IDENTITIES]]
        {
            let source = source(identities);
            assert_eq!(Source::parse(source.to_string().as_bytes()), Some(source));
        }
    }

    proptest! {
        /// Whatever a header holds, what is read from it is written so that it reads the same.
        #[test]
        fn any_value_is_refused_or_understood(tail in "[;=\"a-z\\\\ identy]{0,60}") {
            let text = format!("tls:192.0.2.1:1;listener=tls:192.0.2.2:2{tail}");
            if let Some(source) = Source::parse(text.as_bytes()) {
                prop_assert!(source.identities.len() <= MAX_IDENTITIES);
                prop_assert_eq!(Source::parse(source.to_string().as_bytes()), Some(source));
            }
        }

        #[test]
        fn any_identities_come_back(names in prop::collection::vec("[^\\p{Cc}]{0,20}", 0..=MAX_IDENTITIES)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let source = source(&names);
            prop_assert_eq!(Source::parse(source.to_string().as_bytes()), Some(source));
        }
    }

    #[test]
    fn no_identity_breaks_out_of_the_line() {
        assert!(!source(&["a\r\nVia: x"]).to_string().contains(['\r', '\n']));
    }

    #[test]
    fn no_password_of_a_uri_is_in_the_logs() {
        assert_eq!(Named("sip:alice:secret@example.com;x=secret?Subject=secret").to_string(), "sip:alice@example.com");
        assert_eq!(Named("<secret").to_string(), "(no URI)");
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for text in [
            "",
            "udp:192.0.2.1",
            "udp:192.0.2.1:5060",
            "udp:192.0.2.1:5060;listener=x",
            "x:1.2.3.4:5;listener=udp:1.2.3.4:5",
        ] {
            assert_eq!(Source::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Source::parse(b"udp:192.0.2.1:5060;listener=udp:192.0.2.2:5060;identity=\"x"), None);
        assert_eq!(Source::parse(b"udp:192.0.2.1:5060;listener=udp:192.0.2.2:5060;identity=\"x\"y"), None);
        assert_eq!(Source::parse(b"\xff"), None);
    }
}
