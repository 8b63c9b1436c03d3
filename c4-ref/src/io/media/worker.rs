//! A worker. Fixed order: timeouts, mail, sockets to open and close, packets.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;
use serde_json::{Value, json};

use super::super::files::unix_millis;
use super::super::poller::{Events, Interest, Poller};
use super::super::server::Order;
use super::super::sockets::Sockets;
use super::super::stats::beside;
use super::super::worker::CLOCK;
use super::control::Control;
use super::notices::Notices;
use super::shards::Front;
use super::sockets::{MediaSockets, Room};
use super::{Mail, Mailboxes};
use crate::admin::{Answer, Command};
use crate::machine::News;
use crate::ng::server::Server;
use crate::relay::Update;
use crate::relay::media::{Event, MediaMachine, Packet, Pair, SocketId, Verdict};

/// Mail taken per iteration.
const MAIL: usize = 64;
/// Tokens below are sockets of media, whose numbers have 32 bits; above are those of the NG protocol.
const MAILBOX: u64 = 1 << 32;

/// The time between two warnings of the same.
const WARNINGS: Duration = Duration::from_secs(10);

/// Counters of one worker; plain numbers, read by its own thread.
#[derive(Debug, Default)]
struct Stats {
    received: u64,
    sent: u64,
    send_failed: u64,
    receive_failed: u64,
    open_failed: u64,
}

pub(super) struct Worker<M> {
    pub(super) index: usize,
    pub(super) machine: M,
    poller: Poller,
    sockets: MediaSockets,
    /// Of all workers.
    pub(super) boxes: Mailboxes,
    pub(super) front: Option<Front>,
    pub(super) notices: Notices,
    mail: VecDeque<Mail>,
    packet: Packet,
    stats: Stats,
    /// When the machine is told the wall clock again.
    clock: Instant,
    /// When the next failure to open sockets is a warning.
    warn_again: Option<Instant>,
    stopping: bool,
}

impl<M: MediaMachine> Worker<M> {
    pub(super) fn new(
        index: usize,
        machine: M,
        boxes: Mailboxes,
        room: Room,
        notices: Notices,
    ) -> io::Result<Worker<M>> {
        let poller = Poller::new()?;
        if let Some(mailbox) = boxes.0.get(index) {
            poller.add(mailbox.fd(), MAILBOX, Interest::Read)?;
        }
        Ok(Worker {
            index,
            machine,
            poller,
            sockets: MediaSockets::new(room),
            boxes,
            front: None,
            notices,
            mail: VecDeque::new(),
            packet: Packet::new(),
            stats: Stats::default(),
            clock: Instant::now(),
            warn_again: None,
            stopping: false,
        })
    }

    /// This worker serves the NG protocol.
    pub(super) fn control(&mut self, server: Server, sockets: Sockets, key: [u8; 16]) -> io::Result<()> {
        let control = Control::new(server, sockets, &self.poller)?;
        self.front = Some(Front { control, hasher: BuildSipHasher::new(key), lists: BTreeMap::new() });
        Ok(())
    }

    /// The thread's whole life.
    pub(super) fn run(mut self) {
        let mut ready = Events::new();
        self.events(Instant::now());
        while !self.stopping {
            let now = Instant::now();
            let front = self.front.as_ref().and_then(|front| front.control.poll_timeout());
            let due = [self.machine.poll_timeout(), front, Some(self.clock)].into_iter().flatten().min();
            let pause = due.map(|at| at.saturating_duration_since(now));
            if let Err(error) = self.poller.wait(pause, &mut ready) {
                tracing::error!(%error, worker = self.index, "cannot wait for sockets");
                return;
            }
            let now = Instant::now();
            self.timeouts(now);
            self.inputs(now, &ready);
        }
        self.machine.handle_stop(Instant::now());
    }

    fn timeouts(&mut self, now: Instant) {
        if self.clock <= now {
            self.clock = now + CLOCK;
            self.machine.set_wall_clock(now, Duration::from_millis(unix_millis()));
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            self.events(now);
        }
        if let Some(front) = &mut self.front
            && front.control.poll_timeout().is_some_and(|at| at <= now)
        {
            front.control.handle_timeout(now, &self.poller);
        }
    }

    fn inputs(&mut self, now: Instant, ready: &Events) {
        // Mail and requests first: a packet must not come to a place whose socket the table has just given away.
        for ready in ready.iter().filter(|ready| ready.token >= MAILBOX) {
            match (ready.token, &mut self.front) {
                (MAILBOX, _) => self.take_mail(now),
                (_, Some(front)) => {
                    front.control.ready(now, &self.poller, ready);
                    self.requests(now);
                }
                (_, None) => {}
            }
            self.events(now);
        }
        for ready in ready.iter() {
            if let Ok(socket) = u32::try_from(ready.token) {
                self.packets(now, SocketId(socket));
            }
        }
    }

