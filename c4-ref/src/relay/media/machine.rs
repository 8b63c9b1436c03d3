//! What `io::media` drives.

use std::io;
use std::time::{Duration, Instant};

use super::{Media, PairId};
use crate::admin::{Answer, Command};
use crate::ng::Request;
use crate::relay::{Event, RequestId, Update};

/// A state machine that owns a table of media sockets; one a worker.
///
/// The calling contract, in the driver's fixed order: [`MediaMachine::handle_timeout`] when
/// [`MediaMachine::poll_timeout`] is due; commands and requests; the table's [`Event`](super::Event)s until there are none,
/// each [`Event::Open`](super::Event::Open) answered at once, and the machine's own; packets, which go to
/// [`Media::forward`] alone. What a packet
/// changes is seen in the table when the machine's own timer is due.
pub trait MediaMachine {
    /// The table.
    fn media(&mut self) -> &mut Media;

    /// The sockets of a pair were made, or not: for [`Media::handle_open_done`].
    fn handle_open_done(&mut self, now: Instant, id: PairId, result: Result<(), io::ErrorKind>);

    /// Whatever is due at `now`; a spurious call does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`MediaMachine::handle_timeout`] must be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// A request over the NG protocol; answered by one [`Event::Reply`].
    fn handle_request(&mut self, now: Instant, id: RequestId, request: Request) {
        let _ = (now, id, request);
    }

    /// The next event.
    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The wall clock now says this, since 1970.
    fn set_wall_clock(&mut self, now: Instant, unix: Duration) {
        let _ = (now, unix);
    }

    /// These settings count from now on.
    fn handle_update(&mut self, now: Instant, update: &Update) {
        let _ = (now, update);
    }

    /// The operator's question or order; `None`: not a method of this machine.
    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        let _ = (now, command);
        None
    }

    /// The program stops. No input follows.
    fn handle_stop(&mut self, now: Instant) {
        let _ = now;
    }
}
