//! A binding: one contact of an address of record, held in one small allocation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::WallClock;
use crate::header::Params;
use crate::{ConnectionId, Flow, Transport};

/// Flags 1, q 2, then the end of each field.
const HEAD: usize = 3 + 2 * FIELDS;
const FIELDS: usize = 7;
const AOR: usize = 0;
const CONTACT: usize = 1;
const PARAMS: usize = 2;
const CALL_ID: usize = 3;
const PATH: usize = 4;
const USER_AGENT: usize = 5;
const FLOW: usize = 6;

const NATED: u8 = 1;
/// No q parameter.
const NO_Q: u16 = u16::MAX;
/// Between Path values; no value holds one.
const BETWEEN: char = '\n';
/// First octet of an exported binding.
const FORMAT: u8 = 1;

/// A contact of an address of record as it stood at one moment. A clone shares its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    pub(super) data: Arc<[u8]>,
    pub(super) cseq: u32,
    pub(super) expires_at: Instant,
    /// Rises with each change in one registrar.
    pub(super) order: u64,
}

/// What a binding is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) aor: &'a str,
    pub(super) contact: &'a str,
    /// The Contact's parameters; q and expires are left out.
    pub(super) params: Params<'a>,
    pub(super) q: Option<u16>,
    pub(super) call_id: &'a str,
    /// Path values joined by [`BETWEEN`].
    pub(super) path: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) flow: Flow,
    pub(super) received: Option<SocketAddr>,
    pub(super) nated: bool,
}

/// Joins Path values in their order (RFC 3327 §5.3). Folds become blanks. `None`: one is no UTF-8.
pub(super) fn join_path<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut joined = Vec::new();
    for value in values {
        if !joined.is_empty() {
            joined.push(BETWEEN as u8);
        }
        let start = joined.len();
        joined.extend_from_slice(value);
        for octet in joined.iter_mut().skip(start).filter(|octet| matches!(octet, b'\r' | b'\n')) {
            *octet = b' ';
        }
    }
    String::from_utf8(joined).ok()
}

impl Parts<'_> {
    /// Writes the data of a binding. `false`: too long for it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.push(if self.nated { NATED } else { 0 });
        out.extend_from_slice(&self.q.unwrap_or(NO_Q).to_le_bytes());
        out.extend_from_slice(&[0; 2 * FIELDS]);
        let mut ends = [0usize; FIELDS];
        for (field, end) in ends.iter_mut().enumerate() {
            match field {
                AOR => out.extend_from_slice(self.aor.as_bytes()),
                CONTACT => out.extend_from_slice(self.contact.as_bytes()),
                PARAMS => write_params(self.params, out),
                CALL_ID => out.extend_from_slice(self.call_id.as_bytes()),
                PATH => out.extend_from_slice(self.path.as_bytes()),
                USER_AGENT => out.extend_from_slice(self.user_agent.as_bytes()),
                _ => write_flow(&self.flow, self.received, out),
            }
            *end = out.len() - HEAD;
        }
        for (to, end) in out.iter_mut().skip(3).zip(ends.iter().flat_map(|end| (*end as u16).to_le_bytes())) {
            *to = end;
        }
        ends.iter().all(|end| *end <= usize::from(u16::MAX))
    }
}

/// The address of record in encoded data, as octets: to compare them needs no check of their UTF-8.
pub(super) fn aor_of(data: &[u8]) -> &[u8] {
    field(data, AOR)
}

/// The Contact URI in encoded data.
pub(super) fn contact_of(data: &[u8]) -> &[u8] {
    field(data, CONTACT)
}

/// The Call-ID in encoded data.
pub(super) fn call_id_of(data: &[u8]) -> &[u8] {
    field(data, CALL_ID)
}

impl Binding {
    /// The canonical address of record.
    pub fn aor(&self) -> &str {
        text(&self.data, AOR)
    }

    /// The Contact URI as the phone wrote it, escapes and parameters included.
    pub fn contact(&self) -> &str {
        text(&self.data, CONTACT)
    }

    /// The Contact's parameters but q and expires, from the first semicolon, as received.
    pub fn params(&self) -> &str {
        text(&self.data, PARAMS)
    }

