//! The relay as the driver of media sees it.

use std::io;
use std::time::Instant;

use super::media::{Media, MediaMachine, PairId};
use super::{Event, Relay, RequestId};
use crate::ng::Request;

impl MediaMachine for Relay {
    fn media(&mut self) -> &mut Media {
        Relay::media(self)
    }

    fn handle_open_done(&mut self, now: Instant, id: PairId, result: Result<(), io::ErrorKind>) {
        Relay::handle_open_done(self, now, id, result);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Relay::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Relay::poll_timeout(self)
    }

    fn handle_request(&mut self, now: Instant, id: RequestId, request: Request) {
        Relay::handle_request(self, now, id, request);
    }

    fn poll_event(&mut self) -> Option<Event> {
        Relay::poll_event(self)
    }
}
