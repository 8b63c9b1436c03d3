//! A worker's table of connections: by id, by key, and by what is due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_core::flow::{ConnectionId, Transport};

use super::connection::{Closed, Connection};
use super::server::Timeouts;
use crate::identity::Identities;

/// What a connection may be found by for a new request. Protocol, peer, our listener, and the name that the peer's
/// certificate was checked against: none of them may differ, or traffic meant for TLS would leave over TCP or reach a
/// server of another name. A TLS connection that a peer opened is found by none: what a client proves is not what a
/// server must prove (RFC 5922 §7.3, §7.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) identity: Identity,
}

/// Whom the peer has proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// Nobody: TCP.
    Unproved,
    /// The server of this name, or (`None`) of its address.
    Server(Option<Arc<str>>),
    /// A TLS client, and what its certificate proves, if it showed one.
    Client(Option<Identities>),
}

struct Slot {
    /// Counts the connections that were here, from 1.
    generation: u32,
    connection: Option<Connection>,
}

/// Bits of a connection id below the worker: 20 for the place in the table, 28 for the generation.
const SLOT_BITS: u32 = 20;
const MAX_SLOTS: usize = 1 << SLOT_BITS;
const GENERATIONS: u32 = 1 << 28;

/// The table.
pub(super) struct Connections {
    worker: u16,
    slots: Vec<Slot>,
    free: Vec<u32>,
    count: usize,
    most: usize,
    keys: HashMap<Key, ConnectionId>,
    timeouts: Timeouts,
    /// One entry per connection; its time is looked up again when it comes up.
    idle: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
    /// One entry per connection with something unfinished, likewise.
    unfinished: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
}

impl Connections {
    pub(super) fn new(worker: u16, most: usize, timeouts: Timeouts) -> Connections {
        Connections {
            worker,
            slots: Vec::new(),
            free: Vec::new(),
            count: 0,
            most: most.min(MAX_SLOTS),
            keys: HashMap::new(),
            timeouts,
            idle: BinaryHeap::new(),
            unfinished: BinaryHeap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= self.most
    }

    /// The id that the next connection will have; `None` when the table is full.
    pub(super) fn next_id(&mut self) -> Option<ConnectionId> {
        if self.is_full() {
            return None;
        }
        let place = match self.free.last() {
            Some(&place) => place,
            None => {
                let place = self.slots.len() as u32;
                self.slots.push(Slot { generation: 0, connection: None });
                self.free.push(place);
                place
            }
        };
        let generation = self.slots.get(place as usize).map_or(0, |slot| slot.generation) + 1;
        Some(ConnectionId::of_worker(self.worker, (u64::from(generation) << SLOT_BITS) | u64::from(place)))
    }

    /// Puts the connection in under the id that [`Connections::next_id`] gave.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        let (place, generation) = split(id);
        let Some(slot) = self.slots.get_mut(place) else { return };
        self.free.pop_if(|free| *free as usize == place);
        self.count += 1;
        self.keys.insert(connection.key.clone(), id);
        self.idle.push(Reverse((connection.active + self.timeouts.idle, id)));
        slot.generation = generation;
        slot.connection = Some(connection);
        self.watch(id);
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let (place, generation) = split(id);
        let slot = self.slots.get_mut(place)?;
        if id.worker() == self.worker && slot.generation == generation { slot.connection.as_mut() } else { None }
    }

    pub(super) fn find(&self, key: &Key) -> Option<ConnectionId> {
        self.keys.get(key).copied()
    }

    /// The client of an accepted connection has shown a certificate.
    pub(super) fn identify(&mut self, id: ConnectionId, identities: Identities) {
        let Some(connection) = self.get(id) else { return };
        let before = connection.key.clone();
        connection.key.identity = Identity::Client(Some(identities));
        let key = connection.key.clone();
        if self.keys.get(&before) == Some(&id) {
            self.keys.remove(&before);
        }
        self.keys.insert(key, id);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.get(id)?;
        let (place, generation) = split(id);
        let connection = self.slots.get_mut(place)?.connection.take()?;
        self.count -= 1;
        // A place whose generations are used up is given up: ids are never reused.
        if generation + 1 < GENERATIONS {
            self.free.push(place as u32);
        }
        if self.keys.get(&connection.key) == Some(&id) {
            self.keys.remove(&connection.key);
        }
        self.forget();
        Some(connection)
    }

    /// Drops the timers of connections that are gone once they outnumber the living.
    fn forget(&mut self) {
        let most = 2 * self.count + 1024;
        for which in [false, true] {
            let heap = if which { &mut self.unfinished } else { &mut self.idle };
            if heap.len() > most {
                let mut entries = std::mem::take(heap).into_vec();
                entries.retain(|Reverse((_, id))| self.get(*id).is_some());
                *(if which { &mut self.unfinished } else { &mut self.idle }) = entries.into();
            }
        }
    }

    /// Makes sure that an unfinished message, handshake or connect is timed.
    pub(super) fn watch(&mut self, id: ConnectionId) {
        let limit = self.timeouts.message;
        let Some(connection) = self.get(id) else { return };
        if let Some(since) = connection.unfinished
            && !connection.timed
        {
            connection.timed = true;
            self.unfinished.push(Reverse((since + limit, id)));
        }
    }

    /// When [`Connections::expired`] has something to say at the earliest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let first = |heap: &BinaryHeap<Reverse<(Instant, ConnectionId)>>| heap.peek().map(|Reverse((at, _))| *at);
        [first(&self.idle), first(&self.unfinished)].into_iter().flatten().min()
    }

    /// The next connection whose time is over at `now`, and why.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(ConnectionId, Closed)> {
        while let Some(id) = due(&mut self.unfinished, now) {
            let limit = self.timeouts.message;
            let Some(connection) = self.get(id) else { continue };
            connection.timed = false;
            match connection.unfinished.map(|since| since + limit) {
                Some(at) if at <= now => return Some((id, Closed::Slow)),
                Some(_) => self.watch(id),
                None => {}
            }
        }
        while let Some(id) = due(&mut self.idle, now) {
            let limit = self.timeouts.idle;
            let Some(connection) = self.get(id) else { continue };
            let at = connection.active + limit;
            if at <= now {
                return Some((id, Closed::Idle));
            }
            self.idle.push(Reverse((at, id)));
        }
        None
    }

    /// All connections, for the operator.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref())
    }

    /// The ids of all connections.
    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.iter().filter_map(|connection| connection.flow.connection).collect()
    }
}

fn due(heap: &mut BinaryHeap<Reverse<(Instant, ConnectionId)>>, now: Instant) -> Option<ConnectionId> {
    match heap.peek() {
        Some(Reverse((at, _))) if *at <= now => heap.pop().map(|Reverse((_, id))| id),
        _ => None,
    }
}

fn split(id: ConnectionId) -> (usize, u32) {
    let n = id.0 & 0xffff_ffff_ffff;
    ((n & (MAX_SLOTS as u64 - 1)) as usize, (n >> SLOT_BITS) as u32)
}

/// The time between two looks at listeners that were set aside because no more files could be opened.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the system gives no more files, for now.
pub(super) fn out_of_files(error: i32) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|e| e.raw_os_error() == error)
}
