//! Fuzz harnesses: the targets in `fuzz_targets/` are a few lines over these.
