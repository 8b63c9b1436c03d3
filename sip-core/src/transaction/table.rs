//! The table of transactions with its indexes and its timer wheel: what every change of state goes through.

use super::config::Ticks;
use super::event::Event;
use super::id::{ClientId, Kind, ServerId};
use super::keyed::Ready;
use super::matching::Key;
use super::output::{Cx, Output};
use super::room::shrink;
use super::slab::Slab;
use super::stats::Stats;
use super::tenant::{Fsm, Side, Tenant, connection_of};
use super::timer::Timer;
use super::wheel::{NONE, Wheel};
use crate::flow::Flow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

#[derive(Clone, Debug)]
pub(super) struct Table {
    slab: Slab<Tenant>,
    wheel: Wheel,
    /// Server transactions by the first half of their key.
    servers: HashMap<u64, u64, Ready>,
    /// How many server transactions share From tag, Call-ID and CSeq.
    merges: HashMap<u64, u32, Ready>,
    /// The first of those that share a connection.
    connections: HashMap<u64, u32, Ready>,
    /// The present in ticks, rounded down: what is due.
    pub(super) now: u64,
    /// The present in ticks, rounded up: what timers are set from.
    pub(super) from: u64,
    pub(super) ticks: Ticks,
    pub(super) out: Output,
    pub(super) clients: usize,
    pub(super) server_count: usize,
    /// Octets that wait for connections.
    pub(super) connecting: usize,
}

