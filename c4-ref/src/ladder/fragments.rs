//! IP packets in parts (RFC 791 §3.2, RFC 8200 §4.5): a large INVITE over UDP comes so.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::packet::Part;

/// Packets that wait for parts; the oldest gives way.
const OPEN: usize = 64;
/// Octets of a packet (its length has 16 bits).
const LONGEST: usize = 65_535;

/// What the parts of a packet have in common: source, destination, identification, protocol.
type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Debug)]
struct Packet {
    key: Key,
    /// Octets by their place.
    parts: BTreeMap<usize, Vec<u8>>,
    octets: usize,
    /// Its length, once its last part is there.
    length: Option<usize>,
}

/// Packets that are put together.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    open: VecDeque<Packet>,
    /// Parts that have not become a packet.
    pub(super) left: u64,
}

impl Fragments {
    /// A part came; the payload of its packet, if that is whole now.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Option<Vec<u8>> {
        self.left += 1;
        let key = (part.from, part.to, part.id, part.protocol);
        let at = self.open.iter().position(|packet| packet.key == key).unwrap_or_else(|| {
            if self.open.len() >= OPEN {
                self.open.pop_front();
            }
            self.open.push_back(Packet { key, parts: BTreeMap::new(), octets: 0, length: None });
            self.open.len() - 1
        });
        let packet = self.open.get_mut(at)?;
        if !packet.add(part) {
            // RFC 5722 §3: parts that overlap make no packet.
            self.open.remove(at);
            return None;
        }
        if packet.length != Some(packet.octets) {
            return None;
        }
        let packet = self.open.remove(at)?;
        self.left = self.left.saturating_sub(packet.parts.len() as u64);
        Some(packet.parts.into_values().flatten().collect())
    }
}

impl Packet {
    /// `false`: it contradicts those before it. A part that comes twice does not.
    fn add(&mut self, part: &Part<'_>) -> bool {
        let (start, end) = (part.offset, part.offset + part.octets.len());
        if self.parts.get(&start).is_some_and(|known| known == part.octets) {
            return true;
        }
        let before = self.parts.range(..start).next_back().map_or(0, |(at, octets)| at + octets.len());
        let after = self.parts.range(start..).next().map_or(usize::MAX, |(at, _)| *at);
        let length = if part.more { self.length } else { Some(end) };
        let fits = before <= start && end <= after && end <= length.unwrap_or(LONGEST);
        if !fits || part.octets.is_empty() || (self.length.is_some() && !part.more) {
            return false;
        }
        self.parts.insert(start, part.octets.to_vec());
        self.octets += part.octets.len();
        self.length = length;
        length.is_none_or(|length| self.parts.last_key_value().is_none_or(|(at, octets)| at + octets.len() <= length))
    }
}
