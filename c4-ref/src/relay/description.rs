//! What a description says of its media, as far as a call needs it.

use std::net::{IpAddr, SocketAddr};

use sdp::{Direction, Media, MediaLine, Protocol, Session};

use super::media::Codecs;

/// What travels on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Carrier {
    /// RTP and RTCP, plain or SRTP.
    #[default]
    Rtp,
    /// Other datagrams, one port: T.38 over UDPTL, data channels.
    Datagrams,
    /// Nothing that can be relayed here: TCP.
    Stream,
}

/// An `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// `audio`, `video`.
    pub(super) kind: Box<str>,
    /// As written: `RTP/AVP`.
    pub(super) protocol: Box<str>,
    /// What travels on it.
    pub(super) carrier: Carrier,
    /// It is not refused: its port is not 0, and it is no stream.
    pub(super) live: bool,
    /// Where the party wants RTP; `None`: nowhere, the line is refused or held by 0.0.0.0.
    pub(super) rtp: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub(super) rtcp: Option<SocketAddr>,
    /// Its address is an IPv6 one.
    pub(super) is_ipv6: bool,
    /// Its address is 0.0.0.0 or `::`: hold as in RFC 2543.
    pub(super) is_unspecified: bool,
    /// In which direction media flow, seen by the party.
    pub(super) direction: Direction,
    /// `a=rtcp-mux` (RFC 5761).
    pub(super) mux: bool,
    /// `a=ptime`, as written.
    pub(super) ptime: Option<Box<str>>,
    /// It is SRTP.
    pub(super) secured: bool,
    /// Its first codec, `PCMU/8000`.
    pub(super) codec: Option<Box<str>>,
    /// What its payload types mean.
    pub(super) codecs: Codecs,
}

impl Line {
    /// Nothing needs to flow in at least one direction.
    pub(super) fn on_hold(&self) -> bool {
        self.is_unspecified || self.direction != Direction::SendRecv
    }
}

/// Why a description is of no use. The texts are those of rtpengine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Defect {
    /// It is no SDP, or names hosts instead of addresses.
    #[error("Failed to parse SDP")]
    Malformed,
    /// A line has no address.
    #[error("Incomplete SDP specification")]
    NoConnection,
}

/// Reads all lines. `address`: where the media of this party go instead of what the description says.
///
/// # Errors
/// See [`Defect`].
pub(super) fn lines(session: &Session, address: Option<IpAddr>) -> Result<Vec<Line>, Defect> {
    let mut lines = Vec::with_capacity(session.medias().count());
    for media in session.medias() {
        lines.push(line(&media, address)?);
    }
    Ok(lines)
}

fn line(media: &Media<'_>, address: Option<IpAddr>) -> Result<Line, Defect> {
    // Read once; a line that cannot be read is refused.
    let MediaLine { kind, port, protocol, formats, .. } = media.line().unwrap_or(MediaLine {
        kind: "",
        port: 0,
        count: None,
        protocol: Protocol::Other(""),
        formats: "",
    });
    let carrier = carrier(protocol);
    let live = port != 0 && carrier != Carrier::Stream;
    let said = match media.connection() {
        // `::ffff:0.0.0.0` is 0.0.0.0, and an IPv4 address in IPv6 is written by a party that is reached over IPv4.
        Some(connection) => Some(connection.ip().ok_or(Defect::Malformed)?.to_canonical()),
        // A refused line needs none.
        None if live => return Err(Defect::NoConnection),
        None => None,
    };
    let is_unspecified = said.is_some_and(|ip| ip.is_unspecified());
    let mux = carrier == Carrier::Rtp && media.rtcp_mux();
    let ip = said.map(|ip| address.unwrap_or(ip)).filter(|_| live && !is_unspecified);
    let rtp = ip.map(|ip| SocketAddr::new(ip, port));
    let (codec, codecs) = if carrier == Carrier::Rtp { codecs(media, kind, formats) } else { Default::default() };
    Ok(Line {
        kind: kind.into(),
        protocol: protocol.as_str().into(),
        carrier,
        live,
        rtp,
        rtcp: if mux { rtp } else { rtp.and_then(|rtp| rtcp(media, rtp, address.is_some())) },
        is_ipv6: said.is_some_and(|ip| ip.is_ipv6()),
        is_unspecified,
        direction: media.direction(),
        mux,
        ptime: media.attribute("ptime").map(Into::into),
        secured: protocol.is_srtp(),
        codec,
        codecs,
    })
}

fn named(codec: &sdp::attribute::Rtpmap<'_>) -> Box<str> {
    let mut name = format!("{}/{}", codec.encoding, codec.clock_rate);
    if codec.channels() > 1 {
        name.push_str(&format!("/{}", codec.channels()));
    }
    name.into()
}

/// Payload types that are looked up a line: each goes through all attributes, and statistics keep six.
const CODECS: usize = 8;

