//! What the operator asks.

use serde_json::{Value, json};

use super::Lb;
use super::stats::Counter;
use crate::admin::{Answer, Command};

impl Lb {
    pub(super) fn command(&mut self, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "stats" => Some(Ok(self.stats_json())),
            "backend.list" => Some(Ok(self.backend_list())),
            _ => None,
        }
    }

    fn stats_json(&self) -> Value {
        let mut lb = self.stats.to_json();
        lb.insert("calls".into(), self.calls.len().into());
        lb.insert("sources".into(), self.guard.len().into());
        lb.insert("streams".into(), self.connections.len().into());
        json!({ "lb": lb })
    }

    fn backend_list(&self) -> Value {
        let one = |id| {
            let state = if self.backends.is_up(id) { "up" } else { "down" };
            json!({ "address": self.backends.get(id).map(|e| e.to_string()), "state": state })
        };
        self.backends.ids().map(one).collect()
    }

    /// How often something happened.
    pub fn count(&self, counter: Counter) -> u64 {
        self.stats.get(counter)
    }
}
