//! Blocks of pcapng.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::{Error, Frame, LONGEST, Order};

/// Block types.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;
/// Options of an interface.
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;
/// Interfaces of a section that are remembered.
const INTERFACES: usize = 1024;

/// Where frames of one interface come from, and how they are timed.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    /// Units a second.
    units: u64,
    /// Seconds to be added.
    offset: i64,
}

/// A section of the file: it says the order of octets and has interfaces of its own.
#[derive(Debug, Default)]
pub(super) struct Section {
    order: Option<Order>,
    interfaces: Vec<Interface>,
}

impl Section {
    /// The next frame; blocks that are none are passed over.
    pub(super) fn cut(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
        loop {
            let Some(block) = self.block(buffer)? else { return Ok(None) };
            let (Some(order), body) = (self.order, block.body) else { return Err(Error::Block) };
            match block.kind {
                SECTION => self.interfaces.clear(),
                INTERFACE if self.interfaces.len() < INTERFACES => {
                    self.interfaces.push(interface(order, &body).ok_or(Error::Block)?);
                }
                ENHANCED => {
                    if let Some(frame) = self.enhanced(order, body)? {
                        return Ok(Some(frame));
                    }
                }
                SIMPLE => {
                    if let Some(frame) = self.simple(order, body)? {
                        return Ok(Some(frame));
                    }
                }
                _ => {}
            }
        }
    }

    /// A whole block, between its two lengths.
    fn block(&mut self, buffer: &mut BytesMut) -> Result<Option<Block>, Error> {
        if buffer.len() < 12 {
            return Ok(None);
        }
        // The type of a section's block reads the same both ways; what follows its length tells the order.
        if Order::Big.u32(buffer, 0) == Some(SECTION) {
            self.order = match buffer.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Some(Order::Big),
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Some(Order::Little),
                _ => return Err(Error::Block),
            };
        }
        let order = self.order.ok_or(Error::Block)?;
        let (kind, length) = (order.u32(buffer, 0).unwrap_or_default(), order.u32(buffer, 4).unwrap_or_default());
        let length = length as usize;
        if length > LONGEST {
            return Err(Error::Length(length));
        }
        if length < 12 || !length.is_multiple_of(4) {
            return Err(Error::Block);
        }
        if buffer.len() < length {
            return Ok(None);
        }
        let mut block = buffer.split_to(length).freeze();
        block.advance(8);
        if order.u32(&block, block.len() - 4) != Some(length as u32) {
            return Err(Error::Block);
        }
        block.truncate(block.len() - 4);
        Ok(Some(Block { kind, body: block }))
    }

    fn enhanced(&self, order: Order, body: Bytes) -> Result<Option<Frame>, Error> {
        let word = |at| order.u32(&body, at).ok_or(Error::Block);
        let (number, high, low, captured, length) = (word(0)?, word(4)?, word(8)?, word(12)?, word(16)?);
        let octets = part(&body, 20, captured).ok_or(Error::Block)?;
        let Some(interface) = self.interfaces.get(number as usize) else { return Ok(None) };
        let at = interface.time(u64::from(high) << 32 | u64::from(low));
        Ok(Some(Frame { at, link: interface.link, octets, length }))
    }

    /// A frame of the first interface, without a time.
    fn simple(&self, order: Order, body: Bytes) -> Result<Option<Frame>, Error> {
        let length = order.u32(&body, 0).ok_or(Error::Block)?;
        let captured = length.min((body.len() - 4) as u32);
        let octets = part(&body, 4, captured).ok_or(Error::Block)?;
        let link = self.interfaces.first().map(|interface| interface.link);
        Ok(link.map(|link| Frame { at: Duration::ZERO, link, octets, length }))
    }
}

struct Block {
    kind: u32,
    body: Bytes,
}

fn part(body: &Bytes, from: usize, length: u32) -> Option<Bytes> {
    let end = from.checked_add(length as usize)?;
    (end <= body.len()).then(|| body.slice(from..end))
}

fn interface(order: Order, body: &[u8]) -> Option<Interface> {
    let mut interface = Interface { link: order.u16(body, 0)?, units: 1_000_000, offset: 0 };
    let mut options = body.get(8..)?;
    while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
        let value = options.get(4..4 + usize::from(length))?;
        match (code, value) {
            (0, _) => break,
            (TIME_RESOLUTION, [power]) => interface.units = units(*power)?,
            (TIME_OFFSET, [_, _, _, _, _, _, _, _]) => {
                let (first, second) = (order.u32(value, 0)?, order.u32(value, 4)?);
                let (high, low) = if order == Order::Big { (first, second) } else { (second, first) };
                interface.offset = (u64::from(high) << 32 | u64::from(low)) as i64;
            }
            _ => {}
        }
        options = options.get(4 + usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(interface)
}

/// Units a second: a power of ten, or with the highest bit one of two.
fn units(power: u8) -> Option<u64> {
    if power & 0x80 == 0 { 10u64.checked_pow(power.into()) } else { 2u64.checked_pow((power & 0x7f).into()) }
}

impl Interface {
    fn time(&self, units: u64) -> Duration {
        let seconds = (units / self.units).saturating_add_signed(self.offset);
        let rest = u128::from(units % self.units) * 1_000_000_000 / u128::from(self.units);
        Duration::from_secs(seconds) + Duration::from_nanos(rest as u64)
    }
}
