//! What a running balancer takes of a changed configuration.

use std::sync::Arc;

use nat::keys::KeyRing;

use super::Lb;
use super::backends::{BackendId, Health};
use crate::config;

/// A changed configuration for the machines of all workers, as [`News`](crate::machine::News).
///
/// Taken are keys, aliases, backends, peers, probes, the rate of sources, the lifetime of tokens and what becomes of
/// foreign routes. Sockets and the hash stay as they are: calls under way depend on them.
#[derive(Debug, Clone)]
pub struct Update {
    /// `[lb]`.
    pub config: Arc<config::Lb>,
    /// The keys of the tokens.
    pub keys: KeyRing,
    /// One for all workers, made by [`Health::new`] for as many backends as the configuration has.
    pub health: Health,
}

impl Lb {
    /// Takes a changed configuration. Backends that stay keep their calls, their health and their place in the round of
    /// probes; one that goes gets no new calls, but those that it has go on through it.
    pub fn update(&mut self, update: &Update) {
        let Update { config, keys, health } = update;
        self.set_keys(keys.clone());
        self.lifetime = config.token_lifetime_s;
        self.foreign_routes = config.foreign_routes;
        self.peers.clone_from(&config.peers);
        self.peer_tls_names.clone_from(&config.peer_tls_names);
        self.validation.locals = self.listeners.locals(&config.aliases);
        self.guard.set_rate(config.source_rate);
        let before = self.backends.clone();
        self.backends.replace(&config.backends, health.clone(), self.secrets.backend);
        let after = &self.backends;
        self.calls.renumber(|old| before.get(old).and_then(|endpoint| after.find(endpoint)));
        if self.worker == 0 {
            let kept = |new: usize| after.get(BackendId(new as u16)).and_then(|endpoint| before.find(endpoint));
            self.prober.update(config.probe, config.backends.len(), kept, self.now);
            if config.probe.interval_ms == 0 {
                // Nobody would find out that it is back.
                self.backends.ids().for_each(|id| _ = self.backends.set_up(id, true));
            }
        }
    }
}
