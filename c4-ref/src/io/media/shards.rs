//! Requests on their way from the first worker to the one that has the call, and replies on their way back.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::time::Instant;

use nat::siphash::BuildSipHasher;

use super::Mail;
use super::control::Control;
use super::worker::Worker;
use crate::ng::bencode::{Dictionary, Value};
use crate::ng::server::CommandId;
use crate::ng::{Command, Reply, Request};
use crate::relay::media::MediaMachine;
use crate::relay::{Event, RequestId};

/// What only the first worker has.
pub(super) struct Front {
    pub(super) control: Control,
    /// Says which worker has a call.
    pub(super) hasher: BuildSipHasher,
    /// Lists that workers have still to answer.
    pub(super) lists: BTreeMap<RequestId, List>,
}

/// The calls of all workers.
pub(super) struct List {
    waits_for: usize,
    most: usize,
    calls: Vec<Value>,
}

/// Calls in a list, if the request does not say how many.
const LISTED: usize = 32;

impl Front {
    /// The workers that a request goes to.
    fn workers(&mut self, workers: usize, id: RequestId, request: &Request) -> std::ops::Range<usize> {
        match request.command {
            Command::Offer | Command::Answer | Command::Delete | Command::Query => {
                let worker = (self.hasher.hash_one(request.call_id.as_bytes()) % workers.max(1) as u64) as usize;
                worker..worker + 1
            }
            Command::List if workers > 1 => {
                let most = request.limit.map_or(LISTED, |limit| limit as usize);
                self.lists.insert(id, List { waits_for: workers, most, calls: Vec::new() });
                0..workers
            }
            _ => 0..1,
        }
    }

    /// Answers, unless other workers have still to say something.
    fn reply(&mut self, now: Instant, id: RequestId, reply: Reply) {
        let reply = match self.lists.get_mut(&id) {
            Some(list) => {
                list.add(reply);
                if list.waits_for > 0 {
                    return;
                }
                self.lists.remove(&id).map_or_else(Reply::ok, List::into_reply)
            }
            None => reply,
        };
        self.control.answer(now, CommandId(id.0), reply);
    }
}

impl List {
    fn add(&mut self, reply: Reply) {
        self.waits_for = self.waits_for.saturating_sub(1);
        if let Reply::Ok(mut dict) = reply
            && let Some(Value::List(calls)) = dict.remove("calls")
        {
            self.calls.extend(calls);
            self.calls.truncate(self.most);
        }
    }

    fn into_reply(self) -> Reply {
        let mut dict = Dictionary::new();
        dict.insert("calls".into(), Value::List(self.calls));
        Reply::Ok(dict)
    }
}

impl<M: MediaMachine> Worker<M> {
    /// What the NG server has taken in goes to those who have the calls.
    pub(super) fn requests(&mut self, now: Instant) {
        while let Some(front) = &mut self.front
            && let Some((CommandId(id), request)) = front.control.poll_request()
        {
            let id = RequestId(id);
            let mut workers = front.workers(self.boxes.0.len(), id, &request);
            let last = workers.next_back();
            for worker in workers {
                self.hand(now, worker, id, request.clone());
            }
            if let Some(worker) = last {
                self.hand(now, worker, id, request);
            }
        }
    }

    fn hand(&mut self, now: Instant, worker: usize, id: RequestId, request: Request) {
        if worker == self.index {
            return self.machine.handle_request(now, id, request);
        }
        let refused = match self.boxes.0.get(worker) {
            Some(mailbox) => mailbox.offer(Mail::Request { id, request: Box::new(request) }).is_err(),
            None => true,
        };
        if refused {
            self.reply(now, id, Reply::error("Too many requests at once"));
        }
    }

    /// What the machine says.
    pub(super) fn machine_events(&mut self, now: Instant) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Reply { id, reply } => self.reply(now, id, reply),
                Event::Timeout { kind, call_id, from_tag, since_packet } => {
                    self.notices.timeout(kind, &call_id, from_tag.as_deref(), since_packet);
                }
            }
        }
    }

    /// A reply of this worker, or of another one.
    pub(super) fn reply(&mut self, now: Instant, id: RequestId, reply: Reply) {
        match (&mut self.front, self.boxes.0.first()) {
            (Some(front), _) => front.reply(now, id, reply),
            // As many as requests, and those are bounded.
            (None, Some(first)) => first.push(Mail::Reply { id, reply }),
            (None, None) => {}
        }
    }
}
