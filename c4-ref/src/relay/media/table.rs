//! The table: pairs are asked for, opened, used and closed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::hairpin::Own;
use super::socket::Socket;
use super::{NoPorts, Pair, PairId, Pool, QUARANTINE, Setup, SocketId, SocketStats, StreamStats};

/// How often another pair is tried when a port is in use by somebody else.
const ATTEMPTS: u8 = 16;

/// What the table of a worker is made with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// First and last port, both included.
    pub ports: (u16, u16),
    /// Which worker this is.
    pub worker: usize,
    /// How many there are; they share the ports.
    pub workers: usize,
    /// Key of the order in which ports are drawn.
    pub key: [u8; 16],
}

/// What the table asks of its caller, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Bind both sockets; answered by [`Media::handle_open_done`].
    Open {
        /// Their ids and the even address; `rtcp` has the next port.
        pair: Pair,
        /// The octet of IPv4, or the traffic class.
        tos: u8,
    },
    /// Close both sockets, if they are open.
    Close {
        /// As they were opened.
        pair: Pair,
    },
    /// Set both sockets' type of service.
    Tos {
        /// As they were opened.
        pair: Pair,
        /// The octet of IPv4, or the traffic class.
        tos: u8,
    },
    /// Send an empty datagram.
    Pierce {
        /// Out of this socket.
        socket: SocketId,
        /// To the party.
        to: SocketAddr,
    },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    pair: Pair,
    tos: u8,
    /// Attempts left while it opens; `None` once it is open.
    opening: Option<u8>,
}

/// The media sockets of one worker. Commands take `now`; [`Media::forward`] is the hot path.
#[derive(Debug, Clone)]
pub struct Media {
    pub(super) settings: Settings,
    pub(super) own: Own,
    pools: BTreeMap<IpAddr, Pool>,
    /// Two adjacent places a pair, the RTP socket first.
    sockets: Vec<Socket>,
    /// By the number of the places.
    entries: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    opened: u64,
    events: VecDeque<Event>,
    /// What sockets have counted that are closed.
    gone: SocketStats,
}

impl Media {
    /// An empty table.
    pub fn new(settings: Settings) -> Media {
        Media {
            settings,
            own: Own::default(),
            pools: BTreeMap::new(),
            sockets: Vec::new(),
            entries: Vec::new(),
            vacant: Vec::new(),
            opened: 0,
            events: VecDeque::new(),
            gone: SocketStats::default(),
        }
    }

    /// Media may be seen to come from this address when the relay sends it to itself: what is advertised in the place of
    /// a local address. Those of open pairs are known.
    pub fn add_own(&mut self, address: IpAddr) {
        self.own.add(address);
    }

    /// Requests are taken here: never a place of media, whoever names it.
    pub fn add_control(&mut self, address: SocketAddr) {
        self.own.add_control(address);
    }

    /// Asks for a pair on the address `local`, which must be one of the configured ones: each address has its own ports.
    /// `tos`: the octet of IPv4, or the traffic class. [`Media::handle_open_done`] says what became of it.
    ///
    /// # Errors
    /// All ports are used or at rest.
    pub fn open(&mut self, now: Instant, local: IpAddr, tos: u8) -> Result<PairId, NoPorts> {
        let port = self.take_port(now, local).ok_or(NoPorts)?;
        let place = self.vacant.pop().unwrap_or(self.entries.len() as u32);
        if place as usize == self.entries.len() {
            self.entries.push(None);
            self.sockets.resize_with(self.entries.len() * 2, || Socket::new(0));
        }
        self.opened += 1;
        // The place stands in the lower half, so that an id finds it without a table.
        let id = PairId(self.opened << 32 | u64::from(place));
        let (rtp, rtcp) = (SocketId(place * 2), SocketId(place * 2 + 1));
        let pair = Pair { id, rtp, rtcp, local: SocketAddr::new(local, port) };
        if let Some(entry) = self.entries.get_mut(place as usize) {
            *entry = Some(Entry { pair, tos, opening: Some(ATTEMPTS) });
        }
        self.events.push_back(Event::Open { pair, tos });
        Ok(id)
    }

    /// The sockets of a pair were made, or not (then neither is open). `None`: another pair of ports is tried, or nobody
    /// waits for this one.
    pub fn handle_open_done(
        &mut self,
        now: Instant,
        id: PairId,
        result: Result<(), io::ErrorKind>,
    ) -> Option<(PairId, Result<Pair, NoPorts>)> {
        let Entry { pair, tos, opening } = *self.entry(id)?;
        let left = opening?;
        let again = match result {
            Ok(()) => {
                self.entry(id)?.opening = None;
                return Some((id, Ok(pair)));
            }
            Err(kind) => kind == io::ErrorKind::AddrInUse && left > 1,
        };
        self.give_port(now, pair.local);
        match again.then(|| self.take_port(now, pair.local.ip())).flatten() {
            Some(port) => {
                let entry = self.entry(id)?;
                entry.pair.local.set_port(port);
                entry.opening = Some(left - 1);
                let pair = entry.pair;
                self.events.push_back(Event::Open { pair, tos });
                None
            }
            None => {
                self.vacate(id);
                Some((id, Err(NoPorts)))
            }
        }
    }

