//! The relay as the driver of media sees it.

use std::io;
use std::time::{Duration, Instant};

use super::media::{Media, MediaMachine, PairId};
use super::{Event, Relay, RequestId, Update};
use crate::admin::{Answer, Command};
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

    fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        Relay::set_wall_clock(self, now, unix);
    }

    fn handle_update(&mut self, now: Instant, update: &Update) {
        self.update(now, update);
    }

    fn handle_command(&mut self, _: Instant, command: &Command) -> Option<Answer> {
        Relay::handle_command(self, command)
    }
}
