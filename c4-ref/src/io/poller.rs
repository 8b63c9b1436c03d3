//! Readiness of file descriptors.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// What a file descriptor is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    Read,
    ReadWrite,
    Write,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Interest::Read => epoll::EventFlags::IN,
            Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Interest::Write => epoll::EventFlags::OUT,
        }
    }
}

/// A ready descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) token: u64,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

/// A level-triggered epoll set.
pub(super) struct Poller {
    epoll: OwnedFd,
}

/// What one wait found; made in the thread that uses it.
pub(super) struct Events(Vec<epoll::Event>);

impl Events {
    pub(super) fn new() -> Events {
        Events(Vec::with_capacity(EVENTS))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ready> {
        let failed = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        self.0.iter().map(move |event| {
            let flags = event.flags;
            Ready {
                token: event.data.u64(),
                readable: flags.intersects(epoll::EventFlags::IN | failed),
                writable: flags.intersects(epoll::EventFlags::OUT | failed),
            }
        })
    }
}

/// Events taken per wait; the rest come with the next.
const EVENTS: usize = 256;

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    pub(super) fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    pub(super) fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    pub(super) fn remove(&self, fd: impl AsFd) {
        // Fails only when it was never added; closing the descriptor removes it anyway.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or `timeout` has passed (`None`: without end).
    pub(super) fn wait(&self, timeout: Option<Duration>, events: &mut Events) -> io::Result<()> {
        events.0.clear();
        let timeout = timeout.map(|timeout| {
            // The system call counts milliseconds: rounded up, else the loop would spin until the timer is due.
            let millis = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i64;
            Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
