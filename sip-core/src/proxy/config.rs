//! Settings of the proxy core.

use std::time::Duration;

use super::local::Locals;

/// Settings of a [`Proxy`](super::Proxy).
#[derive(Clone, Debug, Hash)]
pub struct Config {
    /// Secret of the loop hash and of the tags that the proxy makes. Instances that stand in for each other share it,
    /// so that each knows a loop through the other.
    pub seed: [u8; 32],
    /// Hosts and ports that name this proxy in a Route or Request-URI (RFC 3261 §16.4).
    pub locals: Locals,
    /// Whether `tel` URIs are understood (RFC 3966); if not they are refused with 416 (RFC 3261 §16.3 step 2).
    pub tel: bool,
    /// Option tags that Proxy-Require may ask for (RFC 3261 §16.3 step 5).
    pub supported: Vec<Box<str>>,
    /// Timer C (RFC 3261 §16.6 step 11): more than 3 minutes.
    pub timer_c: Duration,
    /// How long a group of INVITE branches may stay without a final response, whatever provisional ones come. At its
    /// end they are cancelled and count as 408. Zero: no limit but Timer C.
    pub ringing_limit: Duration,
    /// How long the caller may take to answer [`Route`](super::Event::Route) and
    /// [`Exhausted`](super::Event::Exhausted). At its end the context goes on without: 500, or the best response.
    pub answer_limit: Duration,
    /// Contexts at a time; further requests get 503.
    pub max_contexts: usize,
    /// Branches of one context over its life.
    pub max_branches: usize,
    /// What a request without Max-Breadth gets (RFC 5393 §5.3.3).
    pub max_breadth: u16,
    /// Whether a 2xx to INVITE that no transaction knows is sent on by its next Via. RFC 3261 §16.7 step 1 wanted it,
    /// RFC 6026 §8.9 forbids it; off.
    pub forward_stray_2xx: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            seed: [0; 32],
            locals: Locals::default(),
            tel: true,
            supported: Vec::new(),
            timer_c: Duration::from_secs(185),
            ringing_limit: Duration::from_secs(120),
            answer_limit: Duration::from_secs(32),
            max_contexts: 200_000,
            max_branches: 64,
            max_breadth: 60,
            forward_stray_2xx: false,
        }
    }
}
