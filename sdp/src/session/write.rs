//! Writing a description.

use bytes::Bytes;

use super::Session;
use super::index::Span;

impl Session {
    /// Appends the description. Adjacent received lines are copied in one run.
    pub fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        out.reserve(self.written_len());
        let mut run = Span::default();
        for line in &self.lines {
            let next = line.whole();
            // A last line without an end that got a follower is ended here.
            let open = run.len > 0 && !ends_line(run.of(self.octets(run.own)));
            if !open && run.own == next.own && run.start + run.len == next.start {
                run.len += next.len;
                continue;
            }
            out.extend_from_slice(run.of(self.octets(run.own)));
            if open {
                out.extend_from_slice(b"\r\n");
            }
            run = next;
        }
        out.extend_from_slice(run.of(self.octets(run.own)));
        debug_assert!(out.len() - before <= self.written_len() + 2);
    }

    /// The description as octets of its own.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(&mut out);
        Bytes::from(out)
    }

    /// The written size, in octets; two more where the last received line has no end and got a follower.
    fn written_len(&self) -> usize {
        let unended = self.lines.iter().filter(|line| !line.is_terminated()).count();
        self.lines.iter().map(|line| line.whole().len as usize).sum::<usize>() + 2 * unended
    }
}

fn ends_line(octets: &[u8]) -> bool {
    octets.last() == Some(&b'\n')
}
