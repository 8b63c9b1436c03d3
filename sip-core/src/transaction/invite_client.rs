//! The INVITE client transaction (RFC 3261 §17.1.1 with RFC 6026 §7.2, Figure 5) and its CANCEL (RFC 3261 §9.1).

use super::derive;
use super::event::Gone;
use super::non_invite_client::NonInviteClient;
use super::output::{Cx, Verdict};
use super::timer::Timer;
use crate::flow::Flow;
use crate::message::Response;
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Calling,
    Proceeding,
    Completed,
    /// RFC 6026 §7.2.
    Accepted,
    Terminated,
}

/// Where the CANCEL stands.
#[derive(Clone, Debug, Hash)]
enum Cancel {
    No,
    /// Waits for a provisional response; with the value of its Reason.
    Wanted(Option<Box<str>>),
    Sent(Box<NonInviteClient>),
    Over,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct InviteClient {
    state: State,
    /// None: waits for its connection.
    flow: Option<Flow>,
    /// The INVITE until the final response, then the ACK to that.
    payload: Bytes,
    interval: u64,
    cancel: Cancel,
}

impl InviteClient {
    pub(super) fn new(payload: Bytes) -> InviteClient {
        InviteClient { state: State::Calling, flow: None, payload, interval: 0, cancel: Cancel::No }
    }

    /// Arms Timer B: it runs while the connection is made, too.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        let limit = cx.ticks.b;
        cx.arm(Timer::Limit, limit);
    }

    /// Sends the INVITE for the first time.
    pub(super) fn connected(&mut self, cx: &mut Cx<'_>, flow: Flow) {
        if !self.is_connecting() {
            return;
        }
        self.flow = Some(flow);
        cx.out.stats.req_sent += 1;
        cx.send(&flow, &self.payload);
        if !flow.transport.is_reliable() {
            self.interval = cx.ticks.t1;
            cx.arm(Timer::Repeat, self.interval);
        }
    }

    pub(super) fn on_response(&mut self, cx: &mut Cx<'_>, response: &Response) -> Verdict {
        match (self.state, response.status().class()) {
            (State::Calling | State::Proceeding, 1) => {
                self.on_provisional(cx);
                Verdict::Pass
            }
            (State::Calling | State::Proceeding, 2) => {
                self.state = State::Accepted;
                self.settle_cancel();
                self.payload = Bytes::new();
                cx.timers.stop(Timer::Repeat);
                cx.arm(Timer::Limit, cx.ticks.m);
                Verdict::Pass
            }
            (State::Accepted, 2) => Verdict::Pass,
            (State::Calling | State::Proceeding, _) => {
                self.on_failure_response(cx, response);
                Verdict::Pass
            }
            (State::Completed, 3..) => {
                cx.out.stats.absorbed += 1;
                cx.out.stats.retransmitted += 1;
                self.send(cx);
                Verdict::Absorb
            }
            _ => {
                cx.out.stats.absorbed += 1;
                Verdict::Absorb
            }
        }
    }

    pub(super) fn on_cancel_response(&mut self, cx: &mut Cx<'_>, class: u8) {
        if let Cancel::Sent(fsm) = &mut self.cancel {
            // 200, 481 or whatever: what counts is the final response to the INVITE.
            fsm.on_response(cx, class);
        }
        self.drop_cancel();
    }

