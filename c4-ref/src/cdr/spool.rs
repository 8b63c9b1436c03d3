//! The spool of calls that have begun and not ended, so that a crash leaves a trace of each.
//!
//! A file of lines, appended to: `+ID JSON` for a call's start, `aID MILLIS` for its answer (Unix time), `-ID` for its end.
//! What a process has written survives its death by any signal. The writer calls [`Spool::take`] every so often and appends
//! the result **after** the records of the ended calls; at the start it makes records of the old file's open calls with
//! [`recover`] and begins anew.

use std::collections::BTreeMap;

use super::{Id, rfc3339};

/// A change to the set of open calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A call began; the JSON of [`super::Start`], with or without its line feed.
    Start(Id, String),
    /// It was answered, at this Unix time in milliseconds.
    Answer(Id, u64),
    /// It ended, and its record is with the writer.
    End(Id),
}

/// Collects changes between two writes. A call that begins and ends between them never touches the disk.
#[derive(Debug, Clone, Default)]
pub struct Spool {
    started: BTreeMap<Id, (String, Option<u64>)>,
    answered: BTreeMap<Id, u64>,
    ended: Vec<Id>,
    /// Octets of JSON in `started`.
    json: usize,
    /// Calls that stand open in the file.
    open: usize,
    /// Octets in the file.
    size: usize,
}

/// Below this size a file is not worth rewriting.
const SMALL: usize = 1 << 20;

impl Spool {
    /// Takes note of a change.
    pub fn push(&mut self, entry: Entry) {
        match entry {
            Entry::Start(id, json) => {
                self.json += json.len();
                self.started.insert(id, (json, None));
            }
            Entry::Answer(id, at) => match self.started.get_mut(&id) {
                Some((_, answer)) => *answer = Some(at),
                None => {
                    self.answered.insert(id, at);
                }
            },
            Entry::End(id) => {
                if let Some((json, _)) = self.started.remove(&id) {
                    self.json = self.json.saturating_sub(json.len());
                } else {
                    self.answered.remove(&id);
                    self.ended.push(id);
                }
            }
        }
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.started.is_empty() && self.answered.is_empty() && self.ended.is_empty()
    }

    /// Octets in memory, about: the JSON of the calls, and 64 for each call that began, was answered or ended.
    pub fn octets(&self) -> usize {
        self.json + 64 * (self.started.len() + self.answered.len() + self.ended.len())
    }

    /// What to append to the file now.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.json = 0;
        self.open += self.started.len();
        for (id, (json, answer)) in std::mem::take(&mut self.started) {
            start_line(&mut out, id, json.as_bytes());
            if let Some(at) = answer {
                answer_line(&mut out, id, at);
            }
        }
        for (id, at) in std::mem::take(&mut self.answered) {
            answer_line(&mut out, id, at);
        }
        self.open = self.open.saturating_sub(self.ended.len());
        for id in self.ended.drain(..) {
            out.extend_from_slice(format!("-{:016x}\n", id.0).as_bytes());
        }
        self.size += out.len();
        out
    }

    /// Whether most of the file speaks of ended calls: then the writer replaces it by [`compact`] of its content
    /// and reports the new length with [`Spool::compacted`].
    pub fn wants_compaction(&self) -> bool {
        self.size > SMALL && self.size / 2048 > self.open
    }

    /// The file was replaced by one of this length.
    pub fn compacted(&mut self, size: usize) {
        self.size = size;
    }
}

/// The lines of `content` that speak of calls still open.
pub fn compact(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, (json, answer)) in open_calls(content) {
        start_line(&mut out, id, json);
        if let Some(at) = answer {
            answer_line(&mut out, id, at);
        }
    }
    out
}

/// The records, one JSON line with its line feed each, of the calls that a dead process left open in its spool: what was known at the start,
/// the answer if there was one, and `"recovered": true`. A line torn by the crash is passed over.
pub fn recover(content: &[u8]) -> Vec<String> {
    let record = |(_, (json, answer)): (Id, (&[u8], Option<u64>))| {
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).ok()?;
        if let Some(at) = answer {
            record.insert("answer".into(), rfc3339(at).into());
        }
        record.insert("recovered".into(), true.into());
        let mut line = serde_json::to_string(&record).ok()?;
        line.push('\n');
        Some(line)
    };
    open_calls(content).into_iter().filter_map(record).collect()
}

