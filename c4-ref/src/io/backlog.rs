//! What waits for a writer thread, bounded in octets, and the thread's loop: gather, write, and after a failure again.
//!
//! A disk that is slow makes the workers wait a little; one that fails or hangs does not: calls go on, what finds the
//! backlog full is dropped and counted, the newest first, so that what was accepted is written whole and in order.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets that may wait for a disk: minutes of call records of a busy proxy.
pub(super) const BACKLOG: usize = 64 << 20;
/// How long a worker waits for room before the disk counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between a failure and the next attempt, doubled each time.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(5);
/// What an item costs besides its octets.
pub(super) const OVERHEAD: usize = 64;

/// Where a thread puts what it takes from the backlog.
pub(super) trait Sink {
    type Item;

    /// Takes an item into memory.
    fn take(&mut self, item: Self::Item);

    /// Writes what was taken, as far as the disk lets it; the rest is held for the next attempt.
    fn write(&mut self) -> Result<(), impl Display>;

    /// Octets taken and not written.
    fn held(&self) -> usize;
}

/// A look at the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Octets accepted and not written.
    pub(super) octets: usize,
    /// Items dropped since the start.
    pub(super) dropped: u64,
}

struct State<T> {
    items: VecDeque<T>,
    /// Octets of `items`.
    queued: usize,
    /// Octets that the thread holds.
    held: usize,
    /// The last attempt failed, or hangs: nobody waits for room.
    failing: bool,
    /// Do not wait for the time of the next attempt.
    urgent: bool,
    dropped: u64,
    /// Dropped before the present failure.
    dropped_before: u64,
    senders: usize,
}

