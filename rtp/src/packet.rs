//! RTP packets (RFC 3550 §5.1): a view over received octets, edits in place, and a header to write.

/// Length of the fixed header in octets.
pub const FIXED: usize = 12;

/// Why octets are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// Shorter than the fixed header.
    #[error("shorter than the fixed header")]
    Short,
    /// Not version 2.
    #[error("version {0}")]
    Version(u8),
    /// The contributing sources do not fit.
    #[error("contributing sources exceed the packet")]
    Csrc,
    /// The header extension does not fit.
    #[error("the extension exceeds the packet")]
    Extension,
    /// P is set, and the count is 0 or exceeds the payload.
    #[error("padding count {0} is not of the payload")]
    Padding(u8),
    /// More than 65535 octets.
    #[error("longer than a datagram")]
    Long,
}

/// The header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// "Defined by profile": 0xbede and 0x100x are those of RFC 8285.
    pub profile: u16,
    /// Its octets without the four of its head.
    pub octets: &'a [u8],
}

/// Where the parts of a checked packet are, without a borrow, for those who change its octets in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// End of the contributing sources; the extension's head, if any, starts here.
    pub csrc_end: u16,
    /// Start of the payload.
    pub payload: u16,
    /// End of the payload; padding follows.
    pub payload_end: u16,
}

impl Layout {
    /// Checks a packet: version, and that sources, extension and padding are inside it.
    ///
    /// # Errors
    /// A [`Defect`] says which part is wrong.
    #[inline]
    pub fn of(octets: &[u8]) -> Result<Self, Defect> {
        let Some((head, _)) = octets.split_first_chunk::<FIXED>() else { return Err(Defect::Short) };
        let first = head[0];
        if first >> 6 != 2 {
            return Err(Defect::Version(first >> 6));
        }
        if octets.len() > usize::from(u16::MAX) {
            return Err(Defect::Long);
        }
        if first & 0x3f == 0 {
            let payload = FIXED as u16;
            return Ok(Self { csrc_end: payload, payload, payload_end: octets.len() as u16 });
        }
        Self::with_options(octets, first)
    }

    /// As [`Layout::of`], but padding is not looked at: that of SRTP is encrypted.
    ///
    /// # Errors
    /// A [`Defect`] says which part is wrong.
    pub fn of_encrypted(octets: &[u8]) -> Result<Self, Defect> {
        match octets.first() {
            Some(first) if first & 0x20 != 0 && first >> 6 == 2 && octets.len() >= FIXED => {
                if octets.len() > usize::from(u16::MAX) {
                    return Err(Defect::Long);
                }
                Self::with_options(octets, first & !0x20)
            }
            _ => Self::of(octets),
        }
    }

    fn with_options(octets: &[u8], first: u8) -> Result<Self, Defect> {
        let csrc_end = FIXED + 4 * usize::from(first & 0x0f);
        if csrc_end > octets.len() {
            return Err(Defect::Csrc);
        }
        let mut payload = csrc_end;
        if first & 0x10 != 0 {
            let head = octets.get(csrc_end..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Defect::Extension)?;
            payload += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
            if payload > octets.len() {
                return Err(Defect::Extension);
            }
        }
        let mut payload_end = octets.len();
        if first & 0x20 != 0 {
            let count = octets.last().copied().unwrap_or(0);
            payload_end = octets
                .len()
                .checked_sub(usize::from(count))
                .filter(|end| count != 0 && *end >= payload)
                .ok_or(Defect::Padding(count))?;
        }
        Ok(Self { csrc_end: csrc_end as u16, payload: payload as u16, payload_end: payload_end as u16 })
    }
}

/// A checked packet.
///
/// ```
/// use c4_rtp::packet::Packet;
/// let packet = Packet::read(&[0x80, 0x88, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xd5]).unwrap();
/// assert!(packet.marker());
/// assert_eq!((packet.payload_type(), packet.sequence(), packet.timestamp(), packet.ssrc()), (8, 1, 2, 3));
/// assert_eq!(packet.payload(), [0xd5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    octets: &'a [u8],
    head: &'a [u8; FIXED],
    layout: Layout,
}

