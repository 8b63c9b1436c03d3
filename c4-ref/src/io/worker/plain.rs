//! Sockets whose datagrams are no SIP: the machine reads them itself.

use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use super::super::poller::{Interest, Poller};
use super::super::udp::Udp;
use super::{Mail, OUTPUTS, PLAIN, Worker};
use crate::machine::Machine;

/// Watches a worker's plain sockets.
pub(super) fn open(poller: &Poller, sockets: Vec<UdpSocket>) -> io::Result<Vec<Udp>> {
    let watch = |(socket, token): (UdpSocket, u64)| {
        poller.add(&socket, token, Interest::Read)?;
        let local = socket.local_addr()?;
        Ok(Udp::new(socket, local))
    };
    sockets.into_iter().zip(PLAIN..).map(watch).collect()
}

impl<M: Machine> Worker<M> {
    pub(super) fn plain_datagrams(&mut self, now: Instant, n: usize) {
        let Worker { plain, buffer, machine, stats, boxes, index, .. } = self;
        let Some(udp) = plain.get_mut(n) else { return };
        udp.receive(buffer, |from, payload| {
            stats.plain_rx += 1;
            let shard = machine.datagram_shard(n, &payload).filter(|shard| *shard != *index);
            match shard.and_then(|shard| boxes.0.get(shard)) {
                None => machine.handle_datagram(now, n, from, payload),
                Some(mailbox) => {
                    let offered = mailbox.offer(Mail::Datagram { socket: n, from, payload });
                    stats.overflow += u64::from(offered.is_err());
                }
            }
        });
    }

    pub(super) fn send_plain(&mut self) {
        for _ in 0..OUTPUTS {
            let Some(datagram) = self.machine.poll_datagram() else { return };
            let udp = self.plain.get(datagram.socket);
            // A full send buffer, or what ICMP reported about an earlier one: as if the network had lost it.
            if udp.is_some_and(|udp| udp.socket.send_to(&datagram.payload, datagram.to).is_ok()) {
                self.stats.plain_tx += 1;
            } else {
                self.stats.plain_tx_failed += 1;
            }
        }
        self.busy = true;
    }
}