struct Shared<T> {
    /// For the log.
    name: &'static str,
    most: usize,
    state: Mutex<State<T>>,
    news: Condvar,
    room: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backlog of `most` octets; `name` says in the log what it is of.
pub(super) fn backlog<T>(name: &'static str, most: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        queued: 0,
        held: 0,
        failing: false,
        urgent: false,
        dropped: 0,
        dropped_before: 0,
        senders: 1,
    };
    let shared = Arc::new(Shared { name, most, state: Mutex::new(state), news: Condvar::new(), room: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

/// The workers' side. When the last one is dropped, the thread writes what is left and ends.
pub(super) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Accepts an item of so many octets, or drops it.
    pub(super) fn offer(&self, item: T, octets: usize) {
        let octets = octets + OVERHEAD;
        let Shared { name, most, news, room, .. } = &*self.0;
        let mut state = self.0.lock();
        // One that is larger than all the room is taken when nothing else waits.
        while state.queued + state.held > 0 && state.queued + state.held + octets > *most {
            if !state.failing {
                let (back, timeout) = room.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
                state = back;
                state.failing |= timeout.timed_out();
                continue;
            }
            if state.dropped == state.dropped_before {
                tracing::error!(octets = most, "{name}: too much waits for the disk, what comes now is dropped");
            }
            state.dropped += 1;
            return;
        }
        state.push(item, octets, news);
    }

    /// Accepts an item whatever waits, and has the thread try again at once. Only for what an operator does.
    pub(super) fn urge(&self, item: T) {
        let mut state = self.0.lock();
        state.urgent = true;
        state.push(item, OVERHEAD, &self.0.news);
        self.0.news.notify_one();
    }

    #[cfg(test)]
    pub(super) fn is_failing(&self) -> bool {
        self.0.lock().failing
    }

    pub(super) fn waiting(&self) -> Waiting {
        let state = self.0.lock();
        Waiting { octets: state.queued + state.held, dropped: state.dropped }
    }
}

impl<T> State<T> {
    fn push(&mut self, item: T, octets: usize, news: &Condvar) {
        self.items.push_back(item);
        self.queued += octets;
        if self.items.len() == 1 {
            news.notify_one();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.news.notify_one();
    }
}

/// The thread's side.
pub(super) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The thread's whole life. An item waits `flush` at most for others to be written with it.
    pub(super) fn run(self, flush: Duration, mut sink: impl Sink<Item = T>) {
        let name = self.0.name;
        let mut retry: Option<Duration> = None;
        loop {
            let open = self.wait(retry);
            if retry.is_none() {
                if !open && self.0.lock().items.is_empty() {
                    return;
                }
                if open {
                    // Asleep, not waiting for news: else every item of the batch would wake this thread.
                    std::thread::sleep(flush);
                }
            }
            self.drain().into_iter().for_each(|item| sink.take(item));
            let result = sink.write().map_err(|error| error.to_string());
            let dropped = self.tried(sink.held(), result.is_err());
            match result {
                Ok(()) => {
                    if retry.take().is_some() {
                        tracing::warn!(dropped, "{name}: written again");
                    }
                }
                Err(error) => {
                    if retry.is_none() {
                        tracing::error!(error, "{name}: not written, tried again until it is");
                    }
                    if !open {
                        tracing::error!(octets = sink.held(), "{name}: the last ones were not written");
                        return;
                    }
                    retry = Some(retry.map_or(RETRY, |pause| (2 * pause).min(RETRY_MOST)));
                }
            }
        }
    }

    /// Waits for the first item, or for the time of the next attempt. Whether there are senders.
    fn wait(&self, retry: Option<Duration>) -> bool {
        let mut state = self.0.lock();
        match retry {
            None => {
                let idle = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
                state = self.0.news.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            }
            Some(pause) => {
                let early = |state: &mut State<T>| !state.urgent && state.senders > 0;
                let waited = self.0.news.wait_timeout_while(state, pause, early);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.urgent = false;
        state.senders > 0
    }

    /// What has queued up; it counts as held from now on.
    fn drain(&self) -> VecDeque<T> {
        let mut state = self.0.lock();
        state.held += std::mem::take(&mut state.queued);
        std::mem::take(&mut state.items)
    }

    /// An attempt to write is over; how many were dropped since it first failed.
    fn tried(&self, held: usize, failed: bool) -> u64 {
        let mut state = self.0.lock();
        state.held = held;
        state.failing = failed;
        let dropped = state.dropped - state.dropped_before;
        if !failed {
            state.dropped_before = state.dropped;
        }
        self.0.room.notify_all();
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver as Heard, channel};

    /// A disk that the test fills and empties; it tells what it writes, and that it could not.
    struct Disk {
        full: Arc<AtomicBool>,
        held: Vec<u32>,
        told: std::sync::mpsc::Sender<Option<Vec<u32>>>,
    }

    impl Sink for Disk {
        type Item = u32;

        fn take(&mut self, item: u32) {
            self.held.push(item);
        }

        fn write(&mut self) -> Result<(), impl Display> {
            let full = self.full.load(Ordering::SeqCst);
            let written = (!full).then(|| std::mem::take(&mut self.held));
            let _ = self.told.send(written);
            if full { Err("no space left") } else { Ok(()) }
        }

        fn held(&self) -> usize {
            self.held.len() * OVERHEAD
        }
    }

    type Rig = (Sender<u32>, Arc<AtomicBool>, Heard<Option<Vec<u32>>>, std::thread::JoinHandle<()>);

    fn rig(full: bool, most: usize) -> Rig {
        let (sender, receiver) = backlog("test", most);
        let full = Arc::new(AtomicBool::new(full));
        let (told, heard) = channel();
        let disk = Disk { full: full.clone(), held: Vec::new(), told };
        (sender, full, heard, std::thread::spawn(move || receiver.run(Duration::from_millis(1), disk)))
    }

    #[test]
    fn what_failed_is_tried_again_by_itself() {
        let (sender, full, heard, thread) = rig(true, 1000);
        sender.offer(1, 0);
        assert_eq!((heard.recv(), heard.recv()), (Ok(None), Ok(None)), "tried again without a further item");
        full.store(false, Ordering::SeqCst);
        assert_eq!(heard.iter().find_map(|told| told), Some(vec![1]));
        drop(sender);
        thread.join().unwrap();
    }

    #[test]
    fn the_newest_are_dropped_while_the_disk_fails_and_it_recovers() {
        let (sender, full, heard, thread) = rig(true, 3 * OVERHEAD);
        sender.offer(0, 0);
        heard.recv().unwrap();
        (1..10).for_each(|n| sender.offer(n, 0));
        assert_eq!(sender.waiting(), Waiting { octets: 3 * OVERHEAD, dropped: 7 });
        full.store(false, Ordering::SeqCst);
        let mut written: Vec<u32> = heard.iter().flatten().flatten().take(3).collect();
        assert!(super::super::tests::eventually(|| sender.waiting().octets == 0));
        sender.offer(10, 0);
        drop(sender);
        thread.join().unwrap();
        written.extend(heard.iter().flatten().flatten());
        assert_eq!(written, [0, 1, 2, 10]);
    }

    #[test]
    fn a_disk_that_is_only_slow_loses_nothing() {
        let (sender, _, heard, thread) = rig(false, 3 * OVERHEAD);
        let other = sender.clone();
        (0..100).for_each(|n| if n % 2 == 0 { sender.offer(n, 0) } else { other.offer(n, 5) });
        assert_eq!(sender.waiting().dropped, 0);
        drop((sender, other));
        thread.join().unwrap();
        assert_eq!(heard.iter().flatten().flatten().collect::<Vec<u32>>(), (0..100).collect::<Vec<u32>>());
    }
}
