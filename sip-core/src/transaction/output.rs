//! Queues of what waits to be polled, and what a state machine may touch.

use super::config::Ticks;
use super::event::{Event, Transmit};
use super::id::{Kind, TransmitId, with_kind};
use super::room::pop;
use super::stats::Stats;
use super::timer::{Timer, TimerTable};
use crate::flow::Flow;
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
    pub(super) stats: Stats,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.transmits.is_empty() && self.events.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.transmits.len().max(self.events.len())
    }

    pub(super) fn transmit(&mut self) -> Option<Transmit> {
        pop(&mut self.transmits)
    }

    pub(super) fn event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }
}

/// What the state machine of one transaction works with.
pub(super) struct Cx<'a> {
    /// The name of the transaction.
    pub(super) raw: u64,
    /// The present in ticks, rounded up, so that no timer is short.
    pub(super) now: u64,
    pub(super) timers: &'a mut TimerTable,
    pub(super) ticks: &'a Ticks,
    pub(super) out: &'a mut Output,
}

impl Cx<'_> {
    pub(super) fn arm(&mut self, timer: Timer, after: u64) {
        self.timers.set(timer, self.now.saturating_add(after));
    }

    pub(super) fn send(&mut self, flow: &Flow, payload: &Bytes) {
        self.out.transmits.push_back(Transmit { id: TransmitId(self.raw), flow: *flow, payload: payload.clone() });
    }

    pub(super) fn send_cancel(&mut self, flow: &Flow, payload: &Bytes) {
        let id = TransmitId(with_kind(self.raw, Kind::Cancel));
        self.out.transmits.push_back(Transmit { id, flow: *flow, payload: payload.clone() });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.events.push_back(event);
    }
}

/// What becomes of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The transaction user gets it.
    Pass,
    /// The transaction layer has dealt with it.
    Absorb,
}
