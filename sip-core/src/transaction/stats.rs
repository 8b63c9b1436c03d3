//! Counters, by the names that Kamailio's `tm.stats` made known.

/// What the layer has done since it was made.
///
/// The names are those of Kamailio's `tm.stats`; the rest is ours. `current` and `waiting` are gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stats {
    /// Transactions that exist now, of both sides.
    pub current: u64,
    /// Of these, those that have their final response and only absorb retransmissions.
    pub waiting: u64,
    /// Transactions ever made, of both sides.
    pub total: u64,
    /// Of these, client transactions.
    pub total_local: u64,
    /// Responses received.
    pub rpl_received: u64,
    /// Responses made by the layer itself: 100, 200 and 481 to CANCEL.
    pub rpl_generated: u64,
    /// Responses sent, without retransmissions.
    pub rpl_sent: u64,
    /// Final responses sent, by class: `2xx`.
    pub completed_2xx: u64,
    /// `3xx`.
    pub completed_3xx: u64,
    /// `4xx`.
    pub completed_4xx: u64,
    /// `5xx`.
    pub completed_5xx: u64,
    /// `6xx`.
    pub completed_6xx: u64,
    /// Entries put into the table.
    pub created: u64,
    /// Entries taken out of it.
    pub freed: u64,
    /// Requests received that made a transaction.
    pub req_received: u64,
    /// Requests sent, without retransmissions.
    pub req_sent: u64,
    /// Retransmissions sent, of requests and responses.
    pub retransmitted: u64,
    /// Retransmissions received and absorbed.
    pub absorbed: u64,
    /// Client transactions that ended by Timer B or F.
    pub timed_out: u64,
    /// INVITE server transactions that never got their ACK (Timer H).
    pub unacknowledged: u64,
    /// Transactions that a transport failure concerned.
    pub transport_failed: u64,
    /// Responses that matched no transaction.
    pub stray_responses: u64,
    /// Inputs and commands refused because a bound was reached.
    pub busy: u64,
}

impl Stats {
    /// Counts a final response sent.
    pub(super) fn completed(&mut self, class: u8) {
        let counter = match class {
            2 => &mut self.completed_2xx,
            3 => &mut self.completed_3xx,
            4 => &mut self.completed_4xx,
            5 => &mut self.completed_5xx,
            6 => &mut self.completed_6xx,
            _ => return,
        };
        *counter += 1;
    }

    /// Names and values, in the order of Kamailio's `tm.stats`, then ours.
    pub fn rows(&self) -> [(&'static str, u64); 23] {
        [
            ("current", self.current),
            ("waiting", self.waiting),
            ("total", self.total),
            ("total_local", self.total_local),
            ("rpl_received", self.rpl_received),
            ("rpl_generated", self.rpl_generated),
            ("rpl_sent", self.rpl_sent),
            ("6xx", self.completed_6xx),
            ("5xx", self.completed_5xx),
            ("4xx", self.completed_4xx),
            ("3xx", self.completed_3xx),
            ("2xx", self.completed_2xx),
            ("created", self.created),
            ("freed", self.freed),
            ("req_received", self.req_received),
            ("req_sent", self.req_sent),
            ("retransmitted", self.retransmitted),
            ("absorbed", self.absorbed),
            ("timed_out", self.timed_out),
            ("unacknowledged", self.unacknowledged),
            ("transport_failed", self.transport_failed),
            ("stray_responses", self.stray_responses),
            ("busy", self.busy),
        ]
    }
}
