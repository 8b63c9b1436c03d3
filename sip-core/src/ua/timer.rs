//! The timer table of a user agent: what is due, and when.
use super::ids::{DialogKey, RegistrationId, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Everything that a user agent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Send the 2xx again while there is no ACK (RFC 3261 §13.3.1.4).
    Retransmit2xx(SessionId),
    /// No ACK came in 64*T1: hang up (RFC 3261 §13.3.1.4).
    NoAck(SessionId),
    /// Repeat the provisional response each minute (RFC 3261 §13.3.1.1).
    Provisional(SessionId),
    /// Try the re-INVITE again after 491 (RFC 3261 §14.1).
    Glare(SessionId),
    /// Send the BYE of a dialog: the layer had no room for it.
    Bye(SessionId, DialogKey),
    /// Register again: a refresh, or another try after a failure.
    Register(RegistrationId),
}

/// Timers by time and by name.
#[derive(Clone, Default, Hash)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// (Re)starts a timer.
    pub(crate) fn start(&mut self, timer: Timer, at: Instant) {
        self.stop(timer);
        self.due.insert((at, timer));
        self.at.insert(timer, at);
    }

    /// Stops a timer, running or not.
    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }
}
