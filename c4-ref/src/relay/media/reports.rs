//! RTCP on its way: sender reports that start a round trip, and what receivers say of a stream.

use std::time::Instant;

use rtp::rtcp::{Block, Compound};

use super::{Media, SocketId};

impl Media {
    /// Reads a compound packet that came to `socket` and goes out of `out`. What cannot be read counts for nothing.
    #[cold]
    pub(super) fn read_reports(&mut self, now: Instant, socket: SocketId, out: SocketId, payload: &[u8]) {
        let (own, peer) = (rtp_of(socket), rtp_of(out));
        if self.socket(socket).is_none_or(|socket| socket.setup.secured) {
            return;
        }
        let Ok(compound) = Compound::read(payload) else { return };
        for packet in compound {
            if let Some(Ok(report)) = packet.sender_report() {
                if let Some(stream) = self.socket_mut(own).and_then(|own| own.streams.get_mut(report.ssrc)) {
                    stream.sender_report(now, report.info.ntp);
                }
                report.blocks().for_each(|block| self.read_block(now, own, peer, &block));
            }
            if let Some(Ok(report)) = packet.receiver_report() {
                report.blocks().for_each(|block| self.read_block(now, own, peer, &block));
            }
        }
    }

    /// The party of `own` says this of a source of `peer`.
    fn read_block(&mut self, now: Instant, own: SocketId, peer: SocketId, block: &Block) {
        let Some(sender) = self.socket_mut(peer) else { return };
        let other = sender.leg;
        let Some(stream) = sender.streams.get_mut(block.ssrc) else { return };
        let leg = stream.round_trip(now, block);
        stream.receiver_report(now, block, leg, other);
        if let Some(own) = self.socket_mut(own).filter(|_| leg.is_some()) {
            own.leg = leg;
        }
    }
}

/// The RTP socket of a pair.
fn rtp_of(socket: SocketId) -> SocketId {
    SocketId(socket.0 & !1)
}
