//! The registrar against a naive map: any sequence of requests, removals and pauses.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const USERS: [&str; 3] = ["ann", "bob", "cat"];
const MAX_CONTACTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Register { user: usize, phone: usize, cseq: u32, contacts: Vec<(usize, Option<u32>, u16)>, expires: Option<u32> },
    RemoveAll { user: usize, phone: usize, cseq: u32 },
    Remove { user: usize, contact: usize },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lifetime = prop_oneof![Just(0u32), Just(30), 60u32..200, Just(9000)];
    let contact = (0usize..5, prop::option::of(lifetime.clone()), 0u16..=2);
    let contacts = prop::collection::vec(contact, 0..4);
    let step = prop_oneof![
        6 => (0usize..3, 0usize..2, 0u32..60, contacts, prop::option::of(lifetime))
            .prop_map(|(user, phone, cseq, contacts, expires)| Step::Register { user, phone, cseq, contacts, expires }),
        1 => (0usize..3, 0usize..2, 0u32..60).prop_map(|(user, phone, cseq)| Step::RemoveAll { user, phone, cseq }),
        1 => (0usize..3, 0usize..5).prop_map(|(user, contact)| Step::Remove { user, contact }),
        2 => (0u64..100).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    call_id: String,
    cseq: u32,
    expires: u64,
    q: u16,
    order: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    rows: BTreeMap<(usize, usize), Row>,
    now: u64,
    order: u64,
}

impl Model {
    /// The status of the answer; nothing changes unless it is 200.
    fn register(&mut self, step: &Step) -> u16 {
        let mut next = self.clone();
        let status = next.attempt(step);
        if status == 200 {
            *self = next;
        }
        status
    }

    fn attempt(&mut self, step: &Step) -> u16 {
        let (user, call_id, cseq) = match step {
            Step::Register { user, phone, cseq, .. } | Step::RemoveAll { user, phone, cseq } => {
                (*user, format!("{phone}"), *cseq)
            }
            _ => return 0,
        };
        let stale = |row: &Row| row.call_id == call_id && cseq <= row.cseq;
        let Step::Register { contacts, expires, .. } = step else {
            if self.rows.iter().any(|((owner, _), row)| *owner == user && stale(row)) {
                return 500;
            }
            self.rows.retain(|(owner, _), _| *owner != user);
            return 200;
        };
        let mut wanted: Vec<(usize, Option<u32>, u16)> = Vec::new();
        for contact in contacts {
            wanted.retain(|other| other.0 != contact.0);
            wanted.push(*contact);
        }
        let before = self.rows.keys().filter(|(owner, _)| *owner == user).count();
        // One refusal ends it: the first in the order of the contacts.
        for (contact, own, q) in wanted {
            if self.rows.get(&(user, contact)).is_some_and(stale) {
                return 500;
            }
            let lifetime = own.or(*expires).unwrap_or(3600);
            if lifetime > 0 && lifetime < 60 {
                return 423;
            }
            if lifetime == 0 {
                self.rows.remove(&(user, contact));
                continue;
            }
            self.order += 1;
            let expires = self.now + u64::from(lifetime.min(7200)) * 1000;
            let row = Row { call_id: call_id.clone(), cseq, expires, q, order: self.order };
            self.rows.insert((user, contact), row);
        }
        let after = self.rows.keys().filter(|(owner, _)| *owner == user).count();
        if after > MAX_CONTACTS && after > before { 403 } else { 200 }
    }

    fn lookup(&self, user: usize) -> Vec<(String, u64)> {
        let mut rows: Vec<_> = self.rows.iter().filter(|((owner, _), _)| *owner == user).collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse((row.q, row.order)));
        rows.into_iter()
            .map(|((_, contact), row)| (contact_uri(*contact), (row.expires - self.now).div_ceil(1000)))
            .collect()
    }
}

fn contact_uri(contact: usize) -> String {
    format!("sip:{contact}@h")
}

fn request(step: &Step) -> Option<Request> {
    let mut lines = Vec::new();
    let (user, phone, cseq) = match step {
        Step::Register { user, phone, cseq, contacts, expires } => {
            for (contact, own, q) in contacts {
                let own = own.map(|own| format!(";expires={own}")).unwrap_or_default();
                lines.push(format!("Contact: <{}>;q=0.{q}{own}", contact_uri(*contact)));
            }
            lines.extend(expires.map(|expires| format!("Expires: {expires}")));
            (user, phone, cseq)
        }
        Step::RemoveAll { user, phone, cseq } => {
            lines.extend(["Contact: *".to_owned(), "Expires: 0".to_owned()]);
            (user, phone, cseq)
        }
        _ => return None,
    };
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Some(request_to(&format!("<sip:{}@biloxi.com>", USERS[*user]), &phone.to_string(), *cseq, &lines))
}

