//! The operator's questions.

use std::time::Instant;

use serde_json::{Value, json};

use super::app::App;
use crate::admin::{Answer, Command};

/// Contacts in one answer; more are counted only.
const MAX_LISTED: usize = 10_000;

impl App {
    /// Answers a command; `None`: not one of the proxy's.
    pub(super) fn command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "stats" => Some(Ok(self.stats())),
            "ul.list" => Some(Ok(self.contacts(now, command.params.get("aor").and_then(Value::as_str)))),
            _ => None,
        }
    }

    /// Gauges and counters of this shard; what all shards share is told by the first.
    fn stats(&self) -> Value {
        let tm = self.layer.stats();
        let mut stats = self.counters.to_json();
        let location = &self.shared.location;
        let (contacts, aors) = if self.shard == 0 { (location.len(), location.aors()) } else { (0, 0) };
        stats.insert("contacts".into(), contacts.into());
        stats.insert("aors".into(), aors.into());
        stats.insert("dialogs".into(), self.calls.dialogs().into());
        stats.insert("calls-open".into(), self.calls.len().into());
        stats.insert("transactions".into(), tm.current.into());
        stats.insert("contexts".into(), self.proxy.stats().contexts.into());
        if let Some(media) = &self.media {
            stats.insert("media".into(), Value::Object(media.to_json(self.shard == 0)));
        }
        let rows = tm.rows().into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        stats.insert("tm".into(), Value::Object(rows.collect()));
        Value::Object(stats)
    }

    fn contacts(&self, now: Instant, aor: Option<&str>) -> Value {
        let (mut list, mut total) = (Vec::new(), 0usize);
        self.shared.location.for_each(|binding| {
            let bare = |aor: &str| binding.aor().strip_prefix("sip:") == Some(aor);
            if aor.is_some_and(|aor| aor != binding.aor() && !bare(aor)) {
                return;
            }
            total += 1;
            if list.len() >= MAX_LISTED {
                return;
            }
            let path: Vec<&str> = binding.path().collect();
            list.push(json!({
                "aor": binding.aor(),
                "contact": binding.contact(),
                "q": f64::from(binding.q().unwrap_or(1000)) / 1000.0,
                "expires": binding.expires_in(now),
                "path": path,
                "received": binding.received().or(binding.flow().map(|flow| flow.remote)).map(|a| a.to_string()),
                "nated": binding.is_nated(),
                "call-id": binding.call_id(),
                "cseq": binding.cseq(),
                "user-agent": binding.user_agent(),
            }));
        });
        json!({ "contacts": list, "total": total })
    }
}
