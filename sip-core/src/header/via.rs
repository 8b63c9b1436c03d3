//! Via (RFC 3261 §20.42, RFC 3581).

use nom::Parser;
use nom::bytes::complete::tag_no_case;
use std::net::{IpAddr, SocketAddr};

use super::grammar::{Step, host, is_token, number, separator, sws, text, token, within};
use super::{Header, HeaderError, Params, TypedHeader};
use crate::Transport;

/// One Via value.
///
/// ```
/// use c4_sip_core::header::{TypedHeader, Via};
/// let via = Via::parse(b"SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK1;rport").unwrap();
/// assert_eq!((via.host, via.port), ("[2001:db8::9]", Some(5070)));
/// assert_eq!(via.branch(), Some("z9hG4bK1"));
/// assert_eq!(via.rport(), Some(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written, `UDP`; a name we do not know is no error (RFC 4475 §3.1.1.10).
    pub transport: &'a str,
    /// The host of sent-by, an IPv6 address with its brackets.
    pub host: &'a str,
    /// The port of sent-by, if one is written.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
    /// Found on the way.
    branch: Option<&'a str>,
}

/// The cookie that a branch of RFC 3261 starts with (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl<'a> Via<'a> {
    /// The transport, if it is one of ours.
    pub fn transport(&self) -> Option<Transport> {
        Transport::from_name(self.transport)
    }

    /// The branch as written; absent in requests of RFC 2543.
    pub fn branch(&self) -> Option<&'a str> {
        self.branch
    }

    /// Whether the branch is one of RFC 3261: the cookie and at least one more octet.
    pub fn has_magic_cookie(&self) -> bool {
        self.unique_branch().is_some()
    }

    /// The branch if it has the magic cookie, and so is unique across all transactions of its sender.
    pub(crate) fn unique_branch(&self) -> Option<&'a str> {
        self.branch().filter(|b| {
            b.len() > MAGIC_COOKIE.len()
                && b.get(..MAGIC_COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// The received parameter as an address; brackets are tolerated (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        parse_ip(self.params.value("received")?)
    }

    /// rport (RFC 3581 §3): None if absent, Some(None) if asked for, Some(Some(port)) if filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|value| value.and_then(|v| v.parse().ok()))
    }

    /// Protocol, transport and sent-by alone.
    #[must_use]
    pub fn without_params(&self) -> Via<'a> {
        Via { params: Params::EMPTY, branch: None, ..*self }
    }

    /// The value with `received` where sent-by differs from the source (RFC 3261 §18.2.1), and with `rport` filled in
    /// and `received` where `rport` is asked for (RFC 3581 §4). What the sender wrote there itself is left out. None:
    /// there is nothing to change.
    pub(crate) fn received_from(&self, source: SocketAddr) -> Option<Vec<u8>> {
        let ip = source.ip().to_canonical();
        let differs = self.host_ip().map(|host| host.to_canonical()) != Some(ip);
        let (mut rport, mut received) = (false, false);
        let mut value = Vec::with_capacity(192);
        self.without_params().write(&mut value);
        for (name, content) in self.params.iter() {
            if name.eq_ignore_ascii_case("received") {
                received = true;
            } else if name.eq_ignore_ascii_case("rport") {
                rport = true;
            } else {
                value.push(b';');
                value.extend_from_slice(name.as_bytes());
                if let Some(content) = content {
                    value.push(b'=');
                    value.extend_from_slice(content.as_bytes());
                }
            }
        }
        if !rport && !received && !differs {
            return None;
        }
        if rport || differs {
            value.extend_from_slice(b";received=");
            super::write_ip(&mut value, ip);
        }
        if rport {
            super::write_number(&mut value, b";rport=", u64::from(source.port()));
        }
        Some(value)
    }

    /// The sent-by host as an address, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        parse_ip(self.host)
    }

    /// The port of sent-by, or the default of the transport (RFC 3261 §18.1.1).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| self.transport().map_or(5060, Transport::default_port))
    }
}

/// An address with or without the brackets of an IPv6 reference.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn via(input: &[u8]) -> Step<'_, (&[u8], &[u8], Option<u16>)> {
    let (rest, _) = protocol(input)?;
    let (rest, transport) = token(rest)?;
    let (rest, blank) = sws(rest)?;
    if blank.is_empty() {
        return Err(nom::Err::Error(()));
    }
    let (rest, host) = host(rest)?;
    let rest = match rest {
        [] | [b';', ..] => return Ok((rest, (transport, host, None))),
        [b':', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => rest,
        _ => match separator(':')(rest) {
            Ok((rest, _)) => rest,
            Err(_) => return Ok((rest, (transport, host, None))),
        },
    };
    let (rest, port) = number(rest, u64::from(u16::MAX))?;
    Ok((rest, (transport, host, Some(port as u16))))
}

/// `SIP/2.0/`, with white space around the slashes or, as nearly always, without.
#[inline]
fn protocol(input: &[u8]) -> Step<'_, ()> {
    if let Some(rest) = input.strip_prefix(b"SIP/2.0/")
        && rest.first().is_some_and(|c| is_token(*c))
    {
        return Ok((rest, ()));
    }
    let (rest, _) = tag_no_case("SIP").parse(input)?;
    let (rest, _) = separator('/')(rest)?;
    let (rest, _) = tag_no_case("2.0").parse(rest)?;
    let (rest, _) = separator('/')(rest)?;
    Ok((rest, ()))
}

impl<'a> TypedHeader<'a> for Via<'a> {
    const NAME: Header = Header::Via;

    fn parse(value: &'a [u8]) -> Result<Via<'a>, HeaderError> {
        let bad = HeaderError { header: Header::Via };
        let whole = text(value).ok_or(bad)?;
        let (rest, (transport, host, port)) = via(value).map_err(|_| bad)?;
        let mut branch = None;
        let params = Params::parse_str(within(whole, rest), |name, value| {
            if branch.is_none() && name.eq_ignore_ascii_case("branch") {
                branch = value;
            }
        });
        let params = params.ok_or(bad)?;
        Ok(Via { transport: within(whole, transport), host: within(whole, host), port, params, branch })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.host.as_bytes());
        if let Some(port) = self.port {
            super::write_number(out, b":", u64::from(port));
        }
        out.extend_from_slice(self.params.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_42_white_space_and_case() {
        let via = Via::parse(b"sip / 2.0 / tcp   first.example.com : 4000;ttl=16\r\n ;Branch=z9hg4bKx").expect("valid");
        assert_eq!(via.transport(), Some(Transport::Tcp));
        assert_eq!(via.port, Some(4000));
        assert!(via.has_magic_cookie());
        assert_eq!(via.host, "first.example.com");
    }

    #[test]
    fn rfc5118_4_5_received_with_and_without_brackets() {
        for value in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let line = format!("SIP/2.0/UDP [2001:db8::9:1];received={value};branch=z9hG4bKas3-111");
            let via = Via::parse(line.as_bytes()).expect("valid");
            assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
        }
    }

    #[test]
    fn rfc4475_3_2_1_the_bare_cookie_is_no_branch() {
        let via = Via::parse(b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK").expect("valid");
        assert!(!via.has_magic_cookie());
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDPhost",
            "SIP/3.0/UDP h",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP h;;,;,,",
            "SIP/2.0/UDP h:5060 x",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn writes_what_it_read() {
        let value = b"SIP/2.0/TLS pc33.example.com:5061;rport=1;received=192.0.2.1;branch=z9hG4bKa";
        let mut out = Vec::new();
        Via::parse(value).expect("valid").write(&mut out);
        assert_eq!(out, value);
    }
}
