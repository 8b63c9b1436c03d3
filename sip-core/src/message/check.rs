//! From a message to a request or response whose mandatory headers are facts.

use super::error::DefectKind;
use super::{Message, Request, Response};
use crate::header::grammar::{decimal, text};
use crate::header::{Header, NameAddr, TypedHeader, Values, Via, cseq_parts};
use crate::uri::Uri;
use crate::{Limits, Method, StatusCode};

/// A message whose mandatory headers are there and well-formed.
#[derive(Clone, Debug)]
pub enum Checked {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Checked {
    /// The message, for reading.
    pub fn message(&self) -> &Message {
        match self {
            Checked::Request(request) => request,
            Checked::Response(response) => response,
        }
    }

    /// The message.
    pub fn into_message(self) -> Message {
        match self {
            Checked::Request(request) => request.into_message(),
            Checked::Response(response) => response.into_message(),
        }
    }
}

impl From<Request> for Checked {
    fn from(request: Request) -> Checked {
        Checked::Request(request)
    }
}

impl From<Response> for Checked {
    fn from(response: Response) -> Checked {
        Checked::Response(response)
    }
}

/// A message that was read but is no valid request or response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    message: Message,
}

impl Defect {
    pub(super) fn new(kind: DefectKind, message: Message) -> Defect {
        Defect { kind, message }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The message.
    pub fn into_message(self) -> Message {
        self.message
    }

    /// Status and reason phrase to answer with. None: no answer can or may be given, because it is a response, an
    /// ACK, or has no Via.
    pub fn answer(&self) -> Option<(StatusCode, String)> {
        match self.message.method()? {
            Method::Ack => return None,
            _ => self.message.header(Header::Via)?,
        };
        let status = match self.kind {
            DefectKind::Version => StatusCode::VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Some((status, self.kind.to_string()))
    }

    /// The answer as a message, with the lines of the request that it has; the To tag is the caller's. It goes to
    /// the flow that the request came from, since its Via may be what is malformed.
    pub fn response(&self) -> Option<Message> {
        let (status, reason) = self.answer()?;
        Some(self.message.reply(status, &reason, false))
    }
}

impl Message {
    /// Proves the mandatory headers (RFC 3261 §8.1.1, §8.2.6.2), the request line, the number of hops and CSeq.
    ///
    /// Accepted as in RFC 2543: a Via without branch, a From without tag, no Max-Forwards.
    ///
    /// # Errors
    /// The first thing that is wrong, with the message.
    pub fn check(self) -> Result<Checked, Box<Defect>> {
        self.check_within(&Limits::default())
    }

    /// As [`check`](Message::check), with another bound on Via values.
    ///
    /// # Errors
    /// As [`check`](Message::check).
    pub fn check_within(self, limits: &Limits) -> Result<Checked, Box<Defect>> {
        match defect(&self, limits.max_vias, true) {
            Some(kind) => Err(Box::new(Defect::new(kind, self))),
            None => Ok(self.into_checked()),
        }
    }

    /// A request of our own has no Via yet.
    pub(super) fn check_own(self) -> Result<Checked, Box<Defect>> {
        match defect(&self, usize::MAX, false) {
            Some(kind) => Err(Box::new(Defect::new(kind, self))),
            None => Ok(self.into_checked()),
        }
    }

    fn into_checked(self) -> Checked {
        if self.is_request() {
            Checked::Request(Request::trusted(self))
        } else {
            Checked::Response(Response::trusted(self))
        }
    }
}

/// The first thing that is wrong.
fn defect(message: &Message, max_vias: usize, received: bool) -> Option<DefectKind> {
    if message.flaw.is_some() {
        return message.flaw;
    }
    if let Some(method) = message.method() {
        let uri = message.request_uri().and_then(Uri::parse);
        if uri.is_none_or(|uri| uri.has_headers()) {
            return Some(DefectKind::RequestUri);
        }
        return headers(message, max_vias, received, Some(method)).err();
    }
    headers(message, max_vias, received, None).err()
}

/// The lines of the headers that must or may stand once, found in one pass.
#[derive(Default)]
struct Once<'a> {
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    max_forwards: Option<&'a [u8]>,
    via: Option<&'a [u8]>,
    vias: usize,
}

impl<'a> Once<'a> {
    fn find(message: &'a Message) -> Result<Once<'a>, DefectKind> {
        let mut once = Once::default();
        for line in &message.lines {
            let Some(header) = line.header() else { continue };
            let slot = match header {
                Header::Via => {
                    let value = line.value(message.octets(line.is_own()));
                    once.via = once.via.or(Some(value));
                    once.vias += Values::new(value).count();
                    continue;
                }
                Header::From => &mut once.from,
                Header::To => &mut once.to,
                Header::CallId => &mut once.call_id,
                Header::CSeq => &mut once.cseq,
                Header::MaxForwards => &mut once.max_forwards,
                _ => continue,
            };
            if slot.replace(line.value(message.octets(line.is_own()))).is_some() {
                return Err(DefectKind::Repeated(header));
            }
        }
        Ok(once)
    }
}

fn headers(message: &Message, max_vias: usize, received: bool, method: Option<&Method>) -> Result<(), DefectKind> {
    let once = Once::find(message)?;
    if received || once.via.is_some() {
        let top = once.via.and_then(|line| Values::new(line).next()).ok_or(DefectKind::Missing(Header::Via))?;
        Via::parse(top).map_err(|_| DefectKind::Malformed(Header::Via))?;
    }
    if once.vias > max_vias {
        return Err(DefectKind::TooManyVias);
    }
    for (header, value) in [(Header::From, once.from), (Header::To, once.to)] {
        let value = value.ok_or(DefectKind::Missing(header))?;
        NameAddr::parse(value).ok_or(DefectKind::Malformed(header))?;
    }
    let call_id = once.call_id.ok_or(DefectKind::Missing(Header::CallId))?;
    if call_id.is_empty() || text(call_id).is_none() || call_id.iter().any(|c| *c <= b' ') {
        return Err(DefectKind::Malformed(Header::CallId));
    }
    let cseq = once.cseq.ok_or(DefectKind::Missing(Header::CSeq))?;
    let (_, cseq_method) = cseq_parts(cseq).ok_or(DefectKind::Malformed(Header::CSeq))?;
    let Some(method) = method else { return Ok(()) };
    if cseq_method != method.as_str().as_bytes() {
        return Err(DefectKind::MethodMismatch);
    }
    match once.max_forwards {
        // More than 255 hops can be defaulted (RFC 4475 §3.1.2.4).
        Some(hops) if decimal(hops, u64::from(u32::MAX)).is_none() => Err(DefectKind::Malformed(Header::MaxForwards)),
        _ => Ok(()),
    }
}
