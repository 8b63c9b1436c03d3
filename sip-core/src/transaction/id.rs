//! Names of transactions, connects and transmits: 64 bits, never reused.
//!
//! A name is a serial number (40 bits), the place in the table (22 bits) and a kind (2 bits). At ten thousand
//! transactions a second the serial lasts three years; a name of the past never equals one of the present.

use std::fmt;

/// A client transaction (RFC 3261 §17.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(super) u64);

/// A server transaction (RFC 3261 §17.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub(super) u64);

/// A connection asked for by [`Event::Connect`](super::Event::Connect).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectId(pub(super) u64);

/// What a [`Transmit`](super::Transmit) belongs to. The retransmissions of one message share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransmitId(pub(super) u64);

macro_rules! raw {
    ($($name:ident),*) => {$(
        impl $name {
            /// The number itself, for logs and for tables of the caller.
            pub const fn get(self) -> u64 {
                self.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:x})", stringify!($name), self.0)
            }
        }
    )*};
}
raw!(ClientId, ServerId, ConnectId, TransmitId);

/// Places of the table: 22 bits.
pub(super) const MAX_PLACES: usize = 1 << 22;
const KIND_BITS: u32 = 2;
const PLACE_BITS: u32 = 22;

/// What a raw name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Sent outside of transactions.
    Send = 0,
    Client = 1,
    Server = 2,
    /// The CANCEL of a client transaction; same serial and place as its INVITE.
    Cancel = 3,
}

pub(super) const fn pack(serial: u64, place: u32, kind: Kind) -> u64 {
    (serial << (PLACE_BITS + KIND_BITS)) | ((place as u64) << KIND_BITS) | kind as u64
}

pub(super) const fn place(raw: u64) -> u32 {
    ((raw >> KIND_BITS) & ((1 << PLACE_BITS) - 1)) as u32
}

pub(super) const fn kind(raw: u64) -> Kind {
    match raw & 3 {
        0 => Kind::Send,
        1 => Kind::Client,
        2 => Kind::Server,
        _ => Kind::Cancel,
    }
}

/// The same name with another kind.
pub(super) const fn with_kind(raw: u64, kind: Kind) -> u64 {
    (raw & !3) | kind as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_parts() {
        let raw = pack(77, MAX_PLACES as u32 - 1, Kind::Server);
        assert_eq!((place(raw), kind(raw)), (MAX_PLACES as u32 - 1, Kind::Server));
        let cancel = with_kind(raw, Kind::Cancel);
        assert_eq!((place(cancel), kind(cancel)), (place(raw), Kind::Cancel));
        assert_ne!(pack(78, 5, Kind::Client), pack(77, 5, Kind::Client));
    }
}
