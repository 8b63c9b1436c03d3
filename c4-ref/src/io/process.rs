//! What the process itself uses, for `stats`.

use std::fs;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::heap;

/// `process` of the answer to `stats`: what is not known is not there.
///
/// `heap-bytes` is what the program holds (see [`heap`]); `rss-bytes` and `pss-bytes` are pages in memory, of which
/// the allocator keeps some for later; `fds`, `threads`, `uptime-s` as their names say.
pub(super) fn readings(started: Instant) -> Value {
    let mut process = Map::new();
    let mut put = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            process.insert(name.into(), value.into());
        }
    };
    put("heap-bytes", heap::live().map(|octets| octets as u64));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    put("rss-bytes", field(&status, "VmRSS:").map(|kib| kib * 1024));
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    put("pss-bytes", field(&rollup, "Pss:").map(|kib| kib * 1024));
    // Without the one that counts them.
    put("fds", fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)));
    put("threads", field(&status, "Threads:"));
    put("uptime-s", Some(started.elapsed().as_secs()));
    json!({ "process": process })
}

/// The number after a line's name.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_system_are_read() {
        let all = readings(Instant::now());
        for name in ["rss-bytes", "pss-bytes", "fds", "threads"] {
            assert!(all["process"][name].as_u64().is_some_and(|n| n > 0), "{name} in {all}");
        }
        assert_eq!(all["process"]["uptime-s"], 0);
    }
}
