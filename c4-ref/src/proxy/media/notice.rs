//! What relays tell by themselves: that a call's media has timed out. One JSON object a datagram, as c4-relay's
//! `relay.notify` sends them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::app::App;
use super::Media;
use super::watch::Why;

/// A notice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Notice<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    call_id: Cow<'a, str>,
    #[serde(borrow, default)]
    from_tag: Option<Cow<'a, str>>,
    /// Milliseconds since the last packet; missing: none came.
    #[serde(default)]
    last_packet_ms: Option<u64>,
}

/// The call that a notice is about.
pub(in super::super) fn call_id(payload: &[u8]) -> Option<String> {
    serde_json::from_slice::<Notice<'_>>(payload).ok().map(|notice| notice.call_id.into_owned())
}

impl Media {
    /// Whether a plain socket is the one for notices.
    pub(in super::super) fn is_for_notices(&self, socket: usize) -> bool {
        self.notices == Some(socket)
    }

    /// A datagram on the socket for notices. Only relays are heard.
    fn notice(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        let ip = from.ip().to_canonical();
        let mut addresses = self.client.nodes().flat_map(|(_, node, _)| [node.udp, node.tcp]).flatten();
        let known = addresses.any(|address| address.ip().to_canonical() == ip);
        let notice = serde_json::from_slice::<Notice<'_>>(payload).ok().filter(|_| known);
        let Some(notice) = notice.filter(|notice| notice.event.ends_with("-timeout")) else {
            self.counters.stray_notices += 1;
            return;
        };
        let since = notice.last_packet_ms.map(Duration::from_millis);
        // Nothing ever came: the record ends where it began.
        let ended = now.checked_sub(since.unwrap_or(super::super::calls::MAX_DIALOG_LIFE)).unwrap_or(now);
        let Some(watch) = &mut self.watch else { return };
        let found = watch.cut_call(&notice.call_id, notice.from_tag.as_deref(), Why::MediaTimeout, Some(ended));
        self.counters.notices += 1;
        self.counters.stray_notices += u64::from(found == 0);
    }
}

impl App {
    /// A datagram of a plain socket.
    pub(in super::super) fn media_datagram(
        &mut self,
        now: Instant,
        socket: usize,
        from: SocketAddr,
        payload: bytes::Bytes,
    ) {
        let Some(media) = &mut self.media else { return };
        if media.is_for_notices(socket) {
            media.notice(now, from, &payload);
        } else {
            media.handle_datagram(now, from, payload);
        }
        self.work(now);
    }
}
