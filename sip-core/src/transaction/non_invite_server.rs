//! The non-INVITE server transaction (RFC 3261 §17.2.2, Figure 8) within the bounds of RFC 4320.

use super::derive;
use super::event::Gone;
use super::output::Cx;
use super::reply::Reply;
use super::timer::Timer;
use crate::flow::Flow;
use crate::status::StatusCode;
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct NonInviteServer {
    state: State,
    reply: Reply,
    /// The request while trying, for the 100; then the last response.
    payload: Bytes,
}

impl NonInviteServer {
    pub(super) fn new(reply: Reply, request: Bytes) -> NonInviteServer {
        NonInviteServer { state: State::Trying, reply, payload: request }
    }

    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        cx.arm(Timer::Extra, cx.ticks.late_trying);
        // The client gives up after Timer F; twice that is long enough for a user who never answers (RFC 4320 §4.2).
        cx.arm(Timer::Limit, cx.ticks.f.saturating_mul(2));
    }

    /// The request once more.
    pub(super) fn on_request(&mut self, cx: &mut Cx<'_>) {
        cx.out.stats.absorbed += 1;
        if matches!(self.state, State::Proceeding | State::Completed) && !self.payload.is_empty() {
            cx.out.stats.retransmitted += 1;
            self.reply.send(cx, &self.payload);
        }
    }

    pub(super) fn respond(&mut self, cx: &mut Cx<'_>, status: StatusCode, payload: Bytes) -> Result<(), Gone> {
        if self.is_waiting() {
            return Err(Gone);
        }
        if status.is_provisional() {
            // Over UDP the 100 comes when Timer E has reached T2, and other provisional responses never (RFC 4320 §4.1).
            if status == StatusCode::TRYING && self.reply.is_reliable() {
                self.provisional(cx, payload);
            }
            return Ok(());
        }
        cx.timers.stop(Timer::Extra);
        self.state = State::Completed;
        if status == StatusCode::REQUEST_TIMEOUT {
            // The client has timed out as well; nobody waits for it (RFC 4320 §4.2).
            self.payload = Bytes::new();
        } else {
            self.payload = payload;
            cx.out.stats.rpl_sent += 1;
            cx.out.stats.completed(status.class());
            self.reply.send(cx, &self.payload);
        }
        cx.arm(Timer::Limit, cx.ticks.j);
        self.settle(cx);
        Ok(())
    }

    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer, server: Option<&str>) {
        match timer {
            Timer::Extra if self.state == State::Trying => {
                if let Some(trying) = derive::trying(&self.payload, self.reply.flow(), server) {
                    cx.out.stats.rpl_generated += 1;
                    self.provisional(cx, trying);
                }
            }
            Timer::Limit => self.end(cx),
            _ => {}
        }
    }

    pub(super) fn on_transmit_failed(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Proceeding | State::Completed) {
            self.reply.transmit_failed(cx, &self.payload);
            self.settle(cx);
        }
    }

    pub(super) fn on_closed(&mut self, cx: &mut Cx<'_>) {
        self.reply.closed(cx, !self.is_waiting());
    }

    pub(super) fn on_connect_done(&mut self, cx: &mut Cx<'_>, flow: Option<Flow>) {
        self.reply.connect_done(cx, flow, &self.payload);
        self.settle(cx);
    }

    /// Whether it has its final response.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Completed | State::Terminated)
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a response waits for a connection.
    pub(super) fn is_connecting(&self) -> bool {
        self.reply.is_connecting()
    }

    pub(super) fn set_may_connect(&mut self, may: bool) {
        self.reply.set_may_connect(may);
    }

    /// Ends at once, without timers.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Terminated;
        self.payload = Bytes::new();
        cx.timers.stop(Timer::Limit);
        cx.timers.stop(Timer::Extra);
    }

    fn provisional(&mut self, cx: &mut Cx<'_>, payload: Bytes) {
        self.state = State::Proceeding;
        cx.timers.stop(Timer::Extra);
        self.payload = payload;
        cx.out.stats.rpl_sent += 1;
        self.reply.send(cx, &self.payload);
    }

    /// Timer J is zero over streams, unless the response still waits for its connection.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Completed && self.reply.is_reliable() && !self.reply.is_connecting() {
            self.end(cx);
        }
    }
}