impl Table {
    pub(super) fn new(ticks: Ticks) -> Table {
        Table {
            slab: Slab::new(),
            wheel: Wheel::new(),
            servers: HashMap::with_hasher(Ready),
            merges: HashMap::with_hasher(Ready),
            connections: HashMap::with_hasher(Ready),
            now: 0,
            from: 0,
            ticks,
            out: Output::default(),
            clients: 0,
            server_count: 0,
            connecting: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn serial(&mut self) -> u64 {
        self.slab.serial()
    }

    pub(super) fn reserve(&mut self, kind: Kind) -> Option<u64> {
        self.slab.reserve(kind)
    }

    pub(super) fn get(&self, raw: u64) -> Option<&Tenant> {
        self.slab.get(raw)?.tenant.as_ref()
    }

    pub(super) fn get_mut(&mut self, raw: u64) -> Option<&mut Tenant> {
        self.slab.get_mut(raw)?.tenant.as_mut()
    }

    /// The server transaction of a key.
    pub(super) fn find(&self, key: Key) -> Option<u64> {
        let raw = *self.servers.get(&key.find)?;
        match &self.get(raw)?.side {
            Side::Server { key: own, .. } if *own == key => Some(raw),
            _ => None,
        }
    }

    /// Whether another transaction already has the first half of a key. Nobody without the seed can bring that about.
    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.servers.contains_key(&key.find)
    }

    pub(super) fn is_merged(&self, merge: Option<u64>) -> bool {
        merge.is_some_and(|merge| self.merges.contains_key(&merge))
    }

    /// Puts a transaction in the place just reserved.
    pub(super) fn insert(&mut self, raw: u64, tenant: Tenant) {
        match &tenant.side {
            Side::Client { .. } => self.clients += 1,
            Side::Server { key, merge, .. } => {
                self.server_count += 1;
                self.servers.insert(key.find, raw);
                if let Some(merge) = merge {
                    *self.merges.entry(*merge).or_insert(0) += 1;
                }
            }
        }
        if !matches!(tenant.fsm, Fsm::Send(_)) {
            self.out.stats.total += 1;
            self.out.stats.total_local += u64::from(!tenant.is_server());
        }
        self.out.stats.created += 1;
        self.slab.insert(raw, tenant);
    }

    /// Runs a state machine, then puts the table right. None: the transaction is gone.
    pub(super) fn with<R>(&mut self, raw: u64, run: impl FnOnce(&mut Fsm, &mut Cx<'_>) -> R) -> Option<R> {
        let tenant = self.slab.get_mut(raw)?.tenant.as_mut()?;
        let mut cx = Cx { raw, now: self.from, timers: &mut tenant.timers, ticks: &self.ticks, out: &mut self.out };
        let result = run(&mut tenant.fsm, &mut cx);
        self.settle(raw);
        Some(result)
    }

    /// Lists a transaction under its connection.
    pub(super) fn bind(&mut self, raw: u64, flow: &Flow) {
        let id = connection_of(flow);
        self.unbind(raw);
        if id == 0 {
            return;
        }
        let place = super::id::place(raw);
        let next = self.connections.insert(id, place).unwrap_or(NONE);
        if let Some(after) = self.slab.at_mut(next).and_then(|place| place.tenant.as_mut()) {
            after.connection.previous = place;
        }
        if let Some(tenant) = self.get_mut(raw) {
            tenant.connection = super::tenant::Connection { id, next, previous: NONE };
        }
    }

    fn unbind(&mut self, raw: u64) {
        let Some(tenant) = self.get_mut(raw) else { return };
        let super::tenant::Connection { id, next, previous } = tenant.connection;
        if id == 0 {
            return;
        }
        tenant.connection = super::tenant::Connection { id: 0, next: NONE, previous: NONE };
        if let Some(after) = self.slab.at_mut(next).and_then(|place| place.tenant.as_mut()) {
            after.connection.previous = previous;
        }
        if let Some(before) = self.slab.at_mut(previous).and_then(|place| place.tenant.as_mut()) {
            before.connection.next = next;
        } else if next == NONE {
            self.connections.remove(&id);
            shrink(&mut self.connections);
        } else {
            self.connections.insert(id, next);
        }
    }

    /// Takes every transaction off the list of a connection that is gone.
    pub(super) fn unbind_all(&mut self, flow: &Flow) -> Vec<u64> {
        let mut names = Vec::new();
        let mut place = self.connections.remove(&connection_of(flow)).unwrap_or(NONE);
        while let Some(at) = self.slab.at_mut(place) {
            let Some(tenant) = at.tenant.as_mut() else { break };
            names.push(at.raw);
            place = tenant.connection.next;
            tenant.connection = super::tenant::Connection { id: 0, next: NONE, previous: NONE };
        }
        shrink(&mut self.connections);
        // Oldest first.
        names.reverse();
        names
    }

    /// The next transaction with a due timer, and the timer.
    pub(super) fn pop_due(&mut self) -> Option<u64> {
        let place = self.wheel.pop(&mut self.slab, self.now)?;
        self.slab.at_mut(place).map(|place| place.raw)
    }

    pub(super) fn take_due(&mut self, raw: u64) -> Option<Timer> {
        let now = self.now;
        self.get_mut(raw)?.timers.take_due(now)
    }

    pub(super) fn next_timer(&self) -> Option<u64> {
        self.wheel.next()
    }

    /// Counts, arms, or frees.
    pub(super) fn settle(&mut self, raw: u64) {
        let Some(place) = self.slab.get_mut(raw) else { return };
        let Some(tenant) = place.tenant.as_mut() else { return };
        if let Side::Client { connecting, .. } = &mut tenant.side
            && *connecting != 0
        {
            let left = tenant.fsm.connecting() as u32;
            self.connecting -= connecting.saturating_sub(left) as usize;
            *connecting = left;
        }
        if tenant.fsm.is_over() {
            return self.free(raw);
        }
        if !tenant.waiting && tenant.fsm.is_waiting() {
            tenant.waiting = true;
            self.out.stats.waiting += 1;
        }
        match (tenant.timers.next(), place.link.armed()) {
            (None, Some(_)) => self.wheel.disarm(&mut self.slab, super::id::place(raw)),
            // A wake-up that comes too early does no harm and is armed anew then.
            (Some(next), Some(armed)) if armed <= next => {}
            (Some(next), _) => self.wheel.arm(&mut self.slab, super::id::place(raw), next),
            (None, None) => {}
        }
    }

    fn free(&mut self, raw: u64) {
        self.unbind(raw);
        self.wheel.disarm(&mut self.slab, super::id::place(raw));
        let Some(tenant) = self.slab.remove(raw) else { return };
        self.out.stats.freed += 1;
        self.out.stats.waiting -= u64::from(tenant.waiting);
        match tenant.side {
            Side::Client { .. } => {
                self.clients -= 1;
                if !matches!(tenant.fsm, Fsm::Send(_)) {
                    self.out.events.push_back(Event::ClientEnded { id: ClientId(raw) });
                }
            }
            Side::Server { key, merge, .. } => {
                self.server_count -= 1;
                self.servers.remove(&key.find);
                shrink(&mut self.servers);
                if let Some(merge) = merge {
                    self.unmerge(merge);
                }
                self.out.events.push_back(Event::ServerEnded { id: ServerId(raw) });
            }
        }
    }

    fn unmerge(&mut self, merge: u64) {
        if let Some(count) = self.merges.get_mut(&merge) {
            *count -= 1;
            if *count == 0 {
                self.merges.remove(&merge);
                shrink(&mut self.merges);
            }
        }
    }
}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The maps follow from the slab; events are told by their kind and number.
        self.slab.hash(state);
        self.wheel.hash(state);
        self.now.hash(state);
        self.out.transmits.hash(state);
        // A refusal is counted, and changes nothing else.
        Stats { busy: 0, ..self.out.stats }.hash(state);
        for event in &self.out.events {
            std::mem::discriminant(event).hash(state);
        }
        (self.clients, self.server_count, self.connecting).hash(state);
    }
}
