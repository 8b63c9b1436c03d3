//! How many calls all workers of a relay have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts the calls of all workers, and bounds them. A clone is the same count.
///
/// ```
/// use c4_ref::relay::Sessions;
/// let sessions = Sessions::new(1);
/// assert!(sessions.take() && !sessions.clone().take());
/// sessions.give();
/// assert!(sessions.take());
/// ```
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: AtomicUsize,
    calls: AtomicUsize,
    draining: AtomicBool,
}

impl Sessions {
    /// None yet, and never more than `most`; 0: no limit.
    pub fn new(most: usize) -> Sessions {
        let (most, calls, draining) = (AtomicUsize::new(most), AtomicUsize::new(0), AtomicBool::new(false));
        Sessions(Arc::new(Shared { most, calls, draining }))
    }

    /// From now on never more than `most`, but for those that are there; 0: no limit.
    pub fn limit(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    /// Whether none is to be added, whatever the limit.
    pub fn drain(&self, draining: bool) {
        self.0.draining.store(draining, Ordering::Relaxed);
    }

    /// Whether none is to be added.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// One more, if there may be.
    pub fn take(&self) -> bool {
        let most = match self.0.most.load(Ordering::Relaxed) {
            _ if self.is_draining() => 0,
            0 => usize::MAX,
            most => most,
        };
        let more = |calls: usize| (calls < most).then_some(calls + 1);
        self.0.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// One less.
    pub fn give(&self) {
        let less = |calls: usize| calls.checked_sub(1);
        let _ = self.0.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_added_while_it_drains_or_beyond_the_limit() {
        let sessions = Sessions::new(0);
        assert!(sessions.take());
        sessions.drain(true);
        assert!(!sessions.take() && sessions.is_draining());
        sessions.drain(false);
        assert!(sessions.take());
        sessions.limit(2);
        assert!(!sessions.take());
        (0..5).for_each(|_| sessions.give());
        assert!(sessions.take() && sessions.take() && !sessions.take());
    }
}
