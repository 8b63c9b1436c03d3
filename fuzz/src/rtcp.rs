//! RTCP: a compound is taken apart without a gap, and what its packets say survives writing and reading.

use rtp::rtcp::{Compound, Packet, write};

/// Any datagram of a media port.
///
/// # Panics
/// When octets belong to no packet, or what is written reads otherwise.
pub fn run(octets: &[u8]) {
    let strict = Compound::read(octets);
    let Ok(compound) = Compound::read_reduced(octets) else {
        assert!(strict.is_err(), "the reduced-size reader takes whatever the strict one takes");
        return;
    };
    let mut told = 0;
    for packet in compound {
        told += 4 + packet.body.len();
        _ = packet.ssrc();
        reports(&packet);
        descriptions(&packet);
        others(&packet);
    }
    let padding = octets.len().checked_sub(told).expect("no octet is told twice");
    assert!(padding <= 255, "every octet has one place: {padding}");
}

/// The one packet of what was written.
fn only(octets: &[u8]) -> Packet<'_> {
    let mut compound = Compound::read_reduced(octets).expect("what we write can be read");
    let packet = compound.next().expect("one packet");
    assert!(compound.next().is_none(), "one packet");
    packet
}

fn reports(packet: &Packet<'_>) {
    let mut out = Vec::new();
    if let Some(Ok(report)) = packet.sender_report() {
        let blocks: Vec<_> = report.blocks().collect();
        blocks.iter().for_each(|block| _ = block.round_trip(report.info.rtp));
        write::sender_report(&mut out, report.ssrc, &report.info, &blocks);
        let again = only(&out).sender_report().expect("a sender report").expect("a whole one");
        assert_eq!((again.ssrc, again.info), (report.ssrc, report.info));
        assert!(again.blocks().eq(blocks));
    } else if let Some(Ok(report)) = packet.receiver_report() {
        let blocks: Vec<_> = report.blocks().collect();
        write::receiver_report(&mut out, report.ssrc, &blocks);
        let again = only(&out).receiver_report().expect("a receiver report").expect("a whole one");
        assert_eq!(again.ssrc, report.ssrc);
        assert!(again.blocks().eq(blocks));
    }
}

fn descriptions(packet: &Packet<'_>) {
    let mut chunks = 0;
    for chunk in packet.chunks() {
        chunks += 1;
        let Ok(chunk) = chunk else { continue };
        let octets: usize = chunk.items().map(|item| 2 + item.text.len()).sum();
        assert!(octets < packet.body.len(), "items are of the body");
        let Some(name) = chunk.cname() else { continue };
        let mut out = Vec::new();
        write::cname(&mut out, chunk.ssrc, name);
        let again = only(&out).chunks().next().expect("a chunk").expect("a whole one");
        assert_eq!((again.ssrc, again.cname()), (chunk.ssrc, Some(name)));
    }
    assert!(chunks <= packet.count, "no more chunks than the header says");
}

fn others(packet: &Packet<'_>) {
    let mut out = Vec::new();
    if let Some(Ok(bye)) = packet.bye() {
        let sources: Vec<_> = bye.sources().collect();
        assert_eq!(sources.len(), usize::from(packet.count));
        write::bye(&mut out, &sources, bye.reason);
        let again = only(&out).bye().expect("a goodbye").expect("a whole one");
        assert!(again.sources().eq(sources) && again.reason == bye.reason);
    } else if let Some(Ok(app)) = packet.app() {
        write::app(&mut out, packet.count, app.ssrc, app.name, app.data);
        let packet = only(&out);
        let again = packet.app().expect("an application's packet").expect("a whole one");
        assert_eq!((again.ssrc, again.name), (app.ssrc, app.name));
        let kept = app.data.get(..1024).unwrap_or(app.data);
        assert!(again.data.starts_with(kept) && again.data.len() < kept.len() + 4, "filled up to words");
    }
}
