//! What a datagram on a media port is, by its first octets (RFC 7983 §7, RFC 9443, RFC 5761 §4).

/// The protocol of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// STUN: 0 to 3.
    Stun,
    /// ZRTP: 16 to 19.
    Zrtp,
    /// DTLS: 20 to 63.
    Dtls,
    /// TURN ChannelData: 64 to 79.
    TurnChannel,
    /// RTP or SRTP: 128 to 191.
    Rtp,
    /// RTCP or SRTCP: as RTP, and a second octet of 192 to 223 (RFC 5761 §4).
    Rtcp,
    /// Nothing that belongs on a media port (QUIC's 80 to 127 and 192 to 255 included), or empty.
    Unknown,
}

/// Tells the protocols of one port apart; nothing is validated. Two octets are looked at.
///
/// ```
/// use c4_rtp::demux::{Kind, classify};
/// assert_eq!(classify(&[0x80, 200, 0, 6]), Kind::Rtcp);
/// assert_eq!(classify(&[22, 254, 253]), Kind::Dtls);
/// ```
#[inline]
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        [0..=3, ..] => Kind::Stun,
        [16..=19, ..] => Kind::Zrtp,
        [20..=63, ..] => Kind::Dtls,
        [64..=79, ..] => Kind::TurnChannel,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7983_7_every_first_octet() {
        for first in 0..=255u8 {
            let kind = match first {
                0..=3 => Kind::Stun,
                16..=19 => Kind::Zrtp,
                20..=63 => Kind::Dtls,
                64..=79 => Kind::TurnChannel,
                128..=191 => Kind::Rtp,
                _ => Kind::Unknown,
            };
            assert_eq!(classify(&[first, 0]), kind, "{first}");
        }
        assert_eq!((classify(&[]), classify(&[0x80])), (Kind::Unknown, Kind::Unknown));
    }

    #[test]
    fn rfc5761_4_the_second_octet_tells_rtcp() {
        for second in 0..=255u8 {
            let rtcp = (192..=223).contains(&second);
            assert_eq!(classify(&[0x80, second]), if rtcp { Kind::Rtcp } else { Kind::Rtp }, "{second}");
        }
    }
}
