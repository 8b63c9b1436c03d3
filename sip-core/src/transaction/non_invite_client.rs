//! The non-INVITE client transaction (RFC 3261 §17.1.2, Figure 6); also that of a CANCEL of ours, inside its INVITE's.

use super::output::{Cx, Verdict};
use super::timer::Timer;
use crate::flow::Flow;
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct NonInviteClient {
    state: State,
    /// None: waits for its connection.
    flow: Option<Flow>,
    /// The request, until the final response.
    payload: Bytes,
    interval: u64,
    /// Whether it is the CANCEL of an INVITE, with timers of its own in the same table.
    cancel: bool,
}

impl NonInviteClient {
    pub(super) fn new(payload: Bytes, cancel: bool) -> NonInviteClient {
        NonInviteClient { state: State::Trying, flow: None, payload, interval: 0, cancel }
    }

    /// Arms Timer F: it runs while the connection is made, too.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        let limit = cx.ticks.f;
        cx.arm(self.limit(), limit);
    }

    /// Sends the request for the first time.
    pub(super) fn connected(&mut self, cx: &mut Cx<'_>, flow: Flow) {
        if self.flow.is_some() || self.is_waiting() {
            return;
        }
        self.flow = Some(flow);
        cx.out.stats.req_sent += 1;
        self.send(cx);
        if !flow.transport.is_reliable() {
            self.interval = cx.ticks.t1;
            cx.arm(self.repeat(), self.interval);
        }
    }

    pub(super) fn on_response(&mut self, cx: &mut Cx<'_>, class: u8) -> Verdict {
        match self.state {
            State::Trying | State::Proceeding if class == 1 => {
                // Timer E goes on, from its next firing at T2.
                self.state = State::Proceeding;
                Verdict::Pass
            }
            State::Trying | State::Proceeding => {
                self.payload = Bytes::new();
                cx.timers.stop(self.repeat());
                if self.flow.is_some_and(|flow| !flow.transport.is_reliable()) {
                    self.state = State::Completed;
                    let linger = cx.ticks.t4;
                    cx.arm(self.limit(), linger);
                } else {
                    self.end(cx);
                }
                Verdict::Pass
            }
            State::Completed | State::Terminated => {
                cx.out.stats.absorbed += 1;
                Verdict::Absorb
            }
        }
    }

    /// Timer E, F or K. True when the request has timed out.
    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) -> bool {
        if timer == self.limit() {
            let timeout = !self.is_waiting();
            self.end(cx);
            return timeout;
        }
        if !self.is_waiting() {
            self.interval = match self.state {
                State::Proceeding => cx.ticks.t2,
                _ => self.interval.saturating_mul(2).min(cx.ticks.t2),
            };
            cx.arm(self.repeat(), self.interval);
            cx.out.stats.retransmitted += 1;
            self.send(cx);
        }
        false
    }

    /// The request cannot be sent or its connection is lost. True when its user must know.
    pub(super) fn on_failure(&mut self, cx: &mut Cx<'_>) -> bool {
        let concerned = !self.is_waiting();
        if concerned {
            self.end(cx);
        }
        concerned
    }

    /// Whether it has its final response, or ended otherwise.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Completed | State::Terminated)
    }

    /// Whether it has a provisional response.
    pub(super) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Terminated
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Takes another form of the request, before it was ever sent.
    pub(super) fn replace(&mut self, payload: Bytes) {
        self.payload = payload;
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.flow.is_none() && !self.is_waiting()
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Terminated;
        self.payload = Bytes::new();
        cx.timers.stop(self.repeat());
        cx.timers.stop(self.limit());
    }

    fn send(&self, cx: &mut Cx<'_>) {
        match &self.flow {
            Some(flow) if self.cancel => cx.send_cancel(flow, &self.payload),
            Some(flow) => cx.send(flow, &self.payload),
            None => {}
        }
    }

    fn repeat(&self) -> Timer {
        if self.cancel { Timer::Extra } else { Timer::Repeat }
    }

    fn limit(&self) -> Timer {
        if self.cancel { Timer::ExtraLimit } else { Timer::Limit }
    }
}
