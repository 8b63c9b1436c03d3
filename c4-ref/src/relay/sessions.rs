//! How many calls all workers of a relay have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the calls of all workers, and bounds them. A clone counts the same calls.
///
/// ```
/// use c4_ref::relay::Sessions;
/// let sessions = Sessions::new(1);
/// assert!(sessions.take() && !sessions.clone().take());
/// sessions.give();
/// assert!(sessions.take());
/// ```
#[derive(Debug, Clone)]
pub struct Sessions {
    most: usize,
    calls: Arc<AtomicUsize>,
}

impl Sessions {
    /// None yet, and never more than `most`; 0: no limit.
    pub fn new(most: usize) -> Sessions {
        let most = if most == 0 { usize::MAX } else { most };
        Sessions { most, calls: Arc::default() }
    }

    /// One more, if there may be.
    pub fn take(&self) -> bool {
        let more = |calls: usize| (calls < self.most).then_some(calls + 1);
        self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// One less.
    pub fn give(&self) {
        let less = |calls: usize| calls.checked_sub(1);
        let _ = self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}
