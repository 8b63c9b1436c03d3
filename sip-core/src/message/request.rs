//! Requests whose mandatory headers are facts.

use bytes::Bytes;
use std::net::SocketAddr;
use std::ops::Deref;

use super::Message;
use super::error::BadValue;
use super::response::Response;
use crate::header::grammar::{decimal, is_clean, text, trim};
use crate::header::{CSeq, Header, Name, NameAddr, TypedHeader, Via};
use crate::{Method, StatusCode};

/// A checked request. It reads as a [`Message`]; its own setters keep the facts true.
///
/// A request that was received has a Via; one of our own gets it from the transaction layer.
#[derive(Clone, Debug)]
pub struct Request {
    message: Message,
}

/// Headers that generic setters do not touch.
pub(super) fn is_protected(name: Name<'_>) -> Option<Header> {
    match name {
        Name::Known(
            header @ (Header::Via
            | Header::From
            | Header::To
            | Header::CallId
            | Header::CSeq
            | Header::MaxForwards
            | Header::ContentLength),
        ) => Some(header),
        _ => None,
    }
}

macro_rules! facts {
    ($type:ident) => {
        impl $type {
            /// The message has been checked, or is made of the lines of one that was.
            pub(super) fn trusted(message: Message) -> $type {
                $type { message }
            }

            /// The topmost Via.
            pub fn via(&self) -> Option<Via<'_>> {
                self.message.typed::<Via<'_>>().and_then(Result::ok)
            }

            /// From.
            pub fn from(&self) -> NameAddr<'_> {
                address(&self.message, Header::From)
            }

            /// To.
            pub fn to(&self) -> NameAddr<'_> {
                address(&self.message, Header::To)
            }

            /// The tag of From; RFC 2543 clients send none.
            pub fn from_tag(&self) -> Option<&str> {
                self.from().tag()
            }

            /// The tag of To.
            pub fn to_tag(&self) -> Option<&str> {
                self.to().tag()
            }

            /// Call-ID.
            pub fn call_id(&self) -> &str {
                self.message.header_str(Header::CallId).unwrap_or_default()
            }

            /// CSeq.
            pub fn cseq(&self) -> CSeq {
                let value = self.message.header(Header::CSeq).unwrap_or_default();
                CSeq::parse(value).unwrap_or(CSeq { seq: 0, method: Method::Options })
            }

            /// The branch of the topmost Via.
            pub fn branch(&self) -> Option<&str> {
                self.via()?.branch()
            }

            /// Puts a Via on top.
            ///
            /// # Errors
            /// [`BadValue::Grammar`] if it is no Via.
            pub fn push_via(&mut self, via: &str) -> Result<(), BadValue> {
                Via::parse(via.as_bytes()).map_err(|_| BadValue::Grammar)?;
                self.message.push_front(Header::Via, via)
            }

            /// Replaces the topmost Via; false if there is none.
            ///
            /// # Errors
            /// [`BadValue::Grammar`] if it is no Via.
            pub fn replace_via(&mut self, via: &str) -> Result<bool, BadValue> {
                Via::parse(via.as_bytes()).map_err(|_| BadValue::Grammar)?;
                self.message.replace_front_value(Header::Via, via)
            }

            /// Removes the topmost Via. Without a second one the message has none then; false if it had none.
            pub fn pop_via(&mut self) -> bool {
                self.message.pop_front_value(Header::Via)
            }

            /// As [`Message::push_front`].
            ///
            /// # Errors
            /// [`BadValue::Protected`] for a header that has its own setter here, or must not change.
            pub fn push_front<'n>(
                &mut self,
                name: impl Into<Name<'n>>,
                value: impl AsRef<[u8]>,
            ) -> Result<(), BadValue> {
                let name = open(name)?;
                self.message.push_front(name, value)
            }

            /// As [`Message::push_back`].
            ///
            /// # Errors
            /// As [`push_front`](Self::push_front).
            pub fn push_back<'n>(
                &mut self,
                name: impl Into<Name<'n>>,
                value: impl AsRef<[u8]>,
            ) -> Result<(), BadValue> {
                let name = open(name)?;
                self.message.push_back(name, value)
            }

            /// As [`Message::set`].
            ///
            /// # Errors
            /// As [`push_front`](Self::push_front).
            pub fn set<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Result<(), BadValue> {
                let name = open(name)?;
                self.message.set(name, value)
            }

            /// As [`Message::replace_front_value`].
            ///
            /// # Errors
            /// As [`push_front`](Self::push_front).
            pub fn replace_front_value<'n>(
                &mut self,
                name: impl Into<Name<'n>>,
                value: impl AsRef<[u8]>,
            ) -> Result<bool, BadValue> {
                let name = open(name)?;
                self.message.replace_front_value(name, value)
            }

            /// As [`Message::remove`].
            ///
            /// # Errors
            /// As [`push_front`](Self::push_front).
            pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) -> Result<usize, BadValue> {
                let name = open(name)?;
                Ok(self.message.remove(name))
            }

            /// As [`Message::set_body`].
            ///
            /// # Errors
            /// As [`Message::set_body`].
            pub fn set_body(&mut self, content_type: Option<&str>, body: impl Into<Bytes>) -> Result<(), BadValue> {
                self.message.set_body(content_type, body)
            }

            /// As [`Message::complete_length`].
            pub fn complete_length(&mut self) {
                self.message.complete_length();
            }

            /// The message, without its facts.
            pub fn into_message(self) -> Message {
                self.message
            }
        }

        impl Deref for $type {
            type Target = Message;

            fn deref(&self) -> &Message {
                &self.message
            }
        }
    };
}
pub(super) use facts;

