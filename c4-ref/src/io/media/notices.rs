//! Timeouts are told: to the log, and to whoever listens for them.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::json;

use crate::relay::TimeoutKind;

/// Where notices go.
#[derive(Default)]
pub(super) struct Notices(Option<(UdpSocket, SocketAddr)>);

impl Notices {
    /// One JSON datagram a notice to this address.
    pub(super) fn to(address: Option<SocketAddr>) -> std::io::Result<Notices> {
        let Some(address) = address else { return Ok(Notices(None)) };
        let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        Ok(Notices(Some((socket, address))))
    }

    /// A call has ended by itself.
    pub(super) fn timeout(&self, kind: TimeoutKind, call_id: &str, from_tag: Option<&str>, since: Option<Duration>) {
        let event = kind.as_str();
        let since = since.map(|since| since.as_millis() as u64);
        tracing::info!(call_id, event, last_packet_ms = since, "a call has ended by itself");
        let Some((socket, address)) = &self.0 else { return };
        let notice = json!({ "event": event, "call-id": call_id, "from-tag": from_tag, "last-packet-ms": since });
        if let Err(error) = socket.send_to(notice.to_string().as_bytes(), address) {
            tracing::debug!(%error, "a notice was not sent");
        }
    }
}
