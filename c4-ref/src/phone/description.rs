//! A phone's session descriptions: one audio stream of G.711 with telephone events.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sdp::attribute::{Fmtp, Ptime, Rtcp, Rtpmap};
use sdp::{BadEdit, Direction, Limits, Media, MediaLine, Origin, Protocol, Scope, Session};

use super::codec::Codec;
use super::tone::RATE;

/// The encoding of digits (RFC 4733 §2.5).
const EVENTS: &str = "telephone-event";
/// The payload type that we offer for them.
const EVENTS_TYPE: u8 = 101;
/// Milliseconds of audio in a packet.
pub(super) const PTIME_MS: u32 = 20;

/// A payload type and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// Its encoding.
    pub codec: Codec,
}

/// What the other side has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it wants RTP; `None`: nowhere, as a held call's 0.0.0.0 or a refused stream's port 0.
    pub rtp: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub rtcp: Option<SocketAddr>,
    /// What it gets.
    pub format: Format,
    /// The payload type of digits.
    pub events: Option<u8>,
    /// The direction, as the other side sees it.
    pub direction: Direction,
}

/// Where we receive, and in what we speak.
#[derive(Clone, Debug)]
pub(super) struct Local<'a> {
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    pub(super) codecs: &'a [Codec],
    /// Session id of `o=`.
    pub(super) id: u64,
    /// Version of `o=`.
    pub(super) version: u64,
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Option<Session> {
    Session::parse(Bytes::copy_from_slice(body), &Limits::default()).ok()
}

impl Local<'_> {
    /// Offers all codecs.
    pub(super) fn offer(&self) -> Result<Session, BadEdit> {
        let mut session = self.empty()?;
        let formats = self.codecs.iter().map(|codec| Format { payload_type: codec.payload_type(), codec: *codec });
        self.add_audio(&mut session, &formats.collect::<Vec<_>>(), Some(EVENTS_TYPE), Direction::SendRecv)?;
        Ok(session)
    }

    /// Answers an offer (RFC 3264 §6): its first audio stream that we know, every other one refused. `None`: there is
    /// none that we know.
    pub(super) fn answer(&self, offer: &Session) -> Result<Option<(Session, Remote)>, BadEdit> {
        let (mut session, mut agreed) = (self.empty()?, None);
        for media in offer.medias() {
            match self.agree(&media).filter(|_| agreed.is_none()) {
                Some((formats, remote)) => {
                    self.add_audio(&mut session, &formats, remote.events, remote.direction.reversed())?;
                    agreed = Some(remote);
                }
                None => refuse(&mut session, &media)?,
            }
        }
        Ok(agreed.map(|remote| (session, remote)))
    }

    /// What an answer, or an offer, gives us: its first audio stream that we know.
    pub(super) fn agreed(&self, session: &Session) -> Option<Remote> {
        session.medias().find_map(|media| self.agree(&media)).map(|(_, remote)| remote)
    }

    fn agree(&self, media: &Media<'_>) -> Option<(Vec<Format>, Remote)> {
        if media.kind() != "audio" || media.port() == 0 || media.protocol() != Protocol::RtpAvp {
            return None;
        }
        let known = |payload_type: u8| {
            let codec = Codec::from_name(media.codec(payload_type)?.encoding)?;
            self.codecs.contains(&codec).then_some(Format { payload_type, codec })
        };
        let formats: Vec<Format> = media.payload_types().filter_map(known).collect();
        let is_events = |map: Rtpmap<'_>| map.encoding.eq_ignore_ascii_case(EVENTS) && map.clock_rate == RATE;
        let events = media.payload_types().find(|payload_type| media.codec(*payload_type).is_some_and(is_events));
        let rtp = media.connection().filter(|connection| !connection.is_unspecified()).and_then(|c| c.ip());
        let remote = Remote {
            rtp: rtp.map(|ip| (ip, media.port()).into()),
            rtcp: rtp.and_then(|ip| rtcp_of(media, ip)),
            format: *formats.first()?,
            events,
            direction: media.direction(),
        };
        Some((formats, remote))
    }

    fn empty(&self) -> Result<Session, BadEdit> {
        let ip = self.rtp.ip();
        let (id, version, address) = (self.id.to_string(), self.version.to_string(), ip.to_string());
        let origin = Origin {
            username: "c4-phone",
            session_id: &id,
            session_version: &version,
            net_type: "IN",
            address_type: if ip.is_ipv4() { "IP4" } else { "IP6" },
            address: &address,
        };
        let mut session = Session::new(&origin, "call")?;
        session.set_connection(Scope::Session, ip)?;
        Ok(session)
    }

    fn add_audio(
        &self,
        session: &mut Session,
        formats: &[Format],
        events: Option<u8>,
        direction: Direction,
    ) -> Result<(), BadEdit> {
        let types = formats.iter().map(|format| format.payload_type).chain(events);
        let list = types.map(|payload_type| payload_type.to_string()).collect::<Vec<_>>().join(" ");
        let port = self.rtp.port();
        let line = MediaLine { kind: "audio", port, count: None, protocol: Protocol::RtpAvp, formats: &list };
        let scope = Scope::Media(session.add_media(&line)?);
        let map = |payload_type, encoding| Rtpmap { payload_type, encoding, clock_rate: RATE, parameters: None };
        for format in formats {
            session.add(scope, &map(format.payload_type, format.codec.name()))?;
        }
        if let Some(payload_type) = events {
            session.add(scope, &map(payload_type, EVENTS))?;
            session.add(scope, &Fmtp { format: &payload_type.to_string(), parameters: "0-15" })?;
        }
        session.add(scope, &Ptime(PTIME_MS as f32))?;
        if self.rtp.port().checked_add(1) != Some(self.rtcp.port()) {
            session.add(scope, &Rtcp { port: self.rtcp.port(), address: None })?;
        }
        session.set_direction(scope, direction)
    }
}

