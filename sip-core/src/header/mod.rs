//! Typed headers, one a file, parsed on demand from their span.

mod auth_params;
mod contact;
mod cseq;
mod date;
pub(crate) mod grammar;
mod name;
mod name_addr;
mod numbers;
mod option_tags;
mod params;
mod reason;
mod retry_after;
mod values;
mod via;

pub(crate) use auth_params::each_digest_param;
pub use auth_params::{AuthParams, Challenge, Credentials};
pub use contact::{Contact, parse_q};
pub use cseq::CSeq;
pub(crate) use cseq::parts as cseq_parts;
pub use date::Date;
pub use name::{Header, Name};
pub use name_addr::{
    Diversion, From, HistoryInfo, NameAddr, PAssertedIdentity, PPreferredIdentity, Path, RecordRoute, ReferTo,
    ReferredBy, RemotePartyId, ReplyTo, Route, ServiceRoute, To,
};
pub use numbers::{ContentLength, Expires, FlowTimer, MaxBreadth, MaxForwards, MinExpires, RSeq};
pub use option_tags::option_tag;
pub use params::Params;
pub use reason::Reason;
pub use retry_after::RetryAfter;
pub use values::Values;
pub use via::{MAGIC_COOKIE, Via};

/// A header value that does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {header}")]
pub struct HeaderError {
    /// Which header.
    pub header: Header,
}

/// A header whose values have a grammar of their own. It borrows from the message.
pub trait TypedHeader<'a>: Sized {
    /// The header that it stands in.
    const NAME: Header;

    /// Parses one value, without the commas around it.
    fn parse(value: &'a [u8]) -> Result<Self, HeaderError>;

    /// Appends the value as it is written by us.
    fn write(&self, out: &mut Vec<u8>);

    /// The value as text for a setter; octets that are no UTF-8 are replaced.
    fn to_value(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Appends `before` and the decimal digits of `value`, without allocating.
pub(crate) fn write_number(out: &mut Vec<u8>, before: &[u8], value: u64) {
    let (digits, start) = digits(value);
    out.extend_from_slice(before);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// The decimal digits of `value`, at the end of the array, and where they start.
pub(crate) fn digits(mut value: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    (digits, start)
}

/// Appends an address without brackets; IPv4 without the formatting machinery.
pub(crate) fn write_ip(out: &mut Vec<u8>, ip: std::net::IpAddr) {
    match ip {
        std::net::IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            write_number(out, b"", u64::from(a));
            for octet in [b, c, d] {
                write_number(out, b".", u64::from(octet));
            }
        }
        std::net::IpAddr::V6(ip) => out.extend_from_slice(ip.to_string().as_bytes()),
    }
}

/// Appends an address and its port as sent-by and hostport write them (RFC 3261 §25.1), an IPv6 address in brackets.
///
/// ```
/// use c4_sip_core::header::write_address;
/// let mut out = Vec::new();
/// write_address(&mut out, "192.0.2.1:5060".parse().unwrap());
/// write_address(&mut out, "[2001:db8::1]:5061".parse().unwrap());
/// assert_eq!(out, b"192.0.2.1:5060[2001:db8::1]:5061");
/// ```
pub fn write_address(out: &mut Vec<u8>, address: std::net::SocketAddr) {
    let v6 = address.is_ipv6();
    out.extend_from_slice(if v6 { b"[" } else { b"" });
    write_ip(out, address.ip());
    write_number(out, if v6 { b"]:" } else { b":" }, u64::from(address.port()));
}
