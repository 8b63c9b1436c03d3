//! Which bodies are descriptions, and what a relay is asked for with them.

use std::net::IpAddr;

use bytes::Bytes;
use nat::detect::is_private;
use sdp::{Limits, Session};
use sip_core::Message;
use sip_core::header::Header;

use crate::ng::{AddressSource, Flags, Request};

/// The description that a message carries. A body of another type, with an encoding, or for an early session (RFC 3959)
/// is none.
pub(super) fn sdp_of(message: &Message) -> Option<Bytes> {
    if message.body().is_empty() || message.header(Header::ContentEncoding).is_some_and(|e| !is(e, "identity")) {
        return None;
    }
    let is_session = message.header(Header::ContentDisposition).is_none_or(|value| is(value, "session"));
    let is_sdp = message.header(Header::ContentType).is_some_and(|value| is(value, "application/sdp"));
    (is_sdp && is_session).then(|| Bytes::copy_from_slice(message.body()))
}

/// Whether a header value is this word, whatever parameters follow.
fn is(value: &[u8], word: &str) -> bool {
    let value = value.split(|octet| *octet == b';').next().unwrap_or_default();
    value.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
}

/// Puts a description of a party into a request: with the flags of every request, and where its signalling came from.
/// That address counts instead of the one in the SDP where only that one is private: the phone is behind a NAT.
pub(super) fn describe(request: &mut Request, sdp: Bytes, flags: &Flags, source: IpAddr) {
    let mut flags = flags.clone();
    if flags.address.is_none() {
        let hidden = !is_private(source) && address_of(&sdp).is_some_and(is_private);
        flags.address = Some(if hidden { AddressSource::Signalling } else { AddressSource::Sdp });
    }
    request.received_from = Some(source.to_canonical());
    request.flags = flags;
    request.sdp = sdp;
}

/// The first media address.
fn address_of(sdp: &Bytes) -> Option<IpAddr> {
    let session = Session::parse(sdp.clone(), &Limits::default()).ok()?;
    let connection = session.media(0).and_then(|media| media.connection()).or(session.connection())?;
    connection.address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ng::Command;

    fn message(headers: &str) -> Message {
        let text = format!("INVITE sip:b@x SIP/2.0\r\n{headers}Content-Length: 5\r\n\r\nv=0\r\n");
        Message::parse(text.into(), &sip_core::Limits::default()).unwrap()
    }

    #[test]
    fn only_plain_session_descriptions_are_rewritten() {
        for (headers, found) in [
            ("Content-Type: application/sdp\r\n", true),
            ("c: Application/SDP;charset=utf-8\r\nContent-Disposition: session;handling=optional\r\n", true),
            ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", false),
            ("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", false),
            ("Content-Type: multipart/mixed;boundary=x\r\n", false),
            ("", false),
        ] {
            assert_eq!(sdp_of(&message(headers)).is_some(), found, "{headers}");
        }
    }

    #[test]
    fn a_private_address_from_a_public_source_is_not_believed() {
        let sdp = |address: &str| {
            let text = format!(
                "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
            );
            Bytes::from(text)
        };
        for (address, source, expected) in [
            ("10.0.0.7", "203.0.113.5", AddressSource::Signalling),
            ("10.0.0.7", "10.0.0.9", AddressSource::Sdp),
            ("198.51.100.1", "203.0.113.5", AddressSource::Sdp),
            ("0.0.0.0", "203.0.113.5", AddressSource::Sdp),
        ] {
            let mut request = Request::new(Command::Offer, "c");
            describe(&mut request, sdp(address), &Flags::default(), source.parse().unwrap());
            assert_eq!(request.flags.address, Some(expected), "{address} from {source}");
            assert_eq!(request.received_from, Some(source.parse().unwrap()));
        }
    }
}
