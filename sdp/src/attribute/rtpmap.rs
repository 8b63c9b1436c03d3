//! `rtpmap`.

use std::fmt;

use super::{AttributeName, BadAttribute, TypedAttribute};

/// What a payload type means (RFC 8866 §6.6).
///
/// ```
/// use c4_sdp::TypedAttribute;
/// use c4_sdp::attribute::Rtpmap;
/// let map = Rtpmap::parse("111 opus/48000/2").unwrap();
/// assert_eq!((map.encoding, map.clock_rate, map.channels()), ("opus", 48_000, 2));
/// assert!(Rtpmap::parse("19").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// Name of the encoding; its letter case does not count.
    pub encoding: &'a str,
    /// Ticks of the RTP clock a second.
    pub clock_rate: u32,
    /// What stands behind the clock rate: for audio the number of channels.
    pub parameters: Option<&'a str>,
}

impl Rtpmap<'_> {
    /// Channels of audio, 1 if it does not say.
    pub fn channels(&self) -> u8 {
        self.parameters.and_then(|parameters| parameters.parse().ok()).unwrap_or(1)
    }
}

impl<'a> TypedAttribute<'a> for Rtpmap<'a> {
    const NAME: AttributeName = AttributeName::Rtpmap;

    fn parse(value: &'a str) -> Result<Rtpmap<'a>, BadAttribute> {
        parse(value).ok_or(BadAttribute(Self::NAME))
    }
}

fn parse(value: &str) -> Option<Rtpmap<'_>> {
    let (payload_type, rest) = value.split_once(' ')?;
    let payload_type = payload_type.parse().ok().filter(|number| *number < 128)?;
    let mut parts = rest.trim().splitn(3, '/');
    let encoding = parts.next().filter(|name| !name.is_empty() && !name.contains(' '))?;
    let clock_rate = parts.next()?.trim().parse().ok()?;
    Some(Rtpmap { payload_type, encoding, clock_rate, parameters: parts.next() })
}

impl fmt::Display for Rtpmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.encoding, self.clock_rate)?;
        self.parameters.map_or(Ok(()), |parameters| write!(f, "/{parameters}"))
    }
}
