//! Dialogs as values (RFC 3261 §12): identity, sequence numbers, route set and remote target. No timers, no I/O.
use super::route_set::RouteSet;
use crate::header::{Header, NameAddr};
use crate::message::{Message, Request, Response};
use crate::method::Method;
use thiserror::Error;

/// What names a dialog at one of its ends (RFC 3261 §12): all three parts have to match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// Call-ID of every message of the dialog.
    pub call_id: Box<str>,
    /// The tag this end chose.
    pub local_tag: Box<str>,
    /// The tag the peer chose; empty for a peer of RFC 2543 that sent none (RFC 3261 §12.1.1).
    pub remote_tag: Box<str>,
}

impl DialogId {
    /// The dialog that a received request names, tag or no tag.
    pub fn of_request(request: &Request) -> DialogId {
        DialogId {
            call_id: request.call_id().into(),
            local_tag: request.to_tag().unwrap_or_default().into(),
            remote_tag: request.from_tag().unwrap_or_default().into(),
        }
    }

    /// The dialog that a received response names.
    pub fn of_response(response: &Response) -> DialogId {
        DialogId {
            call_id: response.call_id().into(),
            local_tag: response.from_tag().unwrap_or_default().into(),
            remote_tag: response.to_tag().unwrap_or_default().into(),
        }
    }
}

/// How far a dialog has come (RFC 3261 §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogState {
    /// Made by a provisional response; the 2xx may still change its route set.
    Early,
    /// Made or confirmed by a 2xx; the route set is frozen.
    Confirmed,
}

/// Which end of the request that made the dialog this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sent it (RFC 3261 §12.1.2).
    Caller,
    /// Answered it (RFC 3261 §12.1.1).
    Callee,
}

/// Why no dialog came to be, or why a request does not fit into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DialogError {
    /// The message that should make the dialog has no Contact with one URI (RFC 3261 §8.1.1.8, §12.1.1).
    #[error("no usable Contact")]
    NoContact,
    /// The response carries no To tag (RFC 3261 §12.1.2).
    #[error("no tag of the peer")]
    NoTag,
    /// The CSeq number is not above the last one: answer 500 (RFC 3261 §12.2.2).
    #[error("CSeq out of order")]
    OutOfOrder,
    /// A header could not be written.
    #[error("bad value")]
    BadValue,
}

/// One end of a peer-to-peer relation between two user agents (RFC 3261 §12).
///
/// A plain value: clone it, keep it, build requests from it. Usages (INVITE, subscriptions) share it and its CSeq.
///
/// ```
/// use c4_sip_core::ua::{Dialog, DialogState};
/// use c4_sip_core::{Checked, Limits, Message, Method};
/// let invite = "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
///     From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\n\
///     Contact: <sip:alice@192.0.2.1>\r\nRecord-Route: <sip:192.0.2.9;lr>\r\nContent-Length: 0\r\n\r\n";
/// let message = Message::parse(invite.into(), &Limits::default()).unwrap();
/// let Ok(Checked::Request(invite)) = message.check() else { panic!("a request") };
/// let mut dialog = Dialog::callee(&invite, "b", "<sip:bob@192.0.2.2>", DialogState::Confirmed).unwrap();
/// let bye = dialog.request(Method::Bye).unwrap();
/// assert_eq!((bye.uri(), bye.to_tag(), bye.from_tag()), ("sip:alice@192.0.2.1", Some("a"), Some("b")));
/// assert_eq!(dialog.next_hop(), "sip:192.0.2.9;lr");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dialog {
    id: DialogId,
    role: Role,
    state: DialogState,
    local: Box<str>,
    remote: Box<str>,
    contact: Box<str>,
    target: Box<str>,
    routes: RouteSet,
    local_seq: u32,
    remote_seq: Option<u32>,
}

impl Dialog {
    /// The dialog that `response` (101 to 299) makes for the sender of `request` (RFC 3261 §12.1.2). A 2xx makes one
    /// even without To tag or Contact, so that it gets its ACK: the Request-URI stands in for the Contact.
    ///
    /// # Errors
    /// [`DialogError::NoTag`] for a provisional response that makes no dialog.
    pub fn caller(request: &Request, response: &Response) -> Result<Dialog, DialogError> {
        let id = DialogId::of_response(response);
        let confirmed = response.status().is_success();
        if id.remote_tag.is_empty() && !confirmed {
            return Err(DialogError::NoTag);
        }
        Ok(Dialog {
            id,
            role: Role::Caller,
            state: if confirmed { DialogState::Confirmed } else { DialogState::Early },
            local: text(request, Header::From),
            remote: text(response, Header::To),
            contact: text(request, Header::Contact),
            target: contact_uri(response).unwrap_or_else(|| request.uri().into()),
            routes: RouteSet::caller(response.values(Header::RecordRoute)),
            local_seq: request.cseq().seq,
            remote_seq: None,
        })
    }

