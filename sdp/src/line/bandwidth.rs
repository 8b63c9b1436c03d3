//! `b=`.

use std::fmt;

/// A bandwidth (RFC 8866 §5.8).
///
/// ```
/// use c4_sdp::{Bandwidth, BandwidthKind};
/// let limit = Bandwidth::parse("TIAS:64000").unwrap();
/// assert_eq!((limit.kind, limit.value), (BandwidthKind::Tias, 64_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth<'a> {
    /// What it bounds.
    pub kind: BandwidthKind<'a>,
    /// kbit/s for AS and CT, bit/s for TIAS, RS and RR.
    pub value: u64,
}

/// What a bandwidth bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BandwidthKind<'a> {
    /// `AS`: one media stream with lower layers, in kbit/s (RFC 8866 §5.8).
    As,
    /// `CT`: the conference, in kbit/s (RFC 8866 §5.8).
    Ct,
    /// `TIAS`: without lower layers, in bit/s (RFC 3890).
    Tias,
    /// `RS`: RTCP of senders, in bit/s (RFC 3556).
    Rs,
    /// `RR`: RTCP of receivers, in bit/s (RFC 3556).
    Rr,
    /// Another one, as written.
    Other(&'a str),
}

impl<'a> Bandwidth<'a> {
    /// Reads the value of a `b=` line; None if it is malformed.
    pub fn parse(value: &'a str) -> Option<Bandwidth<'a>> {
        let (kind, value) = value.split_once(':')?;
        let kind = match kind.trim() {
            "" => return None,
            "AS" => BandwidthKind::As,
            "CT" => BandwidthKind::Ct,
            "TIAS" => BandwidthKind::Tias,
            "RS" => BandwidthKind::Rs,
            "RR" => BandwidthKind::Rr,
            other => BandwidthKind::Other(other),
        };
        Some(Bandwidth { kind, value: value.trim().parse().ok()? })
    }
}

impl fmt::Display for Bandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BandwidthKind::As => "AS",
            BandwidthKind::Ct => "CT",
            BandwidthKind::Tias => "TIAS",
            BandwidthKind::Rs => "RS",
            BandwidthKind::Rr => "RR",
            BandwidthKind::Other(kind) => kind,
        };
        write!(f, "{kind}:{}", self.value)
    }
}
