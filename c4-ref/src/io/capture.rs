//! A tap that keeps what it hears: who sent and received which message, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::flow::Flow;

use super::Tap;

/// Messages kept at most; a capture is for a few calls.
const MOST: usize = 100_000;

/// A message at a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Since the capture began.
    pub at: Duration,
    /// Whose socket.
    pub who: &'static str,
    /// Whether it went out.
    pub sent: bool,
    /// The way it took, as its owner sees it.
    pub flow: Flow,
    /// The message.
    pub octets: Bytes,
}

/// What several servers send and receive, on one clock.
#[derive(Debug)]
pub struct Capture {
    start: Instant,
    messages: Mutex<Vec<Captured>>,
}

impl Capture {
    /// An empty capture; its clock starts.
    pub fn start() -> Arc<Capture> {
        Arc::new(Capture { start: Instant::now(), messages: Mutex::default() })
    }

    /// A tap into this capture for the sockets of `who`.
    pub fn tap(self: &Arc<Capture>, who: &'static str) -> Arc<dyn Tap> {
        Arc::new(CaptureTap { who, capture: self.clone() })
    }

    /// What was captured so far, in order of time.
    pub fn messages(&self) -> Vec<Captured> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct CaptureTap {
    who: &'static str,
    capture: Arc<Capture>,
}

impl CaptureTap {
    fn keep(&self, sent: bool, flow: &Flow, message: &[u8]) {
        let mut messages = self.capture.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() < MOST {
            // Under the lock, so that order and time agree.
            let at = self.capture.start.elapsed();
            messages.push(Captured { at, who: self.who, sent, flow: *flow, octets: Bytes::copy_from_slice(message) });
        }
    }
}

impl Tap for CaptureTap {
    fn received(&self, flow: &Flow, message: &[u8]) {
        self.keep(false, flow, message);
    }

    fn sent(&self, flow: &Flow, message: &[u8]) {
        self.keep(true, flow, message);
    }
}
