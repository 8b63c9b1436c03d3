//! What a worker counts about its sockets.

use serde_json::{Value, json};

use super::connection::Closed;
use crate::admin::{Answer, merge};

/// Counters of one worker; plain numbers, read by its own thread.
#[derive(Debug, Default, Clone)]
pub(super) struct Stats {
    /// Datagrams received.
    pub(super) udp_rx: u64,
    /// Datagrams sent.
    pub(super) udp_tx: u64,
    /// Datagrams that the kernel did not take.
    pub(super) udp_tx_failed: u64,
    /// Datagrams received on plain sockets.
    pub(super) plain_rx: u64,
    /// Datagrams sent from plain sockets.
    pub(super) plain_tx: u64,
    /// Datagrams of plain sockets that the kernel did not take.
    pub(super) plain_tx_failed: u64,
    /// Messages received on streams.
    pub(super) stream_rx: u64,
    /// Messages handed to streams.
    pub(super) stream_tx: u64,
    /// Transmits whose connection is gone.
    pub(super) stream_tx_failed: u64,
    /// Empty, CRLF or zero datagrams, pings and pongs.
    pub(super) keepalives: u64,
    /// Datagrams that are no SIP message within the limits.
    pub(super) unparsed: u64,
    /// Connections taken from listeners.
    pub(super) accepted: u64,
    /// TLS connections whose client proved a domain.
    pub(super) identified: u64,
    /// Connections made.
    pub(super) connected: u64,
    /// Connects that failed.
    pub(super) connect_failed: u64,
    /// Connections refused because the table is full.
    pub(super) refused: u64,
    /// Connections refused because their source has as many as it may.
    pub(super) refused_source: u64,
    /// Messages and transmits for another worker whose mailbox was full.
    pub(super) overflow: u64,
    /// Connections closed, by reason.
    pub(super) closed: [u64; 8],
}

/// A machine's answer to `stats` with the driver's counters beside it.
pub(super) fn beside(answer: Option<Answer>, counters: Value) -> Option<Answer> {
    let mut stats = match answer {
        Some(Ok(stats)) => stats,
        Some(Err(why)) => return Some(Err(why)),
        None => Value::Null,
    };
    merge(&mut stats, counters);
    Some(Ok(stats))
}

/// Names of the reasons, in the order of [`index`].
const REASONS: [&str; 8] = ["peer", "error", "tls", "framing", "slow", "idle", "full", "us"];

fn index(why: Closed) -> usize {
    match why {
        Closed::Peer => 0,
        Closed::Error(_) => 1,
        Closed::Tls => 2,
        Closed::Framing => 3,
        Closed::Slow => 4,
        Closed::Idle => 5,
        Closed::Full => 6,
        Closed::Us => 7,
    }
}

impl Stats {
    pub(super) fn closed(&mut self, why: Closed) {
        if let Some(count) = self.closed.get_mut(index(why)) {
            *count += 1;
        }
    }

    /// As part of the answer to `stats`.
    pub(super) fn to_value(&self, connections: usize) -> Value {
        let mut value = json!({
            "connections": connections,
            "io_udp_rx": self.udp_rx,
            "io_udp_tx": self.udp_tx,
            "io_udp_tx_failed": self.udp_tx_failed,
            "io_plain_rx": self.plain_rx,
            "io_plain_tx": self.plain_tx,
            "io_plain_tx_failed": self.plain_tx_failed,
            "io_stream_rx": self.stream_rx,
            "io_stream_tx": self.stream_tx,
            "io_stream_tx_failed": self.stream_tx_failed,
            "io_keepalives": self.keepalives,
            "io_unparsed": self.unparsed,
            "io_accepted": self.accepted,
            "io_identified": self.identified,
            "io_connected": self.connected,
            "io_connect_failed": self.connect_failed,
            "io_refused": self.refused,
            "io_refused_source": self.refused_source,
            "io_overflow": self.overflow,
        });
        if let Value::Object(map) = &mut value {
            for (name, count) in REASONS.iter().zip(self.closed) {
                map.insert(format!("io_closed_{name}"), count.into());
            }
        }
        value
    }
}
