//! A tap that keeps what it hears last: who sent and received which message, and when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sip_core::flow::Flow;

use super::Tap;

/// Messages that [`Capture::start`] keeps: enough for a few calls.
const MANY: usize = 100_000;
/// Octets of messages kept, for each message that may be kept: some are larger than most.
const USUAL: usize = 2048;

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
    /// Since 1970, at its beginning.
    unix: Duration,
    most: usize,
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    kept: VecDeque<Captured>,
    octets: usize,
}

impl Capture {
    /// An empty capture; its clock starts.
    pub fn start() -> Arc<Capture> {
        Capture::last(MANY)
    }

    /// An empty capture that keeps the last messages: at most so many, and of 2 KiB in the mean.
    pub fn last(most: usize) -> Arc<Capture> {
        let unix = Duration::from_millis(super::unix_millis());
        Arc::new(Capture { start: Instant::now(), unix, most, messages: Mutex::default() })
    }

    /// A tap into this capture for the sockets of `who`.
    pub fn tap(self: &Arc<Capture>, who: &'static str) -> Arc<dyn Tap> {
        Arc::new(CaptureTap { who, capture: self.clone() })
    }

    /// What was captured and is kept, in order of time.
    pub fn messages(&self) -> Vec<Captured> {
        self.lock().kept.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    fn keep(&mut self, most: usize, message: Captured) {
        self.octets += message.octets.len();
        self.kept.push_back(message);
        while self.kept.len() > most || self.octets > most.saturating_mul(USUAL) {
            let Some(gone) = self.kept.pop_front() else { return };
            self.octets -= gone.octets.len();
        }
    }
}

struct CaptureTap {
    who: &'static str,
    capture: Arc<Capture>,
}

impl CaptureTap {
    fn keep(&self, sent: bool, flow: &Flow, message: &[u8]) {
        let mut messages = self.capture.lock();
        // Under the lock, so that order and time agree.
        let at = self.capture.start.elapsed();
        let octets = Bytes::copy_from_slice(message);
        messages.keep(self.capture.most, Captured { at, who: self.who, sent, flow: *flow, octets });
    }
}

impl Tap for CaptureTap {
    fn received(&self, flow: &Flow, message: &[u8]) {
        self.keep(false, flow, message);
    }

    fn sent(&self, flow: &Flow, message: &[u8]) {
        self.keep(true, flow, message);
    }

    fn recent(&self) -> Option<Value> {
        let messages = self.capture.messages();
        let value = |message: &Captured| {
            json!({
                "at_us": (self.capture.unix + message.at).as_micros() as u64,
                "who": message.who,
                "sent": message.sent,
                "local": message.flow.local.to_string(),
                "remote": message.flow.remote.to_string(),
                "message": String::from_utf8_lossy(&message.octets),
            })
        };
        Some(messages.iter().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(capture: &Capture) -> Vec<String> {
        capture.messages().iter().map(|message| String::from_utf8_lossy(&message.octets).into_owned()).collect()
    }

    #[test]
    fn the_last_messages_stay() {
        let capture = Capture::last(3);
        let tap = capture.tap("who");
        let flow = Flow::udp("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        for n in 0..10 {
            tap.sent(&flow, n.to_string().as_bytes());
        }
        assert_eq!(texts(&capture), ["7", "8", "9"]);
        // Neither do a few large ones take more than their share.
        tap.received(&flow, &[b'x'; 3 * USUAL]);
        assert_eq!(capture.messages().len(), 1);
        tap.received(&flow, &[b'x'; 3 * USUAL + 1]);
        assert_eq!(capture.messages().len(), 0);
        tap.sent(&flow, b"a");
        let recent = tap.recent().unwrap();
        assert_eq!((&recent[0]["message"], &recent[0]["sent"]), (&json!("a"), &json!(true)));
        assert!(recent[0]["at_us"].as_u64().unwrap() > 1_700_000_000_000_000);
    }
}