    /// A burst from one socket: each packet in, decided about, and out.
    fn packets(&mut self, now: Instant, id: SocketId) {
        for _ in 0..self.sockets.get_mut(id).map_or(0, |socket| socket.burst.size()) {
            let Some(socket) = self.sockets.get_mut(id) else { return };
            match socket.udp.recv_from(self.packet.space()) {
                Ok((length, from)) => {
                    self.stats.received += 1;
                    self.packet.received(length);
                    match self.machine.media().forward(now, id, from, &mut self.packet) {
                        Verdict::Send { socket, to } => {
                            let sent = self.sockets.get(socket).is_some_and(|udp| {
                                // A full send buffer too: as if the network had lost it.
                                udp.send_to(self.packet.payload(), to).is_ok()
                            });
                            if sent {
                                self.stats.sent += 1;
                            } else {
                                self.stats.send_failed += 1;
                                self.machine.media().handle_send_failed(socket);
                            }
                        }
                        Verdict::Drop(_) | Verdict::Consumed => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return socket.burst.shrink(),
                // What ICMP reported about an earlier datagram, or a signal: the next call receives again.
                Err(_) => self.stats.receive_failed += 1,
            }
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.burst.grow();
        }
    }

    /// Opens and closes until the table asks for nothing more, which is bounded by its attempts per pair; then what the
    /// machine says goes out.
    fn events(&mut self, now: Instant) {
        while let Some(event) = self.machine.media().poll_event() {
            match event {
                Event::Open { pair, tos } => {
                    let result = self.sockets.open(&self.poller, &pair, tos);
                    if let Err(error) = &result {
                        self.open_failed(now, &pair, error);
                    }
                    self.machine.handle_open_done(now, pair.id, result.map_err(|error| error.kind()));
                }
                Event::Close { pair } => self.sockets.close(&pair),
                Event::Tos { pair, tos } => self.sockets.set_tos(&pair, tos),
                Event::Pierce { socket, to } => {
                    // It opens a way through the party's NAT or does not: more follow.
                    let _ = self.sockets.get(socket).map(|socket| socket.send_to(&[], to));
                }
            }
        }
        self.machine_events(now);
        if let Some(front) = &mut self.front {
            front.control.flush(now, &self.poller);
        }
    }

    fn open_failed(&mut self, now: Instant, pair: &Pair, error: &io::Error) {
        self.stats.open_failed += 1;
        if error.kind() == io::ErrorKind::AddrInUse {
            tracing::debug!(local = %pair.local, "a media port is in use by somebody else");
        } else if self.warn_again.is_none_or(|at| at <= now) {
            // Each offer may meet it; the counter has them all.
            self.warn_again = Some(now + WARNINGS);
            tracing::warn!(local = %pair.local, %error, "cannot open media sockets");
        }
    }

    fn take_mail(&mut self, now: Instant) {
        let mut mail = std::mem::take(&mut self.mail);
        if let Some(mailbox) = self.boxes.0.get(self.index) {
            mailbox.take(&mut mail, MAIL);
        }
        for mail in mail.drain(..) {
            match mail {
                Mail::Order(Order::Command { command, reply }) => {
                    let answer = self.command(now, &command);
                    // The asker may have gone.
                    let _ = reply.send(answer);
                }
                Mail::Request { id, request } => self.machine.handle_request(now, id, *request),
                Mail::Reply { id, reply } => self.reply(now, id, reply),
                Mail::Order(Order::Reload(news)) => self.reload(now, &news),
                Mail::Order(Order::Stop) => self.stopping = true,
            }
        }
        self.mail = mail;
    }

    fn reload(&mut self, now: Instant, news: &News) {
        if let Some(update) = news.downcast_ref::<Update>() {
            self.machine.handle_update(now, update);
            if let Some(front) = &mut self.front {
                front.control.set_allow(&update.allow);
            }
        }
    }

    /// `stats` is both's, the rest the machine's.
    fn command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        let answer = self.machine.handle_command(now, command);
        if command.method != "stats" {
            return answer;
        }
        let answer = beside(answer, self.counters());
        match &self.front {
            Some(front) => beside(answer, front.control.counters()),
            None => answer,
        }
    }

    fn counters(&self) -> Value {
        json!({
            "io_media_sockets": self.sockets.count(),
            "io_media_rx": self.stats.received,
            "io_media_tx": self.stats.sent,
            "io_media_tx_failed": self.stats.send_failed,
            "io_media_rx_failed": self.stats.receive_failed,
            "io_media_open_failed": self.stats.open_failed,
        })
    }
}
