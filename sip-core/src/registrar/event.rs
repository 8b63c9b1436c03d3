//! What a store has to follow.

use super::binding::Binding;

/// A change of the table, with all that a durable store needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A new binding.
    Added(Binding),
    /// A binding has new times, and perhaps other text; its [`Binding::key`] is the same.
    Refreshed(Binding),
    /// A binding was removed before its time.
    Removed {
        /// The binding as it was.
        binding: Binding,
        /// Who did it.
        by: RemovedBy,
    },
    /// A binding has ended.
    Expired(Binding),
}

impl Event {
    /// The binding.
    pub fn binding(&self) -> &Binding {
        match self {
            Event::Added(binding) | Event::Refreshed(binding) | Event::Expired(binding) => binding,
            Event::Removed { binding, .. } => binding,
        }
    }

    /// Whether the binding stands after it.
    pub fn stands(&self) -> bool {
        matches!(self, Event::Added(_) | Event::Refreshed(_))
    }
}

/// Who removed a binding before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovedBy {
    /// The phone: lifetime 0, or `*`, or another spelling of the same contact.
    Phone,
    /// A newer contact, since the address had its most.
    Replaced,
    /// Its flow was dead (430, RFC 5626 §5.3), or it did not answer.
    DeadFlow,
    /// An operator.
    Operator,
}
