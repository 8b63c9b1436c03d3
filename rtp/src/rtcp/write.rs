//! Writers: each appends one packet to a buffer. Lists are cut to what fits a packet: 31 blocks or sources, 255 octets.

use super::{Block, SenderInfo};

fn packet(out: &mut Vec<u8>, packet_type: u8, count: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count as u8, packet_type, 0, 0]);
    body(out);
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    if let Some(place) = out.get_mut(start + 2..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *place = words.to_be_bytes();
    }
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn cut<T>(list: &[T], most: usize) -> &[T] {
    list.get(..most).unwrap_or(list)
}

fn blocks(out: &mut Vec<u8>, blocks: &[Block]) {
    for block in blocks {
        let loss = u32::from(block.fraction_lost) << 24 | block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let Block { ssrc, highest, jitter, last_sr, delay_since_last_sr, .. } = *block;
        words(out, &[ssrc, loss, highest, jitter, last_sr, delay_since_last_sr]);
    }
}

/// A sender report (RFC 3550 §6.4.1).
pub fn sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, reports: &[Block]) {
    let reports = cut(reports, 31);
    packet(out, super::SR, reports.len(), |out| {
        words(out, &[ssrc, (info.ntp >> 32) as u32, info.ntp as u32, info.rtp, info.packets, info.octets]);
        blocks(out, reports);
    });
}

/// A receiver report (RFC 3550 §6.4.2).
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, reports: &[Block]) {
    let reports = cut(reports, 31);
    packet(out, super::RR, reports.len(), |out| {
        words(out, &[ssrc]);
        blocks(out, reports);
    });
}

/// A source description with nothing but a CNAME (RFC 3550 §6.5.1).
pub fn cname(out: &mut Vec<u8>, ssrc: u32, name: &[u8]) {
    let name = cut(name, 255);
    packet(out, super::SDES, 1, |out| {
        words(out, &[ssrc]);
        out.extend_from_slice(&[1, name.len() as u8]);
        out.extend_from_slice(name);
        out.push(0);
    });
}

/// A goodbye (RFC 3550 §6.6).
pub fn bye(out: &mut Vec<u8>, sources: &[u32], reason: Option<&[u8]>) {
    let sources = cut(sources, 31);
    packet(out, super::BYE, sources.len(), |out| {
        words(out, sources);
        if let Some(reason) = reason.map(|reason| cut(reason, 255)) {
            out.push(reason.len() as u8);
            out.extend_from_slice(reason);
        }
    });
}

/// An application-defined packet (RFC 3550 §6.7): `subtype` 0 to 31; data is filled up to words and cut at 1024 octets.
pub fn app(out: &mut Vec<u8>, subtype: u8, ssrc: u32, name: [u8; 4], data: &[u8]) {
    packet(out, super::APP, usize::from(subtype & 0x1f), |out| {
        words(out, &[ssrc]);
        out.extend_from_slice(&name);
        out.extend_from_slice(cut(data, 1024));
    });
}
