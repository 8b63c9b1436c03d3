//! Reading and writing the fixed fields of tokens, bounded by type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// At most `N` octets; what does not fit is left out (the callers' `N` is the sum of all their fields).
pub(crate) struct Writer<const N: usize> {
    octets: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) fn new() -> Self {
        Self { octets: [0; N], length: 0 }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn bytes(&mut self, data: &[u8]) {
        if let Some(room) = self.octets.get_mut(self.length..self.length + data.len()) {
            room.copy_from_slice(data);
            self.length += data.len();
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// 4 or 16 octets of address, 2 of port; which it is must be told elsewhere.
    pub(crate) fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.bytes(&address.port().to_be_bytes());
    }
}

/// What is left to read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn address(&mut self, v6: bool) -> Option<SocketAddr> {
        let ip = if v6 {
            Ipv6Addr::from(self.take::<16>()?).into()
        } else {
            IpAddr::from(Ipv4Addr::from(self.take::<4>()?))
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(self.take()?)))
    }
}