    /// The preference in thousandths, where one was given; without one it counts as 1000.
    pub fn q(&self) -> Option<u16> {
        let q = self.data.get(1..3).and_then(|q| q.try_into().ok()).map_or(NO_Q, u16::from_le_bytes);
        (q != NO_Q).then_some(q)
    }

    /// The Path values in the order of the request: the Route of a request to this contact (RFC 3327 §5.4).
    pub fn path(&self) -> impl Iterator<Item = &str> {
        text(&self.data, PATH).split(BETWEEN).filter(|value| !value.is_empty())
    }

    /// The Call-ID of the registration.
    pub fn call_id(&self) -> &str {
        text(&self.data, CALL_ID)
    }

    /// The CSeq number of its last request.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }

    /// The phone's User-Agent; empty if it named none.
    pub fn user_agent(&self) -> &str {
        text(&self.data, USER_AGENT)
    }

    /// The flow that the last request came by.
    pub fn flow(&self) -> Option<Flow> {
        read_flow(field(&self.data, FLOW)).map(|(flow, _)| flow)
    }

    /// The phone's own address as the first of our hops saw it, where that is not the flow's.
    pub fn received(&self) -> Option<SocketAddr> {
        read_flow(field(&self.data, FLOW)).and_then(|(_, received)| received)
    }

    /// Whether it is reached over UDP through a NAT.
    pub fn is_nated(&self) -> bool {
        self.data.first().is_some_and(|flags| flags & NATED != 0)
    }

    /// The instance of the phone, `+sip.instance` without its quotes (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<String> {
        Params::parse(self.params().as_bytes())?.unquoted("+sip.instance").map(Into::into)
    }

    /// The number of the flow, `reg-id` (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        Params::parse(self.params().as_bytes())?.value("reg-id")?.parse().ok().filter(|id| *id != 0)
    }

    /// When it ends.
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// Whole seconds left, at least one while it lives. The table counts in milliseconds, rounded up: what is less than
    /// one of them is not promised, or more seconds would be granted than were asked for.
    pub fn expires_in(&self, now: Instant) -> u64 {
        let left = self.expires_at.saturating_duration_since(now);
        if left.is_zero() { 0 } else { (left.as_millis() as u64).div_ceil(1000).max(1) }
    }

    /// Orders the bindings of an address by their last change, the later the greater.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// The Contact value of an answer: URI, q, the seconds left and the other parameters.
    pub(super) fn write_contact(&self, now: Instant, out: &mut Vec<u8>) {
        out.push(b'<');
        out.extend_from_slice(self.contact().as_bytes());
        out.push(b'>');
        if let Some(q) = self.q() {
            out.extend_from_slice(if q >= 1000 { b";q=1" } else { b";q=0" });
            if q % 1000 != 0 {
                let digits = [b'.', b'0' + (q / 100) as u8, b'0' + (q / 10 % 10) as u8, b'0' + (q % 10) as u8];
                out.extend_from_slice(&digits);
                while out.last() == Some(&b'0') {
                    out.pop();
                }
            }
        }
        crate::header::write_number(out, b";expires=", self.expires_in(now));
        out.extend_from_slice(self.params().as_bytes());
    }

    /// A name for it in a store: the same as long as address and contact stay the same.
    pub fn key(&self) -> Vec<u8> {
        [self.aor().as_bytes(), b"\0", self.contact().as_bytes()].concat()
    }

    /// Its form in a store; see [`Binding::import`].
    pub fn export(&self, wall: &WallClock) -> Vec<u8> {
        let unix = wall.unix_at(self.expires_at).as_millis() as u64;
        let mut out = Vec::with_capacity(21 + self.data.len());
        out.push(FORMAT);
        out.extend_from_slice(&unix.to_le_bytes());
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.cseq.to_le_bytes());
        out.extend_from_slice(&self.data);
        out
    }

    /// Reads what [`Binding::export`] wrote, perhaps another process long ago.
    pub fn import(octets: &[u8], wall: &WallClock) -> Result<Self, ImportError> {
        let (format, rest) = octets.split_first().ok_or(ImportError::Corrupt)?;
        if *format != FORMAT {
            return Err(ImportError::Format(*format));
        }
        let (unix, rest) = rest.split_first_chunk().ok_or(ImportError::Corrupt)?;
        let (order, rest) = rest.split_first_chunk().ok_or(ImportError::Corrupt)?;
        let (cseq, data) = rest.split_first_chunk().ok_or(ImportError::Corrupt)?;
        check(data).ok_or(ImportError::Corrupt)?;
        Ok(Self {
            data: data.into(),
            cseq: u32::from_le_bytes(*cseq),
            expires_at: wall.instant_at(Duration::from_millis(u64::from_le_bytes(*unix))),
            order: u64::from_le_bytes(*order),
        })
    }
}