/// A store that does what the events say.
fn follow(bench: &mut Bench, store: &mut BTreeMap<Vec<u8>, Binding>) {
    while let Some(event) = bench.registrar.poll_event() {
        let key = event.binding().key();
        match &event {
            Event::Added(binding) => assert_eq!(store.insert(key, binding.clone()), None),
            Event::Refreshed(binding) => assert!(store.insert(key, binding.clone()).is_some()),
            Event::Removed { .. } | Event::Expired(_) => assert!(store.remove(&key).is_some()),
        }
    }
}

proptest! {
    #[test]
    fn behaves_as_a_map_would(steps in steps()) {
        let mut bench = Bench::new(|c| c.max_contacts = MAX_CONTACTS);
        let mut model = Model::default();
        let mut store = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Wait(n) => {
                    bench.wait(*n);
                    model.now += n * 1000;
                    let now = model.now;
                    model.rows.retain(|_, row| row.expires > now);
                }
                Step::Remove { user, contact } => {
                    let aor = format!("sip:{}@biloxi.com", USERS[*user]);
                    let removed = bench.registrar.remove(bench.now, &aor, &contact_uri(*contact), RemovedBy::Operator);
                    prop_assert_eq!(removed, model.rows.remove(&(*user, *contact)).is_some());
                }
                _ => {
                    let status = model.register(step);
                    let request = request(step).unwrap();
                    let answer = bench.send(&request);
                    let got = answer.as_ref().map_or_else(|refusal| refusal.status(), |ok| ok.status());
                    prop_assert_eq!(got, StatusCode::new(status).unwrap(), "{:?} {:?}", step, answer);
                }
            }
            follow(&mut bench, &mut store);
            for (user, name) in USERS.iter().enumerate() {
                let found = bench.registrar.lookup(bench.now, &format!("sip:{name}@biloxi.com"));
                let found: Vec<_> = found.iter().map(|b| (b.contact().to_owned(), b.expires_in(bench.now))).collect();
                prop_assert_eq!(found, model.lookup(user));
            }
            let mut all: Vec<_> = bench.registrar.iter().map(|binding| (binding.key(), binding)).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert!(all.iter().map(|(k, b)| (k, b)).eq(store.iter()), "the store differs");
            prop_assert_eq!(bench.registrar.len(), model.rows.len());
            let users = USERS.iter().enumerate().filter(|(user, _)| model.rows.keys().any(|(owner, _)| owner == user));
            prop_assert_eq!(bench.registrar.aors(), users.count());
            let next = bench.registrar.poll_timeout();
            prop_assert_eq!(next.is_some(), !model.rows.is_empty());
            prop_assert!(next.is_none_or(|next| next > bench.now));
        }
    }

    #[test]
    fn export_and_import_are_inverse(user in "([a-z0-9]|%[0-9a-fA-F]{2}){1,12}", q in prop::option::of(0u16..=1000), v6 in any::<bool>(), id in any::<u64>()) {
        let now = start();
        let wall = WallClock { at: now, unix: UNIX };
        let mut bench = Bench::new(|_| ());
        let q = q.map(|q| format!(";q={}.{:03}", q / 1000, q % 1000)).unwrap_or_default();
        let line = format!("Contact: <sip:{user}@h;ob>{q};reg-id=4;+sip.instance=\"<urn:x>\"");
        let remote = if v6 { "[2001:db8::7]:5060" } else { "192.0.2.7:5060" }.parse().unwrap();
        let connection = Some(ConnectionId(id)).filter(|id| id.0 != 0);
        let flow = Flow { transport: Transport::Wss, local: "192.0.2.1:443".parse().unwrap(), remote, connection };
        let request = request_to("<sip:bob@biloxi.com>", "a", 1, &[&line, "Path: <sip:x;lr>"]);
        let context = Context { flow, nated: v6, received: Some(remote) };
        bench.registrar.register(bench.now, &request, &context).unwrap();
        let binding = bench.registrar.lookup(bench.now, AOR).remove(0);
        let back = Binding::import(&binding.export(&wall), &wall).unwrap();
        prop_assert_eq!(back.flow(), Some(flow));
        // The store has milliseconds.
        let late = binding.expires_at().duration_since(back.expires_at());
        prop_assert!(late < Duration::from_millis(1));
        prop_assert_eq!(Binding { expires_at: binding.expires_at(), ..back }, binding);
    }
}
