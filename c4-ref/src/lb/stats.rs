//! Counters of the load balancer, by name.

use serde_json::{Map, Value};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Counter {
            /// All of them.
            pub const ALL: &'static [Counter] = &[$(Counter::$name),*];

            /// The name in `c4 stats`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$name => $text,)*
                }
            }
        }
    };
}

counters! {
    /// Requests from outside.
    RequestsOutside = "requests_outside",
    /// Requests from the proxies.
    RequestsInside = "requests_inside",
    /// Responses from outside.
    ResponsesOutside = "responses_outside",
    /// Responses from the proxies.
    ResponsesInside = "responses_inside",
    /// Requests forwarded to a proxy.
    ForwardedInside = "forwarded_inside",
    /// Requests forwarded out.
    ForwardedOutside = "forwarded_outside",
    /// Responses forwarded to a proxy.
    RelayedInside = "relayed_inside",
    /// Responses forwarded out.
    RelayedOutside = "relayed_outside",
    /// Requests answered here, whatever the status.
    Answered = "answered",
    /// OPTIONS to the balancer itself.
    OptionsToUs = "options_to_us",
    /// Messages that failed the checks and could not or may not be answered.
    Malformed = "malformed",
    /// Malformed requests that were answered 400 or the like.
    MalformedAnswered = "malformed_answered",
    /// Requests over the rate of their source, dropped.
    RateLimited = "rate_limited",
    /// ACKs that nobody waits for, dropped.
    StrayAcks = "stray_acks",
    /// ACKs to answers of our own, consumed.
    OwnAcks = "own_acks",
    /// In-dialog requests without a good token: 404.
    NoDialog = "no_dialog",
    /// Tokens that were malformed, forged, expired or of an unknown key.
    BadTokens = "bad_tokens",
    /// Path tokens that came from outside.
    PathTokensOutside = "path_tokens_outside",
    /// Requests with a Route that names another, stripped of it.
    ForeignRoutesStripped = "foreign_routes_stripped",
    /// Requests with a Route that names another, refused.
    ForeignRoutesRefused = "foreign_routes_refused",
    /// Requests that came by a second time unchanged: 482.
    Loops = "loops",
    /// Requests without a hop left: 483.
    TooManyHops = "too_many_hops",
    /// Requests that found no backend: 503.
    NoBackend = "no_backend",
    /// Requests for a flow that is gone: 430.
    DeadFlows = "dead_flows",
    /// Requests to a name or address that cannot be reached from here.
    Unreachable = "unreachable",
    /// Responses whose top Via is not ours or whose token is not good, dropped.
    StrayResponses = "stray_responses",
    /// Responses whose flow is gone, dropped.
    LostResponses = "lost_responses",
    /// Messages dropped for a full queue.
    Overflow = "overflow",
    /// Transmits that failed.
    TransmitsFailed = "transmits_failed",
    /// Connects that failed.
    ConnectsFailed = "connects_failed",
    /// Probes sent to backends.
    ProbesSent = "probes_sent",
    /// Probes that were answered.
    ProbesAnswered = "probes_answered",
    /// Probes that were missed.
    ProbesMissed = "probes_missed",
}

/// The counts of one machine.
#[derive(Debug, Clone)]
pub struct Stats {
    counts: [u64; Counter::ALL.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Stats { counts: [0; Counter::ALL.len()] }
    }
}

impl Stats {
    /// Counts one.
    pub fn bump(&mut self, counter: Counter) {
        if let Some(count) = self.counts.get_mut(counter as usize) {
            *count += 1;
        }
    }

    /// How many.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts.get(counter as usize).copied().unwrap_or_default()
    }

    /// All counts by name.
    pub fn to_json(&self) -> Map<String, Value> {
        Counter::ALL.iter().map(|c| (c.name().to_owned(), self.get(*c).into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_own_place_and_name() {
        let mut stats = Stats::default();
        stats.bump(Counter::Loops);
        stats.bump(Counter::Loops);
        stats.bump(Counter::ProbesMissed);
        let json = stats.to_json();
        assert_eq!(json.len(), Counter::ALL.len(), "no name twice");
        assert_eq!(json.get("loops"), Some(&2.into()));
        assert_eq!(json.get("probes_missed"), Some(&1.into()));
        assert_eq!(json.values().filter_map(Value::as_u64).sum::<u64>(), 3);
    }
}
