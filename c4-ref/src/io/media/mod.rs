//! The driver of media: one thread, one machine, its sockets. No queue, allocation or lock on the way of a packet.
//!
//! The first worker has the NG server too; requests of calls that another one has cross by its mailbox, and so do the
//! replies.

mod control;
mod notices;
mod shards;
mod sockets;
#[cfg(test)]
mod tests;
mod worker;

pub(super) use sockets::bind;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::server::{Boxes, Life, Order, Server};
use super::sockets::Sockets;
use crate::ng;
use crate::relay::RequestId;
use crate::relay::media::MediaMachine;

/// What the workers need besides machines.
pub struct MediaOptions {
    /// Name of the role, for threads and `info`.
    pub name: &'static str,
    /// The NG server and the sockets of its one worker; without it nobody asks the machines.
    pub ng: Option<(ng::server::Server, Sockets)>,
    /// Where timeouts are told, one JSON datagram each.
    pub notify: Option<SocketAddr>,
    /// Sockets of media at most, of all workers together.
    pub max_sockets: usize,
    /// Key of the choice of a call's worker.
    pub key: [u8; 16],
}

impl MediaOptions {
    /// No NG server, no notices, no bound.
    pub fn new(name: &'static str) -> MediaOptions {
        MediaOptions { name, ng: None, notify: None, max_sockets: usize::MAX, key: [0; 16] }
    }
}

/// What a worker is sent.
enum Mail {
    /// What every worker hears.
    Order(Order),
    /// A request for a call of this worker.
    Request { id: RequestId, request: Box<ng::Request> },
    /// A reply, to the first worker.
    Reply { id: RequestId, reply: ng::Reply },
}

impl From<Order> for Mail {
    fn from(order: Order) -> Mail {
        Mail::Order(order)
    }
}

type Mailboxes = Arc<Boxes<Mail>>;

impl Server {
    /// Starts a thread for each machine.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll set.
    pub fn start_media<M>(machines: Vec<M>, options: MediaOptions) -> io::Result<Server>
    where
        M: MediaMachine + Send + 'static,
    {
        let MediaOptions { name, mut ng, notify, max_sockets, key } = options;
        let listeners = ng.as_ref().map(|(_, sockets)| sockets.listeners().into()).unwrap_or_default();
        let boxes: Mailboxes = Arc::new(Boxes(machines.iter().map(|_| Mailbox::new()).collect::<io::Result<_>>()?));
        let room = sockets::Room::new(max_sockets);
        let mut lives = Vec::<Life>::new();
        for (index, machine) in machines.into_iter().enumerate() {
            let notices = notices::Notices::to(notify)?;
            let mut worker = worker::Worker::new(index, machine, boxes.clone(), room.clone(), notices)?;
            if let Some((server, sockets)) = ng.take() {
                worker.control(server, sockets, key)?;
            }
            lives.push(Box::new(|| worker.run()));
        }
        Server::launch(name, boxes, listeners, lives)
    }
}
