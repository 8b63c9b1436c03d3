//! Headers that are one number: Max-Forwards, Expires, Min-Expires, Min-SE, Content-Length, RSeq, Flow-Timer.

use super::grammar::{decimal, trim};
use super::{Header, HeaderError, TypedHeader, write_number};

macro_rules! numbers {
    ($($name:ident $inner:ty, $max:expr, $source:literal;)*) => {$(
        #[doc = concat!($source, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl<'a> TypedHeader<'a> for $name {
            const NAME: Header = Header::$name;

            fn parse(value: &'a [u8]) -> Result<Self, HeaderError> {
                let number = decimal(trim(value), $max);
                number.map(|n| $name(n as $inner)).ok_or(HeaderError { header: Self::NAME })
            }

            fn write(&self, out: &mut Vec<u8>) {
                write_number(out, b"", self.0 as u64);
            }
        }
    )*};
}

numbers! {
    MaxForwards u8, u64::from(u8::MAX), "Hops left, 0 to 255 (RFC 3261 §20.22)";
    ContentLength usize, u64::from(u32::MAX), "Octets of the body (RFC 3261 §20.14)";
    RSeq u32, u64::from(u32::MAX), "Number of a reliable provisional response (RFC 3262 §7.1)";
    FlowTimer u32, u64::from(u32::MAX), "Seconds between keepalives (RFC 5626 §4.4)";
    MaxBreadth u32, u64::from(u32::MAX), "Parallel branches left (RFC 5393 §5.3)";
}

macro_rules! seconds {
    ($($name:ident $source:literal;)*) => {$(
        #[doc = concat!($source, ", in seconds. More than 2^32-1 is read as 2^32-1 (RFC 4475 §3.1.2.4).")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl<'a> TypedHeader<'a> for $name {
            const NAME: Header = Header::$name;

            fn parse(value: &'a [u8]) -> Result<Self, HeaderError> {
                delta_seconds(trim(value)).map($name).ok_or(HeaderError { header: Self::NAME })
            }

            fn write(&self, out: &mut Vec<u8>) {
                write_number(out, b"", u64::from(self.0));
            }
        }
    )*};
}

seconds! {
    Expires "Lifetime of a registration, subscription or invitation (RFC 3261 §20.19)";
    MinExpires "Shortest lifetime that the server takes (RFC 3261 §20.23)";
}

/// delta-seconds: digits only; beyond 2^32-1 the largest value.
pub(crate) fn delta_seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(decimal(digits, u64::from(u32::MAX)).map_or(u32::MAX, |n| n as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_22_max_forwards_is_0_to_255() {
        assert_eq!(MaxForwards::parse(b" 70 "), Ok(MaxForwards(70)));
        assert!(MaxForwards::parse(b"256").is_err());
        assert!(MaxForwards::parse(b"-1").is_err());
        assert!(MaxForwards::parse(b"").is_err());
    }

    #[test]
    fn rfc4475_3_1_2_4_expires_is_clamped() {
        assert_eq!(Expires::parse(b"10000000000000000000000000"), Ok(Expires(u32::MAX)));
        assert_eq!(Expires::parse(b"3600"), Ok(Expires(3600)));
        assert!(Expires::parse(b"soon").is_err());
    }
}
