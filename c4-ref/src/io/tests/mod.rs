//! Tests on real sockets of the loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of the tests")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An empty folder of this test's own.
pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("c4-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Whether `true_now` becomes true within ten seconds.
pub(super) fn eventually(mut true_now: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if true_now() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}