/// `a=rtcp` (RFC 3605), else the next port.
fn rtcp_of(media: &Media<'_>, rtp: IpAddr) -> Option<SocketAddr> {
    match media.rtcp() {
        Some(rtcp) => Some((rtcp.address.and_then(|address| address.ip()).unwrap_or(rtp), rtcp.port).into()),
        None => Some((rtp, media.port().checked_add(1)?).into()),
    }
}

fn refuse(session: &mut Session, media: &Media<'_>) -> Result<(), BadEdit> {
    let formats = media.formats().collect::<Vec<_>>().join(" ");
    let (kind, protocol) = (media.kind(), media.protocol());
    session.add_media(&MediaLine { kind, port: 0, count: None, protocol, formats: &formats }).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(codecs: &[Codec]) -> Local<'_> {
        let (rtp, rtcp) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.1:4001".parse().unwrap());
        Local { rtp, rtcp, codecs, id: 7, version: 1 }
    }

    fn text(session: &Session) -> String {
        String::from_utf8(session.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_offer() {
        let offer = local(&Codec::ALL).offer().unwrap();
        let expected = "v=0\r\no=c4-phone 7 1 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
            m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
        assert_eq!(text(&offer), expected);
        let apart = Local { rtcp: "192.0.2.1:5001".parse().unwrap(), ..local(&Codec::ALL) };
        assert!(text(&apart.offer().unwrap()).contains("a=rtcp:5001\r\n"));
    }

    #[test]
    fn rfc3264_6_the_answer_takes_the_first_known_and_refuses_other_streams() {
        let offer = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n\
            m=video 6000 RTP/AVP 99\r\nm=audio 5000 RTP/AVP 111 8 0 96\r\na=rtpmap:111 opus/48000/2\r\n\
            a=rtpmap:96 telephone-event/8000\r\na=rtcp:5003\r\na=sendonly\r\nm=audio 5004 RTP/AVP 0\r\n";
        let (answer, remote) = local(&Codec::ALL).answer(&read(offer.as_bytes()).unwrap()).unwrap().unwrap();
        let answer = text(&answer);
        let medias: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(medias, ["m=video 0 RTP/AVP 99", "m=audio 4000 RTP/AVP 8 0 96", "m=audio 0 RTP/AVP 0"]);
        assert!(answer.contains("a=recvonly") && answer.contains("a=rtpmap:96 telephone-event/8000"), "{answer}");
        let expected = Remote {
            rtp: Some("198.51.100.9:5000".parse().unwrap()),
            rtcp: Some("198.51.100.9:5003".parse().unwrap()),
            format: Format { payload_type: 8, codec: Codec::Pcma },
            events: Some(96),
            direction: Direction::SendOnly,
        };
        assert_eq!(remote, expected);
        assert!(
            local(&[Codec::Pcmu]).answer(&read(offer.as_bytes()).unwrap()).unwrap().unwrap().1.format.codec
                == Codec::Pcmu
        );
    }

    #[test]
    fn what_is_not_known_is_not_agreed() {
        for media in
            ["m=audio 5000 RTP/AVP 18", "m=audio 5000 RTP/SAVP 0", "m=image 5000 udptl t38", "m=audio 0 RTP/AVP 0"]
        {
            let offer = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}\r\n");
            let offer = read(offer.as_bytes()).unwrap();
            assert_eq!(local(&Codec::ALL).answer(&offer).unwrap().map(|agreed| agreed.1), None, "{media}");
            assert_eq!(local(&Codec::ALL).agreed(&offer), None);
        }
    }

    #[test]
    fn rfc2543_hold_has_no_address() {
        let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";
        let remote = local(&Codec::ALL).agreed(&read(offer.as_bytes()).unwrap()).unwrap();
        assert_eq!((remote.rtp, remote.rtcp), (None, None));
    }
}