    /// The dialog that answering `request` with `tag` and `contact` (a Contact header value) makes (RFC 3261 §12.1.1).
    pub fn callee(request: &Request, tag: &str, contact: &str, state: DialogState) -> Result<Dialog, DialogError> {
        let target = contact_uri(request).ok_or(DialogError::NoContact)?;
        let id = DialogId { local_tag: tag.into(), ..DialogId::of_request(request) };
        Ok(Dialog {
            role: Role::Callee,
            state,
            local: format!("{};tag={tag}", text(request, Header::To)).into(),
            remote: text(request, Header::From),
            contact: contact.into(),
            target,
            routes: RouteSet::callee(request.values(Header::RecordRoute)),
            local_seq: 0,
            remote_seq: Some(request.cseq().seq),
            id,
        })
    }

    /// Confirms an early dialog by the 2xx with the same tags: route set and remote target are taken from it once more
    /// (RFC 3261 §13.2.2.4) and the route set is frozen. On a confirmed dialog nothing happens.
    pub fn confirm(&mut self, response: &Response) {
        if self.state == DialogState::Early && self.role == Role::Caller {
            self.refresh_target(response);
            self.routes = RouteSet::caller(response.values(Header::RecordRoute));
        }
        self.state = DialogState::Confirmed;
    }

    /// Takes the Contact of a target refresh request or of its 2xx as remote target (RFC 3261 §12.2.1.2, §12.2.2); the
    /// route set stays as it is. Without a usable Contact nothing changes.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(uri) = contact_uri(message) {
            self.target = uri;
        }
    }

    /// Checks the CSeq of a received request and takes it as the last one (RFC 3261 §12.2.2). ACK repeats the number of
    /// its INVITE and CANCEL that of its request: both pass.
    pub fn accept(&mut self, request: &Request) -> Result<(), DialogError> {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let seq = request.cseq().seq;
        if self.remote_seq.is_some_and(|last| seq <= last) {
            return Err(DialogError::OutOfOrder);
        }
        self.remote_seq = Some(seq);
        Ok(())
    }

    /// The next request of this end (RFC 3261 §12.2.1.1): a new CSeq number, the route set, the tags. Contact goes into
    /// methods that may refresh the target.
    pub fn request(&mut self, method: Method) -> Result<Request, DialogError> {
        let seq = self.next_seq();
        self.build(method, seq)
    }

    /// The ACK to the 2xx of the INVITE that had this CSeq number (RFC 3261 §13.2.2.4).
    pub fn ack(&self, seq: u32) -> Result<Request, DialogError> {
        self.build(Method::Ack, seq)
    }

    /// Takes the next CSeq number for a request that was built before, such as one that is sent again with credentials;
    /// numbers never go back (RFC 3261 §12.2.1.1).
    pub fn next_seq(&mut self) -> u32 {
        self.local_seq = self.local_seq.saturating_add(1);
        self.local_seq
    }

    /// The URI whose host gets the next request: the first route, or else the remote target.
    pub fn next_hop(&self) -> String {
        self.routes.address(&self.target).next_hop
    }

    /// Identity.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Early or confirmed.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// URI of the peer's Contact.
    pub fn remote_target(&self) -> &str {
        &self.target
    }

    /// Frozen once confirmed.
    pub fn route_set(&self) -> &RouteSet {
        &self.routes
    }

    /// This end's From (or To) value, with its tag.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The peer's To (or From) value, with its tag.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// This end's Contact value.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// The number of the last request of this end; 0 before the first.
    pub fn local_seq(&self) -> u32 {
        self.local_seq
    }

    fn build(&self, method: Method, seq: u32) -> Result<Request, DialogError> {
        let to = self.routes.address(&self.target);
        let refreshes =
            matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer);
        let cseq = format!("{seq} {}", method.as_str());
        let mut builder = Message::request(method, &to.request_uri)
            .header(Header::MaxForwards, "70")
            .header(Header::From, &*self.local)
            .header(Header::To, &*self.remote)
            .header(Header::CallId, &*self.id.call_id)
            .header(Header::CSeq, &cseq);
        for route in &to.routes {
            builder = builder.header(Header::Route, route);
        }
        if refreshes {
            builder = builder.header(Header::Contact, &*self.contact);
        }
        builder.request().map_err(|_| DialogError::BadValue)
    }
}

fn contact_uri(message: &Message) -> Option<Box<str>> {
    let mut values = message.values(Header::Contact);
    let contact = NameAddr::parse(values.next()?)?;
    // One URI and no more (RFC 3261 §8.1.1.8, §12.1.1).
    values.next().is_none().then(|| contact.uri.into())
}

fn text(message: &Message, name: Header) -> Box<str> {
    message.header(name).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default().into()
}
