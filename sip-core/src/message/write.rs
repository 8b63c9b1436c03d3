//! Writing a message.

use bytes::Bytes;

use super::line::Span;
use super::{Body, Message};

impl Message {
    /// Appends the message. Adjacent received lines are copied in one run.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.written_len());
        self.write_lines(self.start_line, out);
    }

    /// Appends what follows a run that is not written yet.
    fn write_lines(&self, mut run: Span, out: &mut Vec<u8>) {
        for line in &self.lines {
            self.extend(&mut run, line.whole(), out);
        }
        // The blank line and a received body follow the last received line without a gap.
        if let Body::Received(body) = &self.body
            && !run.own
            && run.start + run.len + 2 == body.start
            && self.buf.get(body.start as usize - 2..body.start as usize) == Some(b"\r\n")
        {
            run.len += 2 + body.len;
            out.extend_from_slice(run.of(&self.buf));
            return;
        }
        out.extend_from_slice(run.of(self.octets(run.own)));
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body());
    }

    /// The message as octets of its own.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.written_len());
        self.write(&mut out);
        Bytes::from(out)
    }

    /// The same with another Via on top, which is clean and well-formed: cheaper than to push it first.
    pub(crate) fn to_bytes_with_via(&self, via: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.written_len() + via.len() + 7);
        out.extend_from_slice(self.start_line.of(self.octets(self.start_line.own)));
        out.extend_from_slice(b"Via: ");
        out.extend_from_slice(via);
        out.extend_from_slice(b"\r\n");
        let start = self.start_line.start + self.start_line.len;
        self.write_lines(Span { start, len: 0, own: self.start_line.own }, &mut out);
        Bytes::from(out)
    }

    /// The written size, in octets.
    fn written_len(&self) -> usize {
        let lines: usize = self.lines.iter().map(|line| line.whole().len as usize).sum();
        self.start_line.len as usize + lines + 2 + self.body().len()
    }

    /// An upper bound of the written size, in octets.
    pub fn size_hint(&self) -> usize {
        let body = match &self.body {
            Body::Received(_) => 0,
            Body::Own(octets) => octets.len(),
        };
        self.buf.len() + self.own.len() + body + 2
    }

    #[inline]
    fn extend(&self, run: &mut Span, next: Span, out: &mut Vec<u8>) {
        if run.own == next.own && run.start + run.len == next.start {
            run.len += next.len;
        } else {
            out.extend_from_slice(run.of(self.octets(run.own)));
            *run = next;
        }
    }
}