    /// Cancels; waits for a provisional response when there is none yet.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, reason: Option<&str>) -> Result<(), Gone> {
        if !matches!(self.state, State::Calling | State::Proceeding) {
            return Err(Gone);
        }
        if matches!(self.cancel, Cancel::No) {
            self.cancel = Cancel::Wanted(reason.map(Box::from));
            if self.state == State::Proceeding {
                self.send_cancel(cx);
            }
        }
        Ok(())
    }

    /// Any timer of the table. True when the INVITE has timed out.
    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) -> bool {
        match timer {
            Timer::Limit => {
                let timeout = matches!(self.state, State::Calling | State::Proceeding);
                self.end(cx);
                timeout
            }
            Timer::Repeat => {
                if self.state == State::Calling {
                    self.interval = self.interval.saturating_mul(2);
                    cx.arm(Timer::Repeat, self.interval);
                    cx.out.stats.retransmitted += 1;
                    self.send(cx);
                }
                false
            }
            Timer::Extra | Timer::ExtraLimit => {
                if let Cancel::Sent(fsm) = &mut self.cancel {
                    fsm.on_timer(cx, timer);
                }
                self.drop_cancel();
                false
            }
        }
    }

    /// The INVITE or the ACK cannot be sent, or the connection is lost. True when its user must know.
    pub(super) fn on_failure(&mut self, cx: &mut Cx<'_>) -> bool {
        if matches!(self.state, State::Accepted | State::Terminated) {
            // Nothing more goes out from here: the ACK to a 2xx is its user's.
            return false;
        }
        self.end(cx);
        true
    }

    pub(super) fn on_cancel_failure(&mut self, cx: &mut Cx<'_>) {
        if let Cancel::Sent(fsm) = &mut self.cancel {
            fsm.on_failure(cx);
        }
        self.drop_cancel();
    }

    /// Whether it has its final response, or ended otherwise.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Completed | State::Accepted | State::Terminated)
    }

    /// Whether it has a provisional response.
    pub(super) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Terminated && !matches!(self.cancel, Cancel::Sent(_))
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Takes another form of the INVITE, before it was ever sent.
    pub(super) fn replace(&mut self, payload: Bytes) {
        self.payload = payload;
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.flow.is_none() && self.state == State::Calling
    }

    fn on_provisional(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Calling {
            self.state = State::Proceeding;
            cx.timers.stop(Timer::Repeat);
            cx.timers.stop(Timer::Limit);
        }
        if matches!(self.cancel, Cancel::Wanted(_)) {
            self.send_cancel(cx);
        }
    }

    /// 300 to 699: the ACK is the transaction's own (RFC 3261 §17.1.1.3).
    fn on_failure_response(&mut self, cx: &mut Cx<'_>, response: &Response) {
        self.settle_cancel();
        cx.timers.stop(Timer::Repeat);
        self.payload = derive::ack(&self.payload, response).unwrap_or_default();
        self.send(cx);
        if self.flow.is_some_and(|flow| !flow.transport.is_reliable()) {
            self.state = State::Completed;
            cx.arm(Timer::Limit, cx.ticks.d);
        } else {
            self.end(cx);
        }
    }

    fn send_cancel(&mut self, cx: &mut Cx<'_>) {
        let Cancel::Wanted(reason) = std::mem::replace(&mut self.cancel, Cancel::Over) else { return };
        let Some(flow) = self.flow else { return };
        let Some(payload) = derive::cancel(&self.payload, reason.as_deref()) else { return };
        let mut fsm = Box::new(NonInviteClient::new(payload, true));
        fsm.start(cx);
        fsm.connected(cx, flow);
        self.cancel = Cancel::Sent(fsm);
        // Without a final response in 64*T1 the INVITE counts as cancelled (RFC 3261 §9.1).
        cx.arm(Timer::Limit, cx.ticks.cancelled);
    }

    /// A final response makes a CANCEL that was not sent needless.
    fn settle_cancel(&mut self) {
        if matches!(self.cancel, Cancel::Wanted(_)) {
            self.cancel = Cancel::Over;
        }
    }

    fn drop_cancel(&mut self) {
        if matches!(&self.cancel, Cancel::Sent(fsm) if fsm.is_over()) {
            self.cancel = Cancel::Over;
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Terminated;
        self.payload = Bytes::new();
        cx.timers.stop(Timer::Repeat);
        cx.timers.stop(Timer::Limit);
    }

    fn send(&self, cx: &mut Cx<'_>) {
        if let Some(flow) = self.flow.as_ref().filter(|_| !self.payload.is_empty()) {
            cx.send(flow, &self.payload);
        }
    }
}