/// Why a stored binding was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Written by a version that we do not know.
    #[error("stored binding has the unknown format {0}")]
    Format(u8),
    /// Not what was written.
    #[error("stored binding is corrupt")]
    Corrupt,
}

/// Whether data can have come from [`Parts::encode`].
fn check(data: &[u8]) -> Option<()> {
    let mut last = 0;
    for number in 0..FIELDS {
        let end = end(data, number)?;
        if end < last {
            return None;
        }
        last = end;
    }
    let texts = data.get(HEAD..HEAD + end(data, USER_AGENT)?)?;
    std::str::from_utf8(texts).ok()?;
    for number in 0..FLOW {
        std::str::from_utf8(field(data, number)).ok()?;
    }
    let aor_and_contact = !field(data, AOR).is_empty() && !field(data, CONTACT).is_empty();
    (aor_and_contact && data.len() == HEAD + last && read_flow(field(data, FLOW)).is_some()).then_some(())
}

fn end(data: &[u8], number: usize) -> Option<usize> {
    let at = 3 + 2 * number;
    let octets = data.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(octets)))
}

fn field(data: &[u8], number: usize) -> &[u8] {
    let start = match number {
        0 => Some(0),
        _ => end(data, number - 1),
    };
    let (Some(start), Some(end)) = (start, end(data, number)) else { return &[] };
    data.get(HEAD + start..HEAD + end).unwrap_or_default()
}

fn text(data: &[u8], number: usize) -> &str {
    std::str::from_utf8(field(data, number)).unwrap_or_default()
}

fn write_params(params: Params<'_>, out: &mut Vec<u8>) {
    for (name, value) in params.iter() {
        if name.eq_ignore_ascii_case("q") || name.eq_ignore_ascii_case("expires") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            out.push(b'=');
            // A fold within a quoted string becomes a blank.
            out.extend(value.bytes().map(|c| if matches!(c, b'\r' | b'\n') { b' ' } else { c }));
        }
    }
}

fn write_flow(flow: &Flow, received: Option<SocketAddr>, out: &mut Vec<u8>) {
    let transport = Transport::ALL.iter().position(|one| *one == flow.transport).unwrap_or(0);
    out.push(transport as u8);
    write_address(flow.local, out);
    write_address(flow.remote, out);
    // Connection 0 is never used.
    out.extend_from_slice(&flow.connection.map_or(0, |id| id.0).to_le_bytes());
    if let Some(received) = received {
        write_address(received, out);
    }
}

fn write_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            out.push(6);
            out.extend_from_slice(&v6.ip().octets());
            out.extend_from_slice(&v6.scope_id().to_le_bytes());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

fn read_flow(octets: &[u8]) -> Option<(Flow, Option<SocketAddr>)> {
    let (transport, rest) = octets.split_first()?;
    let transport = *Transport::ALL.get(usize::from(*transport))?;
    let (local, rest) = read_address(rest)?;
    let (remote, rest) = read_address(rest)?;
    let (connection, rest) = rest.split_first_chunk()?;
    let connection = Some(ConnectionId(u64::from_le_bytes(*connection))).filter(|id| id.0 != 0);
    let received = match rest {
        [] => None,
        rest => Some(read_address(rest)?.0),
    };
    Some((Flow { transport, local, remote, connection }, received))
}

fn read_address(octets: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (family, rest) = octets.split_first()?;
    if *family == 4 {
        let (ip, rest) = rest.split_first_chunk::<4>()?;
        let (port, rest) = rest.split_first_chunk()?;
        let ip = IpAddr::V4(Ipv4Addr::from(*ip));
        return Some((SocketAddr::new(ip, u16::from_le_bytes(*port)), rest));
    }
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let (scope, rest) = rest.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let v6 = SocketAddrV6::new(Ipv6Addr::from(*ip), u16::from_le_bytes(*port), 0, u32::from_le_bytes(*scope));
    Some((v6.into(), rest))
}
