//! The driver of media: one thread, one machine, its sockets. No queue, allocation or lock on the way of a packet.

mod sockets;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::server::{Life, Post, Reply, Server};
use crate::admin::Command;
use crate::machine::News;
use crate::relay::media::MediaMachine;

/// What a worker is sent.
enum Mail {
    /// The operator asks.
    Command { command: Command, reply: Reply },
    /// The program stops.
    Stop,
}

struct Boxes(Vec<Arc<Mailbox<Mail>>>);

impl Post for Boxes {
    fn command(&self, worker: usize, command: Command, reply: Reply) {
        if let Some(mailbox) = self.0.get(worker) {
            mailbox.push(Mail::Command { command, reply });
        }
    }

    fn reload(&self, _: &News) {}

    fn stop(&self) {
        self.0.iter().for_each(|mailbox| mailbox.push(Mail::Stop));
    }

    fn workers(&self) -> usize {
        self.0.len()
    }
}

impl Server {
    /// Starts a thread for each machine; `name` is that of the threads.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll set.
    pub fn start_media<M>(name: &'static str, machines: Vec<M>) -> io::Result<Server>
    where
        M: MediaMachine + Send + 'static,
    {
        let boxes = machines.iter().map(|_| Mailbox::new().map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        let mut lives = Vec::<Life>::new();
        for (index, (machine, mailbox)) in machines.into_iter().zip(&boxes).enumerate() {
            let worker = worker::Worker::new(index, machine, mailbox.clone())?;
            lives.push(Box::new(|| worker.run()));
        }
        Server::launch(name, Arc::new(Boxes(boxes)), Vec::new().into(), lives)
    }
}
