//! Names of attributes.

use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The attributes that this crate knows by name. Others are kept, and found by their text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum AttributeName {
            $($(#[$doc])* $variant,)*
        }

        const ALL: &[(AttributeName, &[u8])] = &[$((AttributeName::$variant, $name),)*];

        impl AttributeName {
            /// The attribute of this name, in the registered letter case.
            #[inline]
            pub fn lookup(name: &[u8]) -> Option<AttributeName> {
                match name {
                    $($name => Some(AttributeName::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// `rtpmap` (RFC 8866 §6.6).
    Rtpmap = b"rtpmap",
    /// `fmtp` (RFC 8866 §6.15).
    Fmtp = b"fmtp",
    /// `ptime` (RFC 8866 §6.4).
    Ptime = b"ptime",
    /// `maxptime` (RFC 8866 §6.5).
    MaxPtime = b"maxptime",
    /// `sendrecv` (RFC 8866 §6.7.2).
    SendRecv = b"sendrecv",
    /// `sendonly` (RFC 8866 §6.7.3).
    SendOnly = b"sendonly",
    /// `recvonly` (RFC 8866 §6.7.1).
    RecvOnly = b"recvonly",
    /// `inactive` (RFC 8866 §6.7.4).
    Inactive = b"inactive",
    /// `rtcp` (RFC 3605).
    Rtcp = b"rtcp",
    /// `rtcp-mux` (RFC 5761).
    RtcpMux = b"rtcp-mux",
    /// `rtcp-mux-only` (RFC 8858).
    RtcpMuxOnly = b"rtcp-mux-only",
    /// `rtcp-rsize` (RFC 5506).
    RtcpRsize = b"rtcp-rsize",
    /// `rtcp-fb` (RFC 4585).
    RtcpFb = b"rtcp-fb",
    /// `rtcp-xr` (RFC 3611).
    RtcpXr = b"rtcp-xr",
    /// `extmap` (RFC 8285).
    Extmap = b"extmap",
    /// `extmap-allow-mixed` (RFC 8285).
    ExtmapAllowMixed = b"extmap-allow-mixed",
    /// `ssrc` (RFC 5576).
    Ssrc = b"ssrc",
    /// `ssrc-group` (RFC 5576).
    SsrcGroup = b"ssrc-group",
    /// `msid` (RFC 8830).
    Msid = b"msid",
    /// `msid-semantic` (RFC 8830).
    MsidSemantic = b"msid-semantic",
    /// `mid` (RFC 5888).
    Mid = b"mid",
    /// `group` (RFC 5888).
    Group = b"group",
    /// `bundle-only` (RFC 9143).
    BundleOnly = b"bundle-only",
    /// `ice-ufrag` (RFC 8839).
    IceUfrag = b"ice-ufrag",
    /// `ice-pwd` (RFC 8839).
    IcePwd = b"ice-pwd",
    /// `ice-options` (RFC 8839).
    IceOptions = b"ice-options",
    /// `ice-lite` (RFC 8839).
    IceLite = b"ice-lite",
    /// `ice-pacing` (RFC 8839).
    IcePacing = b"ice-pacing",
    /// `ice-mismatch` (RFC 8839).
    IceMismatch = b"ice-mismatch",
    /// `candidate` (RFC 8839).
    Candidate = b"candidate",
    /// `remote-candidates` (RFC 8839).
    RemoteCandidates = b"remote-candidates",
    /// `end-of-candidates` (RFC 8840).
    EndOfCandidates = b"end-of-candidates",
    /// `fingerprint` (RFC 8122).
    Fingerprint = b"fingerprint",
    /// `setup` (RFC 4145).
    Setup = b"setup",
    /// `connection` (RFC 4145).
    Connection = b"connection",
    /// `tls-id` (RFC 8842).
    TlsId = b"tls-id",
    /// `identity` (RFC 8827).
    Identity = b"identity",
    /// `crypto` (RFC 4568).
    Crypto = b"crypto",
    /// `rid` (RFC 8851).
    Rid = b"rid",
    /// `simulcast` (RFC 8853).
    Simulcast = b"simulcast",
    /// `sctp-port` (RFC 8841).
    SctpPort = b"sctp-port",
    /// `sctpmap` (the data channels before RFC 8841).
    Sctpmap = b"sctpmap",
    /// `max-message-size` (RFC 8841).
    MaxMessageSize = b"max-message-size",
    /// `imageattr` (RFC 6236).
    ImageAttr = b"imageattr",
    /// `framerate` (RFC 8866 §6.13).
    FrameRate = b"framerate",
    /// `framesize` (3GPP TS 26.234).
    FrameSize = b"framesize",
    /// `label` (RFC 4574).
    Label = b"label",
    /// `content` (RFC 4796).
    Content = b"content",
    /// `key-mgmt` (RFC 4567).
    KeyMgmt = b"key-mgmt",
    /// `zrtp-hash` (RFC 6189).
    ZrtpHash = b"zrtp-hash",
    /// `tool` (RFC 8866 §6.3).
    Tool = b"tool",
    /// `lang` (RFC 8866 §6.12).
    Lang = b"lang",
    /// `charset` (RFC 8866 §6.10).
    Charset = b"charset",
    /// `type` (RFC 8866 §6.9).
    Type = b"type",
    /// `quality` (RFC 8866 §6.14).
    Quality = b"quality",
    /// `orient` (RFC 8866 §6.8).
    Orient = b"orient",
    /// `silenceSupp` (RFC 3108).
    SilenceSupp = b"silenceSupp",
    /// `acap` (RFC 5939).
    Acap = b"acap",
    /// `tcap` (RFC 5939).
    Tcap = b"tcap",
    /// `pcfg` (RFC 5939).
    Pcfg = b"pcfg",
    /// `acfg` (RFC 5939).
    Acfg = b"acfg",
    /// `csup` (RFC 5939).
    Csup = b"csup",
    /// `creq` (RFC 5939).
    Creq = b"creq",
    /// `T38FaxVersion` (ITU-T T.38 annex D).
    T38FaxVersion = b"T38FaxVersion",
    /// `T38MaxBitRate` (ITU-T T.38 annex D).
    T38MaxBitRate = b"T38MaxBitRate",
    /// `T38FaxFillBitRemoval` (ITU-T T.38 annex D).
    T38FaxFillBitRemoval = b"T38FaxFillBitRemoval",
    /// `T38FaxTranscodingMMR` (ITU-T T.38 annex D).
    T38FaxTranscodingMmr = b"T38FaxTranscodingMMR",
    /// `T38FaxTranscodingJBIG` (ITU-T T.38 annex D).
    T38FaxTranscodingJbig = b"T38FaxTranscodingJBIG",
    /// `T38FaxRateManagement` (ITU-T T.38 annex D).
    T38FaxRateManagement = b"T38FaxRateManagement",
    /// `T38FaxMaxBuffer` (ITU-T T.38 annex D).
    T38FaxMaxBuffer = b"T38FaxMaxBuffer",
    /// `T38FaxMaxDatagram` (ITU-T T.38 annex D).
    T38FaxMaxDatagram = b"T38FaxMaxDatagram",
    /// `T38FaxUdpEC` (ITU-T T.38 annex D).
    T38FaxUdpEc = b"T38FaxUdpEC",
    /// `T38FaxMaxIFP` (ITU-T T.38 annex D).
    T38FaxMaxIfp = b"T38FaxMaxIFP",
}

impl AttributeName {
    /// Code of a name that is not known.
    pub(crate) const UNKNOWN: u8 = u8::MAX;

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<AttributeName> {
        ALL.get(usize::from(code)).map(|(known, _)| *known)
    }

    /// The attribute of this name in any letter case, as some peers write them.
    pub(crate) fn lookup_any_case(name: &[u8]) -> Option<AttributeName> {
        ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(known, _)| *known)
    }

    /// Its name in the registered letter case.
    pub fn as_str(self) -> &'static str {
        let name = ALL.get(usize::from(self.code())).map_or(&b""[..], |(_, name)| name);
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name to look for: known or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// One that this crate knows.
    Known(AttributeName),
    /// Another one, as written.
    Other(&'a str),
}

impl<'a> Name<'a> {
    /// Its text.
    pub fn as_str(&self) -> &'a str {
        match self {
            Name::Known(known) => known.as_str(),
            Name::Other(name) => name,
        }
    }

    pub(crate) fn known(&self) -> Option<AttributeName> {
        match self {
            Name::Known(known) => Some(*known),
            Name::Other(_) => None,
        }
    }
}

impl From<AttributeName> for Name<'_> {
    fn from(known: AttributeName) -> Self {
        Name::Known(known)
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(name: &'a str) -> Name<'a> {
        AttributeName::lookup(name.as_bytes()).map_or(Name::Other(name), Name::Known)
    }
}
