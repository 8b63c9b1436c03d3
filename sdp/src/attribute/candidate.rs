//! `candidate`.

use std::fmt;
use std::net::IpAddr;

use super::ice_ufrag::is_ice_char;
use super::{AttributeName, BadAttribute, TypedAttribute};

/// A transport address that ICE may try (RFC 8839 §5.1).
///
/// ```
/// use c4_sdp::TypedAttribute;
/// use c4_sdp::attribute::Candidate;
/// let text = "1 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 generation 0";
/// let candidate = Candidate::parse(text).unwrap();
/// assert_eq!((candidate.component, candidate.kind, candidate.port), (1, "srflx", 45_664));
/// assert_eq!((candidate.ip(), candidate.related_port), ("192.0.2.3".parse().ok(), Some(8998)));
/// assert_eq!(candidate.extension("generation"), Some("0"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The same for candidates of one kind, base and server: 1 to 32 letters, digits, `+` and `/`.
    pub foundation: &'a str,
    /// 1 for RTP, 2 for RTCP; to 256.
    pub component: u16,
    /// `UDP`, `TCP` (RFC 6544) or another; its letter case does not count.
    pub transport: &'a str,
    /// The higher, the sooner it is tried (RFC 8445 §5.1.2).
    pub priority: u32,
    /// An IP address or a name, such as that of multicast DNS.
    pub address: &'a str,
    /// The port.
    pub port: u16,
    /// `host`, `srflx`, `prflx`, `relay` or another.
    pub kind: &'a str,
    /// The address that it comes from, for diagnosis.
    pub related_address: Option<&'a str>,
    /// The port that it comes from, for diagnosis.
    pub related_port: Option<u16>,
    /// What follows, as written: names and values.
    pub extensions: &'a str,
}

impl<'a> Candidate<'a> {
    /// The address, unless it is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// The value of an extension, such as `tcptype` (RFC 6544) or `ufrag`.
    pub fn extension(&self, name: &str) -> Option<&'a str> {
        let mut words = self.extensions.split_ascii_whitespace();
        while let Some(found) = words.next() {
            let value = words.next()?;
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> TypedAttribute<'a> for Candidate<'a> {
    const NAME: AttributeName = AttributeName::Candidate;

    fn parse(value: &'a str) -> Result<Candidate<'a>, BadAttribute> {
        parse(value).ok_or(BadAttribute(Self::NAME))
    }
}

fn parse(value: &str) -> Option<Candidate<'_>> {
    let mut rest = value;
    let foundation = word(&mut rest)?;
    let component = word(&mut rest)?.parse().ok().filter(|number| (1..=256).contains(number))?;
    let transport = word(&mut rest)?;
    let priority = word(&mut rest)?.parse().ok()?;
    let address = word(&mut rest)?;
    let port = word(&mut rest)?.parse().ok()?;
    word(&mut rest).filter(|word| *word == "typ")?;
    let kind = word(&mut rest)?;
    let related_address = after(&mut rest, "raddr");
    let related_port = match after(&mut rest, "rport") {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    let good = foundation.len() <= 32 && foundation.bytes().all(is_ice_char);
    let extensions = rest.trim();
    good.then_some(Candidate {
        foundation,
        component,
        transport,
        priority,
        address,
        port,
        kind,
        related_address,
        related_port,
        extensions,
    })
}

/// Takes the next word.
fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (word, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
    *rest = after;
    (!word.is_empty()).then_some(word)
}

/// Takes a name and the word behind it, if the name comes next.
fn after<'a>(rest: &mut &'a str, name: &str) -> Option<&'a str> {
    let mut behind = *rest;
    word(&mut behind).filter(|found| *found == name)?;
    let value = word(&mut behind)?;
    *rest = behind;
    Some(value)
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.foundation, self.component, self.transport, self.priority)?;
        write!(f, " {} {} typ {}", self.address, self.port, self.kind)?;
        self.related_address.map_or(Ok(()), |address| write!(f, " raddr {address}"))?;
        self.related_port.map_or(Ok(()), |port| write!(f, " rport {port}"))?;
        if self.extensions.is_empty() { Ok(()) } else { write!(f, " {}", self.extensions) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8839_5_1_written_as_read() {
        for text in [
            "1 1 UDP 2130706431 203.0.113.141 8998 typ host",
            "2 2 udp 1694498814 2001:db8::3 45665 typ srflx raddr 203.0.113.141 rport 8998",
            "1467250027 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0 network-id 1",
            "0 1 UDP 2122252543 6d3ff7b0-a2a0.local 54321 typ host",
            "A+/9 256 UDP 1 192.0.2.7 0 typ any",
        ] {
            assert_eq!(Candidate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rfc6544_4_5_tcptype_and_names() {
        let tcp = Candidate::parse("1 1 TCP 2105458943 a.local 9 typ host tcptype so x tcptype y").unwrap();
        assert_eq!((tcp.extension("tcptype"), tcp.extension("x"), tcp.ip()), (Some("so"), Some("tcptype"), None));
        assert_eq!((tcp.extension("y"), tcp.extension("so")), (None, None), "values are no names");
    }

    #[test]
    fn rfc8839_5_1_malformed() {
        for bad in [
            "",
            "1 1 UDP 1 192.0.2.7 9",
            "1 0 UDP 1 192.0.2.7 9 typ host",
            "1 257 UDP 1 192.0.2.7 9 typ host",
            "1 1 UDP 4294967296 192.0.2.7 9 typ host",
            "1 1 UDP 1 192.0.2.7 65536 typ host",
            "1 1 UDP 1 192.0.2.7 9 type host",
            "1 1 UDP 1 192.0.2.7 9 typ",
            "1 1 UDP 1 192.0.2.7 9 typ srflx raddr 192.0.2.8 rport x",
            "a-b 1 UDP 1 192.0.2.7 9 typ host",
            "123456789012345678901234567890123 1 UDP 1 192.0.2.7 9 typ host",
        ] {
            assert!(Candidate::parse(bad).is_err(), "{bad}");
        }
    }
}
