//! Replays the seeds on stable Rust: what a fuzzer once found stays found.
#![allow(clippy::expect_used, reason = "a test")]

use std::path::Path;

#[test]
fn every_seed_passes_its_harness() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, harness) in c4_fuzz::HARNESSES {
        let mut seeds = 0;
        for entry in std::fs::read_dir(folder.join(name)).expect("a folder of seeds") {
            harness(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
            seeds += 1;
        }
        assert!(seeds > 0, "{name} has seeds");
    }
}
