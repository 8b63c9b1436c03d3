//! `X-C4-Source`: what the load balancer tells the proxies about where a request came from.
//!
//! ```text
//! X-C4-Source: tls:192.0.2.1:40000;listener=tls:198.51.100.1:5061;identity="phone.example.com"
//! ```
//! The balancer takes the header off whatever comes from outside and sets its own; the proxy believes it only from the
//! networks of `proxy.trusted`, and never sends it on.

use std::fmt;
use std::net::SocketAddr;

use sip_core::Transport;

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
    /// The name in its TLS certificate, when it showed one that was verified.
    pub identity: Option<String>,
}

impl Source {
    /// Reads a header value. `None`: not one that [`fmt::Display`] wrote.
    pub fn parse(value: &[u8]) -> Option<Source> {
        let text = std::str::from_utf8(value).ok()?;
        let (peer, rest) = text.split_once(";listener=")?;
        let (transport, remote) = endpoint(peer)?;
        let (listener, identity) = match rest.split_once(";identity=") {
            Some((listener, quoted)) => (listener, Some(unquote(quoted)?)),
            None => (rest, None),
        };
        let (_, listener) = endpoint(listener)?;
        Some(Source { transport, remote, listener, identity })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = self.transport.uri_param();
        write!(f, "{transport}:{};listener={transport}:{}", self.remote, self.listener)?;
        let Some(identity) = &self.identity else { return Ok(()) };
        f.write_str(";identity=\"")?;
        for c in identity.chars().filter(|c| !c.is_control()) {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

fn endpoint(text: &str) -> Option<(Transport, SocketAddr)> {
    let (transport, address) = text.split_once(':')?;
    Some((Transport::from_name(transport)?, address.parse().ok()?))
}

fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => out.push(chars.next()?),
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(identity: Option<&str>) -> Source {
        Source {
            transport: Transport::Tls,
            remote: "[2001:db8::1]:40000".parse().unwrap(),
            listener: "198.51.100.1:5061".parse().unwrap(),
            identity: identity.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for identity in [None, Some("phone.example.com"), Some(r#"a "b\";identity="#), Some("")] {
            let source = source(identity);
            assert_eq!(Source::parse(source.to_string().as_bytes()), Some(source));
        }
    }

    #[test]
    fn no_identity_breaks_out_of_the_line() {
        assert!(!source(Some("a\r\nVia: x")).to_string().contains(['\r', '\n']));
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
        assert_eq!(Source::parse(b"\xff"), None);
    }
}
