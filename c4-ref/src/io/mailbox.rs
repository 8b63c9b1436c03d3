//! The bounded queue into a worker, the only way by which one thread reaches another's machine.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Messages and transmits a mailbox holds at most; what must not be lost (closed flows, commands) is bounded where it
/// comes from.
pub(super) const CAPACITY: usize = 16 * 1024;

/// The queue and the descriptor that wakes its reader.
pub(super) struct Mailbox<T> {
    queue: Mutex<VecDeque<T>>,
    /// Set while a wake-up is on its way, so that a burst costs one.
    notified: AtomicBool,
    wake: OwnedFd,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> io::Result<Mailbox<T>> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Mailbox { queue: Mutex::new(VecDeque::new()), notified: AtomicBool::new(false), wake })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Puts a message or transmit in.
    ///
    /// # Errors
    /// Gives it back when the queue is full.
    pub(super) fn offer(&self, mail: T) -> Result<(), T> {
        {
            let mut queue = self.lock();
            if queue.len() >= CAPACITY {
                return Err(mail);
            }
            queue.push_back(mail);
        }
        self.notify();
        Ok(())
    }

    /// Puts in what must not be lost.
    pub(super) fn push(&self, mail: T) {
        self.lock().push_back(mail);
        self.notify();
    }

    /// Moves up to `most` pieces of mail to the end of `into`. What is left wakes the reader again.
    ///
    /// The order keeps every piece from sleeping: the descriptor is emptied, then the flag, then the queue. A writer that
    /// still sees the flag has put its mail in before the queue is looked at; one that does not writes to the descriptor.
    pub(super) fn take(&self, into: &mut VecDeque<T>, most: usize) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        self.notified.store(false, Ordering::SeqCst);
        let left = {
            let mut queue = self.lock();
            let take = queue.len().min(most);
            into.extend(queue.drain(..take));
            !queue.is_empty()
        };
        if left {
            self.notify();
        }
    }

    fn notify(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            // Fails only when the counter is full, and then it wakes too.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::{Events, Interest, Poller};
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn every_piece_of_mail_wakes_its_reader() {
        const WRITERS: usize = 3;
        const EACH: usize = 30_000;
        let mailbox = Arc::new(Mailbox::new().unwrap());
        let poller = Poller::new().unwrap();
        poller.add(mailbox.fd(), 0, Interest::Read).unwrap();
        let write = |mailbox: Arc<Mailbox<usize>>| {
            move || {
                for n in 0..EACH {
                    while mailbox.offer(n).is_err() {
                        std::thread::yield_now();
                    }
                }
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| std::thread::spawn(write(mailbox.clone()))).collect();
        let (mut mail, mut events, mut got) = (VecDeque::new(), Events::new(), 0);
        while got < WRITERS * EACH {
            poller.wait(Some(Duration::from_secs(20)), &mut events).unwrap();
            assert!(events.iter().next().is_some(), "mail sleeps after {got} pieces");
            mailbox.take(&mut mail, 7);
            got += mail.drain(..).count();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    }
}
