//! Messages on the wire: a cookie, a blank, a dictionary.

use bytes::{Buf, Bytes, BytesMut};

use super::bencode::{self, Limits, Scanner};

/// Octets of a cookie.
const MOST_COOKIE: usize = 128;

/// A message in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) cookie: Bytes,
    pub(super) payload: Bytes,
}

impl Frame {
    /// A datagram. `None`: no cookie stands in it. Line ends behind the dictionary are taken off, for people who type.
    pub(super) fn of_datagram(octets: &Bytes) -> Option<Frame> {
        let blank = octets.iter().take(MOST_COOKIE + 1).position(|octet| *octet == b' ')?;
        let payload = octets.slice(blank + 1..);
        let payload = payload.slice(..payload.trim_ascii_end().len());
        (blank > 0).then(|| Frame { cookie: octets.slice(..blank), payload })
    }

    /// The octets of a message.
    pub(super) fn join(cookie: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(cookie);
        out.push(b' ');
        write(&mut out);
        // Replies are kept for a while.
        out.shrink_to_fit();
        out.into()
    }
}

/// What ends a stream of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// No cookie.
    Cookie,
    /// No bencode behind this cookie.
    Payload(Bytes, bencode::Error),
}

/// Finds the messages in a stream. Each octet is looked at once, and no more than one message is kept.
#[derive(Debug, Clone)]
pub(super) struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// Of the message at the front: octets of its cookie and the blank, and of the payload that were scanned.
    payload: Option<(usize, Scanner)>,
    scanned: usize,
}

impl Framer {
    pub(super) fn new(limits: Limits) -> Framer {
        Framer { limits, buffer: BytesMut::new(), payload: None, scanned: 0 }
    }

    /// Takes octets; ask [`Framer::next`] afterwards until it says `None`.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// How many octets wait for the rest of their message.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next message that is complete. After an error nothing more comes.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        if self.payload.is_none() {
            let leading = self.buffer.len() - self.buffer.trim_ascii_start().len();
            self.buffer.advance(leading);
            let blank = self.buffer.iter().take(MOST_COOKIE + 1).position(|octet| *octet == b' ');
            let Some(blank) = blank else {
                return if self.buffer.len() > MOST_COOKIE { Err(Broken::Cookie) } else { Ok(None) };
            };
            self.payload = Some((blank + 1, Scanner::new(self.limits)));
            self.scanned = blank + 1;
        }
        let Some((start, scanner)) = &mut self.payload else { return Ok(None) };
        let more = self.buffer.get(self.scanned..).unwrap_or_default();
        let ended = scanner.push(more).map_err(|error| {
            let cookie = self.buffer.get(..start.saturating_sub(1)).unwrap_or_default();
            Broken::Payload(Bytes::copy_from_slice(cookie), error)
        })?;
        let Some(taken) = ended else {
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let (start, end) = (*start, self.scanned + taken);
        self.payload = None;
        let mut message = self.buffer.split_to(end.min(self.buffer.len())).freeze();
        let payload = message.split_off(start.min(message.len()));
        message.truncate(start.saturating_sub(1));
        if self.buffer.is_empty() {
            // Let go of the memory of a large message.
            self.buffer = BytesMut::new();
        }
        Ok(Some(Frame { cookie: message, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(octets: &[u8], size: usize) -> (Vec<String>, Result<(), Broken>) {
        let mut framer = Framer::new(Limits::default());
        let mut found = Vec::new();
        for piece in octets.chunks(size) {
            framer.push(piece);
            loop {
                match framer.next() {
                    Ok(Some(frame)) => found.push(format!("{}|{}", show(&frame.cookie), show(&frame.payload))),
                    Ok(None) => break,
                    Err(broken) => return (found, Err(broken)),
                }
            }
        }
        (found, Ok(()))
    }

    fn show(octets: &[u8]) -> String {
        String::from_utf8_lossy(octets).into_owned()
    }

    proptest! {
        #[test]
        fn messages_are_found_in_pieces_of_any_size(size in 1usize..40) {
            let stream = b"1_1 d7:command4:pinge\r\n2_1 d3:sdp9:d4: e le e3_1 dex";
            let (found, end) = frames(stream, size);
            prop_assert_eq!(found, ["1_1|d7:command4:pinge", "2_1|d3:sdp9:d4: e le e", "3_1|de"]);
            prop_assert_eq!(end, Ok(()));
        }
    }

    #[test]
    fn a_stream_without_cookies_or_bencode_ends() {
        assert_eq!(frames(&[b'x'; 200], 7).1, Err(Broken::Cookie));
        assert_eq!(frames(&[b'x'; 128], 7).1, Ok(()));
        assert!(matches!(frames(b"ok de7_1 GET / HTTP/1.1", 3).1, Err(Broken::Payload(cookie, _)) if cookie == "7_1"));
        assert!(matches!(frames(b"a 99999999:", 3).1, Err(Broken::Payload(_, bencode::Error::TooLong))));
    }

    #[test]
    fn what_waits_is_bounded_by_one_message() {
        let mut framer = Framer::new(Limits { octets: 1000, ..Limits::default() });
        framer.push(b"c d3:sdp960:");
        assert_eq!(framer.next(), Ok(None));
        framer.push(&[b'x'; 960]);
        framer.push(b"e");
        assert!(framer.next().unwrap().is_some());
        assert_eq!(framer.waiting(), 0);
    }

    #[test]
    fn datagrams() {
        let frame = |text: &'static [u8]| Frame::of_datagram(&Bytes::from_static(text));
        assert_eq!(frame(b"c1 de\r\n").unwrap().payload, "de");
        assert_eq!(frame(b"c1 ").unwrap().payload, "");
        assert_eq!(frame(b"c1"), None);
        assert_eq!(frame(b" de"), None);
        assert_eq!(frame(b""), None);
        assert_eq!(Frame::of_datagram(&[&[b'x'; 129][..], b" de"].concat().into()), None);
    }
}