/// A name that generic setters may touch.
pub(super) fn open<'n>(name: impl Into<Name<'n>>) -> Result<Name<'n>, BadValue> {
    let name = name.into();
    is_protected(name).map_or(Ok(name), |header| Err(BadValue::Protected(header)))
}

/// From or To: `check` has parsed it.
pub(super) fn address(message: &Message, header: Header) -> NameAddr<'_> {
    message.header(header).and_then(NameAddr::parse).unwrap_or(NameAddr::EMPTY)
}

facts!(Request);

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        self.message.method().unwrap_or(&Method::Options)
    }

    /// The Request-URI as written. It is a well-formed URI without headers.
    pub fn uri(&self) -> &str {
        self.message.request_uri().unwrap_or_default()
    }

    /// Hops left; None if the header is absent. A value above 255 counts as 255.
    pub fn max_forwards(&self) -> Option<u8> {
        let hops = decimal(trim(self.message.header(Header::MaxForwards)?), u64::from(u32::MAX))?;
        Some(hops.min(255) as u8)
    }

    /// Sets Max-Forwards.
    pub fn set_max_forwards(&mut self, hops: u8) {
        _ = self.message.set_number(Header::MaxForwards, u64::from(hops));
    }

    /// Sets the number of CSeq; the method stays.
    pub fn set_cseq(&mut self, seq: u32) {
        let value = format!("{seq} {}", self.method().as_str());
        _ = self.message.set(Header::CSeq, value);
    }

    /// Replaces the Request-URI.
    ///
    /// # Errors
    /// [`BadValue::Grammar`] if it is no URI.
    pub fn set_uri(&mut self, uri: &str) -> Result<(), BadValue> {
        self.message.set_request_uri(uri)
    }

    /// Puts a Record-Route value, such as `<sip:p1.example.com;lr>`, on top.
    ///
    /// # Errors
    /// [`BadValue::Grammar`] if it is no address.
    pub fn push_record_route(&mut self, value: &str) -> Result<(), BadValue> {
        self.push_address(Header::RecordRoute, value)
    }

    /// Puts a Route value on top.
    ///
    /// # Errors
    /// [`BadValue::Grammar`] if it is no address.
    pub fn push_route(&mut self, value: &str) -> Result<(), BadValue> {
        self.push_address(Header::Route, value)
    }

    /// Removes the topmost Route value; false if there is none.
    pub fn pop_route(&mut self) -> bool {
        self.message.pop_front_value(Header::Route)
    }

    /// Notes where the request came from in its topmost Via (RFC 3261 §18.2.1, RFC 3581 §4): `received` where
    /// sent-by differs from the source or rport is asked for, `rport` filled in where it is asked for. A `received`
    /// that the sender wrote itself is removed.
    pub fn set_received(&mut self, source: SocketAddr) {
        if let Some(value) = self.via().and_then(|via| via.received_from(source)) {
            self.set_received_via(&value);
        }
    }

    /// The topmost Via with what [`Via::received_from`] made of it.
    pub(crate) fn set_received_via(&mut self, value: &[u8]) {
        _ = self.message.replace_front_value(Header::Via, value);
    }

    /// The request as it is sent on, with another Via on top: cheaper than to push the Via first. That it is a Via is the
    /// caller's promise.
    ///
    /// # Errors
    /// [`BadValue::Octet`] for CR, LF or NUL in it.
    pub fn forwarded(&self, via: &[u8]) -> Result<Bytes, BadValue> {
        if is_clean(via) { Ok(self.message.to_bytes_with_via(via)) } else { Err(BadValue::Octet) }
    }

    /// The answer with the default reason phrase: Via, From, To, Call-ID and CSeq are copied (RFC 3261 §8.2.6.2).
    /// The To tag is the caller's.
    pub fn response(&self, status: StatusCode) -> Response {
        Response::trusted(self.message.reply(status, status.reason(), false))
    }

    /// As [`response`](Request::response), with the Record-Route lines of the request, as a response that forms a
    /// dialog needs them (RFC 3261 §12.1.1).
    pub fn dialog_response(&self, status: StatusCode) -> Response {
        Response::trusted(self.message.reply(status, status.reason(), true))
    }

    fn push_address(&mut self, header: Header, value: &str) -> Result<(), BadValue> {
        NameAddr::parse(value.as_bytes()).ok_or(BadValue::Grammar)?;
        self.message.push_front(header, value)
    }
}

/// As text, for diagnostics: start line and Call-ID, no bodies and no credentials.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let call_id = text(self.message.header(Header::CallId).unwrap_or_default()).unwrap_or_default();
        write!(f, "{} {} ({call_id})", self.method(), self.uri())
    }
}
