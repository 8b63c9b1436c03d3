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

    /// Moves up to `most` pieces of mail to the end of `into`; whether more are left.
    pub(super) fn take(&self, into: &mut VecDeque<T>, most: usize) -> bool {
        if self.notified.swap(false, Ordering::AcqRel) {
            let mut count = [0; 8];
            // Empty only when the writer has not come so far yet: then it wakes us once more, for nothing.
            let _ = rustix::io::read(&self.wake, &mut count);
        }
        let mut queue = self.lock();
        let take = queue.len().min(most);
        into.extend(queue.drain(..take));
        !queue.is_empty()
    }

    fn notify(&self) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then it wakes too.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