fn open_calls(content: &[u8]) -> BTreeMap<Id, (&[u8], Option<u64>)> {
    let mut open: BTreeMap<Id, (&[u8], Option<u64>)> = BTreeMap::new();
    for line in content.split_inclusive(|b| *b == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { continue };
        let Some((kind, rest)) = line.split_first() else { continue };
        let (id, rest) = rest.split_at_checked(16).unwrap_or_default();
        let Some(id) = std::str::from_utf8(id).ok().and_then(|hex| u64::from_str_radix(hex, 16).ok()) else { continue };
        let rest = rest.trim_ascii_start();
        match kind {
            b'+' => {
                open.insert(Id(id), (rest, None));
            }
            b'a' => {
                if let Some((_, answer)) = open.get_mut(&Id(id)) {
                    *answer = std::str::from_utf8(rest).ok().and_then(|at| at.parse().ok());
                }
            }
            b'-' => {
                open.remove(&Id(id));
            }
            _ => {}
        }
    }
    open
}

fn start_line(out: &mut Vec<u8>, id: Id, json: &[u8]) {
    out.extend_from_slice(format!("+{:016x} ", id.0).as_bytes());
    out.extend_from_slice(json.trim_ascii_end());
    out.push(b'\n');
}

fn answer_line(out: &mut Vec<u8>, id: Id, at: u64) {
    out.extend_from_slice(format!("a{:016x} {at}\n", id.0).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(id: u64) -> Entry {
        Entry::Start(Id(id), format!("{{\"id\":\"{id:016x}\"}}"))
    }

    fn recovered(file: &[u8]) -> Vec<serde_json::Value> {
        recover(file).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_crash_recovers_what_was_open_and_nothing_else() {
        let (mut spool, mut file) = (Spool::default(), Vec::new());
        spool.push(start(1));
        spool.push(start(2));
        file.extend(spool.take());
        spool.push(Entry::Answer(Id(2), 1_700_000_000_000));
        spool.push(Entry::End(Id(1)));
        file.extend(spool.take());
        let records = recovered(&file);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["id"], "0000000000000002");
        assert_eq!(records[0]["recovered"], true);
        assert_eq!(records[0]["answer"], "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn a_call_within_one_interval_never_touches_the_disk() {
        let mut spool = Spool::default();
        spool.push(start(1));
        spool.push(Entry::Answer(Id(1), 5));
        spool.push(Entry::End(Id(1)));
        assert!(spool.is_empty());
        assert!(spool.take().is_empty());
    }

    #[test]
    fn kill_9_at_any_octet_loses_at_most_the_torn_line() {
        let mut spool = Spool::default();
        spool.push(start(1));
        spool.push(start(2));
        spool.push(Entry::Answer(Id(2), 7));
        let file = spool.take();
        let whole: Vec<usize> = file.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=file.len() {
            let lines = whole.iter().filter(|end| **end <= cut).count();
            assert_eq!(recovered(&file[..cut]).len(), lines.min(2), "cut at {cut}");
        }
    }

    #[test]
    fn compaction_keeps_the_open_calls() {
        let (mut spool, mut file) = (Spool::default(), Vec::new());
        for id in 0..40_000 {
            spool.push(start(id));
        }
        file.extend(spool.take());
        assert!(!spool.wants_compaction(), "all of it is needed");
        for id in 0..39_999 {
            spool.push(Entry::End(Id(id)));
        }
        file.extend(spool.take());
        assert!(spool.wants_compaction());
        let small = compact(&file);
        spool.compacted(small.len());
        assert!(!spool.wants_compaction());
        assert_eq!(recovered(&small), recovered(&file));
        assert_eq!(recovered(&small).len(), 1);
    }

    #[test]
    fn garbage_in_the_file_is_passed_over() {
        assert!(recover(b"\n+\n+zz\nhello\n+0000000000000001 not json\n\xff\xff\n").is_empty());
    }
}