impl<'a> Packet<'a> {
    /// Views octets as a packet.
    ///
    /// # Errors
    /// A [`Defect`] says which part is wrong.
    #[inline]
    pub fn read(octets: &'a [u8]) -> Result<Self, Defect> {
        let layout = Layout::of(octets)?;
        let head = octets.first_chunk().ok_or(Defect::Short)?;
        Ok(Self { octets, head, layout })
    }

    /// The marker bit.
    #[inline]
    pub fn marker(&self) -> bool {
        self.head[1] & 0x80 != 0
    }

    /// The payload type, 0 to 127.
    #[inline]
    pub fn payload_type(&self) -> u8 {
        self.head[1] & 0x7f
    }

    /// The sequence number.
    #[inline]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.head[2], self.head[3]])
    }

    /// The timestamp in units of the payload's clock.
    #[inline]
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.head[4], self.head[5], self.head[6], self.head[7]])
    }

    /// The synchronisation source.
    #[inline]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.head[8], self.head[9], self.head[10], self.head[11]])
    }

    /// The contributing sources, at most 15.
    pub fn csrc(&self) -> impl Iterator<Item = u32> + use<'a> {
        let list = self.octets.get(FIXED..usize::from(self.layout.csrc_end)).unwrap_or_default();
        list.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets))
    }

    /// The header extension.
    pub fn extension(&self) -> Option<Extension<'a>> {
        let part = self.octets.get(usize::from(self.layout.csrc_end)..usize::from(self.layout.payload))?;
        let (head, octets) = part.split_first_chunk::<4>()?;
        Some(Extension { profile: u16::from_be_bytes([head[0], head[1]]), octets })
    }

    /// The payload without padding.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.octets.get(usize::from(self.layout.payload)..usize::from(self.layout.payload_end)).unwrap_or_default()
    }

    /// Octets of padding, 0 to 255.
    pub fn padding(&self) -> usize {
        self.octets.len() - usize::from(self.layout.payload_end)
    }

    /// Where its parts are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// All its octets.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }
}

/// A packet to edit in place; its length stays.
#[derive(Debug)]
pub struct PacketMut<'a> {
    octets: &'a mut [u8],
    layout: Layout,
}

impl<'a> PacketMut<'a> {
    /// Views octets as a packet to edit.
    ///
    /// # Errors
    /// A [`Defect`] says which part is wrong.
    pub fn read(octets: &'a mut [u8]) -> Result<Self, Defect> {
        let layout = Layout::of(octets)?;
        Ok(Self { octets, layout })
    }

    fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        if let Some(place) = self.octets.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            *place = value;
        }
    }

    fn second(&mut self, keep: u8, value: u8) {
        if let Some(octet) = self.octets.get_mut(1) {
            *octet = *octet & keep | value;
        }
    }

    /// Sets or clears the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        self.second(0x7f, u8::from(marker) << 7);
    }

    /// Sets the payload type; its highest bit is ignored.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.second(0x80, payload_type & 0x7f);
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: u16) {
        self.put(2, sequence.to_be_bytes());
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.put(4, timestamp.to_be_bytes());
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.put(8, ssrc.to_be_bytes());
    }

    /// The payload without padding.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(usize::from(self.layout.payload)..usize::from(self.layout.payload_end)).unwrap_or_default()
    }

    /// The packet to read.
    pub fn as_packet(&self) -> Option<Packet<'_>> {
        Some(Packet { octets: self.octets, head: self.octets.first_chunk()?, layout: self.layout })
    }
}

/// The fields of a packet to build, without sources, extension or padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp in units of the payload's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// The fixed header; the payload goes behind it.
    pub fn to_octets(&self) -> [u8; FIXED] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        [0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

#[cfg(test)]
mod tests;
