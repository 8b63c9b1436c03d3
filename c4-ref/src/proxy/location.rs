//! Who is where: the registrar of all shards, shared out over locks by address of record.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nat::siphash::BuildSipHasher;
use sip_core::Flow;
use sip_core::registrar::{self, Binding, Context, Event, Granted, Refusal, Registrar, Registration, RemovedBy};

use super::settings::Settings;
use super::shared::lock;

/// Parts of the table, each behind a lock of its own.
pub const SHELVES: usize = 128;
/// Name of the store's table.
pub const TABLE: &str = "bindings";
/// Changes of one call; the events of the registrar are taken after each.
const EVENTS: usize = 4096;

/// The location table. Changes come back as [`Change`]s for the store; see [`Location::restore`] for the way back.
#[derive(Debug)]
pub struct Location {
    shelves: Box<[Mutex<Shelf>]>,
    hasher: BuildSipHasher,
    /// Bindings on all shelves.
    contacts: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Shelf {
    registrar: Registrar,
    /// Bindings up to this order come from the store: their connections were another process's.
    restored: u64,
    contacts: Arc<AtomicUsize>,
}

/// A binding and how it can be reached.
#[derive(Debug, Clone)]
pub struct Found {
    /// The binding.
    pub binding: Binding,
    /// The flow that it registered by, while that may be alive.
    pub flow: Option<Flow>,
}

/// A change for the durable store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Key in [`TABLE`].
    pub key: Vec<u8>,
    /// The record; `None`: delete.
    pub value: Option<Vec<u8>>,
}

impl Location {
    /// An empty table; `unix` is the time since the Unix epoch at `now`.
    pub fn new(settings: &Settings, seed: [u8; 32], now: Instant, unix: Duration) -> Location {
        let [key, _] = [seed.first_chunk(), seed.last_chunk()];
        let contacts = Arc::new(AtomicUsize::new(0));
        let shelf = || {
            let registrar = Registrar::new(config(settings, seed), now, unix);
            Mutex::new(Shelf { registrar, restored: 0, contacts: contacts.clone() })
        };
        Location {
            shelves: (0..SHELVES).map(|_| shelf()).collect(),
            hasher: BuildSipHasher::new(key.copied().unwrap_or_default()),
            contacts,
        }
    }

    /// Does what a REGISTER asks.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then.
    pub fn register(
        &self,
        now: Instant,
        registration: &Registration<'_>,
        context: &Context,
        changes: &mut Vec<Change>,
    ) -> Result<Granted, Refusal> {
        self.with(registration.aor(), |shelf| {
            let granted = shelf.registrar.apply(now, registration, context);
            shelf.take_changes(changes);
            granted
        })
        .unwrap_or(Err(Refusal::Busy))
    }

    /// The contacts of an address of record, the preferred first.
    pub fn lookup(&self, now: Instant, aor: &str) -> Vec<Found> {
        self.with(aor, |shelf| {
            let bindings = shelf.registrar.lookup(now, aor);
            bindings.into_iter().map(|binding| shelf.found(binding)).collect()
        })
        .unwrap_or_default()
    }

    /// A number of 48 bits that stands for a binding until it is refreshed, never 0.
    pub fn mark(&self, binding: &Binding) -> u64 {
        (self.hasher.hash_one((binding.contact(), binding.order())) >> 16).max(1)
    }

    /// Drops the binding with this mark: it is dead. Whether there was one; one that was refreshed since stays.
    pub fn drop_contact(&self, now: Instant, aor: &str, mark: u64, changes: &mut Vec<Change>) -> bool {
        let found = self.lookup(now, aor).into_iter().find(|found| self.mark(&found.binding) == mark);
        let Some(found) = found else { return false };
        self.with(aor, |shelf| {
            let contact = found.binding.contact();
            let dropped = shelf.registrar.remove(now, aor, contact, RemovedBy::DeadFlow);
            shelf.take_changes(changes);
            dropped
        })
        .unwrap_or(false)
    }

