//! The dialogs of a user agent, by full identity and by handle, each with its usages (RFC 5057).
use super::dialog::{Dialog, DialogId};
use super::ids::{DialogKey, SessionId};
use crate::flow::{Destination, Flow, Target};
use crate::resolve::{self, NextHop};
use std::collections::BTreeMap;

/// Who uses a dialog; it lives as long as anybody does (RFC 5057 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Usage {
    /// An INVITE session.
    Invite(SessionId),
}

/// A dialog and how its peer is reached.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Entry {
    pub(crate) dialog: Dialog,
    pub(crate) usages: Vec<Usage>,
    /// Where its first message went, or came from.
    pub(crate) first_hop: Destination,
}

impl Entry {
    /// Where the next request goes: the address that the next hop's URI names, on the flow that is open to it.
    ///
    /// A host name is left to the first hop: it is the proxy that this dialog was set up through.
    pub(crate) fn destination(&self) -> Destination {
        let hop = self.dialog.next_hop();
        let Ok(NextHop::Target(target)) = resolve::of_uri_text(&hop) else { return self.first_hop.clone() };
        let (transport, remote) = (target.transport, target.remote);
        if self.first_hop.transport() == transport && self.first_hop.remote() == remote {
            return self.first_hop.clone();
        }
        target.into()
    }
}

/// All dialogs.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Dialogs {
    entries: BTreeMap<DialogKey, Entry>,
    keys: BTreeMap<DialogId, DialogKey>,
    next: u64,
}

impl Dialogs {
    pub(crate) fn insert(&mut self, dialog: Dialog, usage: Usage, first_hop: Destination) -> DialogKey {
        self.next += 1;
        let key = DialogKey(self.next);
        self.keys.insert(dialog.id().clone(), key);
        self.entries.insert(key, Entry { dialog, usages: vec![usage], first_hop });
        key
    }

    pub(crate) fn find(&self, id: &DialogId) -> Option<DialogKey> {
        self.keys.get(id).copied()
    }

    pub(crate) fn get(&self, key: DialogKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: DialogKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// Ends one usage; the dialog goes with its last.
    pub(crate) fn release(&mut self, key: DialogKey, usage: Usage) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.usages.retain(|other| *other != usage);
        if entry.usages.is_empty() {
            self.keys.remove(entry.dialog.id());
            self.entries.remove(&key);
        }
    }

    /// A flow is closed: dialogs that used it connect anew.
    pub(crate) fn forget_flow(&mut self, flow: &Flow) {
        for entry in self.entries.values_mut() {
            if entry.first_hop == Destination::Flow(*flow) {
                entry.first_hop = Target::new(flow.transport, flow.remote).into();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
