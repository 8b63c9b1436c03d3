//! The alias of a Contact: the flow that a message came by, written into its URI, so that an element without state
//! finds it again in a Request-URI.
//!
//! The form is that of the proxies in the field: `;alias=IP~PORT~N` right behind the host and port, an IPv6 address in
//! brackets, N 1 for UDP, 2 TCP, 3 TLS, 5 WS, 6 WSS. An alias decides where a request goes: whoever takes one from a
//! stranger's Request-URI must screen it like the URI itself.

use std::net::SocketAddr;

use sip_core::Transport;
use sip_core::uri::Uri;

const PARAM: &str = "alias";

/// The URI with an alias for `source`; `None` when it is no SIP URI, or names the source already and needs none.
///
/// ```
/// use c4_nat::contact::{take_alias, with_alias};
/// use sip_core::Transport;
/// let source = "192.0.2.9:40000".parse().unwrap();
/// let aliased = with_alias("sip:bob@10.0.0.7:5060;ob", Transport::Tls, source).unwrap();
/// assert_eq!(aliased, "sip:bob@10.0.0.7:5060;alias=192.0.2.9~40000~3;ob");
/// let (uri, found) = take_alias(&aliased).unwrap();
/// assert_eq!((uri.as_str(), found), ("sip:bob@10.0.0.7:5060;ob", (Transport::Tls, source)));
/// ```
pub fn with_alias(uri: &str, transport: Transport, source: SocketAddr) -> Option<String> {
    let parsed = Uri::parse(uri).filter(|parsed| parsed.scheme.is_sip())?;
    let spoken = parsed.transport().flatten().unwrap_or(Transport::Udp);
    let here = parsed.host.ip().map(|ip| ip.to_canonical()) == Some(source.ip().to_canonical());
    if here && parsed.port.unwrap_or(spoken.default_port()) == source.port() && spoken == transport {
        return None;
    }
    // An alias that is there is another's: it goes, so that only one is left to believe.
    let bare = parsed.has_param(PARAM).then(|| without(uri));
    let uri = bare.as_deref().unwrap_or(uri);
    let at = uri.find('@').map_or(0, |at| at + 1);
    let end = uri.get(at..)?.find([';', '?']).map_or(uri.len(), |end| at + end);
    let (head, tail) = uri.split_at_checked(end)?;
    let number = number(transport);
    Some(match source {
        SocketAddr::V4(v4) => format!("{head};{PARAM}={}~{}~{number}{tail}", v4.ip(), v4.port()),
        SocketAddr::V6(v6) => format!("{head};{PARAM}=[{}]~{}~{number}{tail}", v6.ip(), v6.port()),
    })
}

/// Takes the alias out of a URI: the URI without it, and the flow that it names. `None` if there is none that can be
/// read.
pub fn take_alias(uri: &str) -> Option<(String, (Transport, SocketAddr))> {
    let parsed = Uri::parse(uri).filter(|parsed| parsed.scheme.is_sip())?;
    let mut parts = parsed.param(PARAM)??.split('~');
    let (ip, port, transport) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip).parse().ok()?;
    let transport = Transport::ALL.into_iter().find(|t| number(*t).to_string() == transport)?;
    Some((without(uri), (transport, SocketAddr::new(ip, port))))
}

/// The URI without any alias, else as it is.
fn without(uri: &str) -> String {
    let (main, headers) = uri.find('?').and_then(|at| uri.split_at_checked(at)).unwrap_or((uri, ""));
    let host = main.find('@').map_or(0, |at| at + 1);
    let (user, rest) = main.split_at_checked(host).unwrap_or(("", main));
    let is_alias = |part: &&str| part.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(PARAM));
    let mut parts = rest.split(';');
    let mut out = String::with_capacity(uri.len());
    out.push_str(user);
    out.push_str(parts.next().unwrap_or_default());
    for part in parts.filter(|part| !is_alias(part)) {
        out.push(';');
        out.push_str(part);
    }
    out.push_str(headers);
    out
}

const fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Ws => 5,
        Transport::Wss => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_contact_that_names_its_source_needs_none() {
        let source = "192.0.2.9:5060".parse().unwrap();
        for uri in ["sip:bob@192.0.2.9", "sip:bob@192.0.2.9:5060;transport=udp"] {
            assert_eq!(with_alias(uri, Transport::Udp, source), None, "{uri}");
        }
        assert!(with_alias("sip:bob@192.0.2.9", Transport::Tcp, source).is_some());
        assert!(with_alias("sip:bob@192.0.2.9:5061", Transport::Udp, source).is_some());
        assert_eq!(with_alias("tel:+49123", Transport::Udp, source), None);
    }

    #[test]
    fn an_alias_of_the_sender_does_not_survive() {
        let source = "192.0.2.9:5060".parse().unwrap();
        let lied = "sip:bob@10.0.0.1;alias=203.0.113.66~5060~1;ob";
        let uri = with_alias(lied, Transport::Udp, source).unwrap();
        assert_eq!(uri, "sip:bob@10.0.0.1;alias=192.0.2.9~5060~1;ob");
    }

    #[test]
    fn what_is_no_alias_is_none() {
        for uri in [
            "sip:bob@10.0.0.1",
            "sip:bob@10.0.0.1;alias",
            "sip:bob@10.0.0.1;alias=10.0.0.1",
            "sip:bob@10.0.0.1;alias=10.0.0.1~5060",
            "sip:bob@10.0.0.1;alias=10.0.0.1~5060~4",
            "sip:bob@10.0.0.1;alias=10.0.0.1~5060~1~1",
            "sip:bob@10.0.0.1;alias=host~5060~1",
            "tel:+49;alias=10.0.0.1~5060~1",
        ] {
            assert_eq!(take_alias(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(ip: std::net::IpAddr, port: u16, t in prop::sample::select(Transport::ALL.to_vec())) {
            let source = SocketAddr::new(ip.to_canonical(), port);
            let contact = "sips:bob@phone.invalid:5061;ob;x=y";
            let uri = with_alias(contact, t, source).unwrap();
            prop_assert_eq!(take_alias(&uri), Some((contact.to_owned(), (t, source))));
        }
    }
}