    /// Both sockets go, open or still opening; the ports rest before they are used again. A stale id does nothing.
    pub fn close(&mut self, now: Instant, id: PairId) {
        let Some(&mut Entry { pair, .. }) = self.entry(id) else { return };
        self.give_port(now, pair.local);
        self.vacate(id);
        self.events.push_back(Event::Close { pair });
    }

    /// An open pair.
    pub fn pair(&self, id: PairId) -> Option<Pair> {
        let entry = self.entries.get(place(id))?.as_ref()?;
        (entry.pair.id == id && entry.opening.is_none()).then_some(entry.pair)
    }

    /// Uses a socket so from now on; its statistics go on.
    pub fn configure(&mut self, now: Instant, socket: SocketId, setup: &Setup) {
        let age = |out: Option<SocketId>| out.and_then(|out| self.socket(out)).map_or(0, |out| out.age);
        let ages = [age(setup.out_rtp), age(setup.out_rtcp)];
        let signalled = setup.signalled.filter(|at| !self.own.is_control(*at));
        if let Some(socket) = self.socket_mut(socket) {
            socket.configure(now, &Setup { signalled, ..*setup }, ages);
        }
    }

    /// The party of a socket is to be found anew, as after signalling that names another address.
    pub fn forget(&mut self, socket: SocketId) {
        if let Some(socket) = self.socket_mut(socket) {
            socket.forget();
        }
    }

    /// The type of service of a pair from now on, open or still opening.
    pub fn set_tos(&mut self, id: PairId, tos: u8) {
        let Some(entry) = self.entry(id).filter(|entry| entry.tos != tos) else { return };
        entry.tos = tos;
        let pair = entry.pair;
        self.events.push_back(Event::Tos { pair, tos });
    }

    /// Sends an empty datagram out of each socket of the pair that is set up to pierce NAT and has heard nothing yet.
    /// Whether there was one; then the caller comes again after a while.
    pub fn pierce(&mut self, id: PairId) -> bool {
        let Some(pair) = self.pair(id) else { return false };
        let mut any = false;
        for socket in [pair.rtp, pair.rtcp] {
            if let Some(to) = self.socket(socket).and_then(Socket::pierces) {
                self.events.push_back(Event::Pierce { socket, to });
                any = true;
            }
        }
        any
    }

    /// How it is used.
    pub fn setup(&self, socket: SocketId) -> Option<Setup> {
        self.socket(socket).map(|socket| socket.setup)
    }

    /// When the last packet from its party came in.
    pub fn last_packet(&self, socket: SocketId) -> Option<Instant> {
        self.socket(socket)?.last
    }

    /// Where the party really is: learned, else signalled.
    pub fn remote(&self, socket: SocketId) -> Option<SocketAddr> {
        self.socket(socket)?.remote()
    }

    /// What it has counted.
    pub fn stats(&self, socket: SocketId) -> Option<SocketStats> {
        self.socket(socket).map(Socket::stats)
    }

    /// What it has counted of each source of RTP, the present one first; at most four.
    pub fn streams(&self, socket: SocketId) -> impl Iterator<Item = StreamStats> + '_ {
        self.socket(socket).into_iter().flat_map(|socket| socket.streams.stats())
    }

    /// What all sockets have counted since the beginning, those included that are closed.
    pub fn totals(&self) -> SocketStats {
        let mut totals = self.gone;
        self.sockets.iter().for_each(|socket| totals.add(&socket.stats()));
        totals
    }

    /// A packet that was to be sent out of `socket` did not get away.
    pub fn handle_send_failed(&mut self, socket: SocketId) {
        if let Some(socket) = self.socket_mut(socket) {
            socket.errors += 1;
        }
    }

    /// How long ports rest.
    pub fn quarantine(&self) -> Duration {
        QUARANTINE
    }

    /// Pairs that are open or opening.
    pub fn pairs(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// The next thing to do with sockets.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether there is something to do with sockets.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.sockets.get(id.0 as usize)
    }

    #[inline]
    pub(super) fn socket_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.sockets.get_mut(id.0 as usize)
    }

    fn entry(&mut self, id: PairId) -> Option<&mut Entry> {
        self.entries.get_mut(place(id))?.as_mut().filter(|entry| entry.pair.id == id)
    }

    fn vacate(&mut self, id: PairId) {
        let place = place(id);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = None;
        }
        for socket in self.sockets.iter_mut().skip(place * 2).take(2) {
            self.gone.add(&socket.stats());
            *socket = Socket::new(socket.age.wrapping_add(1));
        }
        self.vacant.push(place as u32);
    }

    fn take_port(&mut self, now: Instant, local: IpAddr) -> Option<u16> {
        self.add_own(local);
        let Settings { ports: (first, last), worker, workers, key } = self.settings;
        self.pools.entry(local).or_insert_with(|| Pool::new(first, last, worker, workers, key)).take(now)
    }

    fn give_port(&mut self, now: Instant, local: SocketAddr) {
        if let Some(pool) = self.pools.get_mut(&local.ip()) {
            pool.give(now, local.port());
        }
    }
}

fn place(id: PairId) -> usize {
    (id.0 & u64::from(u32::MAX)) as usize
}
