//! A REGISTER request, read before any table is touched (RFC 3261 §10.3 steps 2 to 6).

use smallvec::SmallVec;

use super::binding::join_path;
use super::refusal::Refusal;
use crate::header::{Expires, Header, NameAddr, Params, option_tag, parse_q};
use crate::uri::Uri;
use crate::{Method, Request};

/// Most Contact values of one request.
const MAX_CONTACTS: usize = 64;
/// What a lifetime that is no number is read as (RFC 3261 §10.2.1.1).
const MALFORMED_EXPIRES: u32 = 3600;

/// What a REGISTER asks for. It borrows from the request, and is made without a registrar: a caller that shares out its
/// addresses among several takes [`aor`](Registration::aor) to choose one, and locks it only for
/// [`Registrar::apply`](super::Registrar::apply).
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    pub(super) aor: String,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
    pub(super) wish: Wish<'a>,
    /// Joined values.
    pub(super) path: String,
    pub(super) supports_path: bool,
    pub(super) user_agent: &'a str,
}

/// What is to be done. On the stack for the moment of one request; a box would cost each one an allocation.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "see above")]
pub(super) enum Wish<'a> {
    /// No Contact: only the list is asked for (RFC 3261 §10.2.3).
    Query,
    /// `Contact: *` (RFC 3261 §10.2.2).
    RemoveAll,
    /// These contacts.
    Update(SmallVec<[Wanted<'a>; 2]>),
}

/// One contact of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) contact: &'a str,
    pub(super) uri: Uri<'a>,
    pub(super) params: Params<'a>,
    pub(super) q: Option<u16>,
    /// `None`: the registrar's default.
    pub(super) expires: Option<u32>,
}

impl Wanted<'_> {
    /// Whether this is the contact of a binding (RFC 3261 §10.3 step 7, §19.1.4).
    pub(super) fn is(&self, contact: &[u8]) -> bool {
        let other = || Uri::parse(std::str::from_utf8(contact).ok()?);
        self.contact.as_bytes() == contact || other().is_some_and(|other| self.uri.equivalent(&other))
    }
}

impl<'a> Registration<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// What the request is to be answered with: see [`Refusal::response`].
    pub fn parse(request: &'a Request) -> Result<Self, Refusal> {
        if *request.method() != Method::Register {
            return Err(Refusal::NotRegister);
        }
        let unknown = |value: &&[u8]| option_tag(value) != Some("path");
        let unsupported: Vec<&[u8]> = request.values(Header::Require).filter(unknown).collect();
        if !unsupported.is_empty() {
            return Err(Refusal::Extension(String::from_utf8_lossy(&unsupported.join(&b", "[..])).into_owned()));
        }
        let to = Uri::parse(request.to().uri).filter(|uri| uri.scheme.is_sip());
        let aor = to.ok_or(Refusal::NoAddressOfRecord)?.aor();
        Ok(Self {
            aor,
            call_id: request.call_id(),
            cseq: request.cseq().seq,
            wish: wish(request)?,
            path: join_path(request.values(Header::Path)).ok_or(Refusal::BadPath)?,
            supports_path: request.values(Header::Supported).any(|tag| option_tag(tag) == Some("path")),
            user_agent: request.header_str(Header::UserAgent).filter(|text| !text.contains('\r')).unwrap_or_default(),
        })
    }

    /// The canonical address of record, from the To (RFC 3261 §10.3 step 5).
    pub fn aor(&self) -> &str {
        &self.aor
    }

    /// Whether nothing is to be changed.
    pub fn is_query(&self) -> bool {
        matches!(self.wish, Wish::Query)
    }
}

fn wish(request: &Request) -> Result<Wish<'_>, Refusal> {
    let common = match request.typed::<Expires>() {
        None => None,
        Some(Ok(expires)) => Some(expires.0),
        Some(Err(_)) => Some(MALFORMED_EXPIRES),
    };
    let mut wanted: SmallVec<[Wanted<'_>; 2]> = SmallVec::new();
    let mut star = false;
    for value in request.values(Header::Contact) {
        if value == b"*" {
            star = true;
            continue;
        }
        let one = contact(value, common).ok_or(Refusal::BadContact)?;
        // The same contact twice in one request: the last one counts.
        wanted.retain(|other| !one.is(other.contact.as_bytes()));
        if wanted.len() >= MAX_CONTACTS {
            return Err(Refusal::TooManyContacts);
        }
        wanted.push(one);
    }
    match (star, wanted.is_empty()) {
        (false, true) => Ok(Wish::Query),
        (false, false) => Ok(Wish::Update(wanted)),
        // The star stands alone, and with Expires 0 only (RFC 3261 §10.3 step 6).
        (true, true) if common == Some(0) => Ok(Wish::RemoveAll),
        (true, _) => Err(Refusal::BadStar),
    }
}

fn contact(value: &[u8], common: Option<u32>) -> Option<Wanted<'_>> {
    let address = NameAddr::parse(value)?;
    let uri = Uri::parse(address.uri)?;
    let expires = match address.params.get("expires") {
        None => common,
        Some(value) => Some(value.and_then(|value| seconds(value.as_bytes())).unwrap_or(MALFORMED_EXPIRES)),
    };
    let q = address.params.value("q").and_then(parse_q);
    Some(Wanted { contact: address.uri, uri, params: address.params, q, expires })
}

fn seconds(value: &[u8]) -> Option<u32> {
    use crate::header::TypedHeader;
    Expires::parse(value).ok().map(|expires| expires.0)
}
