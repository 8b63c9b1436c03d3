//! Transports of media.

/// The protocol of an `m=` line (RFC 8866 §8.2.2 and its registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol<'a> {
    /// `RTP/AVP` (RFC 3551).
    RtpAvp,
    /// `RTP/AVPF`: with feedback (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVP`: SRTP (RFC 3711).
    RtpSavp,
    /// `RTP/SAVPF`: SRTP with feedback (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP`: DTLS-SRTP (RFC 5764).
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF`: DTLS-SRTP with feedback (RFC 5764).
    UdpTlsRtpSavpf,
    /// `udptl`: T.38 fax (ITU-T T.38 annex D).
    Udptl,
    /// `UDP/DTLS/SCTP`: data channels (RFC 8841).
    UdpDtlsSctp,
    /// `TCP/DTLS/SCTP` (RFC 8841).
    TcpDtlsSctp,
    /// `DTLS/SCTP`: data channels before RFC 8841.
    DtlsSctp,
    /// Another one, as written.
    Other(&'a str),
}

const NAMES: [(&str, Protocol<'static>); 10] = [
    ("RTP/AVP", Protocol::RtpAvp),
    ("RTP/AVPF", Protocol::RtpAvpf),
    ("RTP/SAVP", Protocol::RtpSavp),
    ("RTP/SAVPF", Protocol::RtpSavpf),
    ("UDP/TLS/RTP/SAVP", Protocol::UdpTlsRtpSavp),
    ("UDP/TLS/RTP/SAVPF", Protocol::UdpTlsRtpSavpf),
    ("udptl", Protocol::Udptl),
    ("UDP/DTLS/SCTP", Protocol::UdpDtlsSctp),
    ("TCP/DTLS/SCTP", Protocol::TcpDtlsSctp),
    ("DTLS/SCTP", Protocol::DtlsSctp),
];

impl<'a> Protocol<'a> {
    /// The protocol of this name, in any letter case.
    pub fn parse(name: &'a str) -> Protocol<'a> {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map_or(Protocol::Other(name), |(_, protocol)| *protocol)
    }

    /// Its name.
    pub fn as_str(&self) -> &'a str {
        match self {
            Protocol::Other(name) => name,
            known => NAMES.iter().find(|(_, protocol)| protocol == known).map_or("", |(name, _)| name),
        }
    }

    /// Whether RTP runs on it, by any transport.
    pub fn is_rtp(&self) -> bool {
        match self {
            Protocol::Other(name) => name.split('/').any(|part| part.eq_ignore_ascii_case("RTP")),
            known => known.as_str().contains("RTP/"),
        }
    }

    /// Whether media are SRTP.
    pub fn is_srtp(&self) -> bool {
        let profile = self.as_str().rsplit('/').next().unwrap_or_default();
        self.is_rtp() && (profile.eq_ignore_ascii_case("SAVP") || profile.eq_ignore_ascii_case("SAVPF"))
    }

    /// Whether DTLS gives the keys: DTLS-SRTP or SCTP over DTLS.
    pub fn is_dtls(&self) -> bool {
        match self {
            Protocol::Other(name) => name.split('/').any(|part| matches!(part, "TLS" | "DTLS")),
            known => known.as_str().contains("TLS/"),
        }
    }

    /// Whether RTCP feedback may be used at once (RFC 4585).
    pub fn is_feedback(&self) -> bool {
        let profile = self.as_str().rsplit('/').next().unwrap_or_default();
        self.is_rtp() && matches!(profile, "AVPF" | "SAVPF")
    }
}
