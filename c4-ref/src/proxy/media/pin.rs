//! Which relay has a call: a name that stands in our Record-Route, so that a proxy that was restarted, or another one
//! with the same keys, finds it again.
//!
//! Route sets stay for the life of a dialog (RFC 3261 §12.2), so a call that had to move to another relay is remembered
//! here besides. What is forgotten moves again with the next offer.

use super::super::dialogs::Way;
use super::Media;
use super::session::Parties;
use crate::ng::client::NodeId;

/// No relay: the call goes without.
pub(in super::super) const NONE: u32 = 0;
/// Calls remembered that had to move.
const MAX_MOVED: usize = 1 << 16;

impl Media {
    /// The name of a relay; never [`NONE`], but for one that is none.
    pub(super) fn name_of(&self, node: NodeId) -> u32 {
        self.names.get(usize::from(node.0)).copied().unwrap_or(NONE)
    }

    /// The relay of a dialog, whether it is up or not. `None`: it has none, or the configuration knows it no more.
    pub(super) fn relay_of(&self, parties: &Parties, way: &Way) -> Option<NodeId> {
        let moved = self.moved.get(&self.dialog_key(parties, way)).copied();
        let named = || self.names.iter().position(|name| *name == way.relay).map(|n| NodeId(n as u16));
        moved.or_else(named)
    }

    pub(super) fn is_up(&self, node: NodeId) -> bool {
        self.client.nodes().any(|(id, _, up)| id == node && up)
    }

    /// A dialog is served by another relay than its routes say.
    pub(super) fn remember_move(&mut self, parties: &Parties, way: &Way, node: NodeId) {
        self.counters.reanchored += 1;
        let (caller, callee) = parties.sides(way.from_caller);
        if let Some(watched) = self.watch.as_mut().and_then(|watch| watch.get_mut(&parties.call_id, caller, callee)) {
            watched.node = node;
        }
        let key = self.dialog_key(parties, way);
        if self.moved.len() < MAX_MOVED || self.moved.contains_key(&key) {
            self.moved.insert(key, node);
        }
    }

    pub(super) fn forget_move(&mut self, parties: &Parties, way: &Way) {
        let key = self.dialog_key(parties, way);
        self.moved.remove(&key);
    }

    /// The same for requests of both sides.
    fn dialog_key(&self, parties: &Parties, way: &Way) -> u64 {
        let (caller, callee) = parties.sides(way.from_caller);
        self.key(&parties.call_id, caller, callee)
    }
}
