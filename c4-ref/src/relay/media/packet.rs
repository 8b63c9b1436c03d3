//! The buffer that a datagram is received into and sent from.

/// A datagram with room before and behind it, so that a header or a tag can be put on without moving it.
///
/// One is made a worker and used for every packet.
#[derive(Debug)]
pub struct Packet {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Packet {
    /// Room before the payload, octets: a ChannelData header (RFC 8656 §12.4) or a Send indication around it.
    pub const HEADROOM: usize = 64;
    /// Room behind the payload, octets: an SRTP or SRTCP tag with its index and key identifier (RFC 3711 §3.1).
    pub const TAILROOM: usize = 64;
    /// The longest UDP payload, octets.
    pub const LONGEST: usize = 65_535;

    /// An empty packet.
    pub fn new() -> Packet {
        let length = Packet::HEADROOM + Packet::LONGEST + Packet::TAILROOM;
        Packet { buffer: vec![0; length].into_boxed_slice(), start: Packet::HEADROOM, end: Packet::HEADROOM }
    }

    /// Where a datagram is received into; [`Packet::received`] says how long it was.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(Packet::HEADROOM..Packet::HEADROOM + Packet::LONGEST).unwrap_or_default()
    }

    /// The first `length` octets of [`Packet::space`] are the payload now; at most [`Packet::LONGEST`].
    pub fn received(&mut self, length: usize) {
        self.start = Packet::HEADROOM;
        self.end = Packet::HEADROOM + length.min(Packet::LONGEST);
    }

    /// Takes a copy of `payload`, cut at [`Packet::LONGEST`].
    pub fn fill(&mut self, payload: &[u8]) {
        let length = payload.len().min(Packet::LONGEST);
        if let (Some(to), Some(from)) = (self.space().get_mut(..length), payload.get(..length)) {
            to.copy_from_slice(from);
        }
        self.received(length);
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

impl Default for Packet {
    fn default() -> Self {
        Packet::new()
    }
}