/// The name of the first codec, and what all payload types mean.
fn codecs(media: &Media<'_>, kind: &str, formats: &str) -> (Option<Box<str>>, Codecs) {
    let is_audio = kind == "audio";
    // Events and comfort noise are no speech.
    let other = |name: &str| name.eq_ignore_ascii_case("telephone-event") || name.eq_ignore_ascii_case("CN");
    let (mut first, mut all) = (None, Codecs::default());
    let numbers = formats.split_ascii_whitespace().filter_map(|format| format.parse().ok().filter(|n: &u8| *n < 128));
    for (at, number) in numbers.take(CODECS).enumerate() {
        if let Some(codec) = media.codec(number) {
            if at == 0 {
                first = Some(named(&codec));
            }
            let speech = Some(codec.encoding).filter(|name| is_audio && !other(name));
            all.add(number, codec.clock_rate, speech);
        }
    }
    (first, all)
}

/// RFC 3605: `a=rtcp`, else the next port (RFC 3550 §11).
fn rtcp(media: &Media<'_>, rtp: SocketAddr, replaced: bool) -> Option<SocketAddr> {
    let Some(attribute) = media.rtcp() else {
        return Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
    };
    let own = attribute.address.and_then(|address| address.ip()).map(|ip| ip.to_canonical());
    let own = own.filter(|ip| !ip.is_unspecified() && !replaced);
    (attribute.port != 0).then(|| SocketAddr::new(own.unwrap_or(rtp.ip()), attribute.port))
}

fn carrier(protocol: Protocol<'_>) -> Carrier {
    match protocol {
        protocol if protocol.is_rtp() => Carrier::Rtp,
        Protocol::Udptl | Protocol::UdpDtlsSctp => Carrier::Datagrams,
        Protocol::Other(name) if name.eq_ignore_ascii_case("udp") => Carrier::Datagrams,
        Protocol::Other(name) if name.to_ascii_uppercase().starts_with("UDP/") => Carrier::Datagrams,
        _ => Carrier::Stream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<Vec<Line>, Defect> {
        lines(&Session::parse(text.into(), &sdp::Limits::default()).unwrap(), None)
    }

    fn head(rest: &str) -> &'static str {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{rest}").leak()
    }

    #[test]
    fn rfc3605_rtcp_is_where_the_attribute_says_else_on_the_next_port() {
        let port = |rest: &str| read(head(rest)).unwrap().remove(0).rtcp;
        let line = "c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
        assert_eq!(port(line), "192.0.2.1:4001".parse().ok());
        assert_eq!(port(&format!("{line}a=rtcp:5555\r\n")), "192.0.2.1:5555".parse().ok());
        assert_eq!(port(&format!("{line}a=rtcp:5555 IN IP4 192.0.2.9\r\n")), "192.0.2.9:5555".parse().ok());
        assert_eq!(port(&format!("{line}a=rtcp:5555\r\na=rtcp-mux\r\n")), "192.0.2.1:4000".parse().ok());
        assert_eq!(port("c=IN IP4 192.0.2.1\r\nm=audio 65535 RTP/AVP 0\r\n"), None);
    }

    #[test]
    fn rfc2543_hold_is_an_address_to_which_nothing_is_sent() {
        let line = read(head("c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n")).unwrap().remove(0);
        assert!(line.live && line.is_unspecified && line.on_hold());
        assert_eq!((line.rtp, line.rtcp), (None, None));
        let line = read(head("c=IN IP6 ::ffff:0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n")).unwrap().remove(0);
        assert!(line.is_unspecified && !line.is_ipv6);
        assert_eq!((line.rtp, line.rtcp), (None, None));
    }

    #[test]
    fn rfc4291_2_5_5_2_a_mapped_address_is_the_ipv4_address_in_it() {
        let text = "c=IN IP6 ::ffff:192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:4005 IN IP6 ::ffff:192.0.2.2\r\n";
        let line = read(head(text)).unwrap().remove(0);
        assert_eq!((line.rtp, line.is_ipv6), ("192.0.2.1:4000".parse().ok(), false));
        assert_eq!(line.rtcp, "192.0.2.2:4005".parse().ok());
    }

    #[test]
    fn refused_lines_and_streams_are_not_live() {
        let lines = read(head(
            "m=audio 0 RTP/AVP 0\r\nm=message 2855 TCP/MSRP *\r\nc=IN IP4 192.0.2.1\r\nm=image 4004 udptl t38\r\nc=IN IP4 192.0.2.1\r\n",
        ))
        .unwrap();
        assert_eq!(lines.iter().map(|line| line.live).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(lines.last().map(|line| line.carrier), Some(Carrier::Datagrams));
    }

    #[test]
    fn an_address_is_needed_and_is_no_name() {
        assert_eq!(read(head("m=audio 4000 RTP/AVP 0\r\n")), Err(Defect::NoConnection));
        assert_eq!(read(head("c=IN IP4 phone.example\r\nm=audio 4000 RTP/AVP 0\r\n")), Err(Defect::Malformed));
    }
}
