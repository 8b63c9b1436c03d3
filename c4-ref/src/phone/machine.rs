//! A phone as `io` drives it.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use sip_core::flow::Flow;
use sip_core::message::Message;
use sip_core::transaction::{self, ConnectId, TransmitId};

use super::audio::Audio;
use super::{Entry, Phone};
use crate::admin::{Answer, Command};
use crate::machine::{Datagram, Event, Machine, Transmit};

impl Machine for Phone {
    type ConnectId = ConnectId;
    type TransmitId = TransmitId;

    fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        self.note_message(Entry { at: now, sent: false, flow, octets: message.to_bytes() });
        if let Ok(message) = message.check() {
            let _ = self.layer.handle_input(now, transaction::Input { flow, message });
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.agent.handle_timeout(now, &mut self.layer);
        if let Some((_, session)) = self.answer.take_if(|(at, _)| *at <= now) {
            self.pick_up(now, session);
        }
        self.pump(now);
        if let Some(audio) = &mut self.audio {
            audio.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let queued = (!self.events.is_empty()).then_some(self.now);
        let answer = self.answer.map(|(at, _)| at);
        let sound = self.audio.as_ref().and_then(Audio::poll_timeout);
        [queued, answer, sound, self.layer.poll_timeout(), self.agent.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit<TransmitId>> {
        let transmit = self.layer.poll_transmit()?;
        let (id, flow, payload) = (transmit.id, transmit.flow, transmit.payload);
        if !payload.is_empty() {
            self.note_message(Entry { at: self.now, sent: true, flow, octets: payload.clone() });
        }
        Some(Transmit { id, flow, payload, close: false })
    }

    fn handle_datagram(&mut self, now: Instant, socket: usize, from: SocketAddr, payload: Bytes) {
        if let Some(audio) = &mut self.audio {
            audio.handle_datagram(now, socket, from, &payload);
        }
    }

    fn poll_datagram(&mut self) -> Option<Datagram> {
        self.audio.as_mut().and_then(Audio::poll_datagram)
    }

    fn poll_event(&mut self) -> Option<Event<ConnectId>> {
        self.events.pop_front()
    }

    fn handle_connect_done(&mut self, now: Instant, id: ConnectId, result: Result<Flow, io::ErrorKind>) {
        self.layer.handle_connect_done(now, id, result);
        self.pump(now);
    }

    fn handle_transmit_failed(&mut self, now: Instant, id: TransmitId, kind: io::ErrorKind) {
        self.layer.handle_transmit_failed(now, id, kind);
        self.pump(now);
    }

    fn handle_flow_closed(&mut self, now: Instant, flow: Flow) {
        self.layer.handle_flow_closed(now, flow);
        self.agent.handle_flow_closed(now, flow);
        self.pump(now);
    }

    /// `phone.register`, `phone.unregister`, `phone.call {"user": ...}`, `phone.hangup` and `phone.state` answer with the
    /// state of registration and calls; `phone.journal` with the messages sent and received.
    fn handle_command(&mut self, now: Instant, command: &Command) -> Option<Answer> {
        match command.method.as_str() {
            "phone.register" => self.register(now),
            "phone.unregister" => self.unregister(now),
            "phone.hangup" => self.hang_up(now),
            "phone.state" => {}
            "phone.journal" => return Some(Ok(self.journal.iter().map(Entry::to_json).collect())),
            "phone.call" => {
                let Some(user) = command.params.get("user").and_then(Value::as_str) else {
                    return Some(Err("user: missing; accepted: the user to call".into()));
                };
                if let Err(refused) = self.call(now, user) {
                    return Some(Err(refused.to_string()));
                }
            }
            _ => return None,
        }
        Some(Ok(self.state()))
    }
}
