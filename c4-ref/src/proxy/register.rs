//! REGISTER: who is reached where.

use std::time::Instant;

use sip_core::registrar::{Context, Registration};
use sip_core::transaction::ServerId;
use sip_core::uri::Uri;
use sip_core::{Flow, Request, StatusCode, Transport};

use super::app::App;
use super::inbound::Admitted;
use super::location::{Change, TABLE};
use super::nated::is_nated;
use crate::machine::Event;
use crate::source::Named;

impl App {
    /// A REGISTER that passed.
    pub(super) fn register(&mut self, now: Instant, id: ServerId, request: &Request, flow: &Flow, admitted: &Admitted) {
        // An address of record that is not ours (RFC 3261 §10.3 step 5).
        if !Uri::parse(request.to().uri).is_some_and(|to| self.settings.is_local(&to)) {
            self.counters.registers_refused += 1;
            return self.respond(now, id, request.response(StatusCode::NOT_FOUND));
        }
        let udp = admitted.source.transport == Transport::Udp;
        let context = Context {
            flow: *flow,
            nated: udp && is_nated(request, &admitted.source, admitted.through_balancer),
            received: admitted.through_balancer.then_some(admitted.source.remote),
        };
        let mut changes = Vec::new();
        let done = Registration::parse(request)
            .and_then(|registration| self.shared.location.register(now, &registration, &context, &mut changes));
        let response = match done {
            Ok(granted) => {
                self.counters.registers += 1;
                granted.response(request)
            }
            Err(refusal) => {
                self.counters.registers_refused += 1;
                let (source, to) = (admitted.source.remote, Named(request.to().uri));
                tracing::debug!(status = refusal.status().code(), %to, %source, "registration refused");
                refusal.response(request)
            }
        };
        self.respond(now, id, response);
        self.store(changes);
    }

    /// Hands changes of the location table to the durable store.
    pub(super) fn store(&mut self, changes: Vec<Change>) {
        self.events.extend(changes.into_iter().map(|Change { key, value }| match value {
            Some(value) => Event::Put { table: TABLE, key, value },
            None => Event::Delete { table: TABLE, key },
        }));
    }
}
