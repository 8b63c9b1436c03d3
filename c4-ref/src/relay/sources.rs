//! What `query` says of each source of RTP: packets, loss, jitter, and its quality in rtpengine's words.

use std::time::Duration;

use super::machine::Relay;
use super::media::{Sample, SocketId, StreamStats};
use crate::ng::bencode::{Dictionary, Value};

impl Relay {
    /// One entry of `SSRC`.
    pub(super) fn source_tree(&self, stats: &StreamStats) -> Value {
        let mut tree = Dictionary::new();
        for (key, number) in [
            ("packets", stats.received.packets),
            ("bytes", stats.received.octets),
            ("cumulative loss", stats.loss.lost),
            ("duplicates", stats.duplicates.into()),
            ("packet loss", stats.loss.percent().round() as u64),
            ("jitter", stats.jitter_ms.round() as u64),
            ("last packet", self.unix(stats.last_packet).as_secs()),
        ] {
            tree.insert(key.into(), number.into());
        }
        let quality = &stats.quality;
        if let Some(average) = quality.average(stats.last_packet) {
            let mut dict = sample_tree(&average);
            dict.insert("samples".into(), quality.samples.into());
            tree.insert("average MOS".into(), Value::Dict(dict));
        }
        for (key, sample) in [("lowest MOS", quality.lowest), ("highest MOS", quality.highest)] {
            if let Some(sample) = sample {
                let mut dict = sample_tree(&sample);
                dict.insert("reported at".into(), self.unix(sample.at).as_secs().into());
                tree.insert(key.into(), Value::Dict(dict));
            }
        }
        Value::Dict(tree)
    }

    /// The sources of one socket, as later releases of rtpengine list them by stream.
    pub(super) fn ingress_tree(&self, socket: SocketId) -> Value {
        let one = |stats: StreamStats| {
            Value::dict([
                ("SSRC", stats.ssrc.into()),
                ("packets", stats.received.packets.into()),
                ("bytes", stats.received.octets.into()),
                ("last RTP timestamp", stats.timestamp.into()),
                ("last RTP seq", u64::from(stats.highest_sequence & 0xffff).into()),
            ])
        };
        Value::List(self.media.streams(socket).map(one).collect())
    }
}

/// MOS in tenths, times in microseconds, jitter in ms, loss in percent; an unknown time is 0.
fn sample_tree(sample: &Sample) -> Dictionary {
    let us = |time: Option<Duration>| time.unwrap_or_default().as_micros() as u64;
    let mut dict = Dictionary::new();
    if let Some(mos) = sample.mos {
        dict.insert("MOS".into(), ((mos * 10.0).round() as u64).into());
    }
    for (key, number) in [
        ("round-trip time", us(sample.round_trip)),
        ("round-trip time leg", us(sample.round_trip_leg)),
        ("jitter", sample.jitter_ms.round() as u64),
        ("packet loss", sample.loss_percent.round() as u64),
    ] {
        dict.insert(key.into(), number.into());
    }
    dict
}
