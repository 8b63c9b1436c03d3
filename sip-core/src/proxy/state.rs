//! All that decides what the proxy does next, hashed for tests. Counters are left out.

use std::hash::{Hash, Hasher};

use super::best::Best;
use super::context::Context;
use super::core::Proxy;
use super::table::{Contexts, Owners};
use crate::message::Message;

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.config.hash(state);
        self.tags.hash(state);
        self.now.hash(state);
        self.contexts.hash(state);
        self.owners.hash(state);
        self.timers.hash(state);
        self.events.hash(state);
    }
}

/// In the order of ids, as [`Owners`].
impl Hash for Contexts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(id, _)| **id);
        entries.hash(state);
    }
}

/// In the order of ids: the order of a table of hashes says nothing.
impl Hash for Owners {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by_key(|(id, _)| **id);
        clients.hash(state);
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_key(|(id, _)| **id);
        servers.hash(state);
    }
}

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.user, self.server, self.hash, self.invite, self.options, self.phase).hash(state);
        octets(&self.request, state);
        (&self.legs, &self.queue, self.group, self.breadth, &self.best, &self.cancelled).hash(state);
        (&self.tried, &self.outcome, self.deadline, self.armed, &self.answers).hash(state);
    }
}

impl Hash for Best {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.challenges.hash(state);
        if let Some(chosen) = &self.chosen {
            (chosen.status, chosen.branch, chosen.cause).hash(state);
            if let Some(response) = &chosen.response {
                octets(response, state);
            }
        }
    }
}

fn octets<H: Hasher>(message: &Message, state: &mut H) {
    message.to_bytes().hash(state);
}