    /// Drops what has ended on one shelf, and gives what lives there behind a NAT.
    pub fn visit(&self, now: Instant, shelf: usize, changes: &mut Vec<Change>) -> Vec<Found> {
        let Some(shelf) = self.shelves.get(shelf) else { return Vec::new() };
        let mut shelf = lock(shelf);
        shelf.registrar.handle_timeout(now);
        shelf.take_changes(changes);
        let nated = shelf.registrar.iter().filter(Binding::is_nated);
        nated.map(|binding| shelf.found(binding)).collect()
    }

    /// Puts back a record of the store, before the first message. `false`: it has ended or cannot be read.
    pub fn restore(&self, now: Instant, record: &[u8]) -> bool {
        let wall = match self.shelves.first() {
            Some(shelf) => lock(shelf).registrar.wall_clock(),
            None => return false,
        };
        let Ok(binding) = Binding::import(record, &wall) else { return false };
        let aor = binding.aor().to_owned();
        self.with(&aor, |shelf| {
            let order = binding.order();
            let restored = shelf.registrar.restore(now, binding);
            if restored {
                shelf.restored = shelf.restored.max(order);
                shelf.contacts.fetch_add(1, Ordering::Relaxed);
            }
            restored
        })
        .unwrap_or(false)
    }

    /// Corrects the wall clock.
    pub fn set_wall_clock(&self, now: Instant, unix: Duration) {
        for shelf in &self.shelves {
            lock(shelf).registrar.set_wall_clock(now, unix);
        }
    }

    /// Takes other bounds.
    pub fn set_settings(&self, settings: &Settings) {
        for shelf in &self.shelves {
            lock(shelf).registrar.set_config(config(settings, [0; 32]));
        }
    }

    /// Hands each binding to `each`, shelf by shelf.
    pub fn for_each(&self, mut each: impl FnMut(Binding)) {
        for shelf in &self.shelves {
            lock(shelf).registrar.iter().for_each(&mut each);
        }
    }

    /// Contacts held.
    pub fn len(&self) -> usize {
        self.contacts.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Addresses of record with a contact.
    pub fn aors(&self) -> usize {
        self.shelves.iter().map(|shelf| lock(shelf).registrar.aors()).sum()
    }

    fn with<R>(&self, aor: &str, run: impl FnOnce(&mut Shelf) -> R) -> Option<R> {
        // Another part of the hash than the one that crowds a table would be aimed at.
        let place = (self.hasher.hash_one(aor) >> 32) as usize % SHELVES;
        self.shelves.get(place).map(|shelf| run(&mut lock(shelf)))
    }
}

impl Shelf {
    fn found(&self, binding: Binding) -> Found {
        let ours = binding.order() > self.restored;
        let flow = binding.flow().filter(|flow| ours || flow.connection.is_none());
        Found { binding, flow }
    }

    fn take_changes(&mut self, changes: &mut Vec<Change>) {
        let wall = self.registrar.wall_clock();
        while let Some(event) = self.registrar.poll_event() {
            let binding = event.binding();
            match event {
                Event::Added(_) => _ = self.contacts.fetch_add(1, Ordering::Relaxed),
                Event::Removed { .. } | Event::Expired(_) => _ = self.contacts.fetch_sub(1, Ordering::Relaxed),
                _ => {}
            }
            let value = event.stands().then(|| binding.export(&wall));
            changes.push(Change { key: binding.key(), value });
        }
    }
}

fn config(settings: &Settings, seed: [u8; 32]) -> registrar::Config {
    let mut config = registrar::Config::new(seed);
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    config.min_expires = seconds(settings.bounds.min_expires);
    config.max_expires = seconds(settings.bounds.max_expires);
    config.nat_max_expires = seconds(settings.bounds.nat_max_expires);
    config.default_expires = config.default_expires.min(config.max_expires);
    config.max_contacts = settings.bounds.max_contacts;
    config.max_events = EVENTS;
    config.max_aors = 1_000_000 / SHELVES * 4;
    config
}
