//! The INVITE server transaction (RFC 3261 §17.2.1 with RFC 6026 §7.1, Figure 7).

use super::derive;
use super::event::{Event, Gone};
use super::id::ServerId;
use super::output::{Cx, Verdict};
use super::reply::Reply;
use super::timer::Timer;
use crate::flow::Flow;
use crate::status::StatusCode;
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Proceeding, and nothing was answered yet.
    Fresh,
    Proceeding,
    Completed,
    Confirmed,
    /// RFC 6026 §7.1.
    Accepted,
    Terminated,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct InviteServer {
    state: State,
    reply: Reply,
    /// The INVITE while fresh, for the 100; then the last response, for as long as it may have to be repeated.
    payload: Bytes,
    interval: u64,
}

impl InviteServer {
    pub(super) fn new(reply: Reply, invite: Bytes) -> InviteServer {
        InviteServer { state: State::Fresh, reply, payload: invite, interval: 0 }
    }

    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        cx.arm(Timer::Extra, cx.ticks.trying);
    }

    /// The INVITE once more.
    pub(super) fn on_request(&mut self, cx: &mut Cx<'_>) {
        cx.out.stats.absorbed += 1;
        if matches!(self.state, State::Proceeding | State::Completed) {
            cx.out.stats.retransmitted += 1;
            self.reply.send(cx, &self.payload);
        }
    }

    /// An ACK with our branch.
    pub(super) fn on_ack(&mut self, cx: &mut Cx<'_>) -> Verdict {
        match self.state {
            State::Completed => {
                self.payload = Bytes::new();
                cx.timers.stop(Timer::Repeat);
                if self.reply.is_reliable() {
                    self.end(cx);
                } else {
                    self.state = State::Confirmed;
                    cx.arm(Timer::Limit, cx.ticks.t4);
                }
                Verdict::Absorb
            }
            State::Accepted => Verdict::Pass,
            _ => {
                cx.out.stats.absorbed += 1;
                Verdict::Absorb
            }
        }
    }

    pub(super) fn respond(&mut self, cx: &mut Cx<'_>, status: StatusCode, payload: Bytes) -> Result<(), Gone> {
        match (self.state, status.class()) {
            (State::Fresh | State::Proceeding, 1) => {
                self.state = State::Proceeding;
                self.payload = payload;
            }
            (State::Fresh | State::Proceeding, 2) => {
                self.state = State::Accepted;
                self.payload = payload;
                cx.arm(Timer::Limit, cx.ticks.l);
            }
            (State::Accepted, 2) => self.payload = payload,
            (State::Fresh | State::Proceeding, _) => {
                self.state = State::Completed;
                self.payload = payload;
                cx.arm(Timer::Limit, cx.ticks.h);
                if !self.reply.is_reliable() {
                    self.interval = cx.ticks.t1;
                    cx.arm(Timer::Repeat, self.interval);
                }
            }
            _ => return Err(Gone),
        }
        cx.timers.stop(Timer::Extra);
        cx.out.stats.rpl_sent += 1;
        cx.out.stats.completed(status.class());
        self.reply.send(cx, &self.payload);
        self.forget();
        Ok(())
    }

    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer, server: Option<&str>) {
        match timer {
            Timer::Extra if self.state == State::Fresh => {
                let trying = derive::trying(&self.payload, self.reply.flow(), server);
                self.state = State::Proceeding;
                self.payload = trying.unwrap_or_default();
                if !self.payload.is_empty() {
                    cx.out.stats.rpl_generated += 1;
                    cx.out.stats.rpl_sent += 1;
                    self.reply.send(cx, &self.payload);
                }
            }
            Timer::Repeat if self.state == State::Completed => {
                self.interval = self.interval.saturating_mul(2).min(cx.ticks.t2);
                cx.arm(Timer::Repeat, self.interval);
                cx.out.stats.retransmitted += 1;
                self.reply.send(cx, &self.payload);
            }
            Timer::Limit => {
                if self.state == State::Completed {
                    cx.out.stats.unacknowledged += 1;
                    cx.event(Event::ServerFailed { id: ServerId(cx.raw) });
                }
                self.end(cx);
            }
            _ => {}
        }
    }

    /// A response could not be sent. The state stays (RFC 6026 §7.1): its timers end it.
    pub(super) fn on_transmit_failed(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Proceeding | State::Completed | State::Accepted) {
            self.reply.transmit_failed(cx, &self.payload);
        }
    }

    pub(super) fn on_closed(&mut self, cx: &mut Cx<'_>) {
        self.reply.closed(cx, !self.is_waiting());
    }

    pub(super) fn on_connect_done(&mut self, cx: &mut Cx<'_>, flow: Option<Flow>) {
        self.reply.connect_done(cx, flow, &self.payload);
        self.forget();
    }

    /// Whether it has its final response.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.state, State::Fresh | State::Proceeding)
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Terminated
    }

    /// The last response, or the INVITE while fresh.
    pub(super) fn last_response(&self) -> Option<&Bytes> {
        (self.state != State::Fresh && !self.payload.is_empty()).then_some(&self.payload)
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
        cx.timers.stop(Timer::Repeat);
        cx.timers.stop(Timer::Limit);
        cx.timers.stop(Timer::Extra);
    }

    /// A 2xx is repeated by the transaction user, not from here.
    fn forget(&mut self) {
        if self.state == State::Accepted && !self.reply.is_connecting() {
            self.payload = Bytes::new();
        }
    }
}
