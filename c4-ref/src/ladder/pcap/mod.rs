//! Capture files: pcap and pcapng, cut into frames as their octets come.
//!
//! ```
//! use c4_ref::ladder::pcap::Reader;
//! let mut reader = Reader::new();
//! // Little-endian, microseconds, raw IP; a frame of one octet.
//! reader.push(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0]);
//! reader.push(&[7, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0, 0, 0x45]);
//! let frame = reader.next().unwrap().unwrap();
//! assert_eq!((frame.at.as_micros(), frame.link, &frame.octets[..], frame.length), (7_000_009, 101, &[0x45][..], 60));
//! assert!(reader.next().unwrap().is_none());
//! ```

mod next;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use next::Section;

/// A record or block that is longer is taken for garbage: the largest snapshot length in use is a quarter of it.
const LONGEST: usize = 1 << 20;

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Since 1970.
    pub at: Duration,
    /// What it begins with: a number of the registry of link types.
    pub link: u16,
    /// What was captured.
    pub octets: Bytes,
    /// Its octets on the wire.
    pub length: u32,
}

/// Why no more frames can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first octets are not those of a capture.
    #[error("no capture file: neither pcap nor pcapng")]
    Unknown,
    /// A record of this length.
    #[error("a record of {0} octets: the file is damaged")]
    Length(usize),
    /// A block of pcapng that contradicts itself.
    #[error("a block that contradicts itself: the file is damaged")]
    Block,
}

#[derive(Debug, Default)]
enum Format {
    #[default]
    Unknown,
    Classic {
        order: Order,
        nanoseconds: bool,
        link: u16,
    },
    Next(Section),
    Dead(Error),
}

/// The order of octets in a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, octets: &[u8], at: usize) -> Option<u16> {
        let octets = octets.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u16::from_be_bytes(*octets) } else { u16::from_le_bytes(*octets) })
    }

    fn u32(self, octets: &[u8], at: usize) -> Option<u32> {
        let octets = octets.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u32::from_be_bytes(*octets) } else { u32::from_le_bytes(*octets) })
    }
}

/// Cuts frames out of a capture: put octets in with [`push`](Reader::push), take frames with [`next`](Reader::next) until
/// it gives none. After an error nothing more comes. It holds one record at most besides what was put in.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    format: Format,
}

impl Reader {
    /// At the beginning of a file.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Adds octets of the file.
    pub fn push(&mut self, octets: &[u8]) {
        if !matches!(self.format, Format::Dead(_)) {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Octets that wait for the rest of their record.
    pub fn rest(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None`: more octets are needed.
    ///
    /// # Errors
    /// [`Error`]: what follows cannot be read.
    #[allow(clippy::should_implement_trait, reason = "it can fail and resume, which no iterator does")]
    pub fn next(&mut self) -> Result<Option<Frame>, Error> {
        let frame = self.cut();
        if let Err(error) = frame {
            self.format = Format::Dead(error);
            self.buffer = BytesMut::new();
        }
        frame
    }

    fn cut(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            match &mut self.format {
                Format::Dead(error) => return Err(*error),
                Format::Unknown => match head(&mut self.buffer)? {
                    None => return Ok(None),
                    Some(format) => self.format = format,
                },
                Format::Classic { order, nanoseconds, link } => {
                    return record(&mut self.buffer, *order, *nanoseconds, *link);
                }
                Format::Next(section) => return section.cut(&mut self.buffer),
            }
        }
    }
}

/// The file's first octets: 24 of pcap, or the first block of pcapng, which stays.
fn head(buffer: &mut BytesMut) -> Result<Option<Format>, Error> {
    let Some(magic) = buffer.first_chunk::<4>() else { return Ok(None) };
    let (order, nanoseconds) = match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true),
        [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false),
        [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true),
        [0x0a, 0x0d, 0x0d, 0x0a] => return Ok(Some(Format::Next(Section::default()))),
        _ => return Err(Error::Unknown),
    };
    if buffer.len() < 24 {
        return Ok(None);
    }
    // The upper half of the word has flags.
    let link = order.u32(buffer, 20).unwrap_or_default() as u16;
    buffer.advance(24);
    Ok(Some(Format::Classic { order, nanoseconds, link }))
}

fn record(buffer: &mut BytesMut, order: Order, nanoseconds: bool, link: u16) -> Result<Option<Frame>, Error> {
    let word = |at| order.u32(buffer, at);
    let (Some(seconds), Some(part), Some(captured), Some(length)) = (word(0), word(4), word(8), word(12)) else {
        return Ok(None);
    };
    let captured = captured as usize;
    if captured > LONGEST {
        return Err(Error::Length(captured));
    }
    if buffer.len() < 16 + captured {
        return Ok(None);
    }
    buffer.advance(16);
    let part = if nanoseconds { u64::from(part) } else { u64::from(part) * 1000 };
    let at = Duration::from_secs(seconds.into()) + Duration::from_nanos(part);
    Ok(Some(Frame { at, link, octets: buffer.split_to(captured).freeze(), length }))
}

#[cfg(test)]
mod tests;
